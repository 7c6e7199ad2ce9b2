"""What the gate said of a night, for the reports that are made from it."""

from __future__ import annotations

from datetime import date

import psycopg


def night_mark(conn: psycopg.Connection, as_of: date) -> str | None:
    """Return what everything made from a night must say, or None where there is nothing.

    That is the warning with which the night was published, or who published it although the gate
    had stopped it, and why.
    """
    row = conn.execute(
        "select mark from quality.verdicts where as_of = %s and published", (as_of,)
    ).fetchone()
    return row[0] if row else None
