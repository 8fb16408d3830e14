"""What the processes of a storm wrote: no log has a word of an order, or what opens one."""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from ops.storm.load import CANARY

# On every order's address; in every customer's; before every claim token.
SECRETS = (CANARY, "@example.com", "of_claim_")
# One leak is told often enough.
_SLIPS_MAX = 20
_LENGTH_MAX = 300


def slips(log: Path, *secrets: str) -> Sequence[str]:
    """Find the first lines of a log that hold a secret: one of `SECRETS`, or those given."""
    with log.open(errors="replace") as lines:
        found = (line for line in lines if any(s in line for s in (*SECRETS, *secrets)))
        return [line[:_LENGTH_MAX].rstrip() for line in islice(found, _SLIPS_MAX)]
