"""What is known of a campaign before its launch, and what became of campaigns.

Nothing here looks at a day at or after the launch (or after `until`, where that is earlier):
not at what the campaign then spent or sold, nor at campaigns created later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.campaign_optimization.config import SuccessConfig
from ml.campaign_optimization.history import NEVER, UNKNOWN, History

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NUMBERS = ("daily_budget", "channel_plan", "purchases", "recent_return", "season_cos", "season_sin")
FEATURES = (*NUMBERS, "channel", "campaign_type", "audience")
"""What success is predicted from, all of it known before the launch.

daily_budget    log of the planned budget a day, in the shop's currency
channel_plan    log of what all campaigns of the channel plan a day, on average over its run
purchases       log of the company's purchases a day, in the weeks before
recent_return   log of the channel's return on ad spend in the months before
season_cos, season_sin      the time of the year of the middle of its run
channel, campaign_type, audience    one column for each that training knew
"""


@dataclass(frozen=True)
class Vocabulary:
    """The channels, types and audiences that have columns of their own, each sorted."""

    channels: tuple[str, ...]
    kinds: tuple[str, ...]
    audiences: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of all columns of the design."""
        return (
            *NUMBERS,
            *(f"channel:{name}" for name in self.channels),
            *(f"campaign_type:{name}" for name in self.kinds),
            *(f"audience:{name}" for name in self.audiences),
        )


def vocabulary(history: History, rows: Sequence[int]) -> Vocabulary:
    """Return the names that occur in some campaigns."""

    def names(values: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(sorted({values[i] for i in rows} - {UNKNOWN}))

    return Vocabulary(names(history.channel), names(history.kind), names(history.audience))


@dataclass(frozen=True)
class Plans:
    """Plans of N campaigns, with gaps filled from the others' medians: [N] each."""

    days: Floats
    daily_budget: Floats
    ends: Floats


def plans(history: History) -> Plans:
    """Return what each campaign plans: days, budget a day, last day."""
    known = history.planned_days().astype(np.float64)
    usual = float(np.median(known[known > 0])) if (known > 0).any() else 30.0
    days = np.where(known > 0, known, usual)
    daily = history.budget / days
    typical = float(np.median(daily[daily > 0])) if (daily > 0).any() else 1.0
    ends = np.where(history.ends >= NEVER, history.starts + days - 1, history.ends)
    return Plans(days, np.where(daily > 0, daily, typical), ends.astype(np.float64))


def numbers_before_launch(
    history: History, rows: Sequence[int], until: int, config: SuccessConfig
) -> Floats:
    """Return the features NUMBERS of some campaigns: [rows, 6].

    `until` is the first day that is not known: a campaign that starts later is seen as of then.
    """
    plan = plans(history)
    result = np.empty((len(rows), len(NUMBERS)))
    channels = np.array(history.channel, dtype=object)
    for k, i in enumerate(rows):
        now = max(min(int(history.starts[i]), until, history.days), 0)
        same = channels == history.channel[i]
        last = plan.ends[i]
        known = same & (history.created < max(now, 1)) & (np.arange(len(same)) != i)
        overlap = np.minimum(plan.ends, last) - np.maximum(history.starts, history.starts[i]) + 1
        beside = float((plan.daily_budget * np.maximum(overlap, 0.0))[known].sum() / plan.days[i])
        sold = history.purchases[max(now - config.purchase_days, 0) : now]
        middle = history.first_day.toordinal() + history.starts[i] + plan.days[i] / 2
        turn = 2 * np.pi * middle / 365.25
        result[k] = (
            np.log(plan.daily_budget[i]),
            np.log(plan.daily_budget[i] + beside),
            np.log(sold.mean() + 0.1 if len(sold) else 0.1),
            np.log(recent_return(history, same, now, config)),
            np.cos(turn),
            np.sin(turn),
        )
    return result


def recent_return(
    history: History, members: NDArray[np.bool_], now: int, config: SuccessConfig
) -> float:
    """Return the return on ad spend of some campaigns in the months before day `now`.

    It is shrunk towards that of all, and that towards the threshold, by a little spend of each.
    """
    since = max(now - config.recent_days, 0)
    spend, revenue = history.spend[:, since:now], history.revenue[:, since:now]
    spent = config.small_spend * 10
    overall = (revenue.sum() + config.success_roas * spent) / (spend.sum() + spent)
    own = (revenue[members].sum() + overall * spent) / (spend[members].sum() + spent)
    return float(max(own, 1e-2))


def design(
    history: History, rows: Sequence[int], until: int, words: Vocabulary, config: SuccessConfig
) -> Floats:
    """Return the design of some campaigns: [rows, columns of the vocabulary].

    The columns of a name are 1 where it is the campaign's and 0 elsewhere; unknown names have
    none.
    """
    blocks = [numbers_before_launch(history, rows, until, config)]
    for values, known in (
        (history.channel, words.channels),
        (history.kind, words.kinds),
        (history.audience, words.audiences),
    ):
        blocks.append(
            np.array([[float(values[i] == name) for name in known] for i in rows]).reshape(
                len(rows), len(known)
            )
        )
    return np.concatenate(blocks, axis=1)


@dataclass(frozen=True)
class Results:
    """What some campaigns have brought before a day.

    rows        indices into the history
    log_return  log of the return on ad spend so far, a little shrunk: [rows]
    weight      the share of the planned days that it rests on, in (0, 1]: [rows]
    """

    rows: Ints
    log_return: Floats
    weight: Floats


def results_before(history: History, until: int, config: SuccessConfig) -> Results:
    """Return the results, before day `until`, of campaigns that had run long enough by then."""
    known = max(min(until, history.days) - config.report_lag, 0)
    spend = history.spend[:, :known].sum(axis=1)
    revenue = history.revenue[:, :known].sum(axis=1)
    run = np.minimum(known, plans(history).ends + 1) - history.starts
    rows = np.flatnonzero((spend > 0) & (run >= config.least_days))
    little = config.small_spend
    overall = float(revenue.sum() / max(spend.sum(), 1e-9)) or 1.0
    returns = (revenue[rows] + overall * little) / (spend[rows] + little)
    share = np.clip(run[rows] / plans(history).days[rows], 0.05, 1.0)
    return Results(rows, np.log(np.maximum(returns, 1e-2)), share)


def outcomes_before(history: History, until: int, config: SuccessConfig) -> tuple[Ints, Floats]:
    """Return which campaigns had ended before `until`, and whether each was a success (0, 1).

    Ended means that its last day is over and its platform has corrected all of it.
    """
    known = max(min(until, history.days) - config.report_lag, 0)
    spend, revenue = history.spend.sum(axis=1), history.revenue.sum(axis=1)
    rows = np.flatnonzero((history.ends < known) & (spend > 0))
    return rows, (revenue[rows] >= config.success_roas * spend[rows]).astype(np.float64)


def outcomes_so_far(history: History, since: int, config: SuccessConfig) -> tuple[Ints, Floats]:
    """Return the campaigns launched on day `since` or later that have run long enough to tell.

    Whether each is a success so far (0, 1); for one that has ended that is what it was.
    """
    found = results_before(history, history.days, config)
    rows = found.rows[history.starts[found.rows] >= since]
    known = max(history.days - config.report_lag, 0)
    spend = history.spend[rows, :known].sum(axis=1)
    revenue = history.revenue[rows, :known].sum(axis=1)
    return rows, (revenue >= config.success_roas * spend).astype(np.float64)
