"""Settings of accounts: their secrets, how long a login is good, what roles may do."""

from typing import Annotated

from msgspec import Meta

from ops.config.edge import Edge


class Accounts(Edge, frozen=True, kw_only=True):
    """What people and machines need to be let in; a part of the chain as `Watching` is."""

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
    prices_include_tax: Annotated[
        bool,
        Meta(description="Whether prices contain the taxes of `/v1/tax-rates`, or come without."),
    ] = False
    reviews_moderated: Annotated[
        bool, Meta(description="Show reviews of customers only once support has published them.")
    ] = True
    public_url: Annotated[
        str, Meta(description="Where people find the shop: links in mails begin with it.")
    ] = "http://127.0.0.1:8000"
    support_refund_max_minor: Annotated[
        int, Meta(ge=0, description="Support may give back this much of an order, in minor units.")
    ] = 10_000
