"""Stories of one order: how it comes to the brink of a fault point, and what takes it there."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta

import msgspec

from domain.reconciliation import FIRST, Portion
from domain.task import Kind, NewTask, Queue
from ops.local.program import output
from ops.storm.history import Op
from ops.storm.matrix.broken import broken
from ops.storm.matrix.scene import Scene, Unexpected, idle
from ops.telemetry.faultpoint import Action, Commit, Side
from workers.reconcile import DIFFERS, NOTHING_DIFFERS

Part = Callable[[Scene], Awaitable[object]]

# Answered by the gateway alone, and only when it is asked again.
UNHEARD = "pm_sandbox_charged_then_reset"
DECLINED = "pm_card_chargeDeclined"
_POISON_TRIES = 2


async def nothing(scene: Scene) -> None:
    """Leave everything as it is."""
    del scene


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """What is told: `before` among healthy processes, `then` to a broken one of `line`.

    `after` mends what was spoiled on purpose. The order may end in any status of `ends`.
    """

    line: str = "worker"
    before: Part = nothing
    then: Part
    after: Part = nothing
    ends: frozenset[str] = frozenset({"paid"})
    env: Mapping[str, str] = {}
    rests: bool = True  # between `before` and `then`; not so with what was leased and lost


async def order(scene: Scene) -> None:
    """Place an order, through healthy processes."""
    await scene.place()


async def order_at_front(scene: Scene) -> None:
    """Place an order, through the broken process."""
    await scene.place(by=scene.front)


async def paid(scene: Scene) -> None:
    """Have an order paid."""
    await scene.place()
    await scene.until("paid")


async def authorized(scene: Scene) -> None:
    """Have the money of an order held."""
    await scene.place(capture="manual")
    await scene.until("paid")


async def declined(scene: Scene) -> None:
    """Have an order wait, declined, for another payment method."""
    await scene.place(DECLINED, on_decline="hold")
    await scene.until_attempt("declined")


async def unheard(scene: Scene) -> None:
    """Have an order charged without our knowing."""
    await scene.place(UNHEARD)


async def unheard_yet(scene: Scene) -> None:
    """Have an order wait until its charge is looked up."""
    await scene.place(UNHEARD)
    await scene.until_attempt("unknown")


async def unauthenticated(scene: Scene) -> None:
    """Have an order wait for its customer to authenticate the payment."""
    await scene.place("pm_card_authenticationRequired")
    await scene.until_attempt("action_required")


async def in_review(scene: Scene) -> None:
    """Have an order wait for a person, as its charge cannot be looked up for an hour."""
    await scene.fault("error-500", "search")
    await scene.place(UNHEARD)
    await scene.until_attempt("unknown")
    await scene.sql(
        "UPDATE payment_attempts SET sent_at = sent_at - interval '1 hour' WHERE order_id = %s",
        scene.order,
    )
    await _now(scene)
    await scene.until("review")
    await scene.no_faults()


async def _now(scene: Scene) -> None:
    await scene.sql(
        "UPDATE tasks SET run_at = now() WHERE order_id = %s AND state = 'ready'", scene.order
    )


async def hurried(scene: Scene) -> None:
    """Have what failed looked up again at once, instead of half a minute later."""
    await idle(scene.lane)
    await _now(scene)


async def lost(scene: Scene) -> None:
    """Have a worker die that has leased the order's payment; no clock sees it yet."""
    scene.lane.freeze("clock")
    scene.lane.freeze("worker")
    setting = f"{Commit.LEASE_PAYMENTS}.{Side.AFTER}:1:{Action.KILL9}"
    try:
        async with broken(scene.lane, "worker", setting, {}) as process:
            await scene.place()
            # The clock stands still: what it would ring for is rung for by the order alone.
            await process.reached.wait()
            await process.break_down()
    finally:
        scene.lane.thaw("worker")


def acted(op: Op, *, part: float = 1.0, front: bool = False) -> Part:
    """Ask for something done with the order."""

    async def ask(scene: Scene) -> None:
        await scene.act(op, part=part, by=scene.front if front else scene.healthy)

    return ask


async def resolve(scene: Scene) -> None:
    """Say that the charge happened."""
    content = {"outcome": "happened", "note": "seen", "gateway_ref": await scene.payment()}
    await scene.write("POST", f"/v1/orders/{scene.order}/resolve", content)


async def refunded_by_hand(scene: Scene) -> None:
    """Have an order cancelled whose money somebody has given back at the gateway."""
    await paid(scene)
    await scene.refund_at_gateway()
    await scene.act(Op.CANCEL)
    await idle(scene.lane)


async def write_off(scene: Scene) -> None:
    """Say that the money went back, which the gateway refuses to give back again."""
    content = {"amount_minor": scene.total, "means": "gateway", "note": "seen"}
    await scene.write("POST", f"/v1/orders/{scene.order}/write-off", content)


