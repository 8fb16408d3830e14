"""Stripe, through its SDK: one PaymentIntent per charge attempt, and every answer checked."""

import asyncio
from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import datetime

import msgspec
import stripe

from domain.payment import (
    Booked,
    Call,
    Charge,
    Declined,
    Outcome,
    Refund,
    Statement,
    TakeAuthorized,
    Unknown,
    Unsent,
    Void,
)
from ops.config import Settings
from ops.telemetry import faultpoint
from workers.gateways import stripe_answers as answers
from workers.gateways import stripe_requests as requests
from workers.gateways.stripe_connection import Connection
from workers.gateways.stripe_failures import FAILURES, failed, lookup_failed
from workers.gateways.stripe_objects import (
    PaymentIntent,
    cursor,
    events_decoder,
    payment_decoder,
    payments_decoder,
    refunds_decoder,
)

_CALLS: Mapping[type[Call], faultpoint.Call] = {
    Charge: faultpoint.Call.CHARGE,
    TakeAuthorized: faultpoint.Call.CAPTURE,
    Void: faultpoint.Call.VOID,
    Refund: faultpoint.Call.REFUND,
}

# A cursor in the events begins so; others are in the payments, which are read first.
_EVENTS = "events:"


class StripeGateway:
    """One merchant's account; `stripe_answers` and `stripe_failures` judge each call."""

    def __init__(self, settings: Settings, *, name: str = "stripe") -> None:
        self.name = name
        self._connection = Connection(settings)

    async def execute(self, call: Call) -> Outcome:
        """Do what is asked, keyed by `attempt_id`: asked twice, it happens once.

        Stripe keeps a key for at least 24 hours; after that only `find` may ask.
        """
        outcome = await self._execute(call)
        if isinstance(call, Void) and isinstance(outcome, Declined):
            # Stripe refuses to cancel what is cancelled, or released, already.
            return await self.find(call) or outcome
        return outcome

    async def find(self, call: Call) -> Outcome | None:
        """Look a call up by our reference; None if the gateway does not know of it.

        A lookup that fails is always Unknown, since it says nothing of the call.
        """
        try:
            with _around(faultpoint.Call.FIND):
                return await self._find(call)
        except FAILURES as error:
            return lookup_failed(error)

    async def abandon(self, call: Charge, gateway_ref: str) -> Outcome:
        """Cancel a payment that waits for the customer: Declined("abandoned") once it is.

        If it has succeeded meanwhile, that is the outcome.
        """
        try:
            with _around(faultpoint.Call.ABANDON):
                return await self._end(call, gateway_ref, "abandoned")
        except FAILURES as error:
            return lookup_failed(error)

    async def statement(
        self, since: datetime, until: datetime, cursor: str | None
    ) -> Statement | Unsent | Unknown:
        """Read a part of the payments made or changed in a time, at most a hundred, newest first.

        First come those made in it, then those that its events tell a change of, which Stripe
        keeps for 30 days.
        """
        try:
            with _around(faultpoint.Call.STATEMENT):
                if cursor is None or not cursor.startswith(_EVENTS):
                    return await self._made(since, until, cursor)
                return await self._changed(since, until, cursor)
        except FAILURES as error:
            failure = failed(error)
            return failure if isinstance(failure, Unsent) else lookup_failed(error)

    async def booked(self, gateway_ref: str) -> Booked | Unsent | Unknown | None:
        """Read one payment as it is now; None if the account has none of that name."""
        try:
            with _around(faultpoint.Call.BOOKED):
                payment = await self._if_there(gateway_ref)
                return payment and answers.booked(payment)
        except FAILURES as error:
            return lookup_failed(error)

    async def close(self) -> None:
        """Give back the connections."""
        await self._connection.close()

    async def _execute(self, call: Call) -> Outcome:
        asked = requests.execution(call)
        key = str(call.attempt_id)
        try:
            with _around(_CALLS[type(call)]):
                body = await self._connection.post(asked.path, asked.fields, key=key)
            return answers.executed(call, body)
        except FAILURES as error:
            return failed(error)

    async def _find(self, call: Call) -> Outcome | None:
        match call:
            case Charge():
                return await self._find_charge(call)
            case TakeAuthorized() | Void():
                return answers.shown(call, await self._payment(call.gateway_ref))
            case Refund():
                return await self._find_refund(call)

    async def _find_charge(self, charge: Charge) -> Outcome | None:
        """Find a charge by what it is named, or else search for it.

        Search is eventually consistent: a charge may be found only a minute later, in an outage an
        hour, so None is no proof; and merchants in India have no search.
        """
        if charge.named is not None:
            payment = await self._if_there(charge.named)
            return payment and await self._judged(charge, payment)
        body = await self._connection.get(requests.SEARCH, requests.search(charge))
        payments = payments_decoder.decode(body).data
        if len(payments) > 1:
            return Unknown(f"{len(payments)} payments at the gateway carry this attempt.")
        return await self._judged(charge, payments[0]) if payments else None

    async def _judged(self, charge: Charge, payment: PaymentIntent) -> Outcome:
        outcome = answers.charged(charge, payment)
        if isinstance(outcome, Declined) and payment.status != "canceled":
            # Who authenticated in vain has the client secret and could still pay with another card.
            return await self._end(charge, payment.id, outcome.code)
        if isinstance(outcome, Unknown) and charge.named is not None:
            # The gateway has answered: it is the name that is wrong.
            return msgspec.structs.replace(outcome, pending=True)
        return outcome

    async def _find_refund(self, refund: Refund) -> Outcome | None:
        fields = requests.refunds(refund)
        while True:
            page = refunds_decoder.decode(await self._connection.get(requests.REFUNDS, fields))
            for made in page.data:
                if made.metadata.get("attempt_id") == str(refund.attempt_id):
                    return answers.refunded(refund, made)
            if (after := cursor(page)) is None:
                return None
            fields = {**fields, "starting_after": after}

    async def _end(self, charge: Charge, gateway_ref: str, code: str) -> Outcome:
        """Cancel a payment, so that it can never succeed; a refusal is looked into.

        Raises one of FAILURES. It has no key of its own: cancelling twice does no harm, and a key
        would repeat a refusal whose cause has passed.
        """
        asked = requests.cancellation(gateway_ref, "abandoned")
        try:
            body = await self._connection.post(asked.path, asked.fields)
            payment = payment_decoder.decode(body)
        except FAILURES as error:
            if not isinstance(failed(error), Declined):
                raise
            payment = await self._payment(gateway_ref)
        return answers.ended(charge, payment, code)

    async def _payment(self, gateway_ref: str) -> PaymentIntent:
        path = requests.payment(gateway_ref)
        return payment_decoder.decode(await self._connection.get(path, requests.whole()))

    async def _if_there(self, gateway_ref: str) -> PaymentIntent | None:
        try:
            return await self._payment(gateway_ref)
        except FAILURES as error:
            failure = failed(error)
            if isinstance(failure, Declined) and failure.code.endswith(":resource_missing"):
                return None
            raise

    async def _made(self, since: datetime, until: datetime, after: str | None) -> Statement:
        fields = {**requests.payments(since, until), **_starting(after)}
        page = payments_decoder.decode(await self._connection.get(requests.PAYMENTS, fields))
        return Statement(tuple(answers.booked(each) for each in page.data), cursor(page) or _EVENTS)

    async def _changed(self, since: datetime, until: datetime, after: str) -> Statement:
        """Read events, and each payment as it stands now."""
        fields = {**requests.events(since, until), **_starting(after.removeprefix(_EVENTS))}
        page = events_decoder.decode(await self._connection.get(requests.EVENTS, fields))
        named = answers.changed(page, since)
        payments = await asyncio.gather(*(self._payment(name) for name in named))
        further = cursor(page)
        booked = tuple(answers.booked(each) for each in payments)
        return Statement(booked, further and _EVENTS + further)


def _around(call: faultpoint.Call) -> AbstractContextManager[None]:
    return faultpoint.around(call, stripe.APIConnectionError)


def _starting(after: str | None) -> dict[str, str]:
    return {"starting_after": after} if after else {}
