"""Progress is a bar for people at a terminal and a plain line for everything else."""

import io

from rich.console import Console

from ops.local.progress import shown


def written(*, terminal: bool) -> str:
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=100, color_system=None)
    with shown(console, "Placing orders", 3) as progress:
        progress.advance()
        progress.reach(3)
    return out.getvalue()


def test_a_log_gets_one_line_at_the_end_without_any_control_character() -> None:
    text = written(terminal=False)

    assert text.startswith("Placing orders: 3 of 3 in 0.0 s")
    assert text.endswith("/s\n")
    assert text.removesuffix("\n").isprintable()


def test_a_terminal_gets_a_bar() -> None:
    text = written(terminal=True)

    assert "Placing orders" in text
    assert "3/3" in text
    assert "\x1b[" in text
