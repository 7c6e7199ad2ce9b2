"""What the readers of MySQL and PostgreSQL share: the queries on one table's snapshot."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, TypeVar

from elt import batch as limits
from elt.batch import Batch, Window
from elt.digest import ALL_KEYS, FLOOR, Buckets, Digest, of_rows, pair_hash
from elt.readers.rows import Layout, Row, RowConverter
from elt.readers.snapshot import SourceColumn
from elt.specs import TableSpec
from elt.values import takes

T = TypeVar("T")

KEYS_AT_ONCE = 2_000
RANGES_AT_ONCE = 200
_HIGHEST_KEY = (1 << 63) - 1


class SqlSnapshot(ABC):
    """One table in one transaction's snapshot; see :class:`elt.readers.snapshot.Snapshot`."""

    first_buckets = ALL_KEYS
    exact = False
    """Whether the server holds every value to its column's declared type."""

    def __init__(self, spec: TableSpec, end: datetime, columns: Sequence[SourceColumn]) -> None:
        """Look at ``columns``, which the source has, up to the bound ``end``."""
        self.spec = spec
        self._columns = tuple(columns)
        self.table = self.quote(spec.name)
        self.key = self.quote(spec.key.name)
        self.end = self.moment(end)
        kinds = {column.name: column.kind for column in columns}
        types = {column.name: column.type for column in spec.columns}
        self._answer: Generator[Any] | None = None
        self.cursor: str | None = None
        if spec.cursor is not None and spec.cursor in kinds:
            kind = kinds[spec.cursor]
            if kind in ("date", "datetime") and takes(types[spec.cursor], kind):
                self.cursor = self.quote(spec.cursor)
        key = next(column for column in columns if column.name == spec.key.name)
        # A key that raw cannot hold names no row.
        parts = [f"{self.key} is null"] if key.nullable else []
        parts += [f"{self.key} > {_HIGHEST_KEY}"] if key.unsigned else []
        self.nameless = f"({' or '.join(parts) or 'false'})"

    @abstractmethod
    def quote(self, name: str) -> str:
        """A quoted identifier."""

    @abstractmethod
    def moment(self, value: datetime) -> str:
        """A literal to compare the cursor with."""

    @abstractmethod
    def cursor_number(self) -> str:
        """The cursor as :mod:`elt.digest` counts it."""

    @abstractmethod
    def bucket(self, buckets: Buckets) -> str:
        """The bucket of the key, where there are several."""

    @abstractmethod
    def ask(self, query: str) -> list[Any]:
        """The rows of a short answer."""

    @abstractmethod
    def stream(self, columns: Sequence[SourceColumn], where: str) -> Iterator[Sequence[Row]]:
        """Rows of the table in chunks of bounded size, their values as bytes."""

    @abstractmethod
    def lines(self, columns: Sequence[str], where: str) -> Iterator[bytes]:
        """Rows of numbers in COPY's text format, in blocks of whole lines."""

    @property
    def columns(self) -> tuple[SourceColumn, ...]:
        """The source's own columns."""
        return self._columns

    @property
    def has_cursor(self) -> bool:
        """Whether there is a cursor, and it is a time."""
        return self.cursor is not None

    def fields(self) -> dict[str, frozenset[str | None]]:
        """A table has no undeclared fields: its columns are known."""
        return {}

    def sample(self) -> None:
        """Nothing to look for: the columns are known."""
        return

    def use(self, read: TableSpec) -> None:
        """Read these columns from now on."""
        self.converter = RowConverter(Layout.of(read, self._columns), exact=self.exact)

    def held(self) -> Iterator[list[str]]:
        """The keys of rows at or after the bound."""
        if self.cursor is None:
            return
        where = f"{self.cursor} >= {self.end} and not coalesce({self.nameless}, true)"
        for block in self.lines([self.key], where):
            yield block.decode().split()

    def read(self, window: Window) -> Iterator[Batch]:
        """The rows of a window, those without a usable cursor, and those without a key."""
        where = self._window(window)
        if window.start is not None:
            # All of a table is counted by its digest.
            ((count,),) = self.ask(f"select count(*) from {self.table} where {where}")
            yield Batch(0, b"", expected=int(count))
        yield from self._batches(where)

    def read_keys(self, keys: Sequence[str]) -> Iterator[Batch]:
        """The rows of these keys."""
        for at in range(0, len(keys), KEYS_AT_ONCE):
            wanted = ", ".join(str(int(key)) for key in keys[at : at + KEYS_AT_ONCE])
            yield from self._batches(f"{self.key} in ({wanted}) and {self._below()}")

    def read_nameless(self) -> Iterator[Batch]:
        """Every window has them."""
        return iter(())

    def leave_out(self, keys: Sequence[str]) -> int:
        """None: only the ranges that differ are looked into."""
        return 0

    def buckets(self, low: int | None, high: int | None) -> Buckets:
        """Ranges of equal width over the keys of the source and of raw."""
        where = f"not coalesce({self.nameless}, true)"
        ((first, last),) = self.ask(
            f"select min({self.key}), max({self.key}) from {self.table} where {where}"
        )
        keys = [int(key) for key in (first, last, low, high) if key is not None]
        return Buckets.between(min(keys, default=0), max(keys, default=0))

    def digest(self, buckets: Buckets) -> Digest:
        """The digest of every row with a key, below the bound."""
        hashed = pair_hash(self.signed_key(), self.cursor_number())
        bucket, group = "0", "having count(*) > 0"
        if buckets.width is not None:
            bucket, group = self.bucket(buckets), "group by 1"
        return of_rows(
            self.ask(
                f"select {bucket} as bucket, count(*), bit_xor({hashed})"
                f" from {self.table} where {self._named_below()} {group}"
            )
        )

    def pairs(self, buckets: Buckets, wanted: Sequence[int]) -> Iterator[bytes]:
        """Keys and cursors of the rows in the wanted buckets."""
        ranges = buckets.ranges(wanted)
        for at in range(0, len(ranges), RANGES_AT_ONCE):
            parts = (
                f"{self.key} between {low} and {high}"
                for low, high in ranges[at : at + RANGES_AT_ONCE]
            )
            where = f"({' or '.join(parts)}) and {self._below()}"
            yield from self.lines([self.signed_key(), self.cursor_number()], where)

    def signed_key(self) -> str:
        """The key as a signed integer of 64 bits."""
        return self.key

    def answering(self, answer: Generator[T]) -> Generator[T]:
        """Note which answer the connection is busy with."""
        self._answer = answer
        return answer

    def give_up(self) -> None:
        """Give up an answer that was not read to its end, so that the connection is free."""
        if self._answer is not None:
            self._answer.close()

    def _batches(self, where: str) -> Iterator[Batch]:
        for rows in self.stream(self.converter.layout.columns, where):
            yield self.converter.batch(rows)

    def _below(self) -> str:
        """Not held: the loader leaves those rows for a later night."""
        if self.cursor is None:
            return "true"
        return f"({self.cursor} < {self.end} or {self.cursor} is null)"

    def _named_below(self) -> str:
        return f"not coalesce({self.nameless}, true) and {self._below()}"

    def _window(self, window: Window) -> str:
        cursor = self.cursor
        if cursor is None:
            return "true"
        if window.start is None:
            return f"({self._below()} or {self.nameless})"
        start = self.moment(window.start)
        inside = f"{cursor} >= {start}"
        if window.after is not None:
            inside = (
                f"({cursor} > {start} or ({cursor} = {start} and {self.key} > {int(window.after)}))"
            )
        return (
            f"(({inside} and {cursor} < {self.end}) or {cursor} is null"
            f" or {cursor} < {self.moment(FLOOR)} or {self.nameless})"
        )


def numbers(rows: Iterable[Sequence[Any]]) -> bytes:
    """Rows of numbers in COPY's text format."""
    return b"".join(b"\t".join(row) + b"\n" for row in rows)


def fetch_rows(width: int) -> int:
    """How many rows to take at once, by their greatest width in bytes."""
    return max(1, min(limits.BATCH_ROWS, 8 * limits.BATCH_BYTES // max(width, 1)))
