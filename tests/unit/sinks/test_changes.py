"""Which rows a database needs, by what has happened to them since it was written."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from data_generators.sinks.changes import changes, overrides_by_column, part, size
from data_generators.tables.rows import ExtraRow
from tests.unit.sinks.planted import NEVER, planted_rows, table_spec

SPEC = table_spec("mysql", [("n", "integer")])
SINCE, UNTIL = (np.datetime64(f"2026-01-0{day}", "s") for day in (2, 3))
EARLY, WITHIN = (np.datetime64(f"2026-01-0{day}T12", "s") for day in (1, 2))
#: (made, changed, deleted) and where such a row belongs on the added day, and at first.
HISTORIES: dict[str, tuple[Any, Any, Any, str, str]] = {
    "old": (EARLY, EARLY, NEVER, "", "new"),
    "changed just before": (EARLY, SINCE - 1, NEVER, "", "new"),
    "changed at once": (EARLY, SINCE, NEVER, "changed", "new"),
    "changed at last": (EARLY, UNTIL - 1, NEVER, "changed", "new"),
    "added at once": (SINCE, SINCE, NEVER, "new", "new"),
    "added and changed": (SINCE, WITHIN, NEVER, "new", "new"),
    "deleted before": (EARLY, EARLY, SINCE - 1, "", "gone"),
    "deleted at once": (EARLY, EARLY, SINCE, "gone", "gone"),
    "changed, then deleted": (EARLY, SINCE, WITHIN, "gone", "gone"),
    "added, then deleted": (SINCE, SINCE, WITHIN, "gone", "gone"),
    "deleted later": (EARLY, EARLY, UNTIL, "", "new"),
    "changed, deleted later": (EARLY, WITHIN, UNTIL, "changed", "new"),
    "not yet made": (UNTIL, UNTIL, NEVER, "", ""),
}


@pytest.mark.parametrize("name", list(HISTORIES))
@pytest.mark.parametrize("extra", [False, True])
@pytest.mark.parametrize("first", [False, True])
def test_a_row_goes_where_its_history_says(name: str, extra: bool, first: bool) -> None:
    made, changed, deleted, added_day, first_load = HISTORIES[name]
    rows = planted_rows(
        SPEC,
        {"n": np.zeros(1, dtype=np.int64)},
        made=np.array([made]),
        changed=np.array([changed]),
        deleted=np.array([deleted]),
    )
    if extra:
        row = ExtraRow(7, {"n": 0}, made, changed, deleted)
        rows = replace(part(rows, np.array([False]), []), extra=[row])
    found = changes(rows, None if first else SINCE, UNTIL)
    place = {"new": size(found.new), "changed": size(found.changed), "gone": len(found.gone)}
    expected = first_load if first else added_day
    assert place == {"new": 0, "changed": 0, "gone": 0} | ({expected: 1} if expected else {})
    assert found.present == int(made < UNTIL and not deleted < UNTIL)
    assert found.gone in ([], [7 if extra else 1])


def test_overrides_follow_their_rows() -> None:
    rows = planted_rows(SPEC, {"n": np.arange(5)}, {0: {"n": 10}, 3: {"n": 13}, 4: {"n": 14}})
    kept = part(rows, np.array([False, True, False, True, True]), [])
    assert kept.rows.columns["n"].tolist() == [1, 3, 4]  # type: ignore[union-attr]
    assert kept.keys.tolist() == [2, 4, 5]
    assert overrides_by_column(kept) == {"n": ([1, 2], [13, 14])}
