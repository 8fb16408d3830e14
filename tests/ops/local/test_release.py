"""The Procfile's release line says in one sentence why it cannot use DATABASE_URL."""

import asyncio
import os
import struct
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from sqlalchemy import make_url

from ops.local import procfile
from ops.local.program import CHECKOUT

PASSWORD = "pa55-w0rd"  # noqa: S105 - it must not be shown
UNREACHABLE = f"postgresql://shop:{PASSWORD}@127.0.0.1:9/shop"


# Where the commands of this environment are, activated or not.
PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])


async def release(database_url: str) -> tuple[int, str]:
    """Run the line of the real Procfile; exit code and output."""
    line = procfile.parse((CHECKOUT / "Procfile").read_text())[procfile.RELEASE]
    process = await asyncio.create_subprocess_exec(
        *procfile.program(procfile.RELEASE, line, {}).argv,
        cwd=CHECKOUT,
        env={**os.environ, "DATABASE_URL": database_url, "PATH": PATH},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    written, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, written.decode()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "DATABASE_URL is empty: set it"),
        (UNREACHABLE, "Connection refused): start that Postgres, or correct DATABASE_URL."),
        (f"postgresql://u:{PASSWORD}@db.invalid/d", "failed to resolve host 'db.invalid'"),
        (f"postgresql://u:{PASSWORD}@127.0.0.1/d?sslmod=off", 'invalid connection option "sslmod"'),
        (f"postgresql://u:p@{PASSWORD}@db/d", "two `@`: write the one in the password as %40"),
        (f"postgresql://u@db:{PASSWORD}/d", "DATABASE_URL is not a URL: write postgresql://"),
        (PASSWORD, "DATABASE_URL is not a URL: write postgresql://"),
        (f"mysql://u:{PASSWORD}@db/d", "begins with mysql://: it must be postgresql://"),
        (f"postgres://u:{PASSWORD}@db.invalid/d", "failed to resolve host 'db.invalid'"),
        (f"postgresql+asyncpg://u:{PASSWORD}@db/d", "begins with postgresql+asyncpg://: it"),
    ],
)
async def test_a_database_that_cannot_be_used_is_one_sentence_without_the_password(
    url: str, said: str
) -> None:
    code, text = await release(url)

    assert code == 1
    assert said in text
    assert text.startswith("DATABASE_URL")
    assert text.count("\n") == 1
    assert PASSWORD not in text


@asynccontextmanager
async def answering_as(version: str) -> AsyncGenerator[str]:
    """Let a client in as a Postgres of that version does; its URL."""

    async def let_in(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = b""
        while b"user\0" not in asked:
            (length,) = struct.unpack("!i", await reader.readexactly(4))
            asked = await reader.readexactly(length - 4)
            if b"user\0" not in asked:
                # It asked for encryption first.
                writer.write(b"N")
        status = b"".join(
            b"S" + struct.pack("!i", len(pair) + 4) + pair
            for pair in (f"server_version\0{version}\0".encode(), b"client_encoding\0UTF8\0")
        )
        writer.write(struct.pack("!cii", b"R", 8, 0) + status + struct.pack("!cic", b"Z", 5, b"I"))
        await reader.read()
        writer.close()

    async with await asyncio.start_server(let_in, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield f"postgresql://u:{PASSWORD}@127.0.0.1:{port}/d"


async def test_a_server_that_is_too_old_is_named_with_the_one_that_is_needed() -> None:
    async with answering_as("14.19") as url:
        code, text = await release(url)

    said = "DATABASE_URL names Postgres 14: 15 or newer is needed; upgrade it or name another.\n"
    assert (code, text) == (1, said)


@pytest.fixture
async def bare_url(database_url: str) -> AsyncGenerator[str]:
    """A database without any table."""
    url = make_url(database_url)
    bare = url.set(database=f"{url.database}_bare")
    name = Identifier(bare.database or "")
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as admin:
        await admin.execute(SQL("CREATE DATABASE {} TEMPLATE template0").format(name))
        yield bare.render_as_string(hide_password=False)
        await admin.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(name))


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("role=pg_monitor", "permission denied for schema public: grant that user what is missing"),
        (
            "default_transaction_read_only=on",
            "in a read-only transaction: name the primary, not a replica, in DATABASE_URL.",
        ),
    ],
)
async def test_a_database_that_may_not_be_changed_is_one_sentence(
    bare_url: str, setting: str, said: str
) -> None:
    url = make_url(bare_url).update_query_dict({"options": f"-c {setting}"})

    code, text = await release(url.render_as_string(hide_password=False))

    assert (code, text.count("\n")) == (1, 1)
    assert text.startswith("DATABASE_URL: ")
    assert said in text


@pytest.mark.parametrize("command", ["up", "demo"])
async def test_up_and_demo_say_it_once_and_start_nothing(
    tmp_path: Path, redis_url: str, command: str
) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ops.local", command, "--state", str(tmp_path)),
        cwd=CHECKOUT,
        env={**os.environ, "DATABASE_URL": UNREACHABLE, "REDIS_URL": redis_url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    written, _ = await process.communicate()

    *_, last = written.decode().splitlines()
    assert process.returncode == 1
    assert last.startswith("release ended (exit 1): DATABASE_URL cannot be used (")
    assert written.count(b"DATABASE_URL cannot") == 1
    assert PASSWORD.encode() not in written
