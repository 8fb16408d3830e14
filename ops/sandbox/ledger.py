"""The gateway's ledger: one line for each executed operation, and what it says of each order."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from ops.sandbox.cards import Decline
from ops.sandbox.journal import whole_end

FILE = "gateway-ledger.jsonl"


class _Executed(msgspec.Struct, frozen=True, kw_only=True, tag_field="op", omit_defaults=True):
    """What an executed request left behind; its answer is rendered from this alone."""

    id: str
    at: int  # Unix time
    key: str = ""  # the idempotency key; empty if none was sent
    fingerprint: str = ""  # of the path and parameters the key was used with


class PaymentIntent(_Executed, frozen=True, kw_only=True, tag="payment_intent"):
    """A charge that was captured at once, unless `status` says otherwise."""

    amount: int
    currency: str
    payment_method: str
    status: str = "succeeded"
    decline: Decline | None = None
    metadata: dict[str, str] = {}

    @property
    def captured(self) -> int:
        """The amount that moved."""
        return self.amount if self.status == "succeeded" else 0


class Refund(_Executed, frozen=True, kw_only=True, tag="refund"):
    """Money given back."""

    payment_intent: str
    amount: int
    currency: str
    metadata: dict[str, str] = {}


class Refusal(_Executed, frozen=True, kw_only=True, tag="refusal"):
    """A request that was executed and refused; nothing moved, yet the key keeps the answer."""

    message: str
    code: str | None = None
    param: str | None = None


Entry = PaymentIntent | Refund | Refusal
decoder = msgspec.json.Decoder(Entry)


class Settlement(msgspec.Struct, kw_only=True):
    """What the gateway did for one order."""

    captured: int = 0  # in the gateway's smallest unit
    refunded: int = 0
    captures: int = 0
    currencies: set[str] = msgspec.field(default_factory=set[str])  # lower case; one if all is well
    attempts: list[str] = msgspec.field(default_factory=list[str])  # of the captures


def entries(folder: Path) -> Iterator[Entry]:
    """Read the ledger in a sandbox's folder, as far as its lines are whole; it may be in use."""
    path = folder / FILE
    if not path.exists():
        return
    left = whole_end(path)
    with path.open("rb") as file:
        while left > 0:
            line = file.readline()
            left -= len(line)
            yield decoder.decode(line)


def settlements(folder: Path) -> dict[str, Settlement]:
    """Sum up the ledger by order id, as the caller named it in metadata; '' if it did not."""
    orders: dict[str, Settlement] = {}
    order_of: dict[str, str] = {}
    for entry in entries(folder):
        match entry:
            case PaymentIntent(status="succeeded"):
                order_of[entry.id] = entry.metadata.get("order_id", "")
                order = orders.setdefault(order_of[entry.id], Settlement())
                order.captured += entry.amount
                order.captures += 1
                order.currencies.add(entry.currency)
                order.attempts.append(entry.metadata.get("attempt_id", ""))
            case Refund():
                # The capture says whose money it is, whatever the refund's own metadata claims.
                orders[order_of[entry.payment_intent]].refunded += entry.amount
            case PaymentIntent() | Refusal():
                pass
    return orders
