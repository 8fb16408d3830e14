from uuid import uuid4

import pytest

from tests.ops.sandbox.caller import Caller
from tests.ops.sandbox.merchant import Merchant


async def test_search_pages_without_gaps(merchant: Merchant) -> None:
    order = str(uuid4())
    made = [(await merchant.pay(metadata={"order_id": order})).id for _ in range(5)]

    pages = await merchant.client.v1.payment_intents.search_async(
        params={"query": f"metadata['order_id']:'{order}'", "limit": 2}
    )

    assert [each.id async for each in pages.auto_paging_iter()] == made[::-1]


async def test_search_goes_by_the_metadata_of_now(merchant: Merchant) -> None:
    before, after = str(uuid4()), str(uuid4())
    held = await merchant.hold(metadata={"n": before, "gone": before})

    taken = await merchant.capture(held.id, metadata={"n": after, "gone": ""})

    assert (await merchant.search("n", after), await merchant.search("n", before)) == (
        [held.id],
        [],
    )
    assert await merchant.search("gone", before) == []
    assert "gone" not in taken.metadata


async def test_listed_payments_can_be_expanded_to_their_fees(merchant: Merchant) -> None:
    paid = await merchant.pay(amount=5000)

    listed = await merchant.payments(
        expand=["data.latest_charge.balance_transaction"],
        limit=100,
        created={"gte": paid.created},
    )

    (found,) = [each for each in listed if each.id == paid.id]
    assert found.latest_charge.balance_transaction.fee == 95


async def test_charges_are_listed_page_by_page_as_they_stand(merchant: Merchant) -> None:
    made = [await merchant.pay() for _ in range(3)]
    await merchant.pay("pm_card_threeDSecure2Required")
    await merchant.refund(made[0].id, amount=1)

    listed = await merchant.client.v1.charges.list_async(params={"limit": 1})
    newest = [each async for each in listed.auto_paging_iter()][:3]

    assert [each.payment_intent for each in newest] == [each.id for each in made[::-1]]
    assert [each.amount_refunded for each in newest] == [0, 0, 1]
    one = await merchant.client.v1.charges.retrieve_async(str(made[0].latest_charge))
    assert (one.amount_captured, one.refunded) == (1000, False)


async def test_event_is_found_by_id_and_keeps_what_it_told(merchant: Merchant) -> None:
    held = await merchant.hold()
    await merchant.capture(held.id)
    listed = await merchant.client.v1.events.list_async(
        params={"type": "payment_intent.amount_capturable_updated", "limit": 1}
    )

    event = await merchant.client.v1.events.retrieve_async(listed.data[0].id)

    assert event.data.object["id"] == held.id
    assert event.data.object["status"] == "requires_capture"


@pytest.mark.parametrize(
    "path", ["payment_intents", "charges", "refunds", "disputes", "balance_transactions", "events"]
)
async def test_lists_refuse_what_they_do_not_know(caller: Caller, path: str) -> None:
    assert (await caller.get(f"/v1/{path}", limit="1")).status == 200
    assert (await caller.get(f"/v1/{path}", colour="red")).status == 400
    assert (await caller.get(f"/v1/{path}", **{"expand[]": "everything"})).status == 400
    assert (await caller.get(f"/v1/{path}", starting_after="xx_nobody")).status == 404
