"""The overview: whether all is well, at one look, and what the last hour was like."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db import breakers, health, outcomes, processes, samples, stages
from db.audits import AUDITED
from db.breakers import BreakerView
from db.health import Health
from db.outcomes import Settling
from db.processes import ProcessKind, ProcessView
from db.samples import History
from db.stages import COUNTED_MAX, Stage
from domain import target
from ops.dashboard import surroundings
from ops.dashboard.charts import Chart, Series, chart
from ops.dashboard.page import Nothing, Page

MINUTES = 60
WINDOW = timedelta(seconds=60)
# From the best to the worst.
_BREAKER_STATES = ("closed", "half-open", "open")
_TONES = {"closed": "good", "half-open": "warn", "open": "bad"}


class StageRow(msgspec.Struct, frozen=True):
    """A stage against its target, with its last hour."""

    stage: Stage
    target_s: float | None
    tone: str
    hour: Chart


class BreakerRow(msgspec.Struct, frozen=True):
    """A gateway's breaker as the worst of the processes has it."""

    gateway: str
    state: str
    tone: str


async def show(tx: AsyncConnection, _: Nothing) -> Mapping[str, object]:
    """Read what is, and what was every minute of the last hour."""
    until = await samples.current(tx)
    hour = await samples.history(
        tx, samples.ORDERS, samples.SETTLE_S, samples.OLDEST_DUE_S, minutes=MINUTES
    )
    alive = await processes.page(tx)
    settling = await outcomes.settling(tx, until - WINDOW, until)
    found = await health.find(tx)
    return {
        "counted": await outcomes.count(tx, until - WINDOW, until),
        "settling": settling,
        "settling_tone": settling_tone(settling),
        "settles_within_s": target.SETTLES_WITHIN_S,
        "stages": [stage_row(stage, hour) for stage in await stages.page(tx)],
        "counted_max": COUNTED_MAX,
        "breakers": breaker_rows(surroundings.config().gateway_names, await breakers.page(tx)),
        "health": found,
        "health_tone": health_tone(found),
        "invariants": len(AUDITED),
        "living": living(alive),
        "lost": [one for one in alive if one.lost],
        "hour": hour,
        "orders_chart": orders_chart(hour),
        "settling_chart": settling_chart(hour),
    }


def settling_tone(settling: Settling) -> str:
    """Tell whether orders are paid in the time that people expect."""
    if settling.p95_s is None:
        return ""
    return "good" if settling.p95_s <= target.SETTLES_WITHIN_S else "warn"


def stage_row(stage: Stage, hour: History) -> StageRow:
    """Set a stage against its target."""
    target_s = target.waits_max_s(stage.name)
    tone = "good"
    if target_s is not None and stage.oldest_due_s > target_s:
        tone = "bad"
    elif stage.paused or stage.dead:
        tone = "warn"
    waited = Series("oldest", hour.of(samples.OLDEST_DUE_S, stage.name))
    return StageRow(stage, target_s, tone, chart(f"Oldest of {stage.name}", waited, unit="s"))


def breaker_rows(names: Iterable[str], views: Sequence[BreakerView]) -> list[BreakerRow]:
    """Find the worst breaker of each gateway: one that is open in one process is seen.

    Processes say nothing of a breaker that never opened: it is closed.
    """
    worst = dict.fromkeys(names, _BREAKER_STATES[0])
    for view in views:
        known = worst.get(view.gateway, _BREAKER_STATES[0])
        worst[view.gateway] = max(known, view.state, key=_badness)
    return [
        BreakerRow(gateway, state, _TONES.get(state, "warn"))
        for gateway, state in sorted(worst.items())
    ]


def _badness(state: str) -> int:
    return _BREAKER_STATES.index(state) if state in _BREAKER_STATES else 0


def health_tone(found: Health) -> str:
    """Tell whether the invariants hold: red is broken, yellow not looked at lately."""
    if found.broken:
        return "bad"
    ago_s = found.looked_s_ago
    fresh = ago_s is not None and ago_s <= target.AUDITED_WITHIN_S
    return "good" if fresh and not found.findings else "warn"


def living(all_of_them: Sequence[ProcessView]) -> dict[str, int]:
    """Count the processes of each kind that live."""
    counted: dict[str, int] = {kind.value: 0 for kind in ProcessKind}
    for one in all_of_them:
        if not one.lost:
            counted[one.kind] = counted.get(one.kind, 0) + 1
    return counted


def orders_chart(hour: History) -> Chart:
    """Draw orders a minute by what became of them."""
    ended = [
        _sum(*values)
        for values in zip(
            hour.of(samples.ORDERS, outcomes.CANCELLED),
            hour.of(samples.ORDERS, outcomes.DECLINED),
            strict=True,
        )
    ]
    return chart(
        "Orders per minute",
        Series("placed", hour.of(samples.ORDERS, outcomes.PLACED), "c4"),
        Series("paid", hour.of(samples.ORDERS, outcomes.PAID), "c1"),
        Series("cancelled or declined", ended, "c2"),
        Series("to review", hour.of(samples.ORDERS, outcomes.REVIEW), "c3"),
        unit="a minute",
    )


def _sum(*values: float | None) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def settling_chart(hour: History) -> Chart:
    """Draw how long orders took from placed to paid."""
    return chart(
        "From placed to paid",
        Series("p50", hour.of(samples.SETTLE_S, "p50"), "c1"),
        Series("p95", hour.of(samples.SETTLE_S, "p95"), "c3"),
        unit="s",
    )


PAGE = Page("/ops", "Overview", "overview.html", show, nav="Overview")
