"""A sound order and everything a storm leaves of it: what a test then corrupts in one place."""

from collections.abc import Mapping

import msgspec

from ops.sandbox.cards import MISSTATED
from ops.sandbox.ledger import Settlement
from ops.storm.evidence import (
    AttemptRow,
    BookedRow,
    EventRow,
    Evidence,
    KeyRow,
    NoticeRow,
    NotificationRow,
    OrderRow,
    StockRow,
    TaskRow,
)
from ops.storm.history import Asked, Entry, Op, Outcome, Try
from ops.storm.load import CANARY
from ops.storm.resources import Resources
from ops.storm.witness import WriteRow

PAID, DEAD = "0199-paid", "0199-cancelled"
TOTAL = 1000
_HELD = Resources({"web-1": 100.0}, {"web-1": 50}, connections=4, keys=10)


def an_order(order_id: str, status: str, version: int) -> OrderRow:
    email = "ann@example.com"
    return OrderRow(order_id, email, status, "EUR", TOTAL, "automatic", version, {"TEA": 2})


def content() -> Mapping[str, object]:
    return {
        "email": "ann@example.com",
        "currency": "EUR",
        "capture": "automatic",
        "payment_method": "pm_card_visa",
        "lines": [{"sku": "TEA", "quantity": 2}],
    }


def an_entry(
    asked: Asked,
    outcome: Outcome = Outcome.OK,
    tried: Try | None = None,
    *,
    body: Mapping[str, object] | None = None,
    replayed: bool = False,
) -> Entry:
    text = "" if body is None else msgspec.json.encode(body).decode()
    tries = [tried or Try(202)]
    return Entry(1, asked, outcome, tries, 0.0, 0.1, text, replayed)


def placed(order_id: str, key: str) -> Entry:
    body = {"id": order_id, "total_minor": TOTAL, "status": "placed", "version": 1}
    asked = Asked(Op.PLACE, "POST", "/v1/orders", key, content=content())
    return an_entry(asked, body=body)


def replayed(order_id: str, key: str) -> Entry:
    first = placed(order_id, key)
    asked = msgspec.structs.replace(first.asked, op=Op.REPLAY, order=order_id)
    return msgspec.structs.replace(first, asked=asked, replayed=True)


def read(order_id: str, status: str, version: int) -> Entry:
    asked = Asked(Op.READ, "GET", f"/v1/orders/{order_id}", "", order_id)
    return an_entry(asked, tried=Try(200), body={"status": status, "version": version})


def told_of(order_id: str, another: str) -> Entry:
    """One reads their order, and the name on another one."""
    asked = Asked(Op.READ, "GET", f"/v1/orders/{order_id}", "", order_id)
    body = {"status": "paid", "version": 3, "ship_to": {"name": f"{CANARY}{another}"}}
    return an_entry(asked, tried=Try(200), body=body)


def peeked(order_id: str, another: str) -> Entry:
    asked = Asked(Op.PEEK, "GET", f"/v1/orders/{another}", "", order_id)
    return an_entry(asked, tried=Try(200), body={"status": "paid", "version": 3})


def cancelled(order_id: str) -> Entry:
    asked = Asked(Op.CANCEL, "POST", f"/v1/orders/{order_id}/cancel", "", order_id)
    return an_entry(asked, tried=Try(200), body={"status": "cancelled", "version": 2})


def refunded(order_id: str, attempt_id: str) -> Entry:
    path, amount = f"/v1/orders/{order_id}/refunds", {"amount_minor": 300}
    asked = Asked(Op.REFUND, "POST", path, "k-r", order_id, amount, staff=True)
    return an_entry(asked, body={"id": attempt_id})


def method_changed(order_id: str) -> Entry:
    path = f"/v1/orders/{order_id}/payment-method"
    return an_entry(Asked(Op.METHOD, "POST", path, "k-m", order_id))


def misstated(asked: Asked) -> Asked:
    """Have an order paid with what the gateway never tells rightly of."""
    return msgspec.structs.replace(asked, content={**asked.content, "payment_method": MISSTATED})


