"""The money of an order: what its attempts have moved, and what may still be asked for."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

import msgspec

from domain.money import Money
from domain.payment import Capture, RefundReason
from domain.refusal import Refusal
from domain.status import Status


class AttemptKind(StrEnum):
    CHARGE = "charge"  # authorize and capture
    AUTHORIZE = "authorize"
    CAPTURE = "capture"
    VOID = "void"
    REFUND = "refund"


class AttemptState(StrEnum):
    CREATED = "created"  # written; known not to have reached the gateway
    SENT = "sent"  # committed before the call, so the call may have happened
    UNKNOWN = "unknown"  # the call happened and its outcome is open
    ACTION_REQUIRED = "action_required"  # the customer has to authenticate
    SUCCEEDED = "succeeded"  # the gateway moved the money
    DECLINED = "declined"  # nothing was and nothing will be moved


# While one of these stands, no other money of the order moves.
OPEN = frozenset({AttemptState.SENT, AttemptState.UNKNOWN, AttemptState.ACTION_REQUIRED})
TAKING = frozenset({AttemptKind.CHARGE, AttemptKind.AUTHORIZE})


class MoneyUnavailable(Refusal):
    """There is less than was asked for: to capture, to void or to refund."""

    code: ClassVar[str] = "amount_not_available"


class PaymentOpen(Refusal):
    """Another operation with the order's money is not settled yet."""

    code: ClassVar[str] = "payment_in_progress"


class CurrencyDiffers(Refusal):
    """The amount is not in the currency of the order."""

    code: ClassVar[str] = "currency_mismatch"


class RefundAboveLimit(Refusal):
    """More goes back than who asks may give on one's own."""

    code: ClassVar[str] = "refund_above_limit"


class Attempt(msgspec.Struct, frozen=True):
    """One operation at a gateway; `id` is its idempotency key and our reference there."""

    id: UUID
    kind: AttemptKind
    state: AttemptState
    amount_minor: int
    gateway: str
    gateway_ref: str | None = None
    sent_at: datetime | None = None  # the first time
    final: bool = True  # of a capture: what is left is released
    reason: RefundReason | None = None
    error: str | None = None


class Payable(msgspec.Struct, frozen=True):
    """An order as far as its money goes, with all its attempts, oldest first."""

    order_id: UUID
    status: Status
    total: Money
    payment_method: str
    capture: Capture = Capture.AUTOMATIC
    holds: bool = False  # a declined order keeps its stock for another payment method
    attempts: tuple[Attempt, ...] = ()
    reserved_until: datetime | None = None

    def get(self, attempt_id: UUID) -> Attempt | None:
        """Find one of the attempts."""
        return next((a for a in self.attempts if a.id == attempt_id), None)

    def is_out_of_time(self, now: datetime) -> bool:
        """Tell whether it was not paid within its reservation: the clock ends it."""
        until = self.reserved_until
        return self.status is Status.RESERVED and until is not None and until <= now

    def unsettled(self) -> Attempt | None:
        """Find the attempt whose outcome is open; there is one at most."""
        return next((a for a in self.attempts if a.state in OPEN), None)

    def taking(self) -> Attempt | None:
        """Find the charge or authorization that stands, or may; a declined one does not."""
        return next(
            (a for a in self.attempts if a.kind in TAKING and a.state is not AttemptState.DECLINED),
            None,
        )


class Funds(msgspec.Struct, frozen=True):
    """Sums in minor units; `capturable` and `refundable` leave out what is asked for already."""

    authorized: int
    captured: int
    refunded: int
    capturable: int
    refundable: int


def funds(attempts: Sequence[Attempt]) -> Funds:
    """Sum up what attempts have moved."""
    charged = _sum(attempts, {AttemptKind.CHARGE}, moved=True)
    held = _sum(attempts, {AttemptKind.AUTHORIZE}, moved=True)
    captured = charged + _sum(attempts, {AttemptKind.CAPTURE}, moved=True)
    refunded = _sum(attempts, {AttemptKind.REFUND}, moved=True)
    asked = _sum(attempts, {AttemptKind.CAPTURE}, moved=False)
    returning = _sum(attempts, {AttemptKind.REFUND}, moved=False)
    released = any(_releases(a) for a in attempts)
    left = 0 if released else max(0, held - (captured - charged) - asked)
    return Funds(charged + held, captured, refunded, left, captured - refunded - returning)


def _sum(attempts: Sequence[Attempt], kinds: set[AttemptKind], *, moved: bool) -> int:
    """Sum what was moved, or what is asked for and may yet be."""
    ended = {AttemptState.SUCCEEDED, AttemptState.DECLINED}
    return sum(
        a.amount_minor
        for a in attempts
        if a.kind in kinds
        and (a.state is AttemptState.SUCCEEDED if moved else a.state not in ended)
    )


