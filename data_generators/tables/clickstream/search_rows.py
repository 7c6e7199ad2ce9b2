"""The collection ``search_queries``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import special

from data_generators.company.catalogue import CATEGORIES
from data_generators.groups import first_rows, within
from data_generators.tables.clickstream.chunk import (
    CHUNK,
    Chunk,
    child_rows,
    chunks,
    moments,
)
from data_generators.tables.clickstream.vocabulary import Shop, Taste
from data_generators.tables.keys import numbered
from data_generators.tables.rows import Coded, Rows

if TYPE_CHECKING:
    from data_generators.company.world import World

Array = npt.NDArray[Any]

#: Searches that find nothing, and how much the others find: Poisson.
NOTHING, RESULTS = 0.06, 12.0
CLICKED = 0.45
FILTERED = 0.5
FILTERS: list[dict[str, str]] = [
    {},
    *({"category": name, "sort": sort} for name in CATEGORIES for sort in ("price", "new")),
]


def search_queries(world: World, size: int = CHUNK) -> Iterator[Rows]:
    """The rows of ``search_queries``, by (session, time), of ``size`` sessions at a time."""
    shop, taste = Shop.of(world.catalogue), Taste.of(world.args.seed, world.catalogue)
    first = first_rows(world.sessions.searches)
    for chunk in chunks(world, size):
        yield _rows(chunk, shop, taste, int(first[chunk.first]))


def _rows(chunk: Chunk, shop: Shop, taste: Taste, first: int) -> Rows:
    sessions = chunk.world.sessions
    count = chunk.of(sessions.searches)
    of, nth = within(count)
    draws = chunk.draws("searches")
    key = draws.keys(chunk.key[of], nth)
    product = taste.choose(chunk.of(sessions.person), of, key)
    results = draws("results").choice(_result_weights(), key)
    clicked = draws("clicked").chance(CLICKED, key) & (results > 0)
    chosen = draws("filters").integers(1, len(FILTERS), key)
    filters = np.where(draws("filtered").chance(FILTERED, key), chosen, 0)
    second = moments(chunk, of, nth, count, draws("time").uniform(key))
    number = first + np.arange(len(of))
    return child_rows(
        chunk,
        "search_queries",
        of,
        number,
        second,
        {
            "query_id": numbered("QRY", number, 8),
            "search_term": Coded(product, shop.terms),
            "results_count": results,
            "clicked_result": Coded(np.where(clicked, product, -1), shop.ids),
            "filters": Coded(filters, FILTERS),
        },
    )


def _result_weights() -> Array:
    """The chance of each number of results."""
    number = np.arange(41)
    found = np.exp(number * np.log(RESULTS) - RESULTS - special.gammaln(number + 1))
    found[0] += NOTHING / (1 - NOTHING)
    return np.asarray(found)
