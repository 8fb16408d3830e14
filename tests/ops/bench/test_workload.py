"""The workload is what the README says: two lines each, keys of their own, one SKU hot or none."""

from collections import Counter

import msgspec

from api.orders import PlaceOrder
from ops.bench.workload import HOT, QUANTITY_MAX, SKUS, Workload, requests, sku


def orders(sent: list[bytes]) -> list[PlaceOrder]:
    bodies = [request.partition(b"\r\n\r\n")[2] for request in sent]
    return [msgspec.json.decode(body, type=PlaceOrder) for body in bodies]


def keys(sent: list[bytes]) -> set[bytes]:
    return {request.partition(b"Idempotency-Key: ")[2][:36] for request in sent}


def test_orders_have_two_lines_of_known_products() -> None:
    known = {sku(number) for number in range(1, SKUS + 1)}

    for order in orders(requests(Workload(orders=300, connections=1, seed=1))):
        assert len({line.sku for line in order.lines} & known) == 2
        assert all(1 <= line.quantity <= QUANTITY_MAX for line in order.lines)


def test_no_sku_is_hot_unless_asked_for() -> None:
    cool = orders(requests(Workload(orders=300, connections=1, seed=1)))
    hot = orders(requests(Workload(orders=300, connections=1, seed=1, hot=True)))

    [(_, most)] = Counter(line.sku for order in cool for line in order.lines).most_common(1)
    assert most < 10
    assert all(sku(HOT) in {line.sku for line in order.lines} for order in hot)


def test_content_length_is_that_of_the_body() -> None:
    [request] = requests(Workload(orders=1, connections=1, seed=1))

    head, _, body = request.partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head


def test_keys_take_turns_and_the_orders_stay_the_same() -> None:
    anonymous = requests(Workload(orders=4, connections=1, seed=1))
    known = requests(Workload(orders=4, connections=1, seed=1, api_keys=["a", "b"]))

    named = [request.partition(b"Authorization: Bearer ")[2][:1] for request in known]
    assert named == [b"a", b"b", b"a", b"b"]
    assert orders(known) == orders(anonymous)
    assert not any(b"Authorization" in request for request in anonymous)


def test_same_seed_gives_the_same_orders_and_another_seed_other_keys() -> None:
    first = requests(Workload(orders=50, connections=1, seed=1))
    again = requests(Workload(orders=50, connections=9, seed=1))
    other = requests(Workload(orders=50, connections=1, seed=2))

    assert first == again
    assert len(keys(first) | keys(other)) == 100
