"""How good the forecasts of success are, on campaigns in the order of their launch.

From origin to origin, the models are fitted on what was known before the origin and foresee the
campaigns launched until the next one (prequential evaluation; Dawid 1984). The last origin is
the cutoff, where the registered versions themselves foresee the inference window.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from ml.campaign_optimization.audience import Audience, ResponseRate
from ml.campaign_optimization.config import SuccessConfig
from ml.campaign_optimization.forecast import (
    ChannelRate,
    Ridge,
    fit_channel_rate,
    fit_ridge,
)
from ml.campaign_optimization.history import History
from ml.campaign_optimization.launch import (
    outcomes_before,
    outcomes_so_far,
    results_before,
)
from ml.evaluation import bootstrap_mean
from ml.metrics import Interval, Metric
from ml.model import Judgement

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BASELINE = "channel_rate"
FEWEST_LAUNCHES = 5
"""Fewer launches than this in the window cannot tell two versions of the model apart."""


@dataclass(frozen=True)
class Backtest:
    """Campaigns foreseen before their launch, and what became of them: arrays [campaigns]."""

    rows: Ints
    success: Floats
    model: Floats
    baseline: Floats
    covered: Floats
    origins: int


def backtest(
    history: History,
    cutoff: int,
    challenger: Ridge | ChannelRate,
    baseline: ChannelRate,
    config: SuccessConfig,
) -> Backtest:
    """Foresee campaigns from rolling origins, the last of which is the cutoff."""
    ended, paid = outcomes_before(history, history.days, config)
    recent, so_far = outcomes_so_far(history, cutoff, config)
    spend = np.maximum(history.spend.sum(axis=1), 1e-9)
    returns = history.revenue.sum(axis=1) / spend
    parts: list[tuple[Ints, Floats, Floats, Floats, Floats]] = []
    for k in range(config.origins, -1, -1):
        origin = cutoff - k * config.origin_days
        known, won = (ended, paid) if k else (recent, so_far)
        until = origin + config.origin_days if k else history.days
        chosen = (history.starts[known] >= origin) & (history.starts[known] < until)
        enough = len(results_before(history, origin, config).rows) >= config.min_campaigns
        if not chosen.any() or not enough:
            continue
        rows = known[chosen]
        fitted = fit_ridge(history, origin, config) if k else challenger
        base = fit_channel_rate(history, origin, config) if k else baseline
        found = fitted.predict(history, rows, origin, config)
        covered = (returns[rows] >= found.roas_low) & (returns[rows] <= found.roas_high)
        parts.append(
            (
                rows,
                won[chosen],
                found.probability,
                base.predict(history, rows, origin, config).probability,
                covered.astype(np.float64),
            )
        )
    if not parts:
        empty = np.zeros(0)
        return Backtest(np.zeros(0, dtype=np.int64), empty, empty, empty, empty, 0)
    rows, success, model, simple, covered = (
        np.concatenate(column) for column in zip(*parts, strict=True)
    )
    return Backtest(rows, success, model, simple, covered, len(parts))


def judge_success(
    history: History,
    audience: Audience,
    window: tuple[int, date, date],
    challenger: tuple[Ridge | ChannelRate, ResponseRate],
    baseline: tuple[Ridge | ChannelRate, ResponseRate],
    champion: Ridge | ChannelRate,
    config: SuccessConfig,
) -> Judgement:
    """Measure a challenger; `window` is the cutoff (as day and date) and the night.

    Against the named baseline the gain is the Brier score's, over all origins. Against an older
    version of the model, which has learnt from some of those campaigns, it is that over the
    window's launches alone.
    """
    cutoff, since, as_of = window
    if not isinstance(baseline[0], ChannelRate):
        raise TypeError("the named baseline of success is the rate of the channel")
    test = backtest(history, cutoff, challenger[0], baseline[0], config)
    metrics: list[Metric] = []
    gain = Interval(0.0, -1.0, 1.0)
    headline = "no campaign to be judged by has been launched"
    if len(test.rows):
        own, simple = (test.model - test.success) ** 2, (test.baseline - test.success) ** 2
        gain = _mean(simple - own, config)
        score = _mean(own, config)
        metrics += [
            Metric("brier", score.value, score.low, score.high, BASELINE,
                   _mean(simple, config).value),
            Metric("brier_gain", gain.value, gain.low, gain.high, BASELINE, 0.0),
            Metric("accuracy", _right(test.model, test), baseline=BASELINE,
                   baseline_value=_right(test.baseline, test)),
            Metric("calibration_gap", _gap(test.model, test), baseline=BASELINE,
                   baseline_value=_gap(test.baseline, test)),
            Metric("roas_interval_coverage", round(float(test.covered.mean()), 6)),
            Metric("judged_campaigns", float(len(test.rows))),
            Metric("origins", float(test.origins)),
        ]  # fmt: skip
        headline = (
            f"Brier score {score.value:.3f} over {len(test.rows)} launches from {test.origins} "
            f"origins, {BASELINE} {_mean(simple, config).value:.3f}"
        )
    if isinstance(champion, Ridge):
        gain = _against_older(history, cutoff, challenger[0], champion, config)
    metrics += _customers(audience, since, as_of, challenger[1], baseline[1], config)
    return Judgement(tuple(metrics), gain, headline)


def _against_older(
    history: History,
    cutoff: int,
    challenger: Ridge | ChannelRate,
    champion: Ridge,
    config: SuccessConfig,
) -> Interval:
    rows, success = outcomes_so_far(history, cutoff, config)
    if len(rows) < FEWEST_LAUNCHES:
        return Interval(0.0, -1.0, 1.0)
    own, old = (
        (model.predict(history, rows, cutoff, config).probability - success) ** 2
        for model in (challenger, champion)
    )
    return _mean(old - own, config)


def _customers(
    audience: Audience,
    since: date,
    as_of: date,
    model: ResponseRate,
    simple: ResponseRate,
    config: SuccessConfig,
) -> list[Metric]:
    """Compare the customers' probabilities by the log loss of the window's campaigns."""
    before, answered = audience.counts(None, since)
    reached, responded = audience.counts(since, as_of)
    seen = reached > 0
    if not seen.any():
        return []
    losses = []
    for rate in (model, simple):
        chance = rate.probability(before, answered)[seen]
        loss = -(responded[seen] * np.log(chance) + (reached - responded)[seen] * np.log1p(-chance))
        losses.append(loss / reached[seen].mean())
    gain = _mean(losses[1] - losses[0], config)
    own = _mean(losses[0], config)
    return [
        Metric("customer_log_loss", own.value, own.low, own.high, "response_rate",
               _mean(losses[1], config).value),
        Metric("customer_log_loss_gain", gain.value, gain.low, gain.high, "response_rate", 0.0),
        Metric("judged_customers", float(seen.sum())),
    ]  # fmt: skip


def _mean(values: Floats, config: SuccessConfig) -> Interval:
    return bootstrap_mean(values, config.resamples, config.random_state)


def _right(probability: Floats, test: Backtest) -> float:
    return round(float(((probability >= 0.5) == (test.success >= 0.5)).mean()), 6)


def _gap(probability: Floats, test: Backtest) -> float:
    """Return how far the mean probability is from the share that succeeded."""
    return round(float(abs(probability.mean() - test.success.mean())), 6)
