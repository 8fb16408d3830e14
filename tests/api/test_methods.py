"""HEAD, OPTIONS and Allow, asked of every route over a real server."""

from typing import Any

import httpx
import pytest
import pytest_asyncio
from litestar import Litestar
from litestar.routes import HTTPRoute

from api.methods import allowed
from db.engine import Database
from tests.api.routes import ME, ORDER, PARAMETERS, ROUTES, SKU, STAFF, send
from tests.api.sockets import DEADLINE_S, answer_to, web
from tests.web import assert_problem

pytestmark = pytest.mark.asyncio(loop_scope="module")

ALLOWED = {
    "/v1/orders": "GET, HEAD, OPTIONS, POST",
    f"/v1/orders/{ORDER}": "GET, HEAD, OPTIONS",
    f"/v1/orders/{ORDER}/events": "GET, HEAD, OPTIONS",
    f"/v1/orders/{ORDER}/explain": "GET, HEAD, OPTIONS",
    f"/v1/orders/{ORDER}/payments": "GET, HEAD, OPTIONS",
    f"/v1/orders/{ORDER}/cancel": "OPTIONS, POST",
    f"/v1/orders/{ORDER}/claim": "OPTIONS, POST",
    f"/v1/orders/{ORDER}/capture": "OPTIONS, POST",
    f"/v1/orders/{ORDER}/refunds": "OPTIONS, POST",
    f"/v1/orders/{ORDER}/void": "OPTIONS, POST",
    f"/v1/orders/{ORDER}/payment-method": "OPTIONS, POST",
    f"/v1/orders/{ORDER}/resolve": "OPTIONS, POST",
    f"/v1/orders/{ORDER}/write-off": "OPTIONS, POST",
    f"/v1/orders/{ORDER}/lookup": "OPTIONS, POST",
    f"/v1/orders/{ORDER}/resend": "OPTIONS, POST",
    "/v1/ledger": "GET, HEAD, OPTIONS",
    "/v1/gateways/stripe/webhook": "OPTIONS, POST",
    "/v1/audit": "GET, HEAD, OPTIONS",
    "/v1/api-keys": "GET, HEAD, OPTIONS, POST",
    f"/v1/api-keys/{ORDER}": "DELETE, OPTIONS",
    f"/v1/api-keys/{ORDER}/rotate": "OPTIONS, POST",
    "/v1/findings": "GET, HEAD, OPTIONS",
    "/v1/tasks": "GET, HEAD, OPTIONS",
    "/v1/tasks/causes": "GET, HEAD, OPTIONS",
    "/v1/tasks/bulks": "GET, HEAD, OPTIONS, POST",
    f"/v1/tasks/bulks/{ORDER}": "GET, HEAD, OPTIONS",
    f"/v1/tasks/bulks/{ORDER}/cancel": "OPTIONS, POST",
    f"/v1/tasks/bulks/{ORDER}/undo": "OPTIONS, POST",
    "/v1/tasks/1/replay": "OPTIONS, POST",
    "/v1/tasks/1/discard": "OPTIONS, POST",
    "/v1/queues": "GET, HEAD, OPTIONS",
    "/v1/queues/throughput": "GET, HEAD, OPTIONS",
    "/v1/queues/shipping": "OPTIONS, PUT",
    "/v1/queues/shipping/drain": "OPTIONS, POST",
    "/v1/processes": "GET, HEAD, OPTIONS",
    f"/v1/processes/{ORDER}/stop": "OPTIONS, POST",
    "/v1/schedules": "GET, HEAD, OPTIONS",
    "/v1/schedules/prune": "OPTIONS, PUT",
    "/v1/schedules/prune/run": "OPTIONS, POST",
    "/v1/findings/1/close": "OPTIONS, POST",
    f"/v1/variants/{SKU}": "DELETE, GET, HEAD, OPTIONS, PUT",
    "/v1/exports/products": "GET, HEAD, OPTIONS",
    "/v1/price-lists": "GET, HEAD, OPTIONS",
    "/v1/price-lists/sale": "DELETE, GET, HEAD, OPTIONS, PUT",
    "/v1/price-lists/sale/entries": "GET, HEAD, OPTIONS, PATCH",
    f"/v1/price-lists/sale/entries/{SKU}": "DELETE, GET, HEAD, OPTIONS, PUT",
    "/v1/products": "GET, HEAD, OPTIONS",
    "/v1/products/cups": "DELETE, GET, HEAD, OPTIONS, PUT",
    "/v1/products/cups/reviews": "GET, HEAD, OPTIONS",
    "/v1/products/cups/reviews/mine": "DELETE, GET, HEAD, OPTIONS, PUT",
    "/v1/reviews": "GET, HEAD, OPTIONS",
    f"/v1/reviews/{ORDER}": "GET, HEAD, OPTIONS",
    f"/v1/reviews/{ORDER}/moderation": "OPTIONS, PUT",
    "/v1/imports": "GET, HEAD, OPTIONS, POST",
    f"/v1/imports/{ORDER}": "GET, HEAD, OPTIONS",
    f"/v1/imports/{ORDER}/errors": "GET, HEAD, OPTIONS",
    f"/v1/imports/{ORDER}/cancel": "OPTIONS, POST",
    "/v1/categories": "GET, HEAD, OPTIONS",
    "/v1/categories/cups": "DELETE, GET, HEAD, OPTIONS, PUT",
    "/v1/gateways/stripe/breaker": "OPTIONS, PUT",
    f"/v1/stock/{SKU}": "GET, HEAD, OPTIONS, PUT",
    f"/v1/stock/{SKU}/adjustments": "OPTIONS, POST",
    f"/v1/stock/{SKU}/threshold": "OPTIONS, PUT",
    "/v1/search": "GET, HEAD, OPTIONS",
    "/v1/discounts": "GET, HEAD, OPTIONS",
    "/v1/discounts/cups": "DELETE, GET, HEAD, OPTIONS, PUT",
    "/v1/tax-rates": "GET, HEAD, OPTIONS",
    "/v1/tax-rates/GB": "DELETE, GET, HEAD, OPTIONS, PUT",
    "/v1/shipping-rates": "GET, HEAD, OPTIONS",
    "/v1/shipping-rates/GB-GBP": "DELETE, GET, HEAD, OPTIONS, PUT",
    f"/v1/carts/{ORDER}/checkout": "OPTIONS, POST",
    f"/v1/carts/{ORDER}/codes/TEN": "DELETE, OPTIONS, PUT",
    "/v1/carts": "OPTIONS, POST",
    "/v1/carts/mine": "GET, HEAD, OPTIONS",
    f"/v1/carts/{ORDER}": "GET, HEAD, OPTIONS",
    f"/v1/carts/{ORDER}/lines": "DELETE, OPTIONS, POST",
    f"/v1/carts/{ORDER}/lines/{SKU}": "DELETE, OPTIONS, PUT",
    f"/v1/carts/{ORDER}/merge": "OPTIONS, POST",
    "/v1/locations": "GET, HEAD, OPTIONS",
    "/v1/locations/cups": "DELETE, GET, HEAD, OPTIONS, PUT",
    f"/v1/incoming/{ORDER}/cancel": "OPTIONS, POST",
    "/v1/stock-events": "GET, HEAD, OPTIONS",
    f"/v1/stock/{SKU}/backorders": "OPTIONS, PUT",
    f"/v1/stock/{SKU}/counts": "OPTIONS, POST",
    f"/v1/stock/{SKU}/incoming": "GET, HEAD, OPTIONS, POST",
    f"/v1/stock/{SKU}/movements": "GET, HEAD, OPTIONS",
    f"/v1/stock/{SKU}/receipts": "OPTIONS, POST",
    f"/v1/stock/{SKU}/transfers": "OPTIONS, POST",
    "/v1/registrations": "OPTIONS, POST",
    "/v1/registrations/confirm": "OPTIONS, POST",
    "/v1/password-resets": "OPTIONS, POST",
    "/v1/password-resets/confirm": "OPTIONS, POST",
    "/v1/sessions": "DELETE, GET, HEAD, OPTIONS, POST",
    "/v1/sessions/refresh": "OPTIONS, POST",
    "/v1/sessions/current": "DELETE, OPTIONS",
    f"/v1/sessions/{ORDER}": "DELETE, OPTIONS",
    ME: "GET, HEAD, OPTIONS, PATCH",
    f"{ME}/password": "OPTIONS, PUT",
    f"{ME}/email": "OPTIONS, POST",
    f"{ME}/export": "GET, HEAD, OPTIONS",
    f"{ME}/delete": "OPTIONS, POST",
    f"{ME}/totp": "OPTIONS, POST",
    f"{ME}/totp/confirm": "OPTIONS, POST",
    f"{ME}/totp/disable": "OPTIONS, POST",
    f"{ME}/totp/recovery-codes": "OPTIONS, POST",
    "/v1/users": "GET, HEAD, OPTIONS",
    "/v1/users/email/confirm": "OPTIONS, POST",
    f"/v1/users/{ORDER}": "GET, HEAD, OPTIONS, PATCH",
    "/health/live": "GET, HEAD, OPTIONS",
    "/health/ready": "GET, HEAD, OPTIONS",
    "/metrics": "GET, HEAD, OPTIONS",
    "/docs": "GET, HEAD, OPTIONS",
    "/docs/assets/start.js": "GET, HEAD, OPTIONS",
}
READS = [
    *("/v1/orders?limit=1", "/v1/variants/APPLE", "/v1/stock/APPLE", "/v1/variants/NOTHING"),
    *("/health/live", "/health/ready", "/docs", "/docs/assets/swagger-ui.css", "/openapi.json"),
    *("/problems", "/nowhere", "/v1/orders?limit=1.0"),
]
# They differ from one answer to the next.
PASSING = {"date", "x-request-id"}


