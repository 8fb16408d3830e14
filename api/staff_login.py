"""The way into the dashboard: a form that opens a session kept in a cookie, and the way out."""

from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from litestar.types import HTTPScope, Scope

from api import cookies
from api.authentication import Asked, Authentication
from api.cookies import Cookies, Shown, is_from_here
from api.limits import Limits, QuotaExceeded
from api.problems import Forbidden, InvalidRequest
from api.proof import keyring_of
from api.sessions import LogIn, admit
from db import sessions
from db.engine import name_commit, transaction
from db.sessions import Lifetimes
from domain.account import LoginRefused, Revoked, SecondFactorRequired
from domain.principal import STAFF, Principal
from domain.refusal import Refusal
from ops.dashboard import render
from ops.dashboard.routes import HEADERS, LIVE, PREFIX, html
from ops.telemetry.faultpoint import Commit

LOGIN, LOGOUT = f"{PREFIX}/login", f"{PREFIX}/logout"
# A long shift.
SESSION_S = 12 * 3600
_FIELDS_MAX = 5
_BODY_BYTES_MAX = 10_000
_OTP_CHARS = 6


Wanted = Annotated[str, QueryParameter(name="next", max_length=2000)]


class Door:
    """What the dashboard asks about the people in front of it."""

    def __init__(self, authentication: Authentication, issued: Cookies) -> None:
        self._authentication = authentication
        self._cookies = issued

    def csrf_token(self, principal: Principal) -> str:
        """Give the token of a session; empty for who has none."""
        session_id = principal.session_id
        return "" if session_id is None else self._cookies.csrf_token(session_id)

    async def is_still(self, scope: Scope) -> bool:
        """Tell whether who sent a request would be let in again, in the same role."""
        was: Principal = scope["user"]
        try:
            now = await self._authentication.identify(_of_http(scope))
        except Refusal:
            return False
        return now.role == was.role and now.user_id == was.user_id


@get(LOGIN, include_in_schema=False)
async def show_login(request: Asked, wanted: Wanted = "") -> Response[Any]:
    """Show the form, or lead on who is logged in already."""
    if request.user.role in STAFF:
        return _lead_to(here(wanted))
    return _form(wanted)


@post(LOGIN, include_in_schema=False)
async def log_in_staff(request: Asked, limits: NamedDependency[Limits]) -> Response[Any]:
    """Log a member of staff in. What was wrong is said no more than the API says it."""
    if not is_from_here(request.scope):
        raise Forbidden("The form came from another site: open this page yourself.")
    given = await _fields(request)
    wanted = given.pop("next", "")
    try:
        data = _login(given)
        lasting = keyring_of(request.app.state).lasting
        short = Lifetimes(min(lasting.unused_s, SESSION_S), min(lasting.longest_s, SESSION_S))
        granted = await admit(request, limits, data, lasting=short, roles=STAFF)
    except (LoginRefused, SecondFactorRequired, InvalidRequest) as refusal:
        return _form(wanted, str(given.get("email", "")), refusal.detail, HTTPStatus.UNAUTHORIZED)
    except QuotaExceeded as refusal:
        answer = _form(wanted, "", refusal.detail, HTTPStatus.TOO_MANY_REQUESTS)
        answer.headers.update(refusal.headers)
        return answer
    answer = _lead_to(here(wanted))
    issued: Cookies = request.app.state.cookies
    shown = Shown(granted.user_id, granted.session_id)
    answer.headers["Set-Cookie"] = issued.write(shown, request.scope)
    return answer


@post(LOGOUT, include_in_schema=False)
async def log_out_staff(request: Asked) -> Response[Any]:
    """End the session of the cookie, and take it back."""
    issued: Cookies = request.app.state.cookies
    shown, given = issued.read(request.scope), await _fields(request)
    if shown is not None:
        if not (issued.is_ours(given.get("csrf", ""), shown.session_id)):
            raise Forbidden("The form came from another site: log out from a page of ours.")
        async with transaction(request.app.state.database) as tx:
            name_commit(tx, Commit.SESSION)
            await sessions.revoke(tx, shown.user_id, Revoked.LOGOUT, only=shown.session_id)
    answer = _lead_to(LOGIN)
    answer.headers["Set-Cookie"] = cookies.clear(request.scope)
    return answer


def here(wanted: str) -> str:
    """Give the page that somebody was on the way to; the first one if it is none of ours."""
    if not (wanted.isascii() and wanted.isprintable()) or "\\" in wanted:
        return PREFIX
    try:
        address = urlsplit(wanted)
    except ValueError:
        return PREFIX
    ours = address.path == PREFIX or address.path.startswith(f"{PREFIX}/")
    if address.scheme or address.netloc or not ours or address.path in {LOGIN, LOGOUT, LIVE}:
        return PREFIX
    return f"{address.path}?{address.query}" if address.query else address.path


def _lead_to(path: str) -> Response[Any]:
    headers = {**HEADERS, "Location": path}
    return Response(None, status_code=HTTPStatus.SEE_OTHER, headers=headers)


def _form(
    wanted: str, email: str = "", problem: str = "", status: int = HTTPStatus.OK
) -> Response[Any]:
    context = {"next": wanted, "email": email, "problem": problem}
    return html(render.page("login.html", context), status)


async def _fields(request: Request[Any, Any, Any]) -> dict[str, str]:
    """Read a form, which no other site can have sent as JSON; raises InvalidRequest."""
    body = await request.body()
    try:
        if len(body) > _BODY_BYTES_MAX:
            raise InvalidRequest("The form is too long.")
        return dict(
            parse_qsl(
                body.decode(), keep_blank_values=True, errors="strict", max_num_fields=_FIELDS_MAX
            )
        )
    except ValueError as error:
        raise InvalidRequest("It is no form: open the page again.") from error


def _login(given: dict[str, str]) -> LogIn:
    """Read what somebody logs in with; the one field for a code takes those of either kind."""
    code = given.pop("code", "").strip()
    named = {"otp" if len(code) == _OTP_CHARS else "recovery_code": code} if code else {}
    try:
        return msgspec.convert({**given, **named}, LogIn)
    except msgspec.ValidationError as error:
        raise InvalidRequest("Give an e-mail address, a password, and a code if asked.") from error


def _of_http(scope: Scope) -> HTTPScope:
    if scope["type"] != "http":
        raise Forbidden("Pages are asked for over HTTP.")
    return scope


routes = (show_login, log_in_staff, log_out_staff)
