"""What the loader asks of a source: one table, seen at one moment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from elt.batch import Batch, Window
from elt.digest import Buckets, Digest
from elt.specs import TableSpec
from elt.values import Kind


@dataclass(frozen=True)
class SourceColumn:
    """One column that the source has.

    ``raw_type`` is the raw type that holds its values: exactly all of them where the source
    declares as much.
    """

    name: str
    kind: Kind
    raw_type: str
    nullable: bool = True
    unsigned: bool = False


class Snapshot(Protocol):
    """One table in one consistent view of its source, up to the night's bound.

    Rows whose cursor lies at or after the bound are in :meth:`held` and nowhere else. The
    methods are called one at a time, but not all from the same thread.
    """

    @property
    def columns(self) -> tuple[SourceColumn, ...] | None:
        """The source's own columns, or None where it declares none (MongoDB)."""

    @property
    def has_cursor(self) -> bool:
        """Whether a watermark can be kept: there is a cursor, and it is a time."""

    @property
    def first_buckets(self) -> Buckets:
        """How keys are divided at first: not at all where a second pass costs less."""

    def fields(self) -> dict[str, frozenset[str | None]]:
        """Undeclared fields met so far: the raw types of their values, None for none fitting."""

    def sample(self) -> None:
        """Look at some rows, so that :meth:`fields` knows the usual ones before the read."""

    def use(self, read: TableSpec) -> None:
        """Read these columns from now on, in this order; the source has all of them."""

    def held(self) -> Iterator[list[str]]:
        """The keys of rows at or after the bound, in lists of bounded length."""

    def read(self, window: Window) -> Iterator[Batch]:
        """The rows of a window, and all that have no usable cursor."""

    def read_keys(self, keys: Sequence[str]) -> Iterator[Batch]:
        """The rows of these keys, as far as there are any."""

    def read_nameless(self) -> Iterator[Batch]:
        """Rows that :meth:`digest` met and that no key can name."""

    def leave_out(self, keys: Sequence[str]) -> int:
        """Leave these rejected keys, which all exist, out of :meth:`digest` and :meth:`pairs`.

        Returns how many are: all, or none where a digest that differs costs little to look into.
        """

    def buckets(self, low: int | None, high: int | None) -> Buckets:
        """How to find what differs; ``low`` to ``high`` are the integer keys that raw has."""

    def digest(self, buckets: Buckets) -> Digest:
        """The digest of every row that has a key, computed by the source."""

    def pairs(self, buckets: Buckets, wanted: Sequence[int]) -> Iterator[bytes]:
        """Lines ``key TAB cursor`` of the rows in the wanted buckets, in COPY's text format."""
