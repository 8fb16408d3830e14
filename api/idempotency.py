"""The Idempotency-Key contract (IETF draft-ietf-httpapi-idempotency-key-header, and Stripe's)."""

import hashlib
import re
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Annotated, Any, ClassVar
from uuid import UUID

import msgspec
from litestar import Request, Response
from litestar.di import NamedDependency, Provide
from litestar.openapi import ResponseSpec
from litestar.params import HeaderParameter
from sqlalchemy.ext.asyncio import AsyncConnection

from api.authentication import Asked
from api.cards import refuse_card_number_as_key
from api.openapi import answered
from api.problems import IdempotencyKeyInvalid, IdempotencyKeyMissing
from db import operations
from db.engine import act_as, transaction
from db.keys import Answer
from db.operations import Operation
from domain.actor import actor_of
from domain.principal import Principal, PrincipalKind
from domain.refusal import Refusal

_KEY = re.compile(r"[\x21-\x7e]{1,255}")
# Who has no account shares this space of keys with all others who have none. Only the same key
# with the same request, the token of its payment included, gets the same answer.
PUBLIC = "public"

_ABOUT = "1 to 255 printable ASCII characters: fresh for each request, the same for its retries."


class IdempotencyInProgress(Refusal):
    """The first request with this key is still under way."""

    code: ClassVar[str] = "idempotency_in_progress"


async def provide_key(
    request: Request[Any, Any, Any],
    idempotency_key: Annotated[
        str | None,
        HeaderParameter(
            name="Idempotency-Key",
            required=True,
            description=_ABOUT,
            schema_extra={"pattern": f"^{_KEY.pattern}$"},
        ),
    ] = None,
) -> str:
    """Check the Idempotency-Key.

    Raises IdempotencyKeyMissing, IdempotencyKeyInvalid or CardNumberRefused.
    """
    if idempotency_key is None:
        raise IdempotencyKeyMissing(
            "Missing: send a fresh key for each request, and the same one for its retries.",
            field="Idempotency-Key",
        )
    given_once = len(request.headers.getall("Idempotency-Key")) == 1
    if not given_once or not _KEY.fullmatch(idempotency_key):
        raise IdempotencyKeyInvalid(
            "Send it once, as 1 to 255 printable ASCII characters without spaces, e.g. a UUID.",
            field="Idempotency-Key",
        )
    refuse_card_number_as_key(idempotency_key)
    return idempotency_key


def fingerprint(operation: str, content: object) -> bytes:
    """Tell requests apart by what they ask for, not by how their JSON is written."""
    return hashlib.sha256(operation.encode() + b"\n" + msgspec.json.encode(content)).digest()


def scope_of(principal: Principal) -> str:
    """Name the space of keys of who asks; an account and its API keys have one."""
    return PUBLIC if principal.kind is PrincipalKind.ANONYMOUS else principal.name


class InFlight:
    """The keys that this process is just working for."""

    def __init__(self) -> None:
        self._keys: set[tuple[str, str]] = set()

    @contextmanager
    def hold(self, scope: str, key: str) -> Generator[None]:
        """Hold a key; raises IdempotencyInProgress if another request holds it."""
        if (scope, key) in self._keys:
            raise IdempotencyInProgress(
                "The first request with this Idempotency-Key is still under way: repeat it later.",
                field="Idempotency-Key",
            )
        self._keys.add((scope, key))
        try:
            yield
        finally:
            self._keys.discard((scope, key))


class Once:
    """A request that happens once per key, whatever is lost on the way and repeated."""

    def __init__(self, request: Asked, key: str) -> None:
        self.request = request
        self._scope = scope_of(request.user)
        # What is done, and to what, tells requests with the same body apart. An id may be written
        # in capitals, too.
        self._name = f"{request.method} {request.scope['path'].lower()}"
        self._key = key

    async def answer(
        self,
        order_id: UUID,
        content: object,
        act: Callable[[AsyncConnection], Awaitable[object]],
        *,
        location: str,
    ) -> Response[bytes]:
        """Act in a transaction of its own, or replay; what `act` gives is answered as JSON.

        `{id}` in the location stands for the id that the first request came with.

        Raises what `act` refuses with, IdempotencyInProgress or IdempotencyKeyReused.
        """
        operation = Operation(self._scope, self._key, fingerprint(self._name, content), order_id)

        async def rendered(tx: AsyncConnection) -> bytes:
            return msgspec.json.encode(await act(tx))

        state = self.request.app.state
        with state.in_flight.hold(self._scope, self._key):
            async with transaction(state.database) as tx:
                act_as(tx, actor_of(self.request.user))
                answer = await operations.once(tx, operation, rendered)
        return respond(answer, location.replace("{id}", str(answer.order_id)))


async def provide_once(request: Asked, key: NamedDependency[str]) -> Once:
    """Give what makes this request happen once."""
    return Once(request, key)


ONCE = {"key": Provide(provide_key), "once": Provide(provide_once)}


def accepted(view: type[msgspec.Struct]) -> dict[int, ResponseSpec]:
    """Document an answer that is stored and replayed."""
    return {HTTPStatus.ACCEPTED: answered(view, "Accepted, and durable.")}


def respond(answer: Answer, location: str) -> Response[bytes]:
    """Give the answer to a request with a key, and tell whether it is a replay."""
    headers = {"Location": location}
    if answer.replayed:
        headers["Idempotent-Replayed"] = "true"
    return Response(answer.body, status_code=answer.status, headers=headers)
