import asyncio

import pytest

from ops.local import procfile
from ops.local.child import Child
from ops.local.state import CannotStart
from tests.ops.local.hearing import Hearing

ENV = {"PATH": "/usr/bin:/bin", "PORT": "4000"}


def test_lines_become_commands_in_order() -> None:
    text = "# types\nrelease: migrate up\n\nweb: serve --port ${PORT:-8000}\n"

    commands = procfile.parse(text)

    assert list(commands.items()) == [
        ("release", "migrate up"),
        ("web", "serve --port ${PORT:-8000}"),
    ]


@pytest.mark.parametrize("text", ["web serve", "web:", ": serve", "we b: serve"])
def test_line_without_name_and_command_is_refused_by_number(text: str) -> None:
    with pytest.raises(CannotStart, match="line 2"):
        procfile.parse(f"clock: tick\n{text}\n")


def test_name_given_twice_is_refused() -> None:
    with pytest.raises(CannotStart, match="web is there twice"):
        procfile.parse("web: a\nweb: b\n")


def test_unclosed_quotation_is_refused() -> None:
    with pytest.raises(CannotStart, match="No closing quotation"):
        procfile.program("web", "echo 'a", ENV)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("echo ${PORT:-8000}", "4000"),
        ("echo ${NONE:-8000}", "8000"),
        ("GREETING=hello sh -c 'echo $GREETING'", "hello"),
        ("echo one && echo two", "two"),
        ("exec echo three", "three"),
    ],
)
async def test_command_is_expanded_by_a_shell(command: str, said: str) -> None:
    hearing = Hearing()

    code = await Child(procfile.program("line", command, ENV), hearing).run()

    assert (code, hearing.lines[-1]) == (0, ("line", said))


async def test_no_shell_lingers_in_front_of_the_program() -> None:
    hearing = Hearing()
    child = Child(procfile.program("line", "PLACE=here cat /proc/self/status", ENV), hearing)
    running = asyncio.create_task(child.run())

    leader = await child.running()
    await running

    assert f"Pid:\t{leader}" in [line for _, line in hearing.lines]
