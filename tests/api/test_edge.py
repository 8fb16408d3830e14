import asyncio
import logging
import re
import socket
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
import uvicorn
from litestar import Litestar, Request, Response, get, post
from litestar.params import FromPath, FromQuery
from litestar.response import Stream
from prometheus_client import REGISTRY

from api.connection import Connection
from api.edge import Edge
from api.errors import EXCEPTION_HANDLERS
from api.proxies import Proxies
from api.strict import StrictRequest
from ops.telemetry import trace

pytestmark = pytest.mark.asyncio(loop_scope="module")

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
BODY_BYTES_MAX = 1000


@get("/things/{name:str}")
async def get_thing(name: FromPath[str], secret: FromQuery[str] = "") -> dict[str, str]:
    return {"name": name, "secret": secret, "traceparent": trace.current()}


@get("/kept")
async def get_kept() -> Response[None]:
    return Response(None, headers={"Cache-Control": "max-age=60"})


@post("/things")
async def post_thing(request: Request[Any, Any, Any]) -> int:
    return len(await request.body())


@get("/health/live")
async def live() -> None: ...


@get("/bug")
async def bug() -> None:
    raise RuntimeError("bug")


@get("/half")
async def half() -> Stream:
    async def parts() -> AsyncIterator[bytes]:
        yield b"first"
        raise RuntimeError("no second")

    return Stream(parts())


@get("/unhandled")
async def unhandled() -> None:
    raise LookupError("unhandled")


def fail_to_handle(_: Request[Any, Any, Any], error: LookupError) -> Response[None]:
    raise RuntimeError("the handler of errors has one itself") from error


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def port() -> AsyncIterator[int]:
    app = Litestar(
        [get_thing, get_kept, post_thing, live, bug, half, unhandled],
        exception_handlers={**EXCEPTION_HANDLERS, LookupError: fail_to_handle},
        request_class=StrictRequest,
        request_max_body_size=BODY_BYTES_MAX,
        logging_config=None,
        openapi_config=None,
    )
    app.asgi_handler = Edge(
        app.asgi_handler, quiet={"/health/live"}, proxies=Proxies("127.0.0.1/32")
    )
    config = uvicorn.Config(
        app, http=Connection, ws="none", log_config=None, access_log=False, proxy_headers=False
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        yield listener.getsockname()[1]
        server.should_exit = True
        await serving


@pytest_asyncio.fixture(loop_scope="module")
async def client(port: int) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        yield client


def access_lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [vars(r)["fields"] for r in caplog.records if r.name == "access"]


async def raw(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


async def test_a_request_id_is_kept_and_given_back(client: httpx.AsyncClient) -> None:
    answer = await client.get("/things/a", headers={"X-Request-Id": "Order-1.retry_2"})

    assert answer.headers["x-request-id"] == "Order-1.retry_2"


@pytest.mark.parametrize("given", ["", "a b", 'a"}', "x" * 129, "\xe4"])
async def test_a_request_id_that_could_do_harm_is_replaced(
    client: httpx.AsyncClient, given: str
) -> None:
    answer = await client.get("/things/a", headers=[(b"X-Request-Id", given.encode("latin-1"))])

    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])


async def test_the_callers_trace_goes_on(client: httpx.AsyncClient) -> None:
    given = f"00-{TRACE}-00f067aa0ba902b7-01"

    followed = await client.get("/things/a", headers={"traceparent": given})
    fresh = await client.get("/things/a", headers={"traceparent": "garbage"})
    torn = await client.get("/things/a", headers=[("traceparent", given), ("traceparent", given)])

    assert followed.json()["traceparent"].startswith(f"00-{TRACE}-")
    assert TRACE not in fresh.json()["traceparent"] + torn.json()["traceparent"]


