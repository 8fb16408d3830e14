"""What a query may ask for: its size, depth and cost, known before any of it is carried out."""

from collections.abc import Mapping
from enum import StrEnum

import msgspec
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    VariableNode,
)

# A page of the shop takes a tenth of it.
TOKENS_MAX = 1_000
# Fields as they stand once fragments are put in their places; aliases are fields of their own.
FIELDS_MAX = 200
DEPTH_MAX = 8
# Values of which the answer consists at most; a thousand take some ten milliseconds.
COST_MAX = 5_000
# Of a list without a `first`, so many count; they are rarely longer.
LENGTHS: Mapping[str, int] = {
    "products": 20,
    "reviews": 5,
    "variants": 5,
    "categories": 50,
    "children": 10,
    "images": 3,
}
FIRST_MAX = 100


class Reason(StrEnum):
    """Why a query is not carried out, as its errors say in `extensions.code`."""

    TOO_LARGE = "query_too_large"
    TOO_DEEP = "query_too_deep"
    TOO_COSTLY = "query_too_costly"
    INTROSPECTION = "introspection_refused"
    INVALID = "invalid_query"


def refused(reason: Reason, message: str) -> GraphQLError:
    """Make the error that says why."""
    return GraphQLError(message, extensions={"code": reason.value})


class Measure(msgspec.Struct, frozen=True):
    """How large a query is."""

    fields: int
    depth: int
    cost: int


def measure(
    document: DocumentNode,
    variables: Mapping[str, object],
    operation: str | None = None,
    *,
    introspects: bool = False,
) -> Measure:
    """Measure the operations of a document, in time that its tokens bound.

    A fragment counts wherever it is spread, and ends no sooner for being in itself. Raises a
    GraphQLError that names the limit.
    """
    operations = [n for n in document.definitions if isinstance(n, OperationDefinitionNode)]
    if not operations or any(n.operation is not OperationType.QUERY for n in operations):
        raise refused(Reason.INVALID, "Send a query: nothing else is carried out here.")
    names = [node.name and node.name.value for node in operations]
    if operation not in names and (operation is not None or len(names) > 1):
        raise refused(Reason.INVALID, "Say by `operationName` which of the queries it is.")
    walk = _Walk(document, variables, introspects=introspects)
    for node in operations:
        walk.defaults = {
            each.variable.name.value: each.default_value.value
            for each in node.variable_definitions or ()
            if isinstance(each.default_value, IntValueNode)
        }
        walk.visit(node.selection_set, depth=1, times=1)
    walk.refuse_unmeasured()
    return Measure(walk.fields, walk.depth, walk.cost)


class _Walk:
    def __init__(
        self, document: DocumentNode, variables: Mapping[str, object], *, introspects: bool
    ) -> None:
        self.fields = self.depth = self.cost = 0
        self.defaults: Mapping[str, str] = {}
        self._variables = variables
        self._introspects = introspects
        defined = [n for n in document.definitions if isinstance(n, FragmentDefinitionNode)]
        self._fragments = {node.name.value: node for node in defined}
        self._defined = len(defined)
        self._spread = set[str]()
        self._spreads = 0

    def visit(self, selections: SelectionSetNode, *, depth: int, times: int) -> None:
        for node in selections.selections:
            if isinstance(node, FieldNode):
                self._field(node, depth, times)
            elif isinstance(node, InlineFragmentNode):
                self._enter(node.selection_set, depth, times)
            elif isinstance(node, FragmentSpreadNode):
                fragment = self._fragments.get(node.name.value)
                if fragment is not None:
                    self._spread.add(fragment.name.value)
                    self._enter(fragment.selection_set, depth, times)

    def refuse_unmeasured(self) -> None:
        """Refuse fragments that were not met: validation compares their fields, each with each."""
        if self._defined > len(self._spread):
            raise refused(
                Reason.INVALID, "A fragment is spread nowhere, or is there twice: leave it out."
            )

    def _enter(self, selections: SelectionSetNode, depth: int, times: int) -> None:
        # Fragments that only spread each other have no fields to count.
        self._spreads += 1
        if self._spreads > FIELDS_MAX:
            raise refused(
                Reason.TOO_LARGE, f"At most {FIELDS_MAX} fragments may be spread in a query."
            )
        self.visit(selections, depth=depth, times=times)

    def _field(self, node: FieldNode, depth: int, times: int) -> None:
        name = node.name.value
        if name in {"__schema", "__type"}:
            if not self._introspects:
                raise refused(
                    Reason.INTROSPECTION, "Only staff introspects; read GET /graphql/schema."
                )
            return
        self.fields += 1
        self.cost += times
        self.depth = max(self.depth, depth)
        if self.fields > FIELDS_MAX:
            raise refused(
                Reason.TOO_LARGE, f"The query has more than {FIELDS_MAX} fields: ask in parts."
            )
        if depth > DEPTH_MAX:
            raise refused(
                Reason.TOO_DEEP, f"The query is more than {DEPTH_MAX} levels deep: ask in parts."
            )
        if self.cost > COST_MAX:
            raise refused(
                Reason.TOO_COSTLY,
                f"The answer could have more than {COST_MAX} values: ask for shorter lists.",
            )
        if node.selection_set is not None:
            length = self._length(node) if name in LENGTHS else 1
            self.visit(node.selection_set, depth=depth + 1, times=times * length)

    def _length(self, node: FieldNode) -> int:
        """Tell how many a list may have; what is no number of ours is refused later."""
        for argument in node.arguments or ():
            if argument.name.value != "first":
                continue
            value = argument.value
            if isinstance(value, IntValueNode):
                return _bounded(value.value)
            if isinstance(value, VariableNode):
                name = value.name.value
                return _bounded(self._variables.get(name, self.defaults.get(name, FIRST_MAX)))
        return LENGTHS[node.name.value]


def _bounded(value: object) -> int:
    try:
        return min(max(int(str(value)), 1), FIRST_MAX)
    except ValueError:
        return FIRST_MAX
