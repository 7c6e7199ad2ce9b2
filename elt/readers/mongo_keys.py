"""Reads (``_id``, cursor) pairs from MongoDB's raw replies, and digests them.

Replies whose documents all have an ObjectId and a date, the usual ones, are taken apart by
NumPy without a look at any one of them; others are decoded.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import bson
import numpy as np
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.datetime_ms import DatetimeMS
from bson.errors import InvalidBSON
from numpy.typing import NDArray

from elt import batch as limits
from elt.batch import escape
from elt.digest import (
    BUCKETS,
    FACTOR,
    FLOOR,
    ORIGIN,
    PRIME,
    SMALL_PRIME,
    Digest,
)
from elt.documents import key_text
from elt.text_hash import hash_texts

_MS: CodecOptions[dict[str, Any]] = CodecOptions(
    document_class=dict, datetime_conversion=DatetimeConversion.DATETIME_MS
)
_FLOOR_MS = int(FLOOR.timestamp() * 1000)
_HEX = np.frombuffer(b"".join(b"%02x" % byte for byte in range(256)), np.uint16)


@dataclass(frozen=True)
class Pairs:
    """Keys of one length as text, and their cursors as :mod:`elt.digest` counts them."""

    keys: NDArray[np.uint8]
    cursors: NDArray[np.int64]

    def hashes(self) -> NDArray[np.int64]:
        """The keys' hashes."""
        return hash_texts(self.keys)

    def lines(self, kept: NDArray[np.bool_]) -> bytes:
        """Lines ``key TAB cursor``, escaped for COPY."""
        keys = (escape(key.tobytes()) for key in self.keys[kept])
        cursors = self.cursors[kept].tolist()
        return b"".join(
            b"%b\t%d\n" % (key, cursor) for key, cursor in zip(keys, cursors, strict=True)
        )


@dataclass(frozen=True)
class _Shape:
    """Documents of two fields: what comes before each value, and how long the values are."""

    start: bytes
    first: int
    between: bytes
    second: int

    def split(self, table: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]] | None:
        """The two values of every row, or None unless all rows have this shape."""
        one = len(self.start)
        two = one + self.first + len(self.between)
        fixed = ((0, self.start), (one + self.first, self.between))
        for at, text in fixed:
            if not (table[:, at : at + len(text)] == np.frombuffer(text, np.uint8)).all():
                return None
        return table[:, one : one + self.first], table[:, two : two + self.second]


class KeySet:
    """Some keys, to be found among many by their hashes."""

    def __init__(self, keys: Iterable[str]) -> None:
        """``keys`` as texts."""
        lengths: defaultdict[int, list[bytes]] = defaultdict(list)
        for key in keys:
            lengths[len(key.encode())].append(key.encode())
        tables = (
            np.frombuffer(b"".join(group), np.uint8).reshape(len(group), length)
            for length, group in lengths.items()
        )
        self.hashes = np.concatenate([np.zeros(0, np.int64), *map(hash_texts, tables)])
        self.buckets = np.zeros(BUCKETS, np.bool_)
        self.buckets[self.hashes & (BUCKETS - 1)] = True

    def without(self, pairs: Pairs) -> Pairs:
        """The pairs whose keys are none of these."""
        if not len(self.hashes):
            return pairs
        hashes = pairs.hashes()
        # Few of the pairs share a bucket with one of few keys.
        (near,) = np.nonzero(self.buckets[hashes & (BUCKETS - 1)])
        found = near[np.isin(hashes[near], self.hashes)]
        return Pairs(np.delete(pairs.keys, found, axis=0), np.delete(pairs.cursors, found))


