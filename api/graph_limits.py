"""What a query may ask for: its size, depth and cost, known before any of it is carried out."""

from collections import Counter
from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

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
# Where lists are longer than was assumed: of that many in them it takes some 0.3 s.
LISTED_MAX = 10_000
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


# By where a list stands in an answer: how many values each of its elements has, without those of
# other lists in it.
Widths = Mapping[tuple[str, ...], int]


def measure(
    document: DocumentNode,
    variables: Mapping[str, object],
    operation: str | None = None,
    *,
    introspects: bool = False,
) -> Widths:
    """Measure the operations of a document, in time that its tokens bound.

    A fragment counts wherever it is spread, and ends no sooner for being in itself. Gives how
    wide its lists are, of which nobody knows before how long they are. Raises a GraphQLError
    that names the limit.
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
        walk.visit(node.selection_set, _Within())
    walk.refuse_unmeasured()
    return walk.widths


class _Within(NamedTuple):
    """Where fields stand: so deep, so many times at most, and in which list."""

    depth: int = 1
    times: int = 1
    path: tuple[str, ...] = ()
    of_list: tuple[str, ...] = ()


class _Walk:
    def __init__(
        self, document: DocumentNode, variables: Mapping[str, object], *, introspects: bool
    ) -> None:
        self.widths = Counter[tuple[str, ...]]()
        self._fields = self._cost = 0
        self.defaults: Mapping[str, str] = {}
        self._variables = variables
        self._introspects = introspects
        defined = [n for n in document.definitions if isinstance(n, FragmentDefinitionNode)]
        self._fragments = {node.name.value: node for node in defined}
        self._defined = len(defined)
        self._spread = set[str]()
        self._spreads = 0

    def visit(self, selections: SelectionSetNode, within: _Within) -> None:
        for node in selections.selections:
            if isinstance(node, FieldNode):
                self._field(node, within)
            elif isinstance(node, InlineFragmentNode):
                self._enter(node.selection_set, within)
            elif isinstance(node, FragmentSpreadNode):
                fragment = self._fragments.get(node.name.value)
                if fragment is not None:
                    self._spread.add(fragment.name.value)
                    self._enter(fragment.selection_set, within)

    def refuse_unmeasured(self) -> None:
        """Refuse fragments that were not met: validation compares their fields, each with each."""
        if self._defined > len(self._spread):
            raise refused(
                Reason.INVALID, "A fragment is spread nowhere, or is there twice: leave it out."
            )

    def _enter(self, selections: SelectionSetNode, within: _Within) -> None:
        # Fragments that only spread each other have no fields to count.
        self._spreads += 1
        if self._spreads > FIELDS_MAX:
            raise refused(
                Reason.TOO_LARGE, f"At most {FIELDS_MAX} fragments may be spread in a query."
            )
        self.visit(selections, within)

    def _field(self, node: FieldNode, within: _Within) -> None:
        name = node.name.value
        if name in {"__schema", "__type"}:
            if not self._introspects:
                raise refused(
                    Reason.INTROSPECTION, "Only staff introspects; read GET /graphql/schema."
                )
            return
        self._fields += 1
        self._cost += within.times
        self.widths[within.of_list] += 1
        self._refuse_much(within.depth)
        if node.selection_set is not None:
            self.visit(node.selection_set, self._inside(node, within))

    def _refuse_much(self, depth: int) -> None:
        if self._fields > FIELDS_MAX:
            raise refused(
                Reason.TOO_LARGE, f"The query has more than {FIELDS_MAX} fields: ask in parts."
            )
        if depth > DEPTH_MAX:
            raise refused(
                Reason.TOO_DEEP, f"The query is more than {DEPTH_MAX} levels deep: ask in parts."
            )
        if self._cost > COST_MAX:
            raise refused(
                Reason.TOO_COSTLY,
                f"The answer could have more than {COST_MAX} values: ask for shorter lists.",
            )

    def _inside(self, node: FieldNode, within: _Within) -> _Within:
        path = (*within.path, (node.alias or node.name).value)
        if node.name.value not in LENGTHS:
            return _Within(within.depth + 1, within.times, path, within.of_list)
        return _Within(within.depth + 1, within.times * self._length(node), path, path)

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
