"""Settings of logs, metrics and what breaks on purpose."""

from typing import Annotated

from msgspec import Meta

from ops.config.sandbox import Sandbox


class Watching(Sandbox, frozen=True, kw_only=True):
    """What is told of a process, and where; a struct has one base, so the parts are a chain."""

    log_level: Annotated[
        str,
        Meta(pattern="^(debug|info|warning|error)$", description="debug, info, warning or error."),
    ] = "info"
    log_format: Annotated[
        str,
        Meta(
            pattern="^(auto|json|text)$",
            description="json, text for people, or auto: text on a terminal, json elsewhere.",
        ),
    ] = "auto"
    slow_statement_ms: Annotated[
        float,
        Meta(ge=0, description="Statements that take longer are logged by name; 0: none."),
    ] = 100.0
    faultpoint: Annotated[
        str,
        Meta(description="For tests alone: name:nth:kill9|raise|drop|stop breaks this process."),
    ] = ""
    prometheus_multiproc_dir: Annotated[
        str, Meta(description="Folder where processes of one machine share metrics. Empty: alone.")
    ] = ""
    metrics_port: Annotated[
        int,
        Meta(
            ge=0,
            le=65535,
            description="Port where worker and clock serve /metrics as well as web; 0: nowhere.",
        ),
    ] = 0
    metrics_token: Annotated[
        str,
        Meta(
            description="What who reads /metrics of web has to send, as a bearer token."
            " Empty: anybody reads it."
        ),
    ] = ""
    revision: Annotated[
        str, Meta(description="What is deployed, e.g. a commit, for metrics and traces.")
    ] = "unknown"
