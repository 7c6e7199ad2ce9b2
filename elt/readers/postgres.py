"""Reads PostgreSQL tables: COPY out in one repeatable-read snapshot."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql

from elt import batch as limits
from elt.batch import Batch, Window, unescape
from elt.digest import Buckets, postgres_cursor
from elt.readers.rows import Row, chunks, is_utf8, require_table
from elt.readers.snapshot import SourceColumn
from elt.readers.sql import SqlSnapshot
from elt.specs import TableSpec
from elt.values import Kind

_INTS = {"int2": "smallint", "int4": "integer", "int8": "bigint"}
_KINDS: dict[str, Kind] = {
    **dict.fromkeys(_INTS, "int"),
    **dict.fromkeys(("float4", "float8"), "float"),
    "numeric": "decimal",
    "bool": "bool",
    **dict.fromkeys(("text", "varchar", "bpchar", "name", "citext"), "text"),
    "bytea": "bytes",
    "date": "date",
    **dict.fromkeys(("timestamp", "timestamptz"), "datetime"),
    **dict.fromkeys(("json", "jsonb"), "json"),
}
_RAW_TYPES: dict[Kind, str] = {
    "float": "double precision",
    "decimal": "numeric",
    "bool": "boolean",
    "text": "text",
    "bytes": "bytea",
    "date": "date",
    "datetime": "timestamptz",
    "json": "jsonb",
    "other": "text",
}
# Values are compared as text: it must not depend on how the server or the login is set up.
_SETTINGS = {
    "client_encoding": "UTF8",
    "timezone": "UTC",
    "datestyle": "ISO, YMD",
    "intervalstyle": "iso_8601",
    "extra_float_digits": "1",
    "bytea_output": "hex",
}


def extract(client: psycopg.Connection[Any], spec: TableSpec, window: Window) -> Iterator[Batch]:
    """Read a window of a table that is as its spec says.

    Raises:
        SourceError: the table is missing, or lacks its key.
    """
    with snapshot(client, spec, window.end) as opened:
        opened.use(spec)
        yield from opened.read(window)


@contextmanager
def snapshot(
    client: psycopg.Connection[Any], spec: TableSpec, end: datetime
) -> Iterator[PostgresSnapshot]:
    """Look at one table in a repeatable-read transaction.

    Raises:
        SourceError: the table is missing, or lacks its key.
    """
    with client.transaction():
        client.execute("set transaction isolation level repeatable read, read only")
        _keep(client, spec)
        for name, value in _SETTINGS.items():
            client.execute("select set_config(%s, %s, true)", (name, value))
        columns = _columns(client, spec)
        info = client.info
        require_table(
            spec, columns, f"PostgreSQL database {info.dbname!r} at {info.host}:{info.port}"
        )
        opened = PostgresSnapshot(client, spec, end, columns)
        try:
            yield opened
        finally:
            opened.give_up()


class PostgresSnapshot(SqlSnapshot):
    """One table in the connection's transaction.

    "only" is left out on purpose: the rows of partitions and children belong to the table.
    """

    def __init__(
        self,
        client: psycopg.Connection[Any],
        spec: TableSpec,
        end: datetime,
        columns: Sequence[SourceColumn],
    ) -> None:
        """Look at ``columns``, which the source has, up to the bound ``end``."""
        super().__init__(spec, end, columns)
        self.client = client

    def quote(self, name: str) -> str:
        """A quoted identifier."""
        return sql.Identifier(name).as_string(None)

    def moment(self, value: datetime) -> str:
        """A moment, whatever the session's zone."""
        return f"'{value.isoformat()}'::timestamptz"

    def cursor_number(self) -> str:
        """Microseconds since the year 0."""
        return postgres_cursor(self.cursor)

    def signed_key(self) -> str:
        """The key in 64 bits, also where its column is narrower."""
        return f"{self.key}::bigint"

    def bucket(self, buckets: Buckets) -> str:
        """Integer division, cut towards zero."""
        return f"{self.signed_key()} / {buckets.width}"

    def ask(self, query: str) -> list[Any]:
        """The rows of a short answer."""
        return self.client.execute(query.encode()).fetchall()

    def _batches(self, where: str) -> Iterator[Batch]:
        """Rows that need no treatment pass as the source's COPY wrote them.

        The server marks the others: see :meth:`_needs_treatment`. A chunk with one of them is
        taken apart.
        """
        layout = self.converter.layout
        if not layout.plain or any(column.raw_type == "numeric" for column in layout.columns):
            yield from super()._batches(where)
            return
        names = [self.quote(column.name) for column in layout.columns]
        mark = f"case when {self._needs_treatment(layout.columns)} then 1 end"
        for data in self._chunks(", ".join([*names, mark]), where):
            rows = data.count(b"\n")
            if data.count(b"\t\\N\n") == rows and len(data) <= limits.ROW_BYTES and is_utf8(data):
                yield Batch(rows, data)
                continue
            lines = data[:-1].split(b"\n")
            yield self.converter.batch(
                [tuple(map(unescape, line.split(b"\t")[:-1])) for line in lines]
            )

    def _needs_treatment(self, columns: Sequence[SourceColumn]) -> str:
        """The condition that a value of a plain layout is none that raw can hold as it is.

        Beside bytes that are no text, which no condition finds, there are a null key, numbers
        that are none, and times before the year 1 or after 9999, infinite ones too.
        """
        conditions = [f"{self.key} is null"]
        for column in columns:
            name = self.quote(column.name)
            if column.kind == "decimal":
                conditions.append(f"{name} = 'NaN'")
            elif column.kind in ("date", "datetime"):
                conditions.append(f"{name} < '0001-01-01' or {name} >= '10000-01-01'")
        return " or ".join(conditions)

    def stream(self, columns: Sequence[SourceColumn], where: str) -> Iterator[Sequence[Row]]:
        """Rows as COPY sends them."""
        yield from chunks(self._rows(columns, where))

    def lines(self, columns: Sequence[str], where: str) -> Iterator[bytes]:
        """Rows of numbers."""
        yield from self._blocks(", ".join(columns), where)

    def _rows(self, columns: Sequence[SourceColumn], where: str) -> Iterator[Row]:
        byte_places = [place for place, column in enumerate(columns) if column.kind == "bytes"]
        selected = ", ".join(self.quote(column.name) for column in columns)
        for block in self._blocks(selected, where):
            for line in block[:-1].split(b"\n"):
                values = [unescape(field) for field in line.split(b"\t")]
                for place in byte_places:
                    values[place] = _unhex(values[place])
                yield tuple(values)

    def _chunks(self, selected: str, where: str) -> Iterator[bytes]:
        """Lines in chunks of bounded size."""
        lines: list[bytes] = []
        size = 0
        for block in self._blocks(selected, where):
            lines.append(block)
            size += len(block)
            if len(lines) >= limits.BATCH_ROWS or size >= limits.BATCH_BYTES:
                yield b"".join(lines)
                lines, size = [], 0
        if lines:
            yield b"".join(lines)

    def _blocks(self, selected: str, where: str) -> Iterator[bytes]:
        return self.answering(self._copied(selected, where))

    def _copied(self, selected: str, where: str) -> Generator[bytes]:
        """Whole lines, however the server cuts its messages."""
        query = f"copy (select {selected} from {self.table} where {where}) to stdout"
        with self.client.cursor() as cursor, cursor.copy(query.encode()) as copy:
            pending = b""
            for block in copy:
                pending += bytes(block)
                if pending.endswith(b"\n"):
                    yield pending
                    pending = b""


