"""What the gateway tells of by itself: events in Stripe's shape, each made of a ledger's line."""

import msgspec

from ops.sandbox import shapes, standing
from ops.sandbox.books import Books
from ops.sandbox.entries import Authentication, Capture, Dispute, Entry, PaymentIntent, Void
from ops.sandbox.shapes import Shape
from ops.sandbox.standing import Payment, Refund, Standing

API_VERSION = "2026-10-28.endive"
_OF_STATUS = {
    standing.SUCCEEDED: "payment_intent.succeeded",
    standing.REQUIRES_CAPTURE: "payment_intent.amount_capturable_updated",
    standing.REQUIRES_ACTION: "payment_intent.requires_action",
    standing.REQUIRES_PAYMENT_METHOD: "payment_intent.payment_failed",
    standing.CANCELED: "payment_intent.canceled",
}
_REFUNDED = "charge.refunded"


class Event(msgspec.Struct, frozen=True):
    """One event, with its object as it stood then."""

    id: str
    type: str
    at: int
    object: Payment | Refund | Dispute

    def shape(self) -> Shape:
        """Render it."""
        about = self.object
        whole = (
            shapes.charge(about)
            if isinstance(about, Payment) and self.type == _REFUNDED
            else shapes.shape(about)
        )
        return {
            "id": self.id,
            "object": "event",
            "api_version": API_VERSION,
            "created": self.at,
            "data": {"object": whole},
            "livemode": False,
            "pending_webhooks": 0,
            "request": {"id": None, "idempotency_key": None},
            "type": self.type,
        }


def of(entry: Entry, stands: Standing, books: Books) -> list[Event]:
    """Return what an entry is told of, under the same ids whenever the ledger is read."""
    match stands:
        case Payment() if isinstance(entry, PaymentIntent | Authentication | Capture | Void):
            return [_event(entry, 0, _OF_STATUS[stands.status], stands)]
        case Refund() if entry.id == stands.id:
            payment = books.payments.get(stands.made.payment_intent)
            return [
                _event(entry, 0, "refund.created", stands),
                _event(entry, 1, _REFUNDED, payment),
            ]
        case Refund():
            failed = [_event(entry, 1, "refund.failed", stands)] * (stands.status == "failed")
            return [_event(entry, 0, "refund.updated", stands), *failed]
        case Dispute():
            return [_event(entry, 0, "charge.dispute.created", stands)]
        case _:
            return []


def _event(entry: Entry, n: int, kind: str, about: Payment | Refund | Dispute) -> Event:
    return Event(f"evt_{entry.id.partition('_')[2]}{n}", kind, entry.at, about)
