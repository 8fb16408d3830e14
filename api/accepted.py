"""The one answer to whatever goes on by mail: it tells nothing of whose address it is."""

import msgspec


class Accepted(msgspec.Struct, frozen=True):
    """What comes next; the same for every address."""

    detail: str = "Look into the mail of that address: it says what to do next."
