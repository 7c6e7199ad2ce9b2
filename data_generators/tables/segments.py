"""The tables ``customer_segments`` and ``customer_segment_mapping``.

The shop scores each customer some weeks after its registration and reviews it from time to
time; a customer that moves to another segment gets a new row. The latent segment is assigned
with an accuracy of 85 %, at every time: a review corrects a wrong segment as often as another
review spoils a right one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from data_generators.args import DEFAULT_DAYS
from data_generators.company.customers import SEGMENTS
from data_generators.randomness import Draws
from data_generators.tables.keys import CHUNK, never, numbered, texts
from data_generators.tables.rows import Coded, Column, Rows
from data_generators.timeline import DAY
from elt.specs import BY_NAME

if TYPE_CHECKING:
    from data_generators.company.world import World

Array = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]

#: Of each of SEGMENTS: orders and total value that the shop expects of it.
EXPECTED = ((20, 5000.0), (8, 1500.0), (3, 500.0), (1, 100.0), (0, 0.0))
ACCURACY = 0.85
#: Rows of the mapping in the base history at SCALE=1.
ROWS = 10_000
#: Days from the registration to the first score, and between reviews, in a default history.
FIRST_DAYS, REVIEW_DAYS = 45, 60


def customer_segments(world: World) -> Iterator[Rows]:
    """The rows of ``customer_segments``: the five segments, there from the start."""
    number = np.arange(len(SEGMENTS))
    made = np.full(len(number), world.args.start)
    columns: dict[str, Column] = {
        "segment_id": numbered("SEG", number, 3),
        "segment_name": texts(list(SEGMENTS)),
        "description": texts(
            [f"Customers with at least {orders} orders" for orders, _ in EXPECTED]
        ),
        "criteria": texts([{"min_orders": least} for least, _ in EXPECTED]),
        "target_value": np.array([value for _, value in EXPECTED]),
        "created_at": made,
        "updated_at": made,
    }
    yield Rows(BY_NAME["customer_segments"], number, columns, made, made, never(len(number)))


def customer_segment_mapping(world: World) -> Iterator[Rows]:
    """The rows of ``customer_segment_mapping``, by time of assignment."""
    customer, nth, segment, at = assignments(world)
    draws = Draws(world.args.seed, "table.mapping")
    ids = numbered("SEG", np.arange(len(SEGMENTS)), 3).astype(str).tolist()
    for start in range(0, len(customer), CHUNK):
        part = slice(start, start + CHUNK)
        keys = (customer[part], nth[part])
        columns: dict[str, Column] = {
            "customer_id": numbered("CUST", customer[part]),
            "segment_id": Coded(segment[part], ids),
            "assigned_date": at[part].astype("datetime64[D]"),
            "score": np.round(draws("score").beta(5, 2, *keys), 4),
            "confidence": np.round(draws("confidence").beta(8, 2, *keys), 4),
            "created_at": at[part],
        }
        yield Rows(
            BY_NAME["customer_segment_mapping"],
            np.arange(start, start + len(keys[0])),
            columns,
            made=at[part],
            changed=at[part],
            deleted=world.customers.erased[customer[part]],
            parents={"customers": customer[part]},
        )


def assignments(world: World) -> tuple[Ints, Ints, Ints, Array]:
    """Every row of the mapping before ``until``, in its order.

    Returns:
        Of each row: the customer, 0 for its first score or the number of the review that moved
        it, the segment, and the time.
    """
    draws, args = Draws(world.args.seed, "table.mapping"), world.args
    stretch = args.days / DEFAULT_DAYS
    people = np.arange(len(world.customers))
    first = _batch(draws, people, 0, world.customers.registered, FIRST_DAYS * stretch)
    reviews = int((world.until - args.start).astype(np.int64) / DAY / (REVIEW_DAYS * stretch)) + 1
    nth = np.arange(1, reviews + 1)
    later = _batch(draws, people[:, None], nth, first[:, None], nth * REVIEW_DAYS * stretch)
    changing = _changing(world, first, later)
    latent = world.customers.segment.astype(np.int64)
    segment = np.empty((len(people), reviews + 1), dtype=np.int64)
    moved = np.ones((len(people), reviews + 1), dtype=bool)
    right = draws("right").chance(ACCURACY, people)
    for k in range(reviews + 1):
        if k:
            chance = changing * np.where(right, 1 - ACCURACY, ACCURACY)
            moved[:, k] = draws("moves").chance(chance, people, k)
            right = right ^ moved[:, k]
        wrong = (latent + draws("wrong").integers(1, len(SEGMENTS), people, k)) % len(SEGMENTS)
        segment[:, k] = np.where(right, latent, wrong)
    at = np.concatenate([first[:, None], later], axis=1)
    ends = np.fmin(world.customers.erased, world.until)
    customer, number = np.nonzero(moved & (at < ends[:, None]))
    found = at[customer, number]
    order = np.lexsort((number, customer, found))
    customer, number = customer[order], number[order]
    return customer, number, segment[customer, number], found[order]


def mapping_sizes(world: World) -> tuple[int, int]:
    """The rows of the mapping before ``until``, and those of the base history."""
    at = assignments(world)[3]
    return len(at), int((at < world.args.end).sum())


def _batch(draws: Draws, people: Ints, nth: Any, since: Array, days: Any) -> Array:
    """When a nightly batch (03:00 to 04:00) reaches each customer, these days later."""
    date = (since + (np.asarray(days) * DAY).astype("timedelta64[s]")).astype("datetime64[D]")
    second = 3 * 3600 + draws("second").integers(0, 3600, people, nth)
    # On the next day at the earliest, so that nobody is scored before it registers.
    return np.asarray((date + 1).astype("datetime64[s]") + second.astype("timedelta64[s]"))


def _changing(world: World, first: Array, later: Array) -> float:
    """The share of moves in a review that makes the base history's rows as many as they are.

    A customer whose segment is right moves with this times 0.15, another with this times 0.85:
    2 x 0.15 x 0.85 of it on average.
    """
    args, base = world.args, world.customers.base
    firsts = int((first[:base] < args.end).sum())
    reviews = int((later[:base] < args.end).sum())
    wanted = args.count(ROWS) - firsts
    return float(np.clip(wanted / (2 * ACCURACY * (1 - ACCURACY) * max(reviews, 1)), 0, 1))