def _keep(client: psycopg.Connection[Any], spec: TableSpec) -> None:
    """Keep the table from being emptied or rewritten; a snapshot taken before shows no rows then.

    Its first query is what takes the snapshot: this comes before it. What cannot be locked (a
    foreign table) is read as it is, and what is missing is named later.
    """
    unlockable = (psycopg.errors.UndefinedTable, psycopg.errors.WrongObjectType)
    with suppress(*unlockable), client.transaction():
        name = sql.Identifier(spec.name)
        client.execute(sql.SQL("lock table {} in access share mode").format(name))


def _columns(client: psycopg.Connection[Any], spec: TableSpec) -> list[SourceColumn]:
    rows = client.execute(
        """
        select
            a.attname, coalesce(base.typname, t.typname), coalesce(base.typtype, t.typtype),
            not a.attnotnull, case when a.atttypmod >= 4 then a.atttypmod else t.typtypmod end
        from pg_attribute a
        join pg_type t on t.oid = a.atttypid
        left join pg_type base on base.oid = nullif(t.typbasetype, 0)
        where a.attrelid = to_regclass(quote_ident(%s)) and a.attnum > 0 and not a.attisdropped
        order by a.attnum
        """,
        (spec.name,),
    ).fetchall()
    return [_column(*row) for row in rows]


def _column(name: str, type_: str, class_: str, nullable: bool, modifier: int) -> SourceColumn:
    kind: Kind = "text" if class_ == "e" else _KINDS.get(type_, "other")
    raw_type = _INTS[type_] if kind == "int" else _RAW_TYPES[kind]
    if kind == "decimal" and modifier >= 4:
        precision, scale = (modifier - 4) >> 16, (modifier - 4) & 0x7FF
        if scale <= precision:
            raw_type = f"numeric({precision},{scale})"
    return SourceColumn(name, kind, raw_type, nullable)


def _unhex(value: bytes | None) -> bytes | None:
    return None if value is None else bytes.fromhex(value[2:].decode())
