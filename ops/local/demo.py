"""`make demo`: 500 varied orders through a platform of its own, and what became of them."""

import argparse
import asyncio
import math
import secrets
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from domain.status import Status
from ops.local import sample, settling, stories, timeline
from ops.local.access import Access, own
from ops.local.audit import End, NotSettled
from ops.local.client import Accepted, Client, PlatformFailed, Refused, connected
from ops.local.crowd import each
from ops.local.interrupt import run_until_told
from ops.local.progress import shown
from ops.local.sample import LOST_ANSWER_CARD, Sample, SampleOrder, SampleProduct
from ops.local.settling import Settled, observing
from ops.local.state import DEFAULT_STATE, CannotStart

# A small shop's rush: more would measure our own queue in front of the API.
AT_ONCE = 16
_LOG = "demo.log"
_WRONG_SHOWN_MAX = 20
_INTERRUPTED = 130


class Result(msgspec.Struct, frozen=True):
    """The last line; `violations` counts orders that missed their end and broken invariants."""

    placed: int
    settled: int
    paid: int
    cancelled: int
    mails: int
    violations: int
    accept_p50_ms: float
    accept_p99_ms: float
    settle_p50_ms: float
    settle_p99_ms: float


class Ran(msgspec.Struct, frozen=True):
    """A run that came to its end; `ends` are by the key of the order in the sample."""

    sample: Sample
    accepted: Mapping[str, Accepted]
    settled: Settled
    ends: Mapping[str, End]
    wrong: Sequence[str]


def main(arguments: list[str]) -> int:
    """Run the demo; 0 only if every order reached its expected end and nothing is broken."""
    parser = argparse.ArgumentParser(prog="python -m ops.local demo", description=__doc__)
    parser.add_argument("--state", type=Path, default=DEFAULT_STATE, help="folder of all state")
    parser.add_argument("--orders", type=int, default=sample.ORDERS, help="how many orders")
    parser.add_argument("--seed", type=int, default=1, help="another number draws other orders")
    given = parser.parse_args(arguments)
    try:
        drawn = sample.draw(run=secrets.token_hex(3), seed=given.seed, orders=given.orders)
    except ValueError as error:
        parser.error(str(error))
    result = run_until_told(_demo(given.state, drawn, Console(highlight=False)))
    if result is None:
        sys.stderr.write("Interrupted.\n")
        return _INTERRUPTED
    sys.stdout.write(f"{msgspec.json.encode(result).decode()}\n")
    return 0 if result.violations == 0 and result.settled == len(drawn.orders) else 1


async def _demo(state: Path, drawn: Sample, console: Console) -> Result:
    async with own(state, _LOG, console) as access:
        try:
            ran = await run(access, drawn, console)
            result = summary(ran)
            console.print(_table(ran, result))
            _show_timeline(console, ran)
            untold = await _stories(access, console)
        except (PlatformFailed, Refused, NotSettled) as failure:
            raise CannotStart(f"The demo failed. {failure}\nSee {state / _LOG}.") from failure
        for wrong in [*ran.wrong, *untold][:_WRONG_SHOWN_MAX]:
            console.print(f"Wrong: {wrong}", style="red", markup=False, soft_wrap=True)
    return msgspec.structs.replace(result, violations=result.violations + len(untold))


async def _stories(access: Access, console: Console) -> list[str]:
    connection = connected(access.url, admin_api_key=access.admin_api_key, connections=AT_ONCE)
    async with observing(access) as observer, connection as client:
        return await stories.tell(observer, client, console)


async def run(access: Access, drawn: Sample, console: Console) -> Ran:
    """Seed the catalogue, place the orders, wait for their ends and read what became of them.

    Raises PlatformFailed, Refused or NotSettled.
    """
    connection = connected(access.url, admin_api_key=access.admin_api_key, connections=2 * AT_ONCE)
    async with observing(access) as observer, connection as client:
        await _seed(client, drawn.products, console)
        answers = await _place(client, drawn.orders, console)
        placed = [first for first, *_ in answers]
        await settling.wait(observer, placed, console)
        settled = await settling.read_back(observer, client, placed, console)
    keys = [order.key for order in drawn.orders]
    ends = dict(zip(keys, settled.ends, strict=True))
    wrong = [
        *(
            f"Order {copies[0].id} was sent twice and made twice."
            for copies in answers
            if _differ(copies)
        ),
        *sample.missed(drawn, {key: end.label for key, end in ends.items()}),
        *settled.wrong,
    ]
    return Ran(drawn, dict(zip(keys, placed, strict=True)), settled, ends, wrong)


