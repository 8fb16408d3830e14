"""`make replay FILE=...`: the invoices of a CSV file, sent through the public API."""

import argparse
import asyncio
import csv
import math
import secrets
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from domain.event import CancelReason
from domain.status import Status
from ops.local import audit, settling
from ops.local.access import Access, running_or_own
from ops.local.assortment import Assortment, assort
from ops.local.audit import NotSettled
from ops.local.client import PlatformFailed, Refused, connected
from ops.local.entries import REASONS
from ops.local.interrupt import run_until_told
from ops.local.invoices import FileUnusable, Sales, load
from ops.local.progress import shown
from ops.local.seeding import seed, size
from ops.local.settling import Observer, Settled, observing
from ops.local.state import DEFAULT_STATE, CannotStart
from ops.local.traffic import AT_ONCE, Moved, Traffic, unknown_countries

MAX = "max"
# What an interrupted run left over is done by then, unless somebody has to look at it.
_LEFTOVER_PATIENCE_S = 15.0
_LOG = "replay.log"
_REFUSED = "replay-refused.csv"
_WRONG_SHOWN_MAX = 20
_INTERRUPTED = 130


class Cancellations(msgspec.Struct, frozen=True):
    applied: int
    unmatched: int


class Result(msgspec.Struct, frozen=True):
    """The last line; every invoice is accepted, refused or a cancellation.

    `prices` are those of weeks in which something did not cost what it mostly does, `customers`
    those of accepted orders whom the file tells apart.
    """

    categories: int
    products: int
    variants: int
    price_lists: int
    prices: int
    customers: int
    invoices: int
    accepted: int
    refused: Mapping[str, int]
    cancellations: Cancellations
    paid: int
    cancelled: int
    violations: int
    orders_per_s: float


class Ran(msgspec.Struct, frozen=True):
    """A replay that came to its end; `seconds` are from the first order to the last at rest."""

    sales: Sales
    assortment: Assortment
    moved: Moved
    settled: Settled
    seconds: float


def main(arguments: list[str]) -> int:
    """Replay a file; 0 only if every order ended as it must and nothing is broken."""
    parser = argparse.ArgumentParser(prog="python -m ops.local replay", description=__doc__)
    parser.add_argument("file", type=Path, help="CSV in the columns of the Online Retail data set")
    parser.add_argument("speed", nargs="?", type=_speed, help="max, or a factor of its own time")
    parser.add_argument("--state", type=Path, default=DEFAULT_STATE, help="folder of all state")
    given = parser.parse_args(arguments)
    console = Console(highlight=False)
    try:
        sales = load(given.file)
    except FileUnusable as error:
        raise CannotStart(str(error)) from error
    result = run_until_told(_replay(given.state, sales, given.speed, console))
    if result is None:
        sys.stderr.write("Interrupted.\n")
        return _INTERRUPTED
    sys.stdout.write(f"{msgspec.json.encode(result).decode()}\n")
    return 0 if result.violations == 0 else 1


def _speed(text: str) -> float | None:
    """Read SPEED; None stands for as fast as possible."""
    if text == MAX:
        return None
    try:
        factor = float(text)
    except ValueError:
        factor = 0.0
    if not 0 < factor < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is neither {MAX} nor a factor such as 1000")
    return factor


async def _replay(state: Path, sales: Sales, speed: float | None, console: Console) -> Result:
    async with running_or_own(state, _LOG, console) as access:
        try:
            ran = await run(access, sales, speed, console)
        except (PlatformFailed, Refused, NotSettled) as failure:
            raise CannotStart(f"The replay failed. {failure}") from failure
        wrong = what_is_wrong(ran)
        result = summary(ran, violations=len(wrong))
        await asyncio.to_thread(_file_refusals, state / _REFUSED, ran)
        _tell(console, ran, result, wrong, state / _REFUSED)
    return result


async def run(access: Access, sales: Sales, speed: float | None, console: Console) -> Ran:
    """Seed the catalogue, send the invoices, wait for the orders' ends and read them back.

    Raises PlatformFailed, Refused or NotSettled.
    """
    connection = connected(access.url, admin_api_key=access.admin_api_key, connections=AT_ONCE)
    sent = [invoice for invoice in sales.invoices if invoice.cancels or not invoice.refused]
    loop = asyncio.get_running_loop()
    async with observing(access) as observer, connection as client:
        await _let_leftovers_end(observer, console)
        assortment = assort(sales.articles)
        with shown(console, "Seeding the catalogue", size(assortment, sales.articles)) as progress:
            await seed(client, assortment, sales.articles, progress)
        traffic, began = Traffic(client, secrets.token_hex(3), speed), loop.time()
        with shown(console, "Sending invoices", len(sent)) as progress:
            await traffic.send(sent, progress)
        placed = list(traffic.moved.accepted.values())
        await settling.wait(observer, placed, console)
        seconds = loop.time() - began
        settled = await settling.read_back(observer, client, placed, console)
    return Ran(sales, assortment, traffic.moved, settled, seconds)


