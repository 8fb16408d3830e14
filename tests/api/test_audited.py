"""Every write that is for staff alone leaves its trace in the audit log."""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple
from uuid import UUID

import httpx
import pytest
from litestar import Litestar
from sqlalchemy import text

from api.policy import POLICIES
from db import (
    audit,
    categories,
    findings,
    incoming,
    locations,
    price_entries,
    price_lists,
    processes,
    products,
    tasks,
)
from db.audit import EntryView, Filter
from db.categories import Category
from db.engine import Database, transaction
from db.ids import new_id
from db.incoming import Expected
from db.locations import LocationView
from db.processes import ProcessKind, Self
from domain.finding import Finding
from domain.payment import Declined, Unknown
from domain.price_list import Entry, PriceListContent
from domain.principal import STAFF as STAFF_ROLES
from domain.product import ProductContent
from domain.task import Kind, NewTask
from ops.bench.outside import InstantMailer
from ops.config import Settings
from tests.api.paid import Pay, lost
from tests.api.people import a_person
from tests.api.reviewers import buy, write_review
from tests.api.routes import PRODUCT
from tests.bank import Bank
from tests.builders import put_catalogue_product, put_products
from tests.records import make_due, sent_long_ago
from tests.staff import ADMIN
from tests.stages import drain_notifications, drain_payments, settle_payments

READING = {"GET", "HEAD"}
FOR_STAFF_ALONE = {
    operation
    for operation, policy in POLICIES.items()
    if policy.roles and policy.roles <= STAFF_ROLES and operation.partition(" ")[0] not in READING
}


class Parts(NamedTuple):
    """What a test asks, and what it asks it of."""

    client: httpx.AsyncClient
    app: Litestar
    database: Database
    settings: Settings
    bank: Bank
    pay: Pay


# Makes something that the operation can be done to, and gives its name in the path.
Prepare = Callable[[Parts], Awaitable[str]]


def _id(location: str) -> str:
    return location.rpartition("/")[2]


async def held(parts: Parts) -> str:
    return _id(await parts.pay(capture="manual"))


async def paid(parts: Parts) -> str:
    return _id(await parts.pay())


async def in_review(parts: Parts) -> str:
    location = await lost(parts.client, parts.database, parts.settings, parts.bank)
    await sent_long_ago(parts.database, UUID(_id(location)))
    parts.bank.found.append(Unknown("The gateway is mute."))
    await make_due(parts.database)
    await drain_payments(parts.database, parts.settings, parts.bank)
    return _id(location)


async def unknown(parts: Parts) -> str:
    return _id(await lost(parts.client, parts.database, parts.settings, parts.bank))


async def mailed(parts: Parts) -> str:
    location = await parts.pay()
    await drain_notifications(parts.database, parts.settings, InstantMailer())
    return _id(location)


async def refused(parts: Parts) -> str:
    location = await parts.pay()
    parts.bank.answers.append(Declined("charge_disputed"))
    await parts.client.post(f"{location}/cancel")
    await settle_payments(parts.database, parts.settings, parts.bank)
    return _id(location)


async def found(parts: Parts) -> str:
    async with transaction(parts.database) as tx:
        await findings.insert(tx, [Finding("currency_differs", "first", new_id(), "As found.")])
    [one] = (await parts.client.get("/v1/findings")).json()["findings"]
    return str(one["id"])


async def dead(parts: Parts) -> str:
    async with transaction(parts.database) as tx:
        await tasks.schedule(tx, NewTask(Kind.PRUNE))
        query = "UPDATE tasks SET state = 'dead', finished_at = now() RETURNING id"
        return str(await tx.scalar(text(query)))


async def person(parts: Parts) -> str:
    return str((await a_person(parts.app)).id)


async def sku(parts: Parts) -> str:
    await put_products(parts.database, APPLE=100)
    return "APPLE"


async def gateway(_: Parts) -> str:
    return "stripe"


async def queue(_: Parts) -> str:
    return "shipping"


async def process(parts: Parts) -> str:
    own = Self(new_id(), ProcessKind.WORKER, "elsewhere", 7, "1")
    async with transaction(parts.database) as tx:
        await processes.beat(tx, own, rss_bytes=None, running=[])
    return str(own.id)


async def nothing(_: Parts) -> str:
    return ""


