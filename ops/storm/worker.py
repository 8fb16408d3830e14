"""The worker process of a storm: the Procfile's, save that some of its tasks are poison."""

import dramatiq

from ops.config import settings
from ops.storm import poison
from ops.telemetry import logs
from workers import inventory, notifications
from workers.fleet import build
from workers.gateways.accounts import gateways
from workers.mailer import SmtpMailer

_settings = settings()
logs.configure("worker", _settings.log_level)
# The real stages have no door for it, and need none: poison there is a bug that nobody knows of.
inventory.reserve, notifications.stage = poison.reserve, poison.stage
broker = build(_settings, gateways=gateways(_settings), mailer=SmtpMailer(_settings))
dramatiq.set_broker(broker)
