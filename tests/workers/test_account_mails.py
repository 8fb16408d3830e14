"""Mails of accounts: sent once, with a code that is nowhere kept, beside those of orders."""

from uuid import UUID

import msgspec
import pytest

from db import account_notices, codes
from db.engine import Database, transaction
from domain import code
from domain.account_mail import PURPOSE_OF, AccountNotice, AccountTold, mail
from domain.code import Purpose
from domain.mail import Refused, Unsent
from domain.secret import keys
from ops.config import Settings
from tests.conftest import SECRET_KEY
from tests.people import Letterbox, code_of, mails, rows_of
from tests.postbox import Postbox
from tests.records import make_due
from tests.stages import drain_notifications
from tests.workers.test_notifications import settled


async def told(database: Database) -> list[tuple[str, str | None, str, int]]:
    """Read state and error of the mails, and state and attempt of their tasks."""
    return [
        (state, error, task, attempt)
        for state, error, task, attempt in await rows_of(
            database,
            "SELECT n.state, n.error, t.state, t.attempt FROM account_notices n"
            " JOIN tasks t ON t.payload->>'notice_id' = n.id::text ORDER BY n.id",
        )
    ]


async def ask_for_reset(database: Database) -> str:
    """Have a mail wait; the code that it will carry."""
    async with transaction(database) as tx:
        code_id = await codes.insert(tx, Purpose.RESET)
        notice = AccountNotice.RESET_PASSWORD
        await account_notices.tell(tx, notice, "ann@example.com", code_id=code_id)
    return code.write(code_id, Purpose.RESET, keys(SECRET_KEY)[0])


async def test_mail_has_the_code_and_is_sent_once(database: Database, settings: Settings) -> None:
    expected = await ask_for_reset(database)

    [sent] = await mails(database, settings)

    assert code_of(sent) == expected
    assert await mails(database, settings) == []
    assert await told(database) == [("sent", None, "done", 1)]


async def test_mail_that_was_not_taken_comes_again_with_the_same_code_and_id(
    database: Database, settings: Settings, postbox: Postbox
) -> None:
    await ask_for_reset(database)
    box = Letterbox()
    postbox.answers.append(Unsent("No connection."))

    await drain_notifications(database, settings, postbox)
    before = await told(database)
    await make_due(database)
    await drain_notifications(database, settings, box)
    await rows_of(database, "UPDATE account_notices SET state = 'pending' RETURNING id")
    await rows_of(
        database,
        "UPDATE tasks SET state = 'ready', finished_at = NULL, run_at = now() RETURNING id",
    )
    await drain_notifications(database, settings, box)

    assert before == [("pending", None, "ready", 1)]
    first, second = box.mails
    assert first == second


async def test_mail_that_was_refused_is_not_tried_again(
    database: Database, settings: Settings, postbox: Postbox
) -> None:
    await ask_for_reset(database)
    postbox.answers.append(Refused("No such mailbox."))

    await drain_notifications(database, settings, postbox)

    assert await told(database) == [("refused", "No such mailbox.", "done", 1)]


async def test_without_keys_mails_wait_for_them_and_others_go_out(
    database: Database, settings: Settings
) -> None:
    await ask_for_reset(database)
    async with transaction(database) as tx:
        await account_notices.tell(tx, AccountNotice.ACCOUNT_DELETED, "bob@example.com")
    keyless = msgspec.structs.replace(settings, secret_keys="")

    sent = await mails(database, keyless)

    assert [each.to for each in sent] == ["bob@example.com"]
    assert [state for state, *_ in await told(database)] == ["pending", "sent"]
    await make_due(database)
    assert [each.to for each in await mails(database, settings)] == ["ann@example.com"]


async def test_mails_of_orders_and_of_accounts_go_in_one_group(
    database: Database, settings: Settings
) -> None:
    await settled(database, settings)
    await ask_for_reset(database)

    sent = await mails(database, settings)

    assert {each.subject for each in sent} == {"Your order is confirmed", "Reset your password"}


@pytest.mark.parametrize("notice", AccountNotice)
def test_every_mail_can_be_written_and_names_its_page(notice: AccountNotice) -> None:
    written = "c" * 64 if notice in PURPOSE_OF else None
    told = AccountTold(UUID(int=1), notice.value, "ann@example.com", None)

    letter = mail(told, written, "https://shop.example/")

    assert letter.to == "ann@example.com"
    assert len(letter.subject) < 60
    assert max(map(len, letter.text.splitlines())) <= 110
    assert ("https://shop.example/account/" in letter.text) == (notice in PURPOSE_OF)
