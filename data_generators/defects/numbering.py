"""How many things a table's rows stand for, and how many rows get which class of defects."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from data_generators.args import WorldArgs
from data_generators.defects.catalogue import DUPLICATES, DefectRates

#: Rows at SCALE=1, and the least at any scale, of the tables whose volume is exact.
EXACT_ROWS = {"customers": (10_000, 10), "campaigns": (100, 5), "ab_tests": (50, 3)}
#: Tables of one row (or as many as given) for each row of one of those, defects of exact
#: number too.
EXACT_CHILDREN = {"customer_demographics": ("customers", 1), "ab_test_results": ("ab_tests", 2)}


def half_up(value: float) -> int:
    """Rounded to the nearest whole number, halves up."""
    return int(np.floor(value + 0.5))


def entities(args: WorldArgs, table: str) -> int:
    """The persons, campaigns or tests of the base history.

    With their duplicate rows they make the table's volume exactly.
    """
    counts = _counts(args.defect_rates, table, args.count(*EXACT_ROWS[table]))
    return args.count(*EXACT_ROWS[table]) - sum(
        count for name, count in counts.items() if name in DUPLICATES
    )


def exact_counts(args: WorldArgs, table: str) -> Mapping[str, int] | None:
    """How many rows of the base history get each class; None: each row draws for itself.

    A share of the table's rows, as long as there are rows left.
    """
    if table in EXACT_ROWS:
        return _counts(args.defect_rates, table, args.count(*EXACT_ROWS[table]))
    if table in EXACT_CHILDREN:
        parent, each = EXACT_CHILDREN[table]
        return _counts(args.defect_rates, table, each * entities(args, parent))
    return None


def _counts(rates: DefectRates, table: str, rows: int) -> dict[str, int]:
    """Rows of each class; a duplicate takes two of the rows, the other classes one.

    Each class gets its share, rounded half up, but all together no fewer than theirs: a table of
    ten rows with five classes at 1 % has one defect, not none.
    """
    classes = rates.of(table)
    exact = {defect.name: rate * rows for defect, rate in classes}
    counts = {name: half_up(share) for name, share in exact.items()}
    missing = half_up(sum(exact.values())) - sum(counts.values())
    # The largest of the remainders; of equal ones, those first that cleanup has to judge.
    by_remainder = sorted(
        exact, key=lambda name: (-round(exact[name] - counts[name], 9), name in DUPLICATES)
    )
    for name in by_remainder[: max(missing, 0)]:
        counts[name] += 1
    left = rows
    for name in sorted(counts, key=lambda name: name not in DUPLICATES):
        takes = 2 if name in DUPLICATES else 1
        counts[name] = min(counts[name], left // takes)
        left -= takes * counts[name]
    return counts
