"""Who asks, and whether one may: roles of people, scopes of keys, policies of operations."""

from collections.abc import Mapping
from enum import StrEnum
from uuid import UUID

import msgspec


class Role(StrEnum):
    CUSTOMER = "customer"  # buys, and sees what is one's own
    SUPPORT = "support"  # reads every order, and gives back money up to a limit
    OPS = "ops"  # works queues, payments, stock and the catalogue
    ADMIN = "admin"  # manages people and keys


class Tier(StrEnum):
    """How many requests one may send, from the fewest to the most."""

    ANONYMOUS = "anonymous"
    AUTHENTICATED = "authenticated"
    PREMIUM = "premium"
    MACHINE = "machine"  # our own programs, of which no number is expected


class Scope(StrEnum):
    """What a key may be used for; what its owner may not, it may not either."""

    ORDERS_READ = "orders:read"
    ORDERS_WRITE = "orders:write"
    PAYMENTS_READ = "payments:read"
    PAYMENTS_WRITE = "payments:write"
    STOCK_READ = "stock:read"
    STOCK_WRITE = "stock:write"
    CATALOGUE_WRITE = "catalogue:write"
    OPERATIONS_READ = "operations:read"
    OPERATIONS_WRITE = "operations:write"
    AUDIT_READ = "audit:read"


class PrincipalKind(StrEnum):
    ANONYMOUS = "anonymous"  # sent no credential
    USER = "user"  # a person with an access token
    GUEST = "guest"  # holds the claim token of one order
    KEY = "key"  # a machine with the API key of a person


STAFF = frozenset({Role.SUPPORT, Role.OPS, Role.ADMIN})

_OF_CUSTOMERS = frozenset(
    {
        Scope.ORDERS_READ,
        Scope.ORDERS_WRITE,
        Scope.PAYMENTS_READ,
        Scope.PAYMENTS_WRITE,
    }
)
_OF_SUPPORT = _OF_CUSTOMERS | {Scope.STOCK_READ, Scope.OPERATIONS_READ}

# The scopes that a key of somebody in a role can have.
GRANTABLE: Mapping[Role, frozenset[Scope]] = {
    Role.CUSTOMER: _OF_CUSTOMERS,
    Role.SUPPORT: _OF_SUPPORT,
    Role.OPS: _OF_SUPPORT | {Scope.STOCK_WRITE, Scope.CATALOGUE_WRITE, Scope.OPERATIONS_WRITE},
    Role.ADMIN: frozenset(Scope),
}


class Principal(msgspec.Struct, frozen=True):
    """Who asks; a key has the role of its owner, and a guest the one order of its token."""

    kind: PrincipalKind = PrincipalKind.ANONYMOUS
    user_id: UUID | None = None
    role: Role | None = None
    scopes: frozenset[Scope] = frozenset()
    tier: Tier = Tier.ANONYMOUS
    session_id: UUID | None = None
    key_id: UUID | None = None
    order_id: UUID | None = None
    lacks_factor: bool = False  # so that the role is not the one that was given

    @property
    def is_staff(self) -> bool:
        """Tell whether one sees what is not one's own."""
        return self.role in STAFF

    @property
    def name(self) -> str:
        """Tell principals apart in limits, logs and idempotency keys; an account has one name."""
        if self.user_id is not None:
            return f"user:{self.user_id}"
        return str(self.kind) if self.order_id is None else f"guest:{self.order_id}"


ANONYMOUS = Principal()


def acting(role: Role, *, mfa: bool, mfa_required: bool) -> Role:
    """Give the role in which somebody acts: ops and admins without a second factor are customers.

    So they can do no harm, and can log in to enrol one. Whoever has one showed it at every login.
    """
    if mfa_required and not mfa and role in {Role.OPS, Role.ADMIN}:
        return Role.CUSTOMER
    return role


class Policy(msgspec.Struct, frozen=True):
    """Who may do one thing; nobody, unless it says so.

    Customers and guests may do it to what is their own only.
    """

    roles: frozenset[Role] = frozenset()
    scope: Scope | None = (
        None  # what a key needs besides the role of its owner; without, no key may
    )
    guest: bool = False
    anonymous: bool = False
    public: bool = False  # nobody is asked who one is
    any_order: bool = False  # what is sent along opens the order, whoever has it


def may(policy: Policy, principal: Principal) -> bool:
    """Decide whether a principal may do what the policy is of."""
    if policy.public:
        return True
    match principal.kind:
        case PrincipalKind.ANONYMOUS:
            return policy.anonymous
        case PrincipalKind.GUEST:
            return policy.guest
        case PrincipalKind.USER:
            return principal.role in policy.roles
        case PrincipalKind.KEY:
            return principal.role in policy.roles and policy.scope in principal.scopes


# Who sees all of the catalogue: what is not for sale, and what it costs the shop.
_WRITES_CATALOGUE = Policy(frozenset({Role.OPS, Role.ADMIN}), Scope.CATALOGUE_WRITE)


def writes_catalogue(principal: Principal) -> bool:
    """Tell whether somebody may write the catalogue, and so see all of it."""
    return may(_WRITES_CATALOGUE, principal)


def may_give(principal: Principal, tier: Tier) -> bool:
    """Decide whether a principal may make a key of a tier: of one's own, or premium as an admin."""
    if tier is Tier.PREMIUM:
        return principal.role is Role.ADMIN or principal.tier is tier
    return tier is Tier.AUTHENTICATED


def tier_of_key(made: Tier, role: Role, owner: Tier) -> Tier:
    """Give the tier in which a key asks: that of its making, as long as its owner could give it."""
    if role is Role.ADMIN or made is owner:
        return made
    return Tier.AUTHENTICATED


def owns(principal: Principal, order_id: UUID, owner: UUID | None) -> bool:
    """Tell whether an order is one's own; `owner` is the account that has it, if any has.

    Once an account has the order, its claim token opens nothing more.
    """
    if principal.kind is PrincipalKind.GUEST:
        return owner is None and principal.order_id == order_id
    return owner is not None and owner == principal.user_id


def reaches(principal: Principal, order_id: UUID, owner: UUID | None) -> bool:
    """Tell whether an order is there for one: one's own, and any for staff."""
    return principal.is_staff or owns(principal, order_id, owner)
