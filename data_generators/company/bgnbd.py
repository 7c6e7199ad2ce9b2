"""BG/NBD and Gamma-Gamma: how customers differ, how they buy, and the rate that fits a target.

BG/NBD (Fader, Hardie and Lee, "Counting Your Customers the Easy Way", Marketing Science 2005):
while alive a customer buys at a rate lambda ~ Gamma(r, alpha); after each purchase but the
first it drops out with chance p ~ Beta(a, b). Gamma-Gamma (Fader and Hardie, "The Gamma-Gamma
Model of Monetary Value", 2013): its orders are worth Gamma(p, nu) with nu ~ Gamma(q, gamma).
The parameters are those of the CDNOW customers; money is scaled to a mean order of about 77.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

from data_generators.randomness import Draws
from data_generators.timeline import WEEK

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]

R, ALPHA, A, B = 0.243, 4.414, 0.793, 2.426
P, Q, GAMMA = 6.25, 3.74, 15.44 * 2.2
#: Mean order value: P * GAMMA / (Q - 1).
MEAN_VALUE = P * GAMMA / (Q - 1)
#: The rate factor is looked for up to this; only worlds of a few customers come near it.
MAX_FACTOR = 64.0


@dataclass(frozen=True)
class Purchases:
    """Purchases by (customer, k); arrays of one length.

    ``at`` is in operational seconds, ``k`` 0 is the first purchase, ``churns`` says that the
    customer drops out after it.
    """

    customer: Array
    k: Array
    at: Floats
    churns: Array


def rates(share: Floats) -> Floats:
    """Lambda, in purchases a week, at these quantiles of its distribution."""
    return np.asarray(special.gammaincinv(R, share) / ALPHA)


def dropouts(share: Floats) -> Floats:
    """The chance p to drop out at these quantiles of its distribution."""
    return np.asarray(special.betaincinv(A, B, share))


def spend_rates(share: Floats) -> Floats:
    """Nu at these quantiles of its distribution."""
    return np.asarray(special.gammaincinv(Q, share) / GAMMA)


def simulate(
    draws: Draws, first: Floats, rate: Floats, dropout: Floats, horizon: float
) -> Purchases:
    """The purchases before ``horizon`` of customers 0 to n-1.

    Args:
        draws: keyed by (customer, k), so that purchases stand whatever the horizon is.
        first: operational second of each customer's first purchase; inf where there is none.
        rate: lambda, further purchases per operational week while alive.
        dropout: p, the chance to leave after each further purchase.
        horizon: operational seconds.
    """
    gap, leaves = draws("gap"), draws("dropout")
    who = np.flatnonzero(first < horizon)
    at = first[who]
    churns = np.zeros(len(who), dtype=bool)
    parts = []
    k = 0
    while len(who):
        parts.append((who, np.full(len(who), k), at, churns))
        k += 1
        who, at = who[~churns], at[~churns]
        with np.errstate(divide="ignore", over="ignore"):
            at = at + gap.exponential(who, k) * (WEEK / rate[who])
        before = at < horizon
        who, at = who[before], at[before]
        churns = leaves.chance(dropout[who], who, k)
    if not parts:
        none = np.zeros(0, dtype=np.int64)
        return Purchases(none, none, none.astype(np.float64), none.astype(bool))
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    by_customer = np.argsort(columns[0], kind="stable")
    return Purchases(*(column[by_customer] for column in columns))


def fit_rate_factor(
    draws: Draws, first: Floats, rate: Floats, dropout: Floats, horizon: float, target: float
) -> float:
    """The factor on all rates with which ``target`` purchases come before ``horizon``.

    A customer's gaps shrink as one with the factor, and who drops out after which purchase does
    not depend on it. Hence each further purchase comes in from a factor of its own on, and the
    one looked for is an order statistic of those. At most `MAX_FACTOR`, where the dropouts
    leave too few purchases whatever the rate is.
    """
    further = int(np.floor(target + 0.5)) - int((first < horizon).sum())
    if further <= 0:
        return 1.0 / MAX_FACTOR
    tried = 2.0
    while True:
        found = simulate(draws, first, rate * tried, dropout, horizon)
        again = found.k > 0
        if int(again.sum()) >= further or tried >= MAX_FACTOR:
            break
        tried *= 2
    begins = first[found.customer[again]]
    needed = np.sort(tried * (found.at[again] - begins) / (horizon - begins))
    if len(needed) < further:
        return MAX_FACTOR
    # A hair more, so that rounding does not lose the last purchase itself.
    return float(needed[further - 1] * (1 + 1e-9))
