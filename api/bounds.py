"""Bounds: an application that would take input without limits does not start."""

from collections.abc import Iterator
from typing import Any

from litestar import Litestar
from litestar.exceptions import ImproperlyConfiguredException
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from litestar.params import ParameterKwarg
from litestar.routes import HTTPRoute
from litestar.typing import FieldDefinition
from msgspec import Meta, inspect

_NUMBERS = inspect.IntType | inspect.FloatType
_ARRAYS = inspect.ListType | inspect.SetType | inspect.FrozenSetType | inspect.VarTupleType
# Their text has a form of its own, they list what they allow, or only what is inside counts.
_BOUNDED = (
    inspect.NoneType
    | inspect.BoolType
    | inspect.UUIDType
    | inspect.DateType
    | inspect.DateTimeType
    | inspect.EnumType
    | inspect.LiteralType
    | inspect.TupleType
    | inspect.UnionType
    | inspect.Metadata
)


def refuse_unbounded(app: Litestar) -> None:
    """Check every route's `data`, and its numbers in path, query and headers; call at startup.

    Raises ImproperlyConfiguredException that names every field without a bound.
    """
    handlers = {h for r in app.routes if isinstance(r, HTTPRoute) for h in r.route_handlers}
    if lacking := sorted({text for handler in handlers for text in _of_handler(handler)}):
        raise ImproperlyConfiguredException("Input without bounds: " + "; ".join(lacking))


def _of_handler(handler: HTTPRouteHandler) -> Iterator[str]:
    if data := handler.parsed_data_field:
        for path, lack in unbounded(data.annotation):
            yield f"{handler.handler_name}: data{path} {lack}"
    for field in parameters(handler):
        if lack := _of_parameter(field):
            yield f"{handler.handler_name}: parameter {field.name} {lack}"


def parameters(handler: BaseRouteHandler) -> Iterator[FieldDefinition]:
    """Give what a handler and its dependencies declare, the dependencies left out."""
    provided = handler.resolve_dependencies()
    providers = [provider.parsed_fn_signature for provider in provided.values()]
    for signature in (handler.parsed_fn_signature, *providers):
        yield from (field for name, field in signature.parameters.items() if name not in provided)


def _of_parameter(field: FieldDefinition) -> str | None:
    """Say what a parameter lacks; the server bounds the length of text."""
    given = field.kwarg_definition
    if not isinstance(given, ParameterKwarg):
        return None
    if any(isinstance(said, Meta) for said in field.metadata):
        return "has a Meta, which Litestar ignores: use PathParameter or QueryParameter"
    types = places(field.annotation)
    if any(isinstance(kind, _NUMBERS) for _, kind in types) and None in {given.ge, given.le}:
        return "needs ge and le"
    return None


def unbounded(declared: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - any type msgspec knows
    """Name the places in a type at which a client could send without limit, and what they lack."""
    for path, kind in places(declared):
        if lack := _lack(kind):
            yield path, lack


def places(declared: Any) -> Iterator[tuple[str, inspect.Type]]:  # noqa: ANN401 - as above
    """Give every place in a type, e.g. `.lines[].sku`, and what stands there."""
    return _all_types(inspect.type_info(declared), "", ())


def _all_types(
    kind: inspect.Type, path: str, above: tuple[object, ...]
) -> Iterator[tuple[str, inspect.Type]]:
    yield path, kind
    if isinstance(kind, inspect.StructType):
        if kind.cls in above:
            return
        above = (*above, kind.cls)
    for step, inner in _inside(kind):
        yield from _all_types(inner, path + step, above)


def _inside(kind: inspect.Type) -> list[tuple[str, inspect.Type]]:
    match kind:
        case inspect.StructType():
            return [(f".{field.encode_name}", field.type) for field in kind.fields]
        case inspect.DictType():
            return [(".*", kind.key_type), (".*", kind.value_type)]
        case inspect.UnionType():
            return [("", inner) for inner in kind.types]
        case inspect.TupleType():
            return [(f"[{i}]", inner) for i, inner in enumerate(kind.item_types)]
        case inspect.Metadata():
            return [("", kind.type)]
        case _:
            return [("[]", kind.item_type)] if isinstance(kind, _ARRAYS) else []


def _lack(kind: inspect.Type) -> str | None:
    """Say what one type lacks, whatever is inside it."""
    if isinstance(kind, _BOUNDED):
        return None
    if isinstance(kind, _NUMBERS):
        bounds = (kind.ge, kind.gt), (kind.le, kind.lt)
        return "needs ge and le" if (None, None) in bounds else None
    if isinstance(kind, inspect.StructType):
        return None if kind.forbid_unknown_fields else "needs forbid_unknown_fields"
    if isinstance(kind, inspect.StrType | inspect.BytesType | inspect.DictType | _ARRAYS):
        # A pattern is not enough: `$` also matches before a final newline.
        return "needs max_length" if kind.max_length is None else None
    return f"must not be {type(kind).__name__.removesuffix('Type')}: declare what may come"
