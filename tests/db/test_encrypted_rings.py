"""A Redis that is reached by TLS only, as platforms hand it out: `rediss://`."""

import asyncio
import ssl
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
import redis
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from db.doorbell import broker
from ops.config import Settings

HOST = "127.0.0.1"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for this machine that nobody signed but itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "redis of the tests")])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(hours=1))
        .not_valid_after(datetime.now(UTC) + timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address(HOST))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "redis.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    return file


@pytest.fixture
async def port(certificate: Path) -> AsyncGenerator[int]:
    """Answer `PONG` to whoever comes by TLS."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while asked := await reader.read(4096):
            writer.write(b"+PONG\r\n" if b"PING" in asked else b"+OK\r\n" * asked.count(b"*"))
        writer.close()

    async with await asyncio.start_server(answer, HOST, 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1]


def ping(url: str) -> bool:
    made = broker(Settings(redis_url=url))
    try:
        return bool(made.client.ping())
    finally:
        made.client.close()


async def test_redis_behind_tls_is_reached(port: int, certificate: Path) -> None:
    url = f"rediss://:secret@{HOST}:{port}/0"

    assert await asyncio.to_thread(ping, f"{url}?ssl_ca_certs={certificate}")
    # So do platforms want it whose certificates nobody signed.
    assert await asyncio.to_thread(ping, f"{url}?ssl_cert_reqs=none")


async def test_certificate_that_nobody_vouches_for_is_refused(port: int) -> None:
    with pytest.raises(redis.ConnectionError, match="certificate verify failed"):
        await asyncio.to_thread(ping, f"rediss://{HOST}:{port}/0")
