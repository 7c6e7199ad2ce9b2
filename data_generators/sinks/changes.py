"""Which of the planted rows a database needs, given what it holds already."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from data_generators.tables.rows import Array, ExtraRow, PlantedRows


@dataclass(frozen=True)
class Changes:
    """What to write of some rows of a table.

    ``new`` are rows that the database cannot hold yet, ``changed`` such as it holds with
    other content, ``gone`` the keys of rows that are deleted. ``present`` counts the rows that
    exist when all is done.
    """

    new: PlantedRows
    changed: PlantedRows
    gone: list[Any]
    present: int


def changes(planted: PlantedRows, since: np.datetime64 | None, until: np.datetime64) -> Changes:
    """Split rows by what has happened to them in ``[since, until)``.

    With ``since`` None the database is empty (or half written, which is the same to a sink
    that replaces what it finds): all rows that exist before ``until`` are new.
    """
    rows = planted.rows
    made, deleted = rows.made, rows.deleted
    here = (made < until) & ~(deleted < until)
    extra = [row for row in planted.extra if row.made < until]
    extra_here = [row for row in extra if not row.deleted < until]
    present = int(here.sum()) + len(extra_here)
    gone = planted.keys[deleted < until].tolist()
    extra_gone = [row for row in extra if row.deleted < until]
    if since is None:
        nothing = part(planted, np.zeros(len(rows), dtype=bool), [])
        gone += [row.key for row in extra_gone]
        return Changes(part(planted, here, extra_here), nothing, gone, present)
    later = made >= since
    return Changes(
        part(planted, here & later, [row for row in extra_here if row.made >= since]),
        part(
            planted,
            here & ~later & (rows.changed >= since),
            [row for row in extra_here if row.made < since <= row.changed],
        ),
        [
            *planted.keys[(deleted >= since) & (deleted < until)].tolist(),
            *(row.key for row in extra_gone if row.deleted >= since),
        ],
        present,
    )


def part(planted: PlantedRows, mask: Array, extra: list[ExtraRow]) -> PlantedRows:
    """The rows under this mask, and these of the extra ones; the ledger's lines stay behind."""
    if mask.all():
        return replace(planted, extra=extra, defects=[])
    at = np.cumsum(mask) - 1
    overrides = {
        int(at[position]): values
        for position, values in planted.overrides.items()
        if mask[position]
    }
    which = np.flatnonzero(mask)
    return PlantedRows(planted.rows.take(which), planted.keys[which], overrides, extra, [])


def size(planted: PlantedRows) -> int:
    """The number of rows, extra ones included."""
    return len(planted.rows) + len(planted.extra)


def overrides_by_column(planted: PlantedRows) -> dict[str, tuple[list[int], list[Any]]]:
    """The positions, rising, and the values of each column that has another value somewhere.

    Raises:
        KeyError: a column that the table does not have.
    """
    names = {column.name for column in planted.rows.spec.columns}
    columns: dict[str, tuple[list[int], list[Any]]] = {}
    for position in sorted(planted.overrides):
        for name, value in planted.overrides[position].items():
            if name not in names:
                raise KeyError(f"{planted.rows.spec.name} has no column {name}")
            at, values = columns.setdefault(name, ([], []))
            at.append(position)
            values.append(value)
    return columns
