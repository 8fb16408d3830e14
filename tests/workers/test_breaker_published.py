"""Breakers: what metrics, log and the caller learn of their changes."""

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from domain.payment import Outcome
from ops.config import Settings
from tests.workers.breakers import SUCCEEDED, UNKNOWN, World, world
from workers.breaker import Breaker, guarded

__all__ = ["world"]

SET_ONE = """
from ops.telemetry import metrics
metrics.breaker_state.labels("stripe").set({})
print("set", flush=True)
input()
"""
SCRAPE = "from ops.telemetry import exposition; print(exposition.exposition({}).decode())"


def reading(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def transitions(gateway: str) -> list[float]:
    changes = ("open", "half-open", "closed")
    return [
        reading("orderflow_breaker_transitions_total", gateway=gateway, to=to) for to in changes
    ]


async def test_changes_are_measured_and_logged(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    before = transitions("measured")
    gauge: list[float] = []

    async def probe() -> Outcome:
        gauge.append(reading("orderflow_breaker_state", gateway="measured"))
        return SUCCEEDED

    with caplog.at_level(logging.WARNING, logger="workers.breaker"):
        breaker = await world.opened("measured")
        gauge.append(reading("orderflow_breaker_state", gateway="measured"))
        world.now_s += 30.0
        _ = await guarded(breaker, probe)
        gauge.append(reading("orderflow_breaker_state", gateway="measured"))

    assert gauge == [2, 1, 0]
    assert transitions("measured") == [count + 1 for count in before]
    assert caplog.messages == [
        "Breaker of gateway measured: open, was closed",
        "Breaker of gateway measured: half-open, was open",
        "Breaker of gateway measured: closed, was half-open",
    ]


async def test_breaker_that_is_held_is_published_and_counted_as_it_is_held(world: World) -> None:
    before, shut = transitions("held"), asyncio.Event()
    breaker = world.breaker("held")
    begun = await world.begin(breaker, UNKNOWN, until=shut, calls=breaker.fail_max)

    breaker.force("open")
    opened = reading("orderflow_breaker_state", gateway="held")
    breaker.force("closed")
    shut.set()
    _ = await asyncio.gather(*begun)
    closed = reading("orderflow_breaker_state", gateway="held")
    breaker.force(None)

    assert (opened, closed) == (2, 0)
    assert breaker.is_open()
    assert reading("orderflow_breaker_state", gateway="held") == 2
    assert transitions("held") == [before[0] + 2, before[1], before[2] + 1]
    assert world.moves() == ["open", "closed", "open"]


async def test_new_breaker_is_published_as_closed(world: World) -> None:
    _ = world.breaker("fresh")

    assert REGISTRY.get_sample_value("orderflow_breaker_state", {"gateway": "fresh"}) == 0


async def test_breaker_opens_even_if_the_change_cannot_be_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def on_change(*_: str) -> None:
        raise LookupError("nobody there")

    world = World()
    breaker = Breaker("stripe", Settings(), on_change=on_change, clock=lambda: world.now_s)
    _ = await world.run(breaker, [UNKNOWN] * 5)

    assert breaker.is_open()
    assert "The change of a breaker was not taken note of" in caplog.messages


def test_worst_of_the_live_processes_of_a_machine_shows(tmp_path: Path) -> None:
    environ = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    with ExitStack() as running:
        processes = [running.enter_context(_holding(state, environ)) for state in (0, 2, 1)]
        assert list(states(environ)) == [2]

        processes[1].kill()
        _ = processes[1].wait()
        assert list(states(environ)) == [1]


@contextmanager
def _holding(state: int, environ: dict[str, str]) -> Generator[subprocess.Popen[str]]:
    """Run a process whose breaker is in a state."""
    holder = [sys.executable, "-c", SET_ONE.format(state)]
    with subprocess.Popen(  # noqa: S603 - our own words
        holder, env=environ, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "set\n"
        yield process
        process.kill()


def states(environ: dict[str, str]) -> Iterator[float]:
    scraped = subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "-c", SCRAPE], env=environ, check=True, capture_output=True, text=True
    )
    for family in text_string_to_metric_families(scraped.stdout):
        if family.name == "orderflow_breaker_state":
            yield from (sample.value for sample in family.samples)
