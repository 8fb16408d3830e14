"""Payment methods the gateway knows: Stripe's test cards, and ours that break the answer."""

import re
from enum import StrEnum

import msgspec

# An answer later than this is of no use to anybody; a larger number is a typing error.
_DELAY_MS_MAX = 120_000
_DELAY = re.compile(r"pm_sandbox_delay_(\d{1,6})")
_NOT_FOUND_YET = re.compile(r"pm_sandbox_not_found_yet_(\d{1,4})")
_EXPIRING = re.compile(r"pm_card_visa_expiring_(\d{1,6})")
_REFUND = re.compile(r"pm_card_(pendingRefund|refundFail)(?:_(\d{1,6}))?")
# Stripe holds money on most cards for a week.
_HOLD_S = 7 * 24 * 3600
# Short enough to wait for, long enough to see a refund pending.
_REFUND_SETTLES_S = 2


class Decline(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why the issuer says no, in Stripe's words."""

    code: str
    message: str
    decline_code: str | None = None


class Fault(StrEnum):
    """What goes wrong the first time a key is used; the second time, nothing does."""

    ERROR_500 = "pm_sandbox_error_500"  # nothing is executed, 500
    RATE_LIMITED = "pm_sandbox_rate_limited"  # nothing is executed, 429
    CHARGED_THEN_TIMEOUT = "pm_sandbox_charged_then_timeout"  # no answer for 60 s
    CHARGED_THEN_RESET = "pm_sandbox_charged_then_reset"  # the connection is reset
    CHARGED_THEN_500 = "pm_sandbox_charged_then_500"
    CHARGED_THEN_TRUNCATED = "pm_sandbox_charged_then_truncated"  # half of the JSON
    CHARGED_THEN_WRONG_AMOUNT = "pm_sandbox_charged_then_wrong_amount"
    CHARGED_THEN_WRONG_ATTEMPT = "pm_sandbox_charged_then_wrong_attempt"  # of another attempt


_ISSUER = "Your card was declined."
GOOD = frozenset(
    f"pm_card_{brand}"
    for brand in ("visa", "visa_debit", "mastercard", "mastercard_debit", "amex", "discover", "jcb")
)
NEED_AUTHENTICATION = frozenset(
    f"pm_card_{name}"
    for name in ("authenticationRequired", "threeDSecure2Required", "threeDSecureRequired")
)
DISPUTED = "pm_card_createDispute"
# Whatever is told of its payments, look-ups too, is of one unit more: nobody can tell what is so.
MISSTATED = "pm_sandbox_misstated"

_REASONS = {
    "": Decline("card_declined", _ISSUER, "generic_decline"),
    "InsufficientFunds": Decline(
        "card_declined", "Your card has insufficient funds.", "insufficient_funds"
    ),
    "LostCard": Decline("card_declined", _ISSUER, "lost_card"),
    "StolenCard": Decline("card_declined", _ISSUER, "stolen_card"),
    "VelocityLimitExceeded": Decline("card_declined", _ISSUER, "card_velocity_exceeded"),
    "ExpiredCard": Decline("expired_card", "Your card has expired."),
    "IncorrectCvc": Decline("incorrect_cvc", "Your card's security code is incorrect."),
    "ProcessingError": Decline(
        "processing_error", "An error occurred while processing your card. Try again later."
    ),
}
# Stripe spells some with the brand and some without; both spellings of each are taken.
DECLINES = {
    f"pm_card_{brand}chargeDeclined{name}": decline
    for name, decline in _REASONS.items()
    for brand in ("", "visa_")
}
NEEDS_AUTHENTICATION = Decline(
    "authentication_required",
    "Your card was declined. This transaction requires authentication.",
    "authentication_required",
)


AUTHENTICATION_FAILED = Decline(
    "payment_intent_authentication_failure",
    "The provided PaymentMethod has failed authentication.",
)


class RefundFate(msgspec.Struct, frozen=True):
    """What becomes of the refunds of a payment method, and after how many seconds."""

    first: str
    then: str
    after_s: int


def known(payment_method: str) -> bool:
    """Say whether the gateway has such a payment method."""
    return (
        payment_method in GOOD
        or payment_method in DECLINES
        or payment_method in NEED_AUTHENTICATION
        or payment_method in {DISPUTED, MISSTATED}
        or fault(payment_method) is not None
        or delay_s(payment_method) is not None
        or any(each.fullmatch(payment_method) for each in (_NOT_FOUND_YET, _EXPIRING, _REFUND))
    )


def fault(payment_method: str) -> Fault | None:
    """Return what is to go wrong, if this payment method is one of ours."""
    return _FAULTS.get(payment_method)


def delay_s(payment_method: str) -> float | None:
    """Return how long the gateway sleeps before it executes, if the payment method says so."""
    match = _DELAY.fullmatch(payment_method)
    if match is None or int(match[1]) > _DELAY_MS_MAX:
        return None
    return int(match[1]) / 1000


def hidden_s(payment_method: str) -> int:
    """Return for how long searches and lists do not find its payments."""
    match = _NOT_FOUND_YET.fullmatch(payment_method)
    return int(match[1]) if match else 0


def told(payment_method: str, amount: int) -> int:
    """Return the amount that is told of a payment."""
    return amount + (payment_method == MISSTATED)


def hold_s(payment_method: str) -> int:
    """Return for how long an authorization holds the money."""
    match = _EXPIRING.fullmatch(payment_method)
    return int(match[1]) if match else _HOLD_S


def refund_fate(payment_method: str) -> RefundFate | None:
    """Return what becomes of its refunds; None if they simply succeed."""
    match = _REFUND.fullmatch(payment_method)
    if match is None:
        return None
    after_s = int(match[2] or _REFUND_SETTLES_S)
    if match[1] == "pendingRefund":
        return RefundFate("pending", "succeeded", after_s)
    return RefundFate("succeeded", "failed", after_s)


_FAULTS = {fault.value: fault for fault in Fault}
