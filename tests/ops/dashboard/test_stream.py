"""The stream over a real connection: it ends with the process, and holds nothing up."""

from pathlib import Path

from db.engine import Database
from tests.api.sockets import connected, web
from tests.staff import STAFF

WATCH = (
    b"GET /ops/live?page=/ops HTTP/1.1\r\nHost: a\r\n"
    + f"Authorization: {STAFF['Authorization']}\r\n\r\n".encode()
)
# What uvicorn says of requests that have not ended after --timeout-graceful-shutdown.
CUT_OFF = "timeout graceful shutdown exceeded"


async def test_process_that_is_told_to_stop_ends_its_streams(
    database: Database, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    del database
    async with (
        web(database_url, redis_url, tmp_path / "log") as process,
        connected(process.port, WATCH) as (reader, _),
    ):
        head = await reader.readuntil(b"\r\n\r\n")
        said = await reader.readuntil(b"event: rendered")
        process.running.terminate()
        await reader.read()
        code = await process.running.wait()

    assert head.startswith(b"HTTP/1.1 200")
    assert b"content-type: text/event-stream" in head
    assert b"event: fragment\nid: " in said
    assert CUT_OFF not in (tmp_path / "log").read_text()
    # Uvicorn ends by the signal that it was told by.
    assert code in {0, -15}
