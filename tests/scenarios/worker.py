"""The worker process of the scenarios: the real one, whose outside is played by the test."""

import os
from pathlib import Path

import dramatiq

from ops.config import settings
from ops.telemetry import logs
from tests.scenarios.line import CallingBank, CallingPostbox
from workers.fleet import build

_settings = settings()
_line = Path(os.environ["OUTSIDE_SOCKET"])
logs.configure("worker", _settings.log_level)
broker = build(_settings, gateways=[CallingBank(_line)], mailer=CallingPostbox(_line))
dramatiq.set_broker(broker)
