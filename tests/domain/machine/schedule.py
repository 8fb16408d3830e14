"""Schedules: what happens in which order, drawn from a number and so the same every time."""

import random

from tests.domain.machine.laws import check, check_at_rest, quieten
from tests.domain.machine.people import ACTIONS, begin
from tests.domain.machine.world import Decisions, World

STEPS = 60
# Each schedule has more of some of what can happen than others: that meets more than an even mix
# does (Groce et al., "Swarm Testing", ISSTA 2012).
OFTEN = (1, 1, 4)


def run(seed: int, decisions: Decisions) -> World:
    """Run one schedule to its end; raises AssertionError where a law is broken."""
    chance = random.Random(seed)  # noqa: S311 - a schedule, not a secret
    world = World(chance.choice, decisions)
    weights = [weight * chance.choice(OFTEN) for weight in ACTIONS.values()]
    begin(world, chance.choice)
    told: list[str] = []
    try:
        for act in chance.choices(list(ACTIONS), weights, k=STEPS):
            told.append(act.__name__)
            act(world, chance.choice)
            check(world)
        quieten(world)
        check_at_rest(world)
    except AssertionError as broken:
        broken.add_note(f"Schedule {seed}: {', '.join(told)}")
        raise
    return world
