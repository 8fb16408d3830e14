"""The OpenAPI document: what Litestar derives from the routes, completed by what it cannot know."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

import msgspec
from litestar.openapi import ResponseSpec

from api.codes import KINDS
from api.problems import MEDIA_TYPE, Problem
from domain.principal import Policy

Node = dict[str, Any]

_SCHEMAS = "#/components/schemas/"
_METHODS = {"get", "put", "post", "delete", "patch", "head", "options"}
_FIRST_ERROR = 400
# What every route with a body may answer, by its code in the table of problems.
_OF_A_BODY = ("body_too_large", "unsupported_media_type")


def answered(
    view: type[msgspec.Struct], description: str, media_type: str = "application/json"
) -> ResponseSpec:
    """Document an answer, without the examples that Litestar would make up.

    These are other ones in each process, and a type that refuses what was made up has none at all.
    """
    return ResponseSpec(
        view, generate_examples=False, description=description, media_type=media_type
    )


def completed(document: Node, policies: Mapping[str, Policy]) -> Node:
    """Complete a document: problems as errors, closed bodies, portable patterns, who may.

    It is changed in place.
    """
    schemas: Node = document.setdefault("components", {}).setdefault("schemas", {})
    _, problems = msgspec.json.schema_components([Problem], ref_template=_SCHEMAS + "{name}")
    schemas.update(problems)
    for name, operation in _operations(document):
        _answer_with_problems(operation)
        if policy := policies.get(name):
            operation["security"] = _security(policy)
        for schema in _referenced(operation.get("requestBody", {}), schemas, set()):
            if "properties" in schemas[schema]:
                schemas[schema].setdefault("additionalProperties", False)
    for node in _nodes(document):
        if isinstance(pattern := node.get("pattern"), str):
            # Python's end of text; in ECMA 262, which OpenAPI means, that is `$`.
            node["pattern"] = pattern.replace(r"\Z", "$")
    return document


def _operations(document: Node) -> Iterator[tuple[str, Node]]:
    for path, methods in document.get("paths", {}).items():
        for method, operation in methods.items():
            if method in _METHODS:
                yield f"{method.upper()} {path}", operation


def _security(policy: Policy) -> list[Node]:
    """Say which credential an operation needs: none, or a token, and the scope if it is a key."""
    if policy.public:
        return []
    scopes = [] if policy.scope is None else [policy.scope.value]
    return [{"bearer": scopes}, *([{}] if policy.anonymous else [])]


def _answer_with_problems(operation: Node) -> None:
    """Let every error be a problem, whatever shape Litestar gave it."""
    responses: Node = operation.setdefault("responses", {})
    if "requestBody" in operation:
        for code in _OF_A_BODY:
            responses.setdefault(str(KINDS[code].status), {"description": KINDS[code].title})
    responses["default"] = {"description": "A problem; its `code` says which."}
    for status, response in responses.items():
        if status == "default" or int(status) >= _FIRST_ERROR:
            response["content"] = {MEDIA_TYPE: {"schema": {"$ref": _SCHEMAS + "Problem"}}}


def _referenced(node: Node, schemas: Node, seen: set[str]) -> set[str]:
    """Names of all schemas a node refers to, directly or through others."""
    for inner in _nodes(node):
        name = str(inner.get("$ref", "")).removeprefix(_SCHEMAS)
        if name in schemas and name not in seen:
            seen.add(name)
            _ = _referenced(schemas[name], schemas, seen)
    return seen


def _nodes(node: object) -> Iterator[Node]:
    if isinstance(node, dict):
        yield cast("Node", node)
        for inner in cast("Node", node).values():
            yield from _nodes(inner)
    elif isinstance(node, list):
        for inner in cast("list[object]", node):
            yield from _nodes(inner)
