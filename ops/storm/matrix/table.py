"""Which story comes to which fault point, and which actions mean nothing there."""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from ops.storm.history import Op
from ops.storm.matrix import accounts, backlog, importers, reviewers, shop
from ops.storm.matrix import stories as s
from ops.storm.matrix.stories import Story
from ops.telemetry.faultpoint import Action, Call, Commit, Side

_CANCELLED = frozenset({"cancelled"})
_NO_ORDER = frozenset[str]()

_ORDER = Story(then=s.order)
_RECONCILE = Story(before=s.paid, then=s.reconcile)
_POISON = Story(then=s.poison, ends=_NO_ORDER)
_UNRESERVABLE = Story(then=s.unreservable, after=s.reservable)
_AUDIT = Story(line="clock", then=s.forgotten("audit"), ends=_NO_ORDER)
_WEBHOOK = Story(line="web", before=s.unheard_yet, then=s.webhook)


def _at_front(before: s.Part, op: Op, ends: frozenset[str] = frozenset({"paid"})) -> Story:
    return Story(line="web", before=before, then=s.acted(op, front=True), ends=ends)


def _of_people(before: s.Part, then: s.Part, after: s.Part) -> Story:
    return Story(line="web", before=before, then=then, after=after, ends=_NO_ORDER)


STORIES: Mapping[Commit | Call, Story] = {
    Commit.ACCEPT: Story(line="web", then=s.order_at_front),
    Commit.CANCEL: _at_front(s.paid, Op.CANCEL, _CANCELLED),
    Commit.CAPTURE: _at_front(s.authorized, Op.CAPTURE),
    Commit.VOID: _at_front(s.authorized, Op.VOID),
    Commit.REFUND: _at_front(s.paid, Op.REFUND),
    Commit.METHOD: _at_front(s.declined, Op.METHOD),
    Commit.RESOLVE: Story(line="web", before=s.in_review, then=s.resolve),
    Commit.WRITE_OFF: Story(
        line="web", before=s.refunded_by_hand, then=s.write_off, ends=_CANCELLED
    ),
    Commit.CLAIM: Story(
        line="web", before=accounts.buyer, then=accounts.claim, after=accounts.owned
    ),
    Commit.VARIANT: Story(line="web", then=shop.product, ends=_NO_ORDER),
    Commit.PRODUCT: Story(line="web", then=shop.board, ends=_NO_ORDER),
    Commit.PRICE_LIST: Story(
        line="web", before=shop.sale, then=shop.discounted, after=shop.cheaper, ends=_NO_ORDER
    ),
    Commit.CATEGORY: Story(line="web", then=shop.category, ends=_NO_ORDER),
    Commit.STOCK: Story(line="web", before=shop.product, then=shop.stock, ends=_NO_ORDER),
    Commit.REVIEW: Story(
        line="web", before=reviewers.customer, then=reviewers.review, after=reviewers.reviewed
    ),
    Commit.DISCOUNT: Story(line="web", then=shop.discount, ends=_NO_ORDER),
    Commit.RATE: Story(line="web", then=shop.rates, ends=_NO_ORDER),
    Commit.CHECKOUT: Story(line="web", before=shop.filled_cart, then=shop.check_out),
    Commit.CART: Story(line="web", before=shop.cart, then=shop.fill_cart, ends=_NO_ORDER),
    Commit.LOCATION: Story(line="web", then=shop.location, ends=_NO_ORDER),
    Commit.IMPORT: Story(
        line="web", then=importers.send_file, after=importers.imported, ends=_NO_ORDER
    ),
    Commit.TASK: Story(line="web", before=backlog.given_up, then=backlog.replay, ends=_NO_ORDER),
    Commit.QUEUE: Story(line="web", before=s.paid, then=backlog.pause, after=backlog.resume),
    Commit.BULK: Story(
        line="clock", before=backlog.given_up, then=backlog.discard_all, ends=_NO_ORDER
    ),
    Commit.DRAINED: Story(line="clock", then=backlog.drain, after=backlog.resume, ends=_NO_ORDER),
    Commit.PROCESS: Story(line="web", before=backlog.started, then=backlog.stop, ends=_NO_ORDER),
    Commit.SCHEDULE: Story(line="web", then=backlog.suspend, after=backlog.let_run, ends=_NO_ORDER),
    Commit.FINDING: Story(line="web", before=s.finding, then=s.close_finding, ends=_NO_ORDER),
    Commit.USER: _of_people(accounts.admin, accounts.disable, accounts.locked_out),
    Commit.API_KEY: _of_people(accounts.someone_inside, accounts.make_key, accounts.opened),
    Commit.CODE: _of_people(s.nothing, accounts.register, accounts.welcomed),
    Commit.ACCOUNT: _of_people(accounts.invited, accounts.confirm, accounts.admitted),
    Commit.SESSION: _of_people(accounts.somebody, accounts.log_in, accounts.is_inside),
    Commit.REFRESH: _of_people(accounts.someone_inside, accounts.refresh, accounts.admitted),
    Commit.PASSWORD: _of_people(
        accounts.forgetful, accounts.reset_password, accounts.other_password
    ),
    Commit.EMAIL: _of_people(accounts.moving, accounts.confirm_address, accounts.moved),
    Commit.FACTOR: _of_people(
        accounts.with_authenticator, accounts.confirm_factor, accounts.factor_wanted
    ),
    Commit.ERASE: _of_people(accounts.someone_inside, accounts.leave, accounts.left),
    Commit.WEBHOOK: _WEBHOOK,
    Commit.DISPUTE: Story(line="web", before=s.paid, then=s.dispute),
    Commit.WORK_INVENTORY: _ORDER,
    Commit.WORK_HOUSEKEEPING: Story(then=s.prune, ends=_NO_ORDER),
    Commit.LEASE_CLAIMED: _UNRESERVABLE,
    Commit.FAIL_CLAIMED: _UNRESERVABLE,
    Commit.LEASE_PAYMENTS: _ORDER,
    Commit.LEASE_NOTIFICATIONS: _ORDER,
    Commit.LEASE_RECONCILIATION: _RECONCILE,
    Commit.LEASE_ALONE: _POISON,
    Commit.PREPARE_HALVES: Story(before=s.paid, then=s.poison_beside),
    Commit.FAIL_LEASED: _POISON,
    Commit.RECORD_PAYMENTS: _ORDER,
    Commit.RECORD_NOTIFICATIONS: _ORDER,
    Commit.RECORD_RECONCILIATION: _RECONCILE,
    Commit.BREAKER: Story(then=s.unheard, env={"BREAKER_FAILURES_MAX": "1"}),
    Commit.TAKE_BACK: Story(line="clock", before=s.lost, then=s.nothing, rests=False),
    Commit.EXPIRE: Story(line="clock", before=s.declined, then=s.out_of_time, ends=_CANCELLED),
    Commit.EXPIRE_AUTHORIZATIONS: Story(
        line="clock", before=s.authorized, then=s.authorization_over, ends=_CANCELLED
    ),
    Commit.SEARCH: Story(line="clock", then=shop.turned, ends=_NO_ORDER),
    Commit.CRON_PRUNE: Story(line="clock", then=s.forgotten("prune"), ends=_NO_ORDER),
    Commit.CRON_RECONCILE: Story(line="clock", then=s.forgotten("reconcile"), ends=_NO_ORDER),
    Commit.CRON_AUDIT: _AUDIT,
    Commit.CRON_SAMPLE: Story(line="clock", then=s.forgotten("sample"), ends=_NO_ORDER),
    Commit.AUDIT: _AUDIT,
    Commit.RECONCILE_COMMAND: Story(
        line="reconcile", before=s.paid, then=s.nothing, after=s.reconcile_by_hand
    ),
    Call.CHARGE: _ORDER,
    Call.CAPTURE: Story(before=s.authorized, then=s.acted(Op.CAPTURE)),
    Call.VOID: Story(before=s.authorized, then=s.acted(Op.VOID)),
    Call.REFUND: Story(before=s.paid, then=s.acted(Op.REFUND)),
    Call.FIND: Story(then=s.unheard, after=s.hurried),
    Call.ABANDON: Story(
        before=s.unauthenticated, then=s.acted(Op.CANCEL), after=s.hurried, ends=_CANCELLED
    ),
    Call.STATEMENT: _RECONCILE,
    Call.BOOKED: Story(before=s.refunded_long_ago, then=s.reconcile_changed),
    Call.MAIL: _ORDER,
    Call.RING: Story(line="web", then=s.order_at_front),
    Call.WEBHOOK_ANSWER: _WEBHOOK,
}

