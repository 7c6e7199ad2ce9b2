"""Accounts for every row of a night: all tables loaded, and read = loaded + rejected."""

from __future__ import annotations

from datetime import date
from typing import Any

import psycopg

from elt.nights import Night, OlderNightError, UnknownNightError
from elt.specs import SPECS


class UnaccountedRowsError(RuntimeError):
    """A table of the night was not loaded, or rows of it are neither loaded nor rejected."""


def check_night(conn: psycopg.Connection[Any], night: Night) -> dict[str, int]:
    """Check the conservation of rows over all tables of the night's batch.

    Returns:
        How many tables were loaded, and their rows read, inserted, updated, deleted and
        rejected, in all.

    Raises:
        UnaccountedRowsError: naming each table that was not loaded in this batch, or whose
            rows read are not its rows inserted, updated, unchanged and rejected.
    """
    rows = conn.execute(
        """
        select distinct on (source_system, source_table)
            source_system, source_table, read, inserted, updated, deleted, unchanged, rejected
        from elt.load_log
        where batch_id = %s
        order by source_system, source_table, log_id desc
        """,
        (night.batch_id,),
    ).fetchall()
    loaded = {(row[0], row[1]): row[2:] for row in rows}
    problems = [
        f"{spec.raw_name} was not loaded"
        for spec in SPECS
        if (spec.system, spec.name) not in loaded
    ]
    totals = dict.fromkeys(("tables", "read", "inserted", "updated", "deleted", "rejected"), 0)
    for (system, table), counts in loaded.items():
        read, inserted, updated, deleted, unchanged, rejected = counts
        kept = inserted + updated + unchanged
        if read != kept + rejected:
            problems.append(
                f"raw_{system}.{table}: {read} rows read, but {kept} loaded and {rejected} rejected"
            )
        totals["tables"] += 1
        for name, value in zip(
            ("read", "inserted", "updated", "deleted", "rejected"),
            (read, inserted, updated, deleted, rejected),
            strict=True,
        ):
            totals[name] += value
    if problems:
        raise UnaccountedRowsError(
            f"night {night.as_of}: {'; '.join(problems)}. Clear the load tasks of these tables."
        )
    return totals


def read_loads(conn: psycopg.Connection[Any], night: Night) -> dict[str, dict[str, Any]]:
    """What the night's batch did to each raw table, by its name, ready for JSON."""
    rows = conn.execute(
        """
        select distinct on (source_system, source_table)
            format('raw_%%s.%%s', source_system, source_table),
            to_jsonb(l) - '{log_id, source_system, source_table}'::text[] || jsonb_build_object(
                'written', inserted + updated,
                'rows_per_second', round((read / nullif(seconds, 0))::numeric)
            )
        from elt.load_log as l
        where batch_id = %s
        order by source_system, source_table, log_id desc
        """,
        (night.batch_id,),
    ).fetchall()
    return dict(rows)


def newest_night(conn: psycopg.Connection[Any]) -> date:
    """The newest night that was opened, which the marts show.

    Raises:
        UnknownNightError: none was.
    """
    row = conn.execute("select max(as_of) from elt.nights").fetchone()
    newest = row[0] if row else None
    if not isinstance(newest, date):
        raise UnknownNightError("no night was loaded yet: run extract_load, or nightly")
    return newest


def is_past(conn: psycopg.Connection[Any], as_of: date) -> bool:
    """Whether a night is over: a newer one was opened, which the marts show.

    Raises:
        UnknownNightError: there is a newer night, but none was opened for this as_of. What
            happened between two nights was loaded on the later one, so that raw can tell
            nothing of a day between them.
    """
    if newest_night(conn) <= as_of:
        return False
    row = conn.execute("select count(*) from elt.nights where as_of = %s", (as_of,)).fetchone()
    if row is None or not row[0]:
        raise UnknownNightError(
            f"night {as_of} was never loaded, and raw only moves forward: give a night that "
            "elt.nights has"
        )
    return True


def require_latest(conn: psycopg.Connection[Any], as_of: date) -> None:
    """Refuse a night that is not the newest: the marts show the newest night only.

    Raises:
        UnknownNightError: no night was opened for this as_of.
        OlderNightError: a newer night was opened.
    """
    newest = newest_night(conn)
    if newest < as_of:
        raise UnknownNightError(
            f"night {as_of} was not loaded; the latest is {newest}: give that one as as_of, or "
            "run extract_load for this one first"
        )
    if newest > as_of:
        raise OlderNightError(
            f"night {as_of} is over: the marts show {newest}, and are never turned back"
        )
