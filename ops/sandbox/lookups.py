"""What the gateway tells when it is asked: single objects, lists and the search."""

import time
from collections.abc import Callable
from itertools import islice
from typing import TypeVar

import msgspec
from aiohttp import web

from ops.sandbox import answers, cards, forms, pages, shapes, standing
from ops.sandbox.account import Account
from ops.sandbox.board import Board
from ops.sandbox.books import Shelf
from ops.sandbox.entries import Dispute
from ops.sandbox.pages import Page
from ops.sandbox.requests import EXPANDABLE
from ops.sandbox.shapes import Shapeable
from ops.sandbox.standing import Payment, Refund, Taken

_PAYMENTS = "/v1/payment_intents"
_CHARGE_EXPANDABLE = frozenset({"balance_transaction"})

_T = TypeVar("_T", Refund, Dispute, Taken)


class Lookups:
    """Reads an account; nothing here changes it."""

    def __init__(self, account: Account, board: Board) -> None:
        self._account, self._board = account, board

    def routes(self) -> list[web.RouteDef]:
        """Return the paths."""
        return [
            web.get(_PAYMENTS, self._list_payments),
            web.get(f"{_PAYMENTS}/search", self._search),
            web.get(f"{_PAYMENTS}/{{id}}", self._get_payment),
            web.get("/v1/charges", self._list_charges),
            web.get("/v1/charges/{id}", self._get_charge),
            web.get("/v1/refunds", self._list_refunds),
            web.get("/v1/refunds/{id}", self._get_refund),
            web.get("/v1/disputes", self._list_disputes),
            web.get("/v1/disputes/{id}", self._get_dispute),
            web.get("/v1/balance_transactions", self._list_transactions),
            web.get("/v1/events", self._list_events),
            web.get("/v1/events/{id}", self._get_event),
        ]

    async def _get_payment(self, request: web.Request) -> web.StreamResponse:
        expand = forms.expand(_query(request), EXPANDABLE)
        self._account.catch_up()
        payment = self._account.books.payments.get(request.match_info["id"])
        return await self._durable(answers.json(200, shapes.payment_intent(payment, expand)))

    async def _get_charge(self, request: web.Request) -> web.StreamResponse:
        expand = forms.expand(_query(request), _CHARGE_EXPANDABLE)
        self._account.catch_up()
        name = "pi_" + request.match_info["id"].removeprefix("ch_")
        payment = self._account.books.payments.get(name)
        return await self._durable(answers.json(200, shapes.charge(payment, expand)))

    async def _get_refund(self, request: web.Request) -> web.StreamResponse:
        return await self._get(request, self._account.books.refunds.get)

    async def _get_dispute(self, request: web.Request) -> web.StreamResponse:
        return await self._get(request, self._account.books.disputes.get)

    async def _get_event(self, request: web.Request) -> web.StreamResponse:
        self._account.catch_up()
        event = self._account.events.get(request.match_info["id"])
        return await self._durable(answers.json(200, event.shape()))

    async def _get(
        self, request: web.Request, get: Callable[[str], Shapeable]
    ) -> web.StreamResponse:
        self._account.catch_up()
        return await self._durable(answers.json(200, shapes.shape(get(request.match_info["id"]))))

    async def _search(self, request: web.Request) -> web.StreamResponse:
        wanted = pages.search(_query(request), EXPANDABLE)
        self._account.catch_up()
        found = filter(self._visible(), self._account.books.search(wanted.name, wanted.value))
        some, more = pages.first(islice(found, wanted.offset, None), wanted.limit)
        further = str(wanted.offset + wanted.limit) if more else None
        return await self._durable(answers.found(some, next_page=further, expand=wanted.expand))

    async def _list_payments(self, request: web.Request) -> web.StreamResponse:
        wanted = pages.page(_query(request), expandable=EXPANDABLE)
        self._account.catch_up()
        some, more = self._account.books.payments.page(wanted, self._visible())
        return await self._durable(
            answers.listed(request.path, some, more=more, expand=wanted.expand)
        )

    async def _list_charges(self, request: web.Request) -> web.StreamResponse:
        wanted = pages.page(_query(request), of="payment_intent", expandable=_CHARGE_EXPANDABLE)
        if (after := wanted.starting_after) is not None:
            after = "pi_" + after.removeprefix("ch_")
            wanted = msgspec.structs.replace(wanted, starting_after=after)
        self._account.catch_up()
        visible = self._visible()
        some, more = self._account.books.payments.page(
            wanted,
            lambda each: (
                wanted.of in {None, each.id}
                and each.status != standing.REQUIRES_ACTION
                and visible(each)
            ),
        )
        charges = [shapes.charge(each, wanted.expand) for each in some]
        return await self._durable(answers.page(request.path, charges, more=more))

    async def _list_refunds(self, request: web.Request) -> web.StreamResponse:
        wanted = pages.page(_query(request), of="payment_intent")
        return await self._list(
            request,
            wanted,
            self._account.books.refunds,
            lambda each: wanted.of in {None, each.made.payment_intent},
        )

    async def _list_disputes(self, request: web.Request) -> web.StreamResponse:
        wanted = pages.page(_query(request), of="payment_intent")
        return await self._list(
            request,
            wanted,
            self._account.books.disputes,
            lambda each: wanted.of in {None, each.payment_intent},
        )

    async def _list_transactions(self, request: web.Request) -> web.StreamResponse:
        wanted = pages.page(_query(request), of="source")
        return await self._list(
            request,
            wanted,
            self._account.books.transactions(),
            lambda each: wanted.of in {None, each.charge},
        )

    async def _list_events(self, request: web.Request) -> web.StreamResponse:
        wanted = pages.page(_query(request), of="type")
        self._account.catch_up()
        some, more = self._account.events.page(wanted, lambda each: wanted.of in {None, each.type})
        data = [each.shape() for each in some]
        return await self._durable(answers.page(request.path, data, more=more))

    async def _list(
        self, request: web.Request, wanted: Page, shelf: Shelf[_T], fits: Callable[[_T], bool]
    ) -> web.StreamResponse:
        self._account.catch_up()
        some, more = shelf.page(wanted, fits)
        return await self._durable(answers.listed(request.path, some, more=more))

    async def _durable(self, answer: answers.Answer) -> web.StreamResponse:
        """Tell nothing that a crash could undo."""
        await self._account.journal.durable()
        return answer.response()

    def _visible(self) -> Callable[[Payment], bool]:
        """Return what says whether lists and searches find a payment yet."""
        now, all_s = time.time(), self._board.hidden_s()

        def visible(payment: Payment) -> bool:
            hidden_s = max(all_s, cards.hidden_s(payment.made.payment_method))
            # Times are cut to the second; one more, so that nothing is found too early.
            return not hidden_s or payment.at + hidden_s + 1 <= now

        return visible


def _query(request: web.Request) -> dict[str, str]:
    return forms.parsed(request.rel_url.raw_query_string.encode())
