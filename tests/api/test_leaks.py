"""What is secret or private goes where it belongs and nowhere else: not to logs, nor to staff."""

import io
import logging
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager

import httpx
import msgspec
import pytest
import pytest_asyncio
from litestar import Litestar
from pyotp.totp import TOTP
from sqlalchemy import text

from api.carts import TOKEN_HEADER
from db.engine import Database, transaction
from db.ids import new_id
from db.tables import metadata
from domain import claim
from domain.payment import ActionRequired
from ops.bench.outside import InstantMailer
from ops.telemetry.logs import JsonLines
from tests.bank import Bank
from tests.people import code_of, log_in, logged_in, mails, readable, rows_of
from tests.signed import SIGNING_KEY, signed
from tests.staff import SECRET_KEY, TOKEN_KEY
from tests.stages import drain_inventory, drain_notifications, drain_payments
from tests.web import asking, bearer, post_order

pytestmark = pytest.mark.asyncio(loop_scope="module")

EMAIL, NAME, STREET = "canary@aviary.example", "Wilhelmina Canary", "7 Perch Lane"
PASSWORD, WRONG, OTHER = (f"yellow bird in a {word} mine" for word in ("coal", "gold", "salt"))
CARD = "4242 4242 4242 4242"
CLIENT_SECRET = "pi_canary_secret_sings"  # noqa: S105 - it guards nothing
PRIVATE = {"e-mail": EMAIL, "name": NAME, "street": STREET}
# Where a person's own data is kept: it goes with them (db/erasure.py).
OF_PEOPLE = {"users", "orders", "notifications", "account_notices", "one_time_codes"}
OF_PEOPLE |= {"idempotency_keys", "discount_redemptions"}
# A browser needs it to have the customer authenticate, and then it goes.
CLIENT_SECRET_AT = ("client_secret", "payment_attempts")


class Told(msgspec.Struct, frozen=True):
    """What the platform said of somebody's whole life with it, and the secrets of that life."""

    secrets: dict[str, str]
    logs: str
    problems: str
    metrics: str
    tables: Mapping[str, str]


