"""Compares what the source has with what is live in raw, and finds what differs.

Both servers add up the pairs of key and cursor in each bucket of keys. Where a bucket's
digests differ, its pairs are fetched: keys that raw lacks or has with another cursor are
read by key, and keys that the source has no more are gone. This finds rows that were
committed behind the watermark, deletions, and every change that moved the cursor. A change
that left the cursor where it was is seen only by reading the row: within the lag, in tables
that are compared whole, or with ``full_refresh``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from elt.digest import (
    BUCKETS,
    Buckets,
    Digest,
    of_rows,
    pair_hash,
    postgres_cursor,
    total,
    unequal,
)
from elt.raw import raw_table
from elt.readers.snapshot import Snapshot
from elt.specs import TableSpec

# Which source keys of rejected rows are keys, and not the names of rows that have none.
_INTEGER_KEY = "^-?[0-9]{1,18}$"
_TEXT_KEY = "^(?!.*:sha256:[0-9a-f]{64}$)"
# A deletion of fewer rows is never too many, unless it leaves nothing.
FEW_ROWS = 50


class CountMismatchError(RuntimeError):
    """Rows were lost or doubled between the source and raw; nothing was changed."""


class TooManyDeletionsError(RuntimeError):
    """The source lost more rows than is plausible; nothing was changed."""


@dataclass(frozen=True)
class Proof:
    """Counts and order-independent checksums (hexadecimal) of the source and of live raw.

    Both are of (key, cursor) pairs below the night's bound, without rejected keys. ``live``
    are all live rows of raw, also those whose keys are held or rejected.
    """

    source_rows: int
    source_checksum: str
    raw_rows: int
    raw_checksum: str
    live: int


class Reconciliation:
    """One table's live rows against its source's; runs in the loader's transaction."""

    def __init__(
        self, conn: psycopg.Connection[Any], spec: TableSpec, *, with_cursor: bool
    ) -> None:
        """``with_cursor`` says that the source has the spec's cursor as a time."""
        self.conn = conn
        self.spec = spec
        cursor = spec.cursor if with_cursor else None
        quoted = None if cursor is None else "l." + sql.Identifier(cursor).as_string(None)
        key = "l." + sql.Identifier(spec.key.name).as_string(None)
        self.integer = spec.key.type != "text"
        self.parts: dict[str, sql.Composable] = {
            "raw": raw_table(spec),
            "key": sql.Identifier(spec.key.name),
            "number": sql.SQL(key if self.integer else f"hashtextextended({key}, 0)"),
            "cursor": sql.SQL(postgres_cursor(quoted)),
            "misfit": sql.SQL("l._extra ? {}").format(sql.Literal(cursor or "")),
        }
        self.different: list[int] = []
        self.source: Digest = {}
        self.raw: Digest = {}

    def run(self, statement: str, **more: sql.Composable) -> psycopg.Cursor[Any]:
        """Run one statement of this module with the table's names filled in."""
        return self.conn.execute(sql.SQL(statement).format(**self.parts, **more))

    def key_range(self) -> tuple[int | None, int | None]:
        """The lowest and highest integer key of raw."""
        if not self.integer:
            return None, None
        row = self.run("select min({key}), max({key}) from {raw}").fetchone()
        return row if row is not None else (None, None)

    def digest_raw(self, buckets: Buckets) -> None:
        """Add up what is live in raw."""
        self.buckets = buckets
        self.raw = self._digest(None)

    def compare(self, source: Digest) -> list[int]:
        """Compare the source's digest with raw's; returns the buckets that differ."""
        self.source = source
        self.different = unequal(source, self.raw)
        return self.different

    def fetch_pairs(self, snapshot: Snapshot) -> None:
        """Fetch the source's pairs of the buckets that differ."""
        with self.conn.cursor() as cursor, cursor.copy("copy amato_pairs from stdin") as copy:
            for lines in snapshot.pairs(self.buckets, self.different):
                copy.write(lines)
        self.run("create index on amato_pairs (key)")
        self.run("analyze amato_pairs")

    def find_open(self) -> int:
        """Fill ``amato_late`` with what former nights rejected and this one has not read."""
        return self.run(
            """
            insert into amato_late
            select distinct o.source_key::{key_type}
            from elt.rejected_rows as o
            where o.source_system = {system} and o.source_table = {table}
                and o.resolved_at is null and o.source_key ~ {pattern}
                and not exists (select from amato_rejected as x where x.source_key = o.source_key)
                and o.source_key::{key_type} not in (
                    select {key} from amato_stage union all select key from amato_held
                )
            """,
            key_type=sql.SQL(self.spec.key.type),
            system=sql.Literal(self.spec.system),
            table=sql.Literal(self.spec.name),
            pattern=sql.Literal(_INTEGER_KEY if self.integer else _TEXT_KEY),
        ).rowcount

    def find_late(self) -> int:
        """Fill ``amato_late`` with the keys that differ and were not read; returns how many."""
        return self.run(
            """
            insert into amato_late
            select p.key from amato_pairs as p
            left join ({live}) as l on l.key = p.key
            where (l.key is null or l.cursor <> p.cursor)
                and not exists (select from amato_done as d where d.key = p.key)
                and not exists (select from amato_rejected as x where x.key = p.key)
            """,
            live=self._live(self.different),
        ).rowcount

    def find_gone(self) -> int:
        """Fill ``amato_gone`` with the live keys that the source has no more."""
        return self.run(
            """
            insert into amato_gone
            select l.key from ({live}) as l
            where not exists (select from amato_pairs as p where p.key = l.key)
            """,
            live=self._live(self.different),
        ).rowcount

    def check_deletions(self, gone: int, held: int, *, allowed: bool) -> None:
        """Refuse a deletion that is more likely a source's failure.

        Raises:
            TooManyDeletionsError: the source is empty, or lost more than the spec's share.
        """
        live = total(self.raw)[0]
        emptied = gone > 0 and not held and total(self.source)[0] == 0
        share = self.spec.max_deleted
        if allowed or not (emptied or (gone > FEW_ROWS and gone > live * share)):
            return
        what = "the source is empty" if emptied else "too much of the source is gone"
        raise TooManyDeletionsError(
            f"{self.spec.raw_name}: {what}: {gone} of {live} live rows would be deleted, and the "
            f"limit is {share:.0%}; nothing was changed: put the source right, or run this again "
            "with allow_deletes if the rows were really deleted"
        )

    def prove(self) -> Proof:
        """Compare again where the digests differed, pair by pair, after all was merged.

        Of rejected rows raw can only have an older version; a cursor that raw cannot hold is
        in the row's ``_extra``.

        Raises:
            CountMismatchError: a row is missing in raw, too many, or has another cursor.
        """
        before = total({k: v for k, v in self.raw.items() if k not in set(self.different)})
        source, raw = before, before
        if self.different:
            row = self.run(
                """
                select count(*) from amato_pairs as p
                full join ({live}) as l on l.key = p.key
                where (l.key is null or p.key is null
                       or (l.cursor <> p.cursor and not (l.cursor = 0 and l.misfit)))
                    and coalesce(p.key, l.key) not in (
                        select key from amato_rejected where key is not null
                    )
                """,
                live=self._live(self.different),
            ).fetchone()
            if row is not None and row[0]:
                raise CountMismatchError(
                    f"{self.spec.raw_name}: {row[0]} keys differ between the source and raw after "
                    "the load; nothing was changed: run the task again"
                )
            raw_part = total(self._digest(self.different))
            source_part = total(self._pairs_digest())
            source = (before[0] + source_part[0], before[1] ^ source_part[1])
            raw = (before[0] + raw_part[0], before[1] ^ raw_part[1])
        if source != raw:
            raise CountMismatchError(
                f"{self.spec.raw_name}: the source has {source[0]} rows with checksum "
                f"{source[1]:016x}, raw {raw[0]} with {raw[1]:016x}; nothing was changed: run the "
                "task again"
            )
        waiting = self._number(
            "select count(*) from {raw} where _valid_to is null"
            " and {key} in (select key from amato_held)"
        )
        return Proof(source[0], f"{source[1]:016x}", raw[0], f"{raw[1]:016x}", raw[0] + waiting)

    def _digest(self, wanted: Sequence[int] | None) -> Digest:
        together = self.buckets.width is None
        return of_rows(
            self.run(
                "select {bucket}, count(*), bit_xor({hash}) from ({live} {once}) as l {group}",
                bucket=sql.SQL("0" if together else "l.bucket"),
                hash=self._hash("l"),
                live=self._live(wanted),
                # A text's hash is costly and used twice; "offset" keeps it from being repeated.
                once=sql.SQL("" if self.integer else "offset 0"),
                group=sql.SQL("having count(*) > 0" if together else "group by 1"),
            ).fetchall()
        )

    def _pairs_digest(self) -> Digest:
        """The digest of the fetched pairs; where raw cannot hold a cursor, without it."""
        number = "p.key" if self.integer else "hashtextextended(p.key, 0)"
        return of_rows(
            self.run(
                """
                select 0, count(*), bit_xor({hash}) from (
                    select {pair_number} as number, case when l.misfit and l.cursor = 0 then 0
                        else p.cursor end as cursor
                    from amato_pairs as p
                    join ({live}) as l on l.key = p.key
                    where p.key not in (select key from amato_rejected where key is not null)
                    offset 0
                ) as q
                having count(*) > 0
                """,
                pair_number=sql.SQL(number),
                hash=self._hash("q"),
                live=self._live(self.different),
            ).fetchall()
        )

    def _live(self, wanted: Sequence[int] | None) -> sql.Composed:
        """Live rows that are not held: key, number, bucket, cursor, misfit."""
        bucket = self._bucket()
        conditions = [sql.SQL("l._valid_to is null").format()]
        if self._any_held():
            held = "not exists (select from amato_held as h where h.key = l.{key})"
            conditions.append(sql.SQL(held).format(**self.parts))
        if wanted is not None:
            chosen = sql.Literal(list(wanted))
            conditions.append(sql.SQL("{} = any({}::bigint[])").format(bucket, chosen))
        return sql.SQL(
            "select l.{key} as key, {number} as number, {bucket} as bucket, {cursor} as cursor,"
            " {misfit} as misfit from {raw} as l where {conditions}"
        ).format(**self.parts, bucket=bucket, conditions=sql.SQL(" and ").join(conditions))

    def _bucket(self) -> sql.Composable:
        number, width = self.parts["number"], self.buckets.width
        if width is None:
            return sql.SQL("0")
        if width == 0:
            return sql.SQL("{} & {}").format(number, sql.Literal(BUCKETS - 1))
        return sql.SQL("{} / {}").format(number, sql.Literal(width))

    def _hash(self, alias: str) -> sql.SQL:
        return sql.SQL(pair_hash(f"{alias}.number", f"{alias}.cursor"))

    def _any_held(self) -> bool:
        return bool(self._number("select count(*) from (select from amato_held limit 1) as h"))

    def _number(self, statement: str) -> int:
        row = self.run(statement).fetchone()
        return int(row[0]) if row is not None else 0
