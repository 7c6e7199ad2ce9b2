"""Experiments on a real server: published figures, scipy, and what was planted at random."""

import math
from datetime import date
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import psycopg
import pytest
from scipy import stats

from tests.integration.dbt_support import AS_OF, fill_raw
from tests.integration.experiment_support import (
    PROJECT,
    Experiment,
    build_experiments,
    fill_experiments,
    fill_exposures,
    results,
    two_arms,
)

Z = 1.959963984540054  # R: qnorm(.975)
TINY = 1e-290  # p-values are compared by their ratio, however small
RUNNING: dict[str, Any] = {"status": "running", "end": None}
NOT_COMPUTABLE = (
    "p_value", "always_valid_p_value", "decision_p_value", "p_value_adjusted", "chance_to_win",
    "lift_percentage_low", "lift_percentage_high", "always_valid_lift_percentage_low",
    "always_valid_lift_percentage_high", "winner", "family_size",
)  # fmt: skip


def evaluate(url: str, macro: str, values: list[float | None]) -> list[float | None]:
    """What an SQL macro of the project makes of each value."""
    files = sorted((PROJECT / "macros" / "statistics").glob("*.sql"))
    text = "".join(file.read_text(encoding="utf-8") for file in files)
    expression = getattr(jinja2.Environment().from_string(text).module, macro)("x")
    with psycopg.connect(url) as conn:
        rows = conn.execute(
            f"select {expression} from unnest(%s::float8[]) with ordinality as v (x, i)"
            " order by i".encode(),
            [[None if value is None else float(value) for value in values]],
        ).fetchall()
    return [row[0] for row in rows]


def test_normal_distribution_in_plain_sql(empty_postgres_url: str) -> None:
    def cdf(*x: float | None) -> list[float | None]:
        return evaluate(empty_postgres_url, "normal_cdf", list(x))

    def quantile(*p: float | None) -> list[float | None]:
        return evaluate(empty_postgres_url, "normal_quantile", list(p))

    # R: pnorm and qnorm, 16 digits
    assert cdf(0, 1.96, -1.96, -6, 1, None, -40, 40, 1e300, -1e300, 1e-300) == [
        0.5, pytest.approx(0.9750021048517795, abs=1e-15),
        pytest.approx(0.02499789514822043, rel=1e-13),
        pytest.approx(9.865876450376946e-10, rel=1e-13),
        pytest.approx(0.8413447460685429, abs=1e-15), None, 0, 1, 1, 0, 0.5,
    ]  # fmt: skip
    assert quantile(0.5, 0.975, 0.8, 1e-10, 0, 1, -0.1, 1.1, None) == [
        0, pytest.approx(Z, abs=1e-15), pytest.approx(0.8416212335729143, abs=1e-15),
        pytest.approx(-6.361340902404056, rel=1e-14), None, None, None, None, None,
    ]  # fmt: skip
    # scipy, everywhere and on both sides of each seam
    random = np.random.default_rng(5)
    seams = np.array([0.67448975, 5.656854249492380195, 37.5])
    near = (seams[:, None] + np.linspace(-1e-6, 1e-6, 21)).ravel()
    x = np.concatenate([random.normal(0, 4, 5000), np.linspace(-37.4, 37.4, 5001), near, -near])
    found = np.array(cdf(*x.tolist()), dtype=float)
    expected = stats.norm.cdf(x)
    assert np.abs(found - expected).max() < 1e-15
    inside = x > -37.5
    assert np.abs(found[inside] / expected[inside] - 1).max() < 1e-12
    p = np.concatenate([random.uniform(size=5000), 10 ** -random.uniform(0, 300, 5000)])
    p = np.concatenate([p, 1 - 10 ** -random.uniform(0, 15, 2000), 0.5 + np.array([-1, 1]) * 0.425])
    p = p[(p > 0) & (p < 1)]
    z = np.array(quantile(*p.tolist()), dtype=float)
    assert np.abs(z - stats.norm.ppf(p)).max() < 1e-12


