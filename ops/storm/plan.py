"""What a storm will do, load and faults, drawn from its seed alone."""

from collections.abc import Iterator, Mapping, Sequence
from random import Random

import msgspec

from ops.sandbox.cards import MISSTATED
from ops.storm.history import Op

CURRENCY = "EUR"
# So many orders a second that two cores are busy and still answer while half of it is broken.
RATE = 45.0
# Each has orders enough to meet itself, and never so many unpaid ones that it is refused.
BUYERS = 200
PLENTY = 1_000_000
_COMMON, _HOT = 16, 3
# Of what is asked for of a hot SKU, the stock is enough for this part.
_HOT_SHARE = 0.5
_HOT_CHANCE = 0.15
# Of these a part is there at first, and orders wait for the rest: it comes in the midst of the
# storm, and after it.
_LATE, _LATE_SHARE, _LATE_CHANCE = 2, 0.3, 0.1
_COMES_AT = (0.4, 1.0)
_METHODS = (
    ("pm_card_visa", 79.5),
    (MISSTATED, 0.5),
    ("pm_card_mastercard", 6),
    ("pm_card_chargeDeclined", 8),
    ("pm_card_chargeDeclinedInsufficientFunds", 3),
    ("pm_sandbox_charged_then_reset", 1),
    ("pm_sandbox_charged_then_500", 1),
    ("pm_sandbox_error_500", 1),
)
# How often a story has such an act.
_ACTS = (
    (Op.READ, 0.5),
    (Op.CANCEL, 0.12),
    (Op.REPLAY, 0.15),
    (Op.REUSE, 0.04),
    (Op.KEYLESS, 0.02),
    (Op.REFUND, 0.15),
    (Op.METHOD, 0.02),
    (Op.READ, 0.3),
)
_OF_HELD_MONEY = ((Op.CAPTURE, 0.6), (Op.CAPTURE, 0.3), (Op.VOID, 0.15))
_MANUAL_SHARE, _HOLD_SHARE, _OTHER_METHOD_CHANCE = 0.2, 0.5, 0.8
_AFTER_MAX_S = 4.0
_PEEK_SHARE = 0.2
# A fault comes after the platform had a moment to work, and its lane rests between two.
_FIRST_S = 0.5
_PAUSE_S = (1.5, 5.0)
# Without Redis no work is rung for, and without Postgres there is none: what else is broken is
# seen only while both are there.
_PAUSES_S: Mapping[str, tuple[float, float]] = {"redis": (6.0, 14.0), "postgres": (3.0, 7.0)}
# A lane that would not come to all of its faults rests less, if that much is left.
_REST_MIN_S = 1.0
# A long outage takes no more than this part of a short storm.
_SHARE_MAX = 0.25


class Act(msgspec.Struct, frozen=True):
    """What a client does next, so long after what it did before; `part` is of an amount."""

    op: Op
    after_s: float
    part: float


class Story(msgspec.Struct, frozen=True):
    """One order and what its client does with it."""

    at_s: float
    key: str
    email: str
    items: Sequence[tuple[str, int]]
    payment_method: str
    capture: str
    on_decline: str
    acts: Sequence[Act]
    peeks: bool = False  # at the order that was placed before


class Delivery(msgspec.Struct, frozen=True):
    """So many units of a SKU that come in then."""

    at_s: float
    sku: str
    quantity: int


class Strike(msgspec.Struct, frozen=True):
    """One fault at its time; `seed` decides its details."""

    at_s: float
    fault: str
    seconds: float
    seed: int


class Kind(msgspec.Struct, frozen=True):
    """A fault as the schedule sees it: two of one lane never happen at the same time."""

    name: str
    lane: str
    seconds: float


def prices() -> Mapping[str, int]:
    """Give the catalogue, in minor units."""
    common = {f"COMMON-{n:02}": 500 + 37 * n for n in range(_COMMON)}
    hot = {f"HOT-{n}": 1900 + n for n in range(_HOT)}
    return common | hot | {f"LATE-{n}": 700 + n for n in range(_LATE)}


def waited_for(sku: str) -> bool:
    """Tell whether orders wait for a SKU of which there is not enough."""
    return sku.startswith("LATE")


def lies_at_two_places(sku: str) -> bool:
    """Tell whether a SKU, of which there is plenty, lies at two locations, half at each."""
    return sku in {"COMMON-00", "COMMON-01", "COMMON-02", "COMMON-03"}


def stock(told: Sequence[Story]) -> dict[str, int]:
    """Give what is on hand at first: too little of what is hot, and of what comes late."""
    return {sku: _first(sku, units) for sku, units in _wanted(told).items()}


def _first(sku: str, units: int) -> int:
    if sku.startswith("HOT"):
        return max(1, int(_HOT_SHARE * units))
    return int(_LATE_SHARE * units) if waited_for(sku) else PLENTY


