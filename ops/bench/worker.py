"""The worker process of the bench: the real one with the outside answered at no cost."""

import gc

import dramatiq

from ops.bench.outside import InstantGateway, InstantMailer
from ops.config import settings
from ops.telemetry import logs
from workers.fleet import build

_settings = settings()
logs.configure("worker", _settings.log_level)
broker = build(_settings, gateways=[InstantGateway()], mailer=InstantMailer())
dramatiq.set_broker(broker)
# What start-up made lives as long as the process: no collection needs to look at it again.
gc.freeze()
