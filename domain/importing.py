"""Imports: files of the catalogue that are taken in as a whole, or not at all."""

from enum import StrEnum
from typing import ClassVar

from domain.refusal import Refusal

ROWS_MAX = 100_000
# More than so many lines of any catalogue have; what is above is refused while it comes.
FILE_BYTES_MAX = 128 * 1024 * 1024


class FileFormat(StrEnum):
    JSON_LINES = "jsonl"
    CSV = "csv"  # RFC 4180, with a header


class OnError(StrEnum):
    """What becomes of a file some of whose lines cannot be taken in."""

    REFUSE = "refuse"  # nothing of it is
    SKIP = "skip"  # the others are


class ImportState(StrEnum):
    UPLOADING = "uploading"  # its file is coming
    READING = "reading"  # its lines are read and judged, out of sight
    PUBLISHING = "publishing"  # the next transaction shows all of it, or refuses it
    DONE = "done"
    REFUSED = "refused"  # `errors` say why; nothing was changed
    CANCELLED = "cancelled"  # a person stopped it before it was published


ENDED = frozenset({ImportState.DONE, ImportState.REFUSED, ImportState.CANCELLED})


class ImportOver(Refusal):
    """It has ended, or is just being published."""

    code: ClassVar[str] = "import_over"
