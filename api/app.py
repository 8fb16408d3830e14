"""The web process of the Procfile: `uvicorn api.app:app`."""

import gc

from api.application import build
from ops.config import settings
from ops.telemetry import logs

_settings = settings()
logs.configure("web", _settings.log_level)
app = build(_settings)
# What start-up made lives as long as the process: no collection needs to look at it again.
gc.freeze()
