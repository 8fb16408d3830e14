import stripe

from tests.workers.gateways.account import a_charge, a_hold, adapter, answering
from workers.gateways.stripe_connection import API_VERSION


def test_pinned_version_is_the_one_this_sdk_was_made_for() -> None:
    assert stripe.api_version == API_VERSION, "read Stripe's changelog, then pin the new version"


async def test_call_names_the_version_its_key_and_the_account() -> None:
    heard: list[str] = []
    charge = a_charge()

    async with answering("", heard) as url, adapter(url, key="sk_of_ours") as gateway:
        await gateway.execute(charge)

    (request,) = heard
    assert request.startswith("POST /v1/payment_intents HTTP/1.1\r\n")
    assert f"Stripe-Version: {API_VERSION}\r\n" in request
    assert f"Idempotency-Key: {charge.attempt_id}\r\n" in request
    assert "Authorization: Bearer sk_of_ours\r\n" in request


async def test_customer_who_has_to_authenticate_is_waited_for_and_never_sent_away() -> None:
    heard: list[str] = []

    async with answering("", heard) as url, adapter(url) as gateway:
        await gateway.execute(a_charge())
        await gateway.execute(a_hold())

    assert all("error_on_requires_action" not in each for each in heard)
    assert all("automatic_payment_methods[allow_redirects]=never" in each for each in heard)
    assert ["capture_method=manual" in each for each in heard] == [False, True]
