"""The collection ``product_interactions``: what people did with the products they saw."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from data_generators.company.catalogue import CATEGORIES
from data_generators.company.visits import ABANDONER, CONVERTER
from data_generators.groups import first_rows, within
from data_generators.tables.clickstream.chunk import (
    CHUNK,
    Chunk,
    child_rows,
    chunks,
)
from data_generators.tables.clickstream.pages import Pages, lay_out
from data_generators.tables.clickstream.vocabulary import INTERACTIONS, PRODUCT, Shop, Taste
from data_generators.tables.keys import numbered
from data_generators.tables.rows import Coded, Rows

if TYPE_CHECKING:
    from data_generators.company.world import World

Array = npt.NDArray[Any]

VIEW, ADD_TO_CART, WISHLIST, REMOVE_FROM_CART, REVIEW, PURCHASE = range(6)
#: What people do further on a product's page: most, those who buy, those who abandon the cart.
LOOKING = np.array([70, 0, 22, 0, 8])
BUYING = np.array([60, 15, 20, 0, 5])
ABANDONING = np.array([45, 30, 15, 10, 0])


def product_interactions(world: World, size: int = CHUNK) -> Iterator[Rows]:
    """The rows of ``product_interactions``, by (session, page), of ``size`` sessions at a time."""
    shop, taste = Shop.of(world.catalogue), Taste.of(world.args.seed, world.catalogue)
    first = first_rows(world.sessions.interactions)
    for chunk in chunks(world, size):
        yield _rows(chunk, shop, taste, int(first[chunk.first]))


def _rows(chunk: Chunk, shop: Shop, taste: Taste, first: int) -> Rows:
    pages = lay_out(chunk, taste)
    page, nth = within(_counts(chunk, pages))
    of = pages.of[page]
    stage = chunk.of(chunk.world.sessions.stage)[of]
    sold = (stage == CONVERTER) & (pages.type[page] != PRODUCT)
    product = pages.product[page]
    # The order's lines, in the order of the sessions: as the last pages are.
    product[sold] = chunk.bought.product
    key = chunk.draws("interactions").keys(pages.key[page], nth)
    type_ = _types(chunk, stage, nth, key)
    carted = (nth == 1) & _carted(chunk, pages)[page]
    type_[carted] = ADD_TO_CART
    type_[nth == 0] = VIEW
    # A product on two lines of an order is bought once.
    type_[sold] = np.where(_first_of_product(chunk), PURCHASE, VIEW)
    share = nth / np.bincount(page, minlength=len(pages.of))[page]
    second = pages.second[page] + np.floor(pages.dwell[page] * share).astype(np.int64)
    second = np.where(sold, chunk.lead[of], second)
    number = first + np.arange(len(of))
    return child_rows(
        chunk,
        "product_interactions",
        of,
        number,
        second,
        {
            "interaction_id": numbered("INT", number, 8),
            "product_id": Coded(product, shop.ids),
            "interaction_type": Coded(type_, list(INTERACTIONS)),
            "product_name": Coded(product, shop.names),
            "category": Coded(shop.category[product], list(CATEGORIES)),
        },
    )


def _carted(chunk: Chunk, pages: Pages) -> Array:
    """Whether a page's product is put into the cart for the stage's sake (bool [pages]).

    An Abandoner's is the first product seen; a Converter's are those that are bought.
    """
    abandons = chunk.of(chunk.world.sessions.stage) == ABANDONER
    most = np.where(abandons, 1, chunk.lines)
    return np.asarray((pages.type == PRODUCT) & (pages.nth_product < most[pages.of]))


def _counts(chunk: Chunk, pages: Pages) -> Array:
    """The interactions on each page (int64 [pages]).

    A product page has its view, and what is put into the cart; what the session has besides is
    spread evenly over its product pages. The purchases happen on the last page.
    """
    sessions = chunk.world.sessions
    products, stage = chunk.of(sessions.products), chunk.of(sessions.stage)
    needed = products + np.where(stage == ABANDONER, 1, 2 * chunk.lines)
    more = chunk.of(sessions.interactions) - needed
    shows = pages.type == PRODUCT
    total, nth = np.maximum(products, 1)[pages.of], pages.nth_product
    further = (nth + 1) * more[pages.of] // total - nth * more[pages.of] // total
    count = np.where(shows, 1 + _carted(chunk, pages) + further, 0)
    buys = np.flatnonzero(stage == CONVERTER)
    last = np.cumsum(chunk.of(sessions.pages)) - 1
    count[last[buys]] = chunk.lines[buys]
    return count


def _types(chunk: Chunk, stage: Array, nth: Array, key: Array) -> Array:
    """What each further interaction is."""
    draws = chunk.draws("interactions.type")
    type_ = draws.choice(LOOKING, key)
    abandons, buys = stage == ABANDONER, stage == CONVERTER
    type_[abandons] = draws.choice(ABANDONING, key[abandons])
    type_[buys] = draws.choice(BUYING, key[buys])
    return type_


def _first_of_product(chunk: Chunk) -> Array:
    """Whether each line of the chunk's orders is the first with its product (bool)."""
    lines = chunk.bought
    found = np.zeros(len(lines.order), dtype=bool)
    pair = lines.order * (1 << 20) + lines.product
    found[np.unique(pair, return_index=True)[1]] = True
    return found
