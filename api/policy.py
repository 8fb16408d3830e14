"""Who may do what: one row per operation, and nothing may be done that has none."""

from collections.abc import Mapping
from typing import Any, cast
from uuid import UUID

from litestar import Litestar
from litestar.connection import ASGIConnection
from litestar.exceptions import ImproperlyConfiguredException
from litestar.handlers import BaseRouteHandler
from litestar.routes import HTTPRoute
from litestar.types import HTTPScope

from api.authentication import who
from api.problems import Forbidden, Unauthenticated
from api.standing import Standings
from db.engine import Unavailable
from domain.principal import Policy, PrincipalKind, Role, Scope, may, reaches
from domain.refusal import NotFound

_ALL = frozenset(Role)
_STAFF = frozenset({Role.SUPPORT, Role.OPS, Role.ADMIN})
_OPS = frozenset({Role.OPS, Role.ADMIN})
_ADMIN = frozenset({Role.ADMIN})

_PUBLIC = Policy(public=True)
_PERSON = Policy(_ALL)
_NOBODY = Policy()
# A cart is of an account, or of whoever has its token; another's is not found.
_CART_WRITE = Policy(_ALL, Scope.ORDERS_WRITE, anonymous=True)

# The people, the scope a key of theirs needs, and who else. Customers and guests do it to their own
# orders only: another's is not found, exactly as one that does not exist.
POLICIES: Mapping[str, Policy] = {
    "POST /v1/orders": Policy(_ALL, Scope.ORDERS_WRITE, anonymous=True),
    "GET /v1/orders": Policy(_ALL, Scope.ORDERS_READ),
    "GET /v1/orders/{order_id}": Policy(_ALL, Scope.ORDERS_READ, guest=True),
    "GET /v1/orders/{order_id}/events": Policy(_ALL, Scope.ORDERS_READ, guest=True),
    "POST /v1/orders/{order_id}/cancel": Policy(_ALL, Scope.ORDERS_WRITE, guest=True),
    "GET /v1/orders/{order_id}/payments": Policy(_ALL, Scope.PAYMENTS_READ, guest=True),
    "POST /v1/orders/{order_id}/payment-method": Policy(_ALL, Scope.PAYMENTS_WRITE, guest=True),
    "POST /v1/orders/{order_id}/claim": Policy(_ALL, Scope.ORDERS_WRITE, any_order=True),
    "POST /v1/orders/{order_id}/capture": Policy(_OPS, Scope.PAYMENTS_WRITE),
    "POST /v1/orders/{order_id}/void": Policy(_OPS, Scope.PAYMENTS_WRITE),
    # Support up to SUPPORT_REFUND_MAX_MINOR.
    "POST /v1/orders/{order_id}/refunds": Policy(_STAFF, Scope.PAYMENTS_WRITE),
    "POST /v1/orders/{order_id}/resolve": Policy(_OPS, Scope.OPERATIONS_WRITE),
    "POST /v1/orders/{order_id}/lookup": Policy(_OPS, Scope.OPERATIONS_WRITE),
    "POST /v1/orders/{order_id}/resend": Policy(_OPS, Scope.OPERATIONS_WRITE),
    "POST /v1/orders/{order_id}/write-off": Policy(_OPS, Scope.PAYMENTS_WRITE),
    "GET /v1/orders/{order_id}/explain": Policy(_STAFF, Scope.OPERATIONS_READ),
    "GET /v1/ledger": Policy(_STAFF, Scope.PAYMENTS_READ),
    # No key makes keys: who has found one could keep what it opens.
    "POST /v1/api-keys": Policy(_ALL),
    "GET /v1/api-keys": Policy(_ALL),
    "POST /v1/api-keys/{key_id}/rotate": Policy(_ALL),
    "DELETE /v1/api-keys/{key_id}": Policy(_ALL),
    "GET /v1/audit": Policy(_ADMIN, Scope.AUDIT_READ),
    "GET /v1/findings": Policy(_STAFF, Scope.OPERATIONS_READ),
    "POST /v1/findings/{finding_id}/close": Policy(_OPS, Scope.OPERATIONS_WRITE),
    "GET /v1/tasks": Policy(_STAFF, Scope.OPERATIONS_READ),
    "GET /v1/tasks/causes": Policy(_STAFF, Scope.OPERATIONS_READ),
    "POST /v1/tasks/bulks": Policy(_OPS, Scope.OPERATIONS_WRITE),
    "GET /v1/tasks/bulks": Policy(_STAFF, Scope.OPERATIONS_READ),
    "GET /v1/tasks/bulks/{bulk_id}": Policy(_STAFF, Scope.OPERATIONS_READ),
    "POST /v1/tasks/bulks/{bulk_id}/cancel": Policy(_OPS, Scope.OPERATIONS_WRITE),
    "POST /v1/tasks/bulks/{bulk_id}/undo": Policy(_OPS, Scope.OPERATIONS_WRITE),
    "POST /v1/tasks/{task_id}/replay": Policy(_OPS, Scope.OPERATIONS_WRITE),
    "POST /v1/tasks/{task_id}/discard": Policy(_OPS, Scope.OPERATIONS_WRITE),
    "GET /v1/queues": Policy(_STAFF, Scope.OPERATIONS_READ),
    "GET /v1/queues/throughput": Policy(_STAFF, Scope.OPERATIONS_READ),
    "PUT /v1/queues/{queue}": Policy(_OPS, Scope.OPERATIONS_WRITE),
    "POST /v1/queues/{queue}/drain": Policy(_OPS, Scope.OPERATIONS_WRITE),
    "GET /v1/processes": Policy(_STAFF, Scope.OPERATIONS_READ),
    "POST /v1/processes/{process_id}/stop": Policy(_OPS, Scope.OPERATIONS_WRITE),
    "GET /v1/schedules": Policy(_STAFF, Scope.OPERATIONS_READ),
    "PUT /v1/schedules/{job}": Policy(_OPS, Scope.OPERATIONS_WRITE),
    "POST /v1/schedules/{job}/run": Policy(_OPS, Scope.OPERATIONS_WRITE),
    "POST /v1/carts": _CART_WRITE,
    "GET /v1/carts/mine": Policy(_ALL, Scope.ORDERS_READ),
    "GET /v1/carts/{cart_id}": Policy(_ALL, Scope.ORDERS_READ, anonymous=True),
    "POST /v1/carts/{cart_id}/merge": Policy(_ALL, Scope.ORDERS_WRITE),
    "POST /v1/carts/{cart_id}/lines": _CART_WRITE,
    "PUT /v1/carts/{cart_id}/lines/{sku}": _CART_WRITE,
    "DELETE /v1/carts/{cart_id}/lines/{sku}": _CART_WRITE,
    "DELETE /v1/carts/{cart_id}/lines": _CART_WRITE,
    "PUT /v1/carts/{cart_id}/codes/{code}": _CART_WRITE,
    "DELETE /v1/carts/{cart_id}/codes/{code}": _CART_WRITE,
    "POST /v1/carts/{cart_id}/checkout": _CART_WRITE,
    "GET /v1/discounts": Policy(_STAFF, Scope.OPERATIONS_READ),
    "GET /v1/discounts/{slug}": Policy(_STAFF, Scope.OPERATIONS_READ),
    "PUT /v1/discounts/{slug}": Policy(_OPS, Scope.CATALOGUE_WRITE),
    "DELETE /v1/discounts/{slug}": Policy(_OPS, Scope.CATALOGUE_WRITE),
    "GET /v1/tax-rates": Policy(_STAFF, Scope.OPERATIONS_READ),
    "GET /v1/tax-rates/{region}": Policy(_STAFF, Scope.OPERATIONS_READ),
    "PUT /v1/tax-rates/{region}": Policy(_OPS, Scope.CATALOGUE_WRITE),
    "DELETE /v1/tax-rates/{region}": Policy(_OPS, Scope.CATALOGUE_WRITE),
    "GET /v1/shipping-rates": Policy(_STAFF, Scope.OPERATIONS_READ),
    "GET /v1/shipping-rates/{zone}": Policy(_STAFF, Scope.OPERATIONS_READ),
    "PUT /v1/shipping-rates/{zone}": Policy(_OPS, Scope.CATALOGUE_WRITE),
    "DELETE /v1/shipping-rates/{zone}": Policy(_OPS, Scope.CATALOGUE_WRITE),
    "GET /v1/variants/{sku}": _PUBLIC,
    "GET /v1/categories": _PUBLIC,
    "GET /v1/search": _PUBLIC,
    # What only staff sees of it, `writes_catalogue` tells, as for the routes above.
    "POST /graphql": _PUBLIC,
    "GET /graphql": _PUBLIC,
    "GET /graphql/schema": _PUBLIC,
    "GET /v1/categories/{slug}": _PUBLIC,
    "PUT /v1/categories/{slug}": Policy(_OPS, Scope.CATALOGUE_WRITE),
    "DELETE /v1/categories/{slug}": Policy(_OPS, Scope.CATALOGUE_WRITE),
    "PUT /v1/variants/{sku}": Policy(_OPS, Scope.CATALOGUE_WRITE),
    "DELETE /v1/variants/{sku}": Policy(_OPS, Scope.CATALOGUE_WRITE),
    # Those who may write the catalogue see what is not public, too.
    "GET /v1/products": _PUBLIC,
    "GET /v1/products/{slug}": _PUBLIC,
    "PUT /v1/products/{slug}": Policy(_OPS, Scope.CATALOGUE_WRITE),
    "DELETE /v1/products/{slug}": Policy(_OPS, Scope.CATALOGUE_WRITE),
    "GET /v1/exports/products": Policy(_OPS, Scope.CATALOGUE_WRITE),
    "GET /v1/price-lists": Policy(_OPS, Scope.CATALOGUE_WRITE),
    "GET /v1/price-lists/{price_list}": Policy(_OPS, Scope.CATALOGUE_WRITE),
    "PUT /v1/price-lists/{price_list}": Policy(_OPS, Scope.CATALOGUE_WRITE),
    "DELETE /v1/price-lists/{price_list}": Policy(_OPS, Scope.CATALOGUE_WRITE),
    "GET /v1/price-lists/{price_list}/entries": Policy(_OPS, Scope.CATALOGUE_WRITE),
    "PATCH /v1/price-lists/{price_list}/entries": Policy(_OPS, Scope.CATALOGUE_WRITE),
    "GET /v1/price-lists/{price_list}/entries/{sku}": Policy(_OPS, Scope.CATALOGUE_WRITE),
    "PUT /v1/price-lists/{price_list}/entries/{sku}": Policy(_OPS, Scope.CATALOGUE_WRITE),
    "DELETE /v1/price-lists/{price_list}/entries/{sku}": Policy(_OPS, Scope.CATALOGUE_WRITE),
    "GET /v1/stock/{sku}": Policy(_STAFF, Scope.STOCK_READ),
    "PUT /v1/stock/{sku}": Policy(_OPS, Scope.STOCK_WRITE),
    "POST /v1/stock/{sku}/adjustments": Policy(_OPS, Scope.STOCK_WRITE),
    "PUT /v1/stock/{sku}/threshold": Policy(_OPS, Scope.STOCK_WRITE),
    "POST /v1/imports": Policy(_OPS, Scope.CATALOGUE_WRITE),
    "GET /v1/imports": Policy(_OPS, Scope.CATALOGUE_WRITE),
    "GET /v1/imports/{import_id}": Policy(_OPS, Scope.CATALOGUE_WRITE),
    "GET /v1/imports/{import_id}/errors": Policy(_OPS, Scope.CATALOGUE_WRITE),
    "POST /v1/imports/{import_id}/cancel": Policy(_OPS, Scope.CATALOGUE_WRITE),
    "GET /v1/products/{slug}/reviews": _PUBLIC,
    "GET /v1/products/{slug}/reviews/mine": _PERSON,
    "PUT /v1/products/{slug}/reviews/mine": _PERSON,
    "DELETE /v1/products/{slug}/reviews/mine": _PERSON,
    "GET /v1/reviews": Policy(_STAFF, Scope.OPERATIONS_READ),
    "GET /v1/reviews/{review_id}": Policy(_STAFF, Scope.OPERATIONS_READ),
    "PUT /v1/reviews/{review_id}/moderation": Policy(_STAFF, Scope.OPERATIONS_WRITE),
    "PUT /v1/stock/{sku}/backorders": Policy(_OPS, Scope.STOCK_WRITE),
    "GET /v1/stock/{sku}/movements": Policy(_STAFF, Scope.STOCK_READ),
    "POST /v1/stock/{sku}/counts": Policy(_OPS, Scope.STOCK_WRITE),
    "POST /v1/stock/{sku}/receipts": Policy(_OPS, Scope.STOCK_WRITE),
    "POST /v1/stock/{sku}/transfers": Policy(_OPS, Scope.STOCK_WRITE),
    "GET /v1/stock/{sku}/incoming": Policy(_STAFF, Scope.STOCK_READ),
    "POST /v1/stock/{sku}/incoming": Policy(_OPS, Scope.STOCK_WRITE),
    "POST /v1/incoming/{incoming_id}/cancel": Policy(_OPS, Scope.STOCK_WRITE),
    "GET /v1/stock-events": Policy(_STAFF, Scope.STOCK_READ),
    "GET /v1/locations": Policy(_STAFF, Scope.STOCK_READ),
    "GET /v1/locations/{slug}": Policy(_STAFF, Scope.STOCK_READ),
    "PUT /v1/locations/{slug}": Policy(_OPS, Scope.STOCK_WRITE),
    "DELETE /v1/locations/{slug}": Policy(_OPS, Scope.STOCK_WRITE),
    # Whoever registers, logs in or reads their mail is not known yet.
    "POST /v1/registrations": _PUBLIC,
    "POST /v1/registrations/confirm": _PUBLIC,
    "POST /v1/password-resets": _PUBLIC,
    "POST /v1/password-resets/confirm": _PUBLIC,
    "POST /v1/sessions": _PUBLIC,
    "POST /v1/sessions/refresh": _PUBLIC,
    "POST /v1/users/email/confirm": _PUBLIC,
    # One's own account is for oneself alone: no key reaches it.
    "GET /v1/sessions": _PERSON,
    "DELETE /v1/sessions": _PERSON,
    "DELETE /v1/sessions/current": _PERSON,
    "DELETE /v1/sessions/{session_id}": _PERSON,
    "GET /v1/users/me": _PERSON,
    "PATCH /v1/users/me": _PERSON,
    "PUT /v1/users/me/password": _PERSON,
    "GET /v1/users/me/export": _PERSON,
    "POST /v1/users/me/delete": _PERSON,
    "POST /v1/users/me/email": _PERSON,
    "POST /v1/users/me/totp": _PERSON,
    "POST /v1/users/me/totp/confirm": _PERSON,
    "POST /v1/users/me/totp/disable": _PERSON,
    "POST /v1/users/me/totp/recovery-codes": _PERSON,
    "GET /v1/users": Policy(_ADMIN),
    "GET /v1/users/{user_id}": Policy(_ADMIN),
    "PATCH /v1/users/{user_id}": Policy(_ADMIN),
    "PUT /v1/gateways/{name}/breaker": Policy(_OPS, Scope.OPERATIONS_WRITE),
    # Gateways sign what they send.
    "POST /v1/gateways/{name}/webhook": _PUBLIC,
    # The dashboard; what its pages do is done by the operations above.
    "GET /ops/login": _PUBLIC,
    "POST /ops/login": _PUBLIC,
    "POST /ops/logout": _PUBLIC,
    "GET /ops/static/{name}": _PUBLIC,
    "GET /ops/live": Policy(_STAFF),
    "GET /ops": Policy(_STAFF),
    "GET /ops/orders": Policy(_STAFF),
    "GET /ops/orders/{order_id}": Policy(_STAFF),
    "GET /ops/payments": Policy(_STAFF),
    "GET /ops/stock": Policy(_STAFF),
    "GET /ops/stock/{sku}": Policy(_STAFF),
    "GET /ops/audit": Policy(_ADMIN),
    "GET /ops/invariants": Policy(_STAFF),
    "GET /ops/queues": Policy(_STAFF),
    "GET /ops/tasks": Policy(_STAFF),
    "GET /ops/workers": Policy(_STAFF),
    "GET /ops/schedules": Policy(_STAFF),
    "GET /health/live": _PUBLIC,
    "GET /health/ready": _PUBLIC,
    "GET /metrics": _PUBLIC,
    "GET /openapi.json": _PUBLIC,
    "GET /problems": _PUBLIC,
    "GET /problems/{code}": _PUBLIC,
    "GET /docs": _PUBLIC,
    "GET /docs/{path}": _PUBLIC,
    "GET /docs/assets/{name}": _PUBLIC,
}


