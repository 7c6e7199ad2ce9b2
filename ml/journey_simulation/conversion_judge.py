"""How good predictions of purchases are, on the inference window and at the origins before it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ml.journey_simulation import boosting
from ml.journey_simulation import conversion_model as trees
from ml.journey_simulation.calibration import calibration_error, fit_platt
from ml.journey_simulation.config import ConversionConfig
from ml.journey_simulation.conversion_model import ConversionFit
from ml.journey_simulation.history import Floats
from ml.journey_simulation.origins import ConversionData, Origin, stacked
from ml.journey_simulation.scores import auc, intervals, log_losses, weighted_auc
from ml.metrics import Interval, Metric
from ml.model import Judgement

BASELINE = "recency_rate"


def judge(
    data: ConversionData,
    challenger: ConversionFit,
    baseline: ConversionFit,
    champion: ConversionFit,
    config: ConversionConfig,
) -> Judgement:
    """Compare on the origins of the inference window; the gain is the champion's log loss less.

    The log loss is the one measure that pays for telling buyers apart and for probabilities
    that keep what they promise alike.
    """
    x, y, customers = stacked(data.judged)
    own, simple = trees.predict(challenger, x), trees.predict(baseline, x)
    reigning = trees.predict(champion, x)

    own_auc, simple_auc = weighted_auc(own, y), weighted_auc(simple, y)
    per_row = np.stack(
        [
            log_losses(own, y),
            log_losses(simple, y),
            np.square(own - y),
            np.square(simple - y),
            log_losses(reigning, y) - log_losses(own, y),
        ]
    )

    def figures(weight: Floats) -> tuple[float, ...]:
        return (own_auc(weight), simple_auc(weight), *(per_row @ weight / weight.sum()))

    found = intervals(figures, customers, config.resamples, config.random_state)
    gain = found[6]
    if not 0 < y.sum() < len(y):
        return Judgement((), Interval(0.0, 0.0, 0.0), "all outcomes of the window are alike")
    metrics = [
        _metric("auc", found[0], found[1].value),
        _metric("log_loss", found[2], found[3].value),
        _metric("brier_score", found[4], found[5].value),
        Metric(
            "calibration_error",
            round(calibration_error(own, y), 6),
            baseline=BASELINE,
            baseline_value=round(calibration_error(simple, y), 6),
        ),
        Metric("share_that_bought", round(float(y.mean()), 6)),
        *rolling(data.train, challenger, config),
    ]
    headline = (
        f"AUC {found[0].value:.3f} ({BASELINE} {found[1].value:.3f}), log loss "
        f"{found[2].value:.4f} ({found[3].value:.4f}), calibration error "
        f"{metrics[3].value:.4f}; {challenger.tuning}"
    )
    return Judgement(tuple(metrics), gain, headline)


def rolling(
    origins: Sequence[Origin], challenger: ConversionFit, config: ConversionConfig
) -> list[Metric]:
    """Return AUC and log loss at each of the last origins, of trees fit on the ones before it.

    The probabilities of an origin are calibrated with what such trees had predicted for the
    origins just before it. Young shops have fewer origins than asked for.
    """
    kept = config.calibration_origins
    first = max(len(origins) - config.rolling_origins - kept, 1)
    held, raw = origins[first:], []
    for k in range(first, len(origins)):
        x, y, _ = stacked(origins[:k])
        fitted = boosting.fit(x, y, challenger.settings, config.random_state)
        raw.append(boosting.chances(fitted, origins[k].x))
    metrics, aucs, losses = [], [], []
    for i in range(kept, len(held)):
        y = held[i].y
        if not 0 < y.sum() < len(y):
            continue
        before = np.concatenate([origin.y for origin in held[i - kept : i]])
        own = fit_platt(np.concatenate(raw[i - kept : i]), before).apply(raw[i])
        simple = trees.predict(trees.fit_baseline(origins[: first + i], config), held[i].x)
        aucs.append((auc(own, y), auc(simple, y)))
        losses.append((log_losses(own, y).mean(), log_losses(simple, y).mean()))
        metrics.append(_pair(f"auc_{len(held) - i}_months_before_cutoff", aucs[-1:]))
    if aucs:
        metrics += [_pair("rolling_auc", aucs), _pair("rolling_log_loss", losses)]
        metrics.append(Metric("rolling_origins", float(len(aucs))))
    return metrics


def _pair(name: str, values: Sequence[tuple[float, float]]) -> Metric:
    own, simple = np.mean(np.asarray(values), axis=0)
    return Metric(
        name, round(float(own), 6), baseline=BASELINE, baseline_value=round(float(simple), 6)
    )


def _metric(name: str, interval: Interval, simple: float) -> Metric:
    return Metric(name, interval.value, interval.low, interval.high, BASELINE, simple)
