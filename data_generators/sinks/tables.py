"""What a sink is given: a table of its database, and how to make its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from data_generators.tables.rows import PlantedRows
from elt.specs import TableSpec


@dataclass(frozen=True)
class Source:
    """One table's rows, made anew by each call of ``rows``; ``total`` is about how many."""

    spec: TableSpec
    rows: Callable[[], Iterator[PlantedRows]]
    total: int = 0
