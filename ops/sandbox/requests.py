"""What a caller may ask of the gateway: form-encoded, and refused in Stripe's words."""

import re
from collections.abc import Mapping
from typing import Self
from urllib.parse import parse_qsl

import msgspec

from ops.sandbox import cards

# Stripe's largest amount for most currencies; its smallest, about 0.50 USD, is not imitated.
AMOUNT_MAX = 99_999_999
LIST_LIMIT = 10
LIST_LIMIT_MAX = 100
_FIELDS_MAX = 200
_METADATA = re.compile(r"metadata\[(.{1,40})\]")
_SEARCH = re.compile(r"""metadata\[(['"])(?P<name>[^'"]+)\1\]:(['"])(?P<value>[^'"]*)\3""")


class Rejected(Exception):
    """The gateway's error answer to a request that it did not execute."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        type_: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.type, self.message = status, type_, message
        self.code, self.param = code, param

    @classmethod
    def missing(cls, param: str, value: str) -> Self:
        """Say that there is no such object."""
        message = f"No such {param}: '{value[:100]}'"
        status = 400 if param == "payment_method" else 404
        return cls(message, status=status, code="resource_missing", param=param)


class ChargeRequest(msgspec.Struct, frozen=True, kw_only=True):
    """POST /v1/payment_intents with confirm=true and automatic capture."""

    amount: int
    currency: str
    payment_method: str
    error_on_requires_action: bool
    metadata: dict[str, str]


class RefundRequest(msgspec.Struct, frozen=True, kw_only=True):
    """POST /v1/refunds of a payment intent."""

    payment_intent: str
    amount: int | None
    metadata: dict[str, str]


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """GET of a list, newest first."""

    limit: int
    starting_after: str | None = None
    payment_intent: str | None = None  # only its refunds
    created: Mapping[str, int] = {}  # bounds by name: gt, gte, lt, lte


def form(body: bytes) -> dict[str, str]:
    """Parse a form body or a query string. Raises Rejected if it is none."""
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_FIELDS_MAX,
        )
    except ValueError as error:
        raise Rejected("The request is not form-encoded UTF-8.") from error
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise Rejected("A parameter was sent twice.")
    return fields


def charge(fields: dict[str, str]) -> ChargeRequest:
    """Read a charge. Raises Rejected for what Stripe refuses or the sandbox cannot do."""
    metadata = _metadata(fields)
    amount, currency = _amount(fields), fields.pop("currency", "")
    payment_method = fields.pop("payment_method", "")
    if not re.fullmatch("[a-z]{3}", currency):
        raise Rejected(f"Invalid currency: {currency[:10]}.", param="currency")
    if amount is None or not payment_method:
        missing = "payment_method" if amount else "amount"
        raise Rejected(
            f"Missing required param: {missing}.", code="parameter_missing", param=missing
        )
    if not cards.known(payment_method):
        raise Rejected.missing("payment_method", payment_method)
    _one_of(fields, "confirm", {"true"}, required=True)
    _one_of(fields, "capture_method", {"automatic", "automatic_async"})
    _one_of(fields, "automatic_payment_methods[enabled]", {"true"})
    _one_of(fields, "automatic_payment_methods[allow_redirects]", {"never", "always"})
    strict = _one_of(fields, "error_on_requires_action", {"true", "false"}) == "true"
    fields.pop("description", None)
    _nothing_left(fields)
    return ChargeRequest(
        amount=amount,
        currency=currency,
        payment_method=payment_method,
        error_on_requires_action=strict,
        metadata=metadata,
    )


def refund(fields: dict[str, str]) -> RefundRequest:
    """Read a refund. Raises Rejected for what Stripe refuses or the sandbox cannot do."""
    metadata, amount = _metadata(fields), _amount(fields)
    payment_intent = fields.pop("payment_intent", "")
    if not payment_intent:
        raise Rejected(
            "Missing required param: payment_intent.",
            code="parameter_missing",
            param="payment_intent",
        )
    _one_of(fields, "reason", {"duplicate", "fraudulent", "requested_by_customer"})
    _nothing_left(fields)
    return RefundRequest(payment_intent=payment_intent, amount=amount, metadata=metadata)


def page(fields: dict[str, str], *, of_refunds: bool = False) -> Page:
    """Read what part of a list is wanted. Raises Rejected for a limit or time that is none."""
    bounds = {
        name: _integer(fields.pop(f"created[{name}]"), "created", 0, 2**40)
        for name in ("gt", "gte", "lt", "lte")
        if f"created[{name}]" in fields
    }
    limit = _integer(fields.pop("limit", str(LIST_LIMIT)), "limit", 1, LIST_LIMIT_MAX)
    after = fields.pop("starting_after", None)
    payment_intent = fields.pop("payment_intent", None) if of_refunds else None
    _nothing_left(fields)
    return Page(limit=limit, starting_after=after, payment_intent=payment_intent, created=bounds)


def search(fields: dict[str, str]) -> tuple[str, str, int]:
    """Read a search: name and value of one metadata entry, and how many are wanted at most."""
    limit = _integer(fields.pop("limit", str(LIST_LIMIT)), "limit", 1, LIST_LIMIT_MAX)
    match = _SEARCH.fullmatch(fields.pop("query", ""))
    _nothing_left(fields)
    if match is None:
        raise Rejected("The sandbox searches only metadata['name']:'value'.", param="query")
    return match["name"], match["value"], limit


def _metadata(fields: dict[str, str]) -> dict[str, str]:
    named = [(field, match[1]) for field in fields if (match := _METADATA.fullmatch(field))]
    return {name: fields.pop(field) for field, name in named}


def _amount(fields: dict[str, str]) -> int | None:
    text = fields.pop("amount", None)
    if text is None:
        return None
    return _integer(text, "amount", 1, AMOUNT_MAX)


def _integer(text: str, param: str, least: int, most: int) -> int:
    if not re.fullmatch("[0-9]{1,12}", text, re.ASCII):
        raise Rejected(
            f"Invalid integer: {text[:20]}", code="parameter_invalid_integer", param=param
        )
    if not least <= int(text) <= most:
        code = f"{param}_too_small" if int(text) < least else f"{param}_too_large"
        raise Rejected(f"{param} must be from {least} to {most}.", code=code, param=param)
    return int(text)


def _one_of(
    fields: dict[str, str], param: str, allowed: set[str], *, required: bool = False
) -> str | None:
    value = fields.pop(param, None)
    if value in allowed or (value is None and not required):
        return value
    raise Rejected(
        f"The sandbox takes {param} only as {' or '.join(sorted(allowed))}.", param=param
    )


def _nothing_left(fields: dict[str, str]) -> None:
    for name in fields:
        raise Rejected(
            f"Received unknown parameter: {name[:60]}", code="parameter_unknown", param=name[:60]
        )
