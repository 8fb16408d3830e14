"""An account at a gateway: adapters for it, calls, what its customer and its owner do by hand."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import msgspec

from domain.money import Money
from domain.payment import Capture, Charge, Refund, Succeeded, TakeAuthorized, Void
from ops.config import Settings
from ops.sandbox import ledger
from ops.sandbox.ledger import Settlement
from tests.outside import Sandbox
from workers.gateways.stripe import StripeGateway

REPLY = "HTTP/1.1 {} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{}"


@asynccontextmanager
async def adapter(
    url: str, *, timeout_s: float = 5.0, key: str = "sk_test"
) -> AsyncGenerator[StripeGateway]:
    made = StripeGateway(
        Settings(stripe_api_base=url, stripe_api_key=key, gateway_timeout_s=timeout_s)
    )
    try:
        yield made
    finally:
        await made.close()


@asynccontextmanager
async def answering(reply: str, heard: list[str] | None = None) -> AsyncGenerator[str]:
    """Run a server that reads one request of a connection, says this and hangs up."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]
        body = await reader.readexactly(int(length or 0))
        if heard is not None:
            heard.append((head + body).decode())
        writer.write(reply.encode())
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def reply(content: object, status: int = 200) -> str:
    body = msgspec.json.encode(content).decode()
    return REPLY.format(status, len(body), body)


async def by_hand(outside: Sandbox, path: str, **fields: str) -> dict[str, Any]:
    """Do what somebody else than the adapter does with the account."""
    headers = {"Authorization": "Bearer sk_test"}
    url = f"{outside.gateway_url}/v1/{path}"
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=fields, headers=headers) as response,
    ):
        assert response.status == 200, await response.text()
        return dict(await response.json())


@asynccontextmanager
async def fault(outside: Sandbox, kind: str, operation: str) -> AsyncGenerator[None]:
    """Let the next such operation go wrong."""
    url = f"{outside.gateway_url}/faults"
    posted = {"fault": kind, "operation": operation, "count": 1}
    async with aiohttp.ClientSession() as session:
        async with session.post(url, json=posted) as response:
            assert response.status == 200, await response.text()
        try:
            yield
        finally:
            await session.delete(url)


def a_charge(card: str = "pm_card_visa", **changes: Any) -> Charge:
    charge = Charge(uuid4(), uuid4(), Money(1999, "GBP"), card)
    return msgspec.structs.replace(charge, **changes)


def a_hold(card: str = "pm_card_visa", **changes: Any) -> Charge:
    return a_charge(card, capture=Capture.MANUAL, **changes)


def a_capture(held: Charge, gateway_ref: str, minor: int, *, final: bool = False) -> TakeAuthorized:
    amount = Money(minor, held.amount.currency)
    return TakeAuthorized(uuid4(), held.order_id, amount, gateway_ref, final)


def a_void(held: Charge, gateway_ref: str) -> Void:
    return Void(uuid4(), held.order_id, held.amount, gateway_ref)


def a_refund(gateway_ref: str, **changes: Any) -> Refund:
    refund = Refund(uuid4(), uuid4(), Money(1999, "GBP"), gateway_ref)
    return msgspec.structs.replace(refund, **changes)


async def paid(gateway: StripeGateway, charge: Charge) -> str:
    """Charge or authorize, and return the payment's id."""
    outcome = await gateway.execute(charge)
    assert isinstance(outcome, Succeeded)
    return outcome.gateway_ref


def settled(outside: Sandbox, order_id: UUID) -> Settlement:
    return ledger.settlements(outside.folder)[str(order_id)]
