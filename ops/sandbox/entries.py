"""The lines of the gateway's ledger: one for each executed operation."""

import msgspec

from ops.sandbox.cards import Decline


class _Executed(msgspec.Struct, frozen=True, kw_only=True, tag_field="op", omit_defaults=True):
    """What an executed request left behind; its answer is rendered from such lines alone."""

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
    fee: int = 0
    manual: bool = False  # captured by requests of its own
    multicapture: bool = False
    capture_before: int = 0  # Unix time; 0 if nothing is held


class Authentication(_Executed, frozen=True, kw_only=True, tag="authentication"):
    """The customer passed 3-D Secure or did not."""

    payment_intent: str
    status: str
    decline: Decline | None = None
    fee: int = 0
    capture_before: int = 0


class Capture(_Executed, frozen=True, kw_only=True, tag="capture"):
    """Held money taken; a final capture releases what is left."""

    payment_intent: str
    amount: int
    fee: int = 0
    final: bool = True
    metadata: dict[str, str] = {}  # merged into the payment's; an empty value removes


class Void(_Executed, frozen=True, kw_only=True, tag="void"):
    """Held money released; reason `automatic` if the authorization ran out."""

    payment_intent: str
    reason: str | None = None


class Refund(_Executed, frozen=True, kw_only=True, tag="refund"):
    """Money given back."""

    payment_intent: str
    amount: int
    currency: str
    metadata: dict[str, str] = {}
    reason: str | None = None
    status: str = "succeeded"


class RefundMoved(_Executed, frozen=True, kw_only=True, tag="refund_moved"):
    """The bank's last word on a refund."""

    refund: str
    status: str


class Dispute(_Executed, frozen=True, kw_only=True, tag="dispute"):
    """The cardholder wants the money back from the bank."""

    payment_intent: str
    amount: int
    currency: str
    reason: str = "fraudulent"


class Refusal(_Executed, frozen=True, kw_only=True, tag="refusal"):
    """A request that was executed and refused; nothing moved, yet the key keeps the answer."""

    message: str
    code: str | None = None
    param: str | None = None
    payment_intent: str | None = None  # told with the refusal
    status: int = 400


Entry = PaymentIntent | Authentication | Capture | Void | Refund | RefundMoved | Dispute | Refusal
decoder = msgspec.json.Decoder(Entry)
