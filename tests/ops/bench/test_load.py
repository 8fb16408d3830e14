"""The load client sends every order once, or says why the measurement is worth nothing."""

import pytest

from ops.bench import workload
from ops.bench.load import Order, Report, fire, loader
from ops.bench.workload import Lost, Workload
from tests.ops.bench.stub import Stub, accepted, answer, serving

LOAD = Workload(orders=60, connections=4, seed=7)


async def run(stub: Stub) -> Report:
    async with loader(Order("127.0.0.1", stub.port, LOAD)) as process:
        return await fire(process)


async def test_every_order_is_sent_once_and_its_id_is_reported() -> None:
    async with serving(accepted) as stub:
        report = await run(stub)

    sent = [head + body for head, body in zip(stub.heads, stub.bodies, strict=True)]
    assert sorted(sent) == sorted(workload.requests(LOAD))
    assert sorted(report.order_ids) == sorted(stub.order_ids)
    assert len(report.latencies_s) == LOAD.orders
    assert 0 < max(report.latencies_s) < report.ended - report.began
    assert 0 < report.cpu_s < 10


async def test_nothing_is_sent_before_the_word() -> None:
    async with serving(accepted) as stub:
        async with loader(Order("127.0.0.1", stub.port, LOAD)):
            pass

        assert stub.heads == []


async def test_refused_order_spoils_the_measurement() -> None:
    def overloaded(stub: Stub) -> list[bytes]:
        if len(stub.heads) < 30:
            return accepted(stub)
        return [answer("503 Service Unavailable", b"come back later")]

    async with serving(overloaded) as stub:
        with pytest.raises(Lost, match="503: come back later"):
            await run(stub)


async def test_broken_connection_spoils_the_measurement() -> None:
    async with serving(lambda stub: accepted(stub) if len(stub.heads) < 30 else []) as stub:
        with pytest.raises(Lost, match="connection broke"):
            await run(stub)


async def test_acceptance_without_an_order_spoils_the_measurement() -> None:
    async with serving(lambda _: [answer("202 Accepted", b"{}")]) as stub:
        with pytest.raises(Lost, match="202"):
            await run(stub)
