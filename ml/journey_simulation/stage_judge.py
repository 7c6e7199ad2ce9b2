"""How well stages are told, on the inference window and at the origins before it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ml.journey_simulation.config import STAGE_NAMES, StageConfig
from ml.journey_simulation.history import Floats, Ints
from ml.journey_simulation.scores import class_log_losses, intervals, macro_f1
from ml.journey_simulation.stage_data import Case, StageData, stacked
from ml.journey_simulation.stage_model import StageFit, Teller, fit_last_stage, fit_trees
from ml.metrics import Interval, Metric
from ml.model import Judgement

BASELINE = "last_stage"


def judge(
    data: StageData,
    challenger: StageFit,
    baseline: StageFit,
    champion: StageFit,
    config: StageConfig,
) -> Judgement:
    """Compare on the inference window; the gain is macro-F1 of next month's stage."""
    found, gain = _compared(
        data.next_judged, challenger.next, baseline.next, champion.next, config, "next"
    )
    current, _ = _compared(
        data.current_judged,
        challenger.current,
        baseline.current,
        champion.current,
        config,
        "current",
    )
    metrics = (*found, *_by_stage(data.next_judged, challenger.next, baseline.next), *current)
    f1, loss = found[0], found[1]
    headline = (
        f"next month's stage: macro-F1 {f1.value:.3f} ({BASELINE} {f1.baseline_value:.3f}), log "
        f"loss {loss.value:.3f} ({loss.baseline_value:.3f}); current stage: macro-F1 "
        f"{current[0].value:.3f} ({current[0].baseline_value:.3f})"
    )
    return Judgement((*metrics, *rolling(data.next_train, challenger.next, config)), gain, headline)


def _compared(
    cases: Sequence[Case],
    own: Teller,
    simple: Teller,
    reigning: Teller,
    config: StageConfig,
    which: str,
) -> tuple[list[Metric], Interval]:
    """Return macro-F1, log loss and accuracy, and the gain in macro-F1 over who reigns."""
    x, last, y, customers = stacked(cases)
    tellers = (own, simple, reigning)
    chances = [teller.chances(x, last) for teller in tellers]
    names = [teller.names(p, last) for teller, p in zip(tellers, chances, strict=True)]
    losses = [class_log_losses(p, y) for p in chances[:2]]

    def figures(weight: Floats) -> tuple[float, ...]:
        n = weight.sum()
        f1 = [macro_f1(y, named, weight) for named in names]
        return (
            f1[0],
            f1[1],
            *(float(weight @ loss / n) for loss in losses),
            *(float(weight @ (named == y) / n) for named in names[:2]),
            f1[0] - f1[2],
        )

    found = intervals(figures, customers, config.resamples, config.random_state)
    metrics = [
        Metric(
            f"{which}_{name}", found[i].value, found[i].low, found[i].high, BASELINE,
            found[i + 1].value,
        )
        for i, name in ((0, "macro_f1"), (2, "log_loss"), (4, "accuracy"))
    ]  # fmt: skip
    return metrics, found[6]


def _by_stage(cases: Sequence[Case], own: Teller, simple: Teller) -> list[Metric]:
    """Return the F1 of each of next month's stages."""
    x, last, y, _ = stacked(cases)
    mine, theirs = own.names(own.chances(x, last), last), simple.names(np.zeros((0, 5)), last)
    return [
        Metric(
            f"next_f1_{name.lower().replace(' ', '_')}",
            _f1(y, mine, stage),
            baseline=BASELINE,
            baseline_value=_f1(y, theirs, stage),
        )
        for stage, name in enumerate(STAGE_NAMES)
    ]


def _f1(y: Ints, named: Ints, stage: int) -> float:
    both = int((y == stage).sum() + (named == stage).sum())
    return round(2 * int(((y == stage) & (named == stage)).sum()) / both, 6) if both else 0.0


def rolling(cases: Sequence[Case], own: Teller, config: StageConfig) -> list[Metric]:
    """Return macro-F1 and log loss at each of the last origins, of trees fit on those before.

    Young shops have fewer origins than asked for.
    """
    metrics: list[Metric] = []
    figures: list[tuple[float, ...]] = []
    for back in range(min(config.rolling_origins, len(cases) - 1), 0, -1):
        earlier, held = cases[:-back], cases[-back]
        mine = fit_trees(earlier, own.power, config)
        simple = fit_last_stage(earlier)
        values: list[float] = []
        for teller in (mine, simple):
            chances = teller.chances(held.x, held.last)
            values.append(macro_f1(held.y, teller.names(chances, held.last)))
            values.append(float(class_log_losses(chances, held.y).mean()))
        figures.append(tuple(values))
        metrics.append(_pair(f"next_macro_f1_{back}_months_before_cutoff", values[0], values[2]))
    if figures:
        means = np.mean(np.array(figures), axis=0)
        metrics.append(_pair("rolling_next_macro_f1", means[0], means[2]))
        metrics.append(_pair("rolling_next_log_loss", means[1], means[3]))
        metrics.append(Metric("rolling_origins", float(len(figures))))
    return metrics


def _pair(name: str, own: float, simple: float) -> Metric:
    return Metric(
        name, round(float(own), 6), baseline=BASELINE, baseline_value=round(float(simple), 6)
    )
