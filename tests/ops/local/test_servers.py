import asyncio
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import psycopg
import pytest
import redis
import sqlalchemy

from ops.local import postgres, valkey
from ops.local.child import Child
from ops.local.program import CHECKOUT
from ops.local.servers import Servers, blocking_servers, servers
from ops.local.state import SOCKET_PATH_MAX_BYTES, CannotStart, holder
from tests.ops.local.hearing import WITHIN_S, Hearing

ENV = {"PATH": "/usr/bin:/bin", "PGPORT": "9", "LC_ALL": "xx_XX"}


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state directory that all tests but the destructive ones share: a cluster takes a second."""
    return tmp_path_factory.mktemp("state")


def write(running: Servers) -> None:
    """Commit a row, and a key that is on the disk when this returns."""
    with psycopg.connect(running.database_url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (id int)")
        connection.execute("TRUNCATE kept")
        connection.execute("INSERT INTO kept VALUES (7)")
    with redis.Redis.from_url(running.redis_url) as client:
        client.set("kept", "7")
        client.execute_command("WAITAOF", 1, 0, 5000)


def read(running: Servers) -> tuple[object, object]:
    with psycopg.connect(running.database_url) as connection:
        row = connection.execute("SELECT id FROM kept").fetchone()
    with redis.Redis.from_url(running.redis_url) as client:
        return row, client.get("kept")


KEPT = ((7,), b"7")


def test_servers_are_the_ones_we_promise(state: Path) -> None:
    with blocking_servers(state, ENV) as running:
        engine = sqlalchemy.create_engine(running.database_url)
        with engine.connect() as connection:
            shown = {
                name: connection.exec_driver_sql(f"SHOW {name}").scalar_one()
                for name in ("server_version_num", "fsync", "full_page_writes", "listen_addresses")
            }
        engine.dispose()
        with redis.Redis.from_url(running.redis_url) as client:
            policies = client.config_get("appendonly", "appendfsync", "maxmemory-policy", "port")

    assert int(str(shown.pop("server_version_num"))) // 10000 == 18
    assert shown == {"fsync": "on", "full_page_writes": "on", "listen_addresses": ""}
    assert policies == {
        "appendonly": "yes",
        "appendfsync": "everysec",
        "maxmemory-policy": "noeviction",
        "port": "0",
    }


def test_data_is_kept_over_a_stop(state: Path) -> None:
    with blocking_servers(state, ENV) as running:
        write(running)

    with blocking_servers(state, ENV) as running:
        assert read(running) == KEPT


async def test_killed_servers_come_back_with_their_data(state: Path) -> None:
    hearing = Hearing()
    async with servers(state, ENV, say=hearing) as running:
        write(running)

        await asyncio.gather(running.fleet.kill("postgres"), running.fleet.kill("valkey"))
        await running.fleet.ready("postgres", partial(postgres.answers, running.database_url))
        await running.fleet.ready("valkey", partial(valkey.answers, running.redis_url))

        assert read(running) == KEPT
    assert len(hearing.all_with("was killed by SIGKILL; starting it again")) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of that")
async def test_start_after_a_killed_supervisor_finds_the_data(state: Path) -> None:
    script = (
        "import sys, threading, pathlib\n"
        "from ops.local.servers import blocking_servers\n"
        "with blocking_servers(pathlib.Path(sys.argv[1]), {}) as running:\n"
        "    print(running.database_url, flush=True)\n"
        "    threading.Event().wait()\n"
    )
    supervisor = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script, str(state)), cwd=CHECKOUT, stdout=asyncio.subprocess.PIPE
    )
    assert supervisor.stdout is not None
    url = (await asyncio.wait_for(supervisor.stdout.readline(), WITHIN_S)).decode().strip()
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS orphaned (id int)")
    supervisor.kill()
    await supervisor.communicate()

    async with servers(state, ENV) as running:
        with psycopg.connect(running.database_url) as connection:
            assert connection.execute("SELECT count(*) FROM orphaned").fetchone() == (0,)


async def test_server_left_running_is_stopped_and_replaced(state: Path) -> None:
    left = [await postgres.server(state, ENV), await valkey.server(state, ENV)]
    hearing = Hearing()
    ends = [asyncio.create_task(Child(server.program, hearing).run()) for server in left]
    await hearing.until("eady to accept connections", len(left))

    async with servers(state, ENV) as running:
        write(running)

        assert await asyncio.gather(*ends) == [0, 0]
        assert read(running) == KEPT


def test_process_id_that_became_a_strangers_is_mended(state: Path) -> None:
    pid_file = state / "pg18" / "postmaster.pid"
    with blocking_servers(state, ENV):
        lines = pid_file.read_text().splitlines()[1:]
    with subprocess.Popen(["/bin/sleep", "60"]) as stranger:
        pid_file.write_text("\n".join([str(stranger.pid), *lines, ""]))
        (state / "valkey" / "valkey.pid").write_text(f"{stranger.pid}\n")

        with blocking_servers(state, ENV) as running:
            write(running)

            assert read(running) == KEPT
            assert stranger.poll() is None
        stranger.kill()


def test_half_made_cluster_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "pg18.half" / "base").mkdir(parents=True)
    (tmp_path / "pg18").mkdir()
    (tmp_path / "pg18" / "somebody's").touch()

    with blocking_servers(tmp_path, ENV) as running:
        write(running)

        assert read(running) == KEPT
    aside = list(tmp_path.glob("pg18.unusable-*"))
    assert [file.name for folder in aside for file in folder.iterdir()] == ["somebody's"]
    assert not (tmp_path / "pg18.half").exists()


def test_two_checkouts_run_side_by_side_however_deep(state: Path, tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["a 'deep' checkout"] * 10, ".local")

    with (
        blocking_servers(state, ENV) as one,
        blocking_servers(deep, ENV, durable=False) as other,
    ):
        write(one)
        with psycopg.connect(other.database_url) as connection:
            tables = connection.execute("SELECT to_regclass('kept')").fetchone()
        socket = other.redis_url.removeprefix("unix://").removesuffix("?db=0")

        assert tables == (None,)
        assert len(str(deep)) > 108
        assert len(socket) < SOCKET_PATH_MAX_BYTES
        assert read(one) == KEPT
    assert not Path(socket).parent.exists()


def test_second_start_from_the_same_state_names_the_first(state: Path) -> None:
    with (
        blocking_servers(state, ENV),
        pytest.raises(
            CannotStart, match=rf"already runs from .* \(process {os.getpid()}\).*make STATE="
        ),
        blocking_servers(state, ENV),
    ):
        pass

    assert holder(state) is None


def test_given_servers_are_used_and_none_is_started(tmp_path: Path) -> None:
    given = {"DATABASE_URL": "postgresql://db/one", "REDIS_URL": "redis://cache"}

    with blocking_servers(tmp_path, ENV | given) as running:
        found = (running.database_url, running.redis_url, running.fleet.pids())

    assert found == ("postgresql://db/one", "redis://cache", {})
    assert [file.name for file in tmp_path.iterdir()] == ["lock"]


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is Linux's")
async def test_full_disk_sends_the_logs_to_the_user_instead(tmp_path: Path) -> None:
    hearing = Hearing()
    (tmp_path / "valkey.log").symlink_to("/dev/full")

    async with servers(tmp_path, ENV | {"DATABASE_URL": "postgresql:///x"}, say=hearing) as running:
        assert set(running.fleet.pids()) == {"valkey"}

    assert hearing.all_with("Ready to accept connections")


async def test_server_that_cannot_run_is_given_up_with_its_reason(tmp_path: Path) -> None:
    async with servers(tmp_path, ENV, durable=False):
        pass
    control = tmp_path / "pg18" / "global" / "pg_control"
    control.write_bytes(bytes(control.stat().st_size))

    with pytest.raises(
        CannotStart, match=r"(?s)postgres keeps dying.*database files are incompatible"
    ):
        async with servers(tmp_path, ENV, durable=False):
            pass


def test_stop_is_quick_with_clients_inside_a_transaction(state: Path) -> None:
    with blocking_servers(state, ENV) as running:
        connection = psycopg.connect(running.database_url)
        connection.execute("CREATE TABLE IF NOT EXISTS open (id int)")
        pid = running.fleet.pids()["postgres"]

    with pytest.raises(ProcessLookupError):
        os.kill(pid, signal.SIG_DFL)
    with pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT 1")
    connection.close()
