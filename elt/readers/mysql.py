"""Reads MySQL (or MariaDB) tables: unbuffered raw bytes in one consistent snapshot."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeAlias

from elt.batch import Batch, Window
from elt.digest import Buckets
from elt.readers.rows import Row, chunks, require_table
from elt.readers.snapshot import SourceColumn
from elt.readers.sql import SqlSnapshot, fetch_rows, numbers
from elt.specs import TableSpec
from elt.values import Kind

# An open MySQLdb.connections.Connection: its stubs leave half of its methods untyped.
Connection: TypeAlias = Any

PAIRS_AT_ONCE = 20_000
_ROW_LIMIT = 65_535

_INTS = {
    "tinyint": "smallint",
    "smallint": "smallint",
    "mediumint": "integer",
    "int": "integer",
    "bigint": "bigint",
    "year": "smallint",
    "bit": "bigint",
}
_UNSIGNED = {"smallint": "integer", "int": "bigint"}
_KINDS: dict[str, Kind] = {
    **dict.fromkeys(_INTS, "int"),
    **dict.fromkeys(("float", "double"), "float"),
    "decimal": "decimal",
    **dict.fromkeys(
        ("char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set"), "text"
    ),
    "date": "date",
    **dict.fromkeys(("datetime", "timestamp"), "datetime"),
    "json": "json",
    **dict.fromkeys(("time", "uuid", "inet4", "inet6"), "other"),
}
_RAW_TYPES: dict[Kind, str] = {
    "float": "double precision",
    "text": "text",
    "date": "date",
    "datetime": "timestamptz",
    "json": "jsonb",
    "bytes": "bytea",
    "other": "text",
}


def extract(client: Connection, spec: TableSpec, window: Window) -> Iterator[Batch]:
    """Read a window of a table that is as its spec says.

    Raises:
        SourceError: the table is missing, or lacks its key.
    """
    with snapshot(client, spec, window.end) as opened:
        opened.use(spec)
        yield from opened.read(window)


@contextmanager
def snapshot(client: Connection, spec: TableSpec, end: datetime) -> Iterator[MySQLSnapshot]:
    """Look at one table in a consistent snapshot.

    The connection's session settings (time zone, isolation level, result encoding) and
    any open transaction do not survive.

    Raises:
        SourceError: the table is missing, or lacks its key.
    """
    converter = client.converter
    try:
        client.rollback()
        client.set_character_set("utf8mb4")
        query(client, "set session time_zone = '+00:00'")
        query(client, "set session transaction isolation level repeatable read")
        # A lock on the definition, held until the snapshot ends, would need a read of the
        # table first; MySQL fails a read whose table was altered after the snapshot.
        query(client, "start transaction with consistent snapshot, read only")
        (name,) = query(client, "select database()")[0]
        described = query(
            client,
            "select column_name, data_type, column_type, is_nullable, numeric_precision,"
            " numeric_scale, concat_ws(' ', ordinal_position, column_type, quote(column_default),"
            # Moves when the table is altered: a column made anew may look as it was before.
            " generation_expression, (select create_time from information_schema.tables"
            " where table_schema = database() and table_name = %s)),"
            " character_octet_length from information_schema.columns"
            " where table_schema = database() and table_name = %s order by ordinal_position",
            spec.name,
            spec.name,
        )
        columns = [_column(*row[:7]) for row in described]
        require_table(spec, columns, f"MySQL database {name!r} at {client.get_host_info()}")
        opened = MySQLSnapshot(client, spec, end, columns, described)
        try:
            yield opened
        finally:
            opened.give_up()
    finally:
        client.converter = converter
        client.rollback()


class MySQLSnapshot(SqlSnapshot):
    """One table in the connection's transaction."""

    exact = True

    def __init__(
        self,
        client: Connection,
        spec: TableSpec,
        end: datetime,
        columns: Sequence[SourceColumn],
        described: Sequence[Sequence[Any]],
    ) -> None:
        """``described`` are the columns' rows of the information schema."""
        super().__init__(spec, end, columns)
        self.client = client
        self.types = {row[0]: row[1] for row in described}
        widths = [
            # Of some types (geometry, MySQL's json) the server names no limit.
            _ROW_LIMIT + 1 if row[7] is None else row[7]
            for column, row in zip(columns, described, strict=True)
            if column.kind in ("text", "json", "bytes")
        ]
        # Where columns have no useful limit, one row after the other.
        self.fetch = fetch_rows(sum(widths)) if max(widths, default=0) <= _ROW_LIMIT else 1

    def quote(self, name: str) -> str:
        """A quoted identifier."""
        return "`" + name.replace("`", "``") + "`"

    def moment(self, value: datetime) -> str:
        """The session's zone is UTC."""
        return f"'{value.astimezone(UTC).replace(tzinfo=None).isoformat(' ')}'"

    def cursor_number(self) -> str:
        """Microseconds since the year 0; a date that is none counts as something else."""
        if self.cursor is None:
            return "0"
        return (
            f"if({self.cursor} >= '1900-01-01', coalesce(to_seconds({self.cursor}) * 1000000"
            f" + microsecond({self.cursor}), 1), 0)"
        )

    def signed_key(self) -> str:
        """The key, also where its column is unsigned."""
        return f"cast({self.key} as signed)"

    def bucket(self, buckets: Buckets) -> str:
        """Integer division, cut towards zero."""
        return f"{self.signed_key()} div {buckets.width}"

    def ask(self, query_: str) -> list[Any]:
        """The rows of a short answer."""
        return query(self.client, query_)

    def stream(self, columns: Sequence[SourceColumn], where: str) -> Iterator[Sequence[Row]]:
        """Rows as the server sends them, fetched as it sends them."""
        expressions = [self._expression(column.name) for column in columns]
        answer = self.answering(self._chunks(expressions, where, self.fetch))
        if self.fetch > 1:
            yield from answer
        else:
            yield from chunks(row for rows in answer for row in rows)

    def lines(self, columns: Sequence[str], where: str) -> Iterator[bytes]:
        """Rows of numbers."""
        for rows in self.answering(self._chunks(columns, where, PAIRS_AT_ONCE)):
            yield numbers(rows)

    def _chunks(
        self, expressions: Sequence[str], where: str, count: int
    ) -> Generator[Sequence[Row]]:
        converter, self.client.converter = self.client.converter, {}
        try:
            select = f"select {', '.join(expressions)} from {self.table} where {where}"
            self.client.query(select.encode())
            result = self.client.use_result()
            try:
                while rows := result.fetch_row(count, 0):
                    yield rows
            finally:
                # What is left has to be drained before the connection can be used again.
                result.discard()
        finally:
            self.client.converter = converter

    def _expression(self, name: str) -> str:
        """Select a column so that nothing of its value is lost on the wire."""
        if self.types[name] == "bit":
            return f"{self.quote(name)} + 0"
        if self.types[name] == "float":
            # A float is sent with six digits; as a double it is sent with all.
            return f"{self.quote(name)} + 0e0"
        return self.quote(name)


def _column(
    name: str,
    type_: str,
    column_type: str,
    nullable: str,
    precision: int,
    scale: int,
    declared: str,
) -> SourceColumn:
    kind = _KINDS.get(type_, "bytes")
    if kind == "int":
        raw_type = _INTS[type_]
        if "unsigned" in column_type:
            raw_type = _UNSIGNED.get(type_, raw_type)
    elif kind == "decimal":
        raw_type = f"numeric({precision},{scale})"
    else:
        raw_type = _RAW_TYPES[kind]
    # Smaller ones have a wider raw type that holds them.
    unsigned = type_ == "bit" or (type_ == "bigint" and "unsigned" in column_type)
    return SourceColumn(name, kind, raw_type, nullable == "YES", unsigned, declared)


def query(client: Connection, statement: str, *params: str) -> list[Any]:
    """Run a short query."""
    cursor = client.cursor()
    try:
        cursor.execute(statement, params or None)
        return list(cursor.fetchall())
    finally:
        cursor.close()
