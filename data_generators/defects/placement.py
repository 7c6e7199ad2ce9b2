"""Which row gets which class of defects: a draw of each row, or an exact number of rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from data_generators.defects.catalogue import DUPLICATES, Defect, Fate
from data_generators.defects.edits import STRAYS
from data_generators.defects.numbering import exact_counts
from data_generators.groups import first_rows
from data_generators.randomness import Draws
from data_generators.tables.customers import accented

if TYPE_CHECKING:
    from data_generators.company.world import World

Array = npt.NDArray[Any]
Bools = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.int8]
Ints = npt.NDArray[np.int64]

#: The code of a row without a defect of its own.
NONE = -1


class Placement:
    """The class of each row: at most one of those that are planted in its table.

    ``sizes`` has the number of rows, in all and of the base history, of each table whose codes
    are kept for all rows: where row ids depend on the extra rows before, and children on what
    became of their parents. In the other collections rows draw as they come by.
    """

    def __init__(self, world: World, sizes: Mapping[str, tuple[int, int]]) -> None:
        self.world = world
        self.sizes = sizes
        self._draws = Draws(world.args.seed, "defects")
        self._codes: dict[str, Codes] = {}
        self._before: dict[str, Ints] = {}

    def classes(self, table: str) -> list[Defect]:
        """The classes planted in a table; codes are indices into them."""
        return [defect for defect, _ in self.world.args.defect_rates.of(table)]

    def draws(self, defect: Defect) -> Draws:
        """The draws that decide how a row with this defect is wrong."""
        return self._draws(defect.id)

    def codes(self, table: str, number: Ints) -> Codes:
        """The class of each of these rows."""
        return self.all_codes(table)[number] if table in self.sizes else self._drawn(table, number)

    def all_codes(self, table: str) -> Codes:
        """The class of every row of a table whose codes are kept."""
        if table not in self._codes:
            total, base = self.sizes[table]
            codes = self._drawn(table, np.arange(total))
            for code, defect in enumerate(self.classes(table)):
                if (able := self._able(defect)) is not None:
                    codes[(codes == code) & ~able] = NONE
            if (counts := exact_counts(self.world.args, table)) is not None:
                codes[:base] = self._exact(table, base, counts)
            self._codes[table] = codes
        return self._codes[table]

    def has_extra(self, table: str, codes: Codes) -> Bools:
        """Of rows with these classes, which have an extra row behind them."""
        extra = [defect.name in DUPLICATES or defect.id in STRAYS for defect in self.classes(table)]
        return np.array([*extra, False])[codes]

    def of_fate(self, table: str, codes: Codes, *fates: Fate) -> Bools:
        """Of rows with these classes, which have one of the fates themselves."""
        # A stray extra row says nothing of the sound row that it is made from.
        found = [d.fate in fates and d.id not in STRAYS for d in self.classes(table)]
        return np.array([*found, False])[codes]

    def of_class(self, table: str, codes: Codes, ids: Collection[str]) -> Bools:
        """Of rows with these classes, which have one of those with these ids."""
        return np.array([*(defect.id in ids for defect in self.classes(table)), False])[codes]

    def extra_before(self, table: str, number: Ints) -> Ints:
        """How many extra rows lie before each of these rows."""
        if table not in self._before:
            extra = self.has_extra(table, self.all_codes(table)).astype(np.int64)
            self._before[table] = first_rows(extra)
        return self._before[table][number]

    def _drawn(self, table: str, number: Ints) -> Codes:
        """One draw a row, of all classes and none."""
        rates = [rate for _, rate in self.world.args.defect_rates.of(table)]
        if not rates:
            return np.full(len(number), NONE, dtype=np.int8)
        drawn = self._draws(table)("class").uniform(number)
        codes = np.searchsorted(np.cumsum(rates), drawn, side="right").astype(np.int8)
        codes[codes == len(rates)] = NONE
        return codes

    def _exact(self, table: str, base: int, counts: Mapping[str, int]) -> Codes:
        """As many rows of each class as ``counts`` says, chosen by the order of a hash.

        Classes that not every row can have come first.
        """
        codes = np.full(base, NONE, dtype=np.int8)
        order = np.argsort(self._draws(table)("rank").words(np.arange(base)), kind="stable")
        able = [self._able(defect) for defect in self.classes(table)]
        for code in sorted(range(len(able)), key=lambda code: able[code] is None):
            mask, name = able[code], self.classes(table)[code].name
            left = order[codes[order] == NONE]
            left = left if mask is None else left[mask[left]]
            codes[left[: counts[name]]] = code
        return codes

    def _able(self, defect: Defect) -> Bools | None:
        """Which rows of the table can have the defect; None: all."""
        if defect.id == "customers.wrong_encoding":
            return accented(self.world)
        if defect.table == "campaigns" and defect.fate == "quarantined":
            # Tests and their results would be orphans, and few tests are kept as it is.
            return np.asarray(~self.world.campaigns.testable)
        return None
