"""The collection ``page_views``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from data_generators.groups import first_rows
from data_generators.tables.clickstream.chunk import (
    CHUNK,
    Chunk,
    child_rows,
    chunks,
)
from data_generators.tables.clickstream.pages import lay_out
from data_generators.tables.clickstream.session_rows import referrers
from data_generators.tables.clickstream.vocabulary import PAGE_TYPES, REFERRERS, Shop, Taste
from data_generators.tables.keys import numbered
from data_generators.tables.rows import Coded, Rows

if TYPE_CHECKING:
    from data_generators.company.world import World

Array = npt.NDArray[Any]


def page_views(world: World, size: int = CHUNK) -> Iterator[Rows]:
    """The rows of ``page_views``, by (session, sequence), of ``size`` sessions at a time."""
    shop, taste = Shop.of(world.catalogue), Taste.of(world.args.seed, world.catalogue)
    first = first_rows(world.sessions.pages)
    referring = [*shop.urls, *REFERRERS]
    for chunk in chunks(world, size):
        yield _rows(chunk, shop, taste, int(first[chunk.first]), referring)


def _rows(chunk: Chunk, shop: Shop, taste: Taste, first: int, referring: list[str]) -> Rows:
    pages = lay_out(chunk, taste)
    number = first + np.arange(len(pages.of))
    url = pages.url
    came_from = referrers(chunk)[pages.of]
    before = np.where(came_from >= 0, len(shop.urls) + came_from, -1)
    later = np.flatnonzero(pages.nth > 0)
    before[later] = url[later - 1]
    return child_rows(
        chunk,
        "page_views",
        pages.of,
        number,
        pages.second,
        {
            "view_id": numbered("VIEW", number, 8),
            "page_url": Coded(url, shop.urls),
            "page_title": Coded(url, shop.titles),
            "page_type": Coded(pages.type, list(PAGE_TYPES)),
            "sequence": pages.nth + 1,
            "time_on_page": pages.dwell,
            "scroll_depth": chunk.draws("pages.scroll").integers(0, 101, pages.key),
            "referrer_url": Coded(before, referring),
        },
    )
