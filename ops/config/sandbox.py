"""Settings of the stand-ins for the outside, which `make up` starts."""

from typing import Annotated

import msgspec
from msgspec import Meta


class Sandbox(msgspec.Struct, frozen=True, kw_only=True):
    """What the sandbox is told."""

    sandbox_dir: Annotated[
        str, Meta(description="Folder where the sandbox keeps its ledger and mails.")
    ] = ".local/sandbox"
    sandbox_gateway_port: Annotated[
        int, Meta(ge=0, le=65535, description="Port of the sandbox's payment gateway; 0: any.")
    ] = 0
    sandbox_inbox_port: Annotated[
        int, Meta(ge=0, le=65535, description="Port of the sandbox's mail inbox page; 0: any.")
    ] = 0
    sandbox_smtp_port: Annotated[
        int, Meta(ge=0, le=65535, description="Port of the sandbox's mail relay; 0: any.")
    ] = 0
    sandbox_webhook_url: Annotated[
        str, Meta(description="Where the sandbox's gateway sends its events. Empty: nowhere.")
    ] = ""
    sandbox_webhook_secret: Annotated[
        str, Meta(description="What the sandbox's gateway signs its events with.")
    ] = "whsec_sandbox"  # noqa: S105 - it guards a toy
