"""Which generated company stands in some databases, and how far it has lived."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from data_generators.args import WorldArgs
from data_generators.sinks.marker import ForeignDataError, Marker
from data_generators.sinks.mongo import mongo_marker
from data_generators.sinks.mysql import mysql_marker
from data_generators.sinks.postgres import postgres_marker

_READERS: Mapping[str, Callable[[Any], Marker | None]] = {
    "mysql": mysql_marker,
    "postgres": postgres_marker,
    "mongo": mongo_marker,
}


@dataclass(frozen=True)
class Standing:
    """A company in databases.

    ``until`` is the day up to which all of ``databases`` hold it; ``complete`` says that none
    of them was left half-written.
    """

    args: WorldArgs
    until: date
    databases: tuple[str, ...]
    complete: bool


def standing_world(**databases: Any) -> Standing | None:
    """The company that these databases hold; None where none holds one. Changes nothing.

    A database that is empty, or holds what was not generated here, is passed over.

    Args:
        databases: connections by ``mysql``, ``postgres`` and ``mongo``, as `generate` takes them.

    Raises:
        WorldMismatchError: an earlier version of AMATO has made the company.
    """
    markers: dict[str, Marker] = {}
    for name, connection in databases.items():
        try:
            marker = _READERS[name](connection)
        except ForeignDataError:  # a sales file, or somebody's own shop
            continue
        if marker is not None:
            markers[name] = marker
    if not markers:
        return None
    marker = next(iter(markers.values()))
    args = WorldArgs(
        int(marker.seed),
        float(marker.scale),
        int(marker.days),
        date.fromisoformat(marker.as_of),
        effects=marker.effects,
        defects=marker.defects,
    )
    return Standing(
        args,
        min(date.fromisoformat(marker.until) for marker in markers.values()),
        tuple(markers),
        all(marker.state == "complete" for marker in markers.values()),
    )
