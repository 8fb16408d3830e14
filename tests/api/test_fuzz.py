"""Whatever comes in, the answer is no failure of ours, and a refusal is a problem."""

import copy
import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, NamedTuple, cast
from urllib.parse import quote, unquote, urlencode

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from litestar import Litestar

from api import pages
from api.codes import KINDS
from api.orders import LINES_MAX, QUANTITY_MAX
from db.ids import new_id
from domain.money import AMOUNT_MINOR_MAX
from domain.status import Status
from tests.api.routes import ROUTES, STAFF, WRITES
from tests.web import post_order

pytestmark = pytest.mark.asyncio(loop_scope="module")

# The same examples in every run: what fails here fails everywhere.
fuzzed = settings(
    derandomize=True,
    max_examples=800,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

texts = st.text(max_size=30) | st.text("AZaz09._-%/\\'\"\r\n\t\0\xe9\u202e\U0001d56c", max_size=60)
numbers = st.sampled_from([0, -1, 1, 2**31, 2**63 - 1, 2**64, 10**30, 1.5, -0.0, 1e308])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | numbers | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)

# What a server lets through of a request line: ASCII that can be printed.
line_texts = st.text("".join(map(chr, range(0x21, 0x7F))), max_size=30) | texts.map(quote)
segments = st.sampled_from(
    [
        *("v1", "orders", "products", "stock", "events", "cancel", "docs", "payments", "ledger"),
        "gateways",
    ]
)
anything = st.lists(segments | line_texts, max_size=5).map("/".join)
paths = st.sampled_from([path for _, path in ROUTES]) | anything.map("/{}".format)
names = st.sampled_from(["limit", "status", "email", "created_from", "created_before", "cursor"])
pairs = st.tuples(names | line_texts, line_texts | values.map(str).map(quote)).map("=".join)
queries = st.lists(pairs, max_size=4).map("&".join)
offsets = st.sampled_from(
    [UTC, timezone(timedelta(hours=-23)), timezone(timedelta(hours=23)), None]
)
plausible = st.one_of(
    st.datetimes(timezones=offsets).map(datetime.isoformat),
    st.uuids().map(pages.encode),
    st.sampled_from([*Status, "ann@example.com", "1", "200", "2026-01-01"]),
)
# Each name once, and mostly something that its parameter might be.
filters = st.dictionaries(names, plausible | plausible | texts, max_size=3).map(urlencode)

methods = st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "PURGE"])
header_names = st.sampled_from([
    *(b"idempotency-key", b"if-match", b"if-none-match", b"content-type", b"content-encoding"),
    *(b"accept", b"authorization", b"x-request-id", b"traceparent", b"host", b"range", b"cookie"),
    *(b"x-http-method-override", b"x-forwarded-for", b"content-length", b"origin"),
])  # fmt: skip
header_values = st.binary(max_size=40) | st.sampled_from(
    [b"*", b'"1"', b'W/"1", "2"', b"application/json", b"text/plain", b"gzip", b"0", b"bytes=0-1"]
)
headers = st.lists(st.tuples(header_names, header_values), max_size=4)
bodies = st.binary(max_size=200) | values.map(json.dumps).map(str.encode)


class Question(NamedTuple):
    method: str
    path: str
    query: str = ""
    headers: Sequence[tuple[bytes, bytes]] = ()
    body: bytes = b""


