"""Keeps every row that failed an expectation, by its key, in ``quality.failing_rows``.

GX keeps 200 rows at most. Here the server itself looks for them, so that a million of them cost
no memory of ours. Nights older than ``KEPT_NIGHTS`` days are dropped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from psycopg import Connection, sql

KEPT_NIGHTS = 35
EXAMPLES = 5  # failing rows that a finding shows


def forget_rows(conn: Connection[Any], as_of: date) -> None:
    """Drop the failing rows of the night, and those of nights that are long over."""
    conn.execute(
        "delete from quality.failing_rows where as_of = %s or as_of < %s",
        (as_of, as_of - timedelta(days=KEPT_NIGHTS)),
    )


def keep_rows(
    conn: Connection[Any],
    as_of: date,
    suite: str,
    table: str,
    config: Mapping[str, Any],
    key: Sequence[str],
) -> list[dict[str, Any]]:
    """Write the rows that fail one expectation of the night; returns the first few.

    `config` is the expectation as GX reports it, `key` the columns that name a row of the table.
    """
    from psycopg import sql

    query = failing_rows_query(config, table, key)
    if query is None:
        return []
    name = config["meta"]["name"]
    conn.execute(
        sql.SQL(
            "insert into quality.failing_rows (as_of, suite, table_name, expectation, row_key)"
            " select {}, {}, {}, {}, to_json(failing) from ({}) as failing"
        ).format(
            *(sql.Literal(value) for value in (as_of, suite, table, name)),
            query,
        )
    )
    rows = conn.execute(
        "select row_key from quality.failing_rows"
        " where as_of = %s and suite = %s and table_name = %s and expectation = %s"
        " order by row_key::text limit %s",
        (as_of, suite, table, name, EXAMPLES),
    ).fetchall()
    return [row for (row,) in rows]


def failing_rows_query(
    config: Mapping[str, Any], table: str, key: Sequence[str]
) -> sql.Composed | None:
    """The query of the rows that fail, or None where an expectation is not about rows.

    Raises:
        ValueError: nobody has said yet which rows fail an expectation of this type.
    """
    from psycopg import sql

    kwargs = config["kwargs"]
    source = sql.Identifier(*table.split("."))
    if query := kwargs.get("unexpected_rows_query"):
        return sql.SQL(query.replace("{batch}", "{}")).format(*[source] * query.count("{batch}"))
    if config["type"] == "expect_table_columns_to_match_set":
        return None
    repeated = kwargs.get("column_list") or [kwargs["column"]]
    column = sql.Identifier(repeated[0])
    wanted = sql.SQL(", ").join(map(sql.Identifier, dict.fromkeys([*key, *repeated])))
    if config["type"] in (
        "expect_column_values_to_be_unique",
        "expect_compound_columns_to_be_unique",
    ):
        return sql.SQL(
            "select {wanted} from (select {wanted}, count(*) over (partition by {repeated})"
            " as copies from {source} where {column} is not null) as counted where copies > 1"
        ).format(
            wanted=wanted,
            repeated=sql.SQL(", ").join(map(sql.Identifier, repeated)),
            source=source,
            column=column,
        )
    return sql.SQL("select {} from {} where {}").format(
        wanted, source, _condition(config["type"], kwargs, column)
    )


def _condition(kind: str, kwargs: Mapping[str, Any], column: sql.Identifier) -> sql.Composed:
    """What is true of a row that fails."""
    from psycopg import sql

    if kind == "expect_column_values_to_not_be_null":
        return sql.SQL("{} is null").format(column)
    if kind == "expect_column_values_to_match_regex":
        return sql.SQL("{} !~ {}").format(column, sql.Literal(kwargs["regex"]))
    if kind == "expect_column_values_to_be_in_set":
        # Compared as text: a date of the suite is text, and the column is not.
        values = sql.SQL(", ").join(sql.Literal(str(value)) for value in kwargs["value_set"])
        return sql.SQL("{}::text not in ({})").format(column, values)
    if kind == "expect_column_values_to_be_between":
        bounds = [
            sql.SQL("{} {} {}").format(column, sql.SQL(sign), sql.Literal(kwargs[bound]))
            for bound, sign in (("min_value", "<"), ("max_value", ">"))
            if kwargs.get(bound) is not None
        ]
        return sql.SQL(" or ").join(bounds)
    raise ValueError(f"gate_rows does not know which rows fail {kind}")
