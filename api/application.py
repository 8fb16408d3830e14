"""The wiring of the web application: routes, dependencies, errors and the edge around them."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from litestar import Litestar, Request, Response
from litestar.datastructures import State
from litestar.di import Provide
from litestar.types import ASGIApp
from sqlalchemy.ext.asyncio import AsyncConnection

from api import (
    api_keys,
    audit,
    authenticators,
    bulks,
    cart_lines,
    carts,
    categories,
    checkouts,
    claims,
    discounts,
    docs,
    emails,
    explanations,
    exports,
    findings,
    gateways,
    graphql,
    health,
    imports,
    incoming,
    ledger,
    locations,
    lookups,
    mails,
    me,
    moderation,
    orders,
    payments,
    price_entries,
    price_lists,
    processes,
    products,
    queues,
    rates,
    registration,
    resets,
    resolutions,
    reviews,
    schedules,
    search,
    sessions,
    staff_login,
    stock,
    tasks,
    users,
    variants,
    webhooks,
    write_offs,
)
from api.acceptance import Acceptance
from api.authentication import Asked, Authentication
from api.bodies import WholeBodies
from api.bounds import refuse_unbounded
from api.cookies import Cookies
from api.cors import Cors
from api.edge import Edge
from api.errors import EXCEPTION_HANDLERS
from api.html_errors import as_pages
from api.idempotency import InFlight
from api.keyring import Keyring
from api.limits import Limited, Limits
from api.load import Bounded
from api.methods import answer_options
from api.policy import POLICIES, enforce, refuse_unruled
from api.proxies import Proxies
from api.query import refuse_stray_parameters
from api.recall import Addresses, Recalled
from api.reception import Reception
from api.scraped import Scraped
from api.standing import Standings
from api.strict import StrictRequest
from api.versions import ENDINGS, announcing
from db.cache import Cache
from db.doorbell import Doorbell, broker
from db.engine import Database, act_as, connect, transaction
from db.finds import Finds
from db.heartbeat import Heartbeat
from db.persisted import Persisted
from db.processes import ProcessKind
from db.reach import Reach
from domain.actor import actor_of
from domain.secret import keys
from ops.config import VERSION, Settings
from ops.dashboard import routes as dashboard
from ops.dashboard.site import Site
from ops.telemetry import faultpoint, trace

# A thousand lines of an order take some sixty kilobytes.
BODY_BYTES_MAX = 1_000_000

# Probes and scrapes come every few seconds from machines.
QUIET = ("/health/live", "/health/ready", "/metrics")

ROUTES = [
    orders.router,
    carts.router,
    cart_lines.router,
    checkouts.router,
    discounts.router,
    rates.taxes,
    rates.shipping,
    claims.router,
    explanations.router,
    payments.router,
    resolutions.router,
    lookups.router,
    mails.router,
    write_offs.router,
    ledger.router,
    webhooks.router,
    gateways.router,
    variants.router,
    products.router,
    price_lists.router,
    price_entries.router,
    exports.router,
    categories.router,
    search.router,
    graphql.router,
    stock.router,
    imports.router,
    reviews.router,
    moderation.router,
    stock.list_stock_events,
    incoming.router,
    incoming.cancel_incoming,
    locations.router,
    findings.router,
    tasks.router,
    bulks.router,
    queues.router,
    processes.router,
    schedules.router,
    audit.router,
    registration.router,
    resets.router,
    sessions.router,
    me.router,
    emails.router,
    authenticators.router,
    users.router,
    api_keys.router,
    health.router,
    *docs.routes,
    *staff_login.routes,
    *dashboard.routes,
]

DESCRIPTION = "Orders from HTTP to paid and notified. Amounts are integers of minor units."


def provide_acceptance(state: State) -> Acceptance:
    """Give the group of concurrent placements."""
    return state.acceptance


def provide_limits(state: State) -> Limits:
    """Give the limits on requests."""
    return state.limits


async def provide_tx(state: State, request: Asked) -> AsyncGenerator[AsyncConnection]:
    """Give a transaction for who asks, that is committed once the handler has returned."""
    async with transaction(state.database) as tx:
        act_as(tx, actor_of(request.user))
        yield tx


async def before(request: Request[Any, Any, Any]) -> Response[None] | None:
    """Refuse what no route takes, and answer what every path does alike."""
    await refuse_stray_parameters(request)
    return answer_options(request)


def build(config: Settings) -> Litestar:
    """Put the application together."""
    return equip(routed(), config)


def routed() -> Litestar:
    """Make the part that is the same under all settings; it serves nothing until it is equipped."""
    return Litestar(
        route_handlers=ROUTES,
        dependencies={
            "acceptance": Provide(provide_acceptance, sync_to_thread=False),
            "limits": Provide(provide_limits, sync_to_thread=False),
            "tx": Provide(provide_tx),
        },
        exception_handlers=as_pages(EXCEPTION_HANDLERS),
        request_class=StrictRequest,
        before_request=before,
        guards=[announcing(ENDINGS), enforce],
        request_max_body_size=BODY_BYTES_MAX,
        lifespan=[_living],
        on_startup=[refuse_unbounded, refuse_unruled],
        openapi_config=docs.openapi_config(
            title="Orderflow", version=VERSION, description=DESCRIPTION
        ),
        logging_config=None,
    )


def equip(app: Litestar, config: Settings) -> Litestar:
    """Give a routed application what its requests share, and the edge around it."""
    faultpoint.arm(config.faultpoint)
    cache = Cache(config)
    ring = Doorbell(broker(config)).ring
    database = connect(config, name="orderflow web", ring=ring, forget=cache.forget)
    limits = Limits(config)
    app.state = _state(config, database, limits, Keyring(config))
    app.state.cache, app.state.addresses = cache, Addresses()
    recalled = Recalled(app.asgi_handler, cache, app.state.addresses)
    # From the inside out: what is put between the two knows who asks by scope["user"].
    limited = Limited(recalled, limits, exempt=QUIET)
    identified = Authentication(limited, app.state, exempt=QUIET)
    door = staff_login.Door(identified, app.state.cookies)
    app.state.site = Site(database, Reach(config.redis_url), POLICIES, door)
    app.asgi_handler = _at_the_edge(identified, config)
    return app


@asynccontextmanager
async def _living(app: Litestar) -> AsyncGenerator[None]:
    """Tell that this process lives; close, after the last request, what requests shared."""
    heartbeat = Heartbeat(app.state.database, ProcessKind.WEB)
    heartbeat.start()
    yield
    await app.state.site.close()
    await heartbeat.close()
    await app.state.limits.close()
    await app.state.persisted.close()
    await app.state.cache.close()
    await app.state.standings.close()
    app.state.keyring.passwords.close()
    await asyncio.to_thread(trace.close)
    await app.state.database.engine.dispose()


def _at_the_edge(app: ASGIApp, config: Settings) -> Edge:
    """Put around an application what nothing need be known for, the last outermost."""
    bounded = Bounded(
        app,
        at_once_max=config.requests_max,
        timeout_s=config.request_timeout_s,
        exempt=(*QUIET, dashboard.LIVE),
        longer={imports.PATH: config.body_timeout_s + config.request_timeout_s},
    )
    whole = WholeBodies(bounded, bytes_max=BODY_BYTES_MAX)
    shared = Cors(whole, config.cors_origins)
    return Edge(shared, quiet=QUIET, proxies=Proxies(config.trusted_proxies))


def _state(config: Settings, database: Database, limits: Limits, keyring: Keyring) -> State:
    """Make what the requests of one process share."""
    return State(
        {
            "settings": config,
            "database": database,
            "policies": POLICIES,
            "search": Finds(database),
            "persisted": Persisted(config.redis_url, within_s=config.redis_timeout_s),
            "in_flight": InFlight(),
            "exporting": asyncio.Lock(),
            "limits": limits,
            "scraped": Scraped(database, revision=config.revision),
            "standings": Standings(database),
            "claim_keys": keys(config.secret_keys),
            "cookies": Cookies(keys(config.secret_keys)),
            "tokens": keyring.tokens,
            "keyring": keyring,
            "acceptance": Acceptance(
                database,
                group_max=config.group_max,
                unpaid_max=config.unpaid_orders_max,
                tax_included=config.prices_include_tax,
            ),
            "reception": Reception(database, group_max=config.group_max),
        }
    )
