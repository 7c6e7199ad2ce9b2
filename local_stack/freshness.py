"""How fresh each raw table is, as the load log tells it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import psycopg


@dataclass(frozen=True)
class TableFreshness:
    """One raw table after its last load: the night, when it ended, live and rejected rows."""

    table: str
    as_of: date
    age: timedelta
    rows: int
    rejected: int
    watermark: datetime | None


def read_freshness(url: str) -> list[TableFreshness]:
    """Every table that was ever loaded, by name; none where the warehouse cannot tell."""
    try:
        with psycopg.connect(url, connect_timeout=3) as connection:
            rows = connection.execute(
                """
                select distinct on (l.source_system, l.source_table)
                    format('raw_%s.%s', l.source_system, l.source_table),
                    l.as_of,
                    clock_timestamp() - l.finished_at,
                    l.raw_live,
                    l.rejected,
                    w.cursor_value
                from elt.load_log as l
                left join elt.watermarks as w using (source_system, source_table)
                order by l.source_system, l.source_table, l.log_id desc
                """
            ).fetchall()
    except (psycopg.OperationalError, psycopg.errors.UndefinedTable):
        return []
    return [TableFreshness(*row) for row in rows]
