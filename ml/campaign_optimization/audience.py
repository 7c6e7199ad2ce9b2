"""How customers responded to the campaigns that reached them, and what that says of the next.

A customer responds to a campaign that reached it (through a followed link or an experiment
shown) when it orders in a session that the campaign brought. The probabilities are posterior
means of a beta-binomial model, whose prior is estimated from all customers: who was reached
seldom is taken for average, who was reached often for what they did.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import betaln
from scipy.stats import beta as beta_distribution

from ml.campaign_optimization.history import fetch

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_REACHED = """
select
    customer_id,
    coalesce(channel, 'unknown'),
    converting_sessions > 0,
    orders_last_touch::double precision,
    first_reached_at,
    last_reached_at
from marts.customer_campaigns
where last_reached_at < (%(as_of)s::date::timestamp at time zone 'UTC')
order by customer_id collate "C", campaign_id collate "C"
"""

_KNOWN = """
select distinct customer_id
from marts.dim_customers
where
    customer_id is not null
    and valid_from <= %(as_of)s::date
    and (valid_to is null or valid_to > %(as_of)s::date)
"""


@dataclass(frozen=True)
class Audience:
    """Customers (sorted ids), and R times that a campaign reached one of them: arrays [R].

    customer    index into customers
    channel     name of the campaign's channel
    responded   1.0 where an order was placed in a session that the campaign brought, else 0.0
    orders      purchases whose last touch is the campaign's
    first, last days, from 1970-01-01, on which the campaign first and last reached the customer
    """

    customers: tuple[str, ...]
    customer: Ints
    channel: NDArray[Any]
    responded: Floats
    orders: Floats
    first: Ints
    last: Ints

    def fingerprint(self) -> str:
        """Return the SHA-256 (hex) of all of it."""
        digest = hashlib.sha256("\x1f".join(self.customers).encode())
        digest.update("\x1f".join(self.channel.tolist()).encode())
        for values in (self.customer, self.responded, self.orders, self.first, self.last):
            digest.update(values.tobytes())
        return digest.hexdigest()

    def counts(self, since: date | None, until: date) -> tuple[Floats, Floats]:
        """Return how often each customer was reached and responded, in [since, until)."""
        chosen = self.last < _number(until)
        if since is not None:
            chosen &= self.first >= _number(since)
        size = len(self.customers)
        reached = np.bincount(self.customer[chosen], minlength=size).astype(np.float64)
        answers = np.bincount(self.customer[chosen], weights=self.responded[chosen], minlength=size)
        return reached, answers.astype(np.float64)


def _number(day: date) -> int:
    return (day - date(1970, 1, 1)).days


def read_audience(conn: psycopg.Connection, as_of: date) -> Audience:
    """Read who was known on the night of `as_of`, and which campaigns had reached them.

    Raises:
        MartMissingError: a mart or one of its columns does not exist.
    """
    known = sorted(str(row[0]) for row in fetch(conn, _KNOWN, as_of))
    index = {customer: i for i, customer in enumerate(known)}
    rows: list[Any] = [row for row in fetch(conn, _REACHED, as_of) if row[0] in index]

    def days(column: int) -> Ints:
        epoch = datetime(1970, 1, 1, tzinfo=UTC)
        return np.array([(row[column] - epoch) // timedelta(days=1) for row in rows], np.int64)

    return Audience(
        customers=tuple(known),
        customer=np.array([index[row[0]] for row in rows], dtype=np.int64),
        channel=np.array([row[1] for row in rows], dtype=object),
        responded=np.array([row[2] for row in rows], dtype=np.float64),
        orders=np.array([row[3] for row in rows], dtype=np.float64),
        first=days(4),
        last=days(5),
    )


@dataclass(frozen=True)
class ResponseRate:
    """A beta prior of the probability that a customer responds; an infinite weight pools all.

    mean    mean of the prior, in (0, 1)
    weight  how many campaigns' worth of evidence it is
    """

    mean: float
    weight: float

    def probability(self, reached: Floats, responded: Floats) -> Floats:
        """Return the posterior mean of each customer."""
        if not np.isfinite(self.weight):
            return np.full(len(reached), self.mean)
        result: Floats = (responded + self.mean * self.weight) / (reached + self.weight)
        return result

    def interval(self, reached: Floats, responded: Floats) -> tuple[Floats, Floats]:
        """Return the 95 % credible interval of each customer; a pooled rate has none of its own."""
        if not np.isfinite(self.weight):
            pooled = np.full(len(reached), self.mean)
            return pooled, pooled.copy()
        a = self.mean * self.weight + responded
        b = (1 - self.mean) * self.weight + reached - responded
        return beta_distribution.ppf(0.025, a, b), beta_distribution.ppf(0.975, a, b)


def pooled_rate(reached: Floats, responded: Floats) -> ResponseRate:
    """Return the simple answer: everybody responds as all do (Laplace's rule)."""
    return ResponseRate(float((responded.sum() + 1) / (reached.sum() + 2)), float("inf"))


def fit_rate(reached: Floats, responded: Floats) -> ResponseRate:
    """Fit the prior by maximum likelihood of the beta-binomial (its marginal likelihood).

    Where customers differ no more than chance makes them, the weight grows to its bound.
    """
    pooled = pooled_rate(reached, responded)
    seen = reached > 0
    if not seen.any():
        return pooled
    # Customers with the same counts are one term.
    pairs, times = np.unique(
        np.stack([reached[seen], responded[seen]], axis=1), axis=0, return_counts=True
    )
    n, k = pairs.T

    def loss(parameters: Floats) -> float:
        mean, weight = 1 / (1 + np.exp(-parameters[0])), np.exp(parameters[1])
        a, b = mean * weight, (1 - mean) * weight
        return -float(times @ (betaln(k + a, n - k + b) - betaln(a, b)))

    start = np.array([np.log(pooled.mean / (1 - pooled.mean)), np.log(20.0)])
    bounds = [(-10.0, 10.0), (np.log(0.5), np.log(10_000.0))]
    found = minimize(loss, start, method="L-BFGS-B", bounds=bounds)
    return ResponseRate(float(1 / (1 + np.exp(-found.x[0]))), float(np.exp(found.x[1])))


def channel_shares(audience: Audience, channels: tuple[str, ...]) -> Floats:
    """Return each customer's share of each channel's effect: [customers, channels].

    Shares of a channel sum to 1. They follow the posterior means of a gamma-Poisson model of the
    purchases that the channel's campaigns brought (prior by moments), so that a customer of whom
    nothing is known gets a small share, not none.
    """
    size = len(audience.customers)
    shares = np.empty((size, len(channels)))
    for c, name in enumerate(channels):
        own = audience.channel == name
        counts = np.bincount(
            audience.customer[own], weights=audience.orders[own], minlength=size
        ).astype(np.float64)
        mean, variance = float(counts.mean()), float(counts.var())
        if mean <= 0:
            shares[:, c] = 1.0 / size
            continue
        shape = mean**2 / max(variance - mean, 1e-3 * mean)
        weight = shape + counts
        shares[:, c] = weight / weight.sum()
    return shares
