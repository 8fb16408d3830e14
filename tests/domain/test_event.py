"""Events are told apart by their kind, and read back as they were written."""

from typing import get_args

import msgspec
import pytest

from db.ids import new_id
from domain import event
from domain.event import (
    AuthorizationExpired,
    CancelReason,
    Event,
    LatePayment,
    OrderBackordered,
    OrderCancelled,
    OrderPaid,
    OrderPlaced,
    OrderShipped,
    PaymentActionRequired,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentDeclined,
    PaymentDisputed,
    PaymentInReview,
    PaymentMethodChanged,
    PaymentRefunded,
    PaymentRefused,
    PaymentRequested,
    PaymentResolved,
    PaymentUnknown,
    PaymentVoided,
    PaymentWrittenOff,
    StockReserved,
)
from domain.stock import Short

ATTEMPT = new_id()

SAMPLES: list[Event] = [
    OrderPlaced(lines=2, total_minor=1000, currency="GBP"),
    StockReserved(),
    OrderBackordered((Short("APPLE", 2, 1),)),
    OrderPaid(new_id(), "pi_1", 1000),
    PaymentAuthorized(new_id(), "pi_1", 1000),
    PaymentDeclined(new_id(), "card_declined"),
    PaymentMethodChanged(),
    PaymentActionRequired(new_id()),
    PaymentUnknown(new_id(), "timeout", "refund"),
    PaymentInReview(new_id(), "timeout"),
    PaymentResolved(new_id(), "succeeded", "The bank says so.", "staff", "unknown since noon"),
    LatePayment(new_id(), "pi_1", 1000),
    PaymentRequested(new_id(), "refund", 1000, "staff", "duplicate"),
    PaymentCaptured(new_id(), 1000),
    PaymentVoided(new_id(), 1000),
    PaymentRefunded(new_id(), 1000, "duplicate"),
    PaymentRefused(new_id(), "refund", "expired"),
    PaymentWrittenOff(new_id(), 1000, "dispute", "The bank says so.", "staff"),
    AuthorizationExpired(new_id(), 1000),
    PaymentDisputed("dp_1", 1000, "fraudulent"),
    OrderShipped(),
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


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (
            {"kind": "payment_unknown", "attempt_id": str(ATTEMPT), "reason": "timeout"},
            PaymentUnknown(ATTEMPT, "timeout", "charge"),
        ),
        (
            {"kind": "payment_refunded", "attempt_id": str(ATTEMPT), "amount_minor": 1000},
            PaymentRefunded(ATTEMPT, 1000, None),
        ),
    ],
)
def test_event_of_the_previous_release_is_still_read(written: object, read: Event) -> None:
    assert msgspec.convert(written, Event) == read
