"""A model of a gateway: its books, what it answers, and what becomes of the answer on the way."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

import msgspec

from domain.funds import AttemptKind
from domain.money import Money
from domain.payment import (
    ActionRequired,
    Call,
    Capture,
    Charge,
    Declined,
    Outcome,
    Refund,
    Succeeded,
    TakeAuthorized,
    Unknown,
    Unsent,
    Void,
)

AUTHORIZED_FOR = timedelta(days=7)


class Fate(StrEnum):
    """What happens to a request and to its answer."""

    ANSWERED = "answered"
    LOST = "lost"  # done; the answer is lost or cannot be believed
    HIDDEN = "hidden"  # done, and not shown for a while; the answer is lost
    SLOW = "slow"  # done later; the answer is lost
    DROPPED = "dropped"  # never done, and nobody can tell
    UNSENT = "unsent"  # provably never done


class Ruling(StrEnum):
    """What the customer's bank says."""

    APPROVED = "approved"
    REFUSED = "refused"
    CHALLENGED = "challenged"  # the customer has to authenticate


class Request(msgspec.Struct, frozen=True):
    """A call on its way: what becomes of it is settled when it leaves."""

    call: Call
    fate: Fate
    ruling: Ruling
    lag: timedelta


class Entry(msgspec.Struct):
    """What the books hold under one idempotency key."""

    call: Call
    shown_at: datetime
    first: Outcome  # repeated whenever the key is
    now: Outcome


class Payment(msgspec.Struct):
    """One payment of a customer, in minor units."""

    held: int  # authorized and not captured
    captured: int = 0
    refunded: int = 0
    expires_at: datetime | None = None


KIND_OF: Mapping[type[Call], AttemptKind] = {
    TakeAuthorized: AttemptKind.CAPTURE,
    Void: AttemptKind.VOID,
    Refund: AttemptKind.REFUND,
}


def kind_of(call: Call) -> AttemptKind:
    if isinstance(call, Charge):
        manual = call.capture is Capture.MANUAL
        return AttemptKind.AUTHORIZE if manual else AttemptKind.CHARGE
    return KIND_OF[type(call)]


class Books:
    """The gateway: whatever is asked twice under one key is done once."""

    def __init__(self, *, lenient: bool) -> None:
        self.lenient: bool = lenient  # to release what ran out is no error
        self.entries: dict[UUID, Entry] = {}
        self.payments: dict[str, Payment] = {}
        self.under_way: list[tuple[datetime, Request]] = []
        self.up: bool = True
        self.readable: bool = True

    def execute(self, request: Request, now: datetime) -> Outcome:
        if not self.up or request.fate is Fate.UNSENT:
            return Unsent("connection refused")
        if request.fate is Fate.SLOW:
            self.under_way.append((now + request.lag, request))
        elif request.fate is not Fate.DROPPED:
            entry = self._book(request, now)
            if request.fate is Fate.ANSWERED:
                return entry.first
        return Unknown("timeout")

    def find(self, call: Call, fate: Fate, now: datetime) -> Outcome | None:
        if not self.up or fate is Fate.UNSENT:
            return Unsent("connection refused")
        if not self.readable or fate is not Fate.ANSWERED:
            return Unknown("timeout")
        entry = self.entries.get(call.attempt_id)
        return None if entry is None or entry.shown_at > now else entry.now

    def abandon(self, call: Charge, fate: Fate) -> Outcome:
        if not self.up or fate is Fate.UNSENT:
            return Unsent("connection refused")
        entry = self.entries[call.attempt_id]
        if isinstance(entry.now, ActionRequired) and fate is not Fate.DROPPED:
            entry.now = Declined("abandoned")
        return entry.now if fate is Fate.ANSWERED else Unknown("timeout")

    def authenticate(self, ruling: Ruling, now: datetime) -> None:
        """Have the customer answer the challenge, if there is one."""
        for entry in self.entries.values():
            if isinstance(entry.now, ActionRequired) and isinstance(entry.call, Charge):
                approved = ruling is Ruling.APPROVED
                entry.now = self._take(entry.call, now) if approved else Declined("card_declined")

    def pass_time(self, now: datetime) -> None:
        """Do what was under way, and release what was authorized too long ago."""
        for at, request in [due for due in self.under_way if due[0] <= now]:
            self.under_way.remove((at, request))
            self._book(request, at)
        for payment in self.payments.values():
            if payment.expires_at is not None and payment.expires_at <= now:
                payment.held = 0

    def _book(self, request: Request, now: datetime) -> Entry:
        call = request.call
        known = self.entries.get(call.attempt_id)
        if known is not None:
            assert known.call == call, "A key was used again for something else."
            return known
        answer = self._do(call, request.ruling, now)
        hidden = request.lag if request.fate is Fate.HIDDEN else timedelta()
        entry = self.entries[call.attempt_id] = Entry(call, now + hidden, answer, answer)
        return entry

    def _do(self, call: Call, ruling: Ruling, now: datetime) -> Outcome:
        if isinstance(call, Charge):
            if ruling is Ruling.REFUSED:
                return Declined("card_declined")
            if ruling is Ruling.CHALLENGED:
                return ActionRequired(_ref(call), "secret")
            return self._take(call, now)
        return self._move(call, self.payments[call.gateway_ref])

    def _take(self, call: Charge, now: datetime) -> Succeeded:
        amount = call.amount.minor
        if call.capture is Capture.AUTOMATIC:
            self.payments[_ref(call)] = Payment(held=0, captured=amount)
            return Succeeded(_ref(call), fee_minor=30)
        until = now + AUTHORIZED_FOR
        self.payments[_ref(call)] = Payment(held=amount, expires_at=until)
        return Succeeded(_ref(call), expires_at=until)

    def _move(self, call: TakeAuthorized | Void | Refund, payment: Payment) -> Outcome:
        amount = call.amount
        if isinstance(call, Refund):
            if amount.minor > payment.captured - payment.refunded:
                return Declined("charge_already_refunded")
            payment.refunded += amount.minor
        elif isinstance(call, Void):
            if payment.held == 0 and not self.lenient:
                return Declined("payment_intent_unexpected_state")
            payment.held = 0
        elif amount.minor > payment.held:
            return Declined("payment_intent_unexpected_state")
        else:
            payment.captured += amount.minor
            payment.held = 0 if call.final else payment.held - amount.minor
        return Succeeded(f"{kind_of(call)}_{call.attempt_id.int}")

    def moved(self) -> dict[UUID, Money]:
        """Give what was done, under its key."""
        return {
            key: entry.call.amount
            for key, entry in self.entries.items()
            if isinstance(entry.now, Succeeded)
        }


def _ref(call: Charge) -> str:
    return f"pi_{call.attempt_id.int}"
