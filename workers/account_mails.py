"""Mails of accounts: written from their notice, with the code derived at the last moment."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from db import account_notices
from db.account_notices import NOTICE_ID
from domain import account_mail, code
from domain.account_mail import PURPOSE_OF, AccountNotice, AccountTold
from domain.mail import Mail
from domain.secret import KeyMalformed, keys
from domain.task import Task
from ops.config import SettingInvalid, Settings


def notice_of(task: Task) -> UUID:
    """Give the notice that a task is to send."""
    return UUID(task.payload[NOTICE_ID])


def secret_keys(settings: Settings) -> tuple[bytes, ...]:
    """Read the keys of codes; raises SettingInvalid."""
    try:
        return keys(settings.secret_keys)
    except KeyMalformed as error:
        raise SettingInvalid(f"SECRET_KEYS: a key {error}.") from error


async def write(
    tx: AsyncConnection, notice_ids: Sequence[UUID], settings: Settings
) -> Mapping[UUID, Mail]:
    """Write those of the mails that are still to be sent.

    Raises SettingInvalid if one needs a code and there is no key to derive it with.
    """
    if not notice_ids:
        return {}
    told = await account_notices.pending(tx, notice_ids)
    return {each.id: _written(each, settings) for each in told.values()}


def _written(told: AccountTold, settings: Settings) -> Mail:
    if told.code_id is None:
        return account_mail.mail(told, None, settings.public_url)
    if not (known := secret_keys(settings)):
        raise SettingInvalid("SECRET_KEYS is empty: set it as the web processes have it.")
    written = code.write(told.code_id, PURPOSE_OF[AccountNotice(told.kind)], known[0])
    return account_mail.mail(told, written, settings.public_url)
