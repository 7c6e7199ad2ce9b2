"""Measures the tables that the suites watch, and says what their own history leads to expect.

A suite names its tables under ``meta.tables``. Of each, the figures of the night go to
``quality.table_figures``, with bounds learnt from nights that were published; the suites only
compare the two. Tables with a clock are measured twice: as a whole, and by the rows that came last,
which all of its history would hide. The bounds' SQL is in ``gate_history``, ``gate_recent`` and
``gate_drift``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

from dags.stages.gate_drift import BINS, DRIFT
from dags.stages.gate_history import (
    BOUNDS,
    LEARNING_NIGHTS,
    LONGEST_HISTORY,
    PROFILED_ROWS,
    VANISHED,
)
from dags.stages.gate_recent import NEW_QUARANTINED, RECENT_BOUNDS, RECENT_WINDOW

if TYPE_CHECKING:
    from psycopg import Connection, sql

NUMBERS = {"smallint", "integer", "bigint", "numeric", "real", "double precision"}


@dataclass(frozen=True)
class WatchedTable:
    """A table as its suite declares it.

    ``where`` limits it to the rows of the night; ``clock`` is the expression of its newest
    moment; ``columns`` asks for the figures of every column, ``categories`` for the shares of
    the values of some; ``drift`` lists columns to compare with the training window's.
    With both a clock and columns, the newest rows are measured too, and with them the share that
    meets each condition of ``recent``, by its name. ``source`` is the system and the table whose
    rows cleanup sorts into this one and the quarantine.
    """

    table: str
    key: tuple[str, ...] = ()
    where: str = "true"
    clock: str | None = None
    columns: bool = False
    categories: tuple[str, ...] = ()
    drift: tuple[str, ...] = ()
    recent: Mapping[str, str] = field(default_factory=dict)
    source: tuple[str, ...] = ()

    @classmethod
    def from_meta(cls, meta: Mapping[str, Any]) -> WatchedTable:
        """The table as the suite's file has it."""
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in meta.items()
        }
        return cls(**values)


@dataclass(frozen=True)
class Standing:
    """What is known of one table on a night.

    ``error`` says why it could not be measured; ``ever_held_rows`` whether any night, this one
    included, found rows; ``nights`` maps a figure to how many nights its bounds were learnt
    from, the first and the last of them.
    """

    rows: int | None
    error: str | None
    ever_held_rows: bool
    nights: Mapping[str, tuple[int, date | None, date | None]]


def measure(
    conn: Connection[Any], as_of: date, tables: Sequence[WatchedTable]
) -> dict[str, Standing]:
    """Write the night's figures and their bounds, in place of those it had.

    A table that cannot be read has no figures; its standing says why.
    """
    import psycopg

    errors: dict[str, str] = {}
    figures: list[Figure] = []
    ever: dict[str, bool] = {}
    for watched in tables:
        try:
            with conn.transaction():
                found, held = _figures_of(conn, watched)
                figures += found
                ever[watched.table] = held
        except psycopg.OperationalError:
            raise
        except psycopg.Error as error:
            errors[watched.table] = str(error).splitlines()[0]
    with conn.transaction(), conn.cursor() as cursor:
        # What was just written has no statistics: guessed at, it would be joined row by row.
        cursor.execute("set local enable_nestloop = off")
        cursor.execute("delete from quality.table_figures where as_of = %s", (as_of,))
        statement = "copy quality.table_figures (as_of, table_name, figure, column_name, value)"
        with cursor.copy(f"{statement} from stdin".encode()) as copy:
            for row in figures:
                copy.write_row((as_of, *row))
        parameters = {
            "as_of": as_of,
            "least": LEARNING_NIGHTS,
            "longest": LONGEST_HISTORY,
            "profiled": PROFILED_ROWS,
        }
        cursor.execute(VANISHED.encode(), parameters)
        cursor.execute(BOUNDS.encode(), parameters)
        cursor.execute(RECENT_BOUNDS.encode(), parameters)
        cursor.execute("delete from quality.feature_bins where as_of = %s", (as_of,))
        for watched in tables:
            if watched.drift and watched.table not in errors:
                cursor.execute(_drift_query(BINS, watched), parameters)
                cursor.execute(_drift_query(DRIFT, watched), parameters)
    return _standing(conn, as_of, tables, errors, ever)


