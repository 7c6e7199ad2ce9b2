"""What a load leaves in the ``elt`` schema: watermark, rejected rows, its line in the log."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import psycopg
from psycopg import sql

from elt.digest import FLOOR
from elt.nights import Night
from elt.raw import raw_table
from elt.specs import TableSpec

Watermark = tuple[datetime, str]


def read_watermark(conn: psycopg.Connection[Any], spec: TableSpec) -> Watermark | None:
    """The last cursor value read and the last key at it; None where there is no usable one."""
    row = conn.execute(
        "select cursor_value, key_value from elt.watermarks"
        " where source_system = %s and source_table = %s and cursor_value >= %s",
        (spec.system, spec.name, FLOOR),
    ).fetchone()
    return None if row is None else (row[0], row[1])


@dataclass(frozen=True)
class LastLoad:
    """The load of a table before this one: its night, and how the source's columns were.

    ``columns`` is their fingerprint, None where the source declares none.
    """

    as_of: date
    differences: tuple[str, ...]
    columns: str | None


def last_load(conn: psycopg.Connection[Any], spec: TableSpec) -> LastLoad | None:
    """The newest line of the table's log; None where it was never loaded."""
    row = conn.execute(
        "select as_of, differences, source_columns from elt.load_log"
        " where source_system = %s and source_table = %s order by log_id desc limit 1",
        (spec.system, spec.name),
    ).fetchone()
    return None if row is None else LastLoad(row[0], tuple(row[1] or ()), row[2])


def highest(
    conn: psycopg.Connection[Any], spec: TableSpec, read: sql.Identifier
) -> Watermark | None:
    """The highest cursor value in ``read`` (the stage, or raw), and the highest key at it.

    Values before ``FLOOR`` say nothing: their rows are read every night.
    """
    if spec.cursor is None:
        return None
    row = conn.execute(
        sql.SQL(
            "select cursor::timestamp at time zone 'UTC', key::text from ("
            " select {cursor} as cursor, {key} as key from {read}"
            " where {cursor} >= {floor} order by 1 desc, 2 desc limit 1) as highest"
        ).format(
            cursor=sql.Identifier(spec.cursor),
            key=sql.Identifier(spec.key.name),
            read=read,
            floor=sql.Literal(FLOOR),
        )
    ).fetchone()
    return None if row is None else (row[0], row[1])


def move_watermark(
    conn: psycopg.Connection[Any], spec: TableSpec, night: Night, watermark: Watermark | None
) -> None:
    """Note how far the table was read."""
    conn.execute(
        """
        insert into elt.watermarks
            (source_system, source_table, cursor_value, key_value, as_of, batch_id)
        values (%s, %s, %s, %s, %s, %s)
        on conflict (source_system, source_table) do update
        set cursor_value = excluded.cursor_value, key_value = excluded.key_value,
            as_of = excluded.as_of, batch_id = excluded.batch_id
        """,
        (spec.system, spec.name, *(watermark or (None, None)), night.as_of, night.batch_id),
    )


def is_empty(conn: psycopg.Connection[Any], spec: TableSpec) -> bool:
    """Whether raw has no version of any row."""
    row = conn.execute(
        sql.SQL("select not exists (select from {})").format(raw_table(spec))
    ).fetchone()
    return bool(row and row[0])


def newly_rejected(conn: psycopg.Connection[Any], spec: TableSpec) -> int:
    """How many of the rejected keys were not rejected before."""
    row = conn.execute(
        "select count(distinct x.source_key) from amato_rejected as x where not exists ("
        " select from elt.rejected_rows as r where r.source_system = %s and r.source_table = %s"
        " and r.source_key = x.source_key and r.resolved_at is null)",
        (spec.system, spec.name),
    ).fetchone()
    return int(row[0]) if row else 0


def record_rejected(conn: psycopg.Connection[Any], spec: TableSpec, night: Night) -> None:
    """Open a row in ``elt.rejected_rows`` for each rejected key; close what is mended.

    Every open key was looked for in this load. Mended is one that loaded now, and one that
    the source has no more. An open row whose reason and payload are the same stays untouched.
    Of several rejected rows under one key the payloads are joined by line feeds.
    """
    names = {
        "system": sql.Literal(spec.system),
        "table": sql.Literal(spec.name),
        "as_of": sql.Literal(night.as_of),
        "batch_id": sql.Literal(night.batch_id),
    }
    conn.execute(
        sql.SQL(
            """
            insert into elt.rejected_rows as r
                (source_system, source_table, source_key, reason, payload, first_as_of, batch_id)
            select
                {system}, {table}, source_key, string_agg(distinct reason, '; '),
                string_agg(distinct payload, '\n'::bytea), {as_of}, {batch_id}
            from amato_rejected
            group by source_key
            on conflict (source_system, source_table, source_key) where resolved_at is null
            do update set reason = excluded.reason, payload = excluded.payload,
                batch_id = excluded.batch_id
            where (r.reason, r.payload) is distinct from (excluded.reason, excluded.payload)
            """
        ).format(**names)
    )
    conn.execute(
        sql.SQL(
            """
            update elt.rejected_rows as r set resolved_at = {as_of}
            where r.source_system = {system} and r.source_table = {table}
                and r.resolved_at is null
                and not exists (select from amato_rejected as x
                                where x.source_key = r.source_key)
                and not exists (select from amato_held as h where h.key::text = r.source_key)
            """
        ).format(**names)
    )
