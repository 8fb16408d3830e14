"""Discounts: what takes something off an order, for whom, and when."""

from collections.abc import Collection
from datetime import datetime
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

import msgspec

from domain.moment import YEARS, is_far
from domain.refusal import Refusal

BASIS_POINTS = 10_000  # of which a percentage is a part: 12.5 % is 1,250


class UnknownCode(Refusal):
    """No discount has this code."""

    code: ClassVar[str] = "unknown_discount_code"


class DiscountNotApplicable(Refusal):
    """The discount is not, or not yet, or not any more, for this order."""

    code: ClassVar[str] = "discount_not_applicable"


class DiscountUsedUp(Refusal):
    """The discount was given as often as it may be, in all or to this customer."""

    code: ClassVar[str] = "discount_used_up"


class DiscountInUse(Refusal):
    """The discount was given more often than it would be allowed to."""

    code: ClassVar[str] = "discount_in_use"


class CodeTaken(Refusal):
    """Another discount has this code."""

    code: ClassVar[str] = "discount_code_taken"


class DiscountMisfit(Refusal):
    """The parts of a discount do not go together."""

    code: ClassVar[str] = "discount_misfit"


class DiscountKind(StrEnum):
    PERCENTAGE = "percentage"  # of what it applies to, in basis points
    FIXED = "fixed"  # an amount off what it applies to, never more than that
    FREE_SHIPPING = "free_shipping"


class Discount(msgspec.Struct, frozen=True):
    """What is taken off; `value` is in basis points or minor units, as `kind` has it.

    Without `code` it is given by itself. With `skus` it applies to these alone, and it needs
    `minimum_minor` of goods in the order. One that does not combine is given alone, or not at all.
    """

    id: UUID
    kind: DiscountKind
    value: int
    currency: str | None = None  # of `value` and `minimum_minor`; a percentage needs none
    code: str | None = None
    skus: frozenset[str] | None = None
    minimum_minor: int = 0
    combines: bool = True
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    uses_max: int | None = None
    uses_per_customer_max: int | None = None
    slug: str = ""  # what staff calls it


def normal(code: str) -> str:
    """Give a code as it is kept: how it is written is nobody's concern."""
    return code.strip().upper()


def refuse_misfit(discount: Discount) -> None:
    """Raise DiscountMisfit for one whose parts do not go together."""
    if field_and_reason := _far(discount) or _misfit(discount):
        field, reason = field_and_reason
        raise DiscountMisfit(reason, field=field)


def _far(discount: Discount) -> tuple[str, str] | None:
    for field, at in (("starts_at", discount.starts_at), ("ends_at", discount.ends_at)):
        if at is not None and is_far(at):
            return field, f"A moment is of the years {YEARS.start} to {YEARS.stop - 1}."
    return None


def _misfit(discount: Discount) -> tuple[str, str] | None:
    value, ends_at = discount.value, discount.ends_at
    match discount.kind:
        case DiscountKind.PERCENTAGE if not 1 <= value <= BASIS_POINTS:
            return "value", f"A percentage is of 1 to {BASIS_POINTS} basis points."
        case DiscountKind.FIXED if value < 1 or discount.currency is None:
            return "value", "An amount is of 1 minor unit or more, in a `currency`."
        case DiscountKind.FREE_SHIPPING if value:
            return "value", "Free shipping has no value: send 0, or nothing."
        case _:
            pass
    if discount.minimum_minor and discount.currency is None:
        return "currency", "What it needs at least is in a `currency`."
    if discount.starts_at is not None and ends_at is not None and discount.starts_at >= ends_at:
        return "ends_at", "It ends after it starts."
    return None


def refuse_unfit(
    discount: Discount, skus: Collection[str], goods_minor: int, currency: str, *, now: datetime
) -> None:
    """Check that a discount is for an order of `skus` that cost `goods_minor`.

    Raises DiscountNotApplicable, which says why.
    """
    if reason := _unfit(discount, skus, goods_minor, currency, now):
        raise DiscountNotApplicable(reason, field="discount_codes")


def fits(
    discount: Discount, skus: Collection[str], goods_minor: int, currency: str, *, now: datetime
) -> bool:
    """Tell whether a discount is for an order of `skus` that cost `goods_minor`."""
    return _unfit(discount, skus, goods_minor, currency, now) is None


def _unfit(
    discount: Discount, skus: Collection[str], goods_minor: int, currency: str, now: datetime
) -> str | None:
    name = discount.code or "The discount"
    if discount.starts_at is not None and now < discount.starts_at:
        return f"{name} is not given yet: it begins at {discount.starts_at.isoformat()}."
    if discount.ends_at is not None and now >= discount.ends_at:
        return f"{name} is not given any more: it ended at {discount.ends_at.isoformat()}."
    if discount.currency not in {None, currency}:
        return f"{name} is for orders in {discount.currency}, not {currency}."
    if goods_minor < discount.minimum_minor:
        return (
            f"{name} needs goods of at least {discount.minimum_minor} minor units;"
            f" these are {goods_minor}."
        )
    if discount.skus is not None and discount.skus.isdisjoint(skus):
        return f"{name} is for other products than these."
    return None
