"""Events are told apart by their kind, and read back as they were written."""

from typing import get_args

import msgspec
import pytest

from db.ids import new_id
from domain import event
from domain.event import (
    CancelReason,
    Event,
    LatePayment,
    OrderCancelled,
    OrderPaid,
    OrderPlaced,
    PaymentRefunded,
    PaymentUnknown,
    StockReserved,
)
from domain.stock import Short

SAMPLES: list[Event] = [
    OrderPlaced(lines=2, total_minor=1000, currency="GBP"),
    StockReserved(),
    OrderPaid(new_id(), "pi_1", 1000),
    PaymentUnknown(new_id(), "timeout"),
    LatePayment(new_id(), "pi_1", 1000),
    PaymentRefunded(new_id(), 1000),
    OrderCancelled(CancelReason.OUT_OF_STOCK, None, (Short("APPLE", 2, 1),)),
]


def test_every_kind_of_event_has_a_sample_here() -> None:
    assert {type(sample) for sample in SAMPLES} == set(get_args(Event))


def test_every_fact_is_an_event() -> None:
    structs = [t for t in vars(event).values() if isinstance(t, msgspec.StructMeta)]
    facts = {struct for struct in structs if struct.__struct_config__.tag_field == "kind"}

    assert {f for f in facts if not f.__name__.startswith("_")} == set(get_args(Event))


def test_kinds_are_unique() -> None:
    assert len({event.kind(sample) for sample in SAMPLES}) == len(SAMPLES)


@pytest.mark.parametrize("sample", SAMPLES, ids=event.kind)
def test_event_is_read_back_as_it_was_written(sample: Event) -> None:
    written = msgspec.json.encode(sample)

    assert msgspec.json.decode(written)["kind"] == event.kind(sample)
    assert msgspec.json.decode(written, type=Event) == sample
