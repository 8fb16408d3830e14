"""The command line of `ops.local`, whichever command it runs."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ops.local.program import CHECKOUT


@pytest.mark.parametrize("command", ["up", "demo", "replay"])
def test_ctrl_c_while_a_command_is_imported_is_no_traceback(tmp_path: Path, command: str) -> None:
    # A module that the command imports presses Ctrl-C, as late as the import allows.
    (tmp_path / "aiohttp.py").write_text(f"import os; os.kill(os.getpid(), {int(signal.SIGINT)})")
    script = (
        # Who runs tests in the background has it ignored.
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        f"sys.path[:0] = [{str(tmp_path)!r}, {str(CHECKOUT)!r}]; "
        f"from ops.local.__main__ import main; sys.exit(main([{command!r}]))"
    )

    ended = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )

    assert (ended.returncode, ended.stderr, ended.stdout) == (130, "Interrupted.\n", "")