def test_known_figures_and_what_cannot_be_computed(warehouse_url: str, tmp_path: Path) -> None:
    fill_experiments(
        warehouse_url,
        [
            two_arms("known", 28, 14, 30, 16),
            two_arms("split", 1000, 100, 1200, 120),
            two_arms("winner", 10000, 1000, 10000, 1300),
            two_arms("loser", 10000, 1300, 10000, 1000, status=" Running ", end=date(2024, 2, 29)),
            two_arms("running", 10000, 1000, 10000, 1100, **RUNNING),
            two_arms("running_clear", 10000, 1000, 10000, 1300, status=None, end=AS_OF),
            two_arms("none_in_a", 1000, 0, 1000, 50),
            two_arms("none_in_b", 1000, 50, 1000, 0),
            two_arms("none", 1000, 0, 1000, 0),
            two_arms("all", 1000, 1000, 1000, 1000),
            two_arms("all_in_b", 1000, 500, 1000, 1000),
            two_arms("never_shown", 1000, 50, 0, 0),
            two_arms("nothing_shown", 0, 0, 0, 0),
            two_arms("one_each", 1, 1, 1, 0),
            two_arms("huge", 9 * 10**18, 1, 9 * 10**18, 1, **RUNNING),
            two_arms("impossible", 1, 9 * 10**18, -5, 3),
            Experiment("one_arm", (("A", 1000, 50),)),
            Experiment("no_results", (), **RUNNING),
            Experiment("three_rows", (("A", 1000, 50), ("B", 1000, 60), ("B", 1000, 61))),
            Experiment("same_twice", (("A", 1000, 50), ("B", 1000, 60), ("B", 1000, 60))),
            Experiment("missing", (("A", None, 50), ("B", 1000, None))),
        ],
    )
    build_experiments(warehouse_url, tmp_path)
    found = results(warehouse_url)

    designed = {
        f"variant_{v}_{name}"
        for v in "ab"
        for name in ("impressions", "clicks", "conversions", "ctr", "conversion_rate")
    } | {
        "test_id", "test_name", "campaign_id", "lift_percentage", "p_value", "confidence_level",
        "statistical_significance", "sample_ratio_p_value", "winner", "recommendation",
        "sample_size_required",
    }  # fmt: skip
    assert designed <= found["known"].keys()

    known = found["known"]
    # GrowthBook: 14 of 28 against 16 of 30
    assert known["lift_percentage"] == pytest.approx(100 / 15, abs=1e-9)
    assert known["lift_percentage_low"] == pytest.approx(-46.58527, abs=1e-5)
    assert known["lift_percentage_high"] == pytest.approx(59.91861, abs=1e-5)
    assert known["p_value"] == pytest.approx(0.8061700, abs=1e-7)
    assert known["is_small_sample"]
    assert (known["winner"], known["recommendation"]) == ("Tie", "Continue")
    assert known["statistical_significance"] == "not significant"
    assert float(known["variant_a_conversion_rate"]) == 0.5
    assert known["recommendation_reason"] == (
        "The test is over without a difference beyond chance: the lift is 6.7 %, and most likely"
        " between -46.6 % and 59.9 %. To find a lift of 10.0 % reliably takes 3,130 impressions in"
        " all; there are 58. The sample is small, so that all figures are rough."
    )

    split = found["split"]
    assert split["sample_ratio_p_value"] == pytest.approx(2.00786561e-5, rel=1e-8)
    assert split["has_sample_ratio_mismatch"]
    assert (split["winner"], split["recommendation"]) == (None, "Fix the split")
    assert split["p_value"] is not None
    assert split["p_value_adjusted"] is None
    assert split["recommendation_reason"] == (
        "The split is not the planned one: shown were 1,000 times variant A and 1,200 times"
        " variant B, where 50.0 % of all were meant for variant B (p below 0.0001). Find out why,"
        " and do not believe the figures until then."
    )

    assert verdict(found["winner"]) == ("decided", "significant", "B", "Implement B")
    assert verdict(found["loser"]) == ("decided", "significant", "A", "Implement A")
    assert found["loser"]["test_status"] == "running" and found["loser"]["is_final"]
    # significant if read once; but it is read every night
    running = found["running"]
    assert running["p_value"] < 0.05 < running["always_valid_p_value"]
    assert not running["is_final"]
    assert verdict(running) == ("undecided", "not significant", "Tie", "Continue")
    assert running["recommendation_reason"].startswith(
        "The test is still running, and nothing is certain yet: the lift is 10.0 %"
    )
    clear = found["running_clear"]
    assert (clear["test_status"], clear["is_final"]) == ("unknown", False)
    assert verdict(clear) == ("decided", "significant", "B", "Implement B")
    assert clear["decision_p_value"] == clear["always_valid_p_value"] > clear["p_value"]
    assert clear["recommendation_reason"].startswith(
        "The test is still running, and the difference is beyond chance, also among "
        f"{clear['family_size']} tests: variant B converts at 13.00 %, variant A at 10.00 %;"
    )

    because = {
        "none_in_a": "nobody converted in variant A. The rates differ beyond chance all the same"
        " (p below 0.0001): see first whether conversions are recorded.",
        "none_in_b": "nobody converted in variant B. The rates differ beyond chance all the same"
        " (p below 0.0001): see first whether conversions are recorded.",
        "none": "nobody converted in either variant.",
        "all": "everybody converted in both variants.",
        "nothing_shown": "variant A was never shown and variant B was never shown. The sample is"
        " small, so that all figures are rough.",
        "one_arm": "variant B has no results.",
        "no_results": "variant A has no results and variant B has no results.",
        "three_rows": "variant B is reported more than once, with different figures.",
        "missing": "variant A has no number of impressions and variant B has no number of"
        " conversions.",
        "one_each": "nobody converted in variant B. The sample is small, so that all figures are"
        " rough.",
    }
    for test_id, reason in because.items():
        row = found[test_id]
        assert verdict(row) == ("not computable", "not computable", None, "Continue"), test_id
        assert row["recommendation_reason"] == f"There is no lift to compute: {reason}"
    # told as such, or as missing where cleanup has taken the rows out
    assert verdict(found["impossible"]) == ("not computable", "not computable", None, "Continue")
    # variant B was meant to be shown, and was not: the split is looked at first
    assert verdict(found["never_shown"]) == (
        "split broken", "not computable", None, "Fix the split",
    )  # fmt: skip
    for test_id in (*because, "impossible", "never_shown"):
        assert {name: found[test_id][name] for name in NOT_COMPUTABLE} == dict.fromkeys(
            NOT_COMPUTABLE
        )
    assert found["none_in_a"]["lift_percentage"] is None
    assert found["none_in_b"]["lift_percentage"] == -100
    assert found["all_in_b"]["winner"] == "B"
    assert found["same_twice"]["lift_percentage"] == pytest.approx(20)
    assert found["same_twice"]["variant_b_impressions"] == 1000

    summary = results(warehouse_url, "ab_test_summary")
    assert {k: (v["tests"], v["significant"], v["clear_winner"]) for k, v in summary.items()} == {
        "completed": (16, 2, 2), "running": (4, 1, 1), "unknown": (1, 1, 1),
    }  # fmt: skip
    assert summary["completed"]["split_broken"] == 2
    assert summary["completed"]["not_computable"] == 10


