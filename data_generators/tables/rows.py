"""What a table's rows are before they are written: typed columns, and when each row changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from elt.specs import TableSpec

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Coded:
    """A column of few distinct values: ``pool[code]``; code -1 is null (None)."""

    codes: npt.NDArray[np.int64]
    pool: list[Any]

    def __len__(self) -> int:
        return len(self.codes)

    def values(self) -> Array:
        """The column as objects."""
        pool = np.empty(len(self.pool) + 1, dtype=object)
        pool[:-1] = self.pool
        return np.asarray(pool[self.codes])


Column = Array | Coded


@dataclass(frozen=True)
class Rows:
    """Some rows of one table, in the order of ``number``, as the source holds them at ``until``.

    ``columns`` has every declared column of the spec but not the physical key: text as object
    (str or None), fixed-width bytes (``S``, ASCII, never null) or `Coded`; whole numbers int64;
    amounts float64, rounded to the column's scale; dates ``datetime64[D]``, times
    ``datetime64[s]`` (NaT is null); nested values as object (dict or list) or `Coded`.

    ``number`` is the 0-based number of the row in its table, the same for good: the physical
    key and the planted defects follow from it. ``made`` is when the row first appears in the
    source, ``changed`` when it got the content it has at ``until``, ``deleted`` when it is
    hard-deleted (NaT: never). Rows made at ``until`` or later are left out.

    ``parents`` gives, for each parent table, the parent's row number (-1: none); a row whose
    parent is quarantined is an orphan.
    """

    spec: TableSpec
    number: npt.NDArray[np.int64]
    columns: dict[str, Column]
    made: Array
    changed: Array
    deleted: Array
    parents: dict[str, npt.NDArray[np.int64]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.number)

    def take(self, which: Array) -> Rows:
        """The rows at these positions (or under this mask)."""

        def part(column: Column) -> Column:
            if isinstance(column, Coded):
                return Coded(column.codes[which], column.pool)
            return column[which]

        return Rows(
            self.spec,
            self.number[which],
            {name: part(column) for name, column in self.columns.items()},
            self.made[which],
            self.changed[which],
            self.deleted[which],
            {name: parent[which] for name, parent in self.parents.items()},
        )


class Missing:
    """A document's field that is not there at all (as against null)."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING = Missing()


class RawText(bytes):
    """A text whose bytes are not UTF-8: what no decoder takes."""


@dataclass(frozen=True)
class ExtraRow:
    """A row that a defect adds: a duplicate, or one that belongs to nothing."""

    key: Any  # row_id (int), or ObjectId
    values: dict[str, Any]  # every declared column, as plain Python values; may be MISSING
    made: np.datetime64
    changed: np.datetime64
    deleted: np.datetime64


@dataclass(frozen=True)
class PlantedDefect:
    """One line of the defect ledger. ``row_id``: the row_id, or the _id's 24 hex digits."""

    table: str
    row_id: str
    defect: str
    fate: str
    business_key: str | None


@dataclass(frozen=True)
class PlantedRows:
    """Rows with their physical keys and with their defects: what a sink writes.

    ``overrides`` maps a position in ``rows`` to the columns whose value there is another
    (plain Python values, `MISSING`, or for MongoDB `bson`-encodable ones of any type).
    """

    rows: Rows
    keys: Array  # int64 row ids, or S12 raw ObjectIds
    overrides: dict[int, dict[str, Any]]
    extra: list[ExtraRow]
    defects: list[PlantedDefect]
