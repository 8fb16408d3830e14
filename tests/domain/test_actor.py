import pytest

from db.ids import new_id
from domain.actor import CAUSES, GUEST, WORKER, Actor, ActorKind, actor_of, cause, presumed
from domain.event import CancelReason, Event
from domain.principal import ANONYMOUS, Principal, PrincipalKind, Role

SOMEBODY = new_id()


@pytest.mark.parametrize(
    ("principal", "actor"),
    [
        (ANONYMOUS, GUEST),
        (Principal(PrincipalKind.GUEST, order_id=SOMEBODY), GUEST),
        (
            Principal(PrincipalKind.USER, SOMEBODY, Role.CUSTOMER),
            Actor(ActorKind.CUSTOMER, SOMEBODY),
        ),
        (
            Principal(PrincipalKind.USER, SOMEBODY, Role.OPS),
            Actor(ActorKind.STAFF, SOMEBODY, "ops"),
        ),
        (
            Principal(PrincipalKind.KEY, SOMEBODY, Role.ADMIN),
            Actor(ActorKind.STAFF, SOMEBODY, "admin", key=True),
        ),
    ],
)
def test_who_asks_is_the_actor(principal: Principal, actor: Actor) -> None:
    assert actor_of(principal) == actor


def test_every_event_and_every_end_has_a_cause() -> None:
    kinds = {str(fact.__struct_config__.tag) for fact in Event.__args__}

    assert kinds - CAUSES.keys() == {"order_cancelled", "order_shipped"}
    assert all(cause("order_cancelled", {"reason": reason.value}) for reason in CancelReason)
    assert not cause("order_teleported", {})


def test_of_old_rows_the_actor_is_presumed() -> None:
    assert presumed("order_placed", {}) == GUEST
    assert presumed("order_cancelled", {"reason": "customer"}) == GUEST
    assert presumed("order_cancelled", {"reason": "staff"}) == Actor(ActorKind.STAFF)
    assert presumed("payment_requested", {"actor": "staff"}) == Actor(ActorKind.STAFF)
    assert presumed("order_paid", {}) == WORKER
    assert presumed("order_cancelled", {"reason": "out_of_stock"}) == WORKER
