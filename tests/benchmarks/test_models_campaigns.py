"""The models of campaigns on companies with a planted response, over several seeds.

`python -m pytest tests/benchmarks/test_models_campaigns.py -s`; the figures are kept in
``.local/bench/models_campaigns.json``. The seeds are not those that the models were made with.
"""

import json
import os
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ml.campaign_optimization.allocation import kkt_violation
from ml.campaign_optimization.budget_judge import judge_budget
from ml.campaign_optimization.config import BudgetConfig, SuccessConfig
from ml.campaign_optimization.curves import fit_curves, fit_proportional, typical_spend
from ml.campaign_optimization.forecast import fit_channel_rate, fit_ridge
from ml.campaign_optimization.history import History
from ml.campaign_optimization.plan import make_plan
from ml.campaign_optimization.success_judge import backtest
from ml.evaluation import bootstrap_mean
from tests.benchmarks.measure import REPOSITORY
from tests.campaign_support import make_company, shuffled_days

SEEDS = range(11, 11 + int(os.environ.get("AMATO_BENCH_SEEDS", "12")))
WINDOW = 92
BUDGET, SUCCESS = BudgetConfig(), SuccessConfig()

pytestmark = pytest.mark.timeout(3600)


def judged(history: History) -> tuple[float, float]:
    """The gain of the curves' judgement, and its lower bound."""
    daily, cutoff = history.daily(), history.days - WINDOW
    known = daily.until(cutoff)
    curves, simple = fit_curves(known, BUDGET.curves), fit_proportional(known, BUDGET.curves)
    gain = judge_budget(daily, cutoff, curves, simple, None, BUDGET).gain
    return gain.value, gain.low


def report(name: str, figures: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print(f"\n{name}", *(f"\n  {key}: {value}" for key, value in figures.items()), flush=True)
    path = REPOSITORY / ".local" / "bench" / "models_campaigns.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps({**kept, name: figures}, indent=1) + "\n")


def test_plans_come_close_to_the_true_optimum(capsys: pytest.CaptureFixture[str]) -> None:
    regrets, kept, errors, lows = [], [], [], []
    for seed in SEEDS:
        history, planted = make_company(seed)
        daily, cutoff = history.daily(), history.days - WINDOW
        assert daily.channels == planted.channels
        curves = fit_curves(daily.until(cutoff), BUDGET.curves)
        plan = make_plan(curves, history, True, 30, {})
        best = planted.orders(planted.best(plan.budget.sum() / 30, np.ones(5))).sum()
        regrets.append(1 - planted.orders(plan.budget / 30).sum() / best)
        kept.append(1 - planted.orders(plan.current / 30).sum() / best)
        spend = np.linspace(0.05, 2, 40)[:, None] * typical_spend(daily.spend)
        true = planted.orders(spend)
        found = np.stack([curves.response(x).mean(axis=0) for x in spend])
        errors.append(float((np.abs(found - true).mean(axis=0) / true.mean(axis=0)).mean()))
        lows.append(judged(history)[1])
        violation = kkt_violation(lambda x, c=curves: c.marginal_revenue(x / 30), plan.budget,
                                  plan.limits)  # fmt: skip
        assert violation < 1e-6
    figures = {
        "seeds": len(SEEDS),
        "regret, mean": round(float(np.mean(regrets)), 5),
        "regret, worst": round(float(np.max(regrets)), 5),
        "regret of the current plan, mean": round(float(np.mean(kept)), 5),
        "error of the curves, mean": round(float(np.mean(errors)), 4),
        "error of the curves, worst": round(float(np.max(errors)), 4),
        "promoted": int(np.sum(np.array(lows) > 0)),
    }
    report("budget", figures, capsys)
    assert np.max(regrets) < 0.05
    assert np.mean(regrets) < np.mean(kept)
    assert np.mean(errors) < 0.15


@pytest.mark.parametrize("kind", ["no response", "shuffled days"])
def test_no_budget_is_promoted_without_a_response(
    kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lows = []
    for seed in SEEDS:
        if kind == "no response":
            history, _ = make_company(seed, "all,-campaigns")
        else:
            history = shuffled_days(make_company(seed)[0], seed)
        lows.append(judged(history)[1])
    figures = {"seeds": len(SEEDS), "promoted": int(np.sum(np.array(lows) > 0)),
               "highest lower bound": round(float(np.max(lows)), 5)}  # fmt: skip
    report(f"budget, {kind}", figures, capsys)
    assert figures["promoted"] == 0


def shuffled_returns(history: History, seed: int) -> History:
    """Every campaign's return is that of another, whatever it is and whenever it runs."""
    spend = np.maximum(history.spend.sum(axis=1), 1e-9)
    returns = history.revenue.sum(axis=1) / spend
    mixed = np.random.default_rng(seed).permutation(returns)
    return replace(history, revenue=history.spend * mixed[:, None])


@pytest.mark.parametrize("kind", ["as it is", "shuffled returns"])
def test_success_is_foreseen_before_the_launch(
    kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    gains, lows, own, simple, covered, launches = [], [], [], [], [], []
    for seed in SEEDS:
        history, _ = make_company(seed)
        if kind != "as it is":
            history = shuffled_returns(history, seed)
        cutoff = history.days - WINDOW
        test = backtest(
            history, cutoff, fit_ridge(history, cutoff, SUCCESS),
            fit_channel_rate(history, cutoff, SUCCESS), SUCCESS,
        )  # fmt: skip
        scores = [(p - test.success) ** 2 for p in (test.model, test.baseline)]
        gain = bootstrap_mean(scores[1] - scores[0], 1000, 42)
        gains.append(gain.value)
        lows.append(gain.low)
        own.append(float(scores[0].mean()))
        simple.append(float(scores[1].mean()))
        covered.append(float(test.covered.mean()))
        launches.append(len(test.rows))
    figures = {
        "seeds": len(SEEDS),
        "launches a seed": round(float(np.mean(launches)), 1),
        "Brier score, mean": round(float(np.mean(own)), 4),
        "Brier score of channel_rate, mean": round(float(np.mean(simple)), 4),
        "coverage of the 90 % interval of the return": round(float(np.mean(covered)), 4),
        "promoted": int(np.sum(np.array(lows) > 0)),
    }
    report(f"success, {kind}", figures, capsys)
    if kind == "as it is":
        assert np.mean(gains) > 0
        assert figures["promoted"] >= len(SEEDS) * 0.75
        # At least 1 - 2 * 10 % is what jackknife+ promises.
        assert np.mean(covered) > 0.8
    else:
        assert figures["promoted"] <= len(SEEDS) * 0.1
