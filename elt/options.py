"""What a run may ask of its loads, beside the night."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class LoadOptions:
    """``full_refresh`` reads all of each table: the same code, without a lower bound.

    ``allow_deletes`` lets a load delete any number of rows. ``lag`` replaces the specs'; of
    restated tables each night reads the spec's trailing days, whatever the lag.
    """

    full_refresh: bool = False
    allow_deletes: bool = False
    lag: timedelta | None = None
