"""Every setting, read from the environment once; `python -m ops.config` prints `.env.example`."""

import inspect
import os
from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, cast, get_args

import msgspec
from msgspec import Meta

from ops.config.accounts import Accounts

# Of pyproject.toml, which is not there where only the program is.
VERSION = "0.1.0"


class SettingInvalid(ValueError):
    """A setting has a value that cannot be used; the message names it and the remedy."""


class Settings(Accounts, frozen=True, kw_only=True):
    """One field per environment variable, named in lower case here and in upper case there."""

    database_url: Annotated[
        str,
        Meta(
            description="Postgres, e.g. postgresql://user:secret@host/name, or postgres://."
            " `make up` fills it."
        ),
    ] = ""
    database_pool_max: Annotated[
        int, Meta(ge=2, le=200, description="Connections one process may hold.")
    ] = 8
    redis_url: Annotated[
        str,
        Meta(
            description="Redis or Valkey, e.g. redis://host:6379/0, or rediss:// for TLS"
            " (?ssl_cert_reqs=none if nobody signed its certificate). `make up` has one."
        ),
    ] = ""
    # Requests wait for this, so it is all that a Redis which does not answer may cost one.
    redis_timeout_s: Annotated[
        float,
        Meta(gt=0, description="Caches and limits wait this long for Redis, else do without."),
    ] = 0.15
    broker_url: Annotated[str, Meta(description="Where rings travel; empty means REDIS_URL.")] = ""
    host: Annotated[str, Meta(description="Address the web process listens on.")] = "0.0.0.0"  # noqa: S104 - a PaaS routes to every interface
    port: Annotated[int, Meta(ge=0, le=65535, description="Port of the web process.")] = 8000
    worker_processes: Annotated[
        int, Meta(ge=1, le=64, description="Processes one worker line forks.")
    ] = 1
    stripe_api_key: Annotated[str, Meta(description="Secret key of the payment gateway.")] = ""
    stripe_api_base: Annotated[
        str, Meta(description="Base URL of the payment gateway; `make up` names the sandbox.")
    ] = "https://api.stripe.com"
    gateway_concurrency: Annotated[
        int, Meta(ge=1, le=1000, description="Gateway calls one worker process has under way.")
    ] = 64
    payment_gateways: Annotated[
        str,
        Meta(
            description="Stripe accounts as name=https://secret-key@host, the first is preferred,"
            " with commas between. Empty: `stripe` alone, by STRIPE_API_KEY and STRIPE_API_BASE."
        ),
    ] = ""
    stripe_webhook_secrets: Annotated[
        str,
        Meta(
            description="Signing secrets of the gateway's webhooks; two, with a comma, to rotate."
        ),
    ] = ""
    gateway_window_s: Annotated[
        float,
        Meta(
            gt=0,
            description="After this a payment that the gateway does not know never was; more than"
            " LEASE_S, for which a worker may still be about to send it.",
        ),
    ] = 3600.0
    reservation_s: Annotated[
        int, Meta(gt=0, le=2_592_000, description="Stock is held this long for a payment.")
    ] = 3600
    allocate_by: Annotated[
        str,
        Meta(
            pattern="^(priority|nearest)$",
            description="Which location serves an order, of those that have all of it: priority or"
            " nearest, the one in its country whose postcode is most like its own.",
        ),
    ] = "priority"
    unpaid_orders_max: Annotated[
        int,
        Meta(
            ge=1,
            description="Unpaid orders with one e-mail: of each account, and of all without one.",
        ),
    ] = 100
    smtp_url: Annotated[
        str, Meta(description="Mail relay: smtp://[user:secret@]host:port, or smtps://.")
    ] = "smtp://127.0.0.1:1025"
    smtp_concurrency: Annotated[
        int, Meta(ge=1, le=100, description="Mail connections one worker process keeps.")
    ] = 8
    smtp_timeout_s: Annotated[
        float, Meta(gt=0, description="One mail's talk with the relay; then it is tried again.")
    ] = 10.0
    mail_from: Annotated[str, Meta(description="Sender of every mail.")] = (
        "Orderflow <orders@orderflow.example>"
    )
    group_max: Annotated[int, Meta(ge=1, le=2000, description="Most orders one group carries.")] = (
        200
    )
    gateway_timeout_s: Annotated[
        float, Meta(gt=0, description="One gateway call; then its outcome is unknown.")
    ] = 10.0
    breaker_failures_max: Annotated[
        int, Meta(ge=1, description="Failed calls in a row that open a gateway's breaker.")
    ] = 5
    breaker_failure_rate: Annotated[
        float,
        Meta(gt=0, le=1, description="Share of failed calls in the window that opens it, too."),
    ] = 0.5
    breaker_window_s: Annotated[
        float, Meta(gt=0, description="How far back that share of failed calls looks.")
    ] = 30.0
    breaker_open_s: Annotated[
        float, Meta(gt=0, description="An open breaker refuses calls this long, then tries one.")
    ] = 30.0
    task_timeout_s: Annotated[
        float, Meta(gt=0, description="One task's outside work, all calls together.")
    ] = 20.0
    shutdown_grace_s: Annotated[
        int, Meta(gt=0, description="What a stopping worker may finish, in whole seconds.")
    ] = 25
    lease_s: Annotated[
        float, Meta(gt=0, description="A running task is taken over after this.")
    ] = 30.0
    lock_timeout_s: Annotated[
        float, Meta(gt=0, description="A statement waits this long for a lock.")
    ] = 2.0
    statement_timeout_s: Annotated[float, Meta(gt=0, description="A statement runs this long.")] = (
        5.0
    )
    transaction_timeout_s: Annotated[
        float, Meta(gt=0, description="After this a server that does not answer is given up.")
    ] = 8.0
    idle_in_transaction_timeout_s: Annotated[
        float, Meta(gt=0, description="A transaction waits this long for its next statement.")
    ] = 10.0

    @property
    def gateway_names(self) -> list[str]:
        """Name the payment gateways; what stands behind a name is a secret."""
        entries = [entry.partition("=")[0].strip() for entry in self.payment_gateways.split(",")]
        return [entry for entry in entries if entry] or ["stripe"]

    def __post_init__(self) -> None:
        _refuse_broken(
            GATEWAY_TIMEOUT_S=self.gateway_timeout_s,
            TASK_TIMEOUT_S=self.task_timeout_s,
            SHUTDOWN_GRACE_S=self.shutdown_grace_s,
            LEASE_S=self.lease_s,
            GATEWAY_WINDOW_S=self.gateway_window_s,
        )
        _refuse_broken(
            LOCK_TIMEOUT_S=self.lock_timeout_s,
            STATEMENT_TIMEOUT_S=self.statement_timeout_s,
            TRANSACTION_TIMEOUT_S=self.transaction_timeout_s,
            IDLE_IN_TRANSACTION_TIMEOUT_S=self.idle_in_transaction_timeout_s,
        )
        _refuse_broken(
            TRANSACTION_TIMEOUT_S=self.transaction_timeout_s,
            REQUEST_TIMEOUT_S=self.request_timeout_s,
        )


