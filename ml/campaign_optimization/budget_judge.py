"""Whether the curves say more of days they have not seen than the simple answers do.

What another budget would have brought cannot be seen; what the budgets of the held-out days did
bring can. Spend came in bursts and pauses, so that a model that is right about its effect foresees
the conversions of those days better (off-policy). All models are given the same purchases of the
company and the same spend, so that they differ by the effect of spending alone. The curves have to
beat the proportional answer and also the answer that spending has no effect: where there is none,
the latter is the truth, and no plan may be built on the former's weakness.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.campaign_optimization.bootstrap import least_mean
from ml.campaign_optimization.config import BudgetConfig
from ml.campaign_optimization.curves import (
    Curves,
    Daily,
    fit_curves,
    fit_no_effect,
    fit_proportional,
    log_likelihood,
    predicted,
)
from ml.metrics import Interval, Metric
from ml.model import Judgement

Floats = NDArray[np.float64]

BASELINE = "current_plan"


@dataclass(frozen=True)
class HeldOut:
    """Days that no model had seen: log likelihoods [days] of three models, and errors.

    conversions, foreseen and simple are those of all channels on each day.
    """

    curves: Floats
    proportional: Floats
    no_effect: Floats
    conversions: Floats
    foreseen: Floats
    simple: Floats


def _held_out(
    daily: Daily, first: int, last: int, curves: Curves, proportional: Curves, no_effect: Curves
) -> HeldOut:
    seen = daily.until(last)
    means = [predicted(model, seen) for model in (curves, proportional, no_effect)]
    own, simple, none = (log_likelihood(mean, seen)[first:] for mean in means)
    counted = np.where(seen.reported, seen.conversions, 0.0).sum(axis=0)[first:]
    totals = [mean.sum(axis=0)[first:] for mean in means]
    return HeldOut(own, simple, none, counted, totals[0], totals[1])


def rolling_days(daily: Daily, cutoff: int, config: BudgetConfig) -> tuple[HeldOut, ...]:
    """Foresee the days after each of the rolling origins before the cutoff, by fits of before."""
    parts = []
    for k in range(config.origins, 0, -1):
        origin = cutoff - k * config.origin_days
        known = daily.until(max(origin, 0))
        if origin < config.min_days or known.conversions.sum() < config.min_conversions:
            continue
        parts.append(
            _held_out(
                daily,
                origin,
                min(origin + config.origin_days, cutoff),
                fit_curves(known, config.curves),
                fit_proportional(known, config.curves),
                fit_no_effect(known, config.curves),
            )
        )
    return tuple(parts)


def judge_budget(
    daily: Daily,
    cutoff: int,
    challenger: Curves,
    baseline: Curves,
    older: Curves | None,
    config: BudgetConfig,
) -> Judgement:
    """Measure curves fitted before day `cutoff` on the days after it, and from rolling origins.

    `older` is the champion where it is a version of the curves: it has learnt from the days of
    the origins, so that it is met on the window alone.
    """
    last = daily.days - config.report_lag
    parts = list(rolling_days(daily, cutoff, config))
    origins = len(parts)
    no_effect = fit_no_effect(daily.until(cutoff), config.curves)
    window = None
    if last > cutoff:
        window = _held_out(daily, cutoff, last, challenger, baseline, no_effect)
        parts.append(window)
    if not parts:
        return Judgement((), Interval(0.0, -1.0, 1.0), "no day to be judged by")
    over_simple = np.concatenate([p.curves - p.proportional for p in parts])
    over_none = np.concatenate([p.curves - p.no_effect for p in parts])
    gain = _least([over_simple, over_none], config)
    metrics = [
        _gain("likelihood_gain_a_day", _least([over_simple], config), BASELINE),
        _gain("likelihood_gain_over_no_effect_a_day", _least([over_none], config), "no_effect"),
        *_errors(parts),
        Metric("judged_days", float(len(over_none))),
        Metric("origins", float(origins)),
    ]
    if window is not None:
        own = _least([window.curves - window.proportional], config)
        metrics.append(_gain("window_likelihood_gain_a_day", own, BASELINE))
    against = [over_simple, over_none]
    if older is not None and window is not None:
        old = log_likelihood(predicted(older, daily.until(last)), daily.until(last))[cutoff:]
        against.append(window.curves - old)
        gain = _least(against, config)
    headline = (
        f"log likelihood a day {np.mean(over_simple):+.3f} over proportional curves and "
        f"{np.mean(over_none):+.3f} over no effect, on {len(over_none)} held-out days from "
        f"{origins} origins and the window"
    )
    return Judgement(tuple(metrics), gain, headline)


def _errors(parts: list[HeldOut]) -> list[Metric]:
    counted, foreseen, simple = (
        np.concatenate([getattr(p, name) for p in parts])
        for name in ("conversions", "foreseen", "simple")
    )
    own, base = (float(np.abs(counted - f).mean()) for f in (foreseen, simple))
    return [
        Metric("conversions_mae_a_day", round(own, 6), baseline=BASELINE,
               baseline_value=round(base, 6)),
        Metric("conversions_bias", round(float(foreseen.sum() / max(counted.sum(), 1) - 1), 6),
               baseline=BASELINE,
               baseline_value=round(float(simple.sum() / max(counted.sum(), 1) - 1), 6)),
    ]  # fmt: skip


def _least(series: list[Floats], config: BudgetConfig) -> Interval:
    return least_mean(series, config.block_days, config.resamples, config.curves.random_state)


def _gain(name: str, interval: Interval, baseline: str) -> Metric:
    return Metric(name, interval.value, interval.low, interval.high, baseline, 0.0)