@pytest.mark.parametrize("path", ["/things/a", "/nowhere", "/things", "/bug", "/unhandled"])
async def test_every_answer_carries_id_and_security_headers(
    client: httpx.AsyncClient, path: str
) -> None:
    answer = await client.get(path)

    assert answer.headers["x-request-id"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert answer.headers["cross-origin-embedder-policy"] == "require-corp"
    assert "camera=()" in answer.headers["permissions-policy"]
    if answer.is_error:
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/things/a", "/nowhere", "/bug"])
async def test_over_tls_browsers_are_told_to_stay_there(
    client: httpx.AsyncClient, path: str
) -> None:
    plain = await client.get(path)
    secret = await client.get(path, headers={"X-Forwarded-Proto": "https"})

    assert "strict-transport-security" not in plain.headers
    assert secret.headers.get("strict-transport-security", "").startswith("max-age=63072000;")


async def test_a_handler_may_set_a_header_otherwise(client: httpx.AsyncClient) -> None:
    answer = await client.get("/kept")

    assert answer.headers.get_list("cache-control") == ["max-age=60"]


async def test_one_log_line_tells_of_a_request_and_nothing_private(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    await client.get("/things/private?secret=private")
    await client.get("/private")

    found, lost = access_lines(caplog)
    assert found.pop("duration_ms") > 0
    assert found == {"method": "GET", "route": "/things/{name}", "status": 200}
    assert (lost["route"], lost["status"]) == ("unmatched", 404)
    ours = [r for r in caplog.records if not r.name.startswith(("httpx", "httpcore", "uvicorn"))]
    assert "private" not in str([vars(r) for r in ours])


async def test_probes_are_logged_at_debug_only(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    await client.get("/health/live")

    (record,) = [r for r in caplog.records if r.name == "access"]
    assert record.levelno == logging.DEBUG


@pytest.mark.parametrize(
    ("method", "path", "labels"),
    [
        ("GET", "/things/a", {"method": "GET", "route": "/things/{name}", "status": "200"}),
        ("GET", "/nowhere", {"method": "GET", "route": "unmatched", "status": "404"}),
        ("DELETE", "/bug", {"method": "DELETE", "route": "unmatched", "status": "405"}),
        ("PROPFIND", "/bug", {"method": "other", "route": "unmatched", "status": "405"}),
        ("GET", "/unhandled", {"method": "GET", "route": "/unhandled", "status": "500"}),
    ],
)
async def test_requests_are_counted_and_timed_under_few_labels(
    client: httpx.AsyncClient, method: str, path: str, labels: dict[str, str]
) -> None:
    def counts() -> tuple[float, float]:
        route = {"method": labels["method"], "route": labels["route"]}
        return (
            REGISTRY.get_sample_value("orderflow_http_requests_total", labels) or 0,
            REGISTRY.get_sample_value("orderflow_http_request_duration_seconds_count", route) or 0,
        )

    requests, timed = counts()

    await client.request(method, path)

    assert counts() == (requests + 1, timed + 1)


async def test_what_fails_outside_of_litestar_is_a_problem_too(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await client.get("/unhandled")

    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    (record,) = [r for r in caplog.records if r.levelno >= logging.ERROR]
    assert record.exc_info


async def test_an_answer_that_breaks_off_is_logged_and_hung_up_on(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        await client.get("/half")

    assert [r.name for r in caplog.records if r.exc_info] == ["api.edge"]


async def test_a_client_that_leaves_in_the_middle_of_its_body_is_no_error(
    port: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    ended = asyncio.Event()
    logging.getLogger("access").addFilter(watch := lambda _: ended.set() is None)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        b"POST /things HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n"
    )
    # The server asks for the body once the handler waits for it.
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"

    writer.write(b"half")
    writer.close()
    await writer.wait_closed()

    async with asyncio.timeout(10):
        await ended.wait()
    logging.getLogger("access").removeFilter(watch)
    assert access_lines(caplog)[0]["status"] == 499
    assert [r for r in caplog.records if r.exc_info or r.levelno > logging.INFO] == []


HEAD = b"POST /things HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
TOO_LONG = b"".join(b"64\r\n" + b" " * 100 + b"\r\n" for _ in range(11)) + b"0\r\n\r\n"


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (HEAD + b"Content-Length: 1001\r\n\r\n", b"413"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + TOO_LONG, b"413"),
        (HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + TOO_LONG, b"400"),
        (HEAD + b"Content-Length: -1\r\n\r\n", b"400"),
        (HEAD + b"Content-Length: 1e3\r\n\r\n", b"400"),
        (HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef", b"400"),
        (b"GET /things/a\x00b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", b"400"),
        (b"GET /things/a HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n", b"400"),
        (b"GET /things/a HTTP/1.1\r\nConnection: close\r\n\r\n", b"400"),
        (HEAD + b"Host: b\r\nContent-Length: 2\r\n\r\nab", b"400"),
        (HEAD + b"Host: a\r\nContent-Length: 2\r\n\r\nab", b"400"),
        (b"GET /things/a HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", b"400"),
        *(
            (b"GET /things/a HTTP/1.1\r\nHost: %b\r\nConnection: close\r\n\r\n" % host, code)
            for host, code in [
                *((b"", b"200"), (b"a.example:80", b"200"), (b"[2001:db8::1]:80", b"200")),
                *((b"a, b", b"400"), (b"a@b", b"400"), (b"a/b", b"400"), (b"[::1", b"400")),
            ]
        ),
        (b"GET /things/a HTTP/1.0\r\n\r\n", b"200"),
    ],
)
async def test_bodies_that_lie_about_their_length_and_broken_heads_are_refused(
    port: int, request_bytes: bytes, status: bytes
) -> None:
    answer = await raw(port, request_bytes)

    assert answer.split()[1] == status


async def test_what_follows_the_announced_length_is_not_part_of_the_body(port: int) -> None:
    answer = await raw(port, HEAD + b"Content-Length: 2\r\n\r\nabcdef")

    assert answer.split()[1] == b"201"
    assert answer.endswith(b"\r\n\r\n2")
