"""PostgreSQL's ``hashtextextended(text, 0)``, for many texts of one length at once.

The function is Bob Jenkins' lookup3 as in PostgreSQL's ``src/common/hashfn.c``; partitioning
by hash depends on it, so that servers cannot change it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint32]


def hash_texts(texts: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The hashes of texts of equal length: an array of shape (texts, bytes each)."""
    count, length = texts.shape
    padded = np.zeros((count, (max(length, 1) + 11) // 12 * 12), np.uint8)
    padded[:, :length] = texts
    words: Any = padded.view("<u4")
    a: Words = np.full(count, (0x9E3779B9 + length + 3923095) & 0xFFFFFFFF, np.uint32)
    b, c = a.copy(), a.copy()
    whole, rest = divmod(length, 12)
    for block in range(whole):
        a = a + words[:, 3 * block]
        b = b + words[:, 3 * block + 1]
        c = c + words[:, 3 * block + 2]
        a, b, c = _mix(a, b, c)
    if rest:
        a = a + words[:, 3 * whole]
        b = b + words[:, 3 * whole + 1]
        # The lowest byte of c is kept for the length.
        c = c + (words[:, 3 * whole + 2] << np.uint32(8))
    b, c = _final(a, b, c)
    hashes = (b.astype(np.uint64) << np.uint64(32)) | c.astype(np.uint64)
    return hashes.view(np.int64)


def _rotated(x: Words, bits: int) -> Words:
    return (x << np.uint32(bits)) | (x >> np.uint32(32 - bits))


def _mix(a: Words, b: Words, c: Words) -> tuple[Words, Words, Words]:
    for first, second, third in ((4, 6, 8), (16, 19, 4)):
        a = (a - c) ^ _rotated(c, first)
        c = c + b
        b = (b - a) ^ _rotated(a, second)
        a = a + c
        c = (c - b) ^ _rotated(b, third)
        b = b + a
    return a, b, c


def _final(a: Words, b: Words, c: Words) -> tuple[Words, Words]:
    c = (c ^ b) - _rotated(b, 14)
    a = (a ^ c) - _rotated(c, 11)
    b = (b ^ a) - _rotated(a, 25)
    c = (c ^ b) - _rotated(b, 16)
    a = (a ^ c) - _rotated(c, 4)
    b = (b ^ a) - _rotated(a, 14)
    c = (c ^ b) - _rotated(b, 24)
    return b, c
