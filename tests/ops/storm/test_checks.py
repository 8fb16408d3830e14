"""The checker bites: one corrupt record each, and exactly the promise it breaks is named."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import pytest

from db.invariants import INVARIANTS, Violation
from ops.sandbox.ledger import Settlement
from ops.storm.checks import CHECKS, LATER, check
from ops.storm.evidence import AttemptRow, BookedRow, EventRow, Evidence, KeyRow, NotificationRow
from ops.storm.history import Outcome, Try
from ops.storm.witness import WriteRow
from tests.ops.storm.remains import (
    DEAD,
    PAID,
    TOTAL,
    a_task,
    an_order,
    evidence,
    method_changed,
    misstated,
    peeked,
    placed,
    read,
    refunded,
    refused,
    replayed,
    reused,
    told_of,
)

replace = msgspec.structs.replace
Corrupt = Callable[[Evidence], Evidence]


def _more(field: str, *added: object) -> Corrupt:
    return lambda e: replace(e, **{field: [*getattr(e, field), *added]})


def _put(field: str, key: str, value: object) -> Corrupt:
    return lambda e: replace(e, **{field: {**getattr(e, field), key: value}})


def _without(field: str, n: int) -> Corrupt:
    def corrupt(e: Evidence) -> Evidence:
        rows: list[Any] = list(getattr(e, field))
        del rows[n]
        return replace(e, **{field: rows})

    return corrupt


def _changed(field: str, n: int, **changes: object) -> Corrupt:
    def corrupt(e: Evidence) -> Evidence:
        rows: list[Any] = list(getattr(e, field))
        rows[n] = replace(rows[n], **changes)
        return replace(e, **{field: rows})

    return corrupt


def _settled(**changes: object) -> Corrupt:
    return lambda e: _put("settlements", PAID, replace(e.settlements[PAID], **changes))(e)


def _all(*corruptions: Corrupt) -> Corrupt:
    def corrupt(e: Evidence) -> Evidence:
        for each in corruptions:
            e = each(e)
        return e

    return corrupt


def _held(**changes: object) -> Corrupt:
    return lambda e: replace(e, after=replace(e.before, **changes) if e.before else None)


POISON = replace(a_task(9, PAID, "notify"), order_id=None, poison=True)
GONE = Try(404, "not_found", problem=True)
REVIEW = an_order(DEAD, "review", 2)
IN_REVIEW = _all(
    _put("orders", DEAD, REVIEW),
    _changed("events", 5, kind="payment_in_review", status="review"),
    _without("history", 4),
    _without("notifications", 1),
    _without("tasks", 2),
    lambda e: replace(e, mails={m: n for m, n in e.mails.items() if DEAD not in m}),
)
MISSTATED_CHARGE = _all(
    lambda e: _changed("history", 1, asked=misstated(e.history[1].asked))(e),
    _put("settlements", DEAD, Settlement(authorized=TOTAL, captured=TOTAL, captures=1)),
)
# Each breaks one promise only, in one record where that can be.
CORRUPT: Sequence[tuple[str, str, Corrupt]] = (
    ("S1 no oversell", "a unit vanished", _changed("stock", 0, on_hand=7)),
    ("S1 no oversell", "more is held than is there", _changed("stock", 0, reserved=9)),
    ("S2 charged at most once", "two payments took money", _settled(captures=2)),
    ("S2 charged at most once", "another currency", _settled(currencies={"usd"})),
    (
        "S2 charged at most once",
        "money of an order that is not there",
        _put("settlements", "0199-nobody", Settlement()),
    ),
    (
        "S3 confirmed if and only if paid",
        "money is held of a cancelled order",
        _put("settlements", DEAD, Settlement(authorized=TOTAL)),
    ),
    (
        "S3 confirmed if and only if paid",
        "a confirmed order was charged less",
        _all(
            _settled(captured=900),
            _changed("booked", 0, captured=900, cash=565),
        ),
    ),
    (
        "S4 money conserved",
        "a refund is not in the ledger",
        _changed("booked", 0, refunded=0, cash=965),
    ),
    ("S4 money conserved", "a fee is missing", _changed("booked", 0, fees=0)),
    (
        "S4 money conserved",
        "the ledger has money that the gateway has not",
        _more("booked", BookedRow(DEAD, "EUR", 10, 0, 10, 0)),
    ),
    (
        "S5 accepted means durable",
        "an accepted refund is gone",
        _more("history", refunded(PAID, "a-9")),
    ),
    (
        "S5 accepted means durable",
        "an accepted order is gone",
        _more("history", placed("0199-gone", "k-9")),
    ),
    (
        "S5 accepted means durable",
        "an address has changed",
        lambda e: _put("orders", PAID, replace(e.orders[PAID], email="bob@example.com"))(e),
    ),
    (
        "S5 accepted means durable",
        "an accepted payment method is gone",
        _more("history", method_changed(PAID)),
    ),
    (
        "S5 accepted means durable",
        "an order is not shown to its customer",
        _changed("history", 3, outcome=Outcome.REFUSED, tries=[GONE]),
    ),
    (
        "S5 accepted means durable",
        "a refund is of another amount",
        _changed("attempts", 1, amount_minor=400),
    ),
    ("S5 accepted means durable", "an order costs too much", _put("prices", "TEA", 499)),
    (
        "S5 accepted means durable",
        "an order was cancelled without its customer",
        _without("history", 4),
    ),
    (
        "S5 accepted means durable",
        "an order was cancelled for stock that was there",
        _changed("events", 5, reason="out_of_stock"),
    ),
    (
        "S5 accepted means durable",
        "an order was cancelled as declined whose card never is",
        _changed("events", 5, reason="payment_declined"),
    ),
    (
        "S6 refused means nothing",
        "money was moved that nobody asked for",
        _changed("events", 3, kind="payment_requested", operation="void"),
    ),
    (
        "S6 refused means nothing",
        "a refused order is there",
        _all(
            _more("keys", KeyRow("public", "k-3", "0199-x")),
        ),
    ),
    (
        "S6 refused means nothing",
        "an order came from nowhere",
        _all(_changed("keys", 1, key="k-0"), _without("history", 1)),
    ),
    (
        "S7 one order per key",
        "another answer to a replay",
        _more("history", replace(replayed(PAID, "k-1"), replayed=False)),
    ),
    (
        "S7 one order per key",
        "a replay is refused",
        _changed("history", 2, outcome=Outcome.REFUSED, tries=[GONE], body="", replayed=False),
    ),
    (
        "S7 one order per key",
        "another body under a key",
        _more("history", reused(PAID, "k-1", "conflict")),
    ),
    (
        "S7 one order per key",
        "two keys made one order",
        _all(
            _more("history", placed(PAID, "k-4")),
            _more("keys", KeyRow("public", "k-4", PAID)),
        ),
    ),
    (
        "S8 legal history",
        "what was read is not so any more",
        _more("history", read(PAID, "cancelled", 3)),
    ),
    (
        "S8 legal history",
        "an event is missing",
        lambda e: _put("orders", PAID, replace(e.orders[PAID], version=5))(e),
    ),
    (
        "S8 legal history",
        "what was read was before what had been read",
        _more("history", replace(read(PAID, "reserved", 2), invoked_s=1.0, ended_s=1.1)),
    ),
    (
        "S9 fencing",
        "a lost worker wrote the same fact",
        _all(
            _more("events", EventRow(PAID, 5, "payment_refunded", "paid", "a-2")),
            lambda e: _put("orders", PAID, replace(e.orders[PAID], version=5))(e),
        ),
    ),
    (
        "S9 fencing",
        "a lost worker ended what another one had done",
        _more("writes", WriteRow(1, PAID, "done", 2, "done", 1)),
    ),
    (
        "S9 fencing",
        "a lost worker ended what another one was doing",
        _more("writes", WriteRow(1, PAID, "running", 2, "done", 1)),
    ),
    (
        "S10 one sees what is one's own",
        "somebody else's order is shown",
        _more("history", peeked(PAID, DEAD)),
    ),
    (
        "S10 one sees what is one's own",
        "an answer has a word of somebody else's order",
        _more("history", told_of(PAID, "k-2")),
    ),
    ("S10 one sees what is one's own", "a log names a customer", _more("slips", "bob@example.com")),
    (
        "S10 one sees what is one's own",
        "a mail went to somebody else",
        _put("addressed", f"{PAID}.order_confirmed@orderflow", frozenset({"bob@example.com"})),
    ),
    (
        "S11 no 5xx",
        "an internal error",
        _changed("history", 0, tries=[Try(500, "internal_error", problem=True), Try(202)]),
    ),
    (
        "S11 no 5xx",
        "an error that is no problem+json",
        _changed("history", 0, tries=[Try(404), Try(202)]),
    ),
    (
        "L1 no order is unfinished",
        "in review for nothing",
        IN_REVIEW,
    ),
    (
        "L1 no order is unfinished",
        "cancelled though nobody can tell what was paid",
        _all(
            MISSTATED_CHARGE,
            _put("settlements", DEAD, Settlement(authorized=TOTAL, voided=TOTAL)),
        ),
    ),
    (
        "L2 nothing is undelivered",
        "a payment is open",
        _more("attempts", AttemptRow("a-3", PAID, "refund", "sent", 1)),
    ),
    ("L2 nothing is undelivered", "a lease has run out", _changed("tasks", 0, lease_expired=True)),
    ("L2 nothing is undelivered", "work is left", _changed("tasks", 0, state="ready")),
    (
        "L4 one notification each",
        "a mail never came",
        _put("mails", f"{PAID}.order_confirmed@orderflow", 0),
    ),
    (
        "L4 one notification each",
        "a mail came oftener than it was tried",
        _put("mails", f"{PAID}.order_confirmed@orderflow", 2),
    ),
    (
        "L4 one notification each",
        "a customer was told twice",
        _more("notifications", NotificationRow(PAID, "order_confirmed", "sent")),
    ),
    (
        "L4 one notification each",
        "the mail of an account never came",
        _put("mails", "n-1.confirm_address@orderflow", 0),
    ),
    (
        "L4 one notification each",
        "the mail of an account came oftener than it was tried",
        _put("mails", "n-1.confirm_address@orderflow", 2),
    ),
    ("L4 one notification each", "a customer was never told", _without("notifications", 1)),
    ("L5 bounded attempts", "tried too often", _changed("tasks", 0, attempt=6)),
    ("L5 bounded attempts", "dead without a reason", _changed("tasks", 0, state="dead")),
    ("L5 bounded attempts", "work died", _changed("tasks", 0, state="dead", last_error="why")),
    ("L5 bounded attempts", "poison lives", _more("tasks", replace(POISON, state="ready"))),
    ("L6 resources return", "files leak", _held(files={"web-1": 500})),
    ("L6 resources return", "memory leaks", _held(rss_mb={"web-1": 900.0})),
    ("L6 resources return", "keys leak", _held(keys=5000)),
    ("L6 resources return", "connections leak", _held(connections=500)),
)


def names(found: Sequence[Violation]) -> set[str]:
    return {violation.invariant for violation in found}


def test_sound_remains_break_no_promise() -> None:
    assert check(evidence()) == []


@pytest.mark.parametrize(
    ("name", "corrupt"),
    [pytest.param(name, corrupt, id=f"{name}: {why}") for name, why, corrupt in CORRUPT],
)
def test_corrupt_record_breaks_exactly_its_promise(name: str, corrupt: Corrupt) -> None:
    assert names(check(corrupt(evidence()))) == {name}


def test_every_check_is_seen_to_bite() -> None:
    assert {name for name, _, _ in CORRUPT} == set(CHECKS)


def test_order_under_way_is_unfinished() -> None:
    found = check(_put("orders", DEAD, an_order(DEAD, "reserved", 2))(evidence()))

    assert Violation("L1 no order is unfinished", DEAD, "is reserved") in found


def test_order_in_review_has_a_payment_of_which_the_gateway_never_tells_what_is_so() -> None:
    unknown = AttemptRow("a-3", DEAD, "charge", "unknown", TOTAL)

    assert check(_all(IN_REVIEW, MISSTATED_CHARGE, _more("attempts", unknown))(evidence())) == []


def test_poison_that_is_dead_is_as_it_should_be() -> None:
    dead = replace(POISON, state="dead", last_error="KeyError")

    assert check(_more("tasks", dead)(evidence())) == []


def test_mail_of_an_account_that_is_erased_was_owed_all_the_same() -> None:
    assert check(replace(evidence(), notices=[])) == []


def test_operation_without_an_answer_promises_nothing() -> None:
    lost = replace(refused("k-9"), outcome=Outcome.UNKNOWN, tries=[Try(0)])

    assert check(_more("history", lost)(evidence())) == []


@pytest.mark.parametrize("by", ["broken", "found"])
def test_what_postgres_or_the_auditor_finds_broken_is_among_the_violations(by: str) -> None:
    broken = Violation("S1 reserved stock is on hand", "TEA", "11 reserved, 10 on hand")

    assert check(replace(evidence(), **{by: [broken]})) == [broken]


def test_every_promise_is_checked_or_said_to_come_later() -> None:
    numbers = [name.split()[0] for name in (*CHECKS, *LATER, *(i.name for i in INVARIANTS))]
    promised: Mapping[str, int] = {"S": 11, "L": 6, "R": 1, "C": 1, "P": 1}

    expected = {f"{letter}{n}" for letter, last in promised.items() for n in range(1, last + 1)}
    assert set(numbers) == expected