def _releases(attempt: Attempt) -> bool:
    """Tell whether an attempt gives up, or may, what is authorized and not captured."""
    ends = attempt.kind is AttemptKind.VOID or (
        attempt.kind is AttemptKind.CAPTURE and attempt.final
    )
    return ends and attempt.state is not AttemptState.DECLINED


def refuse_other_currency(payable: Payable, currency: str | None) -> None:
    """Raise CurrencyDiffers unless an amount, if in a currency at all, is in the order's."""
    if currency not in {None, payable.total.currency}:
        raise CurrencyDiffers(f"The order is in {payable.total.currency}.", field="currency")


def ask_capture(
    payable: Payable, attempt_id: UUID, *, amount_minor: int | None, final: bool
) -> Attempt:
    """Decide on a capture, of all that is left if no amount is given.

    Raises MoneyUnavailable above what is authorized and not captured.
    """
    left = funds(payable.attempts).capturable
    amount = left if amount_minor is None else amount_minor
    if not 0 < amount <= left:
        raise MoneyUnavailable(_only(left, payable, "can be captured"), field="amount_minor")
    paid = _standing(payable, AttemptKind.AUTHORIZE)
    return _asked(attempt_id, AttemptKind.CAPTURE, amount, paid, final=final or amount == left)


def ask_void(payable: Payable, attempt_id: UUID) -> Attempt:
    """Decide on the release of what is authorized and not captured; raises MoneyUnavailable."""
    left = funds(payable.attempts).capturable
    if left == 0:
        raise MoneyUnavailable("Nothing is authorized and not captured: refund what is captured.")
    return _asked(attempt_id, AttemptKind.VOID, left, _standing(payable, AttemptKind.AUTHORIZE))


def release_all(payable: Payable, void: Attempt) -> Attempt:
    """Have a void tell all that it releases: what was to be captured and was not, too."""
    left = funds([a for a in payable.attempts if a.id != void.id]).capturable
    return msgspec.structs.replace(void, amount_minor=max(void.amount_minor, left))


def ask_refund(
    payable: Payable, attempt_id: UUID, *, amount_minor: int | None, reason: RefundReason
) -> Attempt:
    """Decide on a refund, of all that was captured and not refunded if no amount is given.

    Raises MoneyUnavailable above that.
    """
    left = funds(payable.attempts).refundable
    amount = left if amount_minor is None else amount_minor
    if not 0 < amount <= left:
        raise MoneyUnavailable(_only(left, payable, "can be refunded"), field="amount_minor")
    paid = _standing(payable, *TAKING)
    return _asked(attempt_id, AttemptKind.REFUND, amount, paid, reason=reason)


def refuse_above(payable: Payable, asked: Attempt, *, limit_minor: int) -> None:
    """Raise RefundAboveLimit if with this refund more than that of an order would go back.

    What went back before counts, too, or small refunds would add up to any sum.
    """
    sums = funds(payable.attempts)
    if sums.captured - sums.refundable + asked.amount_minor > limit_minor:
        raise RefundAboveLimit(
            f"You may give back {limit_minor} {payable.total.currency} of an order in minor units,"
            " all refunds together: have somebody of ops give back more.",
            field="amount_minor",
        )


def refuse_ending_above(payable: Payable, *, limit_minor: int) -> None:
    """Raise RefundAboveLimit if with the end of an order more than that of it would go back."""
    if funds(payable.attempts).captured > limit_minor:
        raise RefundAboveLimit(
            f"You may give back {limit_minor} {payable.total.currency} of an order in minor units,"
            " and cancelling gives back all that was paid: have somebody of ops cancel it."
        )


def _standing(payable: Payable, *kinds: AttemptKind) -> Attempt:
    return next(
        a for a in payable.attempts if a.kind in kinds and a.state is AttemptState.SUCCEEDED
    )


def _asked(  # noqa: PLR0913 - the two last are of one kind each
    attempt_id: UUID,
    kind: AttemptKind,
    amount_minor: int,
    paid: Attempt,
    *,
    final: bool = True,
    reason: RefundReason | None = None,
) -> Attempt:
    return Attempt(
        attempt_id,
        kind,
        AttemptState.CREATED,
        amount_minor,
        paid.gateway,
        final=final,
        reason=reason,
    )


def _only(left: int, payable: Payable, what: str) -> str:
    if left == 0:
        return f"Nothing of this order {what}."
    return f"Of this order 1 to {left} {payable.total.currency} in minor units {what}."
