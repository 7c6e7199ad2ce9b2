"""Which rows are orphans because of a defect of the row that they hang on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from data_generators.defects.placement import Codes, Placement
from data_generators.tables.rows import Rows

if TYPE_CHECKING:
    from data_generators.company.world import World

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

#: The table that a row of each table hangs on.
PARENT: Mapping[str, str] = {
    "customer_demographics": "customers",
    "transactions": "customers",
    "transaction_items": "transactions",
    "customer_segment_mapping": "customers",
    "campaign_performance": "campaigns",
    "ab_tests": "campaigns",
    "ab_test_results": "ab_tests",
    "sessions": "customers",
    "page_views": "sessions",
    "events": "sessions",
    "product_interactions": "sessions",
    "search_queries": "sessions",
}
#: Classes that replace or remove what leads to the parent: nothing follows from it.
_CUTS = frozenset({"transactions.orphan", "sessions.orphan", "page_views.missing_field"})


class Orphans:
    """Follows the defects of one world from parents to their children."""

    def __init__(self, world: World, placement: Placement) -> None:
        self.world = world
        self.placement = placement
        self._quarantined: dict[str, Bools] = {}

    def quarantined(self, table: str) -> Bools:
        """Of every row number of a table that others hang on, whether its children are orphans.

        They are if it is quarantined, rejected, or an orphan itself. A deleted customer counts
        as a parent whatever was wrong with it, unless its key was never known.
        """
        if table not in self._quarantined:
            codes = self.placement.all_codes(table)
            found = self.placement.of_fate(table, codes, "quarantined", "rejected")
            if table == "customers":
                named = self.placement.of_class(table, codes, {"customers.null_key"})
                found &= named | ~(self.world.customers.erased < self.world.until)
            elif table in PARENT:
                found |= self._hanging(table, codes, self._link(table))
            self._quarantined[table] = found
        return self._quarantined[table]

    def following(self, rows: Rows, codes: Codes) -> Bools:
        """Which of the rows hang on a row that is quarantined."""
        table = rows.spec.name
        if table not in PARENT:
            return np.zeros(len(rows), dtype=bool)
        return self._hanging(table, codes, rows.parents[PARENT[table]])

    def _hanging(self, table: str, codes: Codes, link: Ints) -> Bools:
        """``link``: the parent's row number of each row; -1: none."""
        broken = np.append(self.quarantined(PARENT[table]), False)
        return np.asarray(broken[link] & ~self.placement.of_class(table, codes, _CUTS))

    def _link(self, table: str) -> Ints:
        world = self.world
        if table == "transactions":
            return np.asarray(world.orders.customer)
        if table == "sessions":
            return np.where(world.sessions.signed_in, world.sessions.person, -1)
        if table == "ab_tests":
            return np.asarray(world.experiments.campaign)
        raise KeyError(f"no rows hang on {table}")
