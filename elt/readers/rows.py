"""What the SQL readers share: rows of raw bytes in, batches ready for COPY out."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import orjson

from elt import batch as limits
from elt.batch import Batch, Rejected, SourceError, escape, rejected
from elt.specs import Column, TableSpec
from elt.values import Fit, Kind, extended, fit_for, takes

log = logging.getLogger(__name__)

# One row as the server sent it, in the order of the layout's columns; then whether it is held.
Row = tuple[bytes | None, ...]


@dataclass(frozen=True)
class SourceColumn:
    """One column that the source has."""

    name: str
    kind: Kind


@dataclass(frozen=True)
class Layout:
    """How a source table's columns meet the spec's.

    ``columns`` is what to select, in order. ``declared`` has, for each column of the spec
    after the key, its place in the row and its test, or None where the source lacks it.
    """

    spec: TableSpec
    columns: tuple[SourceColumn, ...]
    key: int
    key_fit: Fit
    declared: tuple[tuple[int, Fit] | None, ...]
    undeclared: tuple[int, ...]
    cursor: SourceColumn | None

    @classmethod
    def of(cls, spec: TableSpec, columns: tuple[SourceColumn, ...], connection: str) -> Layout:
        """Compare the spec with the source, log the differences.

        Raises:
            SourceError: the table is missing, or lacks its key.
        """
        places = {column.name: place for place, column in enumerate(columns)}
        if not columns:
            raise SourceError(
                f"table {spec.name!r} is missing (or not readable) in {connection}: create it, or "
                f"correct the connection of the {spec.system} source"
            )
        if spec.key.name not in places:
            raise SourceError(
                f"table {spec.name!r} in {connection} has no column {spec.key.name!r}, which "
                "extraction keys on: add it as a generated primary key"
            )
        key = places[spec.key.name]
        _report(spec, columns, places)
        return cls(
            spec=spec,
            columns=columns,
            key=key,
            key_fit=fit_for(spec.key.type, columns[key].kind),
            declared=tuple(_place(column, columns, places) for column in spec.columns),
            undeclared=tuple(
                place
                for name, place in places.items()
                if name not in {column.name for column in spec.all_columns}
            ),
            cursor=_cursor(spec, columns, places),
        )


def batches(layout: Layout, rows: Iterable[Row], expected: int) -> Iterator[Batch]:
    """Turn rows (the layout's columns, then b"1" where the row is held) into batches.

    A batch ends at ``BATCH_ROWS`` rows or, with its last row, at ``BATCH_BYTES``.
    """
    builder = _Builder(layout)
    yield Batch(0, b"", expected=expected)
    for row in rows:
        builder.add(row)
        if builder.full:
            yield builder.take()
    yield builder.take()


class _Builder:
    """The batch that is being filled."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._clear()

    def _clear(self) -> None:
        self.lines: list[bytes] = []
        self.held: list[str] = []
        self.rejected: list[Rejected] = []
        self.count = 0
        self.size = 0

    @property
    def full(self) -> bool:
        return self.count >= limits.BATCH_ROWS or self.size >= limits.BATCH_BYTES

    def take(self) -> Batch:
        data = b"\n".join([*self.lines, b""])
        batch = Batch(len(self.lines), data, tuple(self.held), tuple(self.rejected))
        self._clear()
        return batch

    def add(self, row: Row) -> None:
        layout = self.layout
        self.count += 1
        size = sum(len(value) for value in row if value is not None)
        self.size += size
        key = row[layout.key]
        fitted = None if key is None else layout.key_fit(key)
        if key is None or fitted is None or len(fitted) > limits.KEY_BYTES:
            reason = "null key" if key is None else f"key does not fit {layout.spec.key.type}"
            name = None if key is None else key.decode("utf-8", "backslashreplace")
            entry = rejected(name, reason, self._payload(row))
            self.rejected.append(Rejected(entry.source_key, None, reason, entry.payload))
        elif row[-1] == b"1":
            self.held.append(key.decode())
        elif size > limits.ROW_BYTES:
            reason = f"row of {size} bytes is over the limit of {limits.ROW_BYTES}"
            self.rejected.append(rejected(key.decode(), reason, self._payload(row)))
        else:
            self.lines.append(self._line(fitted, row))

    def _line(self, key: bytes, row: Row) -> bytes:
        layout = self.layout
        extra = {
            layout.columns[place].name: extended(value, layout.columns[place].kind)
            for place in layout.undeclared
            if (value := row[place]) is not None
        }
        fields = [key]
        for place_and_fit in layout.declared:
            if place_and_fit is None:
                fields.append(b"\\N")
                continue
            place, fit = place_and_fit
            value = row[place]
            if value is None:
                fields.append(b"\\N")
                continue
            fitted = fit(value)
            if fitted is None:
                column = layout.columns[place]
                extra[column.name] = extended(value, column.kind)
                fields.append(b"\\N")
            else:
                fields.append(fitted)
        fields.append(escape(orjson.dumps(extra)) if extra else b"\\N")
        return b"\t".join(fields)

    def _payload(self, row: Row) -> bytes:
        columns = self.layout.columns
        return orjson.dumps(
            {
                column.name: None if value is None else extended(value, column.kind)
                for column, value in zip(columns, row, strict=False)
            }
        )


def _place(
    column: Column, columns: tuple[SourceColumn, ...], places: dict[str, int]
) -> tuple[int, Fit] | None:
    place = places.get(column.name)
    return None if place is None else (place, fit_for(column.type, columns[place].kind))


def _cursor(
    spec: TableSpec, columns: tuple[SourceColumn, ...], places: dict[str, int]
) -> SourceColumn | None:
    if spec.cursor is None or spec.cursor not in places:
        return None
    column = columns[places[spec.cursor]]
    if column.kind in ("date", "datetime"):
        return column
    log.warning("%s: cursor %s is no time in the source: every row is read", spec.name, column.name)
    return None


def _report(spec: TableSpec, columns: tuple[SourceColumn, ...], places: dict[str, int]) -> None:
    declared = {column.name: column for column in spec.all_columns}
    for name in declared.keys() - places.keys():
        log.warning(
            "%s: declared column %s is missing in the source: read as null", spec.name, name
        )
    for column in columns:
        if column.name not in declared:
            log.warning("%s: undeclared column %s goes to _extra", spec.name, column.name)
        elif not takes(declared[column.name].type, column.kind):
            log.warning(
                "%s: column %s is %s in the source, %s in raw: its values go to _extra",
                spec.name,
                column.name,
                column.kind,
                declared[column.name].type,
            )
