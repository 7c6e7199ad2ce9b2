"""What readers hand to the loader: windows, batches, rejected rows; and COPY's text format."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime

BATCH_ROWS = 5_000
BATCH_BYTES = 4 * 1024 * 1024
# A row over this is rejected: COPY and jsonb have hard limits beyond it.
ROW_BYTES = 64 * 1024 * 1024
# PostgreSQL's B-tree takes about 2,700 bytes an entry.
KEY_BYTES = 1_000


@dataclass(frozen=True)
class Window:
    """The half-open range of cursor values that a night reads: from ``start`` up to ``end``.

    A row whose cursor says nothing is always inside. Without a ``start`` everything before
    ``end`` is. ``after`` is the other half of a compound watermark: of the rows exactly at
    ``start``, only those with a higher key are inside.
    """

    end: datetime
    start: datetime | None = None
    after: str | None = None


@dataclass(frozen=True)
class Rejected:
    """A source row that no raw row can hold.

    ``source_key`` names it, also where its key is null. ``key`` is the raw table's key
    where it could be read: the version that is live under it stays as it is. ``payload``
    is the row as it was read (BSON; for SQL sources Extended JSON).
    """

    source_key: str
    key: str | None
    reason: str
    payload: bytes


@dataclass(frozen=True)
class Batch:
    """Rows of one table, ready for COPY.

    ``data`` holds ``rows`` lines of COPY's text format, UTF-8, with the key, the declared
    columns and ``_extra`` in the order of the spec. ``expected`` is set in the first batch
    of a read by window only: how many rows the source counted in the same snapshot.
    """

    rows: int
    data: bytes
    rejected: tuple[Rejected, ...] = ()
    expected: int | None = None


class SourceError(RuntimeError):
    """A source is not as its contract says; the message names the table and the connection."""


_SPECIAL = re.compile(rb"[\\\n\r\t]")
_ESCAPES = {b"\\": b"\\\\", b"\n": b"\\n", b"\r": b"\\r", b"\t": b"\\t"}
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_UNESCAPES = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}


def escape(value: bytes) -> bytes:
    """Escape one field for COPY's text format."""
    if _SPECIAL.search(value) is None:
        return value
    return _SPECIAL.sub(lambda match: _ESCAPES[match[0]], value)


def unescape(field: bytes) -> bytes | None:
    r"""Read one field of COPY's text format; ``\N`` is None."""
    if field == b"\\N":
        return None
    if b"\\" not in field:
        return field
    return _ESCAPED.sub(lambda match: _UNESCAPES.get(match[1], match[1]), field)


def rejected(key: str | None, reason: str, payload: bytes) -> Rejected:
    """A rejected row under a source key that is unique, printable and short.

    A row without a usable key is named by the hash of its content, so that reading it
    again finds the same entry.
    """
    if key is not None and "\0" not in key and len(key.encode()) <= KEY_BYTES:
        return Rejected(key, key, reason, payload)
    name = "" if key is None else key.replace("\0", "")[:40]
    digest = hashlib.sha256(payload if key is None else key.encode()).hexdigest()
    return Rejected(f"{name}:sha256:{digest}", None, reason, payload)
