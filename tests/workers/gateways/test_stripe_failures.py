import socket

import pytest

from domain.payment import Unknown, Unsent
from tests.outside import Sandbox
from tests.workers.gateways.account import (
    a_capture,
    a_charge,
    a_hold,
    a_refund,
    a_void,
    adapter,
    answering,
    reply,
)
from workers.gateways.stripe import StripeGateway

CALLS = [a_charge(), a_capture(a_hold(), "pi_1", 1), a_void(a_hold(), "pi_1"), a_refund("pi_1")]


async def test_rate_limit_is_unsent(gateway: StripeGateway) -> None:
    assert isinstance(await gateway.execute(a_charge("pm_sandbox_rate_limited")), Unsent)


async def test_wrong_api_key_is_unsent(outside: Sandbox) -> None:
    async with adapter(outside.gateway_url, key="pk_wrong") as gateway:
        assert isinstance(await gateway.execute(a_charge()), Unsent)


async def test_wrong_path_is_unsent(outside: Sandbox) -> None:
    async with adapter(outside.gateway_url + "/v1") as gateway:
        assert isinstance(await gateway.execute(a_charge()), Unsent)


async def test_refused_connection_is_unsent_yet_says_nothing_to_a_lookup() -> None:
    async with adapter(f"http://127.0.0.1:{free_port()}") as gateway:
        for call in CALLS:
            assert isinstance(await gateway.execute(call), Unsent)
            assert isinstance(await gateway.find(call), Unknown)
        assert isinstance(await gateway.abandon(a_charge(), "pi_1"), Unknown)


async def test_connection_that_is_never_made_is_unsent() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        # The queue of a listener that accepts nobody is full after its first callers.
        listener.listen(0)
        port = listener.getsockname()[1]
        queued = [socket.socket() for _ in range(4)]
        for caller in queued:
            caller.settimeout(0)
            caller.connect_ex(("127.0.0.1", port))
        async with adapter(f"http://127.0.0.1:{port}", timeout_s=1.0) as gateway:
            outcome = await gateway.execute(a_charge())
        for caller in queued:
            caller.close()

    assert isinstance(outcome, Unsent)


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 409, 429, 500, 503])
@pytest.mark.parametrize("kind", ["card_error", "invalid_request_error", "api_error"])
async def test_no_refusal_of_a_lookup_settles_a_call(status: int, kind: str) -> None:
    error = {"type": kind, "code": "resource_missing"}

    async with answering(reply({"error": error}, status)) as url, adapter(url) as gateway:
        for call in CALLS:
            assert isinstance(await gateway.find(call), Unknown)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
