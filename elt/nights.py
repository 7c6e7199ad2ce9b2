"""The nights: which ``as_of`` is being loaded, by which attempt, up to which bounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from elt.batch import Window
from elt.specs import SPECS, TableSpec


class OlderNightError(RuntimeError):
    """A newer night was opened before: raw only moves forward."""


class StaleBatchError(RuntimeError):
    """The night was opened again, or a newer one was, after this batch id was given out."""


class UnknownNightError(LookupError):
    """The night was never opened."""


@dataclass(frozen=True)
class Night:
    """One attempt at one night.

    ``bounds`` maps each raw table (``raw_mysql.customers``) to the moment, exclusive,
    up to which its cursor is read. It is fixed when the night is first opened.
    """

    as_of: date
    batch_id: int
    bounds: Mapping[str, datetime]

    def window(self, spec: TableSpec) -> Window:
        """What this night reads of one table."""
        return Window(end=self.bounds[spec.raw_name])

    def as_json(self) -> dict[str, Any]:
        """A JSON-ready form, for passing between tasks."""
        return {
            "as_of": self.as_of.isoformat(),
            "batch_id": self.batch_id,
            "bounds": {table: bound.isoformat() for table, bound in self.bounds.items()},
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Night:
        """The inverse of :meth:`as_json`."""
        return cls(
            as_of=date.fromisoformat(value["as_of"]),
            batch_id=int(value["batch_id"]),
            bounds={
                table: datetime.fromisoformat(bound) for table, bound in value["bounds"].items()
            },
        )


def open_night(conn: psycopg.Connection[Any], as_of: date) -> Night:
    """Open a night, or open it again: a new, higher batch id with the same bounds.

    Whoever still loads under the night's former batch id can no longer commit.

    Raises:
        OlderNightError: a newer night is already in ``elt.nights``.
    """
    upper = datetime.combine(as_of, time(), UTC)
    bounds = {spec.raw_name: upper for spec in SPECS}
    with conn.transaction():
        # Waits for loads that are about to commit (see fence), and keeps new ones out.
        conn.execute("lock table elt.nights in exclusive mode")
        newest = conn.execute("select max(as_of) from elt.nights").fetchone()
        if newest is not None and newest[0] is not None and newest[0] > as_of:
            raise OlderNightError(
                f"night {as_of} cannot be loaded: night {newest[0]} was opened before, and raw "
                f"only moves forward; use an as_of of {newest[0]} or later"
            )
        row = conn.execute(
            """
            insert into elt.nights as n (as_of, state, batch_id, bounds)
            values (%s, 'open', nextval('elt.batch_ids'), %s)
            on conflict (as_of) do update
            set state = 'open', batch_id = excluded.batch_id, closed_at = null,
                bounds = excluded.bounds || n.bounds
            returning as_of, batch_id, bounds
            """,
            (as_of, Jsonb({table: bound.isoformat() for table, bound in bounds.items()})),
        ).fetchone()
    assert row is not None
    return Night.from_json({"as_of": str(row[0]), "batch_id": row[1], "bounds": row[2]})


def close_night(conn: psycopg.Connection[Any], night: Night, state: str) -> None:
    """Record how the night ended, ``closed`` or ``failed``.

    Raises:
        StaleBatchError: the night was opened again since; its newer attempt closes it.
    """
    with conn.transaction():
        closed = conn.execute(
            "update elt.nights set state = %s, closed_at = clock_timestamp()"
            " where as_of = %s and batch_id = %s",
            (state, night.as_of, night.batch_id),
        )
        if closed.rowcount == 0:
            raise StaleBatchError(
                f"batch {night.batch_id} of night {night.as_of} was overtaken: the night was "
                "opened again, and its newer attempt closes it"
            )


def fence(conn: psycopg.Connection[Any], night: Night, *, hold: bool) -> None:
    """Check that no newer attempt has taken over since the night's batch id was given out.

    With ``hold``, :func:`open_night` waits from here until the transaction ends.

    Raises:
        StaleBatchError: a newer attempt has taken over.
    """
    if hold:
        conn.execute("lock table elt.nights in row share mode")
    row = conn.execute(
        "select as_of, batch_id from elt.nights order by batch_id desc limit 1"
    ).fetchone()
    if row is None or row != (night.as_of, night.batch_id):
        newest = "no night is open" if row is None else f"batch {row[1]} of night {row[0]} is newer"
        raise StaleBatchError(
            f"batch {night.batch_id} of night {night.as_of} was overtaken ({newest}); nothing was "
            "changed: let the newer attempt finish, or open the night again"
        )
