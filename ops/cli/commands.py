"""What the command line can do: each command asks operations of the API, and shows the answer."""

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import quote

from rich.console import Console, Group
from rich.live import Live
from rich.progress import Progress
from rich.prompt import Confirm

from ops.cli import views
from ops.cli.api import Api, Failed, Json

REFRESH_S = 2.0
# How often it is asked how far a bulk has come.
ASK_EVERY_S = 0.5

Command = Callable[[Api, Console, argparse.Namespace], Awaitable[None]]


async def show_order(api: Api, console: Console, args: argparse.Namespace) -> None:
    """Show an order: what it is, what happened to it, and what it waits for."""
    path = f"/v1/orders/{quote(args.order)}"
    found, timeline = await api.get(path), await api.get(f"{path}/events")
    console.print(views.order(found, timeline["events"]))
    await explain_order(api, console, args)


async def explain_order(api: Api, console: Console, args: argparse.Namespace) -> None:
    """Say what an order waits for, and what is safe to do."""
    told = await api.get(f"/v1/orders/{quote(args.order)}/explain")
    console.print(told["sentence"], markup=False, highlight=False)
    if told.get("action"):
        console.print(f"Safe: {told['action']}", markup=False, highlight=False)


async def retry_order(api: Api, console: Console, args: argparse.Namespace) -> None:
    """Have everything that was given up for an order tried afresh."""
    dead = await api.get("/v1/tasks", order=args.order, state="dead")
    for task in dead["tasks"]:
        replayed = await api.post(f"/v1/tasks/{task['id']}/replay")
        console.print(f"Task {replayed['id']} ({replayed['kind']}) is {replayed['state']}.")
    if not dead["tasks"]:
        console.print("Nothing was given up for it.")
        await explain_order(api, console, args)


async def list_queues(api: Api, console: Console, _: argparse.Namespace) -> None:
    """Show the queues."""
    console.print(views.queues((await api.get("/v1/queues"))["queues"]))


async def pause_queue(api: Api, console: Console, args: argparse.Namespace) -> None:
    """Have a queue take on nothing more."""
    await _put_queue(api, console, args.queue, paused=True)


async def resume_queue(api: Api, console: Console, args: argparse.Namespace) -> None:
    """Have a queue take on work again."""
    await _put_queue(api, console, args.queue, paused=False)


async def drain_queue(api: Api, console: Console, args: argparse.Namespace) -> None:
    """Have a queue do what is due, take on nothing new, and then pause."""
    console.print(views.queues([await api.post(f"/v1/queues/{quote(args.queue)}/drain")]))


async def _put_queue(api: Api, console: Console, name: str, *, paused: bool) -> None:
    found = {queue["name"]: queue for queue in (await api.get("/v1/queues"))["queues"]}
    if name not in found:
        raise Failed(f"There is no queue {name}: there are {', '.join(found)}.")
    console.print(views.queues([await api.put(f"/v1/queues/{quote(name)}", {"paused": paused})]))


async def list_dead(api: Api, console: Console, args: argparse.Namespace) -> None:
    """Show why tasks are dead, and the newest of them."""
    console.print(views.causes((await api.get("/v1/tasks/causes"))["causes"]))
    found = await api.get("/v1/tasks", state="dead", limit=str(args.limit), **_narrowed(args))
    console.print()
    console.print(views.tasks(found["tasks"]))


async def replay_dead(api: Api, console: Console, args: argparse.Namespace) -> None:
    """Have all dead tasks that match tried afresh, after a dry run and a question."""
    names = {"order": "order_id"}
    match = {"state": "dead"} | {names.get(k, k): v for k, v in _narrowed(args).items() if v}
    asked = {"action": "replay", "match": match, "per_s": args.per_s}
    told = await api.post("/v1/tasks/bulks", {**asked, "dry_run": True})
    console.print(views.judged(told))
    if args.dry_run or not told["safe"]:
        return
    if not args.yes and not Confirm.ask(f"Replay {told['safe']:,}?", console=console):
        return
    begun = await api.post("/v1/tasks/bulks", {**asked, "dry_run": False})
    done = await _followed(api, console, begun["bulk"])
    console.print(f"{done['state']}: {done['changed']:,} of {done['matched']:,} changed.")
    console.print(f"Undo: POST /v1/tasks/bulks/{done['id']}/undo", highlight=False)


def _narrowed(args: argparse.Namespace) -> Mapping[str, str | None]:
    return {"kind": args.kind, "queue": args.queue, "order": args.order, "error": args.error}


async def _followed(api: Api, console: Console, bulk: Json) -> Json:
    """Show how far a bulk comes until it ends; the clocks go on without us."""
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task("Replaying", total=max(1, bulk["matched"]))
        while bulk["state"] == "running":
            await asyncio.sleep(ASK_EVERY_S)
            bulk = await api.get(f"/v1/tasks/bulks/{bulk['id']}")
            left_out = sum(bulk["left_out"].values())
            progress.update(bar, completed=bulk["changed"] + bulk["gone"] + left_out)
    return bulk


async def top(api: Api, console: Console, args: argparse.Namespace) -> None:
    """Show queues and processes as they are, again and again until Ctrl-C."""

    async def seen() -> Group:
        queues, alive = await api.get("/v1/queues"), await api.get("/v1/processes")
        return Group(views.queues(queues["queues"]), "", views.processes(alive["processes"]))

    if args.once:
        console.print(await seen())
        return
    with Live(await seen(), console=console, screen=True, auto_refresh=False) as live:
        while True:
            await asyncio.sleep(REFRESH_S)
            live.update(await seen(), refresh=True)
