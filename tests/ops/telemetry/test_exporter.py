"""Worker and clock are scraped by a port of their own."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx

from tests.waiting import eventually

SERVE = """
import signal
from ops.config import settings
from ops.telemetry import exporter, metrics
metrics.mails.labels("sent").inc(int("{count}"))
exporter.TRY_AGAIN_S = 0.05
exporter.serve(settings())
signal.pause()
"""


def _start(port: int, folder: Path, count: int) -> subprocess.Popen[bytes]:
    environ = {
        **os.environ,
        "METRICS_PORT": str(port),
        "HOST": "127.0.0.1",
        "WORKER_PROCESSES": "2",
        "PROMETHEUS_MULTIPROC_DIR": str(folder),
        "REVISION": "abc123",
    }
    return subprocess.Popen([sys.executable, "-c", SERVE.format(count=count)], env=environ)  # noqa: S603 - our own words


async def _shows(url: str, line: str) -> bool:
    async with httpx.AsyncClient() as client:
        try:
            return line in (await client.get(url)).text
        except httpx.TransportError:
            return False


async def test_one_port_serves_all_processes_of_a_worker_and_outlives_each(
    tmp_path: Path,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}/metrics"
    first = _start(port, tmp_path, 1)
    try:
        await eventually(lambda: _shows(url, 'orderflow_mails_total{outcome="sent"} 1.0'))
        second = _start(port, tmp_path, 2)
        try:
            await eventually(lambda: _shows(url, 'orderflow_mails_total{outcome="sent"} 3.0'))
            assert await _shows(url, 'revision="abc123"')
            first.send_signal(signal.SIGKILL)
            _ = first.wait()
            await eventually(lambda: _shows(url, 'orderflow_mails_total{outcome="sent"} 3.0'))
        finally:
            second.kill()
            _ = second.wait()
    finally:
        first.kill()
        _ = first.wait()
