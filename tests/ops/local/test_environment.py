import os
import socket
import stat
import sysconfig
from pathlib import Path

import pytest

from api import credentials
from ops.local.environment import addresses, assemble
from ops.local.ports import HOST, ports
from ops.local.staff import admin_api_key, admin_api_key_file
from ops.local.state import CannotStart


def test_two_platforms_that_start_together_get_different_ports() -> None:
    with ports() as one, ports() as other:
        first, second = addresses(one, {}), addresses(other, {})

    numbers = [first.web, first.gateway, first.inbox, first.smtp]
    numbers += [second.web, second.gateway, second.inbox, second.smtp]
    assert len(set(numbers)) == 8


ASKED = ["PORT", "SANDBOX_GATEWAY_PORT", "SANDBOX_INBOX_PORT", "SANDBOX_SMTP_PORT"]


@pytest.mark.parametrize("name", ASKED)
def test_taken_port_is_passed_over_but_refused_when_asked_for(name: str) -> None:
    with socket.create_server((HOST, 0)) as listener:
        taken = listener.getsockname()[1]
        with ports() as free:
            chosen = free.near(taken)
        with pytest.raises(CannotStart, match=f"Port {taken} is taken.*{name}"), ports() as free:
            addresses(free, {name: str(taken)})

    assert chosen > taken


@pytest.mark.parametrize("name", ASKED)
def test_port_asked_for_is_used(name: str, tmp_path: Path) -> None:
    with socket.create_server((HOST, 0)) as listener:
        number = str(listener.getsockname()[1])

    with ports() as free:
        at = addresses(free, {name: number})

    assert assemble({}, tmp_path, at, "", "")[name] == number


@pytest.mark.parametrize("name", ASKED)
@pytest.mark.parametrize("wanted", ["http", "00", "-1", "65536", "8000 "])
def test_port_that_is_none_is_refused(name: str, wanted: str) -> None:
    with pytest.raises(CannotStart, match=f"{name} is .*set it to a number"), ports() as free:
        addresses(free, {name: wanted})


def test_children_get_the_sandbox_whatever_the_user_has_set(tmp_path: Path) -> None:
    environ = {"STRIPE_API_KEY": "sk_live_1", "STRIPE_API_BASE": "https://real", "MINE": "1"}
    with ports() as free:
        at = addresses(free, environ)

    env = assemble(environ, tmp_path, at, "postgresql:///x", "unix:///y")

    assert env["STRIPE_API_KEY"] == "sk_test_sandbox"
    assert env["STRIPE_API_BASE"] == f"http://{HOST}:{at.gateway}"
    assert env["SMTP_URL"] == f"smtp://{HOST}:{at.smtp}"
    assert env["MINE"] == "1"
    assert env["PATH"].split(os.pathsep)[0] == sysconfig.get_path("scripts")


def test_metrics_of_an_earlier_start_are_gone(tmp_path: Path) -> None:
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / "counter_1.db").touch()
    with ports() as free:
        env = assemble({}, tmp_path, addresses(free, {}), "", "")

    assert list(Path(env["PROMETHEUS_MULTIPROC_DIR"]).iterdir()) == []


def test_admin_key_of_before_accounts_is_replaced(tmp_path: Path) -> None:
    admin_api_key_file(tmp_path).write_text("an old key of another form\n")

    key = admin_api_key(tmp_path)

    assert credentials.is_well_formed(key)
    assert admin_api_key(tmp_path) == key


def test_admin_key_is_made_once_and_kept_private(tmp_path: Path) -> None:
    first, second = admin_api_key(tmp_path), admin_api_key(tmp_path)

    assert first == second
    assert len(first) >= 32
    assert stat.S_IMODE(admin_api_key_file(tmp_path).stat().st_mode) == 0o600
