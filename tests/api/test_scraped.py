"""What is scraped is what the table of metrics names, under few labels, read once for many."""

import asyncio

import httpx
import msgspec
import pytest
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from api.scraped import Scraped
from db.engine import Database, connect
from ops.config import Settings
from ops.telemetry.metrics import COUNTED, SYSTEM
from tests.builders import a_placement, place, put_products
from tests.stages import run_stages

pytestmark = pytest.mark.asyncio(loop_scope="module")

ALL = {**COUNTED, **SYSTEM}
# What prometheus-client tells of the process it is in.
ITS_OWN = ("python_", "process_")


def _exported(text: str) -> dict[str, tuple[str, set[frozenset[str]]]]:
    """Type and sets of labels of each metric in the text, by the name it is kept under."""
    found: dict[str, tuple[str, set[frozenset[str]]]] = {}
    for family in text_string_to_metric_families(text):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        if not name.startswith(ITS_OWN):
            labels = {frozenset(sample.labels) - {"le"} for sample in family.samples}
            found[name] = (family.type, labels)
    return found


async def _scrape(shop: httpx.AsyncClient) -> str:
    return (await shop.get("/metrics")).text


async def test_what_is_exported_is_what_the_table_names_and_nothing_else(
    shop: httpx.AsyncClient, shop_database: Database, settings: Settings
) -> None:
    await put_products(shop_database, APPLE=10)
    await place(shop_database, a_placement(("APPLE", 1)), a_placement(("APPLE", 99)))
    await run_stages(shop_database, settings)

    exported = _exported(await _scrape(shop))

    assert set(exported) == set(ALL)
    assert {name: type_ for name, (type_, _) in exported.items()} == {
        name: metric.type for name, metric in ALL.items()
    }
    seen = {name: labels for name, (_, labels) in exported.items() if labels}
    assert seen == {name: {frozenset(ALL[name].labels)} for name in seen}
    assert {"orderflow_task_wait_seconds", "orderflow_gateway_calls_total"} <= set(seen)


async def test_flood_of_made_up_words_makes_no_new_series(shop: httpx.AsyncClient) -> None:
    async def flood(word: str) -> None:
        await shop.request(f"X{word}", "/v1/orders")
        await shop.get(f"/{word}")
        await shop.post(f"/v1/gateways/{word}/webhook", json={})
        await shop.get("/v1/orders", headers={"Host": word, "Origin": word, "User-Agent": word})

    def series() -> set[str]:
        # Which statement is slow is the machine's doing; they are as many as our functions.
        families = (f for f in REGISTRY.collect() if f.name != "orderflow_db_statements_slow")
        samples = (sample for family in families for sample in family.samples)
        return {f"{sample.name}{sorted(sample.labels.items())}" for sample in samples}

    await flood("once")
    before = series()

    for number in range(20):
        await flood(f"W{number}")

    assert series() == before


async def test_text_is_kept_for_who_scrapes_right_after(shop_database: Database) -> None:
    scraped = Scraped(shop_database, revision="abc123")

    first, *others = await asyncio.gather(*(scraped.text() for _ in range(3)))

    assert all(other is first for other in others)
    assert 'revision="abc123"' in first.decode()
    assert "orderflow_database_up 1.0" in first.decode()


async def test_outage_of_postgres_is_a_reading_of_its_own(settings: Settings) -> None:
    nobody = msgspec.structs.replace(settings, database_url="postgresql://127.0.0.1:1/none")
    away = connect(nobody, name="test", ring=lambda _: None)

    seen = await Scraped(away, revision="abc123").find()

    assert set(seen) == {"orderflow_build_info", "orderflow_database_up"}
    assert seen["orderflow_database_up"] == {(): 0}
