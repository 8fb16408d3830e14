"""A payment gateway at the edge: it moves money once per key, and waits or fails when told to."""

from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
import pytest

from domain.payment import (
    ActionRequired,
    Booked,
    Call,
    Capture,
    Charge,
    Declined,
    Outcome,
    Refund,
    Statement,
    Succeeded,
    TakeAuthorized,
    Unknown,
    Unsent,
    Void,
)
from tests.door import Door

DECLINED = "pm_card_declined"
AUTHENTICATED = "pm_card_authentication_required"

# The number of payments in a part of the books.
PART_MAX = 100


class Deposit(msgspec.Struct):
    """A payment in the bank's books, in minor units; `held` may still be captured."""

    charge: Charge
    held: int = 0
    captured: int = 0
    refunded: int = 0
    fee: int = 0
    authenticating: bool = False
    created_at: datetime = msgspec.field(default_factory=lambda: datetime.now(UTC))
    changed_at: datetime = msgspec.field(default_factory=lambda: datetime.now(UTC))


class Bank:
    """The gateway. `asked` tells every call: its verb and the attempt it was for.

    Calls pass `entrance`, then the money moves, then `exit`, then the answer goes out. `answers`
    are given to the next calls in place of moving money, `found` to the next lookups in place of
    looking. `answers_lost` counts calls that are done but whose answer does not arrive, `blind`
    lookups that see nothing. While it is `down` nothing reaches it, and what it is `down_for` it
    does not do, without saying so.
    """

    def __init__(self, name: str = "bank") -> None:
        self.name = name
        self.looked: list[str] = []
        self.unread: deque[Unknown] = deque()
        self.asked: list[tuple[str, UUID]] = []
        self.answers: deque[Outcome] = deque()
        self.found: deque[Outcome | None] = deque()
        self.answers_lost = 0
        self.blind = 0
        self.down = False
        self.down_for: set[str] = set()
        self.fee_minor = 0
        self.authorized_until: datetime | None = None
        self.entrance, self.exit = Door(), Door()
        self.closed = False
        self.most_at_once = 0
        self._at_once = 0
        self._deposits: dict[str, Deposit] = {}
        self._done: dict[UUID, tuple[Call, Outcome]] = {}
        self._moved: list[tuple[UUID, int]] = []

    async def execute(self, call: Call) -> Outcome:
        async with self._counted(verb_of(call), call.attempt_id):
            await self.entrance.passed(call.order_id)
            if self.down:
                return Unsent("No connection.")
            if self.answers:
                return self.answers.popleft()
            if verb_of(call) in self.down_for:
                return Unknown("Reset by peer.")
            outcome = self._once(call)
            await self.exit.passed(call.order_id)
            return self._answer(outcome)

    async def find(self, call: Call) -> Outcome | None:
        async with self._counted("find", call.attempt_id):
            if self.down:
                return Unsent("No connection.")
            if isinstance(call, Charge) and call.named is not None:
                return self._named(call, call.named)
            if self.found:
                return self.found.popleft()
            if self.blind:
                self.blind -= 1
                return None
            _, outcome = self._done.get(call.attempt_id, (call, None))
            return outcome

    async def abandon(self, call: Charge, gateway_ref: str) -> Outcome:
        async with self._counted("abandon", call.attempt_id):
            if self.down:
                return Unsent("No connection.")
            deposit = self._deposits[gateway_ref]
            if deposit.authenticating:
                deposit.authenticating = False
                self._done[call.attempt_id] = call, Declined("abandoned")
            _, outcome = self._done[call.attempt_id]
            return self._answer(outcome)

    async def statement(
        self, since: datetime, until: datetime, cursor: str | None
    ) -> Statement | Unsent | Unknown:
        if self.down:
            return Unsent("No connection.")
        listed = [
            _booked(ref, deposit)
            for ref, deposit in self._deposits.items()
            if since <= deposit.changed_at < until and not deposit.authenticating
        ]
        begin = int(cursor or 0)
        end = begin + PART_MAX
        return Statement(tuple(listed[begin:end]), str(end) if end < len(listed) else None)

    async def booked(self, gateway_ref: str) -> Booked | Unsent | Unknown | None:
        self.looked.append(gateway_ref)
        if self.down:
            return Unsent("No connection.")
        if self.unread:
            return self.unread.popleft()
        deposit = self._deposits.get(gateway_ref)
        return deposit and _booked(gateway_ref, deposit)

    async def close(self) -> None:
        self.closed = True

    def authenticate(self, order_id: UUID) -> None:
        """Do what the customer has to do: the charge that waited for it goes through."""
        [(ref, deposit)] = [
            (ref, d)
            for ref, d in self._deposits.items()
            if d.charge.order_id == order_id and d.authenticating
        ]
        deposit.authenticating = False
        self._done[deposit.charge.attempt_id] = deposit.charge, self._take(ref, deposit)

    def fail_refunds(self, order_id: UUID) -> None:
        """Have the customer's bank send back what was refunded of an order."""
        for call, outcome in list(self._done.values()):
            if isinstance(call, Refund) and call.order_id == order_id:
                if isinstance(outcome, Succeeded):
                    self._deposits[call.gateway_ref].refunded -= call.amount.minor
                    self._moved.append((order_id, call.amount.minor))
                self._done[call.attempt_id] = call, Declined("refund_failed:lost_card")

    def refund_by_hand(self, order_id: UUID, minor: int) -> None:
        """Have a person give back a part of an order's money, without our knowing."""
        [deposit] = [d for d in self._deposits.values() if d.charge.order_id == order_id]
        self._refund(deposit, minor, deposit.charge)
        deposit.changed_at = datetime.now(UTC)

    def age(self, by: timedelta) -> None:
        """Let time pass since all that is in the books."""
        for deposit in self._deposits.values():
            deposit.created_at -= by
            deposit.changed_at -= by

    def verbs(self) -> list[str]:
        """What was asked, in order."""
        return [verb for verb, _ in self.asked]

    def takings(self, order_id: UUID) -> list[int]:
        """What was taken for an order, in order and in minor units; refunds are negative."""
        return [minor for moved_for, minor in self._moved if moved_for == order_id]

    def charged(self) -> list[UUID]:
        """Name the orders of which money was taken, once for each payment."""
        return [d.charge.order_id for d in self._deposits.values() if d.captured]

    def held(self, order_id: UUID) -> int:
        """What is authorized for an order and not captured, in minor units."""
        return sum(d.held for d in self._deposits.values() if d.charge.order_id == order_id)

    def _named(self, charge: Charge, ref: str) -> Outcome | None:
        deposit = self._deposits.get(ref)
        if deposit is not None and deposit.charge.attempt_id != charge.attempt_id:
            return Unknown(f"{ref} is of another attempt.", pending=True)
        return deposit and self._done[charge.attempt_id][1]

    def _once(self, call: Call) -> Outcome:
        known, outcome = self._done.get(call.attempt_id, (call, None))
        if known != call:
            return Declined("idempotency_key_reused")
        if outcome is None:
            outcome = self._do(call)
            self._done[call.attempt_id] = call, outcome
        return outcome

    def _do(self, call: Call) -> Outcome:
        match call:
            case Charge():
                return self._charge(call)
            case TakeAuthorized():
                return self._with(call, self._capture)
            case Void():
                return self._with(call, self._void)
            case Refund():
                return self._with(call, self._refund)

    def _charge(self, charge: Charge) -> Outcome:
        if charge.payment_method == DECLINED:
            return Declined("card_declined")
        ref = f"{self.name}_{charge.attempt_id.hex}"
        self._deposits[ref] = deposit = Deposit(charge)
        if charge.payment_method == AUTHENTICATED:
            deposit.authenticating = True
            return ActionRequired(ref, f"{ref}_secret")
        return self._take(ref, deposit)

    def _take(self, ref: str, deposit: Deposit) -> Succeeded:
        charge = deposit.charge
        deposit.held = charge.amount.minor
        if charge.capture is Capture.MANUAL:
            return Succeeded(ref, expires_at=self.authorized_until)
        self._move(deposit, charge.amount.minor)
        deposit.fee = self.fee_minor
        deposit.held = 0
        return Succeeded(ref, self.fee_minor)

    def _with(
        self,
        call: TakeAuthorized | Void | Refund,
        do: Callable[[Deposit, int, TakeAuthorized | Void | Refund], str | None],
    ) -> Outcome:
        """Do it to the payment it is about, unless there is none or the bank may not."""
        deposit = self._deposits.get(call.gateway_ref)
        if deposit is None or deposit.charge.order_id != call.order_id:
            return Declined("no_such_payment")
        refused = do(deposit, call.amount.minor, call)
        if refused:
            return Declined(refused)
        deposit.changed_at = datetime.now(UTC)
        fee_minor = self.fee_minor if isinstance(call, TakeAuthorized) else 0
        return Succeeded(f"{verb_of(call)}_{call.attempt_id.hex}", fee_minor)

    def _capture(self, deposit: Deposit, minor: int, call: Call) -> str | None:
        if minor > deposit.held:
            return "amount_too_large"
        self._move(deposit, minor)
        deposit.fee += self.fee_minor
        final = isinstance(call, TakeAuthorized) and call.final
        deposit.held = 0 if final else deposit.held - minor
        return None

    def _void(self, deposit: Deposit, minor: int, call: Call) -> str | None:
        del call
        if deposit.held != minor:
            return "nothing_to_void" if deposit.held == 0 else "amount_differs"
        deposit.held = 0
        return None

    def _refund(self, deposit: Deposit, minor: int, call: Call) -> str | None:
        del call
        if minor > deposit.captured - deposit.refunded:
            return "charge_already_refunded"
        deposit.refunded += minor
        self._moved.append((deposit.charge.order_id, -minor))
        return None

    def _move(self, deposit: Deposit, minor: int) -> None:
        deposit.captured += minor
        self._moved.append((deposit.charge.order_id, minor))

    def _answer(self, outcome: Outcome) -> Outcome:
        if self.answers_lost:
            self.answers_lost -= 1
            return Unknown("The answer was lost.")
        return outcome

    @asynccontextmanager
    async def _counted(self, verb: str, attempt_id: UUID) -> AsyncGenerator[None]:
        self.asked.append((verb, attempt_id))
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            yield
        finally:
            self._at_once -= 1


def verb_of(call: Call) -> str:
    """Name what a call asks for."""
    match call:
        case Charge(capture=Capture.MANUAL):
            return "authorize"
        case Charge():
            return "charge"
        case TakeAuthorized():
            return "capture"
        case Void():
            return "void"
        case Refund():
            return "refund"


def _booked(ref: str, deposit: Deposit) -> Booked:
    charge = deposit.charge
    return Booked(
        ref,
        charge.attempt_id,
        charge.order_id,
        charge.amount.currency,
        deposit.held,
        deposit.captured,
        deposit.refunded,
        deposit.created_at,
        deposit.fee,
    )


@pytest.fixture
def bank() -> Bank:
    return Bank()
