"""The comparison of one table's staged rows with its versions, in SQL.

For each key let *p* be the version that was live before this night (its ``_valid_to`` is
null, or this night where an earlier attempt of the night closed it) and *t* the version
that an earlier attempt of this night began. What the table must look like afterwards
follows from *p* and the source alone, so that repeating a night changes nothing:

===========================  ===========================================
the source has               afterwards
===========================  ===========================================
a row equal to p             p open, no t
another row                  p closed, t is that row
no row                       p closed, no t
a row that is held           as it was (p reopened where nothing is live)
===========================  ===========================================

Only the keys in ``amato_stage``, ``amato_gone`` and ``amato_held`` are looked at: of all
others reconciliation shows that the live version is the source's row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from elt.nights import Night
from elt.raw import column_list, raw_table
from elt.specs import TableSpec


@dataclass(frozen=True)
class Changes:
    """What a merge did, in rows of the source (``deleted``: in live versions)."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    unchanged: int = 0

    def __add__(self, other: Changes) -> Changes:
        return Changes(
            self.inserted + other.inserted,
            self.updated + other.updated,
            self.deleted + other.deleted,
            self.unchanged + other.unchanged,
        )


class Merge:
    """The statements for one table and night; every one runs in the loader's transaction."""

    def __init__(self, conn: psycopg.Connection[Any], spec: TableSpec, night: Night) -> None:
        """Prepare the names that the statements share."""
        self.conn = conn
        self.spec = spec
        self.parts: dict[str, sql.Composable] = {
            "raw": raw_table(spec),
            "key": sql.Identifier(spec.key.name),
            "columns": column_list(spec),
            "as_of": sql.Literal(night.as_of),
            "batch_id": sql.Literal(night.batch_id),
        }

    def run(self, statement: str, **more: sql.Composable) -> psycopg.Cursor[Any]:
        """Run one statement of this module with the table's names filled in."""
        return self.conn.execute(sql.SQL(statement).format(**self.parts, **more))

    def apply(self) -> Changes:
        """Bring the raw table to the staged state, for the staged, gone and held keys."""
        self.run(
            "insert into amato_held select key from amato_rejected as x where key is not null"
            " and not exists (select from amato_held as h where h.key = x.key)"
        )
        self.run("analyze amato_stage ({key})")
        self._plan()
        self._remember()
        self.run(
            "delete from {raw} as r using amato_plan as p"
            " where p.delete_new and r.{key} = p.key and r._valid_from = {as_of}"
        )
        self.run(
            "update {raw} as r set _valid_to = {as_of} from amato_plan as p"
            " where p.close_old and r.{key} = p.key and r._valid_to is null"
            " and r._valid_from < {as_of}"
        )
        self.run(
            "update {raw} as r set _valid_to = null from amato_plan as p"
            " where p.open_old and r.{key} = p.key and r._valid_to = {as_of}"
        )
        self._write_new()
        changes = self._count()
        self.run("drop table amato_plan, amato_touched")
        return changes

    def _remember(self) -> None:
        """Note which versions of this night the first merge of a load writes, and takes away."""
        self.run(
            "create temp table if not exists amato_written on commit drop as"
            " select key from amato_plan where insert_new or replace_new"
        )
        self.run(
            "create temp table if not exists amato_former on commit drop as"
            " select r.* from {raw} as r join amato_plan as p on p.key = r.{key}"
            " where r._valid_from = {as_of} and (p.delete_new or p.replace_new)"
        )

    def take_back(self) -> None:
        """Take back what was merged of keys that are in ``amato_late`` again.

        They repeat in the source, which the window did not show. The version that an earlier
        attempt of this night began is live again; where there was none, the next :meth:`apply`
        reopens the one that was live before this night, as the key is rejected then.
        """
        self.run(
            "delete from {raw} as r using amato_late as l, amato_written as w"
            " where l.key = r.{key} and w.key = r.{key} and r._valid_from = {as_of}"
        )
        self.run(
            "update {raw} as r set _valid_to = {as_of} from amato_former as f"
            " where r.{key} = f.{key} and f.{key} in (select key from amato_late)"
            " and r._valid_to is null"
        )
        self.run(
            "insert into {raw} select * from amato_former"
            " where {key} in (select key from amato_late)"
        )

    def _plan(self) -> None:
        """Compare, and note for each key that differs what has to be done."""
        # A held key needs a hand only where an earlier attempt of this night closed it.
        self.run(
            """
            create temp table amato_touched on commit drop as
            select {key} as key, true as staged, false as held from amato_stage
            union all
            select key, false, false from amato_gone
            union all
            select distinct h.key, false, true
            from amato_held as h
            join {raw} as r on r.{key} = h.key and r._valid_to = {as_of}
            where not exists (select from amato_stage as s where s.{key} = h.key)
            """
        )
        self.run("analyze amato_touched")
        self.run(
            """
            create temp table amato_plan on commit drop as
            with
            old as (
                select *, _valid_to is null as is_open from {raw}
                where _valid_from < {as_of} and (_valid_to is null or _valid_to = {as_of})
            ),
            new as (select * from {raw} where _valid_from = {as_of}),
            compared as (
                select
                    t.key,
                    t.staged,
                    t.held,
                    n.{key} is not null as has_new,
                    coalesce(o.is_open, false) as old_open,
                    coalesce(not o.is_open, false) as old_closed,
                    t.staged and o.{key} is not null and {same_old} as same_old,
                    t.staged and n.{key} is not null and {same_new} as same_new
                from amato_touched as t
                left join amato_stage as s on s.{key} = t.key
                left join old as o on o.{key} = t.key
                left join new as n on n.{key} = t.key
            ),
            planned as (
                select
                    key,
                    staged,
                    has_new or old_open as was_live,
                    has_new and not held and (same_old or not staged) as delete_new,
                    old_open and not held and not same_old as close_old,
                    old_closed and (same_old or (held and not has_new)) as open_old,
                    staged and not same_old and has_new and not same_new as replace_new,
                    staged and not same_old and not has_new as insert_new
                from compared
            )
            select * from planned
            where delete_new or close_old or open_old or replace_new or insert_new
            """,
            same_old=self._same("o"),
            same_new=self._same("n"),
        )
        self.run("analyze amato_plan")

    def _same(self, version: str) -> sql.Composable:
        """The condition that a version equals the staged row, to the last digit.

        As jsonb 1 equals 1.0 and as numeric too: jsonb is therefore compared as text.
        """
        texts = {column.name for column in self.spec.columns if column.type == "jsonb"}
        names = [*(column.name for column in self.spec.columns), "_extra"]
        return sql.SQL(" and ").join(
            sql.SQL("s.{name}{cast} is not distinct from {version}.{name}{cast}").format(
                name=sql.Identifier(name),
                cast=sql.SQL("::text" if name in texts or name == "_extra" else ""),
                version=sql.Identifier(version),
            )
            for name in names
        )

    def _write_new(self) -> None:
        names = [*(column.name for column in self.spec.columns), "_extra"]
        assignments = sql.SQL(", ").join(
            sql.SQL("{name} = s.{name}").format(name=sql.Identifier(name)) for name in names
        )
        self.run(
            """
            update {raw} as r set {assignments}, _batch_id = {batch_id}
            from amato_plan as p join amato_stage as s on s.{key} = p.key
            where p.replace_new and r.{key} = p.key and r._valid_from = {as_of}
            """,
            assignments=assignments,
        )
        self.run(
            """
            insert into {raw} ({columns}, _batch_id, _valid_from)
            select {staged}, {batch_id}, {as_of}
            from amato_stage as s join amato_plan as p on p.key = s.{key}
            where p.insert_new
            """,
            staged=column_list(self.spec, "s."),
        )

    def _count(self) -> Changes:
        row = self.run(
            """
            select
                count(*) filter (where staged and not was_live),
                count(*) filter (where staged and was_live),
                count(*) filter (where not staged and was_live),
                (select count(*) from amato_stage) - count(*) filter (where staged)
            from amato_plan
            """
        ).fetchone()
        assert row is not None
        return Changes(*map(int, row))

    def same(self) -> int:
        """How many staged rows equal the live version of their key."""
        row = self.run(
            "select count(*) from amato_stage as s join {raw} as l on l.{key} = s.{key}"
            " where l._valid_to is null and {same}",
            same=self._same("l"),
        ).fetchone()
        assert row is not None
        return int(row[0])
