"""Turns the columns of a world's table into rows that an SQL driver takes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from data_generators.world import Table
from elt.specs import TableSpec

CHUNK = 20_000


def sql_rows(spec: TableSpec, table: Table) -> Iterator[list[tuple[Any, ...]]]:
    """Yield the rows in lists of up to 20,000; amounts and JSON as text, times without zone."""
    columns = spec.all_columns
    size = len(table[spec.key.name])
    for at in range(0, size, CHUNK):
        parts = (sql_values(c.type, table[c.name][at : at + CHUNK]) for c in columns)
        yield list(zip(*parts, strict=True))


def sql_values(type_: str, values: npt.NDArray[Any]) -> list[Any]:
    """The values of a column of a PostgreSQL type, as a driver takes them."""
    if type_ == "jsonb":
        return [None if v is None else json.dumps(v, sort_keys=True) for v in values]
    if scale := re.fullmatch(r"numeric\(\d+,(\d+)\)", type_):
        # As text, because a float's repr may have an exponent or binary noise.
        return [f"{v:.{scale[1]}f}" for v in values.tolist()]
    return plain(values)


def plain(values: npt.NDArray[Any]) -> list[Any]:
    """Python's own values: int, str, date, and datetime without zone (UTC)."""
    if np.issubdtype(values.dtype, np.datetime64):
        return values.astype(object).tolist()  # type: ignore[no-any-return]
    return values.tolist()  # type: ignore[no-any-return]
