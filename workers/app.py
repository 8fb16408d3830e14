"""The worker process of the Procfile: `dramatiq workers.app`."""

import gc

import dramatiq

from ops.config import settings
from ops.telemetry import exporter, logs, tracing
from workers.fleet import build
from workers.gateways.accounts import gateways
from workers.mailer import SmtpMailer

_settings = settings()
logs.configure("worker", _settings.log_level, form=_settings.log_format)
tracing.configure("worker", _settings)
broker = build(_settings, gateways=gateways(_settings), mailer=SmtpMailer(_settings))
dramatiq.set_broker(broker)
exporter.serve(_settings)
# What start-up made lives as long as the process: no collection needs to look at it again.
gc.freeze()
