"""The collection ``events``: what people did on the pages, and the experiments they were in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from data_generators.company.visits import ABANDONER, CONVERTER
from data_generators.groups import first_rows, within
from data_generators.randomness import Draws
from data_generators.tables.clickstream.chunk import (
    CHUNK,
    Chunk,
    child_rows,
    chunks,
    moments,
)
from data_generators.tables.clickstream.pages import lay_out
from data_generators.tables.clickstream.session_rows import user_agents
from data_generators.tables.clickstream.vocabulary import EVENTS, Shop, Taste
from data_generators.tables.keys import numbered
from data_generators.tables.rows import Coded, Rows

if TYPE_CHECKING:
    from data_generators.company.world import World

Array = npt.NDArray[Any]

TYPES = (*EVENTS, "experiment_exposure", "experiment_conversion")
CLICK, SCROLL, VIDEO_PLAY, ADD_TO_CART, CHECKOUT_START, PURCHASE, EXPOSURE, CONVERSION = range(8)
#: What people do who put nothing into the cart; and those who do.
LOOKING = np.array([55, 36, 9, 0, 0])
BUYING = np.array([46, 30, 6, 14, 4])
#: Places on the screen that are told apart.
POSITIONS = 64


@dataclass(frozen=True)
class _Shown:
    """The exposures and conversions of all sessions: counts, and where each session's begin."""

    exposed: Array  # int64 [sessions]
    converted: Array  # int64 [sessions]
    first_exposed: Array  # int64 [sessions], index into Exposures
    first_converted: Array  # int64 [sessions], index into `conversions`
    conversions: Array  # int64, indices into Exposures

    @classmethod
    def of(cls, world: World) -> _Shown:
        size = len(world.sessions)
        conversions = np.flatnonzero(world.exposures.converted)
        exposed = np.bincount(world.exposures.session, minlength=size)
        converted = np.bincount(world.exposures.session[conversions], minlength=size)
        return cls(exposed, converted, first_rows(exposed), first_rows(converted), conversions)


@dataclass(frozen=True)
class _Events:
    """The events of a chunk's sessions: exposures, then actions, then conversions."""

    of: Array
    nth: Array  # 0-based in the session
    key: Array
    type: Array  # index into TYPES
    second: Array
    exposure: Array  # index into Exposures; -1


def events(world: World, size: int = CHUNK) -> Iterator[Rows]:
    """The rows of ``events``, by (session, time), of ``size`` sessions at a time."""
    shop, taste = Shop.of(world.catalogue), Taste.of(world.args.seed, world.catalogue)
    shown = _Shown.of(world)
    first = first_rows(world.sessions.events + shown.exposed + shown.converted)
    actions = _actions(Draws(world.args.seed, "clickstream.positions"))
    for chunk in chunks(world, size):
        yield _rows(chunk, shop, taste, shown, int(first[chunk.first]), actions)


def _actions(draws: Draws) -> list[dict[str, Any]]:
    """What is told of each type of action, at each of POSITIONS places."""
    place = np.arange(POSITIONS)
    across = draws("x").integers(0, 1000, place).tolist()
    down = draws("y").integers(0, 1000, place).tolist()
    return [
        {"element": kind, "position": {"x": x, "y": y}}
        for kind in EVENTS
        for x, y in zip(across, down, strict=True)
    ]


def _rows(
    chunk: Chunk,
    shop: Shop,
    taste: Taste,
    shown: _Shown,
    first: int,
    actions: list[dict[str, Any]],
) -> Rows:
    found = _find(chunk, shown)
    pages = lay_out(chunk, taste)
    number = first + np.arange(len(found.of))
    agents = user_agents(chunk)
    return child_rows(
        chunk,
        "events",
        found.of,
        number,
        found.second,
        {
            "event_id": numbered("EVT", number, 8),
            "event_type": Coded(found.type, list(TYPES)),
            "event_data": _data(chunk, found, actions),
            "page_url": Coded(pages.url[pages.at(found.of, found.second)], shop.urls),
            "user_agent": Coded(agents.codes[found.of], agents.pool),
        },
    )


def _find(chunk: Chunk, shown: _Shown) -> _Events:
    """The events of the chunk's sessions.

    A purchase is told the second that its order is placed, after everything but conversions.
    """
    sessions = chunk.world.sessions
    exposed, told = chunk.of(shown.exposed), chunk.of(sessions.events)
    count = exposed + told + chunk.of(shown.converted)
    of, nth = within(count)
    key = chunk.draws("events").keys(chunk.key[of], nth - exposed[of])
    stage, action = chunk.of(sessions.stage)[of], nth - exposed[of]
    type_ = _types(chunk, stage, action, told[of] - action, key)
    exposure = np.full(len(of), -1)
    early = action < 0
    type_[early] = EXPOSURE
    exposure[early] = chunk.of(shown.first_exposed)[of[early]] + nth[early]
    late = action >= told[of]
    type_[late] = CONVERSION
    after = action[late] - told[of[late]]
    exposure[late] = shown.conversions[chunk.of(shown.first_converted)[of[late]] + after]

    buys = chunk.of(sessions.stage) == CONVERTER
    before = np.where(buys, exposed + told - 1, count)
    share = chunk.draws("events.time").uniform(key)
    second = moments(chunk, of, nth, np.maximum(before, 1), share)
    bought = buys[of] & (nth >= before[of])
    second[bought] = chunk.lead[of[bought]]
    rest = (chunk.of(sessions.seconds) - chunk.lead)[of]
    since = bought & late
    part = (nth - before[of] - 1 + share) / np.maximum(chunk.of(shown.converted), 1)[of]
    second[since] += np.floor(rest * part).astype(np.int64)[since]
    return _Events(of, nth, key, type_, second, exposure)


def _types(chunk: Chunk, stage: Array, action: Array, left: Array, key: Array) -> Array:
    """The type of each action; ``left`` counts it and those that follow."""
    draws = chunk.draws("events.type")
    carts = (stage == ABANDONER) | (stage == CONVERTER)
    type_ = np.where(carts, draws.choice(BUYING, key), draws.choice(LOOKING, key))
    type_[(stage == ABANDONER) & (left == 1)] = ADD_TO_CART
    for last, type_then in enumerate((PURCHASE, CHECKOUT_START, ADD_TO_CART), 1):
        type_[(stage == CONVERTER) & (left == last)] = type_then
    return type_


def _data(chunk: Chunk, found: _Events, actions: list[dict[str, Any]]) -> Coded:
    """What is told of each event."""
    world = chunk.world
    position = chunk.draws("events.position").integers(0, POSITIONS, found.key)
    codes = found.type * POSITIONS + position
    pool = list(actions)

    tests = np.flatnonzero(found.exposure >= 0)
    exposure = found.exposure[tests]
    arms, arm = np.unique(
        world.exposures.test[exposure] * 2 + world.exposures.variant[exposure],
        return_inverse=True,
    )
    codes[tests] = len(pool) + arm
    pool += [{"test_id": f"TEST_{n // 2 + 1:04d}", "variant": "AB"[n % 2]} for n in arms.tolist()]

    bought = np.flatnonzero(found.type == PURCHASE)
    codes[bought] = len(pool) + np.arange(len(bought))
    order = chunk.of(world.sessions.order)[found.of[bought]]
    pool += [
        {"transaction_id": f"TXN_{n + 1:08d}", "value": cents / 100}
        for n, cents in zip(order.tolist(), chunk.bought.total_cents.tolist(), strict=True)
    ]
    return Coded(codes, pool)
