"""Stripe's SDK as far as it is used: one account's connections, opened by the first call."""

import logging
import ssl
from collections.abc import Mapping
from typing import Protocol

import aiohttp
import stripe
from stripe import AIOHTTPClient, StripeClient

from ops.config import Settings

# The SDK would time every call and tell Stripe of the one before; that is CPU for nobody here.
stripe.enable_telemetry = False
# Below warning the SDK logs whole requests, payment method tokens included.
logging.getLogger("stripe").setLevel(logging.WARNING)

# The version that `stripe_objects` is written for, and stripe 16.1's own. Unpinned, another
# release of the SDK would bring answers of another shape with it.
API_VERSION = "2026-10-28.endive"

# Connecting is the part of a call after which nothing can have been charged, so it ends first.
_CONNECT_SHARE = 0.5


class _Response(Protocol):
    body: str


class _Client(Protocol):
    """What is used of the SDK's client, typed more closely than there."""

    async def raw_request_async(self, method_: str, url_: str, **params: object) -> _Response: ...


class Connection:
    """The way to one account."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._session: aiohttp.ClientSession | None = None
        self._client: _Client | None = None

    async def get(self, path: str, fields: Mapping[str, object]) -> str:
        """Read; returns the body of a 2xx answer and raises one of FAILURES for anything else."""
        return await self._ask("get", path, fields)

    async def post(self, path: str, fields: Mapping[str, object], *, key: str | None = None) -> str:
        """Have something done, as `get`; with a key it is done once, however often it is asked."""
        keyed = {} if key is None else {"idempotency_key": key}
        return await self._ask("post", path, {**fields, **keyed})

    async def close(self) -> None:
        """Give back the connections."""
        if self._session is not None:
            await self._session.close()

    async def _ask(self, method: str, path: str, fields: Mapping[str, object]) -> str:
        if self._client is None:
            self._client = self._connect()
        # The typed methods build an object of every field of the answer: 0.2 ms that msgspec saves.
        return (await self._client.raw_request_async(method, path, **fields)).body

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
            stripe_version=API_VERSION,
            base_addresses={"api": self._settings.stripe_api_base.rstrip("/")},
            http_client=AIOHTTPClient(timeout=timeout, session=self._session),
            max_network_retries=0,
        )
