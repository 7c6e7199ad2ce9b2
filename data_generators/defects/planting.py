"""One part of a table while its defects are planted."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
from bson import ObjectId

from data_generators.defects.catalogue import DUPLICATES, FOLLOWS, Defect
from data_generators.defects.edits import CONFLICTS, EDITS, STRAYS, Row
from data_generators.defects.placement import Placement
from data_generators.tables.rows import ExtraRow, PlantedDefect, PlantedRows, Rows

Array = npt.NDArray[Any]
Bools = npt.NDArray[np.bool_]

#: The last byte of the ids of each collection. (A NUL at the end would be lost in ``S12``.)
_COLLECTIONS = {
    "sessions": 1,
    "page_views": 2,
    "events": 3,
    "product_interactions": 4,
    "search_queries": 5,
}
_SECONDS_OF_DAY = 86_400


def keys_of(placement: Placement, rows: Rows) -> tuple[Array, Array]:
    """The physical keys of rows, and the key of the extra row behind each, if there is one.

    SQL: the number, counted from 1 with the extra rows before it. MongoDB: as a server gives
    them, the second in which the document was made, then what tells it from the others of that
    second: twice the number (one more for the extra row) and the collection.
    """
    table = rows.spec.name
    if rows.spec.system != "mongo":
        keys = rows.number + 1 + placement.extra_before(table, rows.number)
        return keys, keys + 1
    parts = np.empty((2, len(rows)), dtype=[("seconds", ">u4"), ("place", ">u8")])
    parts["seconds"] = rows.made.astype("datetime64[s]").astype(np.int64)
    parts["place"] = 2 * rows.number << 8 | _COLLECTIONS[table]
    parts["place"][1] += np.uint64(1 << 8)
    keys, extra = np.ascontiguousarray(parts).view("S12")
    return keys, extra


class Planting:
    """Collects what differs from the sound rows.

    ``follows`` marks the rows that are orphans because of their parent.
    """

    def __init__(self, placement: Placement, rows: Rows, until: np.datetime64, follows: Bools):
        keys, self.extra_keys = keys_of(placement, rows)
        self.planted = PlantedRows(rows, keys, {}, [], [])
        self.rows = rows
        self.follows = follows
        self.gone = rows.deleted < until

    def plant(self, defect: Defect, position: int, u: float) -> None:
        """Plant one class in one row; ``u`` is uniform in (0, 1) and decides how."""
        row = Row(self.rows, position)
        if edit := EDITS.get(defect.id):
            values = edit(row, u)
            if values is None:
                self.sound(position)
                return
            self.planted.overrides[position] = values
        elif stray := STRAYS.get(defect.id):
            self.sound(position)
            changed = stray(row, u) or {}
            self._add(position, {**row.values(), **changed})
            key = self.rows.spec.business_key
            self._note(defect.name, defect.fate, position, True, changed.get(key))
            if self.follows[position] and defect.name != "orphan":
                self._note(FOLLOWS, "quarantined", position, True, changed.get(key))
            return
        elif defect.name in DUPLICATES:
            self._duplicate(defect, row, u)
        self._note(defect.name, defect.fate, position, False)
        if defect.fate in ("quarantined", "repaired", "kept"):
            self.sound(position)

    def sound(self, position: int) -> None:
        """Note the row if it follows its parent, whatever else is to be said of it."""
        if self.follows[position]:
            self._note(FOLLOWS, "quarantined", position, False)

    def _duplicate(self, defect: Defect, row: Row, u: float) -> None:
        values = row.values()
        if conflict := CONFLICTS.get(defect.id):
            values.update(conflict(row, u) or {})
            # Later, and on the same day, so that no night falls between the two.
            at = values["updated_at"]
            left = _SECONDS_OF_DAY - 1 - (at.hour * 3600 + at.minute * 60 + at.second)
            values["updated_at"] = at + timedelta(seconds=int(u * left))
        self._add(row.position, values)
        if self.follows[row.position]:
            self._note(FOLLOWS, "quarantined", row.position, True)

    def _add(self, position: int, values: dict[str, Any]) -> None:
        key = self.extra_keys[position]
        self.planted.extra.append(
            ExtraRow(
                ObjectId(bytes(key)) if self.rows.spec.system == "mongo" else int(key),
                values,
                self.rows.made[position],
                self.rows.changed[position],
                self.rows.deleted[position],
            )
        )

    def _note(
        self, name: str, fate: str, position: int, extra: bool, key: str | None = None
    ) -> None:
        """Add a line to the ledger, unless the row is there no more."""
        if self.gone[position]:
            return
        physical = (self.extra_keys if extra else self.planted.keys)[position]
        row_id = bytes(physical).hex() if isinstance(physical, bytes) else str(int(physical))
        spec = self.rows.spec
        true_key = key or Row(self.rows, position)[spec.business_key]
        self.planted.defects.append(PlantedDefect(spec.name, row_id, name, fate, true_key))