async def finding(scene: Scene) -> None:
    """Have something found."""
    await scene.sql(
        "INSERT INTO findings (kind, subject, detail) VALUES ('matrix', %s, 'to be closed')",
        scene.name,
    )


async def close_finding(scene: Scene) -> None:
    """Close it."""
    [(found,)] = await scene.sql("SELECT id FROM findings WHERE subject = %s", scene.name)
    await scene.write("POST", f"/v1/findings/{found}/close", {"note": "looked into"})


async def webhook(scene: Scene) -> None:
    """Have the gateway tell of the charge."""
    about = {"id": f"pi_{scene.name}", "object": "payment_intent"}
    await scene.tell("payment_intent.succeeded", {**about, "metadata": {"order_id": scene.order}})


async def dispute(scene: Scene) -> None:
    """Have the cardholder dispute the charge."""
    about = {"id": f"dp_{scene.name}", "object": "dispute", "amount": 1, "reason": "fraudulent"}
    await scene.tell("charge.dispute.created", {**about, "payment_intent": await scene.payment()})


async def _reconcile(scene: Scene, *, changed: bool = False) -> None:
    until = datetime.now(UTC) + timedelta(minutes=1)
    portion = Portion(
        "stripe", until - timedelta(hours=3), until, changed=FIRST if changed else None
    )
    await scene.schedule(NewTask(Kind.RECONCILE, msgspec.to_builtins(portion)))


async def reconcile(scene: Scene) -> None:
    """Have the gateway's books compared with ours."""
    await _reconcile(scene)


async def refunded_long_ago(scene: Scene) -> None:
    """Have an order refunded that was paid an hour ago."""
    await paid(scene)
    await scene.act(Op.REFUND, part=0.5)
    await scene.sql(
        "UPDATE payment_attempts SET sent_at = sent_at - interval '1 hour' WHERE order_id = %s",
        scene.order,
    )


async def reconcile_changed(scene: Scene) -> None:
    """Have asked after payments that changed here."""
    await _reconcile(scene, changed=True)


async def prune(scene: Scene) -> None:
    """Have old rows deleted."""
    await scene.schedule(NewTask(Kind.PRUNE))


async def poison(scene: Scene) -> None:
    """Write a task that raises wherever it is prepared."""
    await scene.sql(
        "INSERT INTO tasks (queue, kind, payload, attempts_max)"
        " VALUES (%s, %s, jsonb_build_object('poison', true), %s)",
        Queue.NOTIFICATIONS.value,
        Kind.NOTIFY.value,
        _POISON_TRIES,
    )


async def poison_beside(scene: Scene) -> None:
    """Write such a task and one that can be done, both due in the same instant."""
    await scene.sql(
        "INSERT INTO tasks (queue, kind, order_id, payload, attempts_max)"
        " SELECT %s, %s, order_id, payload::jsonb, %s FROM (VALUES"
        ' (%s::uuid, \'{"notice": "order_confirmed"}\'), (NULL, \'{"poison": true}\'))'
        " AS t (order_id, payload)",
        *(Queue.NOTIFICATIONS.value, Kind.NOTIFY.value, _POISON_TRIES, scene.order),
    )


async def unreservable(scene: Scene) -> None:
    """Have the database raise whenever stock is to be reserved, and place an order."""
    await scene.sql(
        "CREATE OR REPLACE FUNCTION raise_poison() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'poison'; END $$"
    )
    await scene.sql(
        "CREATE TRIGGER poison BEFORE INSERT ON reservations"
        " FOR EACH ROW EXECUTE FUNCTION raise_poison()"
    )
    await scene.place()


async def reservable(scene: Scene) -> None:
    """Have stock reserved again."""
    await scene.sql("DROP TRIGGER poison ON reservations")
    await _now(scene)


async def out_of_time(scene: Scene) -> None:
    """Have the order's reservation run out."""
    await scene.sql("UPDATE orders SET reserved_until = now() WHERE id = %s", scene.order)


async def authorization_over(scene: Scene) -> None:
    """Have the order's authorization run out."""
    await scene.sql(
        "UPDATE payment_attempts SET expires_at = now() WHERE order_id = %s", scene.order
    )


async def reconcile_by_hand(scene: Scene) -> None:
    """Run the command again that the broken process ran."""
    code, said = await output(scene.lane.program("reconcile", {}))
    if code not in {NOTHING_DIFFERS, DIFFERS}:
        raise Unexpected(f"Reconciling by hand ended with {code}: {said}")


def forgotten(job: str) -> Part:
    """Have a periodic job due again."""

    async def forget(scene: Scene) -> None:
        await scene.sql("DELETE FROM cron_runs WHERE job = %s", job)

    return forget