async def begun(parts: Parts) -> str:
    body = {"action": "discard", "match": {"state": "dead"}, "dry_run": False}
    return (await parts.client.post("/v1/tasks/bulks", json=body)).json()["bulk"]["id"]


async def ended(parts: Parts) -> str:
    bulk_id = await begun(parts)
    await parts.client.post(f"/v1/tasks/bulks/{bulk_id}/cancel")
    return bulk_id


async def category(parts: Parts) -> str:
    async with transaction(parts.database) as tx:
        return (await categories.put(tx, Category("cups", "Cups", None, 0, version=0))).slug


async def imported(parts: Parts) -> str:
    headers = {"Idempotency-Key": "k", "Content-Type": "application/jsonl"}
    sent = await parts.client.post("/v1/imports", content=b"{}", headers=headers)
    return _id(sent.headers["location"])


async def reviewed(parts: Parts) -> str:
    await put_products(parts.database, APPLE=100)
    async with transaction(parts.database) as tx:
        await put_catalogue_product(tx, "apple", "APPLE")
    author = await a_person(parts.app)
    await buy(parts.client, parts.database, author, "APPLE")
    return (await write_review(parts.client, author, "apple")).json()["id"]


async def product(parts: Parts) -> str:
    async with transaction(parts.database) as tx:
        return (await products.put(tx, "cups", ProductContent(name="Cups"))).slug


async def price_list(parts: Parts) -> str:
    await put_products(parts.database, APPLE=100)
    async with transaction(parts.database) as tx:
        await price_lists.put(tx, "sale", PriceListContent(currency="GBP"))
        await price_entries.change(tx, "sale", [Entry("APPLE", 1, None)], [])
    return "sale"


async def location(parts: Parts) -> str:
    async with transaction(parts.database) as tx:
        made = LocationView("north", "North", "GB", None, 0, version=0)
        return (await locations.put(tx, made)).code


async def stocked(parts: Parts) -> str:
    await location(parts)
    return await sku(parts)


async def coming(parts: Parts) -> str:
    made = await sku(parts)
    async with transaction(parts.database) as tx:
        return str((await incoming.insert(tx, made, Expected(5))).id)


async def discount(parts: Parts) -> str:
    await parts.client.put("/v1/discounts/ten", json=TEN)
    return "ten"


async def tax_rate(parts: Parts) -> str:
    await parts.client.put("/v1/tax-rates/GB", json={"standard_ppm": 1})
    return "GB"


async def shipping_rate(parts: Parts) -> str:
    await parts.client.put("/v1/shipping-rates/GB-GBP", json={"price_minor": 1})
    return "GB-GBP"


async def job(_: Parts) -> str:
    return "prune"


