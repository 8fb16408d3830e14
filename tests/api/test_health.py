"""What machines ask is answered in the form they read."""

import httpx
import msgspec
import pytest

from api.application import build
from ops.config import Settings
from ops.telemetry import exposition
from tests.web import NOBODY, assert_problem, bearer, served

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
async def test_a_healthy_process_says_so(shop: httpx.AsyncClient, path: str) -> None:
    answer = await shop.get(path)

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_metrics_name_their_media_type_and_charset_once(shop: httpx.AsyncClient) -> None:
    answer = await shop.get("/metrics")

    assert answer.headers.get_list("content-type") == [exposition.CONTENT_TYPE]
    assert answer.headers["content-type"].count("charset") == 1
    assert "# TYPE orderflow_http_requests_total counter" in answer.text


async def test_metrics_are_for_who_sends_their_token_if_there_is_one(settings: Settings) -> None:
    said = "let-prometheus-in"
    app = build(msgspec.structs.replace(settings, metrics_token=said))

    async with served(app, NOBODY) as anybody:
        for headers in (
            {},
            bearer(said[:-1]),
            bearer(""),
            {"Authorization": said},
        ):
            assert_problem(await anybody.get("/metrics", headers=headers), 401, "unauthenticated")
        let_in = await anybody.get("/metrics", headers=bearer(said))

    assert "# TYPE orderflow_http_requests_total counter" in let_in.text
