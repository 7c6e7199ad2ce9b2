"""Names and places to draw from, by country; real names, so that some need more than ASCII."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from data_generators.company.customers import COUNTRIES
from data_generators.randomness import Draws

#: Faker's locale of each of COUNTRIES, and its name for what lies between city and country.
LOCALES = (
    ("en_US", "state"),
    ("en_GB", "county"),
    ("de_DE", "state"),
    ("fr_FR", "region"),
    ("en_CA", "province"),
    ("en_AU", "state"),
)
FIRST, LAST, STREETS, CITIES, STATES, JOBS = 120, 200, 80, 60, 16, 80
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Pool:
    """Some texts of each country: entry ``[country * size + k]`` is the country's k-th."""

    texts: list[str]
    size: int

    def draw(self, draws: Draws, country: Ints, *keys: Ints) -> Ints:
        """Codes (indices into ``texts``), drawn among those of the given countries."""
        return country * self.size + draws.integers(0, self.size, *keys)


@dataclass(frozen=True)
class Pools:
    """What customers are called, where they live and what they do."""

    first_names: Pool
    last_names: Pool
    streets: Pool
    cities: Pool
    states: Pool
    jobs: list[str]


@lru_cache(maxsize=4)
def pools(seed: int) -> Pools:
    """The pools of this seed."""
    from faker import Faker  # a third of a second, and only the writing of tables needs it

    fakes = []
    for country, (locale, _) in enumerate(LOCALES):
        fake = Faker(locale)
        fake.seed_instance(seed * len(COUNTRIES) + country)
        fakes.append(fake)
    regions = [getattr(fake, kind) for fake, (_, kind) in zip(fakes, LOCALES, strict=True)]

    def pool(makers: list[object], size: int) -> Pool:
        return Pool([make() for make in makers for _ in range(size)], size)  # type: ignore[operator]

    return Pools(
        first_names=pool([fake.first_name for fake in fakes], FIRST),
        last_names=pool([fake.last_name for fake in fakes], LAST),
        streets=pool([fake.street_name for fake in fakes], STREETS),
        cities=pool([fake.city for fake in fakes], CITIES),
        states=pool(regions, STATES),
        jobs=[re.sub(r"[^A-Za-z ].*", "", fakes[0].job()).strip() for _ in range(JOBS)],
    )


def local_part(name: str) -> str:
    """A name as e-mail addresses write it: small ASCII letters."""
    plain = unicodedata.normalize("NFKD", name.lower().replace("ß", "ss"))
    return re.sub(r"[^a-z]", "", plain)
