"""Who may do what, decided without a database."""

import itertools

import pytest

from db.ids import new_id
from domain.principal import (
    ANONYMOUS,
    GRANTABLE,
    STAFF,
    Policy,
    Principal,
    PrincipalKind,
    Role,
    Scope,
    Tier,
    may,
    owns,
    reaches,
    tier_of_key,
)

ORDER, ANN = new_id(), new_id()


def a_person(role: Role) -> Principal:
    return Principal(PrincipalKind.USER, user_id=ANN, role=role)


def a_key(role: Role, *scopes: Scope) -> Principal:
    return Principal(PrincipalKind.KEY, user_id=ANN, role=role, scopes=frozenset(scopes))


GUEST = Principal(PrincipalKind.GUEST, order_id=ORDER)
EVERYBODY = [
    ANONYMOUS,
    GUEST,
    *(a_person(role) for role in Role),
    *(a_key(role, *Scope) for role in Role),
]


@pytest.mark.parametrize("principal", EVERYBODY)
def test_nobody_may_what_no_policy_allows(principal: Principal) -> None:
    assert not may(Policy(), principal)


@pytest.mark.parametrize("principal", EVERYBODY)
def test_everybody_may_what_is_public(principal: Principal) -> None:
    assert may(Policy(public=True), principal)


@pytest.mark.parametrize(("asked", "allowed"), list(itertools.product(Role, Role)))
def test_person_may_what_the_role_may(asked: Role, allowed: Role) -> None:
    assert may(Policy(roles=frozenset({allowed})), a_person(asked)) == (asked is allowed)


@pytest.mark.parametrize(("held", "wanted"), list(itertools.product(Scope, Scope)))
def test_key_may_what_its_scopes_name(held: Scope, wanted: Scope) -> None:
    policy = Policy(roles=frozenset(Role), scope=wanted)

    assert may(policy, a_key(Role.ADMIN, held)) == (held is wanted)


@pytest.mark.parametrize("role", list(Role))
def test_key_may_never_more_than_its_owner(role: Role) -> None:
    policy = Policy(roles=frozenset(Role) - {role}, scope=Scope.ORDERS_READ)

    assert not may(policy, a_key(role, *Scope))


def test_no_key_may_what_names_no_scope() -> None:
    assert not may(Policy(roles=frozenset(Role)), a_key(Role.ADMIN, *Scope))


def test_guests_and_strangers_may_only_what_names_them() -> None:
    assert may(Policy(guest=True), GUEST)
    assert not may(Policy(guest=True), ANONYMOUS)
    assert may(Policy(anonymous=True), ANONYMOUS)
    assert not may(Policy(anonymous=True), GUEST)


def test_order_belongs_to_the_account_that_has_it() -> None:
    assert owns(a_person(Role.CUSTOMER), ORDER, ANN)
    assert not owns(a_person(Role.CUSTOMER), ORDER, new_id())
    assert not owns(a_person(Role.CUSTOMER), ORDER, None)
    assert not owns(ANONYMOUS, ORDER, None)


def test_claim_token_opens_its_order_until_an_account_has_it() -> None:
    assert owns(GUEST, ORDER, None)
    assert not owns(GUEST, ORDER, ANN)
    assert not owns(GUEST, new_id(), None)


@pytest.mark.parametrize("role", list(Role))
def test_staff_alone_reaches_what_is_not_its_own(role: Role) -> None:
    assert reaches(a_person(role), ORDER, new_id()) == (role in STAFF)
    assert reaches(a_person(role), ORDER, None) == (role in STAFF)


def test_keys_of_higher_roles_can_have_what_those_of_lower_ones_can() -> None:
    ranks = [GRANTABLE[role] for role in Role]

    assert all(lower < higher for lower, higher in itertools.pairwise(ranks))


def test_names_tell_principals_apart_but_not_an_account_from_its_key() -> None:
    assert a_person(Role.CUSTOMER).name == a_key(Role.CUSTOMER).name == f"user:{ANN}"
    assert GUEST.name == f"guest:{ORDER}"
    assert ANONYMOUS.name == "anonymous"


@pytest.mark.parametrize(
    ("made", "role", "owner", "tier"),
    [
        (Tier.PREMIUM, Role.CUSTOMER, Tier.PREMIUM, Tier.PREMIUM),
        (Tier.PREMIUM, Role.CUSTOMER, Tier.AUTHENTICATED, Tier.AUTHENTICATED),
        (Tier.AUTHENTICATED, Role.CUSTOMER, Tier.PREMIUM, Tier.AUTHENTICATED),
        (Tier.PREMIUM, Role.ADMIN, Tier.AUTHENTICATED, Tier.PREMIUM),
        (Tier.MACHINE, Role.ADMIN, Tier.AUTHENTICATED, Tier.MACHINE),
        (Tier.MACHINE, Role.OPS, Tier.AUTHENTICATED, Tier.AUTHENTICATED),
    ],
)
def test_key_keeps_no_tier_that_its_owner_has_lost(
    made: Tier, role: Role, owner: Tier, tier: Tier
) -> None:
    assert tier_of_key(made, role, owner) is tier
