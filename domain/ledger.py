"""Double entry: what each attempt that moved money books, one transaction for each."""

from collections.abc import Mapping
from enum import StrEnum

from domain.funds import AttemptKind


class Account(StrEnum):
    RECEIVABLE = "receivable"  # what customers owe; what they have paid is negative
    GATEWAY_CASH = "gateway_cash"  # what the gateway holds for us
    REFUNDS = "refunds"  # what went back to customers
    FEES = "fees"  # what the gateway kept for itself
    SETTLED_ELSEWHERE = "settled_elsewhere"  # what customers got back otherwise; it is negative


# In the place of a gateway's name, which has no hyphen: nobody asked a gateway for it.
ELSEWHERE = "by-hand"
# In the place of a gateway's reference: a person did it.
BY_HAND = "by-hand"


def book(
    kind: AttemptKind, amount_minor: int, fee_minor: int, *, gateway: str = ""
) -> Mapping[Account, int]:
    """Say what is booked, in minor units; the entries sum to zero, and none is zero.

    An authorization and its release move nothing.
    """
    match kind:
        case AttemptKind.CHARGE | AttemptKind.CAPTURE:
            entries = {
                Account.GATEWAY_CASH: amount_minor - fee_minor,
                Account.FEES: fee_minor,
                Account.RECEIVABLE: -amount_minor,
            }
        case AttemptKind.REFUND:
            elsewhere = gateway == ELSEWHERE
            paid_from = Account.SETTLED_ELSEWHERE if elsewhere else Account.GATEWAY_CASH
            entries = {paid_from: -amount_minor, Account.REFUNDS: amount_minor}
        case AttemptKind.AUTHORIZE | AttemptKind.VOID:
            entries = {}
    return {account: minor for account, minor in entries.items() if minor}
