"""What holds after every step, whatever happened, and what holds once everything is quiet."""

from collections.abc import Sequence
from datetime import timedelta

from domain.funds import OPEN, TAKING, Attempt, AttemptKind, AttemptState, funds
from domain.past import Happened, fold
from domain.payment import Capture
from domain.status import Status
from domain.task import Kind, State
from tests.domain.machine.books import Ruling, kind_of
from tests.domain.machine.people import staff_resolves
from tests.domain.machine.records import ON_HAND, UNFINISHED
from tests.domain.machine.worker import sweep, work
from tests.domain.machine.world import T, World

# Whatever is still to be done is done in fewer rounds.
ROUNDS_MAX = 200

_HELD = {Status.RESERVED, Status.REVIEW}
_GONE = {Status.PAID, Status.SHIPPED}


def check(world: World) -> None:
    """What holds after every step."""
    _money_is_taken_once(world)
    _attempts_are_what_the_gateway_did(world)
    _open_attempts_have_their_task(world)
    _stock_follows_the_status(world)
    assert world.records.order.version == len(world.records.events)
    _timeline_tells_it_all(world)


def _timeline_tells_it_all(world: World) -> None:
    """The timeline alone, folded, gives the order as it is."""
    records = world.records
    told = [Happened(status, fact) for status, fact in records.events]
    past, ours = (
        fold(told, manual=records.capture is Capture.MANUAL),
        funds(tuple(records.attempts.values())),
    )
    assert (past.version, past.status) == (records.order.version, records.order.status)
    assert (past.captured_minor, past.refunded_minor) == (ours.captured, ours.refunded)


def _money_is_taken_once(world: World) -> None:
    order, payments = world.records.order, world.books.payments.values()
    assert len(payments) <= 1, "The customer's money was taken twice."
    for payment in payments:
        assert payment.held + payment.captured <= order.total.minor
        assert 0 <= payment.refunded <= payment.captured
    left = funds(tuple(world.records.attempts.values()))
    assert left.captured + left.capturable <= order.total.minor
    assert left.refundable >= 0, "More is asked to be refunded than was captured."
    if order.status in _GONE and world.records.capture is Capture.AUTOMATIC:
        assert left.captured == order.total.minor


def _attempts_are_what_the_gateway_did(world: World) -> None:
    moved, attempts = world.books.moved(), world.records.attempts
    for key, entry in world.books.entries.items():
        ours = attempts.get(key)
        assert ours is not None, "The gateway did what none of our attempts asked for."
        assert ours.kind is kind_of(entry.call)
        assert ours.amount_minor == entry.call.amount.minor
        known_as_not_done = ours.state in {AttemptState.CREATED, AttemptState.DECLINED}
        assert not (key in moved and known_as_not_done), "Money moved that we deny."
    for ours in attempts.values():
        if ours.state is AttemptState.SUCCEEDED:
            assert ours.id in moved, "We booked what the gateway did not do."


def _open_attempts_have_their_task(world: World) -> None:
    for ours in world.records.attempts.values():
        if ours.state in OPEN:
            assert _states(world, ours) & UNFINISHED, "Nobody asks after an open attempt."
        elif ours.state is AttemptState.CREATED:
            assert _states(world, ours) & {*UNFINISHED, State.DEAD}, "Nobody makes an attempt."


def _states(world: World, ours: Attempt) -> set[State]:
    """Give the states of the tasks for an attempt."""
    charges = ours.kind in TAKING
    return {
        row.state
        for row in world.records.rows
        if (row.kind is Kind.CHARGE if charges else row.payload.get("attempt_id") == str(ours.id))
    }


def _stock_follows_the_status(world: World) -> None:
    records = world.records
    assert records.reserved == int(records.order.status in _HELD)
    if records.on_hand or records.reserved:
        assert records.on_hand == ON_HAND - int(records.order.status in _GONE)


def quieten(world: World) -> None:
    """Heal the gateway, let every answer arrive and the clock run until nothing is to be done."""
    world.books.up, world.breaker_is_open = True, False
    world.advance(timedelta(hours=2))
    for _ in range(ROUNDS_MAX):
        sweep(world)
        if not world.books.readable:
            world.books.authenticate(Ruling.REFUSED, world.now)
            staff_resolves(world, first)
        work(world, first)
        check(world)
        if not _is_busy(world):
            return
        world.advance(_pause(world))
    raise AssertionError("It does not come to rest.")


def _is_busy(world: World) -> bool:
    waits = world.records.order.status in {Status.PLACED, *_HELD}
    return waits or any(row.state in UNFINISHED for row in world.records.rows)


def _pause(world: World) -> timedelta:
    """Give the time to the next thing that is due, a second at least."""
    records = world.records
    moments = [row.lease_until or row.run_at for row in records.rows if row.state in UNFINISHED]
    if records.reserved_until is not None and not moments:
        moments.append(records.reserved_until)
    soonest = min(moments, default=world.now) - world.now
    return max(soonest, timedelta(seconds=1))


def first(options: Sequence[T], /) -> T:
    """Pick an answer at once, and a yes: they come first."""
    return options[0]


def check_at_rest(world: World) -> None:
    """What holds once everything is quiet."""
    order, attempts = world.records.order, tuple(world.records.attempts.values())
    assert not [a for a in attempts if a.state in OPEN]
    assert all(row.error for row in world.records.rows if row.state is State.DEAD)
    payments, ours = world.books.payments.values(), funds(attempts)
    assert sum(p.captured for p in payments) == ours.captured
    assert sum(p.refunded for p in payments) == ours.refunded
    if order.status is Status.CANCELLED:
        assert ours.captured == ours.refunded, "A cancelled order keeps money."
        assert not sum(p.held for p in payments), "A cancelled order holds money."
    else:
        assert order.status in _GONE
        kept = AttemptKind.CHARGE if world.records.capture is Capture.AUTOMATIC else None
        assert kept is None or ours.captured == order.total.minor
