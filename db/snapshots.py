"""Snapshots of Postgres: which transactions had ended when it was asked."""

from typing import Self

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import fetch, run


class Snapshot(msgspec.Struct, frozen=True):
    """Transactions below `xmin` had ended, those from `xmax` on not begun, `running` ran."""

    xmin: int
    xmax: int
    running: tuple[int, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what Postgres writes for a `pg_snapshot`."""
        xmin, xmax, running = text.split(":")
        return cls(int(xmin), int(xmax), tuple(int(xid) for xid in running.split(",") if xid))

    def __str__(self) -> str:
        return f"{self.xmin}:{self.xmax}:{','.join(map(str, self.running))}"

    @property
    def place(self) -> tuple[int, int]:
        """Tell which of two is later, unless they are nearly the same."""
        return self.xmax, self.xmin

    def sees(self, xid: int) -> bool:
        """Tell whether what a transaction wrote was committed by then."""
        return xid < self.xmin or (xid < self.xmax and xid not in self.running)

    def until(self, xid: int) -> Self:
        """Give the snapshot for which the transactions from `xid` on have not begun."""
        running = tuple(other for other in self.running if other < xid)
        return type(self)(min(self.xmin, xid), min(self.xmax, xid), running)


async def current(tx: AsyncConnection) -> Snapshot:
    """Read which transactions have ended by now."""
    [text] = await fetch(tx, str, "SELECT pg_current_snapshot()::text", {})
    return Snapshot.parse(text)


async def hold(tx: AsyncConnection) -> None:
    """Have all statements of a transaction, which has run none yet, read as of one moment."""
    await run(tx, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY", {})
