"""The gateway's books in memory: what was executed, and what may still be."""

import operator
import secrets
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import TypeVar

from ops.sandbox import cards
from ops.sandbox.ledger import Entry, PaymentIntent, Refund, Refusal
from ops.sandbox.requests import ChargeRequest, Page, RefundRequest, Rejected

_T = TypeVar("_T", PaymentIntent, Refund)
_BOUNDS: Mapping[str, Callable[[int, int], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


class Books:
    """Every entry of the ledger, found by id, key and metadata."""

    def __init__(self) -> None:
        self.by_key: dict[str, Entry] = {}
        self.payments: list[PaymentIntent] = []
        self.refunds: list[Refund] = []
        self._payment_at: dict[str, int] = {}
        self._refund_at: dict[str, int] = {}
        self._refunded: dict[str, int] = {}
        self._by_metadata: dict[tuple[str, str], list[PaymentIntent]] = {}

    def enter(self, entry: Entry) -> None:
        """Take an entry in; the only place that changes the books."""
        if entry.key:
            self.by_key[entry.key] = entry
        match entry:
            case PaymentIntent():
                self._payment_at[entry.id] = len(self.payments)
                self.payments.append(entry)
                for pair in entry.metadata.items():
                    self._by_metadata.setdefault(pair, []).append(entry)
            case Refund():
                self._refund_at[entry.id] = len(self.refunds)
                self.refunds.append(entry)
                before = self._refunded.get(entry.payment_intent, 0)
                self._refunded[entry.payment_intent] = before + entry.amount
            case Refusal():
                pass

    def get(self, payment_intent: str) -> PaymentIntent:
        """Return a payment. Raises Rejected if there is none."""
        position = self._payment_at.get(payment_intent)
        if position is None:
            raise Rejected.missing("payment_intent", payment_intent)
        return self.payments[position]

    def search(self, name: str, value: str) -> Sequence[PaymentIntent]:
        """Return the payments whose metadata has a value, oldest first."""
        return self._by_metadata.get((name, value), [])

    def payments_page(self, wanted: Page) -> tuple[Sequence[PaymentIntent], bool]:
        """Return payments, newest first, and whether there are more."""
        return _page(self.payments, self._payment_at, wanted)

    def refunds_page(self, wanted: Page) -> tuple[Sequence[Refund], bool]:
        """Return refunds, newest first, and whether there are more."""
        return _page(self.refunds, self._refund_at, wanted)

    def charge(self, asked: ChargeRequest, *, key: str, fingerprint: str, at: int) -> Entry:
        """Decide a charge."""
        status, decline = "succeeded", cards.DECLINES.get(asked.payment_method)
        if asked.payment_method == cards.AUTHENTICATION_REQUIRED:
            status = "requires_action"
            decline = cards.NEEDS_AUTHENTICATION if asked.error_on_requires_action else None
        return PaymentIntent(
            id=f"pi_{secrets.token_hex(12)}",
            at=at,
            key=key,
            fingerprint=fingerprint,
            amount=asked.amount,
            currency=asked.currency,
            payment_method=asked.payment_method,
            status="requires_payment_method" if decline else status,
            decline=decline,
            metadata=asked.metadata,
        )

    def refund(self, asked: RefundRequest, *, key: str, fingerprint: str, at: int) -> Entry:
        """Decide a refund: never more than what was captured and not yet given back.

        Raises Rejected if there is no such payment.
        """
        payment = self.get(asked.payment_intent)
        left = payment.captured - self._refunded.get(payment.id, 0)
        amount = left if asked.amount is None else asked.amount
        refusal = _refusal(payment, left, amount)
        if refusal:
            code, message = refusal
            return Refusal(
                id=f"err_{secrets.token_hex(12)}",
                at=at,
                key=key,
                fingerprint=fingerprint,
                code=code,
                message=message,
                param="amount" if code is None else None,
            )
        return Refund(
            id=f"re_{secrets.token_hex(12)}",
            at=at,
            key=key,
            fingerprint=fingerprint,
            payment_intent=payment.id,
            amount=amount,
            currency=payment.currency,
            metadata=asked.metadata,
        )


def _refusal(payment: PaymentIntent, left: int, amount: int) -> tuple[str | None, str] | None:
    if payment.captured == 0:
        message = f"This PaymentIntent ({payment.id}) does not have a successful charge to refund."
        return "payment_intent_unexpected_state", message
    if left == 0:
        return "charge_already_refunded", f"Charge of {payment.id} has already been refunded."
    if amount > left:
        message = f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})."
        return None, message
    return None


def _page(objects: list[_T], at: Mapping[str, int], wanted: Page) -> tuple[list[_T], bool]:
    end = len(objects)
    if wanted.starting_after is not None:
        if wanted.starting_after not in at:
            raise Rejected.missing("starting_after", wanted.starting_after)
        end = at[wanted.starting_after]
    older = (objects[position] for position in range(end - 1, -1, -1))
    fitting = (
        each
        for each in older
        if all(_BOUNDS[name](each.at, bound) for name, bound in wanted.created.items())
        and wanted.payment_intent in {None, _paid(each)}
    )
    some = list(islice(fitting, wanted.limit + 1))
    return some[: wanted.limit], len(some) > wanted.limit


def _paid(each: PaymentIntent | Refund) -> str:
    return each.id if isinstance(each, PaymentIntent) else each.payment_intent