def verdict(row: dict[str, Any]) -> tuple[str, str, str | None, str]:
    return (
        row["result_state"], row["statistical_significance"], row["winner"], row["recommendation"],
    )  # fmt: skip


def test_no_experiments_make_empty_marts(warehouse_url: str, tmp_path: Path) -> None:
    fill_raw(warehouse_url)
    build_experiments(warehouse_url, tmp_path)
    assert results(warehouse_url) == results(warehouse_url, "ab_test_summary") == {}


def test_a_split_that_differs_between_devices_is_no_split(
    warehouse_url: str, tmp_path: Path
) -> None:
    # B wins on each device (20 % against 18 %, and 8 % against 6 %) and loses in all, because it
    # was shown more where few convert.
    tilted = [("desktop", "A", 300, 54), ("desktop", "B", 100, 20),
              ("mobile", "A", 100, 6), ("mobile", "B", 300, 24)]  # fmt: skip
    even = [("desktop", "A", 105, 21), ("desktop", "B", 95, 18),
            ("mobile", "A", 95, 6), ("mobile", "B", 105, 8)]  # fmt: skip
    fill_experiments(
        warehouse_url,
        [two_arms("tilted", 400, 60, 400, 44), two_arms("even", 200, 27, 200, 26)],
    )
    for test_id, cells in (("tilted", tilted), ("even", even)):
        fill_exposures(warehouse_url, test_id, cells)
    build_experiments(warehouse_url, tmp_path)
    found = results(warehouse_url)
    for test_id, cells in (("tilted", tilted), ("even", even)):
        row = found[test_id]
        tables = [
            np.array([[cells[i + 1][3], cells[i + 1][2] - cells[i + 1][3]],
                      [cells[i][3], cells[i][2] - cells[i][3]]]) for i in (0, 2)
        ]  # fmt: skip
        ratio, p = mantel_haenszel(tables)
        assert row["device_adjusted_lift_percentage"] == pytest.approx(100 * (ratio - 1), abs=1e-9)
        assert row["device_adjusted_p_value"] == pytest.approx(p, abs=1e-12)
        # With two devices both tilts are the same: Bonferroni doubles it.
        shown = np.array([[cells[0][2], cells[1][2]], [cells[2][2], cells[3][2]]])
        n = shown.sum()
        chi2 = stats.chi2_contingency(shown, correction=False).statistic * (n - 1) / n
        mix = min(1.0, 2 * stats.chi2.sf(chi2, 1))
        assert row["device_mix_p_value"] == pytest.approx(mix, rel=1e-9)
    assert found["tilted"]["has_simpsons_reversal"]
    assert found["tilted"]["lift_percentage"] < 0
    assert verdict(found["tilted"])[2:] == (None, "Fix the split")
    assert found["tilted"]["sample_ratio_p_value"] == 1
    assert found["tilted"]["recommendation_reason"] == (
        "The split is not the same on all devices (p below 0.0001), so the variants were seen by"
        " different people. In all, the lift is -26.7 %; compared device by device it is 16.7 %,"
        " the other way round (Simpson's paradox). Find out why, and do not believe the figures"
        " until then. The sample is small, so that all figures are rough."
    )
    assert not found["even"]["has_device_mismatch"]
    assert verdict(found["even"])[2:] == ("Tie", "Continue")


