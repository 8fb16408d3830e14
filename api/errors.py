"""From exceptions to problems: every way a request can fail, answered in one shape."""

import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.params import ParameterKwarg

from api.bounds import parameters
from api.codes import KINDS
from api.limits import QuotaExceeded
from api.methods import allowed
from api.problems import Costs, FieldError, Problem, answer, problem
from db.placement import TotalChanged
from domain.refusal import Refusal

_logger = logging.getLogger(__name__)

_SERVER_ERROR = 500
# Litestar's own refusals say a status only.
_CODE_OF_STATUS = {
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
    415: "unsupported_media_type",
}

_Request = Request[Any, Any, Any]
Handler = Callable[[_Request, Any], Response[Any]]


def _refused(request: _Request, refusal: Refusal) -> Response[bytes]:
    if KINDS[refusal.code].status >= _SERVER_ERROR:
        return _interrupted(request, refusal)
    return answer(_said(refusal))


def _refused_as_changed(_: _Request, refusal: TotalChanged) -> Response[bytes]:
    costs = msgspec.convert(refusal.quote, Costs, from_attributes=True)
    return answer(msgspec.structs.replace(_said(refusal), quote=costs))


def _refused_for_now(_: _Request, refusal: QuotaExceeded) -> Response[bytes]:
    return answer(refusal.problem, refusal.headers)


def _said(refusal: Refusal) -> Problem:
    if refusal.field is None:
        return problem(refusal.code, refusal.detail)
    return _naming(refusal.code, FieldError(refusal.field, refusal.detail))


def _naming(code: str, *errors: FieldError) -> Problem:
    return problem(code, " ".join(f"{e.field}: {e.detail}" for e in errors), errors)


def _interrupted(request: _Request, refusal: Refusal) -> Response[bytes]:
    """Answer an outage: its detail names our surroundings, so it is for the log only."""
    _logger.warning(refusal.detail, extra={"fields": {"method": request.method}})
    return answer(problem(refusal.code))


def _refused_by_litestar(request: _Request, error: HTTPException) -> Response[bytes]:
    if error.status_code >= _SERVER_ERROR:
        return _failed(request, error)
    if isinstance(error, ValidationException):
        return _misfit(request, error)
    code = _CODE_OF_STATUS.get(error.status_code, "invalid_request")
    says_more = error.detail != HTTPStatus(error.status_code).phrase
    headers = dict(error.headers or {})
    if "allow" in headers:
        headers["allow"] = allowed(headers["allow"].split(", "))
    return answer(problem(code, error.detail if says_more else None), headers)


def _misfit(request: _Request, error: ValidationException) -> Response[bytes]:
    # The detail of Litestar repeats the URL with its query, which may be private.
    found: list[Any] = error.extra if isinstance(error.extra, list) else []
    if not found:
        return answer(problem("invalid_request", error.detail.partition(" for path ")[0] + "."))
    wanted = {
        field.name: field.kwarg_definition.description
        for field in parameters(request.route_handler)
        if isinstance(field.kwarg_definition, ParameterKwarg)
    }
    errors = [_of_parameter(str(e.get("key", "")), e["message"], wanted) for e in found]
    return answer(_naming("invalid_request", *errors))


def _of_parameter(name: str, said: str, wanted: Mapping[str, str | None]) -> FieldError:
    """Say what a parameter must be; a regular expression is no sentence, "invalid" no remedy."""
    if " matching regex " in said or said.startswith("Invalid enum value"):
        said = f"Expected {wanted.get(name) or 'another form'}"
    return FieldError(name, f"{said}.")


def _failed(request: _Request, error: Exception) -> Response[bytes]:
    _logger.error("request failed", exc_info=error, extra={"fields": {"method": request.method}})
    return answer(problem("internal_error"))


def _failed_in_cleanup(request: _Request, group: ExceptionGroup[Exception]) -> Response[bytes]:
    """Answer what a dependency raised when told of a failure, which Litestar wraps.

    A transaction so turns an error of its connection into the refusal Unavailable.
    """
    first = group.exceptions[0]
    if isinstance(first, Refusal) and len(group.exceptions) == 1:
        return _refused(request, first)
    return _failed(request, group)


EXCEPTION_HANDLERS: dict[int | type[Exception], Handler] = {
    Refusal: _refused,
    QuotaExceeded: _refused_for_now,
    TotalChanged: _refused_as_changed,
    HTTPException: _refused_by_litestar,
    ExceptionGroup: _failed_in_cleanup,
    Exception: _failed,
}
