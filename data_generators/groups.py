"""Rows that belong to groups, in the groups' order: which group, and which of its rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def first_rows(counts: Array) -> Array:
    """The number of each group's first row (int64), for groups of ``counts`` rows."""
    return np.cumsum(counts) - counts


def within(counts: Array) -> tuple[Array, Array]:
    """For groups of ``counts`` rows: the group of each row, and which of its rows it is."""
    of = np.repeat(np.arange(len(counts)), counts)
    return of, np.arange(len(of)) - first_rows(counts)[of]