def mantel_haenszel(tables: list[np.ndarray[Any, Any]]) -> tuple[float, float]:
    """Ratio of rates, and Cochran's p-value, of 2x2 tables ((B hit, B miss), (A hit, A miss))."""
    above = below = excess = variance = 0.0
    for table in tables:
        n_b, n_a = table.sum(axis=1)
        n, hits = table.sum(), table[:, 0].sum()
        above += table[0, 0] * n_a / n
        below += table[1, 0] * n_b / n
        hit = stats.hypergeom(n, hits, n_b)
        excess += table[0, 0] - hit.mean()
        variance += hit.var()
    return above / below, float(stats.chi2.sf(excess**2 / variance, 1))


def test_10_000_random_tables_equal_scipy(warehouse_url: str, tmp_path: Path) -> None:
    random = np.random.default_rng(20240301)
    many = 10_000
    size = np.exp(random.uniform(math.log(2), math.log(1e6), many))
    shown = random.binomial((2 * size).astype(int), 0.5)
    n = np.stack([shown, (2 * size).astype(int) - shown], axis=1)
    rate = np.clip(10 ** random.uniform(-3, 0.05, many), 0, 1)
    lift = np.where(random.uniform(size=many) < 0.5, 1, np.exp(random.normal(0, 0.2, many)))
    x = random.binomial(n, np.clip(np.stack([rate, rate * lift], axis=1), 0, 1))
    running = random.uniform(size=many) < 0.2
    fill_experiments(
        warehouse_url,
        (two_arms(f"T{i}", int(n[i, 0]), int(x[i, 0]), int(n[i, 1]), int(x[i, 1]),
                  **(RUNNING if running[i] else {})) for i in range(many)),
    )  # fmt: skip
    build_experiments(warehouse_url, tmp_path)
    found = results(warehouse_url)
    rows = [found[f"T{i}"] for i in range(many)]

    def column(name: str) -> np.ndarray[Any, Any]:
        return np.array([np.nan if row[name] is None else row[name] for row in rows], dtype=float)

    def same(name: str, expected: np.ndarray[Any, Any], floor: float = 1.0) -> None:
        """Equal to 1e-9 of the value, or of ``floor`` where the value is smaller."""
        got = column(name)
        assert (np.isnan(got) == np.isnan(expected)).all(), name
        off = np.abs(got - expected) / np.maximum(np.abs(expected), floor)
        assert np.nanmax(off) < 1e-9, name

    with np.errstate(divide="ignore", invalid="ignore"):
        a, b = x[:, 0] / n[:, 0], x[:, 1] / n[:, 1]
        sound = (n > 0).all(axis=1)
        relative = np.where(sound & (a > 0), b / a - 1, np.nan)
        # the variance of a ratio of two independent means, by their coefficients of variation
        spread = (b / a) * np.sqrt((1 - a) / (a * n[:, 0]) + (1 - b) / (b * n[:, 1]))
        computable = sound & (x > 0).all(axis=1) & ~((a == 1) & (b == 1))
        spread = np.where(computable, spread, np.nan)
        z = relative / spread
    p = 2 * stats.norm.sf(np.abs(z))
    assert computable.mean() > 0.5 and (~computable).sum() > 100
    same("lift_percentage", 100 * relative)
    same("lift_percentage_low", 100 * stats.norm.interval(0.95, relative, spread)[0])
    same("lift_percentage_high", 100 * stats.norm.interval(0.95, relative, spread)[1])
    same("p_value", p, TINY)
    same("chance_to_win", stats.norm.cdf(z))

    # Waudby-Smith et al. 2021, theorem 2.2, as half-width of a mean of n with variance n x se^2
    total = n.sum(axis=1)
    rho2 = (-2 * np.log(0.05) + np.log(-2 * np.log(0.05) + 1)) / 5000
    half = np.sqrt(total * spread**2) * np.sqrt(
        2 * (total * rho2 + 1) / (total**2 * rho2) * np.log(np.sqrt(total * rho2 + 1) / 0.05)
    )
    same("always_valid_lift_percentage_low", 100 * (relative - half))
    same("always_valid_lift_percentage_high", 100 * (relative + half))
    log_ratio = rho2 * total * z**2 / (2 * (total * rho2 + 1)) - np.log(total * rho2 + 1) / 2
    always = np.minimum(1, np.exp(-log_ratio))
    same("always_valid_p_value", always, TINY)

    chi2 = np.full(many, np.nan)
    for i in np.flatnonzero(sound & (x.sum(axis=1) > 0) & (x.sum(axis=1) < total)):
        table = np.stack([x[i], n[i] - x[i]])
        chi2[i] = stats.chi2_contingency(table, correction=False).statistic
    same("two_proportion_p_value", stats.chi2.sf(chi2, 1), TINY)
    same("two_proportion_z", np.sign(b - a) * np.sqrt(chi2))
    ratio = np.array(
        [stats.chisquare(n[i]).pvalue if total[i] else np.nan for i in range(many)], dtype=float
    )
    same("sample_ratio_p_value", ratio, TINY)

    # Benjamini and Hochberg over what is decided
    decision = np.where(running, always, p)
    same("decision_p_value", decision, TINY)
    family = ~np.isnan(decision) & ~(ratio < 0.001)
    adjusted = np.full(many, np.nan)
    adjusted[family] = stats.false_discovery_control(decision[family])
    same("p_value_adjusted", adjusted, TINY)
    assert {row["family_size"] for row in rows} == {None, int(family.sum())}

    # R's power.prop.test(strict = FALSE): the sample of each group
    with np.errstate(divide="ignore", invalid="ignore"):
        aim, power = 1.1 * a, stats.norm.ppf(0.8)
        mean = (a + aim) / 2
        group = (Z * np.sqrt(2 * mean * (1 - mean)) + power * np.sqrt(
            a * (1 - a) + aim * (1 - aim))) ** 2 / (aim - a) ** 2  # fmt: skip
        least = (Z + power) * np.sqrt(a * (1 - a) * (1 / n[:, 0] + 1 / n[:, 1])) / a
    has_size = sound & (a > 0) & (aim < 1)
    size_off = np.abs(column("sample_size_required") - 2 * group)[has_size]
    assert (np.isnan(column("sample_size_required")) == ~has_size).all()
    assert (size_off < 1 + 1e-9 * 2 * group[has_size]).all()
    same("minimum_detectable_lift_percentage",
         np.where(sound & (a > 0) & (a < 1), 100 * least, np.nan))  # fmt: skip


