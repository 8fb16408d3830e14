"""The customer's side of 3-D Secure, which only the sandbox lets anybody play."""

import time
from http import HTTPStatus

from aiohttp import web

from ops.sandbox import answers, decisions, forms, shapes
from ops.sandbox.account import Account
from ops.sandbox.forms import Rejected
from ops.sandbox.standing import Payment

_PATH = "/v1/payment_intents/{id}/authenticate"
_PAGE = """<!doctype html><html lang="en"><title>3-D Secure (sandbox)</title>
<h1>Is it you who pays?</h1><p>This page stands for your bank's; it exists only in the sandbox.</p>
<form method="post"><input type="hidden" name="client_secret" value="{secret}">
<button name="outcome" value="success">Yes</button> <button name="outcome" value="fail">No</button>
</form></html>"""


class Authentication:
    """A page with two buttons, and the endpoint behind them."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def routes(self) -> list[web.RouteDef]:
        """Return the paths."""
        return [web.get(_PATH, self._page), web.post(_PATH, self._answer)]

    async def _page(self, request: web.Request) -> web.StreamResponse:
        payment, _ = await self._asked(request)
        html = _PAGE.format(secret=shapes.client_secret(payment))
        return web.Response(text=html, content_type="text/html")

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        payment, fields = await self._asked(request)
        outcome = forms.one_of(fields, "outcome", {"success", "fail"}, required=True)
        at = int(time.time())
        passed = outcome == "success"
        entry = decisions.authenticate(self._account.books, payment.id, passed=passed, at=at)
        stands = self._account.record(entry)
        await self._account.journal.durable()
        return answers.executed(entry, stands, frozenset()).response()

    async def _asked(self, request: web.Request) -> tuple[Payment, dict[str, str]]:
        """Return the payment that a key or its client secret opens. Raises Rejected."""
        fields = forms.parsed(request.rel_url.raw_query_string.encode())
        fields |= forms.parsed(await request.read())
        self._account.catch_up()
        payment = self._account.books.payments.get(request.match_info["id"])
        secret = fields.pop("client_secret", "")
        is_merchant = request.headers.get("Authorization", "").startswith("Bearer sk_")
        if not is_merchant and secret != shapes.client_secret(payment):
            status = HTTPStatus.UNAUTHORIZED
            raise Rejected("Send an API key or the client_secret.", status=status)
        return payment, fields
