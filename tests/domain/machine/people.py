"""What customers, staff and the gateway's operators do."""

from collections.abc import Callable, Mapping
from datetime import timedelta

from domain import order, settlement
from domain.attempt import Window
from domain.event import CancelReason, PaymentResolved
from domain.funds import (
    Attempt,
    AttemptState,
    MoneyUnavailable,
    PaymentOpen,
    ask_capture,
    ask_void,
)
from domain.order import IllegalMove
from domain.payment import NOT_FOUND, ActionRequired, Declined, RefundReason, Succeeded
from domain.status import Status
from domain.task import Kind
from tests.domain.machine.books import Ruling
from tests.domain.machine.records import LEASE, UNFINISHED
from tests.domain.machine.worker import LAGS, WINDOW, call, claim, record, sweep, work
from tests.domain.machine.world import Pick, World

FLIGHTS_MAX = 3
SELDOM = (True, False, False, False)
AMOUNTS = (None, 1, 400, 1000)
# Short ones more often, or most orders would only expire.
PAUSES = (
    *LAGS,
    timedelta(hours=1),
    *(timedelta(seconds=s) for s in (1, 5, 5, 5, 20, 31, 31, 31, 120, 120)),
)
LONG_PAUSES = (timedelta(hours=24), timedelta(days=7))

Action = Callable[[World, Pick], object]


def begin(world: World, pick: Pick) -> None:
    """Have the order come some way undisturbed, so that much happens to paid orders, too."""
    for _ in range(pick((0, 0, 1, 2))):
        work(world, lambda options: options[0])


def worker_asks(world: World, pick: Pick) -> None:
    waiting = [flight for flight in world.flights if flight.outcome is None]
    if waiting:
        call(world, pick(waiting), pick)


def worker_records(world: World, pick: Pick) -> None:
    answered = [flight for flight in world.flights if flight.outcome is not None]
    if answered:
        record(world, pick(answered))


def worker_is_killed(world: World, pick: Pick) -> None:
    """Before a commit a kill is nothing at all; after it, the flight is gone."""
    if world.flights:
        world.flights.remove(pick(world.flights))


def worker_is_taken_over(world: World, pick: Pick) -> None:
    """Let workers sleep past their lease, and another one claim; those asleep may wake up.

    A task that has lost as many workers as it has tries is dead and left to a person: not played.
    """
    if 0 < len(world.flights) < FLIGHTS_MAX:
        world.advance(LEASE + timedelta(seconds=1))
        sweep(world)
        claim(world, pick)


def time_passes(world: World, pick: Pick) -> None:
    world.advance(pick(PAUSES))


def days_pass(world: World, pick: Pick) -> None:
    world.advance(pick(LONG_PAUSES))


def clock_sweeps(world: World, _pick: Pick) -> None:
    sweep(world)


def webhook_comes(world: World, _pick: Pick) -> None:
    world.records.hurry(world.now)


def order_is_cancelled(world: World, pick: Pick) -> None:
    try:
        reason = pick((CancelReason.CUSTOMER, CancelReason.STAFF))
        change = order.cancel(world.records.order, reason=reason)
    except IllegalMove:
        return
    world.records.change(change, world.now)


def order_is_shipped(world: World, _pick: Pick) -> None:
    if world.records.order.status is Status.PAID:
        world.records.change(order.ship(world.records.order), world.now)


def customer_authenticates(world: World, pick: Pick) -> None:
    world.books.authenticate(pick((Ruling.APPROVED, Ruling.REFUSED)), world.now)


def customer_pays_otherwise(world: World, _pick: Pick) -> None:
    """Give another payment method to an order that is held after its payment was declined."""
    records = world.records
    charging = any(row.kind is Kind.CHARGE and row.state in UNFINISHED for row in records.rows)
    try:
        change = settlement.change_method(
            records.order, records.payable(), charging=charging, now=world.now
        )
    except (IllegalMove, PaymentOpen):
        return
    records.payment_method = f"pm_{records.order.version}"
    records.change(change, world.now)


def _request(world: World, ask: Callable[[], Attempt]) -> None:
    records = world.records
    try:
        asked = ask()
        change = settlement.request(records.order, asked, actor="staff")
    except (MoneyUnavailable, IllegalMove):
        return
    records.write(asked)
    records.change(change, world.now)


def staff_captures(world: World, pick: Pick) -> None:
    payable, key = world.records.payable(), world.new_id()
    amount, final = pick(AMOUNTS), pick((False, True))
    _request(world, lambda: ask_capture(payable, key, amount_minor=amount, final=final))


def staff_voids(world: World, _pick: Pick) -> None:
    payable, key = world.records.payable(), world.new_id()
    _request(world, lambda: ask_void(payable, key))


def staff_refunds(world: World, pick: Pick) -> None:
    payable, key, amount = world.records.payable(), world.new_id(), pick(AMOUNTS)
    why, ask = RefundReason.DUPLICATE, world.decisions.ask_refund
    _request(world, lambda: ask(payable, key, amount_minor=amount, reason=why))


def staff_resolves(world: World, _pick: Pick) -> None:
    """Say what the gateway's own pages show of an attempt that is open past its window."""
    records = world.records
    try:
        unknown = settlement.unresolved(records.payable(), Window(world.now, WINDOW))
    except IllegalMove:
        return
    entry = world.books.entries.get(unknown.id)
    truth = None if entry is None else entry.now
    if records.is_asking() or isinstance(truth, ActionRequired):
        return
    outcome = truth if isinstance(truth, Succeeded | Declined) else Declined(NOT_FOUND)
    said = PaymentResolved(unknown.id, type(outcome).__name__, "seen", "staff", "pages")
    change = settlement.resolve(records.order, unknown, outcome, said)
    if isinstance(outcome, Succeeded):
        records.settle(unknown.id, AttemptState.SUCCEEDED, gateway_ref=outcome.gateway_ref)
        records.expires_at = outcome.expires_at or records.expires_at
    else:
        records.settle(unknown.id, AttemptState.DECLINED, error=outcome.code)
    records.change(change, world.now)
    records.hurry(world.now)


def breaker_turns(world: World, pick: Pick) -> None:
    world.breaker_is_open = pick(SELDOM)


def gateway_goes_down_or_comes_back(world: World, pick: Pick) -> None:
    world.books.up = not pick(SELDOM)


def gateway_becomes_unreadable(world: World, pick: Pick) -> None:
    """From now on every lookup fails: seldom, since it ends in a review."""
    if pick(SELDOM) and pick(SELDOM):
        world.books.readable = False


# Each action with its weight.
ACTIONS: Mapping[Action, int] = {
    work: 30,
    claim: 14,
    worker_asks: 14,
    worker_records: 14,
    worker_is_killed: 4,
    worker_is_taken_over: 14,
    clock_sweeps: 14,
    time_passes: 16,
    days_pass: 3,
    webhook_comes: 4,
    order_is_cancelled: 1,
    order_is_shipped: 1,
    customer_authenticates: 5,
    customer_pays_otherwise: 6,
    staff_captures: 8,
    staff_voids: 1,
    staff_refunds: 6,
    staff_resolves: 4,
    breaker_turns: 2,
    gateway_goes_down_or_comes_back: 2,
    gateway_becomes_unreadable: 2,
}
