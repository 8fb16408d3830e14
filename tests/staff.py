"""The admin of the tests: an account, a session that is logged in, and an API key."""

import time
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert

from api import credentials
from api.tokens import Tokens
from db import account_tables
from db.engine import Database, transaction
from domain.principal import Role, Scope, Tier
from domain.secret import keys

ADMIN = UUID("01a1fc38-0000-7000-8000-00000000ad00")
SESSION = UUID("01a1fc38-0000-7000-8000-00000000ad01")
_KEY_ID = UUID("01a1fc38-0000-7000-8000-00000000ad02")
ADMIN_API_KEY = "of_live_AdminOfTheTestsAdminOfTheTestsAdminOfTheTes2SbPlq"

SECRET_KEY = "c2VjcmV0IGtleSBvZiB0aGUgdGVzdHMsIDMyIGJ5dGU"  # noqa: S105 - it guards nothing
TOKEN_KEY = "dG9rZW4ga2V5IG9mIHRoZSB0ZXN0cywgMzIgYnl0ZXM"  # noqa: S105 - it guards nothing

# Longer than the tests take.
_LIFETIME_S = 3600
_tokens = Tokens(keys(TOKEN_KEY), lifetime_s=_LIFETIME_S)
# Most tests ask as the admin, to whom every order is there.
STAFF: dict[str, str] = {
    "Authorization": "Bearer " + _tokens.issue(ADMIN, SESSION, version=1, now_s=int(time.time()))
}


async def hire(database: Database) -> None:
    """Write the admin into a database, unless it is there."""
    email = "admin@orderflow.test"
    person = {"id": ADMIN, "email": email, "email_folded": email, "role": Role.ADMIN.value}
    key = {
        "id": _KEY_ID,
        "user_id": ADMIN,
        "name": "The tests",
        "prefix": credentials.shown(ADMIN_API_KEY),
        "hash": credentials.digest(ADMIN_API_KEY),
        "scopes": [scope.value for scope in Scope],
        "tier": Tier.MACHINE.value,
    }
    async with transaction(database) as tx:
        await tx.execute(insert(account_tables.users).values(person).on_conflict_do_nothing())
        await tx.exec_driver_sql(
            "INSERT INTO sessions (id, user_id, expires_at)"
            " VALUES (%(id)s, %(user)s, now() + interval '1 day') ON CONFLICT DO NOTHING",
            {"id": SESSION, "user": ADMIN},
        )
        await tx.execute(insert(account_tables.api_keys).values(key).on_conflict_do_nothing())
