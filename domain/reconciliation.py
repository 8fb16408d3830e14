"""Reconciliation: a gateway's books beside ours, and every way in which they can differ."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec

from domain.finding import Finding
from domain.funds import AttemptKind, AttemptState
from domain.payment import Booked, Charge, Declined, Held, Outcome, Succeeded, Unknown, Unsent


class Difference(StrEnum):
    """The kinds of findings that a reconciliation opens, and closes once they are gone."""

    UNKNOWN_HERE = "payment_unknown_here"  # there is money in a payment that we did not make
    CAPTURED_THERE_ONLY = "captured_there_only"  # declined or never sent, as far as we know
    CAPTURED_AMOUNT = "captured_amount_differs"
    REFUNDED_AMOUNT = "refunded_amount_differs"
    FEE = "fee_differs"  # only where the gateway tells what it kept
    CURRENCY = "currency_differs"
    HELD_MORE_THERE = "held_more_there"  # authorized there; here voided, expired or captured
    HELD_LESS_THERE = "held_less_there"  # here it may still be captured
    MISSING_THERE = "payment_missing_there"  # it succeeded, as far as we know
    ORDER_TOTAL = "order_total_differs"  # what was taken is not what the order costs


# What a person does about it; what is mended closes by itself, once the payment is compared again.
REMEDY: Mapping[Difference, str] = {
    Difference.UNKNOWN_HERE: "Find out who made it, and refund at the gateway what is nobody's.",
    Difference.CAPTURED_THERE_ONLY: "The customer paid what we do not count: refund it there.",
    Difference.CAPTURED_AMOUNT: "Settle the difference with the customer, then close this.",
    Difference.REFUNDED_AMOUNT: "Refund nothing more before it is clear who refunded; then close.",
    Difference.FEE: "Book the difference in your accounts, then close this.",
    Difference.CURRENCY: "Ship nothing before the gateway has explained it.",
    Difference.HELD_MORE_THERE: "Void it there, or let it expire.",
    Difference.HELD_LESS_THERE: "Ship nothing before the customer has paid otherwise.",
    Difference.MISSING_THERE: "Ship nothing before the gateway has explained it.",
    Difference.ORDER_TOTAL: "Settle the difference with the customer, then close this.",
}


class Portion(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is left to do of a reconciliation.

    First the gateway's books are read, then the payments of orders that changed here, then what
    the books lack is looked for.
    """

    gateway: str
    since: datetime
    until: datetime
    cursor: str | None = None  # in the gateway's books
    changed: UUID | None = None  # the books are read: our changed ones are next, after this one
    after: UUID | None = None  # those are, too: ours that are not there are next, after this one


# Before the first of our attempts.
FIRST = UUID(int=0)


class Account(msgspec.Struct, frozen=True):
    """A charge or authorization as our books show it, with the sums of what followed it."""

    attempt_id: UUID
    order_id: UUID
    kind: AttemptKind
    state: AttemptState
    gateway: str
    gateway_ref: str | None
    currency: str
    amount_minor: int
    total_minor: int  # of the order
    captured_minor: int
    refunded_minor: int
    fee_minor: int
    released: bool  # voided, or the rest given up with the last capture
    moving: bool  # something with the order's money is not settled, or was just now

    def held_minor(self) -> int:
        """Give what may still be captured."""
        if self.kind is not AttemptKind.AUTHORIZE or self.released:
            return 0
        return self.amount_minor - self.captured_minor


class Sought(msgspec.Struct, frozen=True):
    """A charge of ours that the gateway is asked after by itself."""

    charge: Charge
    released: bool  # the gateway then calls it cancelled
    gateway_ref: str | None = None  # its payment is to be compared; else that it is there will do


class Comparison(msgspec.Struct, frozen=True):
    """What a look into the gateway's books came to."""

    findings: tuple[Finding, ...]
    examined: tuple[str, ...]  # subjects; what was found of them before and not now is over
    matched: tuple[UUID, ...]  # attempts that are there as they are here
    moving: tuple[UUID, ...]  # orders that could not be compared now


def compare(
    gateway: str, payments: Sequence[Booked], accounts: Mapping[UUID, Account]
) -> Comparison:
    """Compare payments of the gateway with our accounts, which are by attempt.

    What is moving is no difference: its own work finds out how it stands.
    """
    looks: list[_Look] = []
    moving: set[UUID] = set()
    for payment in payments:
        ours = accounts.get(payment.attempt_id) if payment.attempt_id else None
        if ours and ours.moving:
            moving.add(ours.order_id)
        else:
            looks.append(_look(gateway, payment, ours))
    return Comparison(
        findings=tuple(finding for look in looks for finding in look.findings),
        examined=tuple(subject for look in looks for subject in look.examined),
        matched=tuple(look.matched for look in looks if look.matched),
        moving=tuple(sorted(moving)),
    )


class _Look(msgspec.Struct, frozen=True):
    """A look at one payment."""

    findings: list[Finding]
    examined: tuple[str, ...]
    matched: UUID | None = None