def _refuse_broken(**ladder: float) -> None:
    for (name, lower), (above, upper) in pairwise(ladder.items()):
        if lower >= upper:
            raise SettingInvalid(f"{name} must be below {above}: raise {above} or lower {name}.")


def settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings.

    Raises SettingInvalid for a value of the wrong kind or a broken timeout ladder.
    """
    given = {f: environ[f.upper()] for f in Settings.__struct_fields__ if environ.get(f.upper())}
    try:
        return msgspec.convert(given, Settings, strict=False)
    except msgspec.ValidationError as error:
        if isinstance(error.__cause__, SettingInvalid):
            raise error.__cause__ from None
        reason, _, field = str(error).partition(" - at `$.")
        raise SettingInvalid(f"{field.rstrip('`').upper()}: {reason}.") from error


def example() -> str:
    """Text of `.env.example`: every setting, what it is for and its default."""
    # What it inherits would come first: where to find Postgres and Redis is of more interest.
    fields = {field.name: field for field in msgspec.structs.fields(Settings)}
    chain = [name for part in Settings.__mro__ for name in inspect.get_annotations(part)]
    return "\n\n".join(_block(fields[name]) for name in chain) + "\n"


def _block(field: msgspec.structs.FieldInfo) -> str:
    _, meta = get_args(field.type)
    return f"# {cast('Meta', meta).description}\n{field.name.upper()}={field.default}"
