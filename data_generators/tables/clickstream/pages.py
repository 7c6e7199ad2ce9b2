"""The pages of each session: which, in which order, and from when to when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from data_generators.company.visits import ABANDONER, CONVERTER, RETURN_VISITOR
from data_generators.groups import first_rows, within
from data_generators.tables.clickstream.chunk import Chunk
from data_generators.tables.clickstream.vocabulary import (
    ACCOUNT,
    CART,
    CATEGORY,
    CHECKOUT,
    HOME,
    PAGE_TYPES,
    PRODUCT,
    SEARCH,
    Taste,
)

Array = npt.NDArray[Any]

#: Of the pages that show no product and have no purpose, those of a category.
CATEGORIES_SHARE = 0.55
#: Longer than any session, in seconds: keeps the pages of sessions apart.
_APART = 1 << 20


@dataclass(frozen=True)
class Pages:
    """The page views of a chunk's sessions, by (session, sequence). int64 arrays of one length."""

    of: Array  # position of the session in the chunk
    nth: Array  # 0-based in the session
    key: Array  # of the row's draws
    second: Array  # seconds into the session
    dwell: Array  # seconds on the page
    type: Array  # index into PAGE_TYPES
    product: Array  # -1 where the page shows none
    nth_product: Array  # which of the session's product pages; only meaningful for these

    @property
    def url(self) -> Array:
        """The position of each page's address in Shop.urls, and of its title in Shop.titles."""
        return np.where(self.type == PRODUCT, len(PAGE_TYPES) + self.product, self.type)

    def at(self, of: Array, second: Array) -> Array:
        """The position of the page that is open at these seconds into these sessions."""
        opened = self.of * _APART + self.second
        return np.searchsorted(opened, of * _APART + second, side="right") - 1


def lay_out(chunk: Chunk, taste: Taste) -> Pages:
    """The pages of the chunk's sessions."""
    sessions = chunk.world.sessions
    of, nth = within(chunk.of(sessions.pages))
    key = chunk.draws("pages").keys(chunk.key[of], nth)
    second, dwell = _times(chunk, of, key)
    type_, nth_product = _types(chunk, of, nth, key)
    product = np.full(len(of), -1)
    shows = np.flatnonzero(type_ == PRODUCT)
    product[shows] = taste.choose(chunk.of(sessions.person), of[shows], key[shows])
    # The first products that a buyer looks at are those of the order.
    bought = shows[nth_product[shows] < chunk.lines[of[shows]]]
    line = first_rows(chunk.lines)[of[bought]] + nth_product[bought]
    product[bought] = chunk.bought.product[line]
    return Pages(of, nth, key, second, dwell, type_, product, nth_product)


def _times(chunk: Chunk, of: Array, key: Array) -> tuple[Array, Array]:
    """The second in which each page opens, and how long it stays open.

    An order is placed on the last page, so that this one opens by then. Whole numbers: sums of
    floats would depend on which other sessions stand before.
    """
    counts = chunk.of(chunk.world.sessions.pages)
    first = first_rows(counts)
    weight = 1 + (4096 * chunk.draws("pages.dwell").exponential(key)).astype(np.int64)
    passed = np.cumsum(weight) - weight
    before = passed - passed[first][of]
    total = np.add.reduceat(weight, first)
    second = chunk.lead[of] * before // total[of]
    ends = np.empty_like(second)
    ends[:-1] = second[1:]
    ends[first + counts - 1] = chunk.of(chunk.world.sessions.seconds)
    return second, ends - second


def _types(chunk: Chunk, of: Array, nth: Array, key: Array) -> tuple[Array, Array]:
    """The type of each page, and for product pages, which of its session's it is.

    The landing page comes first, then a Return Visitor's account; an Abandoner's visit ends in
    the cart, a Converter's in cart and checkout. The product pages are spread evenly over what
    is between: page i of m is one where ``(i * products + offset) // m`` rises.
    """
    sessions = chunk.world.sessions
    stage, pages = chunk.of(sessions.stage), chunk.of(sessions.pages)
    head = 1 + (stage == RETURN_VISITOR)
    tail = (stage == ABANDONER) + 2 * (stage == CONVERTER).astype(np.int64)
    middle = np.maximum(pages - head - tail, 1)
    offset = chunk.draws("pages.offset").integers(0, middle, chunk.key)
    wanted = chunk.of(sessions.products)[of]
    place, of_middle = nth - head[of], middle[of]
    nth_product = (place * wanted + offset[of]) // of_middle
    rises = ((place + 1) * wanted + offset[of]) // of_middle > nth_product
    categories = chunk.draws("pages.type").chance(CATEGORIES_SHARE, key)
    type_ = np.where(rises, PRODUCT, np.where(categories, CATEGORY, SEARCH))
    left = pages[of] - nth
    last_stage = stage[of]
    type_[(last_stage == RETURN_VISITOR) & (nth == 1)] = ACCOUNT
    type_[(last_stage == ABANDONER) & (left == 1)] = CART
    type_[(last_stage == CONVERTER) & (left == 2)] = CART
    type_[(last_stage == CONVERTER) & (left == 1)] = CHECKOUT
    type_[nth == 0] = HOME
    return type_, nth_product
