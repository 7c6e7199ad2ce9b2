"""The products: categories, popularity, and prices and costs over time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from faker import Faker
from scipy import special

from data_generators.args import WorldArgs
from data_generators.randomness import Draws
from data_generators.timeline import Timeline

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]

CATEGORIES = ("Books", "Clothing", "Electronics", "Garden", "Home", "Music", "Sports", "Toys")

PRODUCTS = 400
#: Zipf's exponent: the product of rank n sells in proportion to n to the power of minus this.
ZIPF = 1.0
#: Prices are lognormal in cents; the second figure spreads those of one category.
LOG_PRICE, LOG_PRICE_SPREAD = 7.05, 0.72
CATEGORY_LOG_PRICE = np.array([-0.4, 0.1, 0.7, 0.1, 0.3, -0.5, 0.2, -0.1])
LEAST_CENTS, MOST_CENTS = 99, 40_000
#: Chance of a lasting price change in a month, its mean and its spread (logarithms).
STEP_CHANCE, STEP_MEAN, STEP_SPREAD = 0.12, 0.01, 0.035
COST_STEP_CHANCE, COST_STEP_MEAN, COST_STEP_SPREAD = 0.08, 0.008, 0.03
#: Chance that a product is on promotion for a month, and the factors of the price then.
PROMOTION_CHANCE, PROMOTIONS = 0.03, np.array([0.80, 0.85, 0.90])
#: Cost over price at the start.
LEAST_COST, MOST_COST = 0.45, 0.75


@dataclass(frozen=True)
class Catalogue:
    """Row j is ``PROD_{j+1:04d}``. Prices and costs hold for a calendar month each.

    ``months`` are the first days of the months from the world's first on; month m's prices do
    not depend on how many months follow.
    """

    names: list[str]
    category: Array  # int8, index into CATEGORIES
    popularity: Array  # float64, Zipf weights, sum 1
    months: Array  # datetime64[M]
    price_cents: Array  # int64 [months x products]
    cost_cents: Array  # int64 [months x products]

    def month_of(self, times: Array) -> Array:
        """The index into ``months`` of each time."""
        return np.asarray((times.astype("datetime64[M]") - self.months[0]).astype(np.int64))


@lru_cache(maxsize=8)
def _words(seed: int) -> list[str]:
    """What the products are called: one word each."""
    fake = Faker("en_US")
    fake.seed_instance(seed)
    return [fake.color_name() for _ in range(PRODUCTS)]


def make_catalogue(args: WorldArgs, timeline: Timeline) -> Catalogue:
    """The catalogue of the months that the timeline touches."""
    draws = Draws(args.seed, "catalogue")
    product = np.arange(PRODUCTS)
    category = draws("category").integers(0, len(CATEGORIES), product).astype(np.int8)
    last = (timeline.until - np.timedelta64(1, "s")).astype("datetime64[M]")
    months = np.arange(timeline.start.astype("datetime64[M]"), last + 1)
    # Neither rank nor price knows of the other: popularity is no question of price.
    weight = (1.0 + _ranks(draws("popularity"), product)) ** -ZIPF
    spread = special.ndtri((_ranks(draws("price"), product) + 0.5) / PRODUCTS)
    level = LOG_PRICE + CATEGORY_LOG_PRICE[category] + LOG_PRICE_SPREAD * spread
    regular = np.exp(level + _path(draws("step"), months, _PRICE_STEPS))
    price = _ending_in_nine(regular * _promotions(draws("promotion"), months))
    ratio = LEAST_COST + (MOST_COST - LEAST_COST) * draws("cost").uniform(product)
    cost = np.exp(level + _path(draws("cost.step"), months, _COST_STEPS)) * ratio
    words = _words(args.seed)
    return Catalogue(
        names=[f"{words[j]} {CATEGORIES[category[j]]} {j + 1}" for j in product],
        category=category,
        popularity=weight / weight.sum(),
        months=months,
        price_cents=price,
        # No product is sold below its cost, promotions included.
        cost_cents=np.minimum(np.rint(cost), price * 95 // 100).astype(np.int64),
    )


_PRICE_STEPS = (STEP_CHANCE, STEP_MEAN, STEP_SPREAD)
_COST_STEPS = (COST_STEP_CHANCE, COST_STEP_MEAN, COST_STEP_SPREAD)


def _ranks(draws: Draws, product: Array) -> Array:
    """A random rank, from 0 on, of each product."""
    ranks = np.empty(len(product), dtype=np.int64)
    ranks[np.argsort(draws.words(product), kind="stable")] = product
    return ranks


def _path(draws: Draws, months: Array, steps: tuple[float, float, float]) -> Floats:
    """Logarithms [months x products] of what has been added to a price since the first month."""
    chance, mean, spread = steps
    month, product = months.astype(np.int64)[:, None], np.arange(PRODUCTS)
    moves = draws("when").chance(chance, month, product)
    size = mean + spread * draws("size").normal(month, product)
    change = np.where(moves, size, 0.0)
    change[0] = 0.0
    return np.asarray(np.cumsum(change, axis=0))


def _promotions(draws: Draws, months: Array) -> Floats:
    """The factor [months x products] that promotions put on prices; 1 where there is none."""
    month, product = months.astype(np.int64)[:, None], np.arange(PRODUCTS)
    on = draws("when").chance(PROMOTION_CHANCE, month, product)
    return np.where(on, PROMOTIONS[draws("by").integers(0, len(PROMOTIONS), month, product)], 1.0)


def _ending_in_nine(cents: Floats) -> Array:
    """Whole cents, ending in 9 as shelf prices do."""
    clipped = np.clip(cents, LEAST_CENTS, MOST_CENTS)
    return np.asarray((np.rint((clipped + 1) / 10) * 10 - 1).astype(np.int64))