async def _let_leftovers_end(observer: Observer, console: Console) -> None:
    """Wait for orders of an interrupted run, which would take of the stock that is now set."""
    try:
        await audit.rest(observer.database, patience_s=_LEFTOVER_PATIENCE_S)
    except NotSettled as leftovers:
        console.print(f"Going on although {leftovers}", markup=False, soft_wrap=True)


def what_is_wrong(ran: Ran) -> list[str]:
    """Say which orders did not end as they must, which promises broke, and what got lost."""
    found = list(ran.settled.wrong)
    for number, end in zip(ran.moved.accepted, ran.settled.ends, strict=True):
        undone = number in ran.moved.cancelled_by
        expected = CancelReason.CUSTOMER.value if undone else Status.PAID.value
        if end.label != expected:
            found.append(
                f"Order {end.order_id} of invoice {number} must end as {expected}, "
                f"but is {end.label}."
            )
    cancellations = len(ran.moved.cancelled_by) + len(ran.moved.unmatched)
    known = len(ran.moved.accepted) + refusals(ran).total() + cancellations
    if known != len(ran.sales.invoices):
        found.append(f"Of {len(ran.sales.invoices)} invoices {known} are accounted for.")
    return found


def refusals(ran: Ran) -> Counter[str]:
    """Count refused invoices by reason: one of ours, or the code of the API."""
    ours = (i.refused for i in ran.sales.invoices if i.refused and not i.cancels)
    return Counter((*ours, *(refused.code for refused in ran.moved.refused.values())))


def summary(ran: Ran, *, violations: int) -> Result:
    """Sum a replay up."""
    statuses = Counter(end.status for end in ran.settled.ends)
    accepted = {i.customer for i in ran.sales.invoices if i.number in ran.moved.accepted}
    return Result(
        categories=len(ran.assortment.categories),
        products=len(ran.assortment.products),
        variants=len(ran.sales.articles),
        price_lists=len(ran.assortment.price_lists),
        prices=sum(len(each.prices) for each in ran.assortment.price_lists),
        customers=len(accepted - {""}),
        invoices=len(ran.sales.invoices),
        accepted=len(ran.moved.accepted),
        refused=dict(refusals(ran).most_common()),
        cancellations=Cancellations(len(ran.moved.cancelled_by), len(ran.moved.unmatched)),
        paid=statuses[Status.PAID],
        cancelled=statuses[Status.CANCELLED],
        violations=violations,
        orders_per_s=round(len(ran.moved.accepted) / ran.seconds, 1) if ran.seconds else 0.0,
    )


def _file_refusals(path: Path, ran: Ran) -> None:
    """Write down every line and invoice that was refused, with its reason."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("line", "invoice", "reason", "detail"))
        writer.writerows(_refused_rows(ran))


def _refused_rows(ran: Ran) -> Iterator[tuple[int | str, str, str, str]]:
    for line in ran.sales.refused_lines:
        yield line.line, line.invoice, line.reason, REASONS[line.reason]
    for invoice in ran.sales.invoices:
        if invoice.refused and not invoice.cancels:
            yield "all", invoice.number, invoice.refused, REASONS[invoice.refused]
    for number, refused in ran.moved.refused.items():
        yield "all", number, refused.code, refused.detail


def _tell(console: Console, ran: Ran, result: Result, wrong: Sequence[str], refused: Path) -> None:
    table = Table(box=SIMPLE, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(justify="right")
    table.add_row("categories", f"{result.categories:,}")
    table.add_row("products", f"{result.products:,}")
    table.add_row("variants of them", f"{result.variants:,}")
    table.add_row("price lists, by week", f"{result.price_lists:,}")
    table.add_row("prices in them", f"{result.prices:,}")
    table.add_row("customers", f"{result.customers:,}")
    table.add_row("invoices", f"{result.invoices:,}")
    table.add_row("accepted", f"{result.accepted:,}")
    for reason, count in result.refused.items():
        table.add_row(f"refused, {reason}", f"{count:,}")
    table.add_row("cancellations, applied", f"{result.cancellations.applied:,}")
    table.add_row("cancellations, unmatched", f"{result.cancellations.unmatched:,}")
    table.add_row("orders paid", f"{result.paid:,}")
    table.add_row("orders cancelled", f"{result.cancelled:,}")
    table.add_row("mails received", f"{len(ran.settled.mails):,}")
    table.add_row("orders a second, settled", f"{result.orders_per_s:,.1f}")
    for reason, count in Counter(line.reason for line in ran.sales.refused_lines).most_common():
        table.add_row(f"lines refused, {reason}", f"{count:,}")
    for name, count in unknown_countries(ran.sales.invoices).items():
        table.add_row(f"orders shipped to ZZ, country {name}", f"{count:,}")
    table.add_row("violations", f"{result.violations:,}")
    console.print(table)
    console.print(f"Every refusal is in {refused}.", soft_wrap=True)
    for text in wrong[:_WRONG_SHOWN_MAX]:
        console.print(f"Wrong: {text}", style="red", markup=False, soft_wrap=True)
