"""What the clickstream calls things: addresses, titles, types, agents, terms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from data_generators.company.catalogue import CATEGORIES, Catalogue
from data_generators.company.customers import CHANNELS
from data_generators.randomness import Draws
from data_generators.tables.clickstream.chunk import SITE

Array = npt.NDArray[Any]

PAGE_TYPES = ("home", "product", "category", "search", "cart", "checkout", "account")
HOME, PRODUCT, CATEGORY, SEARCH, CART, CHECKOUT, ACCOUNT = range(7)
EVENTS = ("click", "scroll", "video_play", "add_to_cart", "checkout_start", "purchase")
INTERACTIONS = ("view", "add_to_cart", "wishlist", "remove_from_cart", "review", "purchase")
#: Browsers and systems of each of customers.DEVICES; bots pretend to be the last.
BROWSERS = (
    ("desktop", "Chrome", "Windows"),
    ("desktop", "Firefox", "Linux"),
    ("desktop", "Safari", "macOS"),
    ("mobile", "Chrome", "Android"),
    ("mobile", "Safari", "iOS"),
    ("tablet", "Safari", "iPadOS"),
    ("desktop", "Chrome", "Linux"),
)
BROWSER_WEIGHTS = np.array(
    [[60, 12, 28, 0, 0, 0], [0, 0, 0, 55, 45, 0], [0, 0, 0, 0, 0, 100]], dtype=np.float64
)
OF_BOTS = 6
BOT_NAMES = ("examplebot/2.1", "shopbot/1.0", "crawlbot/3.4")
#: Where sessions come from: a campaign's channel, a search engine, a site of partners.
REFERRERS = [
    *(f"https://{channel.lower()}.example/" for channel in CHANNELS),
    "https://search.example/",
    "https://partners.example/",
]
SEARCH_ENGINE, PARTNERS = len(CHANNELS), len(CHANNELS) + 1
#: Share of a person's product pages that are of the favourite category for its own sake.
FAVOURITE = 0.6


@dataclass(frozen=True)
class Shop:
    """The products as the site shows them.

    ``urls`` and ``titles`` begin with those of PAGE_TYPES; product j's come ``len(PAGE_TYPES)``
    further on.
    """

    ids: list[str]
    names: list[str]
    terms: list[str]
    urls: list[str]
    titles: list[str]
    category: Array  # int64

    @classmethod
    def of(cls, catalogue: Catalogue) -> Shop:
        """The site of this catalogue."""
        ids = [f"PROD_{number:04d}" for number in range(1, len(catalogue.names) + 1)]
        plain = [f"{SITE}/", *(f"{SITE}/{kind}" for kind in PAGE_TYPES[1:])]
        return cls(
            ids,
            catalogue.names,
            [name.lower() for name in catalogue.names],
            [*plain, *(f"{SITE}/product/{product}" for product in ids)],
            [*PAGE_TYPES, *catalogue.names],
            catalogue.category.astype(np.int64),
        )


@dataclass(frozen=True)
class Taste:
    """Draws products by popularity, often those of a person's favourite category."""

    draws: Draws
    products: Array  # int64, by category
    cumulative: Array  # float64 [products + 1], popularity up to each
    first: Array  # int64 [categories + 1], the place of each category's first product

    @classmethod
    def of(cls, seed: int, catalogue: Catalogue) -> Taste:
        """The tastes of the people of a world."""
        products = np.argsort(catalogue.category, kind="stable")
        cumulative = np.concatenate([[0.0], np.cumsum(catalogue.popularity[products])])
        first = np.searchsorted(catalogue.category[products], np.arange(len(CATEGORIES) + 1))
        return cls(Draws(seed, "clickstream.taste"), products, cumulative, first)

    def choose(self, person: Array, of: Array, key: Array) -> Array:
        """The product of each row (int64).

        Args:
            person: int64 [sessions].
            of: int64 [rows], the position of each row's session.
            key: int64 [rows], of the row's draws.
        """
        # A favourite is drawn by the popularity of its products: empty ones never are.
        edges = self.cumulative[self.first]
        favourite = self.draws("favourite").choice(np.diff(edges), person)[of]
        share = self.draws("product").uniform(key)
        narrow = self.draws("narrow").chance(FAVOURITE, key)
        low = np.where(narrow, edges[favourite], 0.0)
        high = np.where(narrow, edges[favourite + 1], self.cumulative[-1])
        place = np.searchsorted(self.cumulative, low + share * (high - low), side="right") - 1
        return np.asarray(self.products[np.clip(place, 0, len(self.products) - 1)])
