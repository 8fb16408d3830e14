"""What may be asked for of an order's money: never more than there is, whatever happened before."""

from collections.abc import Callable
from functools import partial
from itertools import product
from typing import cast

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from db.ids import new_id
from domain.funds import (
    OPEN,
    TAKING,
    Attempt,
    AttemptKind,
    AttemptState,
    Funds,
    MoneyUnavailable,
    Payable,
    ask_capture,
    ask_refund,
    ask_void,
    funds,
)
from domain.payment import Capture, RefundReason
from tests.builders import a_payable, an_attempt

TOTAL = 1000
REASON = RefundReason.DUPLICATE
UNSETTLED = [AttemptState.CREATED, *sorted(OPEN)]
SETTLED = [AttemptState.SUCCEEDED, AttemptState.DECLINED]

charged = partial(an_attempt, AttemptKind.CHARGE)
authorized = partial(an_attempt, AttemptKind.AUTHORIZE)
captured = partial(an_attempt, AttemptKind.CAPTURE, AttemptState.SUCCEEDED)
voided = partial(an_attempt, AttemptKind.VOID)
refunded = partial(an_attempt, AttemptKind.REFUND, AttemptState.SUCCEEDED)


def _capture(payable: Payable, amount: int | None = None, *, final: bool = False) -> Attempt:
    return ask_capture(payable, new_id(), amount_minor=amount, final=final)


def _refund(payable: Payable, amount: int | None = None) -> Attempt:
    return ask_refund(payable, new_id(), amount_minor=amount, reason=REASON)


@pytest.mark.parametrize(
    ("attempts", "sums"),
    [
        ([], Funds(0, 0, 0, 0, 0)),
        ([charged()], Funds(1000, 1000, 0, 0, 1000)),
        ([authorized()], Funds(1000, 0, 0, 1000, 0)),
        ([authorized(), captured(300, final=False)], Funds(1000, 300, 0, 700, 300)),
        ([authorized(), captured(300)], Funds(1000, 300, 0, 0, 300)),
        (
            [authorized(), captured(300, final=False), captured(200, final=False)],
            Funds(1000, 500, 0, 500, 500),
        ),
        ([authorized(), voided()], Funds(1000, 0, 0, 0, 0)),
        (
            [authorized(), captured(300, final=False), voided(amount_minor=700)],
            Funds(1000, 300, 0, 0, 300),
        ),
        ([charged(), refunded(400)], Funds(1000, 1000, 400, 0, 600)),
        ([charged(), refunded(400), refunded(600)], Funds(1000, 1000, 1000, 0, 0)),
    ],
)
def test_sums_are_of_what_was_moved(attempts: list[Attempt], sums: Funds) -> None:
    assert funds(attempts) == sums


@pytest.mark.parametrize(("kind", "state"), list(product(sorted(TAKING), [*UNSETTLED, *SETTLED])))
def test_money_is_there_only_once_its_taking_succeeded(
    kind: AttemptKind, state: AttemptState
) -> None:
    there = TOTAL if state is AttemptState.SUCCEEDED else 0

    sums = funds([an_attempt(kind, state)])

    assert sums.authorized == sums.capturable + sums.refundable == there


@pytest.mark.parametrize("state", UNSETTLED)
def test_what_is_asked_for_cannot_be_asked_for_again(state: AttemptState) -> None:
    capture = an_attempt(AttemptKind.CAPTURE, state, 300, final=False)
    refund = an_attempt(AttemptKind.REFUND, state, 400)

    assert funds([authorized(), capture]) == Funds(1000, 0, 0, 700, 0)
    assert funds([charged(), refund]) == Funds(1000, 1000, 0, 0, 600)
    assert funds([authorized(), voided(state)]) == Funds(1000, 0, 0, 0, 0)


def test_what_was_asked_for_and_declined_may_be_asked_for_again() -> None:
    no = AttemptState.DECLINED
    capture = an_attempt(AttemptKind.CAPTURE, no, 300, final=True)

    assert funds([authorized(), capture, voided(no)]) == Funds(1000, 0, 0, 1000, 0)
    assert funds([charged(), an_attempt(AttemptKind.REFUND, no)]).refundable == 1000


def test_partial_capture_leaves_the_rest_until_the_final_one() -> None:
    payable = a_payable(authorized(), captured(300, final=False))

    part, last = _capture(payable, 200), _capture(payable, 200, final=True)

    assert (part.kind, part.state, part.amount_minor) == ("capture", "created", 200)
    assert (part.final, last.final) == (False, True)
    assert (part.gateway, part.gateway_ref) == ("stripe", None)


def test_capture_of_all_that_is_left_is_final_whether_it_says_so_or_not() -> None:
    payable = a_payable(authorized(), captured(300, final=False))

    assert [(c.amount_minor, c.final) for c in (_capture(payable), _capture(payable, 700))] == [
        (700, True)
    ] * 2


def test_void_after_a_partial_capture_is_of_what_is_left_and_happens_once() -> None:
    payable = a_payable(authorized(), captured(300, final=False))
    first = ask_void(payable, new_id())

    assert (first.kind, first.amount_minor) == ("void", 700)
    with pytest.raises(MoneyUnavailable, match="Nothing is authorized and not captured"):
        ask_void(_with(payable, first), new_id())


