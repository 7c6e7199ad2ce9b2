"""Takes a source's batches into the warehouse: into the stage, or straight into an empty raw.

The temporary tables of a load, which vanish with its transaction:

- ``amato_stage``: the rows to merge; ``amato_done``: those that were merged before.
- ``amato_held``: keys that wait for a later night. ``amato_rejected``: rows that raw cannot
  hold, with their key where it is known.
- ``amato_gone``: keys that the source has no more. ``amato_pairs``, ``amato_late``: see
  :mod:`elt.reconcile`. ``amato_written``, ``amato_former``: see :mod:`elt.merge`.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from elt.batch import Batch, Rejected
from elt.raw import column_list, raw_table
from elt.specs import TableSpec

_SETTINGS = {
    "timezone": "UTC",
    "datestyle": "ISO, YMD",
    "work_mem": "64MB",
    # Enough to sort the keys of some million rows, when an index is built.
    "maintenance_work_mem": "256MB",
    # A night's rows are few beside the table's: look them up instead of reading all of it.
    "random_page_cost": "1.1",
    # Compiling these queries takes longer than it saves.
    "jit": "off",
}


@contextmanager
def _paused_collection() -> Iterator[None]:
    """Leave Python's search for reference cycles out: rows have none, and it costs a third."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@dataclass
class Staged:
    """What went into the warehouse: rows, rejected ones, and bytes of COPY data."""

    rows: int = 0
    rejected: int = 0
    bytes: int = 0
    expected: int | None = None


@dataclass
class Staging:
    """The way in for one table's rows; ``direct`` while raw itself is being filled."""

    conn: psycopg.Connection[Any]
    spec: TableSpec
    direct: bool = False
    staged: Staged = field(default_factory=Staged)

    def create(self) -> None:
        """Make the temporary tables."""
        for name, value in _SETTINGS.items():
            self.conn.execute("select set_config(%s, %s, true)", (name, value))
        self._create_stage()
        key_type = sql.SQL(self.spec.key.type)
        for statement in (
            "create temp table amato_done (key {}) on commit drop",
            "create temp table amato_held (key {}) on commit drop",
            "create temp table amato_gone (key {}) on commit drop",
            "create temp table amato_late (key {}) on commit drop",
            "create temp table amato_pairs (key {}, cursor bigint) on commit drop",
            "create temp table amato_rejected (source_key text, key {}, reason text,"
            " payload bytea) on commit drop",
        ):
            self.conn.execute(sql.SQL(statement).format(key_type))

    def _create_stage(self) -> None:
        columns = sql.SQL(", ").join(
            sql.SQL("{} {}").format(sql.Identifier(column.name), sql.SQL(column.type))
            for column in self.spec.all_columns
        )
        self.conn.execute(
            sql.SQL("create temp table amato_stage ({}, _extra jsonb) on commit drop").format(
                columns
            )
        )

    @property
    def target(self) -> sql.Identifier:
        """Where rows go."""
        return raw_table(self.spec) if self.direct else sql.Identifier("amato_stage")

    def hold(self, keys: Iterable[list[str]]) -> int:
        """Take in the keys that wait; returns how many."""
        count = 0
        with self.conn.cursor() as cursor, cursor.copy("copy amato_held from stdin") as copy:
            for block in keys:
                for key in block:
                    copy.write_row((key,))
                count += len(block)
        self.conn.execute("analyze amato_held")
        return count

    def take(self, batches: Iterable[Batch], read: TableSpec) -> None:
        """Take in batches, whose lines have ``read``'s columns, in one stream."""
        # Raw was truncated in this transaction: its rows can be written as they stay.
        copying = sql.SQL("copy {} ({}) from stdin with (encoding 'UTF8', freeze {})").format(
            self.target, column_list(read), sql.Literal(self.direct)
        )
        iterator = iter(batches)
        with _paused_collection():
            while (refused := self._copy(copying, iterator)) is not None:
                self._reject(refused)

    def _copy(self, copying: sql.Composed, batches: Iterator[Batch]) -> tuple[Rejected, ...] | None:
        """Send batches until one has rejected rows; returns those, and None at the end.

        They belong into another table, so that this stream has to end first.
        """
        refused: tuple[Rejected, ...] | None = None
        with self.conn.cursor() as cursor:
            with cursor.copy(copying) as copy:
                for batch in batches:
                    if batch.expected is not None:
                        self.staged.expected = batch.expected
                    if batch.rows:
                        copy.write(batch.data)
                        self.staged.bytes += len(batch.data)
                    if batch.rejected:
                        refused = batch.rejected
                        break
            self.staged.rows += cursor.rowcount
        return refused

    def _reject(self, entries: tuple[Rejected, ...]) -> None:
        with self.conn.cursor() as cursor, cursor.copy("copy amato_rejected from stdin") as out:
            for entry in entries:
                out.write_row((entry.source_key, entry.key, entry.reason, entry.payload))
        self.staged.rejected += len(entries)

    def take_back(self, fields: tuple[str, ...]) -> int:
        """Move the keys of rows with one of these fields in ``_extra`` to ``amato_late``."""
        for name in fields if not self.direct else ():
            column = next(column for column in self.spec.columns if column.name == name)
            self.conn.execute(
                sql.SQL("alter table amato_stage add column {} {}").format(
                    sql.Identifier(column.name), sql.SQL(column.type)
                )
            )
        moved = self.conn.execute(
            sql.SQL(
                "with back as (delete from {target} where _extra ?| {fields} returning {key})"
                " insert into amato_late select {key} from back"
            ).format(
                target=self.target,
                fields=sql.Literal(list(fields)),
                key=sql.Identifier(self.spec.key.name),
            )
        ).rowcount
        self.staged.rows -= moved
        return moved

    def reject_repeated_keys(self) -> int:
        """Move all rows of keys that occur more than once out of the way; returns how many.

        Another row of the key may have been rejected already, or wait. Which of them is the right
        one cannot be known: the version that is live stays.
        """
        parts = {"target": self.target, "key": sql.Identifier(self.spec.key.name)}
        private = sql.SQL("array['_batch_id', '_valid_from', '_valid_to']")
        found = self.conn.execute(
            sql.SQL(
                """
                insert into amato_rejected
                select {key}::text, {key},
                    format('repeated key: %s rows', count(*)) || case
                        when {key} in (select key from amato_rejected)
                            then ', and others that were rejected'
                        when {key} in (select key from amato_held)
                            then ', and others at or after the bound'
                        else ''
                    end,
                    convert_to(
                        jsonb_agg(to_jsonb(s) - {private} order by to_jsonb(s)::text)::text,
                        'UTF8'
                    )
                from {target} as s
                where {key} in (
                    select {key} from {target} group by {key} having count(*) > 1
                    union all select key from amato_rejected
                    union all select key from amato_held
                )
                group by {key}
                """
            ).format(**parts, private=private)
        )
        if found.rowcount == 0:
            return 0
        repeated = self.conn.execute(
            sql.SQL("delete from {target} where {key} in (select key from amato_rejected)").format(
                **parts
            )
        ).rowcount
        self.staged.rows -= repeated
        self.staged.rejected += repeated
        return repeated

    def next_stage(self) -> None:
        """Begin an empty stage; what was merged is remembered by its keys."""
        self.conn.execute(
            sql.SQL("insert into amato_done select {} from amato_stage").format(
                sql.Identifier(self.spec.key.name)
            )
        )
        self.conn.execute("drop table amato_stage")
        self._create_stage()
        self.staged = Staged()