async def _seed(client: Client, products: Sequence[SampleProduct], console: Console) -> None:
    with shown(console, "Seeding the catalogue", len(products)) as progress:

        async def put(product: SampleProduct) -> None:
            await client.put_product(
                product.sku,
                name=product.name,
                price_minor=product.price_minor,
                currency=sample.CURRENCY,
            )
            await client.put_stock(product.sku, product.on_hand)
            progress.advance()

        await each(products, put, at_once=AT_ONCE)


async def _place(
    client: Client, orders: Sequence[SampleOrder], console: Console
) -> list[list[Accepted]]:
    """Place each order as often as it says, the copies at the same time; their answers."""
    with shown(console, "Placing orders", len(orders)) as progress:

        async def place(wanted: SampleOrder) -> list[Accepted]:
            copies = (client.place(wanted.order, key=wanted.key) for _ in range(wanted.copies))
            answers = await asyncio.gather(*copies)
            progress.advance()
            return answers

        return await each(orders, place, at_once=AT_ONCE)


def _differ(copies: Sequence[Accepted]) -> bool:
    """Tell whether answers under one key are not the same, or not said to be replays."""
    bodies = {answer.body for answer in copies}
    return len(bodies) > 1 or sum(not answer.replayed for answer in copies) != 1


def summary(ran: Ran) -> Result:
    """Sum a run up."""
    received = {mail.message_id for mail in ran.settled.mails}
    ended = [e for e in ran.ends.values() if e.status in {Status.PAID, Status.CANCELLED}]
    accept_s = [answer.seconds for answer in ran.accepted.values()]
    settle_s = [e.settle_s for e in ended if e.settle_s is not None]
    return Result(
        placed=len(ran.accepted),
        settled=sum(e.due <= received for e in ended),
        paid=sum(e.status == Status.PAID for e in ended),
        cancelled=sum(e.status == Status.CANCELLED for e in ended),
        mails=len(ran.settled.mails),
        violations=len(ran.wrong),
        accept_p50_ms=percentile_ms(accept_s, 50),
        accept_p99_ms=percentile_ms(accept_s, 99),
        settle_p50_ms=percentile_ms(settle_s, 50),
        settle_p99_ms=percentile_ms(settle_s, 99),
    )


def percentile_ms(seconds: Sequence[float], percent: int) -> float:
    """Give the least of the values that so many percent do not exceed; 0 if there are none."""
    if not seconds:
        return 0.0
    rank = max(1, math.ceil(len(seconds) * percent / 100))
    return round(1000 * sorted(seconds)[rank - 1], 1)


def _table(ran: Ran, result: Result) -> Table:
    table = Table(box=SIMPLE, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(justify="right")
    reasons = Counter(e.label for e in ran.ends.values() if e.status == Status.CANCELLED)
    table.add_row("placed", f"{result.placed:,}")
    table.add_row("paid", f"{result.paid:,}")
    for reason, count in reasons.most_common():
        table.add_row(f"cancelled, {reason}", f"{count:,}")
    table.add_row("mails received", f"{result.mails:,}")
    table.add_row("accept p50", f"{result.accept_p50_ms:,.1f} ms")
    table.add_row("accept p99", f"{result.accept_p99_ms:,.1f} ms")
    table.add_row("accept to paid p50", f"{result.settle_p50_ms:,.1f} ms")
    table.add_row("accept to paid p99", f"{result.settle_p99_ms:,.1f} ms")
    table.add_row("violations", f"{result.violations:,}")
    return table


def _show_timeline(console: Console, ran: Ran) -> None:
    """Show the order whose payment answer was lost."""
    cards = [wanted.order.payment_method for wanted in ran.sample.orders]
    number = cards.index(LOST_ANSWER_CARD)
    events, end = ran.settled.timelines[number], ran.settled.ends[number]
    mails = [mail for mail in ran.settled.mails if mail.message_id in end.due]
    title = f"Order {end.order_id}, whose answer from the gateway was lost:"
    timeline.show(console, title, events, mails)
    console.print()