def refused(key: str) -> Entry:
    asked = Asked(Op.PLACE, "POST", "/v1/orders", key, content=content())
    return an_entry(asked, Outcome.REFUSED, Try(422, "unknown_sku", problem=True))


def reused(order_id: str, key: str, code: str) -> Entry:
    asked = Asked(Op.REUSE, "POST", "/v1/orders", key, order_id, content())
    return an_entry(asked, Outcome.REFUSED, Try(422, code, problem=True))


def a_task(task_id: int, order_id: str | None, kind: str, notice: str | None = None) -> TaskRow:
    return TaskRow(
        task_id,
        order_id,
        kind,
        "done",
        1,
        5,
        None,
        lease_expired=False,
        notice=notice,
        poison=False,
    )


def evidence() -> Evidence:
    """Give what is left of one order that was paid and one that was cancelled, all well."""
    return Evidence(
        history=[
            placed(PAID, "k-1"),
            placed(DEAD, "k-2"),
            replayed(PAID, "k-1"),
            read(PAID, "paid", 3),
            cancelled(DEAD),
            refunded(PAID, "a-2"),
            refused("k-3"),
            reused(PAID, "k-1", "idempotency_key_reused"),
        ],
        stocked={"TEA": 10},
        prices={"TEA": 500},
        orders={PAID: an_order(PAID, "paid", 4), DEAD: an_order(DEAD, "cancelled", 2)},
        events=[
            EventRow(PAID, 1, "order_placed", "placed", None),
            EventRow(PAID, 2, "stock_reserved", "reserved", None),
            EventRow(PAID, 3, "order_paid", "paid", "a-1", at=3.5),
            EventRow(PAID, 4, "payment_refunded", "paid", "a-2"),
            EventRow(DEAD, 1, "order_placed", "placed", None),
            EventRow(DEAD, 2, "order_cancelled", "cancelled", None, reason="customer"),
        ],
        tasks=[
            a_task(1, PAID, "charge"),
            a_task(2, PAID, "notify", "order_confirmed"),
            a_task(3, DEAD, "notify", "order_cancelled"),
            a_task(4, None, "notify_account", "n-1"),
        ],
        attempts=[
            AttemptRow("a-1", PAID, "charge", "succeeded", TOTAL),
            AttemptRow("a-2", PAID, "refund", "succeeded", 300),
        ],
        keys=[
            KeyRow("public", "k-1", PAID),
            KeyRow("public", "k-2", DEAD),
            KeyRow("staff", "k-r", PAID),
        ],
        stock=[StockRow("TEA", 8, 0)],
        booked=[BookedRow(PAID, "EUR", TOTAL, 300, 665, 35)],
        notifications=[
            NotificationRow(PAID, "order_confirmed", "sent"),
            NotificationRow(DEAD, "order_cancelled", "sent"),
        ],
        notices=[NoticeRow("n-1", "confirm_address", "sent")],
        writes=[
            WriteRow(1, PAID, "ready", 0, "running", 1),
            WriteRow(1, PAID, "running", 1, "ready", 1),
            WriteRow(1, PAID, "ready", 1, "running", 2),
            WriteRow(1, PAID, "running", 2, "done", 2),
        ],
        settlements={
            PAID: Settlement(
                authorized=TOTAL,
                captured=TOTAL,
                refunded=300,
                fees=35,
                captures=1,
                currencies={"eur"},
                attempts=["a-1"],
            )
        },
        mails={
            f"{PAID}.order_confirmed@orderflow": 1,
            f"{DEAD}.order_cancelled@orderflow": 1,
            "n-1.confirm_address@orderflow": 1,
        },
        addressed={
            f"{PAID}.order_confirmed@orderflow": frozenset({"ann@example.com"}),
            f"{DEAD}.order_cancelled@orderflow": frozenset({"ann@example.com"}),
        },
        before=_HELD,
        after=_HELD,
    )
