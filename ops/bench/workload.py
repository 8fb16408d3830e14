"""The orders of the bench: a catalogue with ample stock, and requests for two lines each."""

import random
from collections.abc import Sequence
from itertools import cycle
from uuid import UUID

import msgspec

SKUS = 1_000
# More than all phases sell of one SKU, the hot one included.
OPENING_STOCK = 1_000_000
# In every order of the hot phase.
HOT = 1
CUSTOMERS = 1_000
QUANTITY_MAX = 3


class Lost(Exception):
    """An order was not accepted, or not carried to its end: the measurement is worth nothing."""


class Workload(msgspec.Struct, frozen=True, kw_only=True):
    """What the load client sends; the same `seed` gives the same orders under the same keys."""

    orders: int
    connections: int
    seed: int
    hot: bool = False
    # API keys that take turns; without, nobody says who they are.
    api_keys: Sequence[str] = ()


def sku(number: int) -> str:
    """Name a product, from 1 to SKUS; `limit.sql` names them the same way."""
    return f"SKU-{number}"


def price_minor(number: int) -> int:
    """Price a product, between 5.00 and 104.99."""
    return 500 + number * 7919 % 10_000


def requests(workload: Workload) -> list[bytes]:
    """Write all requests down, so that sending one costs next to nothing."""
    chance = random.Random(workload.seed)  # noqa: S311 - repeatable, not secret
    askers = cycle([f"Authorization: Bearer {key}\r\n" for key in workload.api_keys] or [""])
    return [_request(chance, next(askers), hot=workload.hot) for _ in range(workload.orders)]


def _request(chance: random.Random, asker: str, *, hot: bool) -> bytes:
    body = msgspec.json.encode(_order(chance, _numbers(chance, hot=hot)))
    key = UUID(int=chance.getrandbits(128), version=4)
    head = (
        "POST /v1/orders HTTP/1.1\r\n"
        "Host: bench\r\n"
        f"{asker}"
        "Content-Type: application/json\r\n"
        f"Idempotency-Key: {key}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _numbers(chance: random.Random, *, hot: bool) -> Sequence[int]:
    if hot:
        return HOT, chance.randint(HOT + 1, SKUS)
    return chance.sample(range(1, SKUS + 1), 2)


def _order(chance: random.Random, numbers: Sequence[int]) -> dict[str, object]:
    customer = chance.randint(1, CUSTOMERS)
    lines = [{"sku": sku(n), "quantity": chance.randint(1, QUANTITY_MAX)} for n in numbers]
    return {
        "email": f"customer{customer}@example.com",
        "currency": "GBP",
        "lines": lines,
        "payment_method": "pm_card_visa",
        "ship_to": {
            "name": f"Customer {customer}",
            "line1": f"{customer} High Street",
            "city": "London",
            "postcode": "N1 9GU",
            "country": "GB",
        },
    }
