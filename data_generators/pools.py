"""Pools of names and the product list: Faker fills them once, numpy samples from them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from faker import Faker

Array = npt.NDArray[Any]

PRODUCTS = 400
CATEGORIES = ("Books", "Clothing", "Electronics", "Garden", "Home", "Music", "Sports", "Toys")


def objects(values: Iterable[object]) -> Array:
    """An object array with one element a value (also where the values are lists)."""
    items = list(values)
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


def ids(prefix: str, count: int, digits: int = 6) -> Array:
    """``prefix_000001`` and on."""
    return objects(f"{prefix}_{number:0{digits}d}" for number in range(1, count + 1))


def pick(
    rng: np.random.Generator, pool: Sequence[object], size: int, p: Sequence[float] | None = None
) -> Array:
    """``size`` draws from a pool, as objects; ``p`` are relative weights."""
    weights = None if p is None else np.asarray(p) / np.sum(p)
    return objects(pool)[rng.choice(len(pool), size, p=weights)]


@dataclass(frozen=True)
class Pools:
    """What customers are called and where they live, and what is sold, by rising price.

    ``prices`` are cents.
    """

    first_names: list[str]
    last_names: list[str]
    streets: list[str]
    cities: list[str]
    states: list[str]
    jobs: list[str]
    product_words: list[str]
    product_ids: Array
    product_names: Array
    categories: Array
    prices: Array


@lru_cache(maxsize=8)
def make_pools(seed: int) -> Pools:
    """Fill the pools from the seed."""
    fake = Faker("en_US")
    fake.seed_instance(seed)
    rng = np.random.default_rng([seed, 0])
    categories = pick(rng, CATEGORIES, PRODUCTS)
    words = [fake.color_name() for _ in range(PRODUCTS)]
    return Pools(
        first_names=[fake.first_name() for _ in range(400)],
        last_names=[fake.last_name() for _ in range(600)],
        streets=[fake.street_name() for _ in range(300)],
        cities=[fake.city() for _ in range(200)],
        states=[fake.state() for _ in range(50)],
        jobs=[re.sub(r"[^A-Za-z ].*", "", fake.job()).strip() for _ in range(80)],
        product_words=words,
        product_ids=ids("PROD", PRODUCTS, 4),
        product_names=objects(
            f"{word} {category} {number}"
            for number, (word, category) in enumerate(zip(words, categories, strict=True), 1)
        ),
        categories=categories,
        prices=np.sort(np.round(np.exp(rng.normal(7.9, 0.9, PRODUCTS))).astype(np.int64)),
    )
