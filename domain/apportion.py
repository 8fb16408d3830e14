"""Apportioning: an amount split over parts so that the parts add up to it, to the unit."""

from collections.abc import Mapping


def apportion(amount: int, weights: Mapping[str, int]) -> dict[str, int]:
    """Split `amount` in proportion to `weights`, by the method of the largest remainder.

    Each part is its exact share rounded down or up. Of equal remainders the one with the smaller
    name is rounded up first, so the order of the parts is irrelevant. Without any weight there
    is nothing to split by: `amount` is 0 then. No part is larger than its weight, as long as
    `amount` is not larger than all of them (Hamilton's method; Balinski and Young, Fair
    Representation, 1982).

    Raises ValueError for a negative amount or weight, or an amount that nothing can carry.
    """
    whole = sum(weights.values())
    if amount < 0 or any(weight < 0 for weight in weights.values()):
        raise ValueError("Amount and weights cannot be negative.")
    if whole == 0:
        if amount:
            raise ValueError(f"There is nothing to split {amount} over.")
        return dict.fromkeys(weights, 0)
    parts = {name: amount * weight // whole for name, weight in weights.items()}
    left = amount - sum(parts.values())
    by_remainder = sorted(weights, key=lambda name: (-(amount * weights[name] % whole), name))
    for name in by_remainder[:left]:
        parts[name] += 1
    return parts