@dataclass
class PairReader:
    """Reads replies that hold ``_id`` and, if there is one, the cursor field.

    Pairs at or after ``end``, and those of the keys ``left_out``, are passed over. ``nameless``
    gathers the ``_id`` elements, as BSON documents, that no key can stand for: null, too long,
    or not decodable.
    """

    cursor: str | None
    end: datetime
    left_out: KeySet = field(default_factory=lambda: KeySet(()))
    nameless: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Derive what every reply is compared with."""
        self.end_ms = int(self.end.astimezone(UTC).timestamp() * 1000)
        self.end_bson = DatetimeMS(self.end_ms)
        cursor = b"\x09" + (self.cursor or "").encode() + b"\0"
        self.size = 4 + 5 + 12 + len(cursor) + 8 + 1
        start = struct.pack("<i", self.size)
        # The server sends the fields in its index's order, or in the document's.
        self.shapes = (
            _Shape(start + cursor, 8, b"\x07_id\0", 12),
            _Shape(start + b"\x07_id\0", 12, cursor, 8),
        )

    def read(self, reply: bytes) -> Iterator[Pairs]:
        """The pairs of one reply, in groups of keys of one length."""
        if not reply:
            return
        arrays = self._uniform(reply)
        if arrays is None:
            yield from map(self.left_out.without, self._decoded(reply))
            return
        ids, milliseconds = arrays
        below = milliseconds < self.end_ms
        keys = _HEX[ids[below]].view(np.uint8)
        yield self.left_out.without(Pairs(keys, _numbers(milliseconds[below])))

    def _uniform(self, reply: bytes) -> tuple[NDArray[np.uint8], NDArray[np.int64]] | None:
        if self.cursor is None or len(reply) % self.size:
            return None
        table = np.frombuffer(reply, np.uint8).reshape(-1, self.size)
        for shape in self.shapes:
            values = shape.split(table)
            if values is not None:
                ids, dates = sorted(values, key=lambda part: -part.shape[1])
                return ids, np.ascontiguousarray(dates).view("<i8").ravel()
        return None

    def _decoded(self, reply: bytes) -> Iterator[Pairs]:
        groups: dict[int, tuple[list[bytes], list[int]]] = defaultdict(lambda: ([], []))
        for raw in _documents(reply):
            pair = self._pair(raw)
            if pair is not None:
                keys, cursors = groups[len(pair[0])]
                keys.append(pair[0])
                cursors.append(pair[1])
        for length, (keys, cursors) in groups.items():
            table = np.frombuffer(b"".join(keys), np.uint8).reshape(len(keys), length)
            yield Pairs(table, np.array(cursors, np.int64))

    def _pair(self, raw: bytes) -> tuple[bytes, int] | None:
        try:
            document = bson.decode(raw, _MS)
            key = key_text(document.get("_id"))
        except InvalidBSON:
            key, document = None, {}
        encoded = b"" if key is None else key.encode()
        if key is None or len(encoded) > limits.KEY_BYTES:
            if len(self.nameless) < limits.BATCH_ROWS:
                self.nameless.append(raw)
            return None
        value = document.get(self.cursor) if self.cursor else None
        if isinstance(value, list):
            # MongoDB compares each element of an array.
            late = any(isinstance(v, DatetimeMS) and v >= self.end_bson for v in value)
            return None if late else (encoded, 0)
        if not isinstance(value, DatetimeMS):
            return encoded, 0
        milliseconds = int(value)
        if milliseconds >= self.end_ms:
            return None
        usable = milliseconds >= _FLOOR_MS
        return encoded, milliseconds * 1000 + ORIGIN if usable else 0


class Digester:
    """Adds pairs up to a digest, by buckets of the keys' hashes."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.rows = np.zeros(BUCKETS, np.int64)
        self.sums = np.zeros(BUCKETS, np.uint64)

    def add(self, pairs: Pairs) -> None:
        """Take these pairs in."""
        keys = pairs.hashes()
        # As the servers do, fmod cuts towards zero.
        left = np.fmod(np.fmod(keys, PRIME) * FACTOR + pairs.cursors, PRIME)
        right = np.fmod(keys, SMALL_PRIME) + SMALL_PRIME
        buckets = keys & (BUCKETS - 1)
        self.rows += np.bincount(buckets, minlength=BUCKETS)
        np.bitwise_xor.at(self.sums, buckets, (left * right).view(np.uint64))

    def result(self) -> Digest:
        """The digest of what was added."""
        (filled,) = np.nonzero(self.rows)
        return {int(bucket): (int(self.rows[bucket]), int(self.sums[bucket])) for bucket in filled}


def in_buckets(pairs: Pairs, wanted: Sequence[int]) -> NDArray[np.bool_]:
    """Which pairs lie in the wanted buckets."""
    chosen = np.zeros(BUCKETS, np.bool_)
    chosen[list(wanted)] = True
    result: NDArray[np.bool_] = chosen[pairs.hashes() & (BUCKETS - 1)]
    return result


def _numbers(milliseconds: NDArray[np.int64]) -> NDArray[np.int64]:
    result: NDArray[np.int64] = np.where(milliseconds >= _FLOOR_MS, milliseconds * 1000 + ORIGIN, 0)
    return result


def _documents(reply: bytes) -> Iterator[bytes]:
    start = 0
    while start < len(reply):
        (length,) = struct.unpack_from("<i", reply, start)
        yield reply[start : start + length]
        start += length
