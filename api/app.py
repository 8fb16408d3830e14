"""The web process of the Procfile: `uvicorn api.app:app --http api.app:http`."""

import gc

from api.application import build
from api.connection import patient
from ops.config import settings
from ops.telemetry import logs, tracing

_settings = settings()
logs.configure("web", _settings.log_level, form=_settings.log_format)
tracing.configure("web", _settings)
app = build(_settings)
# What uvicorn makes of a client's connection.
http = patient(_settings)
# What start-up made lives as long as the process: no collection needs to look at it again.
gc.freeze()