class Filling(Staging):
    """Fills an empty raw table without a detour: no stage, and its key is built last.

    The table is locked until the commit; nobody can miss rows in it before. But rows that COPY
    wrote frozen are visible to every snapshot: a session whose snapshot is older than the load
    sees them from the commit on, without their line in ``elt.load_log``.
    """

    def begin(self, batch_id: int, as_of: Any) -> None:
        """Take the table's key away, and let COPY complete its rows."""
        self.direct = True
        table = raw_table(self.spec)
        rows = self.conn.execute(
            "select conname from pg_constraint where contype = 'p' and conrelid = to_regclass(%s)",
            (table.as_string(self.conn),),
        ).fetchall()
        # What was rolled back or deleted before takes no space, and COPY no detour.
        self.conn.execute(sql.SQL("truncate {}").format(table))
        for (name,) in rows:
            self._alter("drop constraint {}", sql.Identifier(name))
        self._alter("alter _batch_id set default {}", sql.Literal(batch_id))
        self._alter("alter _valid_from set default {}", sql.Literal(as_of))

    def finish(self) -> None:
        """Put the key back; rows whose keys repeat are rejected."""
        self._alter("alter _batch_id drop default")
        self._alter("alter _valid_from drop default")
        table = raw_table(self.spec)
        try:
            with self.conn.transaction():
                self._add_key()
        except psycopg.errors.UniqueViolation:
            self.reject_repeated_keys()
            self._add_key()
        if self._shares_keys():
            self.reject_repeated_keys()
        self.conn.execute(sql.SQL("analyze {}").format(table))
        self.direct = False

    def _shares_keys(self) -> bool:
        """Whether a key in raw is also one of a row that was rejected, or waits."""
        row = self.conn.execute(
            sql.SQL(
                "select exists (select from {raw} as r join amato_rejected as x on x.key = r.{key})"
                " or exists (select from {raw} as r join amato_held as h on h.key = r.{key})"
            ).format(raw=raw_table(self.spec), key=sql.Identifier(self.spec.key.name))
        ).fetchone()
        return bool(row and row[0])

    def _add_key(self) -> None:
        self._alter("add primary key ({}, _valid_from)", sql.Identifier(self.spec.key.name))

    def _alter(self, change: str, *parts: sql.Composable) -> None:
        self.conn.execute(
            sql.SQL("alter table {} ").format(raw_table(self.spec)) + sql.SQL(change).format(*parts)
        )
