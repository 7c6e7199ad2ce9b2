"""BSON documents made column by column; equal, byte for byte, to what ``bson.encode`` gives.

A document is its length (int32), its elements and a NUL; an element is a type byte, the
field's name, a NUL and the value (https://bsonspec.org/spec.html). Fields of a fixed width are
laid side by side in one matrix of bytes; a column of few values is encoded once a value.
"""

from __future__ import annotations

from typing import Any

import bson
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from data_generators.sinks.arrays import (
    byte_rows,
    fixed,
    joined,
    padded,
    pooled,
    replaced,
    texts,
)
from data_generators.sinks.changes import overrides_by_column
from data_generators.tables.rows import (
    MISSING,
    Array,
    Coded,
    Column,
    ExtraRow,
    PlantedRows,
    RawText,
)

DOUBLE, STRING, OBJECT_ID, BOOLEAN, DATE, NULL, INT32, INT64 = (
    bytes([code]) for code in (0x01, 0x02, 0x07, 0x08, 0x09, 0x0A, 0x10, 0x12)
)
INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1

Bytes = npt.NDArray[np.uint8]
#: A run of whole fields: n x w bytes, or a binary array where widths differ.
Part = Any


def encode_documents(planted: PlantedRows) -> Any:
    """A binary array of one document for each row, extra ones last; ``_id`` comes first."""
    names = [column.name for column in planted.rows.spec.columns]
    extra = pa.array([_extra_document(names, row) for row in planted.extra], pa.binary())
    if not len(planted.rows):
        return extra
    size = len(planted.rows)
    parts = _field("_id", OBJECT_ID, byte_rows(planted.keys), size)
    others = overrides_by_column(planted)
    for name in names:
        fields = _fields(name, planted.rows.columns[name])
        if name in others:
            at, values = others[name]
            fields = [_replaced(fields, at, [encode_field(name, value) for value in values])]
        parts += fields
    made = _documents([*parts, _constant(b"\0", size)])
    return pa.concat_arrays([made, extra]) if len(extra) else made


def encode_field(name: str, value: Any) -> bytes:
    """One field as it stands in a document: nothing at all for `MISSING`."""
    if value is MISSING:
        return b""
    if isinstance(value, RawText):
        return STRING + name.encode() + b"\0" + _size(len(value) + 1) + bytes(value) + b"\0"
    if isinstance(value, np.generic):
        value = value.item()
    return bytes(bson.encode({name: value})[4:-1])


def _extra_document(names: list[str], row: ExtraRow) -> bytes:
    fields = [encode_field(name, row.values[name]) for name in names]
    content = b"".join([encode_field("_id", row.key), *fields, b"\0"])
    return _size(len(content) + 4) + content


def _size(size: int) -> bytes:
    return size.to_bytes(4, "little")


def _replaced(fields: list[Part], at: list[int], values: list[bytes]) -> Part:
    return replaced(joined([_binary(part) for part in _merged(fields)], b""), at, values)


def _documents(parts: list[Part]) -> Any:
    """Documents of the parts of their content, the last NUL included."""
    merged = _merged(parts)
    lengths = np.full(len(merged[0]), 4, dtype=np.int32)
    for part in merged:
        if isinstance(part, np.ndarray):
            lengths += np.int32(part.shape[1])
        else:
            lengths += pc.binary_length(part).to_numpy()
    return joined([_binary(part) for part in _merged([byte_rows(lengths), *merged])], b"")


def _merged(parts: list[Part]) -> list[Part]:
    """The parts, with matrices that follow each other put side by side."""
    merged: list[Part] = []
    run: list[Bytes] = []
    for part in parts:
        if isinstance(part, np.ndarray):
            run.append(part)
            continue
        if run:
            merged.append(np.hstack(run))
            run = []
        merged.append(part)
    return [*merged, np.hstack(run)] if run else merged


def _binary(part: Part) -> Any:
    return fixed(part) if isinstance(part, np.ndarray) else part


def _constant(content: bytes, size: int) -> Bytes:
    return np.broadcast_to(np.frombuffer(content, dtype=np.uint8), (size, len(content)))


def _field(name: str, code: bytes, values: Bytes, size: int) -> list[Part]:
    """A field of fixed width that no row lacks."""
    return [_constant(code + name.encode() + b"\0", size), values]


def _fields(name: str, column: Column) -> list[Part]:
    """One field of all rows, as parts."""
    size = len(column)
    if isinstance(column, Coded):
        pool = [encode_field(name, value) for value in column.pool]
        return [pooled(column, pool, encode_field(name, None), pa.binary())]
    match column.dtype.kind:
        case "S":
            return _string_field(name, padded(column))
        case "O":
            array = texts(column.tolist())
            if array is not None:
                return _string_field(name, array.cast(pa.binary()))
            return [pa.array([encode_field(name, v) for v in column.tolist()], pa.binary())]
        case "b":
            return _field(name, BOOLEAN, byte_rows(column), size)
        case "f":
            found = _field(name, DOUBLE, byte_rows(column.astype("<f8")), size)
            return _nullable(name, found, np.isnan(column))
        case "M":
            milliseconds = column.astype("datetime64[ms]").astype("<i8")
            return _nullable(
                name, _field(name, DATE, byte_rows(milliseconds), size), np.isnat(column)
            )
        case "i" | "u":
            return _integer_field(name, column)
    raise TypeError(f"{name}: a column of {column.dtype} cannot be in a document")


def _integer_field(name: str, column: Array) -> list[Part]:
    """As ``bson`` has it: 32 bits where they suffice, else 64."""
    short = _field(name, INT32, byte_rows(column.astype("<i4")), len(column))
    wide = (column < INT32_MIN) | (column > INT32_MAX)
    if not wide.any():
        return short
    at = np.flatnonzero(wide)
    values = [encode_field(name, value) for value in column[at].tolist()]
    return [_replaced(short, at.tolist(), values)]


def _string_field(name: str, values: Any) -> list[Part]:
    """A text field of a binary array of UTF-8, whose nulls are null."""
    size = len(values)
    lengths = pc.fill_null(pc.binary_length(values), 0).to_numpy().astype("<i4") + np.int32(1)
    parts = [
        *_field(name, STRING, byte_rows(lengths), size),
        pc.fill_null(values, b""),
        _constant(b"\0", size),
    ]
    null = values.is_null().to_numpy(zero_copy_only=False)
    return _nullable(name, parts, null)


def _nullable(name: str, parts: list[Part], null: npt.NDArray[np.bool_]) -> list[Part]:
    """The field, but null in these rows."""
    if not null.any():
        return parts
    at = np.flatnonzero(null).tolist()
    return [_replaced(parts, at, [encode_field(name, None)] * len(at))]
