"""Whether spans are recorded: as the OTEL_* variables of OpenTelemetry's specification say."""

import importlib
import os
from collections.abc import Mapping

from ops.config import SettingInvalid, Settings
from ops.telemetry import trace

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


def configure(process: str, settings: Settings, environ: Mapping[str, str] = os.environ) -> None:
    """Record the spans of this process if a collector is named; call once, at its start.

    Raises SettingInvalid if that needs packages that are not installed.
    """
    if not is_wanted(environ):
        return
    try:
        otlp = importlib.import_module("ops.telemetry.otlp")
    except ImportError as error:
        raise SettingInvalid(
            f"{_ENDPOINTS[1]} needs OpenTelemetry: pip install -r ops/telemetry/requirements.txt."
        ) from error
    trace.Recording.by = otlp.Otlp(process, revision=settings.revision)


def is_wanted(environ: Mapping[str, str]) -> bool:
    """Tell whether a collector is named, and nothing says that it gets no traces."""
    off = environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    none = environ.get("OTEL_TRACES_EXPORTER", "otlp") == "none"
    return not off and not none and any(environ.get(name) for name in _ENDPOINTS)
