"""Ties a verdict to the marts that it judged: a dbt build that begins later makes it void."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from psycopg import Connection

# The SQL of the advisory lock that a dbt run holds alone, and that gates hold together.
BUILD_LOCK = "hashtextextended('amato.dbt', 0)"
# The layer under which a night that is over is written into the tables that keep every night.
PAST = "past"


def note_build(conn: Connection[Any], layer: str, as_of: date) -> None:
    """Record that a dbt run of a layer begins; the verdict on its night is void from then on."""
    with conn.transaction():
        conn.execute("insert into quality.builds (as_of, layer) values (%s, %s)", (as_of, layer))
        conn.execute("select quality.void_verdict(%s)", (as_of,))


def newest_build(conn: Connection[Any], as_of: date) -> int | None:
    """The number of the night's last dbt run, or None where none is on record."""
    row = conn.execute(
        "select max(build_id) from quality.builds where as_of = %s", (as_of,)
    ).fetchone()
    return row[0] if row else None


def written_when_over(conn: Connection[Any], as_of: date) -> bool:
    """Whether the night was built once more after it was over: the marts show a newer one."""
    row = conn.execute(
        "select from quality.builds where as_of = %s and layer = %s limit 1", (as_of, PAST)
    ).fetchone()
    return row is not None


def hold_builds(conn: Connection[Any]) -> None:
    """Wait for a dbt run to end, and let none begin while `conn` is open; other gates may."""
    conn.execute(f"select pg_advisory_lock_shared({BUILD_LOCK})".encode())