def test_several_refunds_are_of_what_was_captured_in_all() -> None:
    payable = a_payable(authorized(), captured(300, final=False), captured(200))
    first = _refund(payable, 350)

    assert (first.kind, first.amount_minor, first.reason) == ("refund", 350, REASON)
    assert _refund(_with(payable, first)).amount_minor == 150
    with pytest.raises(MoneyUnavailable, match="1 to 150 GBP in minor units can be refunded"):
        _refund(_with(payable, first), 151)


@pytest.mark.parametrize("amount", [0, -1, 701])
def test_capture_outside_of_what_is_left_is_refused(amount: int) -> None:
    payable = a_payable(authorized(), captured(300, final=False))

    with pytest.raises(MoneyUnavailable, match="1 to 700 GBP") as refused:
        _capture(payable, amount)
    assert refused.value.field == "amount_minor"


@pytest.mark.parametrize("amount", [0, -1, 1001])
def test_refund_outside_of_what_is_left_is_refused(amount: int) -> None:
    with pytest.raises(MoneyUnavailable, match="1 to 1000 GBP") as refused:
        _refund(a_payable(charged()), amount)
    assert refused.value.field == "amount_minor"


@pytest.mark.parametrize("ask", [_capture, _refund, lambda p: ask_void(p, new_id())])
@pytest.mark.parametrize("amount", [None, 1])
def test_nothing_can_be_asked_for_of_an_order_without_money(
    ask: Callable[..., Attempt], amount: int | None
) -> None:
    empty = [
        a_payable(),
        a_payable(charged(AttemptState.UNKNOWN)),
        a_payable(authorized(), voided()),
    ]
    given = () if amount is None or ask not in {_capture, _refund} else (amount,)

    for payable in empty:
        with pytest.raises(MoneyUnavailable, match="Nothing"):
            ask(payable, *given)


@pytest.mark.parametrize("state", AttemptState)
def test_open_attempt_is_the_one_whose_outcome_is_open(state: AttemptState) -> None:
    attempt = an_attempt(state=state)
    payable = a_payable(attempt, an_attempt(AttemptKind.REFUND))

    assert payable.unsettled() == (attempt if state in OPEN else None)
    assert payable.taking() == (None if state is AttemptState.DECLINED else attempt)


def test_attempt_is_found_by_its_id() -> None:
    one, other = charged(AttemptState.DECLINED), charged()
    payable = a_payable(one, other)

    assert (payable.get(one.id), payable.get(other.id)) == (one, other)
    assert payable.get(new_id()) is None
    assert payable.taking() == other


def _with(payable: Payable, attempt: Attempt) -> Payable:
    return msgspec.structs.replace(payable, attempts=(*payable.attempts, attempt))


# What may happen to an order's money: something is asked for, or an outcome comes in.
AMOUNT = st.none() | st.integers(-1, TOTAL + 1)
EVENTS = st.one_of(
    st.tuples(st.just("capture"), AMOUNT, st.booleans()),
    st.tuples(st.just("refund"), AMOUNT, st.just(value=True)),
    st.tuples(st.just("void"), st.none(), st.just(value=True)),
    st.tuples(st.sampled_from(AttemptState), st.integers(0, 20), st.just(value=True)),
)


@given(st.sampled_from(Capture), st.lists(EVENTS, max_size=30))
@settings(deadline=None, max_examples=500)
def test_no_sequence_takes_or_returns_more_than_there_is(
    how: Capture, history: list[tuple[str | AttemptState, int | None, bool]]
) -> None:
    payable = a_payable(charged() if how is Capture.AUTOMATIC else authorized())

    for what, amount, final in history:
        payable = _after(payable, what, amount, final=final)
        sums = funds(payable.attempts)

        assert 0 <= sums.refunded <= sums.captured <= sums.authorized == TOTAL
        assert 0 <= sums.refundable <= sums.captured - sums.refunded
        assert 0 <= sums.capturable <= sums.authorized - sums.captured
        assert sums.captured + _voided(payable) <= TOTAL


def _after(
    payable: Payable, what: str | AttemptState, amount: int | None, *, final: bool
) -> Payable:
    if isinstance(what, AttemptState):
        return _settled(payable, what, cast("int", amount))
    ask: dict[str, Callable[[], Attempt]] = {
        "capture": lambda: _capture(payable, amount, final=final),
        "refund": lambda: _refund(payable, amount),
        "void": lambda: ask_void(payable, new_id()),
    }
    try:
        return _with(payable, ask[what]())
    except MoneyUnavailable:
        return payable


def _settled(payable: Payable, state: AttemptState, which: int) -> Payable:
    """Have an outcome come in for one of the attempts whose outcome is open."""
    open_ = [a for a in payable.attempts if a.state not in SETTLED]
    if not open_:
        return payable
    chosen = open_[which % len(open_)]
    moved = msgspec.structs.replace(chosen, state=state)
    attempts = tuple(moved if a.id == chosen.id else a for a in payable.attempts)
    return msgspec.structs.replace(payable, attempts=attempts)


def _voided(payable: Payable) -> int:
    return sum(
        a.amount_minor
        for a in payable.attempts
        if a.kind is AttemptKind.VOID and a.state is AttemptState.SUCCEEDED
    )
