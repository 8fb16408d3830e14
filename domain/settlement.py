"""Settlement: what becomes of an order when an answer about its money comes in."""

from datetime import datetime
from typing import ClassVar

import msgspec

from domain import order, saga
from domain.attempt import Window
from domain.event import (
    AuthorizationExpired,
    CancelReason,
    Event,
    LatePayment,
    OrderPaid,
    PaymentActionRequired,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentDeclined,
    PaymentDisputed,
    PaymentInReview,
    PaymentMethodChanged,
    PaymentRefunded,
    PaymentRefused,
    PaymentRequested,
    PaymentResolved,
    PaymentUnknown,
    PaymentVoided,
)
from domain.funds import TAKING, Attempt, AttemptKind, AttemptState, Payable, PaymentOpen
from domain.order import Change, IllegalMove, Order
from domain.payment import (
    NOT_FOUND,
    ActionRequired,
    Declined,
    Held,
    Outcome,
    Succeeded,
    Unknown,
    Unsent,
)
from domain.refusal import Refusal
from domain.status import Status
from domain.task import NAMED, Kind, NewTask


class ReferenceRefused(Refusal):
    """What a person named at the gateway is not what their word is about."""

    code: ClassVar[str] = "gateway_ref_refused"


def settle(
    was: Order, attempt: Attempt, outcome: Outcome, *, overdue: bool, holds: bool
) -> Change | None:
    """Say what the outcome of an attempt, as it was before, makes of the order; None if nothing.

    `overdue` says that the gateway's window is over, `holds` that a declined order keeps its
    stock for another payment method.
    """
    match outcome:
        case Succeeded(gateway_ref):
            return _succeeded(was, attempt, gateway_ref)
        case Declined(code):
            return _declined(was, attempt, code, holds=holds)
        case ActionRequired() if attempt.state is not AttemptState.ACTION_REQUIRED:
            return order.append(was, PaymentActionRequired(attempt.id))
        case Unknown(reason):
            return _unknown(was, attempt, reason, overdue=overdue)
        case ActionRequired() | Unsent() | Held():
            return None


def _succeeded(was: Order, attempt: Attempt, gateway_ref: str) -> Change:
    match attempt.kind:
        case AttemptKind.CHARGE | AttemptKind.AUTHORIZE:
            return pay(was, attempt, gateway_ref)
        case AttemptKind.CAPTURE:
            return order.append(was, PaymentCaptured(attempt.id, attempt.amount_minor))
        case AttemptKind.VOID:
            return order.append(was, PaymentVoided(attempt.id, attempt.amount_minor))
        case AttemptKind.REFUND:
            reason = attempt.reason and attempt.reason.value
            return order.append(was, PaymentRefunded(attempt.id, attempt.amount_minor, reason))


def pay(was: Order, paid: Attempt, gateway_ref: str) -> Change:
    """Take note of money that was captured or is held for us.

    An order that was cancelled meanwhile stays so, and the money goes back.
    """
    if was.status is Status.CANCELLED:
        late = LatePayment(paid.id, gateway_ref, paid.amount_minor)
        return order.append(was, late, NewTask(Kind.UNDO_PAYMENT))
    fact = PaymentAuthorized if paid.kind is AttemptKind.AUTHORIZE else OrderPaid
    event: Event = fact(paid.id, gateway_ref, paid.amount_minor)
    return order.append(order.move(was, Status.PAID), event, *saga.forward(Status.PAID))


def _declined(was: Order, attempt: Attempt, code: str, *, holds: bool) -> Change | None:
    if attempt.kind not in TAKING:
        refused = PaymentRefused(attempt.id, attempt.kind.value, code)
        if attempt.state is AttemptState.SUCCEEDED and was.status is Status.CANCELLED:
            # The money of a cancelled order, thought to be given back, is still with us.
            return order.append(was, refused, NewTask(Kind.UNDO_PAYMENT))
        return order.append(was, refused)
    if code == NOT_FOUND and was.status is Status.RESERVED:
        # Nothing happened at the gateway: the charge is made afresh.
        return None
    if was.status is Status.RESERVED and holds:
        return order.append(was, PaymentDeclined(attempt.id, code))
    if was.status in {Status.RESERVED, Status.REVIEW}:
        return order.cancel(was, reason=CancelReason.PAYMENT_DECLINED, detail=code)
    return None


def _unknown(was: Order, attempt: Attempt, reason: str, *, overdue: bool) -> Change | None:
    if attempt.state is AttemptState.ACTION_REQUIRED:
        # The customer may still pay it, so no person can say that it was not; it ends by expiry.
        return None
    if overdue and was.status is Status.RESERVED:
        return order.append(order.move(was, Status.REVIEW), PaymentInReview(attempt.id, reason))
    if attempt.state is AttemptState.UNKNOWN:
        return None
    return order.append(was, PaymentUnknown(attempt.id, reason, attempt.kind.value))


def refuse_unpaid(was: Order, wanted: AttemptKind) -> None:
    """Raise IllegalMove for an order that has no money that could be moved on request."""
    if was.status not in {Status.PAID, Status.SHIPPED, Status.DELIVERED, Status.RETURNED}:
        why = ": it goes back by itself, see `explain`" if was.status is Status.CANCELLED else ""
        raise IllegalMove(f"An order in status {was.status} has no money to {wanted}{why}.")


def request(was: Order, asked: Attempt, *, actor: str) -> Change:
    """Take note of a capture, a void or a refund that is asked for, and have it done.

    Raises IllegalMove for an order that never was paid.
    """
    refuse_unpaid(was, asked.kind)
    event = PaymentRequested(
        asked.id, asked.kind.value, asked.amount_minor, actor, asked.reason and asked.reason.value
    )
    task = NewTask(Kind(asked.kind.value), {"attempt_id": str(asked.id)})
    return order.append(was, event, task)