TEN = {"kind": "percentage", "value": 1000}
NOTE = {"note": "Done by hand."}
WRITES: dict[str, tuple[Prepare, dict[str, Any] | bytes | None]] = {
    "POST /v1/orders/{order_id}/capture": (held, {}),
    "POST /v1/orders/{order_id}/void": (held, {}),
    "POST /v1/orders/{order_id}/refunds": (paid, {"reason": "duplicate"}),
    "POST /v1/orders/{order_id}/resolve": (in_review, NOTE | {"outcome": "did_not_happen"}),
    "POST /v1/orders/{order_id}/lookup": (unknown, None),
    "POST /v1/orders/{order_id}/resend": (mailed, {"notice": "order_confirmed"}),
    "POST /v1/orders/{order_id}/write-off": (
        refused,
        NOTE | {"amount_minor": 5, "means": "dispute"},
    ),
    "POST /v1/findings/{finding_id}/close": (found, NOTE),
    "POST /v1/tasks/{task_id}/replay": (dead, None),
    "POST /v1/tasks/{task_id}/discard": (dead, NOTE),
    "POST /v1/tasks/bulks": (
        nothing,
        {"action": "discard", "match": {"state": "dead"}, "dry_run": False},
    ),
    "POST /v1/tasks/bulks/{bulk_id}/cancel": (begun, None),
    "POST /v1/tasks/bulks/{bulk_id}/undo": (ended, None),
    "POST /v1/processes/{process_id}/stop": (process, None),
    "PUT /v1/schedules/{job}": (job, {"paused": True}),
    "POST /v1/schedules/{job}/run": (job, None),
    "POST /v1/queues/{queue}/drain": (queue, None),
    "PUT /v1/queues/{queue}": (queue, {"paused": True, "running_max": None}),
    "PUT /v1/gateways/{name}/breaker": (gateway, NOTE | {"forced": "open"}),
    "PUT /v1/variants/{sku}": (sku, PRODUCT),
    "DELETE /v1/variants/{sku}": (sku, None),
    "PUT /v1/price-lists/{price_list}": (price_list, {"currency": "GBP"}),
    "DELETE /v1/price-lists/{price_list}": (price_list, None),
    "PATCH /v1/price-lists/{price_list}/entries": (
        price_list,
        {"put": [{"sku": "APPLE", "price_minor": 2}]},
    ),
    "PUT /v1/price-lists/{price_list}/entries/{sku}": (price_list, {"price_minor": 2}),
    "DELETE /v1/price-lists/{price_list}/entries/{sku}": (price_list, None),
    "PUT /v1/products/{slug}": (product, {"name": "Mugs"}),
    "DELETE /v1/products/{slug}": (product, None),
    "PUT /v1/categories/{slug}": (category, {"name": "Mugs"}),
    "DELETE /v1/categories/{slug}": (category, None),
    "PUT /v1/stock/{sku}": (sku, {"on_hand": 5}),
    "POST /v1/stock/{sku}/adjustments": (sku, {"delta": -1, "reason": "Broken."}),
    "PUT /v1/stock/{sku}/threshold": (sku, {"low_at": 5}),
    "POST /v1/imports": (nothing, b'{"variant": {}}'),
    "POST /v1/imports/{import_id}/cancel": (imported, None),
    "PUT /v1/reviews/{review_id}/moderation": (reviewed, {"state": "published"}),
    "PUT /v1/stock/{sku}/backorders": (sku, {"max": 5}),
    "POST /v1/stock/{sku}/counts": (sku, {"counted": 5}),
    "POST /v1/stock/{sku}/receipts": (sku, {"quantity": 5}),
    "POST /v1/stock/{sku}/transfers": (stocked, {"quantity": 1, "target": "north", "reason": "-"}),
    "POST /v1/stock/{sku}/incoming": (sku, {"quantity": 5}),
    "POST /v1/incoming/{incoming_id}/cancel": (coming, None),
    "PUT /v1/locations/{slug}": (location, {"name": "North", "country": "GB"}),
    "DELETE /v1/locations/{slug}": (location, None),
    "PUT /v1/discounts/{slug}": (discount, TEN),
    "DELETE /v1/discounts/{slug}": (discount, None),
    "PUT /v1/tax-rates/{region}": (tax_rate, {"standard_ppm": 5}),
    "DELETE /v1/tax-rates/{region}": (tax_rate, None),
    "PUT /v1/shipping-rates/{zone}": (shipping_rate, {"price_minor": 5}),
    "DELETE /v1/shipping-rates/{zone}": (shipping_rate, None),
    "PATCH /v1/users/{user_id}": (person, {"role": "support"}),
}


@pytest.fixture
def parts(  # noqa: PLR0913, PLR0917 - these are the parts
    client: httpx.AsyncClient,
    app: Litestar,
    database: Database,
    settings: Settings,
    bank: Bank,
    pay: Pay,
) -> Parts:
    return Parts(client, app, database, settings, bank, pay)


async def logged(database: Database) -> list[EntryView]:
    async with transaction(database) as tx:
        return await audit.page(tx, Filter(), before=None, limit=10)


@pytest.mark.parametrize("operation", sorted(FOR_STAFF_ALONE))
async def test_a_write_that_is_for_staff_alone_leaves_one_entry(
    parts: Parts, operation: str
) -> None:
    prepare, body = WRITES[operation]
    name = await prepare(parts)
    before = await logged(parts.database)
    method, _, template = operation.partition(" ")
    path = f"{template.partition('{')[0]}{name}{template.partition('}')[2]}".replace(
        "{sku}", "APPLE"
    )

    headers = {"Idempotency-Key": str(new_id())}
    if isinstance(body, bytes):
        given = {"content": body, "headers": headers | {"Content-Type": "application/jsonl"}}
    else:
        given = {"json": body, "headers": headers}

    answer = await parts.client.request(method, path, **given)

    assert answer.is_success, answer.text
    new = [entry for entry in await logged(parts.database) if entry not in before]
    # What the request itself makes has a name only then.
    assert [(entry.actor, entry.target) for entry in new] == [(ADMIN, name or new[0].target)]
