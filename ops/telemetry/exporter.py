"""A port of its own for the metrics of a process that serves no HTTP: worker and clock."""

import logging
import os
import threading

from prometheus_client import start_http_server

from ops.config import Settings
from ops.telemetry import exposition

log = logging.getLogger(__name__)

# Processes of one worker share the port: when the one that serves it is gone, another one does.
TRY_AGAIN_S = 5.0


def serve(settings: Settings) -> None:
    """Serve /metrics on METRICS_PORT from a thread of its own; nothing if that is 0."""
    if not settings.metrics_port:
        return
    if settings.worker_processes > 1 and not os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        log.warning("METRICS_PORT shows one process of several: set PROMETHEUS_MULTIPROC_DIR")
    threading.Thread(target=_serve, args=(settings,), name="metrics", daemon=True).start()


def _serve(settings: Settings) -> None:
    registry = exposition.registry(exposition.build_info(settings.revision))
    while True:
        try:
            start_http_server(settings.metrics_port, settings.host, registry)
        except OSError as error:
            log.debug("METRICS_PORT cannot be had, which is tried again: %s", error)
            threading.Event().wait(TRY_AGAIN_S)
        else:
            return