def _look(gateway: str, payment: Booked, ours: Account | None) -> _Look:
    if ours is None or not _is_of(gateway, payment, ours):
        return _Look(_unknown(gateway, payment, ours), (payment.gateway_ref,))
    subject = str(ours.attempt_id)
    findings = [
        _finding(kind, subject, ours.order_id, f"{gateway} {payment.gateway_ref}: {detail}")
        for kind, detail in _differences(payment, ours)
    ]
    agreed = not findings and ours.state is AttemptState.SUCCEEDED
    examined = (payment.gateway_ref, subject)
    return _Look(findings, examined, ours.attempt_id if agreed else None)


def _is_of(gateway: str, payment: Booked, ours: Account) -> bool:
    """Tell whether it is the payment of the attempt, and no second one that bears its name."""
    return ours.gateway == gateway and ours.gateway_ref in {None, payment.gateway_ref}


def _unknown(gateway: str, payment: Booked, ours: Account | None) -> list[Finding]:
    if not payment.captured_minor and not payment.authorized_minor:
        return []
    detail = (
        f"{gateway} {payment.gateway_ref}: {payment.captured_minor} captured and "
        f"{payment.authorized_minor} held, in minor units of {payment.currency.upper()}, "
    )
    if ours is None:
        detail += "for no attempt of ours."
    else:
        detail += f"under attempt {ours.attempt_id}, of {ours.gateway} {ours.gateway_ref}."
    order_id = ours.order_id if ours else payment.order_id
    return [_finding(Difference.UNKNOWN_HERE, payment.gateway_ref, order_id, detail)]


def _finding(kind: Difference, subject: str, order_id: UUID | None, detail: str) -> Finding:
    return Finding(kind, subject, order_id, f"{detail} {REMEDY[kind]}")


def _differences(payment: Booked, ours: Account) -> Iterator[tuple[Difference, str]]:
    here, there = ours.currency.upper(), payment.currency.upper()
    if there != here:
        yield Difference.CURRENCY, f"{there} there, {here} here."
    elif ours.state is AttemptState.SUCCEEDED:
        yield from _of_amounts(payment, ours)
    else:
        yield from _of_what_never_was(payment, ours)


def _of_amounts(payment: Booked, ours: Account) -> Iterator[tuple[Difference, str]]:
    held = ours.held_minor()
    if payment.captured_minor != ours.captured_minor:
        detail = f"{payment.captured_minor} captured there, {ours.captured_minor} here."
        yield Difference.CAPTURED_AMOUNT, detail
    if payment.refunded_minor != ours.refunded_minor:
        detail = f"{payment.refunded_minor} refunded there, {ours.refunded_minor} here."
        yield Difference.REFUNDED_AMOUNT, detail
    if payment.authorized_minor != held:
        more = payment.authorized_minor > held
        detail = f"{payment.authorized_minor} held there, {held} here."
        yield (Difference.HELD_MORE_THERE if more else Difference.HELD_LESS_THERE), detail
    if payment.fee_minor not in {None, ours.fee_minor}:
        yield Difference.FEE, f"{payment.fee_minor} kept there, {ours.fee_minor} here."
    if ours.amount_minor != ours.total_minor:
        detail = f"{ours.amount_minor} was asked for an order of {ours.total_minor}."
        yield Difference.ORDER_TOTAL, detail


def _of_what_never_was(payment: Booked, ours: Account) -> Iterator[tuple[Difference, str]]:
    if payment.captured_minor:
        detail = f"{payment.captured_minor} captured there, {ours.state} here."
        yield Difference.CAPTURED_THERE_ONLY, detail
    if payment.authorized_minor:
        detail = f"{payment.authorized_minor} held there, {ours.state} here."
        yield Difference.HELD_MORE_THERE, detail


def is_no_answer(found: Outcome | None) -> bool:
    """Tell whether a lookup failed, so that it says nothing of what was looked for."""
    return isinstance(found, Unknown | Unsent | Held)


def judge(gateway: str, answers: Sequence[tuple[Sought, Outcome | None]]) -> Comparison:
    """Judge the answers to lookups; one that failed counts as: it is not there."""
    said = [(sought.charge, _lack(sought, found)) for sought, found in answers]
    return Comparison(
        findings=tuple(
            _finding(
                Difference.MISSING_THERE,
                str(charge.attempt_id),
                charge.order_id,
                f"{gateway} {lack}: {charge.amount.minor} {charge.amount.currency} in minor units.",
            )
            for charge, lack in said
            if lack
        ),
        examined=tuple(str(charge.attempt_id) for charge, _ in said),
        matched=tuple(charge.attempt_id for charge, lack in said if lack is None),
        moving=(),
    )


def _lack(sought: Sought, found: Outcome | None) -> str | None:
    match found:
        case Succeeded():
            return None
        case None:
            return "does not know of it"
        case Declined(code):
            return None if sought.released else f"says that it did not happen ({code})"
        case Unknown(reason) | Unsent(reason):
            return f"could not be asked after it ({reason.rstrip('.')})"
        case _:
            return "has not completed it"
