"""The gateway's books in memory: every payment, refund and dispute as it stands."""

import heapq
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

import msgspec

from ops.sandbox import cards, pages, standing
from ops.sandbox.entries import (
    Authentication,
    Capture,
    Dispute,
    Entry,
    PaymentIntent,
    RefundMoved,
    Refusal,
    Void,
)
from ops.sandbox.forms import Rejected
from ops.sandbox.pages import Listed, Page
from ops.sandbox.standing import Payment, Refund, Refused, Standing, Taken

_T = TypeVar("_T", bound=Listed)


class Shelf(Generic[_T]):
    """Objects of one kind, oldest first, each as it stands now."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._objects: list[_T] = []
        self._at: dict[str, int] = {}

    def __iter__(self) -> Iterator[_T]:
        return iter(self._objects)

    def put(self, each: _T) -> None:
        """Add an object, or replace the one with its id."""
        at = self._at.setdefault(each.id, len(self._objects))
        if at < len(self._objects):
            self._objects[at] = each
        else:
            self._objects.append(each)

    def get(self, name: str) -> _T:
        """Return an object by its id. Raises Rejected if there is none."""
        at = self._at.get(name)
        if at is None:
            raise Rejected.missing(self._kind, name)
        return self._objects[at]

    def page(
        self, wanted: Page, fits: Callable[[_T], bool] = lambda _: True
    ) -> tuple[list[_T], bool]:
        """Return objects, newest first, and whether there are more."""
        return pages.cut(wanted, self._objects, self._at, fits)


class Books:
    """All that the ledger says, found by id, key and metadata."""

    def __init__(self) -> None:
        self.by_key: dict[str, tuple[Entry, Standing]] = {}
        self.payments = Shelf[Payment]("payment_intent")
        self.refunds = Shelf[Refund]("refund")
        self.disputes = Shelf[Dispute]("dispute")
        # What happens by itself: Unix time, and the id of the payment or refund it happens to.
        self.agenda: list[tuple[int, str]] = []
        self._by_metadata: dict[tuple[str, str], list[str]] = {}

    def transactions(self) -> Shelf[Taken]:
        """Gather all money that came in, oldest first."""
        shelf = Shelf[Taken]("balance_transaction")
        taken = (each for payment in self.payments for each in payment.taken)
        for each in sorted(taken, key=lambda each: each.at):
            shelf.put(each)
        return shelf

    def enter(self, entry: Entry) -> Standing:
        """Take an entry in and return how things stand then; only this changes the books."""
        stands = self._apply(entry)
        if entry.key:
            self.by_key[entry.key] = (entry, stands)
        return stands

    def search(self, name: str, value: str) -> Iterator[Payment]:
        """Return the payments whose metadata has a value, newest first."""
        ids = dict.fromkeys(reversed(self._by_metadata.get((name, value), [])))
        found = (self.payments.get(each) for each in ids)
        return (payment for payment in found if payment.metadata.get(name) == value)

    def _apply(self, entry: Entry) -> Standing:
        match entry:
            case PaymentIntent():
                return self._put(standing.made(entry))
            case Authentication() | Capture() | Void():
                return self._put(self._moved(entry))
            case Dispute():
                self.disputes.put(entry)
                payment = self.payments.get(entry.payment_intent)
                disputed = payment.disputed + entry.amount
                self.payments.put(msgspec.structs.replace(payment, disputed=disputed))
                return entry
            case Refusal():
                told = entry.payment_intent
                return Refused(entry, self.payments.get(told) if told else None)
            case RefundMoved():
                before = self.refunds.get(entry.refund)
                return self._give_back(Refund(before.made, entry.status), before.status)
            case _:
                payment = self.payments.get(entry.payment_intent)
                if fate := cards.refund_fate(payment.made.payment_method):
                    heapq.heappush(self.agenda, (entry.at + fate.after_s, entry.id))
                return self._give_back(Refund(entry, entry.status), "failed")

    def _moved(self, entry: Authentication | Capture | Void) -> Payment:
        payment = self.payments.get(entry.payment_intent)
        match entry:
            case Authentication():
                return standing.authenticated(payment, entry)
            case Capture():
                return standing.captured(payment, entry)
            case Void():
                return standing.voided(payment, entry)

    def _put(self, payment: Payment) -> Payment:
        self.payments.put(payment)
        # What was removed or replaced is still found here, so a search looks again.
        for pair in payment.metadata.items():
            ids = self._by_metadata.setdefault(pair, [])
            if not ids or ids[-1] != payment.id:
                ids.append(payment.id)
        if payment.capturable:
            heapq.heappush(self.agenda, (payment.capture_before, payment.id))
        if payment.captured and payment.made.payment_method == cards.DISPUTED:
            heapq.heappush(self.agenda, (payment.taken[-1].at, payment.id))
        return payment

    def _give_back(self, refund: Refund, before: str) -> Refund:
        """Count a refund, which a failed one does not do any more."""
        self.refunds.put(refund)
        change = refund.made.amount * ((refund.status != "failed") - (before != "failed"))
        payment = self.payments.get(refund.made.payment_intent)
        refunded = payment.refunded + change
        self.payments.put(msgspec.structs.replace(payment, refunded=refunded))
        return refund