def operations(app: Litestar) -> dict[str, BaseRouteHandler]:
    """Give every operation of an application as `METHOD path`; OPTIONS only tells of the others."""
    return {
        f"{method} {route.path_format}": handler
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        for method in handler.http_methods - {"OPTIONS"}
    }


def refuse_unruled(app: Litestar) -> None:
    """Check that every operation has a row, and every row an operation; call at startup.

    Raises ImproperlyConfiguredException that names the others.
    """
    policies: Mapping[str, Policy] = app.state.policies
    if odd := sorted(operations(app).keys() ^ policies.keys()):
        raise ImproperlyConfiguredException(f"Not both route and policy: {', '.join(odd)}")


async def enforce(connection: "ASGIConnection[Any, Any, Any, Any]", _: BaseRouteHandler) -> None:
    """Let only those pass whom the policy of the operation names; a guard of every route.

    Raises Unauthenticated, Forbidden, or NotFound for an order that is not there for the asker.
    """
    scope = cast("HTTPScope", connection.scope)
    if scope["method"] == "OPTIONS":
        return
    policies: Mapping[str, Policy] = connection.app.state.policies
    policy = policies.get(f"{scope['method']} {scope['path_template']}", _NOBODY)
    if policy.public:
        _refuse_outage(connection)
        return
    principal = who(connection)
    if not may(policy, principal):
        if principal.kind is PrincipalKind.ANONYMOUS:
            raise Unauthenticated("Send a token: `Authorization: Bearer <token>`.")
        if principal.lacks_factor:
            raise Forbidden("Turn on a second factor first, at /v1/users/me/totp.")
        raise Forbidden("Your role, or the scopes of your key, do not allow this.")
    order_id = scope["path_params"].get("order_id")
    if isinstance(order_id, UUID) and not (principal.is_staff or policy.any_order):
        standings: Standings = connection.app.state.standings
        if not reaches(principal, order_id, await standings.owner(order_id)):
            raise NotFound(f"There is no order {order_id}.")


def _refuse_outage(connection: "ASGIConnection[Any, Any, Any, Any]") -> None:
    """Say at once what a request found out that waited for the database once already."""
    refusal = connection.scope["auth"]
    if isinstance(refusal, Unavailable):
        raise refusal
