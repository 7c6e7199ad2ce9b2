"""Counter-based random draws: each is a function of the seed, a name and the keys of its row.

A row's values therefore do not depend on which other rows are made beside it, in which order,
or up to which day: a part of a table, one day of it and the whole of it agree to the byte.
The generator is SplitMix64 (Steele, Lea and Flood, 2014), used as a counter-based one in the
sense of Salmon et al. (2011): the state is hashed from the keys instead of carried along.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31, _S12 = (np.uint64(n) for n in (30, 27, 31, 12))
_ONE = np.uint64(1)


def _mix(words: Words) -> Words:
    """SplitMix64's finaliser."""
    words = (words ^ (words >> _S30)) * _MIX_1
    words = (words ^ (words >> _S27)) * _MIX_2
    return np.asarray(words ^ (words >> _S31), dtype=np.uint64)


class Draws:
    """A named family of draws.

    The keys of each method are integer arrays (or scalars) that broadcast together, and name
    the row; the result has their shape. Two draws with the same name and the same keys are
    the same number, so give each purpose a name of its own: ``draws("order.status")``.
    """

    def __init__(self, seed: int, name: str = "") -> None:
        self.seed = seed
        self.name = name
        start = np.uint64(seed & 0xFFFFFFFFFFFFFFFF)
        label = np.uint64(zlib.crc32(name.encode()) | (zlib.crc32(name[::-1].encode()) << 32))
        with np.errstate(over="ignore"):
            self._state = _mix(_mix(np.asarray(start + _GOLDEN)) ^ (label * _GOLDEN))

    def __call__(self, name: str) -> Draws:
        """The family of this name within this one."""
        return Draws(self.seed, f"{self.name}.{name}")

    def words(self, *keys: Any) -> Words:
        """Uniform 64-bit words; also the way to make one key of several."""
        words: Words = self._state
        with np.errstate(over="ignore"):
            for key in keys:
                # int64 wraps to uint64 bit by bit; the +1 keeps key 0 from standing still.
                bits = np.asarray(key).astype(np.int64, copy=False).view(np.uint64)
                words = _mix((words ^ ((bits + _ONE) * _GOLDEN)) + _GOLDEN)
        return words

    def keys(self, *keys: Any) -> Ints:
        """One int64 key of several."""
        return self.words(*keys).view(np.int64)

    def uniform(self, *keys: Any) -> Floats:
        """Uniform in (0, 1): never 0, never 1."""
        # With 53 bits, the half that is added would round the largest up to 1.
        high = (self.words(*keys) >> _S12).astype(np.float64)
        return np.asarray((high + 0.5) * 2.0**-52)

    def integers(self, low: Any, high: Any, *keys: Any) -> Ints:
        """Integers in ``[low, high)``; the bounds may be arrays."""
        span = np.asarray(high) - np.asarray(low)
        return np.asarray(low + np.floor(self.uniform(*keys) * span), dtype=np.int64)

    def chance(self, probability: Any, *keys: Any) -> npt.NDArray[np.bool_]:
        """True with the given probability."""
        return np.asarray(self.uniform(*keys) < probability)

    def normal(self, *keys: Any) -> Floats:
        """Standard normal."""
        return np.asarray(special.ndtri(self.uniform(*keys)))

    def exponential(self, *keys: Any) -> Floats:
        """Exponential with mean 1."""
        return np.asarray(-np.log1p(-self.uniform(*keys)))

    def gamma(self, shape: Any, *keys: Any) -> Floats:
        """Gamma with the given shape and rate 1."""
        return np.asarray(special.gammaincinv(shape, self.uniform(*keys)))

    def beta(self, a: Any, b: Any, *keys: Any) -> Floats:
        """Beta(a, b)."""
        return np.asarray(special.betaincinv(a, b, self.uniform(*keys)))

    def poisson(self, mean: Any, *keys: Any) -> Ints:
        """Poisson, by inversion (means up to some hundreds; larger ones by `pdtrik`)."""
        u = self.uniform(*keys)
        mean = np.broadcast_to(np.asarray(mean, dtype=np.float64), u.shape)
        if mean.size and mean.max() > 200:
            return np.asarray(np.maximum(np.ceil(special.pdtrik(u, mean)), 0), dtype=np.int64)
        count = np.zeros(u.shape, dtype=np.int64)
        term = np.exp(-mean)
        below = term.copy()
        todo = u > below
        k = 0
        while todo.any():
            k += 1
            term = term * mean / k
            below = below + term
            count += todo
            # Where the sum has stopped growing, u lies in what rounding left out.
            todo &= (u > below) & (term > 1e-300)
        return count

    def binomial(self, trials: Any, probability: Any, *keys: Any) -> Ints:
        """Binomial, by inversion of its distribution function."""
        u = self.uniform(*keys)
        trials = np.broadcast_to(np.asarray(trials, dtype=np.float64), u.shape)
        probability = np.broadcast_to(np.asarray(probability, dtype=np.float64), u.shape)
        sure = (trials <= 0) | (probability <= 0) | (probability >= 1)
        safe_n, safe_p = np.where(sure, 1.0, trials), np.where(sure, 0.5, probability)
        drawn = np.ceil(special.bdtrik(u, safe_n, safe_p))
        drawn = np.clip(np.nan_to_num(drawn, nan=0.0), 0, safe_n)
        certain = np.where(probability >= 1, np.maximum(trials, 0), 0.0)
        return np.asarray(np.where(sure, certain, drawn), dtype=np.int64)

    def choice(self, weights: Sequence[float] | Array, *keys: Any) -> Ints:
        """Indices into ``weights`` (1-D, relative)."""
        cumulative = np.cumsum(np.asarray(weights, dtype=np.float64))
        at = np.searchsorted(cumulative, self.uniform(*keys) * cumulative[-1], side="right")
        return np.asarray(np.minimum(at, len(cumulative) - 1), dtype=np.int64)

    def choice_rows(self, weights: Array, *keys: Any) -> Ints:
        """One index for each row of ``weights`` (n x k, relative)."""
        cumulative = np.cumsum(np.asarray(weights, dtype=np.float64), axis=1)
        at = (cumulative <= (self.uniform(*keys) * cumulative[:, -1])[:, None]).sum(axis=1)
        return np.asarray(np.minimum(at, weights.shape[1] - 1), dtype=np.int64)
