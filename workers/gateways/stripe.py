"""Stripe, through its SDK: one PaymentIntent per charge attempt, and every answer checked."""

import logging
import ssl
from collections.abc import Mapping
from typing import Protocol

import aiohttp
import stripe
from stripe import AIOHTTPClient, StripeClient

from domain.payment import Charge, Declined, Outcome, Refund, Unknown
from ops.config import Settings
from workers.gateways import stripe_answers as answers

# The SDK would time every call and tell Stripe of the one before; that is CPU for nobody here.
stripe.enable_telemetry = False
# Below warning the SDK logs whole requests, payment method tokens included.
logging.getLogger("stripe").setLevel(logging.WARNING)

# Connecting is the part of a call after which nothing can have been charged, so it ends first.
_CONNECT_SHARE = 0.5


class _Response(Protocol):
    body: str


class _Client(Protocol):
    """What is used of the SDK's client, typed more closely than there."""

    async def raw_request_async(self, method_: str, url_: str, **params: object) -> _Response: ...


class StripeGateway:
    """One merchant's account; `stripe_answers` says what becomes of each call."""

    name = "stripe"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._session: aiohttp.ClientSession | None = None
        self._client: _Client | None = None

    async def charge(self, charge: Charge) -> Outcome:
        """Authorize and capture, keyed by `attempt_id`; asking twice charges once.

        Stripe keeps a key for at least 24 hours; after that only `find_charge` may ask.
        """
        asked = {
            "amount": answers.amount(charge.amount),
            "currency": charge.amount.currency.lower(),
            "payment_method": charge.payment_method,
            "confirm": True,
            "capture_method": "automatic",
            "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
            # Else a card that wants authentication leaves a payment that can still succeed.
            "error_on_requires_action": True,
            "metadata": {"order_id": str(charge.order_id), "attempt_id": str(charge.attempt_id)},
        }
        try:
            response = await self._post("/v1/payment_intents", asked, key=str(charge.attempt_id))
            return answers.charged(charge, answers.payment_decoder.decode(response.body))
        except answers.FAILURES as error:
            return answers.failed(error)

    async def find_charge(self, charge: Charge) -> Outcome | None:
        """Look the charge up by our reference; None if the gateway does not know it.

        Search is eventually consistent: a charge may be found only a minute later, in an outage an
        hour, so None is no proof; and merchants in India have no search. A lookup that fails is
        always Unknown, since it says nothing of the charge.
        """
        query = f"metadata['attempt_id']:'{charge.attempt_id}'"
        try:
            response = await self._ask("get", "/v1/payment_intents/search", {"query": query})
            payments = answers.found_decoder.decode(response.body).data
        except answers.FAILURES as error:
            failed = answers.failed(error)
            why = failed.code if isinstance(failed, Declined) else failed.reason
            return Unknown(f"The lookup failed: {why}")
        if not payments:
            return None
        if len(payments) > 1:
            return Unknown(f"{len(payments)} payments at the gateway carry this attempt.")
        return answers.charged(charge, payments[0])

    async def refund(self, refund: Refund) -> Outcome:
        """Refund, keyed by `attempt_id`; asking twice refunds once.

        A pending refund counts: Stripe has taken it, and any refund may still fail at the bank.
        """
        asked = {
            "payment_intent": refund.gateway_ref,
            "amount": answers.amount(refund.amount),
            "metadata": {"order_id": str(refund.order_id), "attempt_id": str(refund.attempt_id)},
        }
        try:
            response = await self._post("/v1/refunds", asked, key=str(refund.attempt_id))
            return answers.refunded(refund, answers.refund_decoder.decode(response.body))
        except answers.FAILURES as error:
            return answers.failed(error)

    async def close(self) -> None:
        """Give back the connections."""
        if self._session is not None:
            await self._session.close()

    async def _post(self, path: str, asked: Mapping[str, object], *, key: str) -> _Response:
        return await self._ask("post", path, {**asked, "idempotency_key": key})

    async def _ask(self, method: str, path: str, asked: Mapping[str, object]) -> _Response:
        # The typed methods build an object of every field of the answer: 0.2 ms that msgspec saves.
        return await self._connected().raw_request_async(method, path, **asked)

    def _connected(self) -> _Client:
        if self._client is None:
            self._client = self._connect()
        return self._client

    def _connect(self) -> _Client:
        """Open the session, which belongs to the running event loop."""
        timeout_s = self._settings.gateway_timeout_s
        timeout = aiohttp.ClientTimeout(total=timeout_s, connect=timeout_s * _CONNECT_SHARE)
        trusted = ssl.create_default_context(cafile=stripe.ca_bundle_path)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._settings.gateway_concurrency, ssl=trusted),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return StripeClient(
            self._settings.stripe_api_key,
            base_addresses={"api": self._settings.stripe_api_base.rstrip("/")},
            http_client=AIOHTTPClient(timeout=timeout, session=self._session),
            max_network_retries=0,
        )
