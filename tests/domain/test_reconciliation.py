"""Every way in which a gateway's books and ours can differ, and what is no difference."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest

from db.ids import new_id
from domain.funds import AttemptKind, AttemptState
from domain.money import Money
from domain.payment import (
    ActionRequired,
    Booked,
    Charge,
    Declined,
    Outcome,
    Succeeded,
    Unknown,
    Unsent,
)
from domain.reconciliation import (
    FIRST,
    REMEDY,
    Account,
    Comparison,
    Difference,
    Portion,
    Sought,
    compare,
    is_no_answer,
    judge,
)

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
AUTHORIZED = {"kind": AttemptKind.AUTHORIZE, "captured_minor": 0}


def ours(**changes: Any) -> Account:
    """A charge that was captured whole, unless told otherwise."""
    account = Account(
        attempt_id=new_id(),
        order_id=new_id(),
        kind=AttemptKind.CHARGE,
        state=AttemptState.SUCCEEDED,
        gateway="bank",
        gateway_ref="pi_1",
        currency="GBP",
        amount_minor=1000,
        total_minor=1000,
        captured_minor=1000,
        refunded_minor=0,
        fee_minor=30,
        released=False,
        moving=False,
    )
    return msgspec.structs.replace(account, **changes)


def theirs(account: Account, **changes: Any) -> Booked:
    """The same charge as the gateway books it, unless told otherwise."""
    payment = Booked("pi_1", account.attempt_id, account.order_id, "GBP", 0, 1000, 0, NOON, 30)
    return msgspec.structs.replace(payment, **changes)


def compared(account: Account, **changes: Any) -> Comparison:
    return compare("bank", [theirs(account, **changes)], {account.attempt_id: account})


def kinds(seen: Comparison) -> list[str]:
    return [finding.kind for finding in seen.findings]


@pytest.mark.parametrize(
    ("here", "there"),
    [
        ({}, {}),
        ({}, {"currency": "gbp"}),
        ({"gateway_ref": None}, {}),
        ({}, {"fee_minor": None}),
        ({"refunded_minor": 300}, {"refunded_minor": 300}),
        (AUTHORIZED, {"captured_minor": 0, "authorized_minor": 1000}),
        (
            AUTHORIZED | {"captured_minor": 400},
            {"captured_minor": 400, "authorized_minor": 600},
        ),
        (AUTHORIZED | {"captured_minor": 400, "released": True}, {"captured_minor": 400}),
        (AUTHORIZED | {"released": True}, {"captured_minor": 0}),
    ],
)
def test_what_is_the_same_on_both_sides_is_a_match(
    here: dict[str, Any], there: dict[str, Any]
) -> None:
    account = ours(**here)

    seen = compared(account, **there)

    assert seen.findings == ()
    assert seen.matched == (account.attempt_id,)
    assert set(seen.examined) == {"pi_1", str(account.attempt_id)}


@pytest.mark.parametrize(
    ("here", "there", "kind"),
    [
        ({}, {"captured_minor": 999}, Difference.CAPTURED_AMOUNT),
        ({"captured_minor": 1001}, {}, Difference.CAPTURED_AMOUNT),
        ({}, {"refunded_minor": 1}, Difference.REFUNDED_AMOUNT),
        ({"refunded_minor": 1}, {}, Difference.REFUNDED_AMOUNT),
        ({}, {"fee_minor": 29}, Difference.FEE),
        ({"fee_minor": 0}, {}, Difference.FEE),
        ({}, {"currency": "EUR", "captured_minor": 1}, Difference.CURRENCY),
        ({"total_minor": 999}, {}, Difference.ORDER_TOTAL),
        (
            AUTHORIZED | {"released": True},
            {"captured_minor": 0, "authorized_minor": 1000},
            Difference.HELD_MORE_THERE,
        ),
        (AUTHORIZED, {"captured_minor": 0}, Difference.HELD_LESS_THERE),
        ({"state": AttemptState.DECLINED}, {}, Difference.CAPTURED_THERE_ONLY),
        ({"state": AttemptState.CREATED}, {}, Difference.CAPTURED_THERE_ONLY),
        (
            {"state": AttemptState.DECLINED},
            {"captured_minor": 0, "authorized_minor": 1000},
            Difference.HELD_MORE_THERE,
        ),
    ],
)
def test_each_difference_is_a_finding_of_its_kind_about_our_attempt(
    here: dict[str, Any], there: dict[str, Any], kind: Difference
) -> None:
    account = ours(**here)

    seen = compared(account, **there)

    [finding] = seen.findings
    assert (finding.kind, finding.subject) == (kind, str(account.attempt_id))
    assert finding.order_id == account.order_id
    assert finding.detail.startswith("bank pi_1: ")
    assert finding.detail.endswith(REMEDY[kind])
    assert seen.matched == ()


def test_every_kind_of_difference_has_a_remedy() -> None:
    assert set(REMEDY) == set(Difference)


def test_differences_of_one_payment_are_findings_of_their_own() -> None:
    seen = compared(ours(refunded_minor=5, total_minor=2000), captured_minor=1)

    assert set(kinds(seen)) == {
        Difference.CAPTURED_AMOUNT,
        Difference.REFUNDED_AMOUNT,
        Difference.ORDER_TOTAL,
    }


def test_detail_says_what_is_there_and_what_is_here_and_then_what_to_do() -> None:
    [finding] = compared(ours(), refunded_minor=300).findings

    assert finding.detail.startswith("bank pi_1: 300 refunded there, 0 here. ")


@pytest.mark.parametrize("attempt_id", [None, new_id()])
def test_payment_of_no_attempt_of_ours_is_unknown_here(attempt_id: UUID | None) -> None:
    payment = theirs(ours(), attempt_id=attempt_id)

    seen = compare("bank", [payment], {})

    [finding] = seen.findings
    assert (finding.kind, finding.subject) == (Difference.UNKNOWN_HERE, "pi_1")
    assert finding.order_id == payment.order_id
    assert seen.examined == ("pi_1",)


@pytest.mark.parametrize("here", [{"gateway_ref": "pi_2"}, {"gateway": "other"}])
def test_second_payment_under_the_name_of_an_attempt_is_unknown_here(here: dict[str, Any]) -> None:
    account = ours(**here)

    seen = compared(account)

    [finding] = seen.findings
    assert (finding.kind, finding.subject) == (Difference.UNKNOWN_HERE, "pi_1")
    assert str(account.attempt_id) in finding.detail
    assert seen.examined == ("pi_1",)
    assert seen.matched == ()


def test_payment_without_money_need_not_be_known() -> None:
    assert compare("bank", [theirs(ours(), captured_minor=0)], {}).findings == ()
    assert compared(ours(state=AttemptState.DECLINED), captured_minor=0).findings == ()


def test_declined_attempt_is_no_match_as_nothing_is_to_be_confirmed() -> None:
    assert compared(ours(state=AttemptState.DECLINED), captured_minor=0).matched == ()


def test_what_moves_is_neither_a_difference_nor_a_match() -> None:
    account = ours(moving=True, state=AttemptState.UNKNOWN)

    assert compared(account) == Comparison((), (), (), (account.order_id,))


def test_of_many_payments_each_is_compared_with_its_own_account() -> None:
    right, wrong = ours(), ours(gateway_ref="pi_2")
    payments = [theirs(right), theirs(wrong, gateway_ref="pi_2", captured_minor=1)]

    seen = compare("bank", payments, {a.attempt_id: a for a in (right, wrong)})

    assert [finding.subject for finding in seen.findings] == [str(wrong.attempt_id)]
    assert seen.matched == (right.attempt_id,)


def sought(*, released: bool = False) -> Sought:
    return Sought(Charge(new_id(), new_id(), Money(1000, "GBP"), "pm_card_visa"), released)


@pytest.mark.parametrize(
    "found",
    [
        None,
        Declined("card_declined"),
        ActionRequired("pi_1", "secret"),
        Unknown("Timeout."),
        Unsent("No connection."),
    ],
)
def test_charge_of_ours_that_the_gateway_does_not_confirm_is_missing_there(
    found: Outcome | None,
) -> None:
    charge = sought()

    seen = judge("bank", [(charge, found)])

    [finding] = seen.findings
    subject = str(charge.charge.attempt_id)
    assert (finding.kind, finding.subject) == (Difference.MISSING_THERE, subject)
    assert finding.order_id == charge.charge.order_id
    assert "secret" not in finding.detail
    assert (seen.examined, seen.matched) == ((subject,), ())


def test_charge_that_the_gateway_confirms_is_a_match() -> None:
    charge, released = sought(), sought(released=True)

    seen = judge("bank", [(charge, Succeeded("pi_1")), (released, Declined("canceled"))])

    assert seen.findings == ()
    assert seen.matched == (charge.charge.attempt_id, released.charge.attempt_id)


def test_lookup_that_failed_is_no_answer() -> None:
    assert [is_no_answer(found) for found in (Unknown("?"), Unsent("?"))] == [True, True]
    assert not any(is_no_answer(found) for found in (None, Succeeded("pi_1"), Declined("no")))


@pytest.mark.parametrize(
    "portion",
    [
        Portion("bank", NOON, NOON),
        Portion("bank", NOON, NOON, cursor="pi_7"),
        Portion("bank", NOON, NOON, changed=FIRST),
        Portion("bank", NOON, NOON, changed=FIRST, after=FIRST),
        Portion("bank", NOON, NOON, after=new_id()),
    ],
)
def test_portion_survives_in_a_task(portion: Portion) -> None:
    payload = msgspec.to_builtins(portion)

    assert all(isinstance(value, str) for value in payload.values())
    assert msgspec.convert(payload, Portion) == portion
