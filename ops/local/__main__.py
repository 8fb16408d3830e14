"""Run the platform on this machine: `python -m ops.local COMMAND`."""

import importlib
import sys

from ops.local.state import CannotStart

# Each module has `main(arguments) -> exit code`; it is imported only when its command is asked for.
COMMANDS = {
    "up": "ops.local.up",
    "demo": "ops.local.demo",
    "replay": "ops.local.replay",
}
# A comparison of `sys.version_info` reads as dead code to the type checker and the linter.
_PYTHON_MIN = 0x030B0000
# What a shell says of a program that SIGINT ended.
_INTERRUPTED = 130


def main(arguments: list[str]) -> int:
    """Run one command; its exit code."""
    if sys.hexversion < _PYTHON_MIN:
        return _refuse("Python 3.11 or newer is needed: make PYTHON=python3.12 demo")
    if not arguments or arguments[0] not in COMMANDS:
        return _refuse(f"usage: python -m ops.local {'|'.join(COMMANDS)} ...")
    try:
        command = importlib.import_module(COMMANDS[arguments[0]])
        return int(command.main(arguments[1:]))
    except CannotStart as error:
        return _refuse(str(error))
    except KeyboardInterrupt:
        # Before the command listens to signals: importing it takes a second.
        sys.stderr.write("Interrupted.\n")
        return _INTERRUPTED


def _refuse(reason: str) -> int:
    sys.stderr.write(f"{reason}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
