"""Carrying out queries: measured first, then read in one transaction, unless they are cached."""

import hashlib
import re
from functools import partial
from typing import Any

import msgspec
from graphql import GraphQLError, parse
from litestar.datastructures import State
from strawberry.types.execution import ExecutionResult
from strawberry.types.graphql import OperationType

from api.graph_limits import DEPTH_MAX, LISTED_MAX, TOKENS_MAX, Reason, Widths, measure, refused
from api.graph_loaders import Loaders
from api.graph_query import Answered, Query
from api.graph_schema import SCHEMA, SDL
from api.recall import Page
from db import edges
from db.cache import CATALOGUE_S, SHORT_S, Cache, Kind, Read
from db.engine import Busy, Unavailable, reading
from domain.refusal import Refusal

__all__ = ["SDL", "answer"]

_KIND = Kind("graphql", Page, CATALOGUE_S)
# More say no more.
_ERRORS_MAX = 10
_MESSAGE_CHARS_MAX = 300
# Brackets in brackets: levels, their arguments, and what these are made of.
_NESTING_MAX = 5 * DEPTH_MAX
# Python makes no integer of more than 4,300 digits; GraphQL's have ten.
_LONG_NUMBER = re.compile(r"[0-9]{100}")


class _Failed(Exception):
    """Something of the answer could not be given: it is not for the cache."""

    def __init__(self, answered: Answered) -> None:
        super().__init__()
        self.answered = answered


async def answer(state: State, query: Query) -> Answered:
    """Answer a query. Raises Unavailable or Busy if the database is out."""
    try:
        _refuse_nested(query.text)
        _refuse_long_numbers(query.text)
        document = parse(query.text, max_tokens=TOKENS_MAX)
        widths = measure(document, query.variables, query.operation, introspects=not query.public)
    except GraphQLError as error:
        return _errors([_told(error)])
    try:
        if not query.public:
            read = await _read(state, query, widths)
            return Answered(read.value.body if read.value else b"", carried_out=True)
        cache: Cache = state.cache
        page = await cache.get(_KIND, _key(query), partial(_read, state, query, widths))
    except _Failed as failed:
        return failed.answered
    return Answered(page.body if page else b"", carried_out=True)


def _refuse_nested(text: str) -> None:
    """Refuse what a reader that goes down into brackets would not come up from."""
    depth = 0
    for character in text:
        depth += (character in "{[(") - (character in ")]}")
        if depth > _NESTING_MAX:
            raise refused(
                Reason.TOO_DEEP, f"The query has more than {_NESTING_MAX} brackets in each other."
            )


def _refuse_long_numbers(text: str) -> None:
    if _LONG_NUMBER.search(text):
        raise refused(Reason.INVALID, "A number has 100 digits or more: write a shorter one.")


def _key(query: Query) -> str:
    """Name all that the answer for the public depends on."""
    parts = [query.text, query.variables, query.operation]
    return hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest()


async def _read(state: State, query: Query, widths: Widths) -> Read[Page]:
    """Carry a query out; raises _Failed if the answer has errors, which end the transaction."""
    async with reading(state.database) as tx:
        loaders = Loaders(tx, public=query.public, widths=widths)
        result = await _carried_out(query, loaders)
        answered = _answered(result)
        if result.errors:
            raise _Failed(answered)
        fresh_s = min(SHORT_S, await edges.of_products(tx, sorted(loaders.slugs)))
    return Read(Page(answered.body, ""), frozenset(loaders.tags), fresh_s)


async def _carried_out(query: Query, loaders: Loaders) -> ExecutionResult:
    """Carry a query out; raises _Failed, with nothing of the answer, if that is too long."""
    try:
        result = await SCHEMA.execute(
            query.text,
            variable_values=dict(query.variables),
            context_value=loaders,
            operation_name=query.operation,
            allowed_operation_types=(OperationType.QUERY,),
        )
    finally:
        await loaders.settle()
    if loaders.is_too_long:
        why = f"The lists of the answer have more than {LISTED_MAX} values: ask in parts."
        raise _Failed(_errors([_told(refused(Reason.TOO_COSTLY, why))]))
    return result


def _answered(result: ExecutionResult) -> Answered:
    if not result.errors:
        return Answered(msgspec.json.encode({"data": result.data}), carried_out=True)
    for error in result.errors:
        # What nobody has foreseen is answered as everywhere else, and tells nobody anything.
        cause = error.original_error
        unforeseen = cause is not None and not isinstance(cause, Refusal | GraphQLError)
        if cause is not None and (unforeseen or isinstance(cause, Unavailable | Busy)):
            raise cause
    errors = [_told(error) for error in result.errors[:_ERRORS_MAX]]
    if result.data is None and not any(error.path for error in result.errors):
        return _errors(errors)
    return Answered(msgspec.json.encode({"data": result.data, "errors": errors}), carried_out=True)


def _errors(errors: list[dict[str, Any]]) -> Answered:
    return Answered(msgspec.json.encode({"errors": errors}), carried_out=False)


def _told(error: GraphQLError) -> dict[str, Any]:
    cause = error.original_error
    told = _refusal(cause) if isinstance(cause, Refusal) else _invalid(error)
    if error.locations:
        told["locations"] = [
            {"line": at.line, "column": at.column} for at in error.locations[:_ERRORS_MAX]
        ]
    if error.path:
        told["path"] = error.path
    return told


def _invalid(error: GraphQLError) -> dict[str, Any]:
    message = error.message[:_MESSAGE_CHARS_MAX]
    code = (error.extensions or {}).get("code", Reason.INVALID.value)
    return {"message": message, "extensions": {"code": code}}


def _refusal(refusal: Refusal) -> dict[str, Any]:
    return {"message": refusal.detail, "extensions": {"code": refusal.code}}
