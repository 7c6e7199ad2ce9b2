"""Plants the defects of the catalogue in rows, and says of each what must become of it.

Everything follows from the row's number by keyed draws, so that any part of a table, at any
day, has the defects that the whole of it has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from data_generators.defects.delays import DELAYS, OUT_OF_ORDER, delayed, lags
from data_generators.defects.orphans import Orphans
from data_generators.defects.placement import NONE, Codes, Placement
from data_generators.defects.planting import Planting
from data_generators.tables import sizes
from data_generators.tables.rows import PlantedRows, Rows

if TYPE_CHECKING:
    from data_generators.company.world import World

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


class Planter:
    """Plants one world's defects, table by table and in any parts of a table."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.placement = Placement(world, {**sizes(world), "sessions": (len(world.sessions), 0)})
        self.orphans = Orphans(world, self.placement)

    def plant(self, rows: Rows) -> PlantedRows:
        """The rows as the source really has them, with their keys and the ledger's lines.

        Rows that a delay carries to ``until``, or past their own deletion, are left out.
        """
        table = rows.spec.name
        codes = self.placement.codes(table, rows.number)
        codes = self._with_successor(rows, codes)
        rows = delayed(rows, self._seconds(rows, codes))
        here = (rows.made < self.world.until) & ~(rows.deleted <= rows.made)
        if not here.all():
            rows, codes = rows.take(here), codes[here]
        planting = Planting(
            self.placement, rows, self.world.until, self.orphans.following(rows, codes)
        )
        for code, defect in enumerate(self.placement.classes(table)):
            at = np.flatnonzero(codes == code)
            drawn = self.placement.draws(defect)("value").uniform(rows.number[at])
            for position, u in zip(at.tolist(), drawn.tolist(), strict=True):
                planting.plant(defect, position, u)
        for position in np.flatnonzero(planting.follows & (codes == NONE)).tolist():
            planting.sound(position)
        return planting.planted

    def quarantined(self, table: str) -> Bools:
        """Of every row number of a table that others hang on, whether its children are orphans."""
        return self.orphans.quarantined(table)

    def _seconds(self, rows: Rows, codes: Codes) -> Ints:
        """By how much each row is late. The lines of an order come with it, and are sound."""
        if rows.spec.name == "transaction_items":
            order = rows.parents["transactions"]
            return self._lags("transactions", order, self.placement.codes("transactions", order))
        return self._lags(rows.spec.name, rows.number, codes)

    def _lags(self, table: str, number: Ints, codes: Codes) -> Ints:
        seconds = np.zeros(len(number), dtype=np.int64)
        for code, defect in enumerate(self.placement.classes(table)):
            if delay := DELAYS.get(defect.id):
                at = np.flatnonzero(codes == code)
                draws = self.placement.draws(defect)("seconds")
                seconds[at] = lags(delay, draws, number[at])
        return seconds

    def _with_successor(self, rows: Rows, codes: Codes) -> Codes:
        """The codes, without the page views out of order whose successor is not there first.

        Judged by what does not depend on the world's end: the time spent on the page, and
        whether the next view is itself under way for long.
        """
        if rows.spec.name != "page_views":
            return codes
        session = rows.parents["sessions"]
        last = np.asarray(rows.columns["sequence"]) >= self.world.sessions.pages[session]
        out_of_order = self.placement.of_class("page_views", codes, {OUT_OF_ORDER})
        follows = self.placement.codes("page_views", rows.number + 1)
        held_up = self.placement.of_class("page_views", follows, set(DELAYS))
        stays = np.asarray(rows.columns["time_on_page"]) >= DELAYS[OUT_OF_ORDER].least
        sound = last | held_up | stays
        return np.where(out_of_order & sound, NONE, codes).astype(codes.dtype)