def deliveries(told: Sequence[Story], seconds: float) -> list[Delivery]:
    """Give what comes in of what is late: in the end there is as much as was ever wanted."""
    missing = {s: n - _first(s, n) for s, n in _wanted(told).items() if waited_for(s)}
    parts = [(sku, (units // 2, units - units // 2)) for sku, units in missing.items()]
    return [
        Delivery(share * seconds, sku, quantity)
        for n, share in enumerate(_COMES_AT)
        for sku, quantities in parts
        if (quantity := quantities[n])
    ]


def _wanted(told: Sequence[Story]) -> dict[str, int]:
    wanted = dict.fromkeys(prices(), 0)
    for story in told:
        for sku, quantity in story.items:
            wanted[sku] += quantity
    return wanted


def stories(seed: int, seconds: float, rate: float = RATE) -> list[Story]:
    """Draw the load: arrivals without memory, as those of a crowd."""
    chance = Random(f"load/{seed}")  # noqa: S311 - dice of a test, repeatable by seed
    drawn: list[Story] = []
    at_s = 0.0
    while (at_s := at_s + chance.expovariate(rate)) < seconds:
        drawn.append(_story(chance, at_s, f"storm-{seed}-{len(drawn)}"))
    return drawn


def _story(chance: Random, at_s: float, key: str) -> Story:
    methods, weights = zip(*_METHODS, strict=True)
    story = Story(
        at_s=round(at_s, 4),
        key=key,
        email=f"buyer-{chance.randrange(BUYERS)}@example.com",
        items=[*_items(chance), *_late(key)],
        payment_method=chance.choices(methods, weights)[0],
        capture="manual" if chance.random() < _MANUAL_SHARE else "automatic",
        on_decline="hold" if chance.random() < _HOLD_SHARE else "cancel",
        acts=(),
        # With dice of its own: a seed means the same orders as before there were such people.
        peeks=Random(f"peek/{key}").random() < _PEEK_SHARE,  # noqa: S311 - dice of a test
    )
    return msgspec.structs.replace(story, acts=tuple(_acts(chance, story)))


def _items(chance: Random) -> list[tuple[str, int]]:
    """Draw a cart; its SKUs are in no order, as locks must be in spite of that."""
    skus = [f"COMMON-{n:02}" for n in chance.sample(range(_COMMON), chance.randint(1, 3))]
    if chance.random() < _HOT_CHANCE:
        skus.append(f"HOT-{chance.randrange(_HOT)}")
    chance.shuffle(skus)
    return [(sku, chance.randint(1, 3)) for sku in skus]


def _late(key: str) -> list[tuple[str, int]]:
    """Draw what comes late, with dice of its own: seeds mean what they did before."""
    chance = Random(f"late/{key}")  # noqa: S311 - dice of a test, repeatable by seed
    if chance.random() >= _LATE_CHANCE:
        return []
    return [(f"LATE-{chance.randrange(_LATE)}", chance.randint(1, 3))]


def _acts(chance: Random, story: Story) -> Iterator[Act]:
    # What nobody can tell waits for a person, also once it is cancelled.
    final = {Op.CANCEL} if story.payment_method == MISSTATED else set[Op]()
    wanted = [(op, share) for op, share in _ACTS if op not in final]
    if story.capture == "manual":
        wanted += _OF_HELD_MONEY
    if "Declined" in story.payment_method and story.on_decline == "hold":
        wanted.append((Op.METHOD, _OTHER_METHOD_CHANCE))
    chance.shuffle(wanted)
    for op, share in wanted:
        if chance.random() < share:
            yield Act(op, round(chance.uniform(0, _AFTER_MAX_S), 3), round(chance.random(), 3))


def strikes(seed: int, seconds: float, kinds: Sequence[Kind]) -> list[Strike]:
    """Draw the faults: in each lane all that it has, in a new order each round."""
    lanes: dict[str, list[Kind]] = {}
    for kind in kinds:
        lanes.setdefault(kind.lane, []).append(kind)
    drawn = [strike for lane in lanes for strike in _lane(seed, lane, seconds, lanes[lane])]
    return sorted(drawn, key=lambda strike: (strike.at_s, strike.fault))


def _lane(seed: int, lane: str, seconds: float, kinds: Sequence[Kind]) -> Iterator[Strike]:
    chance = Random(f"faults/{seed}/{lane}")  # noqa: S311 - dice of a test, repeatable by seed
    at_s, deck = _FIRST_S + chance.uniform(0, _PAUSE_S[0]), list[Kind]()
    rests_s = _rests_s(lane, seconds, kinds)
    while True:
        if not deck:
            deck = chance.sample(kinds, len(kinds))
        kind = deck.pop()
        lasts_s = min(kind.seconds, _SHARE_MAX * seconds)
        if at_s + lasts_s > seconds:
            return
        yield Strike(round(at_s, 3), kind.name, round(lasts_s, 3), chance.randrange(2**32))
        at_s += lasts_s + chance.uniform(*rests_s)


def _rests_s(lane: str, seconds: float, kinds: Sequence[Kind]) -> tuple[float, float]:
    """Say for how long a lane rests between two faults: all of them have to find their time."""
    least_s, most_s = _PAUSES_S.get(lane, _PAUSE_S)
    struck_s = sum(min(kind.seconds, _SHARE_MAX * seconds) for kind in kinds)
    left_s = (seconds - _FIRST_S - _PAUSE_S[0] - struck_s) / len(kinds)
    if left_s < _REST_MIN_S:
        return least_s, most_s
    return min(least_s, 0.6 * left_s), min(most_s, left_s)
