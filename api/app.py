"""The web process of the Procfile: `uvicorn api.app:app`."""

from api.application import build
from ops.config import settings
from ops.telemetry import logs

_settings = settings()
logs.configure("web", _settings.log_level)
app = build(_settings)
