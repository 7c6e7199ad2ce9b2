"""Business keys, and the times a row has seen by ``until``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

#: Rows (or orders) whose columns are made at once.
CHUNK = 20_000
_ZERO = ord("0")


def chunks(count: int, size: int = CHUNK) -> Iterator[Array]:
    """The numbers from 0 to ``count - 1``, in arrays of up to ``size``."""
    for start in range(0, count, size):
        yield np.arange(start, min(start + size, count))


def numbered(prefix: str, number: Array, digits: int = 6) -> Array:
    """``prefix_000001`` for number 0 and on: fixed-width bytes, or objects past all digits."""
    shown = np.asarray(number, dtype=np.int64) + 1
    if len(shown) and int(shown.max()) >= 10**digits:
        text = np.empty(len(shown), dtype=object)
        text[:] = [f"{prefix}_{n:0{digits}d}" for n in shown.tolist()]
        return text
    head = np.frombuffer(f"{prefix}_".encode(), dtype=np.uint8)
    letters = np.empty((len(shown), len(head) + digits), dtype=np.uint8)
    letters[:, : len(head)] = head
    for place in range(digits):
        shown, digit = np.divmod(shown, 10)
        letters[:, -1 - place] = digit + _ZERO
    return letters.view(f"S{letters.shape[1]}").reshape(-1)


def texts(values: list[Any]) -> Array:
    """An object array of one element a value (also where the values are lists)."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def never(count: int) -> Array:
    """Times that have not come: NaT, for ``count`` rows."""
    return np.full(count, np.datetime64("NaT", "s"))


def latest(times: Array, before: Array) -> tuple[Array, Array]:
    """Of rising times [rows x slots]: how many lie before ``before``, and the last of those.

    Where none does, the count is 0 and the time NaT.
    """
    seen = times < before[:, None]
    count = seen.sum(axis=1)
    last = times[np.arange(len(times)), np.maximum(count - 1, 0)]
    return count, np.where(count > 0, last, np.datetime64("NaT", "s"))
