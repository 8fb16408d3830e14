"""Every setting, read from the environment once; `python -m ops.config` prints `.env.example`."""

import os
from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, cast, get_args

import msgspec
from msgspec import Meta

from ops.config.watching import Watching

# Of pyproject.toml, which is not there where only the program is.
VERSION = "0.1.0"


class SettingInvalid(ValueError):
    """A setting has a value that cannot be used; the message names it and the remedy."""


class Settings(Watching, frozen=True, kw_only=True):
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
    broker_url: Annotated[str, Meta(description="Where rings travel; empty means REDIS_URL.")] = ""
    host: Annotated[str, Meta(description="Address the web process listens on.")] = "0.0.0.0"  # noqa: S104 - a PaaS routes to every interface
    port: Annotated[int, Meta(ge=0, le=65535, description="Port of the web process.")] = 8000
    worker_processes: Annotated[
        int, Meta(ge=1, le=64, description="Processes one worker line forks.")
    ] = 1
    token_keys: Annotated[
        str,
        Meta(
            description="Keys that sign access tokens, the same in every web process: 32 random"
            " bytes in base64url each, with commas between; the first signs, all verify. Empty:"
            " nobody can log in."
        ),
    ] = ""
    secret_keys: Annotated[
        str,
        Meta(
            description="Keys of codes in mails and of what is kept sealed, the same in every web"
            " and worker process: as TOKEN_KEYS; the first is used, all are understood."
        ),
    ] = ""
    access_token_s: Annotated[
        int, Meta(ge=30, le=3600, description="An access token is good this long.")
    ] = 900
    refresh_token_s: Annotated[
        int, Meta(ge=60, le=31_536_000, description="A session ends that was unused this long.")
    ] = 1_209_600
    session_s: Annotated[
        int, Meta(ge=60, le=31_536_000, description="A session ends after this, used or not.")
    ] = 2_592_000
    require_mfa: Annotated[
        bool,
        Meta(description="Let roles ops and admin do nothing without a second factor."),
    ] = False
    password_threads: Annotated[
        int, Meta(ge=1, le=64, description="Passwords a web process hashes at a time, 19 MiB each.")
    ] = 2
    public_url: Annotated[
        str, Meta(description="Where people find the shop: links in mails begin with it.")
    ] = "http://127.0.0.1:8000"
    rate_anonymous: Annotated[
        int, Meta(ge=0, le=1_000_000, description="Requests a minute of an address; 0: any number.")
    ] = 100
    rate_authenticated: Annotated[
        int,
        Meta(
            ge=0,
            le=1_000_000,
            description="Requests a minute of an account or API key; 0: any number.",
        ),
    ] = 1000
    rate_premium: Annotated[
        int,
        Meta(ge=0, le=1_000_000, description="Requests a minute of tier premium; 0: any number."),
    ] = 5000
    rate_machine: Annotated[
        int,
        Meta(
            ge=0, le=1_000_000, description="Requests a minute of our own programs; 0: any number."
        ),
    ] = 0
    rate_login: Annotated[
        int,
        Meta(
            ge=0,
            le=1_000_000,
            description="Logins an hour to an account, of an address five times that.",
        ),
    ] = 20
    rate_register: Annotated[
        int,
        Meta(
            ge=0,
            le=1_000_000,
            description="Registrations an hour of an e-mail, of an address as above.",
        ),
    ] = 5
    rate_reset: Annotated[
        int,
        Meta(
            ge=0,
            le=1_000_000,
            description="Password resets an hour of an e-mail, of an address as above.",
        ),
    ] = 5
    trusted_proxies: Annotated[
        str,
        Meta(
            description="Networks whose X-Forwarded-For and -Proto are believed, with commas"
            " between, e.g. 10.0.0.0/8; `unix` for those who come by a socket file."
        ),
    ] = ""
    cors_origins: Annotated[
        str,
        Meta(
            description="Sites whose scripts may call the API, e.g. https://shop.example,"
            " with commas between. Empty: none."
        ),
    ] = ""
    requests_max: Annotated[
        int, Meta(ge=1, description="Requests one web process has under way; more get a 503.")
    ] = 500
    request_timeout_s: Annotated[
        float, Meta(gt=0, description="A request that takes longer is answered with a 504.")
    ] = 15.0
    head_timeout_s: Annotated[
        float, Meta(gt=0, description="The head of a request must have come within this.")
    ] = 10.0
    body_timeout_s: Annotated[
        float, Meta(gt=0, description="The body must have come within this after its head.")
    ] = 30.0
    support_refund_max_minor: Annotated[
        int, Meta(ge=0, description="Support may give back this much of an order, in minor units.")
    ] = 10_000
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
    unpaid_orders_max: Annotated[
        int, Meta(ge=1, description="Orders a customer may have that are not paid yet.")
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
    inherited = Watching.__struct_fields__
    fields = sorted(msgspec.structs.fields(Settings), key=lambda field: field.name in inherited)
    return "\n\n".join(_block(field) for field in fields) + "\n"


def _block(field: msgspec.structs.FieldInfo) -> str:
    _, meta = get_args(field.type)
    return f"# {cast('Meta', meta).description}\n{field.name.upper()}={field.default}"
