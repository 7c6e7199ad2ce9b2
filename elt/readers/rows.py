"""Turns rows of an SQL source, as raw bytes, into batches ready for COPY."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import orjson

from elt import batch as limits
from elt.batch import Batch, Rejected, SourceError, escape, rejected
from elt.readers.snapshot import SourceColumn
from elt.specs import TableSpec
from elt.values import Fit, extended, fit_for, holds, is_date

# One row as the server sent it, in the order of the layout's columns.
Row = tuple[bytes | None, ...]


@dataclass(frozen=True)
class Layout:
    """Which of a source's columns are read, in order, and how they meet the raw table's.

    ``columns`` begins with the key and the columns of the spec; what follows goes to
    ``_extra``. ``fits`` has a test for each column of the spec after the key. ``dates`` are
    the places of dates and times, which may be none of the calendar. ``plain`` says that
    beside these and the text itself no value can be in need of treatment.
    """

    spec: TableSpec
    columns: tuple[SourceColumn, ...]
    key_fit: Fit
    fits: tuple[Fit, ...]
    dates: tuple[int, ...]
    plain: bool

    @classmethod
    def of(cls, spec: TableSpec, columns: Sequence[SourceColumn]) -> Layout:
        """Lay out the source's columns as the spec, which names only columns that it has."""
        named = {column.name: column for column in columns}
        chosen = [named.pop(column.name) for column in spec.all_columns]
        return cls(
            spec=spec,
            columns=(*chosen, *named.values()),
            key_fit=fit_for(spec.key.type, chosen[0].kind),
            fits=tuple(
                fit_for(column.type, source.kind)
                for column, source in zip(spec.columns, chosen[1:], strict=True)
            ),
            dates=tuple(
                place for place, source in enumerate(chosen) if source.kind in ("date", "datetime")
            ),
            plain=not named
            and all(
                source.kind in ("int", "decimal", "text", "date", "datetime")
                and holds(column.type, source.raw_type)
                for column, source in zip(spec.all_columns, chosen, strict=True)
            ),
        )


class RowConverter:
    """Makes batches of rows: whole chunks at once where nothing in them needs treatment."""

    def __init__(self, layout: Layout, *, exact: bool) -> None:
        """``exact`` says that the server holds every value to its declared type."""
        self.layout = layout
        self.joins = exact and layout.plain

    def batch(self, rows: Sequence[Row]) -> Batch:
        """One batch of these rows."""
        data = self._joined(rows) if self.joins else None
        if data is not None:
            return Batch(len(rows), data)
        lines: list[bytes] = []
        refused: list[Rejected] = []
        for row in rows:
            self._add(row, lines, refused)
        return Batch(len(lines), b"\n".join([*lines, b""]), tuple(refused))

    def _joined(self, rows: Sequence[Row]) -> bytes | None:
        """The chunk as COPY text, or None where a value might need a closer look.

        Joining is all that a row costs here, and everything that could be wrong shows in
        the joined text: a separator or an escape too many, a NUL, bytes that are not UTF-8,
        a day that is none. Numbers cannot be: their columns hold the source's.
        """
        nulls = 0
        try:
            lines = [b"\t".join(row) for row in rows]  # type: ignore[arg-type]
        except TypeError:
            if any(row[0] is None for row in rows):
                return None
            nulls = sum(row.count(None) for row in rows)
            lines = [
                b"\t".join([b"\\N" if value is None else value for value in row]) for row in rows
            ]
        count = len(rows)
        data = b"\t\\N\n".join([*lines, b""])
        clean = (
            data.count(b"\\") == count + nulls
            and data.count(b"\t") == count * len(self.layout.columns)
            and data.count(b"\n") == count
            and b"\r" not in data
            and b"\0" not in data
            and len(data) <= limits.ROW_BYTES
        )
        return data if clean and is_utf8(data) and self._have_days(rows) else None

    def _have_days(self, rows: Sequence[Row]) -> bool:
        for place in self.layout.dates:
            days = {value[:10] for row in rows if (value := row[place]) is not None}
            if not all(map(is_date, days)):
                return False
        return True

    def _add(self, row: Row, lines: list[bytes], refused: list[Rejected]) -> None:
        key = row[0]
        fitted = None if key is None else self.layout.key_fit(key)
        size = sum(len(value) for value in row if value is not None)
        if key is None or fitted is None or len(fitted) > limits.KEY_BYTES:
            type_ = self.layout.spec.key.type
            reason = "null key" if key is None else f"key does not fit {type_}"
            name = None if key is None else key.decode("utf-8", "backslashreplace")
            entry = rejected(name, reason, self._payload(row))
            refused.append(Rejected(entry.source_key, None, reason, entry.payload))
        elif size > limits.ROW_BYTES:
            reason = f"row of {size} bytes is over the limit of {limits.ROW_BYTES}"
            refused.append(rejected(key.decode(), reason, self._payload(row)))
        else:
            lines.append(self._line(fitted, row))

    def _line(self, key: bytes, row: Row) -> bytes:
        columns = self.layout.columns
        fields = [key]
        extra = {}
        for place, fit in enumerate(self.layout.fits, 1):
            value = row[place]
            if value is None:
                fields.append(b"\\N")
                continue
            fitted = fit(value)
            if fitted is None:
                extra[columns[place].name] = extended(value, columns[place].kind)
                fields.append(b"\\N")
            else:
                fields.append(fitted)
        for place in range(len(fields), len(columns)):
            if (value := row[place]) is not None:
                extra[columns[place].name] = extended(value, columns[place].kind)
        fields.append(escape(orjson.dumps(extra)) if extra else b"\\N")
        return b"\t".join(fields)

    def _payload(self, row: Row) -> bytes:
        return orjson.dumps(
            {
                column.name: None if value is None else extended(value, column.kind)
                for column, value in zip(self.layout.columns, row, strict=True)
            }
        )


def chunks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Gather rows into chunks of ``BATCH_ROWS`` rows or, with the last row, ``BATCH_BYTES``."""
    chunk: list[Row] = []
    size = 0
    for row in rows:
        chunk.append(row)
        size += sum(len(value) for value in row if value is not None)
        if len(chunk) >= limits.BATCH_ROWS or size >= limits.BATCH_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def require_table(spec: TableSpec, columns: Sequence[SourceColumn], connection: str) -> None:
    """Check that the source has the table, with an integer key.

    Raises:
        SourceError: it has not.
    """
    if not columns:
        raise SourceError(
            f"table {spec.name!r} is missing (or not readable) in {connection}: create it, or "
            f"correct the connection of the {spec.system} source"
        )
    key = next((column for column in columns if column.name == spec.key.name), None)
    if key is None:
        raise SourceError(
            f"table {spec.name!r} in {connection} has no column {spec.key.name!r}, which "
            "extraction keys on: add it as a generated primary key"
        )
    if key.kind != "int":
        raise SourceError(
            f"table {spec.name!r} in {connection}: its key {key.name!r} is {key.kind}, and "
            "extraction needs an integer"
        )


def is_utf8(data: bytes) -> bool:
    """Whether the data is text."""
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