async def test_all_paths_of_the_api_are_asked(shop_app: Litestar) -> None:
    paths = {r.path_format for r in shop_app.routes if isinstance(r, HTTPRoute)}
    asked = {path.format(**PARAMETERS) for path in paths if path[:4] == "/v1/"}

    assert asked == {path for path in ALLOWED if path.startswith("/v1/")}
    assert asked == {path.partition("?")[0] for _, path in ROUTES}


@pytest.mark.parametrize("path", ALLOWED)
async def test_options_and_405_name_every_method_of_a_path(
    shop: httpx.AsyncClient, path: str
) -> None:
    options = await shop.options(path)
    refused = await shop.request("PROPFIND", path)

    assert (options.status_code, options.content) == (204, b"")
    assert options.headers["allow"] == ALLOWED[path]
    assert_problem(refused, 405, "method_not_allowed")
    assert refused.headers["allow"] == ALLOWED[path]


async def test_options_of_what_is_not_there_is_a_404(shop: httpx.AsyncClient) -> None:
    assert_problem(await shop.options("/nowhere"), 404, "not_found")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def port(
    database_url: str,
    redis_url: str,
    shop_database: Database,
    tmp_path_factory: pytest.TempPathFactory,
) -> Any:
    del shop_database
    async with web(database_url, redis_url, tmp_path_factory.mktemp("web") / "log") as process:
        yield process.port


@pytest.mark.parametrize("path", READS)
async def test_head_is_answered_as_get_without_the_body(port: int, path: str) -> None:
    # The first one waits until the process is up.
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{port}", headers=STAFF, timeout=DEADLINE_S
    ) as client:
        head, got = await client.head(path), await client.get(path)

    assert head.status_code == got.status_code
    told = [
        {name: value for name, value in answer.headers.items() if name not in PASSING}
        for answer in (head, got)
    ]
    assert told[0] == told[1]
    assert got.content


async def test_nothing_follows_the_head_that_was_asked_for(port: int) -> None:
    answer = await answer_to(
        port, b"HEAD /health/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    )

    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\n")


async def test_head_of_what_only_takes_post_is_a_405(shop: httpx.AsyncClient) -> None:
    answer = await send(shop, "HEAD", f"/v1/orders/{ORDER}/cancel")

    assert answer.status_code == 405
    assert answer.headers["allow"] == "OPTIONS, POST"


async def test_head_is_allowed_where_get_is_and_nowhere_else() -> None:
    assert allowed({"GET", "PUT"}) == "GET, HEAD, PUT"
    assert allowed(["POST"]) == "POST"