@contextmanager
def logged() -> Generator[io.StringIO]:
    """Keep all that would be logged at debug, as it would be written."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines("web"))
    # The client of the tests logs in the same process.
    handler.addFilter(lambda record: not record.name.startswith(("httpx", "httpcore", "asyncio")))
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream
    root.removeHandler(handler)
    root.setLevel(level)


@asynccontextmanager
async def broken(database: Database, table: str, rule: str) -> AsyncGenerator[None]:
    """Have Postgres refuse what a rule forbids: a bug of ours, as far as anybody can tell."""
    async with transaction(database) as tx:
        await tx.execute(text(f"ALTER TABLE {table} ADD CONSTRAINT bug CHECK ({rule}) NOT VALID"))
    yield
    async with transaction(database) as tx:
        await tx.execute(text(f"ALTER TABLE {table} DROP CONSTRAINT bug"))


async def a_life(client: httpx.AsyncClient, app: Litestar, database: Database) -> dict[str, str]:
    """Do all that has to do with secrets, rightly and wrongly; returns the secrets."""
    settings = app.state.settings
    new = {"email": EMAIL, "password": PASSWORD, "name": NAME}
    await client.post("/v1/registrations", json=new)
    [code] = [code_of(mail) for mail in await mails(database, settings)]
    await client.post("/v1/registrations/confirm", json={"code": code, "password": WRONG})
    made = await client.post("/v1/registrations/confirm", json={"code": code, "password": PASSWORD})
    assert made.status_code == 201, made.text
    first = await logged_in(client, EMAIL, password=PASSWORD)
    totp = await client.post(
        "/v1/users/me/totp", json={"password": PASSWORD}, headers=first.headers
    )
    secret = totp.json()["secret"]
    on = await client.post(
        "/v1/users/me/totp/confirm", json={"otp": TOTP(secret).now()}, headers=first.headers
    )
    recovery = on.json()["recovery_codes"]
    person = await logged_in(client, EMAIL, password=PASSWORD, recovery_code=recovery[0])
    key = {"name": "A machine", "scopes": ["orders:read"]}
    key_made = await client.post("/v1/api-keys", json=key, headers=person.headers)
    await client.post("/v1/password-resets", json={"email": EMAIL})
    await client.post("/v1/registrations", json=new)
    [reset] = [code_of(m) for m in await mails(database, settings) if "Reset" in m.subject]
    found = {
        "code": code,
        "reset": reset,
        "access token": person.access_token,
        "refresh token": person.refresh_token,
        "second factor": secret,
        "recovery code": recovery[1],
        "API key": key_made.json()["key"],
    }
    return found | await _orders(client, app, database) | await _mistakes(client, found)


async def _orders(client: httpx.AsyncClient, app: Litestar, database: Database) -> dict[str, str]:
    to = {"name": NAME, "line1": STREET, "city": "X", "postcode": "1", "country": "GB"}
    placed = await post_order(client, ("APPLE", 1), email=EMAIL, ship_to=to)
    guest = placed.headers[claim.HEADER]
    await post_order(client, ("APPLE", 1), email=EMAIL, ship_to={**to, "line1": CARD})
    bank = Bank()
    bank.answers.append(ActionRequired("pi_1", CLIENT_SECRET))
    await drain_inventory(database)
    await drain_payments(database, app.state.settings, bank)
    paying = await client.get(f"{placed.headers['location']}/payments", headers=bearer(guest))
    assert CLIENT_SECRET in paying.text
    cart = await _checked_out(client, database, to)
    return {
        "claim token": guest,
        "client_secret": CLIENT_SECRET,
        "card": CARD,
        "cart token": cart,
    }


async def _checked_out(client: httpx.AsyncClient, database: Database, to: Mapping[str, str]) -> str:
    """Order what is in a cart, with a discount that is counted by mailbox; returns its token."""
    ten = "INSERT INTO discounts (id, slug, kind, value) VALUES (:id, 'ten', 'percentage', 1000)"
    await rows_of(database, f"{ten} RETURNING id", id=new_id())
    opened = await client.post("/v1/carts", json={"currency": "GBP"})
    path, token = opened.headers["location"], opened.headers[TOKEN_HEADER]
    headers = {TOKEN_HEADER: token, "Idempotency-Key": str(new_id())}
    put = await client.put(f"{path}/lines/APPLE", json={"quantity": 1}, headers=headers)
    who = {"email": EMAIL, "payment_method": "pm_card_visa", "ship_to": to}
    total = {"expected_total_minor": put.json()["total_minor"]}
    made = await client.post(f"{path}/checkout", json=who | total, headers=headers)
    assert made.json()["discount_minor"] > 0, made.text
    return token


async def _mistakes(client: httpx.AsyncClient, found: Mapping[str, str]) -> dict[str, str]:
    """Put secrets where they do not belong."""
    await log_in(client, EMAIL, password=WRONG)
    await log_in(client, EMAIL, password=PASSWORD)
    await log_in(client, EMAIL, password=PASSWORD, recovery_code="AAAA-AAAA-AAAA-AAAA-AAAA")
    for secret in (*found.values(), PASSWORD):
        half = f'{{"email": "{EMAIL}", "password": "{secret}'
        in_json = {"Content-Type": "application/json"}
        await client.post("/v1/sessions", content=half, headers=in_json)
        await client.post("/v1/sessions", json={"email": EMAIL, "password": [secret]})
        await client.post("/v1/sessions/refresh", json={"refresh_token": secret + "x" * 500})
        await client.get("/v1/users/me", params={"token": secret})
        await client.get(f"/v1/{secret}")
        await client.get("/v1/orders", headers=bearer(secret + "x"))
        await client.get("/v1/orders", headers={"Authorization": secret})
    forged = signed(b'{"id": "evt_1"}', "whsec_canary_of_somebody_else")
    await client.post("/v1/gateways/stripe/webhook", content=b'{"id": "evt_1"}', headers=forged)
    return {"password": PASSWORD, "wrong password": WRONG, "webhook secret": SIGNING_KEY}


async def _bugs(client: httpx.AsyncClient, app: Litestar, database: Database) -> None:
    """Let bugs meet a person, in a request and in a task."""
    async with broken(database, "one_time_codes", "false"):
        failed = await client.post("/v1/registrations", json={"email": EMAIL, "password": OTHER})
    assert failed.status_code == 500
    await client.post("/v1/password-resets", json={"email": EMAIL})
    async with broken(database, "account_notices", "state <> 'sent'"):
        await drain_notifications(database, app.state.settings, InstantMailer())
    failures = "SELECT 1 FROM tasks WHERE last_error LIKE '%violates check constraint%'"
    assert await rows_of(database, failures)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def told(shop: httpx.AsyncClient, shop_app: Litestar, shop_database: Database) -> Told:
    problems = list[str]()

    async def keep(answer: httpx.Response) -> None:
        if answer.status_code >= 400:
            problems.append((await answer.aread()).decode())

    with logged() as stream:
        async with asking(shop_app) as client:
            client.event_hooks["response"].append(keep)
            secrets = await a_life(client, shop_app, shop_database)
            await _bugs(client, shop_app, shop_database)
    scrape = await shop.get("/metrics")
    async with transaction(shop_database) as tx:
        tables = {
            name: "\n".join(
                map(readable, await tx.scalars(text(f"SELECT t::text FROM {name} t")))  # noqa: S608
            )
            for name in metadata.tables
        }
    return Told(
        secrets | {"other password": OTHER, "SECRET_KEYS": SECRET_KEY, "TOKEN_KEYS": TOKEN_KEY},
        stream.getvalue(),
        "\n".join(problems),
        scrape.text,
        tables,
    )


async def test_no_secret_is_logged(told: Told) -> None:
    assert "violates check constraint" in told.logs
    assert '"path"' not in told.logs
    assert found(told.secrets | PRIVATE, told.logs) == []


async def test_no_problem_repeats_a_secret_or_tells_of_our_inside(told: Told) -> None:
    inside = {"trace": "Traceback", "file": ".py", "statement": "INSERT", "table": "one_time_codes"}

    assert '"internal_error"' in told.problems
    assert found(told.secrets | PRIVATE | inside, told.problems) == []


async def test_no_metric_names_a_person(told: Told) -> None:
    assert "http_requests_total" in told.metrics
    assert found(told.secrets | PRIVATE, told.metrics) == []


async def test_no_secret_is_stored(told: Told) -> None:
    for table, rows in told.tables.items():
        ours = {k: v for k, v in told.secrets.items() if (k, table) != CLIENT_SECRET_AT}
        assert found(ours, rows) == [], table


async def test_what_is_private_is_stored_where_it_is_erased_again(told: Told) -> None:
    where = {table for table, rows in told.tables.items() if found(PRIVATE, rows)}

    assert where <= OF_PEOPLE
    assert {"users", "orders"} <= where


def found(hidden: Mapping[str, str], said: str) -> list[str]:
    """Name what is to be read there."""
    return [name for name, value in hidden.items() if value.lower() in said.lower()]
