"""Problems (RFC 9457) as they are answered, and the refusals of the HTTP edge itself."""

from collections.abc import Mapping
from typing import ClassVar

import msgspec
from litestar import Response

from api.codes import KINDS
from domain.refusal import Refusal

MEDIA_TYPE = "application/problem+json"


class FieldError(msgspec.Struct, frozen=True):
    """One input at fault; `field` is its path, e.g. `lines[0].quantity`."""

    field: str
    detail: str


class Costs(msgspec.Struct, frozen=True):
    """What an order would cost now: goods less discount, plus shipping, plus tax if not in it."""

    goods_minor: int
    discount_minor: int
    shipping_minor: int
    tax_minor: int
    tax_included: bool
    total_minor: int


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why there is no better answer; `code` is what programs should go by."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    errors: tuple[FieldError, ...] = ()
    violated_policies: tuple[str, ...] = msgspec.field(default=(), name="violated-policies")
    quote: Costs | None = None


def problem(
    code: str,
    detail: str | None = None,
    errors: tuple[FieldError, ...] = (),
    *,
    violated_policies: tuple[str, ...] = (),
) -> Problem:
    """Make a problem; without a detail it tells the remedy."""
    kind = KINDS[code]
    return Problem(
        kind.type or f"/problems/{code}",
        kind.title,
        kind.status,
        code,
        detail or kind.remedy,
        errors,
        violated_policies,
    )


def answer(content: Problem, headers: Mapping[str, str] | None = None) -> Response[bytes]:
    """Render a problem with the headers its code calls for."""
    return Response(
        msgspec.json.encode(content),
        status_code=content.status,
        headers={**KINDS[content.code].headers, **(headers or {})},
        media_type=MEDIA_TYPE,
    )


class InvalidRequest(Refusal):
    """The body, a parameter or a header is not what was asked for."""

    code: ClassVar[str] = "invalid_request"


class InvalidCursor(Refusal):
    """The cursor was not made here."""

    code: ClassVar[str] = "invalid_cursor"


class IdempotencyKeyMissing(Refusal):
    """The creation has no Idempotency-Key."""

    code: ClassVar[str] = "idempotency_key_missing"


class IdempotencyKeyInvalid(Refusal):
    """The Idempotency-Key is empty, too long or not printable ASCII."""

    code: ClassVar[str] = "idempotency_key_invalid"


class IdempotencyInProgress(Refusal):
    """The first request with this Idempotency-Key has not been answered yet."""

    code: ClassVar[str] = "idempotency_in_progress"


class Unauthenticated(Refusal):
    """Nobody knows who asks."""

    code: ClassVar[str] = "unauthenticated"


class Forbidden(Refusal):
    """The asker is known, but may not do this."""

    code: ClassVar[str] = "forbidden"


class PreconditionFailed(Refusal):
    """If-Match or If-None-Match does not hold."""

    code: ClassVar[str] = "precondition_failed"


class UnsupportedMediaType(Refusal):
    """The body is not JSON in UTF-8, or does not say so."""

    code: ClassVar[str] = "unsupported_media_type"


class UnsupportedContentEncoding(Refusal):
    """The body is compressed, which opens the door to bombs and is worth little for orders."""

    code: ClassVar[str] = "unsupported_content_encoding"


class ClientClosedRequest(Refusal):
    """The client hung up before its request was whole; nobody hears the answer."""

    code: ClassVar[str] = "client_closed_request"
