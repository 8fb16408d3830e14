import httpx
from sqlalchemy import text

from db.engine import Database, transaction
from ops.config import Settings
from tests.api.paid import Pay, ask
from tests.postbox import Postbox
from tests.stages import drain_notifications
from tests.web import assert_problem

CONFIRMED = {"notice": "order_confirmed"}


async def test_mail_is_sent_once_more_per_key(
    client: httpx.AsyncClient, pay: Pay, database: Database, settings: Settings
) -> None:
    location, box = await pay(), Postbox()
    await drain_notifications(database, settings, box)

    for _ in range(2):
        answer = await ask(client, f"{location}/resend", CONFIRMED, key="again")
        assert answer.status_code == 202
    other = await ask(client, f"{location}/resend", CONFIRMED)
    await drain_notifications(database, settings, box)

    assert_problem(other, 409, "conflict")
    first, second = box.mails
    assert first == second


async def test_mail_that_was_given_up_goes_out_and_its_dead_task_is_over(
    client: httpx.AsyncClient, pay: Pay, database: Database, settings: Settings
) -> None:
    location, box = await pay(), Postbox()
    await drain_notifications(database, settings, box)
    dead = "UPDATE tasks SET state = 'dead' WHERE kind = 'notify'"
    async with transaction(database) as tx:
        await tx.execute(text(dead))

    await ask(client, f"{location}/resend", CONFIRMED)
    await drain_notifications(database, settings, box)

    async with transaction(database) as tx:
        states = await tx.scalars(text("SELECT state FROM tasks WHERE kind = 'notify' ORDER BY id"))
        assert states.all() == ["cancelled", "done"]
    assert len(box.mails) == 2


async def test_mail_that_never_was_is_not_sent_again(client: httpx.AsyncClient, pay: Pay) -> None:
    location = await pay()

    answer = await ask(client, f"{location}/resend", {"notice": "order_cancelled"})

    assert_problem(answer, 409, "illegal_move")
