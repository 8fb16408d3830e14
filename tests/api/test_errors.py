import logging
from collections.abc import AsyncGenerator, AsyncIterator
from typing import ClassVar

import httpx
import pytest
from litestar import Litestar, get, post
from litestar.di import NamedDependency, Provide
from litestar.exceptions import HTTPException, PermissionDeniedException
from litestar.params import FromPath, FromQuery
from litestar.testing import AsyncTestClient

from api import codes, problems
from api.errors import EXCEPTION_HANDLERS
from domain.refusal import Refusal

SECRET = "hunter2"  # noqa: S105 - it guards nothing


class Outage(Refusal):
    code: ClassVar[str] = "unavailable"


RAISED: dict[str, Exception] = {
    "refusal": problems.InvalidRequest("Not sold.", field="lines[0].sku"),
    "unnamed": problems.PreconditionFailed("It is at 3 by now."),
    "anonymous": problems.Unauthenticated("Who are you?"),
    "forbidden": PermissionDeniedException("Only staff may."),
    "outage": Outage(f"connection to {SECRET} refused"),
    "bug": RuntimeError(SECRET),
    "litestar_bug": HTTPException(SECRET),
    "teapot": HTTPException(status_code=418),
}


@get("/raise/{what:str}")
async def fail(what: FromPath[str]) -> None:
    raise RAISED[what]


async def provide_number() -> int:
    return "not one"  # pyright: ignore[reportReturnType] - the bug under test


@get("/broken", dependencies={"number": Provide(provide_number)})
async def broken(number: NamedDependency[int]) -> int:
    return number


async def provide_tx() -> AsyncGenerator[int]:
    try:
        yield 1
    except ConnectionError as error:
        raise Outage(f"connection to {SECRET} lost") from error


async def provide_other() -> AsyncGenerator[int]:
    try:
        yield 1
    except ConnectionError as error:
        raise LookupError(SECRET) from error


@get("/lost", dependencies={"tx": Provide(provide_tx)})
async def lose_connection(tx: NamedDependency[int]) -> None:
    raise ConnectionError(tx)


@get("/lost-twice", dependencies={"tx": Provide(provide_tx), "other": Provide(provide_other)})
async def lose_twice(tx: NamedDependency[int], other: NamedDependency[int]) -> None:
    raise ConnectionError(tx, other)


@get("/wanting")
async def wanting(limit: FromQuery[int], offset: FromQuery[int]) -> int:
    return limit + offset


@post("/only-post")
async def only_post() -> None: ...


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    app = Litestar(
        [fail, broken, lose_connection, lose_twice, wanting, only_post],
        exception_handlers=EXCEPTION_HANDLERS,
        openapi_config=None,
        logging_config=None,
    )
    async with AsyncTestClient(app, raise_server_exceptions=False) as client:
        yield client


def assert_problem(answer: httpx.Response, status: int, code: str) -> None:
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert (answer.status_code, told["status"], told["code"]) == (status, status, code)
    assert told["type"] == f"/problems/{code}"
    assert told["title"]
    assert told["detail"]


async def test_a_refusal_names_its_code_reason_and_field(client: httpx.AsyncClient) -> None:
    answer = await client.get("/raise/refusal")

    assert_problem(answer, 400, "invalid_request")
    assert answer.json()["detail"] == "lines[0].sku: Not sold."
    assert answer.json()["errors"] == [{"field": "lines[0].sku", "detail": "Not sold."}]


async def test_a_refusal_without_a_field_has_no_errors(client: httpx.AsyncClient) -> None:
    answer = await client.get("/raise/unnamed")

    assert_problem(answer, 412, "precondition_failed")
    assert "errors" not in answer.json()


async def test_who_is_unknown_hears_how_to_authenticate(client: httpx.AsyncClient) -> None:
    answer = await client.get("/raise/anonymous")

    assert_problem(answer, 401, "unauthenticated")
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_an_outage_says_when_to_come_back_and_nothing_of_our_surroundings(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await client.get("/raise/outage")

    assert_problem(answer, 503, "unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert SECRET not in answer.text
    assert [(r.levelno, r.exc_info) for r in caplog.records if SECRET in r.getMessage()] == [
        (logging.WARNING, None)
    ]


@pytest.mark.parametrize("what", ["bug", "litestar_bug"])
async def test_a_bug_is_logged_once_with_its_traceback_and_told_to_nobody(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture, what: str
) -> None:
    answer = await client.get(f"/raise/{what}")

    assert_problem(answer, 500, "internal_error")
    assert SECRET not in answer.text
    (record,) = [r for r in caplog.records if r.levelno >= logging.ERROR]
    assert record.exc_info
    assert record.exc_info[1] is RAISED[what]


async def test_a_dependency_of_the_wrong_type_is_our_fault(client: httpx.AsyncClient) -> None:
    assert_problem(await client.get("/broken"), 500, "internal_error")


async def test_what_a_dependency_makes_of_a_failure_is_the_answer(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await client.get("/lost")

    assert_problem(answer, 503, "unavailable")
    assert [r for r in caplog.records if r.exc_info] == []


async def test_more_than_one_failure_at_once_is_ours(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await client.get("/lost-twice")

    assert_problem(answer, 500, "internal_error")
    assert SECRET not in answer.text
    assert [type(r.exc_info[1]) for r in caplog.records if r.exc_info] == [ExceptionGroup]


async def test_litestars_own_refusals_have_the_same_shape(client: httpx.AsyncClient) -> None:
    assert_problem(await client.get("/nowhere"), 404, "not_found")
    assert_problem(await client.get("/raise/forbidden"), 403, "forbidden")
    assert_problem(await client.get("/raise/teapot"), 400, "invalid_request")
    assert_problem(await client.get("/nowhere", headers={"Host": "a b"}), 400, "invalid_request")


async def test_a_wrong_method_hears_the_right_ones(client: httpx.AsyncClient) -> None:
    answer = await client.get("/only-post")

    assert_problem(answer, 405, "method_not_allowed")
    assert set(answer.headers["allow"].split(", ")) == {"POST", "OPTIONS"}


async def test_every_parameter_at_fault_is_named_and_the_url_is_not_repeated(
    client: httpx.AsyncClient,
) -> None:
    misfits = await client.get("/wanting?limit=x&offset=private")
    missing = await client.get("/wanting?limit=1&private=2")

    assert_problem(misfits, 400, "invalid_request")
    assert {error["field"] for error in misfits.json()["errors"]} == {"limit", "offset"}
    assert_problem(missing, 400, "invalid_request")
    assert "offset" in missing.json()["detail"]
    assert "private" not in misfits.text + missing.text


def all_refusals(root: type[Refusal] = Refusal) -> set[type[Refusal]]:
    return {kind for sub in root.__subclasses__() for kind in {sub} | all_refusals(sub)}


def test_every_refusal_has_a_code_of_the_table() -> None:
    assert {refusal.code for refusal in all_refusals()} <= set(codes.KINDS)


@pytest.mark.parametrize("code", codes.KINDS)
def test_every_code_of_the_table_can_be_answered(code: str) -> None:
    kind = codes.KINDS[code]

    answer = problems.answer(problems.problem(code))

    assert answer.status_code == kind.status
    assert answer.headers.items() >= kind.headers.items()
    assert kind.remedy.endswith(".")
