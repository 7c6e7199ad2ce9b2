"""Finding the parameters of greatest likelihood, the same ones in every run."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import optimize
from threadpoolctl import threadpool_limits

Floats = NDArray[np.float64]


class NotFittedError(RuntimeError):
    """No parameters could be found for the data."""


def minimum(
    loss: Callable[[Floats], float], start: Floats, bounds: Sequence[tuple[float, float]], what: str
) -> Floats:
    """Return where `loss` is least within the bounds (L-BFGS-B).

    One thread: a sum split over threads may round differently from run to run.

    Raises:
        NotFittedError: the loss is nowhere finite; `what` names the model.
    """
    with threadpool_limits(limits=1):
        found = optimize.minimize(
            loss,
            start,
            method="L-BFGS-B",
            bounds=list(bounds),
            options={"ftol": 1e-13, "gtol": 1e-8, "maxiter": 500},
        )
    if not np.isfinite(found.fun):
        raise NotFittedError(f"{what} found no parameters: {found.message}")
    return np.asarray(found.x, dtype=np.float64)
