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

The loader has filled three temporary tables: ``amato_stage`` (the rows), ``amato_held``
(keys to leave alone) and ``amato_rejected``.
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

    inserted: int
    updated: int
    deleted: int
    unchanged: int


class Merge:
    """The statements for one table and night; every one runs in the loader's transaction."""

    def __init__(self, conn: psycopg.Connection[Any], spec: TableSpec, night: Night) -> None:
        """Prepare the names that the statements share."""
        self.conn = conn
        self.spec = spec
        self.night = night
        self.parts: dict[str, sql.Composable] = {
            "raw": raw_table(spec),
            "key": sql.Identifier(spec.key.name),
            "key_type": sql.SQL(spec.key.type),
            "columns": column_list(spec),
            "as_of": sql.Literal(night.as_of),
            "batch_id": sql.Literal(night.batch_id),
        }

    def run(self, statement: str, **more: sql.Composable) -> psycopg.Cursor[Any]:
        """Run one statement of this module with the table's names filled in."""
        return self.conn.execute(sql.SQL(statement).format(**self.parts, **more))

    def create_staging(self) -> None:
        """Make the three temporary tables; they vanish with the transaction."""
        columns = sql.SQL(", ").join(
            sql.SQL("{} {}").format(sql.Identifier(column.name), sql.SQL(column.type))
            for column in self.spec.all_columns
        )
        self.run(
            "create temp table amato_stage ({definition}, _extra jsonb) on commit drop",
            definition=columns,
        )
        self.run("create temp table amato_held (key {key_type}) on commit drop")
        self.run(
            "create temp table amato_rejected (source_key text, key {key_type}, reason text,"
            " payload bytea) on commit drop"
        )

    def reject_repeated_keys(self) -> int:
        """Move all rows of keys that occur more than once out of the stage; returns how many.

        Which of them is the right one cannot be known: the version that is live stays.
        """
        found = self.run(
            """
            insert into amato_rejected
            select {key}::text, {key}, format('repeated key: %s rows', count(*)),
                   convert_to(jsonb_agg(to_jsonb(s) order by to_jsonb(s)::text)::text, 'UTF8')
            from amato_stage as s
            where {key} in (select {key} from amato_stage group by {key} having count(*) > 1)
            group by {key}
            """
        )
        if found.rowcount == 0:
            return 0
        return self.run(
            "delete from amato_stage where {key} in (select key from amato_rejected)"
        ).rowcount

    def apply(self) -> Changes:
        """Bring the raw table to the staged state."""
        self.run("insert into amato_held select key from amato_rejected where key is not null")
        self.run("analyze amato_stage")
        self._plan()
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
        return self._count()

    def _plan(self) -> None:
        """Compare, and note for each key that differs what has to be done."""
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
                    coalesce(s.{key}, o.{key}, n.{key}) as key,
                    s.{key} is not null as staged,
                    n.{key} is not null as has_new,
                    coalesce(o.is_open, false) as old_open,
                    coalesce(not o.is_open, false) as old_closed,
                    s.{key} is not null and o.{key} is not null and {same_old} as same_old,
                    s.{key} is not null and n.{key} is not null and {same_new} as same_new
                from amato_stage as s
                full join old as o on o.{key} = s.{key}
                full join new as n on n.{key} = coalesce(s.{key}, o.{key})
            ),
            judged as (
                select c.*, not c.staged and h.key is not null as held
                from compared as c
                left join (select distinct key from amato_held) as h on h.key = c.key
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
                from judged
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

    def live_and_same(self) -> tuple[int, int]:
        """How many versions are live, and how many staged rows equal theirs."""
        row = self.run(
            """
            select
                (select count(*) from {raw} where _valid_to is null),
                (select count(*) from amato_stage as s join {raw} as l on l.{key} = s.{key}
                 where l._valid_to is null and {same})
            """,
            same=self._same("l"),
        ).fetchone()
        assert row is not None
        return int(row[0]), int(row[1])

    def record_rejected(self) -> None:
        """Open a row in ``elt.rejected_rows`` for each rejected key; close what is mended.

        Mended is a key that loaded now, and one that the source has no more. An open row
        whose reason and payload are the same stays untouched.
        """
        names = {
            "system": sql.Literal(self.spec.system),
            "table": sql.Literal(self.spec.name),
        }
        self.run(
            """
            insert into elt.rejected_rows as r
                (source_system, source_table, source_key, reason, payload, first_as_of, batch_id)
            select distinct on (source_key)
                {system}, {table}, source_key, reason, payload, {as_of}, {batch_id}
            from amato_rejected
            order by source_key, payload
            on conflict (source_system, source_table, source_key) where resolved_at is null
            do update set reason = excluded.reason, payload = excluded.payload,
                batch_id = excluded.batch_id
            where (r.reason, r.payload) is distinct from (excluded.reason, excluded.payload)
            """,
            **names,
        )
        self.run(
            """
            update elt.rejected_rows as r set resolved_at = {as_of}
            where r.source_system = {system} and r.source_table = {table}
                and r.resolved_at is null
                and not exists (select from amato_rejected as x
                                where x.source_key = r.source_key)
                and not exists (select from amato_held as h where h.key::text = r.source_key)
            """,
            **names,
        )

    def record_watermark(self) -> None:
        """Note the highest cursor value read, and the highest key at it."""
        cursor = sql.Identifier(self.spec.cursor) if self.spec.cursor else sql.SQL("null::date")
        self.run(
            """
            insert into elt.watermarks
                (source_system, source_table, cursor_value, key_value, as_of, batch_id)
            select {system}, {table}, top.cursor_value, top.key_value, {as_of}, {batch_id}
            from (select) as one
            left join (
                select {cursor}::timestamp at time zone 'UTC' as cursor_value,
                    {key}::text as key_value
                from amato_stage
                where {cursor} is not null
                order by {cursor} desc, {key} desc
                limit 1
            ) as top on true
            on conflict (source_system, source_table) do update
            set cursor_value = excluded.cursor_value, key_value = excluded.key_value,
                as_of = excluded.as_of, batch_id = excluded.batch_id
            """,
            system=sql.Literal(self.spec.system),
            table=sql.Literal(self.spec.name),
            cursor=cursor,
        )
