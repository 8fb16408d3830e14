"""One storm from beginning to end: load and faults, healing, and the checks."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

import msgspec
import psycopg
from rich.console import Console

from ops.local.child import ORDERFLOW, Say
from ops.storm import checks, evidence, healing, witness
from ops.storm.arena import Arena, arena
from ops.storm.healing import Healing
from ops.storm.history import History
from ops.storm.load import clients
from ops.storm.logged import slips
from ops.storm.nemesis import Nemesis, Seen
from ops.storm.plan import (
    RATE,
    Delivery,
    Kind,
    Story,
    Strike,
    deliveries,
    prices,
    stock,
    stories,
    strikes,
)
from ops.storm.report import Storm
from ops.storm.resources import resources
from ops.storm.watch import Watch
from ops.storm.witness import WriteRow

HISTORY = "history.jsonl"
LOG = "storm.log"


class Orders(msgspec.Struct, frozen=True):
    """What storm is wanted."""

    seed: int
    seconds: float
    kinds: Sequence[Kind]
    folder: Path
    rate: float = RATE


class Raged(msgspec.Struct, frozen=True):
    """What was seen between the first order and the platform's coming to rest."""

    seen: Sequence[Seen]
    healing: Healing
    watch: Watch


async def run(wanted: Orders, console: Console) -> Storm:
    """Let a storm rage, wait until it is over, and look at what it left. Raises CannotStart."""
    told = stories(wanted.seed, wanted.seconds, wanted.rate)
    blows = strikes(wanted.seed, wanted.seconds, wanted.kinds)
    await asyncio.to_thread(wanted.folder.mkdir, parents=True, exist_ok=True)
    console.print(f"Seed {wanted.seed}: {len(told)} orders, {len(blows)} faults. Starting ...")
    with (
        (wanted.folder / LOG).open("w") as log,
        (wanted.folder / HISTORY).open("wb") as file,
    ):
        async with arena(wanted.folder, stock(told), _into(log)) as on:
            before, history = await resources(on), History(file)
            console.print(f"Raging for {wanted.seconds:g} s ...")
            lorries = deliveries(told, wanted.seconds)
            raged = await _rage(on, history, told, blows, lorries, console)
            found = await evidence.gather(
                on.database_url,
                on.sandbox,
                history=history,
                stocked=_had(told, wanted.seconds),
                prices=prices(),
                writes=await _writes(on.database_url),
                before=before,
                after=await resources(on),
            )
    found = msgspec.structs.replace(found, slips=slips(wanted.folder / LOG, on.admin_api_key))
    return Storm(
        seed=wanted.seed,
        seconds=wanted.seconds,
        seen=raged.seen,
        healing=raged.healing,
        looks=raged.watch.looks,
        evidence=found,
        violations=[*raged.watch.broken, *checks.check(found)],
    )


async def _rage(  # noqa: PLR0913, PLR0917 - a storm is made of these
    on: Arena,
    history: History,
    told: Sequence[Story],
    blows: Sequence[Strike],
    lorries: Sequence[Delivery],
    console: Console,
) -> Raged:
    """Have load and faults at the same time, then peace.

    Healing begins with the end of the last fault, or once the last order is answered if that is
    later.
    """
    nemesis, watch = Nemesis(on, history.now_s), Watch(on.database_url)
    async with (
        clients(on.urls, on.admin_api_key, history) as load,
        asyncio.TaskGroup() as together,
    ):
        talk = together.create_task(load.tell(told))
        bringing = together.create_task(load.bring(lorries))
        watching = together.create_task(watch.keep())
        await nemesis.rage(blows)
        calm_s = history.now_s()
        console.print(f"The faults are over after {calm_s:.1f} s. Healing ...")
        await talk
        await bringing
        watching.cancel()
        calm_s = max(calm_s, load.placed_s)
    healed = await healing.heal(on.database_url)
    if healed.seconds is not None:
        healed = Healing(history.now_s() - calm_s)
    return Raged(nemesis.seen, healed, watch)


def _had(told: Sequence[Story], seconds: float) -> Mapping[str, int]:
    """Give what there ever was of each SKU."""
    had = stock(told)
    for delivery in deliveries(told, seconds):
        had[delivery.sku] += delivery.quantity
    return had


async def _writes(url: str) -> Sequence[WriteRow]:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        return await witness.hear(connection)


def _into(log: TextIO) -> Say:
    def say(name: str, line: str) -> None:
        print(f"{name:10} | {line}", file=log, flush=name == ORDERFLOW)

    return say
