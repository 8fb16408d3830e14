"""A Redis of the user's own is tried before anything starts."""

from collections.abc import Mapping

import pytest

from ops.local.given import check
from ops.local.state import CannotStart
from tests.ops.local.hearing import Hearing

PASSWORD = "pa55-w0rd"  # noqa: S105 - it must not be shown


async def heard(environ: Mapping[str, str]) -> list[tuple[str, str]]:
    hearing = Hearing()
    await check(environ, hearing)
    return hearing.lines


async def test_redis_that_answers_or_is_not_named_needs_no_word(redis_url: str) -> None:
    assert await heard({"REDIS_URL": redis_url}) == []
    assert await heard({"REDIS_URL": "", "BROKER_URL": ""}) == []


@pytest.mark.parametrize("name", ["REDIS_URL", "BROKER_URL"])
@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (f"redis://:{PASSWORD}@127.0.0.1:9/0", "Error 111 connecting to 127.0.0.1:9. Connect call"),
        (f"rediss://:p@{PASSWORD}@127.0.0.1:9/0", "Error 111 connecting to 127.0.0.1:9. Connect"),
        (f"redis://:{PASSWORD}@cache.invalid/0", "Error -2 connecting to cache.invalid:6379"),
        ("unix:///none/valkey.sock?db=0", "Error 2 connecting to /none/valkey.sock"),
    ],
)
async def test_redis_that_is_down_is_warned_of_without_its_password(
    name: str, url: str, reason: str
) -> None:
    [(speaker, line)] = await heard({name: url})

    assert speaker == "orderflow"
    assert line.startswith(f"Warning: {name} cannot be used now ({reason}")
    assert f"start that Redis, correct {name}, or unset it. Without it workers" in line
    assert PASSWORD not in line


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (f"http://:{PASSWORD}@cache", "begins with http://: it must be redis://"),
        (PASSWORD, "is not a URL: it must be redis://"),
        (f"redis://:{PASSWORD}/x@cache:6379/0", "is not a URL of Redis: write redis://"),
        ("redis://cache:6379?speed=high", "with no option that redis-py does not know"),
    ],
)
async def test_url_of_something_else_is_refused_without_its_password(url: str, said: str) -> None:
    with pytest.raises(CannotStart) as refused:
        await heard({"REDIS_URL": url})

    assert str(refused.value).startswith("REDIS_URL ")
    assert said in str(refused.value)
    assert PASSWORD not in str(refused.value)
