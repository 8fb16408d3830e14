"""The Procfile: one line per process type, `name: command`."""

import re
import shlex
from collections.abc import Mapping

from ops.local.program import Program
from ops.local.state import CannotStart

RELEASE = "release"
_LINE = re.compile(r"(?P<name>[A-Za-z0-9_-]+):\s*(?P<command>\S.*)")
_OPERATORS = frozenset("();<>|&")


def parse(text: str) -> dict[str, str]:
    """Commands by process name, in order. Raises CannotStart for a line that is not one."""
    commands: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _LINE.fullmatch(line.strip())
        if found is None:
            raise CannotStart(f"Procfile line {number}: expected `name: command`, got {line!r}.")
        if found["name"] in commands:
            raise CannotStart(f"Procfile line {number}: {found['name']} is there twice.")
        commands[found["name"]] = found["command"]
    return commands


def program(name: str, command: str, env: Mapping[str, str]) -> Program:
    """Make a program of one line. Raises CannotStart for an unclosed quotation."""
    return Program(name=name, argv=("/bin/sh", "-c", _replacing_shell(command)), env=env)


def _replacing_shell(command: str) -> str:
    # Signals must reach the program itself, so no shell may linger in front of it; `env` lets a
    # line begin with assignments. A compound line needs its shell and keeps it.
    try:
        tokens = list(shlex.shlex(command, posix=True, punctuation_chars=True))
    except ValueError as error:
        raise CannotStart(f"Procfile: {error} in `{command}`.") from error
    compound = any(_OPERATORS.issuperset(token) for token in tokens)
    return command if compound or tokens[0] == "exec" else f"exec env {command}"
