"""How long sessions last, and how many rows of each kind they have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from data_generators.company.stages import (
    ABANDONER,
    BROWSER,
    CONVERTER,
    RETURN_VISITOR,
    VISITOR,
)
from data_generators.randomness import Draws

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

#: Rows per session of the base history; the events include those of experiments.
PAGES, EVENTS, INTERACTIONS, SEARCHES = 8.0, 6.0, 4.0, 3.0
#: Experiments bring this many events per session, or so many times the scale where that is less:
#: in a small world there are few tests, and few people for each (`exposures.track`).
EXPOSURES, EXPOSURES_PER_SCALE = 0.45, 1.6
#: Visitors that see the landing page only.
BOUNCES = 0.6
#: Relative numbers of further pages, by stage; and of a bot.
MORE_PAGES = np.zeros(5)
MORE_PAGES[[VISITOR, BROWSER, CONVERTER, ABANDONER, RETURN_VISITOR]] = (4, 6, 8, 9, 8)
MORE_PAGES_OF_BOT = 40
#: Share of a product page among the further pages.
OF_PRODUCTS = 0.4
#: Seconds on a page on average: of people, and from which on of bots.
DWELL, DWELL_OF_BOT = 38.0, 0.5
#: A converting session goes on for so many seconds after its order.
AFTER_ORDER = (15, 240)
LONGEST = 4 * 3600


@dataclass(frozen=True)
class Depth:
    """Numbers of rows per session, as in Sessions; int64."""

    pages: Array
    products: Array
    interactions: Array
    searches: Array
    events: Array


def make_depth(
    draws: Draws,
    key: Array,
    stage: Array,
    bot: Bools,
    lines: Array,
    base: Bools,
    scale: float,
) -> Depth:
    """The numbers of rows, each of which has its mean in the base history.

    Args:
        draws: the draws of the visits.
        key: int64 [sessions].
        stage: int8 [sessions].
        bot: bool [sessions].
        lines: int64 [sessions], the lines of the order that it ends in; 0.
        base: bool [sessions], whether it starts in the base history.
        scale: of the world; says how many events experiments add to those made here.
    """
    fixed, seen = _required_pages(stage, lines)
    bounces = (stage == VISITOR) & draws("bounces").chance(BOUNCES, key)
    more = np.where(bot, MORE_PAGES_OF_BOT, MORE_PAGES[stage])
    more = np.where(bounces & ~bot, 0.0, more) * np.exp(0.7 * draws("pages").normal(key) - 0.245)
    pages = _up_to_mean(draws("pages.part"), key, fixed + seen, more, base, PAGES)
    further = pages - fixed - seen
    chosen = np.floor(OF_PRODUCTS * further + draws("products").uniform(key)).astype(np.int64)
    products = np.where(stage == VISITOR, 0, seen + chosen)

    sold = np.where(stage == CONVERTER, 2 * lines, (stage == ABANDONER).astype(np.int64))
    acts = products * draws("interactions").exponential(key)
    interactions = _up_to_mean(
        draws("interactions.part"), key, products + sold, acts, base, INTERACTIONS
    )
    asks = np.where(bot, 0.0, (pages - 1) * draws("searches").exponential(key))
    searches = _up_to_mean(
        draws("searches.part"), key, np.zeros(len(key), np.int64), asks, base, SEARCHES
    )
    # One of a bot tells its user agent; of a purchase, what led to it.
    told = np.where(stage == CONVERTER, 3, ((stage == ABANDONER) | bot).astype(np.int64))
    moves = np.where(bot, 1.0, pages) * 0.5 * draws("events").exponential(key)
    moves += 0.5 * np.where(bot, 1.0, pages)
    wanted = EVENTS - min(EXPOSURES, EXPOSURES_PER_SCALE * scale)
    events = _up_to_mean(draws("events.part"), key, told, moves, base, wanted)
    return Depth(pages, products, interactions, searches, events)


def _required_pages(stage: Array, lines: Array) -> tuple[Array, Array]:
    """The pages that the stage's signature needs: others (the landing too), and products."""
    fixed = np.ones(len(stage), dtype=np.int64)
    fixed += (stage == RETURN_VISITOR) | (stage == ABANDONER)  # the account; the cart
    fixed += 2 * (stage == CONVERTER)  # the cart and the checkout
    seen = np.where(stage == CONVERTER, lines, (stage != VISITOR).astype(np.int64))
    return fixed, seen


def _up_to_mean(
    draws: Draws, key: Array, required: Array, more: Floats, base: Bools, mean: float
) -> Array:
    """``required`` and further ones in proportion to ``more``, in all ``mean`` a base session.

    Rounding up or down at random keeps each expectation, so that the base history's total is
    met but for the rounding, whatever the draws.
    """
    missing = mean * base.sum() - required[base].sum()
    total = more[base].sum()
    factor = max(0.0, missing / total) if total > 0 else 0.0
    return required + np.floor(factor * more + draws.uniform(key)).astype(np.int64)


def durations(draws: Draws, key: Array, bot: Bools, pages: Array, lead: Array) -> Array:
    """The seconds of each session; ``lead`` is those before its order is placed, -1 for none."""
    dwell = np.where(
        bot,
        DWELL_OF_BOT + 1.5 * draws("dwell.bot").uniform(key),
        DWELL * np.exp(0.6 * draws("dwell").normal(key) - 0.18),
    )
    # Who sees one page only does not look at it for long.
    dwell = np.where((pages == 1) & ~bot, dwell * 0.4, dwell)
    seconds = np.clip(np.floor(pages * dwell), np.maximum(1, pages // 2), LONGEST)
    bought = lead + draws("after").integers(*AFTER_ORDER, key)
    return np.where(lead >= 0, bought, seconds.astype(np.int64))
