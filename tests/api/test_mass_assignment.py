"""Whatever else a body says than what its operation asks for, it is refused and changes nothing."""

import copy
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, cast

import httpx
import pytest
import pytest_asyncio

from api.policy import POLICIES
from db.engine import Database
from tests.api.routes import LEAVER, PARAMETERS, PERSON, VOID, WRITES, Write, send
from tests.web import contents, post_order

pytestmark = pytest.mark.asyncio(loop_scope="module")

# What others have been made an admin by, or have paid nothing with.
TEMPTING = {
    *("role", "is_admin", "tier", "user_id", "owner", "tenant_id", "status", "price", "total"),
    *("price_minor", "total_minor", "discount_minor", "version", "id", "disabled", "scopes"),
    *("email_verified", "password_hash", "token_version", "mfa_enabled", "created_at", "__proto__"),
}
BODIES = WRITES | {"void": Write("POST", VOID, {}, "", "")}

Schema = Mapping[str, Any]


def resolved(document: Schema, schema: Schema) -> Schema:
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    return document["components"]["schemas"][name] if name else schema


def fields(document: Schema, schema: Schema, seen: tuple[str, ...] = ()) -> Iterator[str]:
    """Name every property that a schema has at any depth."""
    name = str(schema.get("$ref", ""))
    if name in seen:
        return
    whole = resolved(document, schema)
    for field, inner in whole.get("properties", {}).items():
        yield field
        yield from fields(document, inner, (*seen, name))
    for inner in (
        *(whole.get(one, {}) for one in ("items", "additionalProperties")),
        *(each for some in ("anyOf", "oneOf", "allOf") for each in whole.get(some, ())),
    ):
        if isinstance(inner, dict):
            yield from fields(document, cast("Schema", inner), (*seen, name))


def answered(document: Schema, operation: Schema) -> set[str]:
    """Name every field of the answers when all goes well."""
    return {
        field
        for status, answer in operation["responses"].items()
        if status.startswith("2")
        for content in answer.get("content", {}).values()
        for field in fields(document, content.get("schema", {}))
    }


def asked_for(document: Schema, operation: Schema) -> set[str]:
    """Name every field of the body."""
    return set(fields(document, operation["requestBody"]["content"]["application/json"]["schema"]))


def objects(value: object) -> Iterator[dict[str, object]]:
    """Find every object in a body, the whole one first."""
    if isinstance(value, dict):
        found = cast("dict[str, object]", value)
        yield found
        for inner in found.values():
            yield from objects(inner)
    elif isinstance(value, list):
        for inner in cast("list[object]", value):
            yield from objects(inner)


def laden(body: dict[str, Any], extra: set[str]) -> Iterator[tuple[str, bytes]]:
    """Make copies of a body, each with one field more, in each of its objects."""
    for number, _ in enumerate(objects(body)):
        for field in sorted(extra):
            made = copy.deepcopy(body)
            inside = list(objects(made))[number]
            if field not in inside:
                inside[field] = "admin"
                yield field, json.dumps(made).encode()


def template_of(write: Write) -> str:
    """Find the operation of a valid request."""
    [found] = [
        operation
        for operation in POLICIES
        if operation.format_map(defaultdict(str, PARAMETERS)) == f"{write.method} {write.path}"
    ]
    return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def document(shop: httpx.AsyncClient) -> Schema:
    return (await shop.get("/openapi.json")).json()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def names(shop: httpx.AsyncClient, shop_database: Database) -> dict[str, object]:
    """Names of things that are there, to stand in the paths."""
    del shop_database
    placed = await post_order(shop, ("APPLE", 1))
    made = await send(shop, "POST", "/v1/api-keys")
    assert made.is_success, made.text
    return {
        **PARAMETERS,
        "order_id": placed.json()["id"],
        "user_id": LEAVER.id,
        "session_id": PERSON.id,
        "key_id": made.json()["about"]["id"],
        "sku": "APPLE",
    }


async def test_every_body_of_the_document_is_tried(document: Schema) -> None:
    with_body = {
        f"{method.upper()} {path}"
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if "application/json" in operation.get("requestBody", {}).get("content", ())
    }

    assert with_body == {template_of(write) for write in BODIES.values()}


@pytest.mark.parametrize("name", BODIES)
async def test_field_that_is_not_asked_for_is_refused_by_its_name(
    shop: httpx.AsyncClient,
    shop_database: Database,
    document: Schema,
    names: dict[str, object],
    name: str,
) -> None:
    write = BODIES[name]
    method, _, template = template_of(write).partition(" ")
    operation = document["paths"][template][method.lower()]
    # What is asked for, may be said.
    extra = (answered(document, operation) | TEMPTING) - asked_for(document, operation)
    before = await contents(shop_database)

    for field, body in laden(write.body, extra):
        answer = await send(shop, method, template.format_map(names), body)
        assert answer.status_code == 400, (body, answer.text)
        [error] = answer.json()["errors"]
        assert error["field"].rpartition(".")[2] == field

    assert await contents(shop_database) == before
