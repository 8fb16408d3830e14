from datetime import UTC, datetime, timedelta

from db.dossiers import MailOf, TaskOf
from db.events import TimelineEntry
from db.ids import new_id
from domain.actor import CLOCK, WORKER, Actor, ActorKind, gateway
from ops.dashboard.story import weave, who

START = datetime(2026, 1, 1, tzinfo=UTC)
SOMEBODY = new_id()


def at(ms: int) -> datetime:
    return START + timedelta(milliseconds=ms)


def a_task(kind: str, *, written: int, done: int, state: str = "done") -> TaskOf:
    return TaskOf(7, kind, "q", state, 1, 5, at(written), at(written), at(done), None)


def test_what_is_of_one_transaction_follows_its_event_and_the_rest_its_time() -> None:
    events = [
        TimelineEntry(1, "order_placed", "placed", {}, at(5)),
        TimelineEntry(2, "stock_reserved", "reserved", {}, at(905)),
    ]
    mail = MailOf("order_confirmed", "email", "a@x", "sent", None, at(4000), at(4100))

    told = weave(events, [a_task("reserve", written=0, done=900)], [], [mail], [], {})

    assert [line.what for line in told] == [
        "order_placed",
        "task 7: reserve written",
        "stock_reserved",
        "task 7: reserve done",
        "order_confirmed written",
        "order_confirmed sent",
    ]
    assert [line.version for line in told if line.of == "event"] == [1, 2]


def test_who_did_it_is_named_as_people_know_them() -> None:
    names = {SOMEBODY: "ann@example.com"}

    assert who(Actor(ActorKind.STAFF, SOMEBODY, "ops"), names) == "ops ann@example.com"
    assert who(Actor(ActorKind.STAFF, SOMEBODY, "ops", key=True), names).endswith("(API key)")
    assert who(Actor(ActorKind.STAFF), {}) == "staff"
    assert who(Actor(ActorKind.CUSTOMER, SOMEBODY), names) == "customer ann@example.com"
    assert who(Actor(ActorKind.CUSTOMER, SOMEBODY), {}) == f"customer {SOMEBODY}"
    assert [who(one, {}) for one in (CLOCK, WORKER, gateway("stripe"))] == [
        "the clock",
        "a worker",
        "gateway stripe",
    ]
