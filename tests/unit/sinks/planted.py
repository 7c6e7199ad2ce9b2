"""Hand-made planted rows, of a table that nobody has."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from data_generators.tables.rows import Column, ExtraRow, PlantedRows, Rows
from elt.specs import Column as Declared
from elt.specs import TableSpec

LATER = np.datetime64("2026-01-02", "s")
NEVER = np.datetime64("NaT", "s")


def table_spec(system: Any, columns: Sequence[tuple[str, str]]) -> TableSpec:
    """The spec of a table of these columns: (name, type)."""
    key = Declared("_id", "text") if system == "mongo" else Declared("row_id", "bigint")
    declared = tuple(Declared(*column) for column in columns)
    return TableSpec(system, "things", key, columns[0][0], None, "append", declared)


def planted_rows(
    spec: TableSpec,
    columns: dict[str, Column],
    overrides: dict[int, dict[str, Any]] | None = None,
    extra: Sequence[dict[str, Any]] = (),
    **times: Any,
) -> PlantedRows:
    """Rows of these columns, numbered from 0; extra rows have the keys after theirs."""
    size = len(next(iter(columns.values())))
    number = np.arange(size)
    made = times.get("made", np.full(size, LATER))
    rows = Rows(
        spec,
        number,
        columns,
        made,
        times.get("changed", made),
        times.get("deleted", np.full(size, NEVER)),
    )
    return PlantedRows(
        rows,
        keys(spec, number),
        overrides or {},
        [
            ExtraRow(key(spec, size + at), values, LATER, LATER, NEVER)
            for at, values in enumerate(extra)
        ],
        [],
    )


def keys(spec: TableSpec, number: Any) -> Any:
    """Row ids from 1 on, or raw ObjectIds, many of which end in a NUL."""
    if spec.system != "mongo":
        return number + 1
    return np.array([raw_object_id(int(n)) for n in number], dtype="S12")


def key(spec: TableSpec, number: int) -> Any:
    """The key of an extra row, as a plain value."""
    from bson import ObjectId

    return ObjectId(raw_object_id(number)) if spec.system == "mongo" else number + 1


def raw_object_id(number: int) -> bytes:
    """Twelve bytes."""
    return b"seconds" + (number * 64).to_bytes(5, "big")
