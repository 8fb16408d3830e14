import pytest

from domain.payment import Succeeded
from ops.config import SettingInvalid, Settings
from tests.outside import Sandbox
from tests.workers.gateways.account import a_charge, answering
from workers.gateways.accounts import gateways
from workers.gateways.names import names

SECRET = "sk_live_51Hush"  # noqa: S105 - it opens nothing
HOST = "api.stripe.example"


def test_without_accounts_there_is_one_by_the_name_of_stripe() -> None:
    assert named("") == ["stripe"]
    assert named(" , ") == ["stripe"]


def test_accounts_keep_their_order_whatever_blanks_stand_between() -> None:
    assert named(f"north=https://{SECRET}@{HOST}, south=https://{SECRET}@{HOST}:8443/ ,") == [
        "north",
        "south",
    ]


async def test_account_is_reached_at_its_own_base_with_its_own_key(outside: Sandbox) -> None:
    heard: list[str] = []
    async with answering("", heard) as silent:
        accounts = (
            f"first={with_key(silent, SECRET)},second={with_key(outside.gateway_url, 'sk_2')}"
        )
        first, second = gateways(Settings(payment_gateways=accounts, stripe_api_key="sk_neither"))

        await first.execute(a_charge())
        outcome = await second.execute(a_charge())
        await first.close()
        await second.close()

    assert f"Authorization: Bearer {SECRET}\r\n" in heard[0]
    assert isinstance(outcome, Succeeded)


@pytest.mark.parametrize(
    "entry",
    [
        SECRET,
        f"https://{SECRET}@{HOST}",
        f"={SECRET}",
        f"{SECRET}=",
        f"=https://{SECRET}@{HOST}",
        f"a b=https://{SECRET}@{HOST}",
        f"{SECRET}@=https://{SECRET}@{HOST}",
        f"main={SECRET}@{HOST}",
        f"main=//{SECRET}@{HOST}",
        f"main=ftp://{SECRET}@{HOST}",
        f"main=https://{SECRET}",
        f"main=https://{SECRET}@",
        f"main=https://:{SECRET}@{HOST}",
        f"main=https://sk_1:{SECRET}@{HOST}",
        f"main=https://sk_1@{HOST}:{SECRET}",
        f"main=https://{SECRET}@{HOST}:0",
        f"main=https://{SECRET}@{HOST}/v1",
        f"main=https://{SECRET}@{HOST}?key",
        f"main=https://{SECRET}@{HOST}#key",
        f"main=https://[{SECRET}@{HOST}",
        f"main=https://{SECRET}\u2100@{HOST}",
        f"main=https://{SECRET}@{HOST},main=https://{SECRET}@{HOST}",
    ],
)
def test_entry_that_is_no_account_is_refused_without_its_secret(entry: str) -> None:
    settings = Settings(payment_gateways=f"good=https://sk_good@{HOST},{entry}")

    with pytest.raises(SettingInvalid, match="PAYMENT_GATEWAYS") as refusal:
        gateways(settings)

    assert SECRET[:7] not in str(refusal.value)
    # What an address could not be read for quotes it.
    assert refusal.value.__context__ is None


def test_refusal_counts_to_the_entry_it_means() -> None:
    settings = Settings(payment_gateways=f"good=https://sk_good@{HOST},bad")

    with pytest.raises(SettingInvalid, match="entry 2"):
        gateways(settings)


def named(accounts: str) -> list[str]:
    settings = Settings(payment_gateways=accounts)
    made = [gateway.name for gateway in gateways(settings)]
    assert made == list(names(settings))
    return made


def with_key(url: str, key: str) -> str:
    return url.replace("://", f"://{key}@")
