"""A plain seeded company: shop, marketing and clickstream, as columns of numpy arrays.

The same arguments give the same bytes: nothing here reads a clock or an unseeded source.
Every date and time lies in ``[as_of - days, as_of)``, in UTC (birthdays aside).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from data_generators.clickstream import make_clickstream
from data_generators.marketing import make_marketing
from data_generators.pools import make_pools
from data_generators.shop import make_shop

Table = dict[str, npt.NDArray[Any]]

MIN_DAYS = 30


@dataclass(frozen=True)
class WorldArgs:
    """What decides a world. ``scale`` 1 is 10,000 customers; ``days`` is the history's length.

    Raises:
        ValueError: an argument is out of its range.
    """

    seed: int
    scale: float
    days: int
    as_of: date

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.seed < 0:
            raise ValueError(f"SEED must not be negative: {self.seed}")
        if not 0 < self.scale < float("inf"):
            raise ValueError(f"SCALE must be greater than 0: {self.scale}")
        if self.days < MIN_DAYS:
            raise ValueError(f"DAYS must be at least {MIN_DAYS}: {self.days}")

    def count(self, at_scale_1: int, least: int = 1) -> int:
        """A volume at this scale."""
        return max(least, round(at_scale_1 * self.scale))


@dataclass(frozen=True)
class World:
    """The 15 tables, by name. A table is its columns, in the order of ``elt.specs``.

    Text columns are object arrays of str or None, nested ones of dict or list, amounts are
    float64 rounded to the column's scale, dates ``datetime64[D]``, times ``datetime64[s]``,
    and ``_id`` an object array of ObjectId.
    """

    args: WorldArgs
    tables: dict[str, Table]

    @property
    def rows(self) -> dict[str, int]:
        """The number of rows of each table."""
        return {name: len(next(iter(table.values()))) for name, table in self.tables.items()}


def make_world(seed: int, scale: float, days: int, as_of: date) -> World:
    """Make the world of these arguments.

    Raises:
        ValueError: an argument is out of its range.
    """
    args = WorldArgs(seed, scale, days, as_of)
    end = np.datetime64(as_of, "s")
    start = np.datetime64(as_of - timedelta(days=days), "s")
    pools = make_pools(seed)
    shop = make_shop(np.random.default_rng([seed, 1]), pools, args.count, start, end)
    marketing = make_marketing(np.random.default_rng([seed, 2]), args.count, start, end)
    clickstream = make_clickstream(
        np.random.default_rng([seed, 3]), pools, args.count, shop, marketing["campaigns"], end
    )
    return World(args, {**shop.tables, **marketing, **clickstream})