_ANSWER_LOST = "an answer of ours is lost with its process only, which kill9 does"
MEANINGLESS: Mapping[tuple[str, Action], str] = {
    (f"{Call.WEBHOOK_ANSWER}.{side}", Action.DROP): _ANSWER_LOST for side in Side
}


class UnknownPoint(ValueError):
    """There is no such point or action; the message lists those that are."""


class Case(msgspec.Struct, frozen=True):
    """One action at one point."""

    of: Commit | Call
    side: Side
    action: Action

    @property
    def point(self) -> str:
        """Its name, as FAULTPOINT has it."""
        return f"{self.of}.{self.side}"

    @property
    def setting(self) -> str:
        """The FAULTPOINT of it."""
        return f"{self.point}:1:{self.action}"

    @property
    def name(self) -> str:
        """A word that no other case has."""
        return f"{self.of}-{self.side}-{self.action}"


def cases(points: Sequence[str] = (), actions: Sequence[str] = ()) -> list[Case]:
    """List the cases of some points and actions, or of all; those that take long come first.

    Raises UnknownPoint.
    """
    _refuse_unknown("point", points, [*STORIES, *(f"{of}.{s}" for of in STORIES for s in Side)])
    _refuse_unknown("action", actions, list(Action))
    chosen = [Action(name) for name in actions or Action]
    return sorted(_cases(points, chosen), key=lambda case: case.action is not Action.STOP)


def _refuse_unknown(what: str, given: Sequence[str], known: Sequence[str]) -> None:
    if unknown := sorted(set(given) - set(known)):
        listed = ", ".join(known)
        raise UnknownPoint(f"No {what} is named {', '.join(unknown)}: there are {listed}.")


def _cases(points: Sequence[str], actions: Sequence[Action]) -> Iterator[Case]:
    for of in STORIES:
        for side in Side:
            for action in actions:
                case = Case(of, side, action)
                chosen = not points or {of.value, case.point} & set(points)
                if chosen and (case.point, action) not in MEANINGLESS:
                    yield case
