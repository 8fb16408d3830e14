"""Double entry: what each attempt that moved money books, one transaction for each."""

from collections.abc import Mapping
from enum import StrEnum

from domain.funds import AttemptKind


class Account(StrEnum):
    RECEIVABLE = "receivable"  # what customers owe; what they have paid is negative
    GATEWAY_CASH = "gateway_cash"  # what the gateway holds for us
    REFUNDS = "refunds"  # what went back to customers
    FEES = "fees"  # what the gateway kept for itself


def book(kind: AttemptKind, amount_minor: int, fee_minor: int) -> Mapping[Account, int]:
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
            entries = {Account.GATEWAY_CASH: -amount_minor, Account.REFUNDS: amount_minor}
        case AttemptKind.AUTHORIZE | AttemptKind.VOID:
            entries = {}
    return {account: minor for account, minor in entries.items() if minor}