def _drift_query(text: str, watched: WatchedTable) -> sql.Composed:
    """One of the statements on the columns whose drift is followed."""
    from psycopg import sql

    pairs = [
        sql.SQL("({}, {}::double precision)").format(sql.Literal(name), sql.Identifier(name))
        for name in watched.drift
    ]
    return sql.SQL(text).format(
        table=sql.Identifier(*watched.table.split(".")),
        name=sql.Literal(watched.table),
        where=sql.SQL(watched.where),
        values=sql.SQL(", ").join(pairs),
    )


Figure = tuple[str, str, str, float | None]


def _figures_of(conn: Connection[Any], watched: WatchedTable) -> tuple[list[Figure], bool]:
    """The figures of one table, and whether it holds any row, also of other nights."""
    from psycopg import sql

    where = sql.SQL(watched.where)  # from a suite's file
    columns = _columns(conn, watched) if watched.columns else {}
    wanted = [
        sql.SQL("count(*)"),
        sql.SQL("exists (select from {})").format(_table(watched)),
        sql.SQL(
            "extract(epoch from quality.night()::timestamp - max(({}))::timestamp) / 3600"
        ).format(sql.SQL(watched.clock or "null::date")),
    ]
    (rows, held, age), profile = _measured(conn, watched, where, wanted, columns)
    figures: list[Figure] = [(watched.table, "rows", "", rows)]
    if watched.clock:
        figures.append((watched.table, "age_hours", "", age))
    figures += [
        (watched.table, figure, name, value)
        for figure, name, value in profile
        if rows >= PROFILED_ROWS or figure == "nulls"
    ]
    if rows >= PROFILED_ROWS:
        figures += _shares(conn, watched, where, rows, "share")
        if watched.clock and watched.columns:
            figures += _recent_figures(conn, watched, columns)
    if watched.source:
        system, source = watched.source
        statement = sql.SQL(NEW_QUARANTINED).format(
            system=sql.Literal(system),
            source=sql.Literal(source),
            quarantine=sql.Identifier("quality", f"quarantine_{source}"),
        )
        found = conn.execute(statement).fetchall()
        figures += [(watched.table, *figure) for figure in found]
    return figures, bool(held)


def _recent_figures(
    conn: Connection[Any], watched: WatchedTable, columns: Mapping[str, str | None]
) -> list[Figure]:
    """The figures of the rows that came last: none where there are too few."""
    from psycopg import sql

    every, clock = sql.SQL(watched.where), sql.SQL(watched.clock or "")
    row = conn.execute(
        sql.SQL(RECENT_WINDOW).format(table=_table(watched), where=every, clock=clock)
    ).fetchone()
    if row is None:
        return []
    days, window = row
    where = sql.SQL("({}) and {c} >= quality.night() - {d} and {c} < quality.night()").format(
        every, c=clock, d=sql.Literal(days)
    )
    wanted: list[sql.Composable] = [sql.SQL("count(*)")]
    wanted += [
        sql.SQL("avg(({})::integer)").format(sql.SQL(condition))
        for condition in watched.recent.values()
    ]
    (rows, *shares), profile = _measured(conn, watched, where, wanted, columns)
    return [
        (watched.table, "recent_rows", window, rows),
        *(
            (watched.table, f"recent_{name}", "", share)
            for name, share in zip(watched.recent, shares, strict=True)
        ),
        *((watched.table, f"recent_{figure}", name, value) for figure, name, value in profile),
        *_shares(conn, watched, where, rows, "recent_share"),
    ]


