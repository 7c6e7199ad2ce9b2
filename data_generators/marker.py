"""The marker that a written world leaves in a database, and what it allows.

Every database that holds a generated world has a table (or collection) ``amato_world`` with
one row: the world's arguments and its state. A database with rows but no marker is somebody
else's, and is never touched.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from data_generators.world import WorldArgs

MARKER = "amato_world"

State = Literal["writing", "complete"]
Action = Literal["nothing", "write", "rewrite"]


class WorldMismatchError(RuntimeError):
    """The database holds a world of other arguments."""


class ForeignDataError(RuntimeError):
    """The database holds data that was not generated here."""


@dataclass(frozen=True)
class Marker:
    """The arguments of the world in a database, as text, and its state."""

    seed: str
    scale: str
    days: str
    as_of: str
    state: str

    @classmethod
    def of(cls, args: WorldArgs, state: State) -> Marker:
        """The marker of a world."""
        return cls(str(args.seed), repr(float(args.scale)), str(args.days), str(args.as_of), state)

    @property
    def world(self) -> str:
        """The arguments, for messages."""
        return f"SEED={self.seed} SCALE={self.scale} DAYS={self.days} AS_OF={self.as_of}"


def decide(where: str, args: WorldArgs, found: Marker | None, filled: list[str]) -> Action:
    """Say what to do with a database: nothing, write, or wipe and write again.

    ``filled`` names the tables that have rows.

    Raises:
        WorldMismatchError: there is a world of other arguments.
        ForeignDataError: there are rows, and no marker.
    """
    if found is None:
        if filled:
            raise ForeignDataError(
                f"{where} holds data that was not generated here (in {', '.join(filled)}): nothing "
                "was written; generate into an empty database, or use this one as it is"
            )
        return "write"
    if found.world != Marker.of(args, "complete").world:
        raise WorldMismatchError(
            f"{where} holds the world {found.world}, not {Marker.of(args, 'complete').world}: one "
            "platform holds one world; use the former arguments, or run `make clean` first"
        )
    return "nothing" if found.state == "complete" else "rewrite"