def places(value: object, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Name every place in a document but the whole."""
    inner: Iterable[tuple[str | int, object]] = ()
    if isinstance(value, dict):
        inner = cast("dict[str, object]", value).items()
    elif isinstance(value, list):
        inner = enumerate(cast("list[object]", value))
    for step, below in inner:
        yield (*at, step)
        yield from places(below, (*at, step))


@st.composite
def misfits(draw: st.DrawFn) -> Question:
    """A valid body of which one place holds something else."""
    write = draw(st.sampled_from(list(WRITES.values())))
    body: Any = copy.deepcopy(write.body)
    *way, last = draw(st.sampled_from(list(places(body))))
    inside = body
    for step in way:
        inside = inside[step]
    inside[last] = draw(values)
    return Question(write.method, write.path, body=json.dumps(body).encode())


async def answer_to(app: Litestar, question: Question) -> tuple[int, dict[bytes, bytes], bytes]:
    """Ask as a server does; an HTTP client would refuse to send most of it."""
    own = [(name.lower().encode(), value.encode()) for name, value in STAFF.items()]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": question.method,
        "scheme": "http",
        "path": unquote(question.path),
        "raw_path": question.path.encode(),
        "query_string": question.query.encode(),
        "root_path": "",
        "headers": [*own, *question.headers],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }
    said: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": question.body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        said.append(message)

    await cast("Any", app)(scope, receive, send)
    return said[0]["status"], dict(said[0]["headers"]), b"".join(m["body"] for m in said[1:])


async def check(app: Litestar, question: Question) -> None:
    status, headers, body = await answer_to(app, question)

    assert status < 500
    assert headers[b"x-request-id"]
    assert headers[b"x-content-type-options"] == b"nosniff"
    if status >= 400:
        assert headers[b"content-type"] == b"application/problem+json"
        problem = json.loads(body)
        assert problem["status"] == status == KINDS[problem["code"]].status
        assert problem["detail"]
        assert len(body) < 2000


# Who has logged out is asked nothing more: all that comes after would only be 401.
LOGOUTS = {("DELETE", "/v1/sessions"), ("DELETE", "/v1/sessions/current")}
questions = st.builds(Question, methods, paths, queries, headers, bodies).filter(
    lambda question: (question.method, question.path) not in LOGOUTS
)


@fuzzed
@given(questions)
@pytest.mark.usefixtures("shop")
async def test_any_request(shop_app: Litestar, question: Question) -> None:
    await check(shop_app, question)


@fuzzed
@given(misfits())
@pytest.mark.usefixtures("shop")
async def test_any_misfit_in_a_body(shop_app: Litestar, question: Question) -> None:
    key = (b"idempotency-key", str(new_id()).encode())
    headers = (key, (b"content-type", b"application/json"))

    await check(shop_app, question._replace(headers=headers))


@fuzzed
@given(filters | filters | queries)
@pytest.mark.usefixtures("shop")
async def test_any_query_of_a_list(shop_app: Litestar, query: str) -> None:
    await check(shop_app, Question("GET", "/v1/orders", query))


PRICES = {"APPLE": 250, "PENNY": 1}
quantities = st.integers(1, 5) | st.sampled_from(
    [-1, 0, QUANTITY_MAX - 1, QUANTITY_MAX, QUANTITY_MAX + 1, AMOUNT_MINOR_MAX // 250, 2**63]
)
items = st.lists(st.tuples(st.sampled_from([*PRICES, "NOTHING", "no sku"]), quantities), max_size=4)


def expected(items: list[tuple[str, int]]) -> tuple[int, str]:
    """What an order of these must be answered: the status, and the code of the problem."""
    if not 1 <= len(items) <= LINES_MAX:
        return 400, "invalid_request"
    if any(sku == "no sku" or not 1 <= quantity <= QUANTITY_MAX for sku, quantity in items):
        return 400, "invalid_request"
    for n, (sku, _) in enumerate(items):
        if sku in dict(items[:n]):
            return 422, "duplicate_sku"
        if sku not in PRICES:
            return 422, "unknown_sku"
    total = sum(PRICES[sku] * quantity for sku, quantity in items)
    return (422, "total_too_large") if total > AMOUNT_MINOR_MAX else (202, "")


@fuzzed
@given(items)
async def test_any_order_is_priced_or_refused_as_it_must_be(
    shop: httpx.AsyncClient, items: list[tuple[str, int]]
) -> None:
    status, code = expected(items)

    answer = await post_order(shop, *items)

    assert answer.status_code == status
    if code:
        assert answer.json()["code"] == code
    else:
        total = sum(PRICES[sku] * quantity for sku, quantity in items)
        assert answer.json()["total_minor"] == total
