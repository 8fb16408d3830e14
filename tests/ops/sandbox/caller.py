"""A plain HTTP client of the gateway: what goes over the wire, without an SDK."""

from typing import Any
from uuid import uuid4

import aiohttp
import msgspec

AUTHORIZATION = "Bearer sk_test"


class Reply(msgspec.Struct, frozen=True):
    status: int
    body: bytes
    headers: dict[str, str]

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def error(self) -> Any:
        return self.json["error"]


class Caller(msgspec.Struct, frozen=True):
    session: aiohttp.ClientSession
    url: str

    async def get(self, path: str, **query: str) -> Reply:
        return await self._ask("GET", path, params=query)

    async def charge(self, key: str | None = None, **changes: str) -> Reply:
        return await self.post("/v1/payment_intents", key, a_charge(**changes))

    async def refund(self, payment_intent: str, key: str | None = None, **changes: str) -> Reply:
        form = {"payment_intent": payment_intent, **_as_metadata(changes)}
        return await self.post("/v1/refunds", key, form)

    async def post(self, path: str, key: str | None, form: dict[str, str]) -> Reply:
        headers = {"Idempotency-Key": key or str(uuid4())}
        return await self._ask("POST", path, data=form, headers=headers)

    async def fault(self, **fault: Any) -> Reply:
        """Post a fault on the board."""
        return await self._ask("POST", "/faults", data=msgspec.json.encode(fault))

    async def clear_faults(self) -> Reply:
        return await self._ask("DELETE", "/faults")

    async def _ask(self, method: str, path: str, **given: Any) -> Reply:
        headers = {"Authorization": AUTHORIZATION} | given.pop("headers", {})
        async with self.session.request(method, self.url + path, headers=headers, **given) as got:
            return Reply(got.status, await got.read(), dict(got.headers))


def a_charge(**changes: str) -> dict[str, str]:
    """Return the form of a charge that succeeds; `order_id` and the like become metadata."""
    form = {
        "amount": "1999",
        "currency": "gbp",
        "payment_method": "pm_card_visa",
        "confirm": "true",
    }
    return form | _as_metadata(changes)


def _as_metadata(fields: dict[str, str]) -> dict[str, str]:
    ours = {"order_id", "attempt_id"}
    return {f"metadata[{name}]" if name in ours else name: value for name, value in fields.items()}