def _table(watched: WatchedTable) -> sql.Identifier:
    from psycopg import sql

    return sql.Identifier(*watched.table.split("."))


def _measured(
    conn: Connection[Any],
    watched: WatchedTable,
    where: sql.Composable,
    wanted: Sequence[sql.Composable],
    columns: Mapping[str, str | None],
) -> tuple[list[Any], list[tuple[str, str, float | None]]]:
    """What is wanted of the rows, their number first, and the figures of every column.

    Columns of no rows have no figures.
    """
    from psycopg import sql

    terms = list(wanted)
    for name, number in columns.items():
        column = sql.Identifier(name)
        terms.append(sql.SQL("count({})").format(column))
        if number:
            value = sql.SQL(number).format(column)
            terms.append(sql.SQL("avg({})").format(value))
            terms.append(sql.SQL("stddev_pop({})").format(value))
    row = conn.execute(
        sql.SQL("select {} from {} where {}").format(
            sql.SQL(", ").join(terms), _table(watched), where
        )
    ).fetchone()
    assert row is not None
    values = iter(row[len(wanted) :])
    profile: list[tuple[str, str, float | None]] = []
    if row[0]:
        for name, number in columns.items():
            profile.append(("nulls", name, 1 - next(values) / row[0]))
            if number:
                profile.append(("mean", name, next(values)))
                profile.append(("stddev", name, next(values)))
    return list(row[: len(wanted)]), profile


def _shares(
    conn: Connection[Any], watched: WatchedTable, where: sql.Composable, rows: int, figure: str
) -> list[Figure]:
    """The share of each value of each category among so many rows."""
    from psycopg import sql

    figures: list[Figure] = []
    for name in watched.categories:
        counts = conn.execute(
            sql.SQL("select {c}::text, count(*) from {t} where {w} group by 1").format(
                c=sql.Identifier(name), t=_table(watched), w=where
            )
        ).fetchall()
        figures += [(watched.table, figure, f"{name}={value}", n / rows) for value, n in counts]
    return figures


def _columns(conn: Connection[Any], watched: WatchedTable) -> dict[str, str | None]:
    """The columns to measure; with each, how to make a number of it, or None."""
    rows = conn.execute(
        "select attname, format_type(atttypid, null) from pg_attribute"
        " where attrelid = %s::regclass and attnum > 0 and not attisdropped order by attnum",
        (watched.table,),
    ).fetchall()
    kinds: dict[str, str | None] = {}
    for name, kind in rows:
        if name not in (*watched.key, "as_of"):
            number = "{}::double precision" if kind in NUMBERS else None
            kinds[name] = "{}::integer" if kind == "boolean" else number
    return kinds


def _standing(
    conn: Connection[Any],
    as_of: date,
    tables: Iterable[WatchedTable],
    errors: Mapping[str, str],
    ever: Mapping[str, bool],
) -> dict[str, Standing]:
    """What the night's figures say of each table."""
    rows = dict(
        conn.execute(
            "select table_name, value::bigint from quality.table_figures"
            " where as_of = %s and figure = 'rows'",
            (as_of,),
        ).fetchall()
    )
    held = {
        name
        for (name,) in conn.execute(
            "select distinct table_name from quality.table_figures"
            " where as_of <= %s and figure = 'rows' and value > 0",
            (as_of,),
        ).fetchall()
    }
    learnt: dict[str, dict[str, tuple[int, date | None, date | None]]] = {}
    for name, figure, nights, first, last in conn.execute(
        "select table_name, figure, max(nights), min(learnt_from), max(learnt_until)"
        " from quality.table_figures where as_of = %s group by 1, 2",
        (as_of,),
    ).fetchall():
        learnt.setdefault(name, {})[figure] = (nights, first, last)
    return {
        watched.table: Standing(
            rows=rows.get(watched.table),
            error=errors.get(watched.table),
            ever_held_rows=ever.get(watched.table, False) or watched.table in held,
            nights=learnt.get(watched.table, {}),
        )
        for watched in tables
    }
