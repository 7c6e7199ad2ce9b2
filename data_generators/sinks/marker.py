"""The marker that a generated world leaves in a database, and what it allows.

Every database that holds a generated world has a table (or collection) ``amato_world`` with
one row: the world's arguments, the day up to which it is written, and the state of the
writing. A database with rows but no marker is somebody else's, and is never touched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import date
from typing import Any

from data_generators.args import EFFECTS, WorldArgs
from data_generators.defects.catalogue import DEFECTS

MARKER = "amato_world"


class WorldMismatchError(RuntimeError):
    """The database holds a world of other arguments."""


class ForeignDataError(RuntimeError):
    """The database holds data that was not generated here."""


@dataclass(frozen=True)
class Marker:
    """The arguments of the world in a database, as text, and how far it is written.

    ``state`` is ``writing`` while the days ``[since, until)`` are being written (MongoDB only:
    the others write in one transaction); ``since`` is empty when the database was empty before.
    """

    seed: str
    scale: str
    days: str
    as_of: str
    effects: str
    defects: str
    until: str
    since: str
    state: str  # writing, or complete

    @classmethod
    def of(cls, args: WorldArgs, until: date) -> Marker:
        """The marker of a world that is written up to ``until``."""
        return cls(
            str(args.seed),
            repr(float(args.scale)),
            str(args.days),
            str(args.as_of),
            effects_text(args),
            defects_text(args),
            str(until),
            since="",
            state="complete",
        )

    @classmethod
    def read(cls, where: str, stored: Mapping[str, Any]) -> Marker:
        """The marker as it is stored.

        Raises:
            WorldMismatchError: an earlier version of AMATO has left it.
        """
        names = [column.name for column in fields(cls)]
        if any(stored.get(name) is None for name in names):
            raise WorldMismatchError(
                f"{where} holds a world of an earlier version: run `make clean` first"
            )
        return cls(**{name: str(stored[name]) for name in names})

    @property
    def company(self) -> str:
        """The arguments, for comparison and messages."""
        return (
            f"SEED={self.seed} SCALE={self.scale} DAYS={self.days} EFFECTS={self.effects}"
            f" DEFECTS={self.defects}"
        )

    def writing(self, since: date | None) -> Marker:
        """The same, not yet there: the days since ``since`` (None: all) are being written."""
        return replace(self, state="writing", since="" if since is None else str(since))

    def stored(self) -> dict[str, str]:
        """What `read` reads."""
        return asdict(self)


@dataclass(frozen=True)
class Plan:
    """What to do with a database: bring it from ``since`` (None: from empty) to the target.

    ``resumed`` says that a writer of the same days was interrupted.
    """

    write: bool
    since: date | None = None
    resumed: bool = False


def check_foreign(where: str, found: Marker | None, filled: Sequence[str]) -> None:
    """Refuse a database that has rows (in the tables ``filled``) and no marker.

    Raises:
        ForeignDataError: it is so.
    """
    if found is None and filled:
        raise ForeignDataError(
            f"{where} holds data that was not generated here (in {', '.join(filled)}): nothing "
            "was written; generate into an empty database, or use this one as it is"
        )


def target(
    args: WorldArgs, until: date | None, standing: Mapping[str, Marker]
) -> tuple[WorldArgs, date]:
    """The world to write, and the day to write it up to.

    Where databases hold a world (``standing``: by what they are called), ``args`` must be its
    arguments, but ``as_of`` may be later: what comes after the end of the standing base history
    are added days. A company has one present: all go to the latest day of the asked and the
    standing ones, and none ever goes back.

    Raises:
        WorldMismatchError: a database holds a world of other arguments.
    """
    asked = Marker.of(args, args.as_of)
    for where, marker in standing.items():
        as_of = date.fromisoformat(marker.as_of)
        if marker.company != asked.company or as_of > args.as_of:
            raise WorldMismatchError(
                f"{where} holds the world {marker.company} AS_OF={as_of}, not {asked.company} "
                f"AS_OF={args.as_of}: one platform holds one world; use the former arguments, or "
                "run `make clean` first"
            )
    bases = {date.fromisoformat(marker.as_of) for marker in standing.values()}
    if len(bases) > 1:
        raise WorldMismatchError(
            f"the databases hold worlds of different AS_OF ({', '.join(map(str, sorted(bases)))}): "
            "run `make clean` first"
        )
    days = [date.fromisoformat(marker.until) for marker in standing.values()]
    last = max([args.as_of, *days] if until is None else [args.as_of, until, *days])
    return (replace(args, as_of=bases.pop()) if bases else args), last


def plan(where: str, found: Marker | None, wanted: Marker) -> Plan:
    """Say what must be written so that a database is as ``wanted`` says.

    Raises:
        WorldMismatchError: it holds a world of other arguments, or of a later day.
    """
    if found is None:
        return Plan(write=True)
    if (found.company, found.as_of) != (wanted.company, wanted.as_of) or found.until > wanted.until:
        raise WorldMismatchError(f"{where} was written by another process meanwhile: {found}")
    if found.state == "complete":
        return Plan(found.until < wanted.until, date.fromisoformat(found.until))
    return Plan(True, date.fromisoformat(found.since) if found.since else None, resumed=True)


def effects_text(args: WorldArgs) -> str:
    """The planted effects in one spelling, which `parse_effects` reads."""
    if args.planted == set(EFFECTS):
        return "all"
    return ",".join(sorted(args.planted)) or "none"


def defects_text(args: WorldArgs) -> str:
    """The rates of defects in one spelling, which `parse_defects` reads."""
    rates = args.defect_rates.rates
    planted = {name: rate for name, rate in rates.items() if rate > 0}
    pairs = [f"{name}={rate!r}" for name, rate in sorted(planted.items())]
    standard = {defect.id: defect.rate for defect in DEFECTS}
    other = [
        f"{name}={rates.get(name, 0.0)!r}"
        for name in sorted(standard)
        if rates.get(name, 0.0) != standard[name]
    ]
    start, text = ("default", other) if len(other) < len(pairs) else ("none", pairs)
    return ",".join([start, *text])