def test_lifts_are_found_as_often_as_their_power_says(warehouse_url: str, tmp_path: Path) -> None:
    """4,000 experiments in 40 % of which there is nothing to find."""
    random = np.random.default_rng(7)
    many = 4000
    n = np.exp(random.uniform(math.log(1000), math.log(30_000), (many, 1))).astype(int)
    rate = np.exp(random.uniform(math.log(0.02), math.log(0.25), many))
    lift = random.uniform(0.05, 0.4, many) * np.where(random.uniform(size=many) < 0.65, 1, -1)
    lift[random.uniform(size=many) < 0.4] = 0
    rates = np.stack([rate, rate * (1 + lift)], axis=1)
    x = random.binomial(n, rates)
    fill_experiments(
        warehouse_url,
        (two_arms(f"T{i}", int(n[i, 0]), int(x[i, 0]), int(n[i, 0]), int(x[i, 1]))
         for i in range(many)),
    )  # fmt: skip
    build_experiments(warehouse_url, tmp_path)
    found = results(warehouse_url)
    rows = [found[f"T{i}"] for i in range(many)]
    significant = np.array([row["statistical_significance"] == "significant" for row in rows])
    winner = np.array([row["winner"] for row in rows])
    spread = (1 + lift) * np.sqrt(((1 - rates) / (rates * n)).sum(axis=1))
    power = stats.norm.sf(Z - lift / spread) + stats.norm.cdf(-Z - lift / spread)
    none = lift == 0
    for part in (none, ~none):
        # a binomial with these chances, at its mean and with its variance
        mean, sd = power[part].sum(), math.sqrt((power[part] * (1 - power[part])).sum())
        assert abs(significant[part].sum() - mean) < 2.576 * sd
    named = np.isin(winner, ["A", "B"])
    assert named.sum() > 1000
    wrong = named & (none | ((winner == "B") != (lift > 0)))
    assert wrong.sum() <= 0.05 * named.sum()
    intervals = np.array([
        row["lift_percentage_low"] <= 100 * true <= row["lift_percentage_high"]
        for row, true in zip(rows, lift, strict=True)
    ])  # fmt: skip
    assert abs(intervals.mean() - 0.95) < 2.576 * math.sqrt(0.05 * 0.95 / many)


def test_looking_every_night_finds_nothing_where_nothing_is(
    warehouse_url: str, tmp_path: Path
) -> None:
    """300 running experiments without a lift, as they stand on each of 28 nights."""
    random = np.random.default_rng(11)
    many, nights = 300, 28
    x = random.binomial(500, 0.1, (many, 2, nights)).cumsum(axis=2)
    fill_experiments(
        warehouse_url,
        (two_arms(f"T{i}-{d}", 500 * (d + 1), int(x[i, 0, d]), 500 * (d + 1), int(x[i, 1, d]),
                  **RUNNING) for i in range(many) for d in range(nights)),
    )  # fmt: skip
    build_experiments(warehouse_url, tmp_path)
    found = results(warehouse_url)
    ever = {"p_value": 0, "always_valid_p_value": 0}
    for name in ever:
        ever[name] = sum(
            any(found[f"T{i}-{d}"][name] < 0.05 for d in range(nights)) for i in range(many)
        )
    assert ever["p_value"] > 0.15 * many
    assert ever["always_valid_p_value"] <= 0.05 * many
