"""Settings of the edge: how often, how many, how slowly, from where one may ask."""

from typing import Annotated

from msgspec import Meta

from ops.config.watching import Watching


class Edge(Watching, frozen=True, kw_only=True):
    """Limits on requests and connections; a part of the chain as `Watching` is."""

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
    cache_bytes_max: Annotated[
        int,
        Meta(
            ge=0,
            description="What a web process keeps of the catalogue in memory; Redis has more.",
        ),
    ] = 4_000_000
    requests_max: Annotated[
        int, Meta(ge=1, description="Requests one web process has under way; more get a 503.")
    ] = 500
    connections_max: Annotated[
        int,
        Meta(
            ge=1,
            description="Connections one web process has open: fewer than files it may open. For"
            " one more the one is closed that is silent longest.",
        ),
    ] = 800
    connections_per_address_max: Annotated[
        int, Meta(ge=1, description="Those of one address, unless it is in TRUSTED_PROXIES.")
    ] = 400
    request_timeout_s: Annotated[
        float, Meta(gt=0, description="A request that takes longer is answered with a 504.")
    ] = 15.0
    head_timeout_s: Annotated[
        float, Meta(gt=0, description="The head of a request must have come within this.")
    ] = 10.0
    body_timeout_s: Annotated[
        float, Meta(gt=0, description="The body must have come within this after its head.")
    ] = 30.0