def change_method(was: Order, payable: Payable, *, charging: bool, now: datetime) -> Change:
    """Have a declined order that is held charged to another payment method.

    Not once its reservation ran out, even if the clock has not ended it yet. `charging` says that
    a charge is to be made anyway. Raises IllegalMove, or PaymentOpen.
    """
    if was.status is not Status.RESERVED:
        raise IllegalMove(f"An order that is {was.status} waits for no other payment method.")
    if payable.is_out_of_time(now):
        raise IllegalMove("The reservation of this order ran out: it is about to end.")
    if not payable.holds:
        raise IllegalMove("An order placed with `on_decline` cancel keeps its payment method.")
    if charging or payable.taking() or payable.unsettled():
        raise PaymentOpen("A charge of this order is under way: its outcome comes first.")
    if not any(a.kind in TAKING for a in payable.attempts):
        raise IllegalMove("No charge of this order was declined: it keeps its payment method.")
    return order.append(was, PaymentMethodChanged(), NewTask(Kind.CHARGE))


def dispute(was: Order, dispute_ref: str, *, amount_minor: int, reason: str) -> Change:
    """Take note that the customer has asked the bank for the money back."""
    return order.append(was, PaymentDisputed(dispute_ref, amount_minor, reason))


def expire_authorization(was: Order, held: Attempt, *, left: int, captured: bool) -> Change:
    """Take note that an authorization ran out; an order of which nothing was captured ends."""
    event = AuthorizationExpired(held.id, left)
    if captured or was.status is not Status.PAID:
        return order.append(was, event)
    ended = order.cancel(
        msgspec.structs.replace(was, version=was.version + 1),
        reason=CancelReason.EXPIRED,
        detail="The authorization was not captured in time.",
    )
    return msgspec.structs.replace(ended, events=(event, *ended.events))


def unresolved(payable: Payable, window: Window) -> Attempt:
    """Find the attempt whose outcome a person may decide.

    Only what the gateway could not say in its window: an earlier word could be wrong. One that
    waits for its customer is theirs while the order stands.
    Raises IllegalMove if there is none.
    """
    attempt = payable.unsettled()
    doubtful = {AttemptState.UNKNOWN}
    if payable.status is Status.CANCELLED:
        doubtful.add(AttemptState.ACTION_REQUIRED)
    if attempt is None or attempt.state not in doubtful:
        raise IllegalMove("No payment of this order has an unknown outcome.")
    asked_after = payable.status is Status.RESERVED or not window.is_over(attempt)
    if payable.status is not Status.REVIEW and asked_after:
        raise IllegalMove(f"The {attempt.kind} of this order is still being asked after: wait.")
    return attempt


def evidence(attempt: Attempt) -> str:
    """Say what is known of an attempt whose outcome is open."""
    sent = "never" if attempt.sent_at is None else attempt.sent_at.isoformat()
    return f"{attempt.gateway} was first asked at {sent}; last: {attempt.error or 'no answer'}"


def refuse_reference(payable: Payable, unknown: Attempt, gateway_ref: str, *, taken: bool) -> None:
    """Raise ReferenceRefused for what is known to be something else at the gateway.

    `taken` says that another order has it. What is captured or released is the order's own
    payment, and each refund is one of its own.
    """
    paid = payable.taking()
    ours = paid is not None and paid.gateway_ref == gateway_ref
    others = {a.gateway_ref for a in payable.attempts if a.id != unknown.id}
    match unknown.kind:
        case AttemptKind.CAPTURE | AttemptKind.VOID if not ours:
            why = f"A {unknown.kind} is of the order's own payment, {paid and paid.gateway_ref}."
        case AttemptKind.REFUND if gateway_ref in others:
            why = f"{gateway_ref} is another payment or refund of this order."
        case _ if taken:
            why = f"{gateway_ref} is of another order."
        case _:
            return
    raise ReferenceRefused(why, field="gateway_ref")


def name(was: Order, unknown: Attempt, gateway_ref: str, verdict: PaymentResolved) -> Change:
    """Have a charge confirmed that happened, as a person says, under this name at the gateway.

    Captures and refunds go by that name, so nothing moves before the gateway shows that it is
    this charge, of this amount.
    """
    payload = {"attempt_id": str(unknown.id), NAMED: gateway_ref}
    return order.append(was, verdict, NewTask(Kind.CHARGE, payload))


def unconfirmed(was: Order, unknown: Attempt, reason: str) -> Change:
    """Take note that the gateway does not confirm what a person said; they may say it again."""
    return order.append(was, PaymentUnknown(unknown.id, reason, unknown.kind.value))


def resolve(
    was: Order, unknown: Attempt, outcome: Succeeded | Declined, verdict: PaymentResolved
) -> Change:
    """Take a person's word for what became of an attempt.

    Both answers are two events: that it was resolved, and what follows from it. A void or refund
    that did not happen is still owed to a cancelled order.
    """
    told = order.append(was, verdict)
    then = settle(told.order, unknown, outcome, overdue=True, holds=False)
    if then is None:
        return told
    owed: tuple[NewTask, ...] = ()
    if was.status is Status.CANCELLED and isinstance(outcome, Declined):
        owed = (NewTask(Kind.UNDO_PAYMENT),)
    return msgspec.structs.replace(then, events=(verdict, *then.events), tasks=then.tasks + owed)


def expire(was: Order) -> Change:
    """End an order whose reservation ran out; its stock is for sale again."""
    return order.cancel(was, reason=CancelReason.EXPIRED)
