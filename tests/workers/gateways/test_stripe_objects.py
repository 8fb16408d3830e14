import msgspec
import pytest

from domain.money import Money
from workers.gateways.stripe_objects import counted, minor, payments_decoder


@pytest.mark.parametrize(
    ("money", "amount"),
    [
        (Money(1999, "GBP"), 1999),
        (Money(500, "JPY"), 500),
        (Money(500, "ISK"), 50_000),
        (Money(500, "UGX"), 50_000),
    ],
)
def test_amounts_are_counted_as_stripe_does_and_back(money: Money, amount: int) -> None:
    assert counted(money) == amount
    assert minor(amount, money.currency.lower()) == money.minor


@pytest.mark.parametrize("created", [-1, 10**12, "1", None])
def test_time_that_is_none_cannot_be_read(created: object) -> None:
    payment = {
        "id": "pi_1",
        "status": "succeeded",
        "amount": 500,
        "amount_received": 500,
        "amount_capturable": 0,
        "currency": "eur",
    }
    told = msgspec.json.encode({"data": [payment | {"created": 1}]})
    wrong = msgspec.json.encode({"data": [payment | {"created": created}]})

    assert payments_decoder.decode(told).data[0].created == 1
    with pytest.raises(msgspec.ValidationError):
        payments_decoder.decode(wrong)
