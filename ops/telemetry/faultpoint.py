"""Fault points: named places around every commit and every outside call where a process breaks.

`FAULTPOINT=name:nth:action` breaks the process when it comes to the point for the nth time. It
says so on stderr first, so that whoever waits for it knows even of a process that is gone then.
"""

import os
import signal
import threading
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from enum import StrEnum

import msgspec

from ops.config import SettingInvalid

# What stands before the setting that was reached, in the line on stderr.
REACHED = "Fault point reached: "


class Action(StrEnum):
    KILL9 = "kill9"  # the process is gone
    RAISE = "raise"  # an exception that nobody expects
    DROP = "drop"  # the connection is lost: what it was to carry, or the answer, is too
    STOP = "stop"  # it stands still until somebody sends SIGCONT, and believes it never did


class Side(StrEnum):
    BEFORE = "before"
    AFTER = "after"


class Commit(StrEnum):
    """Every transaction that writes; those of one stage are named after its queue."""

    ACCEPT = "commit-accept"
    CANCEL = "commit-cancel"
    CAPTURE = "commit-capture"
    VOID = "commit-void"
    REFUND = "commit-refund"
    METHOD = "commit-method"
    RESOLVE = "commit-resolve"
    WRITE_OFF = "commit-write-off"
    CLAIM = "commit-claim"
    VARIANT = "commit-variant"
    PRODUCT = "commit-product"
    PRICE_LIST = "commit-price-list"
    CATEGORY = "commit-category"
    STOCK = "commit-stock"
    REVIEW = "commit-review"
    IMPORT = "commit-import"
    CART = "commit-cart"
    LOCATION = "commit-location"
    CHECKOUT = "commit-checkout"
    DISCOUNT = "commit-discount"
    RATE = "commit-rate"  # of taxes or shipping
    FINDING = "commit-finding"
    TASK = "commit-task"
    QUEUE = "commit-queue"
    BULK = "commit-bulk"  # a batch of it
    DRAINED = "commit-drained"
    SEARCH = "commit-search"  # what has turned is written down
    PROCESS = "commit-process"
    SCHEDULE = "commit-schedule"
    USER = "commit-user"
    API_KEY = "commit-api-key"
    CODE = "commit-code"  # of a mail that is to come
    ACCOUNT = "commit-account"
    SESSION = "commit-session"
    REFRESH = "commit-refresh"
    PASSWORD = "commit-password"  # noqa: S105 - no password
    EMAIL = "commit-email"
    FACTOR = "commit-factor"
    ERASE = "commit-erase"
    WEBHOOK = "commit-webhook"
    DISPUTE = "commit-dispute"
    WORK_INVENTORY = "commit-work-inventory"
    WORK_HOUSEKEEPING = "commit-work-housekeeping"
    LEASE_CLAIMED = "commit-lease-claimed"  # of a task that was begun before
    FAIL_CLAIMED = "commit-fail-claimed"
    LEASE_PAYMENTS = "commit-lease-payments"
    LEASE_NOTIFICATIONS = "commit-lease-notifications"
    LEASE_RECONCILIATION = "commit-lease-reconciliation"
    LEASE_ALONE = "commit-lease-alone"  # of a group that could not be prepared
    PREPARE_HALVES = "commit-prepare-halves"
    FAIL_LEASED = "commit-fail-leased"
    RECORD_PAYMENTS = "commit-record-payments"
    RECORD_NOTIFICATIONS = "commit-record-notifications"
    RECORD_RECONCILIATION = "commit-record-reconciliation"
    BREAKER = "commit-breaker"
    TAKE_BACK = "commit-take-back"
    EXPIRE = "commit-expire"
    EXPIRE_AUTHORIZATIONS = "commit-expire-authorizations"
    CRON_PRUNE = "commit-cron-prune"
    CRON_RECONCILE = "commit-cron-reconcile"
    CRON_AUDIT = "commit-cron-audit"
    CRON_SAMPLE = "commit-cron-sample"
    AUDIT = "commit-audit"
    RECONCILE_COMMAND = "commit-reconcile-command"


class Call(StrEnum):
    """Everything that is asked of somebody outside."""

    CHARGE = "call-charge"
    CAPTURE = "call-capture"
    VOID = "call-void"
    REFUND = "call-refund"
    FIND = "call-find"
    ABANDON = "call-abandon"
    STATEMENT = "call-statement"
    BOOKED = "call-booked"
    MAIL = "call-mail"
    RING = "call-ring"
    WEBHOOK_ANSWER = "call-webhook-answer"


POINTS = frozenset(f"{of}.{side}" for of in (*Commit, *Call) for side in Side)


class FaultInjected(Exception):
    """Nobody expects it: what a bug of ours at this point would raise."""


class FaultPoint(msgspec.Struct):
    """The point at which this process breaks, and how often it has been there."""

    setting: str
    point: str
    nth: int
    action: Action
    visits: int = 0

    def visit(self, point: str, lost: Callable[[str], Exception]) -> None:
        """Count a visit, and break if this is the one."""
        if point != self.point:
            return
        self.visits += 1
        if self.visits == self.nth:
            # Not by way of a log, whose lines a process that dies now might keep to itself.
            os.write(2, f"{REACHED}{self.setting}\n".encode())
            self._act(lost)

    def _act(self, lost: Callable[[str], Exception]) -> None:
        match self.action:
            case Action.KILL9:
                os.kill(os.getpid(), signal.SIGKILL)
            case Action.STOP:
                # To this very thread, so that not one more instruction of it is run before.
                signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
            case Action.RAISE:
                raise FaultInjected(f"A fault was injected: {self.setting}.")
            case Action.DROP:
                raise lost(f"The connection was lost at a fault point: {self.setting}.")


class _Armed:
    """The fault point of this process; there is none unless FAULTPOINT says so."""

    point: FaultPoint | None = None


_NOTHING = nullcontext()


def parse(setting: str) -> FaultPoint | None:
    """Read FAULTPOINT; None if it is empty. Raises SettingInvalid."""
    if not setting:
        return None
    name, _, rest = setting.partition(":")
    nth, _, action = rest.partition(":")
    if name not in POINTS:
        raise SettingInvalid(
            f"FAULTPOINT: there is no point {name!r}, see ops/telemetry/faultpoint.py."
        )
    if not (nth.isdecimal() and int(nth)) or action not in list(Action):
        actions = "|".join(Action)
        raise SettingInvalid(f"FAULTPOINT is not name:nth:{actions}, e.g. {name}:1:kill9.")
    return FaultPoint(setting, name, int(nth), Action(action))


def arm(setting: str) -> None:
    """Have this process break as FAULTPOINT says, or not at all if it is empty.

    Raises SettingInvalid.
    """
    _Armed.point = parse(setting)


def is_armed() -> bool:
    """Tell whether there is any point at which this process breaks."""
    return _Armed.point is not None


def reach(of: Commit | Call, side: Side, lost: Callable[[str], Exception] = FaultInjected) -> None:
    """Come to a point; `lost` makes the error by which the caller knows a lost connection."""
    if _Armed.point is not None:
        _Armed.point.visit(f"{of}.{side}", lost)


def around(of: Call, lost: Callable[[str], Exception]) -> AbstractContextManager[None]:
    """Come to the points before and after an outside call; the latter once it was answered."""
    return _NOTHING if _Armed.point is None else _around(of, lost)


@contextmanager
def _around(of: Call, lost: Callable[[str], Exception]) -> Generator[None]:
    reach(of, Side.BEFORE, lost)
    yield
    reach(of, Side.AFTER, lost)
