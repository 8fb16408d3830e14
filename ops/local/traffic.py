"""Invoices as requests: their orders are placed, and cancelled where a later invoice undoes one."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from domain.address import Address
from ops.local import countries
from ops.local.client import Accepted, Client, Item, NewOrder, Refused
from ops.local.crowd import each
from ops.local.entries import email, sku
from ops.local.invoices import Invoice
from ops.local.progress import Progress

AT_ONCE = 32
CURRENCY = "GBP"
_CARD = "pm_card_visa"
# The file knows no addresses, and an order needs one.
_NOT_IN_THE_FILE = "not in the file"


class Moved(msgspec.Struct):
    """What came of the invoices that were sent, by their numbers."""

    accepted: dict[str, Accepted] = msgspec.field(default_factory=dict[str, Accepted])
    refused: dict[str, Refused] = msgspec.field(default_factory=dict[str, Refused])
    # Orders by what undid them.
    cancelled_by: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    unmatched: list[str] = msgspec.field(default_factory=list[str])


class Traffic:
    """Sends invoices in the order of their time.

    `speed` is a factor of the file's own time; without it each goes as soon as there is room.
    """

    def __init__(self, client: Client, run: str, speed: float | None) -> None:
        self.moved = Moved()
        self._client = client
        self._run = run
        self._speed = speed
        self._answers: dict[str, asyncio.Future[Accepted | None]] = {}

    async def send(self, invoices: Sequence[Invoice], progress: Progress) -> None:
        """Send invoices, none of which is refused, sorted by their time."""
        loop = asyncio.get_running_loop()
        undoes = undoable(invoices)
        self._answers = {i.number: loop.create_future() for i in invoices if not i.cancels}
        began, first = loop.time(), next((i.at for i in invoices if i.at), None)

        async def act(invoice: Invoice) -> None:
            await asyncio.sleep(max(0.0, began + self._offset_s(invoice, first) - loop.time()))
            if invoice.cancels:
                await self._cancel(invoice, undoes[invoice.number])
            else:
                await self._place(invoice)
            progress.advance()

        await each(invoices, act, at_once=AT_ONCE)

    def _offset_s(self, invoice: Invoice, first: datetime | None) -> float:
        if self._speed is None or invoice.at is None or first is None:
            return 0.0
        return (invoice.at - first).total_seconds() / self._speed

    async def _place(self, invoice: Invoice) -> None:
        accepted = None
        try:
            key = f"replay-{self._run}-{sku(invoice.number)}"
            accepted = await self._client.place(order(invoice), key=key)
            self.moved.accepted[invoice.number] = accepted
        except Refused as refused:
            self.moved.refused[invoice.number] = refused
        self._answers[invoice.number].set_result(accepted)

    async def _cancel(self, invoice: Invoice, earlier: Sequence[str]) -> None:
        """Cancel the first of the earlier orders that was accepted and not yet cancelled."""
        for number in earlier:
            accepted = await self._answers[number]
            if accepted is not None and number not in self.moved.cancelled_by:
                self.moved.cancelled_by[number] = invoice.number
                await self._client.cancel(accepted.id)
                return
        self.moved.unmatched.append(invoice.number)


def undoable(invoices: Sequence[Invoice]) -> dict[str, list[str]]:
    """Name for each cancellation the orders that it may undo as a whole, the latest first.

    These are earlier ones of the same customer with the same quantities of the same SKUs.
    """
    earlier: dict[tuple[str, frozenset[tuple[str, int]]], list[str]] = {}
    found: dict[str, list[str]] = {}
    for invoice in invoices:
        content = (invoice.customer, frozenset(invoice.quantities.items()))
        if invoice.cancels:
            known = invoice.customer and invoice.quantities
            found[invoice.number] = earlier.get(content, [])[::-1] if known else []
        else:
            earlier.setdefault(content, []).append(invoice.number)
    return found


def order(invoice: Invoice) -> NewOrder:
    """Make an order of an invoice, with one line for each of its codes."""
    who = f"Customer {invoice.customer}" if invoice.customer else f"Guest of {invoice.number}"
    return NewOrder(
        email=email(invoice.customer, invoice.number),
        currency=CURRENCY,
        lines=[Item(sku, quantity) for sku, quantity in invoice.quantities.items()],
        payment_method=_CARD,
        ship_to=Address(
            name=who[:200],
            line1=_NOT_IN_THE_FILE,
            city=invoice.country or _NOT_IN_THE_FILE,
            postcode="-",
            country=countries.code(invoice.country),
        ),
    )


def unknown_countries(invoices: Sequence[Invoice]) -> Mapping[str, int]:
    """Count invoices by names of countries that have no code."""
    counts: dict[str, int] = {}
    for invoice in invoices:
        if not invoice.refused and countries.code(invoice.country) == countries.UNKNOWN:
            name = invoice.country or "(none)"
            counts[name] = counts.get(name, 0) + 1
    return counts
