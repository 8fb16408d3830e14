"""What a mail tells a customer of an order."""

import msgspec
import pytest

from db.ids import new_id
from domain.event import CancelReason
from domain.money import Money
from domain.notice import BECAUSE, Position, Told, amount, extras, mail
from domain.task import Notice

NOTHING = dict.fromkeys(("discount_minor", "shipping_minor", "tax_minor"), 0)
TOLD = Told(
    order_id=new_id(),
    email="ann@example.com",
    total=Money(1890, "GBP"),
    cancel_reason=None,
    positions=[
        Position("Lamp", 2, Money(1880, "GBP")),
        Position("Bulb, 40 W", 1, Money(10, "GBP")),
    ],
)


def _cancelled(reason: CancelReason | None) -> Told:
    return Told(TOLD.order_id, TOLD.email, TOLD.total, reason, TOLD.positions)


@pytest.mark.parametrize("notice", Notice)
def test_mail_has_the_same_id_however_often_it_is_written(notice: Notice) -> None:
    ids = {mail(notice, TOLD).message_id, mail(notice, TOLD).message_id}

    assert ids == {f"{TOLD.order_id}.{notice.value}@orderflow"}


def test_mails_of_one_order_have_ids_of_their_own() -> None:
    assert len({mail(notice, TOLD).message_id for notice in Notice}) == len(Notice)


@pytest.mark.parametrize(("included", "tax"), [(False, "Tax"), (True, "Tax, contained")])
def test_mail_tells_what_the_total_has_beside_its_positions(tax: str, *, included: bool) -> None:
    beside = extras(
        "GBP", discount_minor=175, shipping_minor=399, tax_minor=5, tax_included=included
    )

    text = mail(Notice.ORDER_CONFIRMED, msgspec.structs.replace(TOLD, extras=beside)).text

    assert f"Discount: -1.75 GBP\nShipping: 3.99 GBP\n{tax}: 0.05 GBP\n" in text
    assert extras("GBP", **NOTHING, tax_included=included) == []


def test_confirmation_names_every_position_and_the_total() -> None:
    confirmation = mail(Notice.ORDER_CONFIRMED, TOLD)

    assert (confirmation.to, confirmation.subject) == (TOLD.email, "Your order is confirmed")
    assert confirmation.text == (
        "Thank you. Your payment has arrived.\n"
        "\n"
        "2 x Lamp: 18.80 GBP\n"
        "1 x Bulb, 40 W: 0.10 GBP\n"
        "\n"
        "Total: 18.90 GBP\n"
        f"Order {TOLD.order_id}\n"
    )


def test_who_waits_is_told_that_nothing_is_taken_before_the_goods_are_there() -> None:
    waits = mail(Notice.ORDER_BACKORDERED, TOLD)

    assert waits.subject == "Your order waits for stock"
    assert "No money is taken before" in waits.text
    assert "2 x Lamp: 18.80 GBP\n" in waits.text


@pytest.mark.parametrize("reason", CancelReason)
def test_cancellation_gives_its_reason(reason: CancelReason) -> None:
    cancellation = mail(Notice.ORDER_CANCELLED, _cancelled(reason))

    assert cancellation.subject == "Your order is cancelled"
    assert f"Your order was cancelled {BECAUSE[reason]}." in cancellation.text


def test_customer_who_is_suspected_of_fraud_is_not_told_so() -> None:
    staff, fraud = _cancelled(CancelReason.STAFF), _cancelled(CancelReason.FRAUD)

    assert mail(Notice.ORDER_CANCELLED, staff) == mail(Notice.ORDER_CANCELLED, fraud)


@pytest.mark.parametrize(
    ("money", "written"),
    [
        (Money(0, "GBP"), "0.00 GBP"),
        (Money(5, "GBP"), "0.05 GBP"),
        (Money(1230, "GBP"), "12.30 GBP"),
        (Money(99_999_999, "EUR"), "999,999.99 EUR"),
        (Money(1230, "JPY"), "1,230 JPY"),
        (Money(7, "UGX"), "7 UGX"),
        (Money(1230, "KWD"), "1.230 KWD"),
        (Money(5, "IQD"), "0.005 IQD"),
    ],
)
def test_amount_has_the_digits_of_its_currency(money: Money, written: str) -> None:
    assert amount(money) == written
