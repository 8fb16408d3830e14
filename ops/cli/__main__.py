"""The command line: `python -m ops.cli`, with ORDERFLOW_URL and ORDERFLOW_API_KEY.

The key is one of a member of staff (`POST /v1/api-keys`) with the scopes operations:read,
operations:write and orders:read: what it does is in the audit log under their name.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from rich.console import Console

from ops.cli import commands
from ops.cli.api import Failed, connected
from ops.cli.commands import Command

URL = "http://127.0.0.1:8000"
PER_S = 100


def parser() -> argparse.ArgumentParser:
    """Make what reads the arguments."""
    made = argparse.ArgumentParser(
        prog="orderflow",
        description="See and steer an installation.",
        epilog="ORDERFLOW_URL says where it is, ORDERFLOW_API_KEY opens it.",
    )
    nouns = made.add_subparsers(required=True, metavar="command")
    _orders(nouns.add_parser("orders", help="show, explain or retry an order"))
    _queues(nouns.add_parser("queues", help="list, pause, resume or drain queues"))
    _tasks(nouns.add_parser("tasks", help="list or replay dead tasks"))
    live = nouns.add_parser("top", help="watch queues and processes")
    live.add_argument("--once", action="store_true", help="show them once, and end")
    live.set_defaults(command=commands.top)
    return made


def _orders(noun: argparse.ArgumentParser) -> None:
    verbs = noun.add_subparsers(required=True, metavar="verb")
    for name, command in (
        ("show", commands.show_order),
        ("explain", commands.explain_order),
        ("retry", commands.retry_order),
    ):
        _verb(verbs.add_parser, name, command).add_argument("order", help="id of the order")


def _queues(noun: argparse.ArgumentParser) -> None:
    verbs = noun.add_subparsers(required=True, metavar="verb")
    _verb(verbs.add_parser, "list", commands.list_queues)
    for name, command in (
        ("pause", commands.pause_queue),
        ("resume", commands.resume_queue),
        ("drain", commands.drain_queue),
    ):
        _verb(verbs.add_parser, name, command).add_argument("queue")


def _tasks(noun: argparse.ArgumentParser) -> None:
    verbs = noun.add_subparsers(required=True, metavar="verb")
    dead = _verb(verbs.add_parser, "dead", commands.list_dead)
    dead.add_argument("--limit", type=int, default=20, help="newest to show (default: 20)")
    replay = _verb(verbs.add_parser, "replay", commands.replay_dead)
    replay.add_argument("--dry-run", action="store_true", help="only say what it would do")
    replay.add_argument("--yes", action="store_true", help="do not ask")
    replay.add_argument("--per-s", type=int, default=PER_S, help="tasks a second (default: 100)")
    for verb in (dead, replay):
        verb.add_argument("--kind")
        verb.add_argument("--queue")
        verb.add_argument("--order", help="id of the order")
        verb.add_argument("--error", help="part of the error")


def _verb(
    add: Callable[..., argparse.ArgumentParser], name: str, command: Command
) -> argparse.ArgumentParser:
    about = (command.__doc__ or "").strip()
    made = add(name, help=about, description=about)
    made.set_defaults(command=command)
    return made


async def _run(args: argparse.Namespace, console: Console, url: str, key: str) -> None:
    async with connected(url, key) as api:
        await args.command(api, console, args)


def main(
    arguments: Sequence[str],
    environ: Mapping[str, str] = os.environ,
    console: Console | None = None,
) -> int:
    """Run a command; its exit code."""
    args = parser().parse_args(arguments)
    url, key = environ.get("ORDERFLOW_URL") or URL, environ.get("ORDERFLOW_API_KEY", "")
    if not key:
        sys.stderr.write("ORDERFLOW_API_KEY is empty: set it to an API key of yours.\n")
        return 2
    try:
        with suppress(KeyboardInterrupt):
            asyncio.run(_run(args, console or Console(), url, key))
    except Failed as failure:
        sys.stderr.write(f"{failure}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
