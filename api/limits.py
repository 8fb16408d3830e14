"""Limits on requests: by tier for whoever asks, and stricter ones where passwords are guessed."""

import hashlib
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar, final

from litestar import Request
from litestar.types import ASGIApp, Receive, Scope, Send

from api.answers import add_headers, refuse, written
from api.gather import Gather
from api.problems import Problem, problem
from api.proxies import UNIX, household
from db.limits import Ask, Bucket, Spendings
from domain import limit
from domain.limit import Action, Verdict
from domain.principal import Principal, Tier
from domain.refusal import Refusal
from ops.config import Settings

# Asks of one call to Redis; the script is through with as many in a millisecond or two.
_GROUP_MAX = 500
# Requests are bound elsewhere; this only says that nothing here grows without end.
_WAITING_MAX = 100_000
_DIGEST_BYTES = 16
# Some hundred bytes each: those are forgotten that were refused first.
_SPENT_MAX = 50_000
_US_PER_S = 1_000_000


class QuotaExceeded(Refusal):
    """Who asks has asked too often."""

    code: ClassVar[str] = "quota_exceeded"

    def __init__(self, exceeded: Sequence[Verdict]) -> None:
        """Say of which limits nothing is left."""
        wait_s = _seconds(max(verdict.retry_in_us for verdict in exceeded))
        super().__init__(f"Too many requests: send the next one in {wait_s} s.")
        self.headers: Mapping[str, str] = {"Retry-After": str(wait_s)} | _standing(exceeded)
        self.policies = tuple(verdict.limit.name for verdict in exceeded)

    @property
    def problem(self) -> Problem:
        """What is answered."""
        return problem(self.code, self.detail, violated_policies=self.policies)


def _standing(verdicts: Sequence[Verdict]) -> dict[str, str]:
    """Say in headers what may still be asked (draft-ietf-httpapi-ratelimit-headers)."""
    left = [f'"{v.limit.name}";r={v.remaining};t={_seconds(v.whole_in_us)}' for v in verdicts]
    policies = [f'"{v.limit.name}";q={v.limit.quota};w={v.limit.window_s}' for v in verdicts]
    return {"RateLimit": ", ".join(left), "RateLimit-Policy": ", ".join(policies)}


def _seconds(us: int) -> int:
    """Round up, so that who waits as long has waited long enough."""
    return -(-us // _US_PER_S)


@final
class Spent:
    """Who was refused a moment ago, and so would be again."""

    def __init__(self) -> None:
        self._refused: dict[str, tuple[float, Verdict]] = {}

    def note(self, owner: str, verdict: Verdict) -> None:
        """Keep a refusal as long as it holds."""
        self._refused.pop(owner, None)
        self._refused[owner] = (time.monotonic() + verdict.retry_in_us / _US_PER_S, verdict)
        if len(self._refused) > _SPENT_MAX:
            del self._refused[next(iter(self._refused))]

    def of(self, owner: str) -> Verdict | None:
        """Give the refusal that still holds."""
        until, verdict = self._refused.get(owner, (0.0, None))
        return verdict if time.monotonic() < until else None


@final
class Limits:
    """The limits of one process, which it shares with the others by Redis."""

    def __init__(self, config: Settings) -> None:
        self._tiers = limit.of_tiers(
            {
                Tier.ANONYMOUS: config.rate_anonymous,
                Tier.AUTHENTICATED: config.rate_authenticated,
                Tier.PREMIUM: config.rate_premium,
                Tier.MACHINE: config.rate_machine,
            }
        )
        self._actions = limit.of_actions(
            {
                Action.LOGIN: config.rate_login,
                Action.REGISTER: config.rate_register,
                Action.RESET: config.rate_reset,
            }
        )
        self._spendings = Spendings(config.redis_url, within_s=config.redis_timeout_s)
        self._spent = Spent()
        self._gather = Gather[Ask, Sequence[Verdict]](
            "limits", self._spendings.take, group_max=_GROUP_MAX, waiting_max=_WAITING_MAX
        )

    async def count(self, principal: Principal, address: str) -> Verdict | None:
        """Count a request of somebody; None if there is no limit."""
        of_tier = self._tiers.get(principal.tier)
        if of_tier is None:
            return None
        # Guests have as many names as orders: by these anybody would have any number of quotas.
        owner = household(address) if principal.user_id is None else principal.name
        # A key may have another tier than the account it belongs to.
        [verdict] = await self._gather.submit([Bucket(of_tier, f"{principal.tier}:{owner}")])
        if principal.user_id is None and not verdict.allowed:
            self._spent.note(owner, verdict)
        return verdict

    def refuse_spent(self, address: str) -> None:
        """Raise QuotaExceeded if an address has just spent what who is not known may ask."""
        verdict = self._spent.of(household(address))
        if verdict is not None:
            raise QuotaExceeded([verdict])

    async def take(self, action: Action, *, account: str, request: Request[Any, Any, Any]) -> None:
        """Count an attempt at an account, e.g. by its e-mail in lower case, from where it comes.

        Call it before anything else is done, and for accounts that do not exist, too.
        Raises QuotaExceeded.
        """
        if action not in self._actions:
            return
        of_account, of_address = self._actions[action]
        digest = hashlib.blake2b(account.encode(), digest_size=_DIGEST_BYTES).hexdigest()
        verdicts = await self._gather.submit(
            [Bucket(of_account, digest), Bucket(of_address, household(address_of(request.scope)))]
        )
        if exceeded := [verdict for verdict in verdicts if not verdict.allowed]:
            raise QuotaExceeded(exceeded)

    async def close(self) -> None:
        """Let go of Redis."""
        await self._spendings.close()


@final
class Limited:
    """Refuses the requests of who sends more than is allowed, before anything is done for them."""

    def __init__(self, app: ASGIApp, limits: Limits, *, exempt: Collection[str]) -> None:
        """Let requests to the paths in `exempt` pass uncounted."""
        self._app = app
        self._limits = limits
        self._exempt = frozenset(exempt)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in self._exempt:
            verdict = await self._limits.count(scope["user"], address_of(scope))
            if verdict is not None and not verdict.allowed:
                refusal = QuotaExceeded([verdict])
                await refuse(send, refusal.problem, refusal.headers)
                return
            if verdict is not None:
                add_headers(scope, written(_standing([verdict])))
        await self._app(scope, receive, send)


def address_of(scope: Mapping[str, Any]) -> str:
    """Tell the address of who asks, which the edge has put in place of its proxies'."""
    client: tuple[str, int] | None = scope["client"]
    return client[0] if client else UNIX
