"""What machines ask is answered in the form they read."""

import httpx
import pytest

from ops.telemetry import exposition

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
