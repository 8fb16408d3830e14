"""The official SDK as the gateway's client, as a merchant uses it."""

from typing import Any
from uuid import uuid4

import msgspec
import stripe
from stripe import StripeClient


class Merchant(msgspec.Struct, frozen=True):
    """Calls the gateway, with a fresh idempotency key unless one is given.

    What the SDK returns has fields that may be an id, an object or nothing: hence Any.
    """

    client: Any

    async def pay(self, card: str = "pm_card_visa", **changes: Any) -> Any:
        key = changes.pop("key", None)
        asked = {"amount": 1000, "currency": "gbp", "payment_method": card, "confirm": True}
        return await self.client.v1.payment_intents.create_async(
            params=asked | changes, options=_keyed(key)
        )

    async def hold(self, card: str = "pm_card_visa", **changes: Any) -> Any:
        """Authorize, in a way that several captures are allowed."""
        options = {"card": {"request_multicapture": "if_available"}}
        return await self.pay(
            card, capture_method="manual", payment_method_options=options, **changes
        )

    async def capture(self, payment: str, *, key: str | None = None, **asked: Any) -> Any:
        return await self.client.v1.payment_intents.capture_async(
            payment, params=asked, options=_keyed(key)
        )

    async def void(self, payment: str, *, key: str | None = None, **asked: Any) -> Any:
        return await self.client.v1.payment_intents.cancel_async(
            payment, params=asked, options=_keyed(key)
        )

    async def refund(self, payment: str, *, key: str | None = None, **asked: Any) -> Any:
        params = {"payment_intent": payment, **asked}
        return await self.client.v1.refunds.create_async(params=params, options=_keyed(key))

    async def payment(self, payment: str, *expand: str) -> Any:
        return await self.client.v1.payment_intents.retrieve_async(
            payment, params={"expand": list(expand)}
        )

    async def payments(self, **wanted: Any) -> Any:
        return (await self.client.v1.payment_intents.list_async(params=wanted)).data

    async def search(self, name: str, value: str) -> list[str]:
        found = await self.client.v1.payment_intents.search_async(
            params={"query": f"metadata['{name}']:'{value}'"}
        )
        return [each.id for each in found.data]

    async def get_refund(self, refund: str) -> Any:
        return await self.client.v1.refunds.retrieve_async(refund)

    async def refunds(self, payment: str) -> Any:
        listed = await self.client.v1.refunds.list_async(params={"payment_intent": payment})
        return listed.data

    async def disputes(self, payment: str) -> Any:
        listed = await self.client.v1.disputes.list_async(params={"payment_intent": payment})
        return listed.data

    async def fees(self, charge: str) -> list[int]:
        listed = await self.client.v1.balance_transactions.list_async(params={"source": charge})
        return [each.fee for each in listed.data]

    async def events(self, about: str) -> list[str]:
        """Return the types of the events about an object, oldest first."""
        listed = await self.client.v1.events.list_async(params={"limit": 100})
        objects = [(each.type, each.data.object["id"]) for each in listed.data]
        return [kind for kind, name in reversed(objects) if name == about]


def merchant_of(url: str, http: stripe.HTTPClient) -> Merchant:
    """Make the client of a gateway."""
    return Merchant(
        StripeClient(
            "sk_test_x", base_addresses={"api": url}, http_client=http, max_network_retries=0
        )
    )


def _keyed(key: str | None) -> Any:
    return {"idempotency_key": key or str(uuid4())}
