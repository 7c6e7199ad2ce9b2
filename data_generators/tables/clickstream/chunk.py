"""Some consecutive sessions: what the rows of all five collections are made from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from data_generators.company.baskets import make_lines
from data_generators.company.orders import Lines
from data_generators.randomness import Draws
from data_generators.tables.keys import numbered
from data_generators.tables.rows import Coded, Column, Rows
from elt.specs import BY_NAME

if TYPE_CHECKING:
    from data_generators.company.world import World

Array = npt.NDArray[Any]

SITE = "https://shop.example.com"
#: Sessions whose rows are made at once.
CHUNK = 10_000


def chunks(world: World, size: int) -> Iterator[Chunk]:
    """All sessions, ``size`` at a time."""
    for first in range(0, len(world.sessions), size):
        yield Chunk(world, first, min(first + size, len(world.sessions)))


@dataclass(frozen=True)
class Chunk:
    """The sessions ``[first, last)``; arrays are by position in this range."""

    world: World
    first: int
    last: int

    def __len__(self) -> int:
        return self.last - self.first

    def of(self, values: Array) -> Array:
        """This part of one of the arrays of Sessions (or of any array as long)."""
        return values[self.first : self.last]

    def draws(self, name: str) -> Draws:
        """The draws of one collection."""
        return Draws(self.world.args.seed, f"clickstream.{name}")

    @cached_property
    def number(self) -> Array:
        """The number of each session."""
        return np.arange(self.first, self.last)

    @cached_property
    def key(self) -> Array:
        """The key of each session's draws."""
        return self.of(self.world.sessions.key)

    @cached_property
    def session_id(self) -> Array:
        """``SESS_00000001`` and on, as bytes."""
        return numbered("SESS", self.number, 8)

    @cached_property
    def customer(self) -> Array:
        """The customer that each session's document names (int64; -1)."""
        sessions = self.world.sessions
        return np.where(self.of(sessions.signed_in), self.of(sessions.person), -1)

    @cached_property
    def customer_id(self) -> Coded:
        """``CUST_000001`` and on, or null."""
        known, codes = np.unique(self.customer, return_inverse=True)
        nulls = int(np.searchsorted(known, 0))
        pool = numbered("CUST", known[nulls:]).astype(str).tolist()
        return Coded(np.maximum(codes.astype(np.int64) - nulls, -1), pool)

    @cached_property
    def lead(self) -> Array:
        """Seconds from the start to the order; of other sessions, to the end (int64)."""
        sessions = self.world.sessions
        order = self.of(sessions.order)
        lead = self.of(sessions.seconds).copy()
        buys = order >= 0
        placed = self.world.orders.placed[order[buys]]
        lead[buys] = (placed - self.of(sessions.start)[buys]).astype(np.int64)
        return lead

    @cached_property
    def bought(self) -> Lines:
        """The lines of the orders that the sessions end in, in the sessions' order."""
        world = self.world
        order = self.of(world.sessions.order)
        return make_lines(
            world.args,
            world.timeline,
            world.catalogue,
            world.customers,
            world.orders,
            order[order >= 0],
        )

    @cached_property
    def lines(self) -> Array:
        """The number of lines of each session's order (int64); 0 where there is none."""
        order = self.of(self.world.sessions.order)
        lines = np.zeros(len(self), dtype=np.int64)
        lines[order >= 0] = self.world.orders.lines[order[order >= 0]]
        return lines


def moments(chunk: Chunk, of: Array, nth: Array, count: Array, share: Array) -> Array:
    """Rising seconds into each session: one in each of ``count`` equal parts up to its lead."""
    return np.floor(chunk.lead[of] * ((nth + share) / count[of])).astype(np.int64)


def child_rows(
    chunk: Chunk, name: str, of: Array, number: Array, second: Array, columns: dict[str, Column]
) -> Rows:
    """The rows of a collection that belong to sessions, and were made before ``until``.

    Args:
        chunk: the sessions.
        name: of the collection.
        of: int64, the position of each row's session in the chunk.
        number: int64, of each row.
        second: int64, seconds from the session's start to the row's timestamp.
        columns: those that are not the same for all collections.
    """
    sessions = chunk.world.sessions
    time = chunk.of(sessions.start)[of] + second.astype("timedelta64[s]")
    made = time + np.timedelta64(1, "s")
    deleted = chunk.of(sessions.erased)[of]
    shared: dict[str, Column] = {
        "session_id": chunk.session_id[of],
        "customer_id": Coded(chunk.customer_id.codes[of], chunk.customer_id.pool),
        "timestamp": time,
        "created_at": made,
    }
    spec = BY_NAME[name]
    both = columns | shared
    rows = Rows(
        spec,
        number,
        {column.name: both[column.name] for column in spec.columns},
        made=made,
        changed=made,
        deleted=deleted,
        parents={"sessions": chunk.number[of], "customers": chunk.customer[of]},
    )
    # Of a visit during which its customer is erased, nothing is recorded from then on.
    here = (made < chunk.world.until) & (np.isnat(deleted) | (made < deleted))
    return rows if here.all() else rows.take(here)
