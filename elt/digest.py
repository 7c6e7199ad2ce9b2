"""Digests of (key, cursor) pairs that a source server and the warehouse compute alike.

A table's rows are divided into buckets by their key. A bucket's digest is its number of rows
and the exclusive or of their pairs' hashes: it does not depend on any order, costs a few
integer operations a row, and is the same on MySQL, PostgreSQL and in NumPy. A cursor that
moved is overlooked with a chance of 2^-40, and any other difference with one of about 2^-60.

A cursor counts in microseconds from the year 0; one that says nothing (null, or before
``FLOOR``: zero dates too) counts 0, and its row is read every night. PostgreSQL's times are
exact to the microsecond in a double between 1834 and 2106.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

# The greatest primes below 2^40 and 2^22.
PRIME = 1_099_511_627_689
SMALL_PRIME = 4_194_301
FACTOR = 1_664_525
# Microseconds from the year 0, where MySQL's to_seconds begins, to 1970.
ORIGIN = 62_167_219_200_000_000
FLOOR = datetime(1900, 1, 1, tzinfo=UTC)
BUCKETS = 4_096

# Bucket: rows, and the exclusive or of their hashes in 64 bits without sign.
Digest = dict[int, tuple[int, int]]


@dataclass(frozen=True)
class Buckets:
    """How keys are divided: integer keys into ranges of ``width``, texts (0) by their hash.

    Without a width all keys are in bucket 0.
    """

    width: int | None

    @classmethod
    def between(cls, low: int, high: int) -> Buckets:
        """Ranges of equal width over these keys; keys beyond them get ranges of their own."""
        return cls((high - low) // BUCKETS + 1)

    def ranges(self, wanted: Iterable[int]) -> list[tuple[int, int]]:
        """The ranges of integer keys, both ends inclusive, that these buckets cover, merged."""
        merged: list[tuple[int, int]] = []
        for low, high in sorted(map(self._range, wanted)):
            if merged and merged[-1][1] + 1 == low:
                merged[-1] = (merged[-1][0], high)
            else:
                merged.append((low, high))
        return merged

    def _range(self, bucket: int) -> tuple[int, int]:
        """Division cuts towards zero, on both servers: bucket 0 is nearly twice as wide."""
        assert self.width
        low = (bucket - 1) * self.width + 1 if bucket <= 0 else bucket * self.width
        high = (bucket + 1) * self.width - 1 if bucket >= 0 else bucket * self.width
        return max(low, -(1 << 63)), min(high, (1 << 63) - 1)


ALL_KEYS = Buckets(None)
HASHED = Buckets(0)


def pair_hash(key: str, cursor: str) -> str:
    """SQL of one pair's hash, from the integers that stand for its key and its cursor.

    The product of two numbers of 40 and 23 bits; no step leaves 64 bits. The cursor, whose
    expression costs most, is in it once. Remainders are cut towards zero, on all servers.
    """
    left = f"(({key} % {PRIME}) * {FACTOR} + {cursor}) % {PRIME}"
    return f"({left}) * ({key} % {SMALL_PRIME} + {SMALL_PRIME})"


def postgres_cursor(cursor: str | None) -> str:
    """SQL of a PostgreSQL cursor column (quoted), counted as this module says."""
    if cursor is None:
        return "0::bigint"
    return (
        f"case when {cursor} >= '1900-01-01' then "
        f"(date_part('epoch', {cursor}) * 1000000)::bigint + {ORIGIN} else 0 end"
    )


def unequal(left: Digest, right: Digest) -> list[int]:
    """The buckets that differ, in order."""
    return sorted(
        bucket for bucket in left.keys() | right.keys() if left.get(bucket) != right.get(bucket)
    )


def total(digest: Digest) -> tuple[int, int]:
    """Rows and hash over all buckets."""
    rows = checksum = 0
    for count, part in digest.values():
        rows += count
        checksum ^= part
    return rows, checksum


def of_rows(rows: Iterable[tuple[int, int, int]]) -> Digest:
    """A digest from a server's rows: bucket, count and hash, whatever sign it came with."""
    return {int(bucket): (int(count), int(part) & (1 << 64) - 1) for bucket, count, part in rows}
