"""Form-encoded parameters: parsed strictly, and refused in Stripe's words."""

import re
from typing import Self
from urllib.parse import parse_qsl

_FIELDS_MAX = 200
_NOTHING: frozenset[str] = frozenset()
_METADATA = re.compile(r"metadata\[(.{1,40})\]")


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


def parsed(body: bytes) -> dict[str, str]:
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
        # Only `expand[]` may be repeated; the SDK numbers its elements, others do not.
        pairs = [(f"expand[{n}]" if k == "expand[]" else k, v) for n, (k, v) in enumerate(pairs)]
        fields = dict(pairs)
    if len(fields) < len(pairs):
        raise Rejected("A parameter was sent twice.")
    return fields


def metadata(fields: dict[str, str]) -> dict[str, str]:
    """Take the metadata out of the fields."""
    named = [(field, match[1]) for field in fields if (match := _METADATA.fullmatch(field))]
    return {name: fields.pop(field) for field, name in named}


def expand(fields: dict[str, str], allowed: frozenset[str]) -> frozenset[str]:
    """Take out which linked objects are wanted whole. Raises Rejected for any other."""
    named = [field for field in fields if field.startswith("expand[")]
    if not named:
        return _NOTHING
    wanted = frozenset(fields.pop(field).removeprefix("data.") for field in named)
    for other in wanted - allowed:
        raise Rejected(f"This property cannot be expanded ({other[:60]}).", param="expand")
    return wanted


def integer(text: str, param: str, least: int, most: int) -> int:
    """Read a whole number. Raises Rejected."""
    if not re.fullmatch("[0-9]{1,12}", text, re.ASCII):
        raise Rejected(
            f"Invalid integer: {text[:20]}", code="parameter_invalid_integer", param=param
        )
    if not least <= int(text) <= most:
        code = f"{param}_too_small" if int(text) < least else f"{param}_too_large"
        raise Rejected(f"{param} must be from {least} to {most}.", code=code, param=param)
    return int(text)


def one_of(
    fields: dict[str, str], param: str, allowed: set[str], *, required: bool = False
) -> str | None:
    """Take out a parameter that has few values. Raises Rejected for any other value."""
    value = fields.pop(param, None)
    if value in allowed or (value is None and not required):
        return value
    raise Rejected(
        f"The sandbox takes {param} only as {' or '.join(sorted(allowed))}.", param=param
    )


def required(fields: dict[str, str], param: str) -> str:
    """Take out a parameter that must be there. Raises Rejected."""
    value = fields.pop(param, "")
    if not value:
        raise Rejected(f"Missing required param: {param}.", code="parameter_missing", param=param)
    return value


def nothing_left(fields: dict[str, str]) -> None:
    """Refuse parameters that nobody took."""
    for name in fields:
        raise Rejected(
            f"Received unknown parameter: {name[:60]}", code="parameter_unknown", param=name[:60]
        )
