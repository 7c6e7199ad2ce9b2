"""What decides a world: its arguments, and which of its effects and defects are planted."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np

from data_generators.defects.catalogue import DefectRates, parse_defects

DEFAULT_DAYS = 730
MIN_DAYS = 30
#: What can be switched off, so that a world without it can be had.
EFFECTS = ("campaigns", "experiments", "churn", "segments", "stages")


def parse_effects(text: str) -> frozenset[str]:
    """Read ``all``, ``none``, a list like ``churn,segments``, or ``all,-campaigns``.

    What is left keeps its draws: without ``campaigns`` exactly the orders are missing that they
    cause, about 12 % of the purchases, so that two worlds show what campaigns do.

    Raises:
        ValueError: a name is unknown.
    """
    chosen: set[str] = set()
    for part in (part.strip() for part in text.split(",")):
        name = part.removeprefix("-")
        if part == "all":
            chosen |= set(EFFECTS)
        elif part == "none":
            continue
        elif name not in EFFECTS:
            raise ValueError(
                f"EFFECTS={text}: {part!r} is not an effect; give all, none, or some of "
                f"{', '.join(EFFECTS)} (all,-{EFFECTS[0]} for all but one)"
            )
        elif part.startswith("-"):
            chosen.discard(name)
        else:
            chosen.add(name)
    return frozenset(chosen)


@dataclass(frozen=True)
class WorldArgs:
    """What decides a world.

    ``scale`` 1 is 10,000 customers; ``days`` is the length of the history that ends before
    ``as_of`` 00:00 UTC. ``effects`` is read by `parse_effects`, ``defects`` by
    `data_generators.defects.catalogue.parse_defects`.

    Raises:
        ValueError: an argument is out of its range or cannot be read.
    """

    seed: int
    scale: float
    days: int
    as_of: date
    effects: str = "all"
    defects: str = "default"
    planted: frozenset[str] = field(init=False, repr=False, compare=False)
    defect_rates: DefectRates = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.seed < 0:
            raise ValueError(f"SEED must not be negative: {self.seed}")
        if not 0 < self.scale < float("inf"):
            raise ValueError(f"SCALE must be greater than 0: {self.scale}")
        if self.days < MIN_DAYS:
            raise ValueError(f"DAYS must be at least {MIN_DAYS}: {self.days}")
        object.__setattr__(self, "planted", parse_effects(self.effects))
        object.__setattr__(self, "defect_rates", parse_defects(self.defects))

    @property
    def start(self) -> np.datetime64:
        """The first second of the history."""
        return np.datetime64(self.as_of - timedelta(days=self.days), "s")

    @property
    def end(self) -> np.datetime64:
        """The second that the history ends before; added days come after it."""
        return np.datetime64(self.as_of, "s")

    def count(self, at_scale_1: float, least: int = 1) -> int:
        """A volume at this scale: rounded half up, at least ``least``."""
        return max(least, int(np.floor(at_scale_1 * self.scale + 0.5)))
