r"""The text that both ``LOAD DATA`` and ``COPY`` read: tabs between values, ``\N`` for null.

A backslash, tab, line feed, carriage return or NUL within a value is escaped alike for both
servers (PostgreSQL refuses the NUL, as it must: it can hold none).
"""

from __future__ import annotations

import json
import re
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data_generators.sinks.arrays import data, joined, padded, pooled, replaced, texts
from data_generators.sinks.changes import overrides_by_column
from data_generators.tables.rows import MISSING, Array, Coded, Column, PlantedRows

NULL = r"\N"
ESCAPES = (("\\", r"\\"), ("\t", r"\t"), ("\n", r"\n"), ("\r", r"\r"), ("\0", r"\0"))
#: Scaling an amount by a power of ten is off by less than one half below this.
EXACT = 2.0**51


def encode_rows(planted: PlantedRows) -> memoryview:
    """The lines of all rows, extra ones last: row_id, then the columns as the spec has them.

    Raises:
        TypeError: a value of a type that SQL columns do not hold.
    """
    spec = planted.rows.spec
    lines = [
        _line([extra.key, *(extra.values[c.name] for c in spec.columns)], spec.all_columns)
        for extra in planted.extra
    ]
    if not len(planted.rows):
        return memoryview("".join(lines).encode())
    others = overrides_by_column(planted)
    parts = [pa.array(planted.keys).cast(pa.string())]
    for column in spec.columns:
        array = _encode_column(planted.rows.columns[column.name], column.type)
        at, values = others.get(column.name, ([], []))
        array = replaced(array, at, [_escaped(plain_text(v, column.type)) for v in values])
        parts.append(pc.fill_null(array, NULL))
    # The line feed belongs to the last value, so that the joined array is the text itself.
    parts[-1] = joined([parts[-1], pa.scalar("")], "\n")
    text = data(joined(parts, "\t"))
    return memoryview(bytes(text) + "".join(lines).encode()) if lines else text


def plain_text(value: Any, type_: str) -> str | None:
    """One value of a column of a PostgreSQL type as SQL reads it; None is null.

    Text is taken as it is in a column of any type, because dirty sources have such values
    (``0000-00-00``); in JSON columns it is a JSON string.

    Raises:
        TypeError: a value of a type that SQL columns do not hold.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or value is MISSING or value != value:
        return None
    if type_ == "jsonb":
        return json.dumps(value, sort_keys=True)
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, int | float):
        scale = _scale(type_)
        # By way of repr: 0.1 is meant, not the float's 0.1000000000000000055.
        return str(value) if scale is None else f"{Decimal(repr(value)):.{scale}f}"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{value!r} is no value of an SQL column")


def _line(values: list[Any], columns: tuple[Any, ...]) -> str:
    cells = (
        _escaped(plain_text(value, column.type))
        for value, column in zip(values, columns, strict=True)
    )
    return "\t".join(NULL if cell is None else cell for cell in cells) + "\n"


def _escaped(text: str | None) -> str | None:
    if text is not None:
        for raw, escape in ESCAPES:
            text = text.replace(raw, escape)
    return text


def _encode_column(column: Column, type_: str) -> Any:
    """The escaped texts of a column; null where the value is."""
    if isinstance(column, Coded):
        pool = [_escaped(plain_text(value, type_)) for value in column.pool]
        return pooled(column, pool, None, pa.string())
    kind = column.dtype.kind
    if kind == "S":
        return _escape_all(padded(column).cast(pa.string()))
    if kind == "O":
        array = None if type_ == "jsonb" else texts(column.tolist())
        if array is not None:
            return _escape_all(array)
        return pa.array([_escaped(plain_text(v, type_)) for v in column.tolist()], pa.string())
    if kind == "f":
        return _amounts(column, type_)
    if kind == "b":
        column = column.astype(np.int8)
    if kind in "iu" and (scale := _scale(type_)):
        return _decimals(column.astype(np.int64) * 10**scale, scale)
    return pa.array(column).cast(pa.string())


def _escape_all(array: Any) -> Any:
    """Escape where there is anything to escape, which is rare."""
    content = bytes(data(array)) if array.null_count < len(array) else b""
    for raw, escape in ESCAPES:
        if raw.encode() in content:
            array = pc.replace_substring(array, raw, escape)
    return array


def _scale(type_: str) -> int | None:
    """The decimals of a ``numeric(p,s)`` type; None for any other."""
    found = re.fullmatch(r"numeric\(\d+,(\d+)\)", type_)
    return None if found is None else int(found[1])


def _amounts(column: Array, type_: str) -> Any:
    """Floats in the decimals that the type has; NaN is null."""
    scale = _scale(type_)
    null = np.isnan(column)
    scaled = np.rint(np.where(null, 0.0, column) * 10.0 ** (scale or 0))
    if scale is None or (np.abs(scaled) >= EXACT).any():
        return pa.array([plain_text(value, type_) for value in column.tolist()], pa.string())
    array = _decimals(scaled.astype(np.int64), scale)
    return pc.if_else(pa.array(null), pa.scalar(None, pa.string()), array) if null.any() else array


def _decimals(scaled: Array, scale: int) -> Any:
    """Whole numbers of 10^-scale as text."""
    if scale == 0:
        return pa.array(scaled).cast(pa.string())
    words = np.stack([scaled, scaled >> 63], axis=1)  # the two halves of a decimal128
    array = pa.Array.from_buffers(
        pa.decimal128(38, scale), len(scaled), [None, pa.py_buffer(np.ascontiguousarray(words))]
    )
    return array.cast(pa.string())
