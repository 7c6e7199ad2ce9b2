"""Experiments: what they plant is found by estimators of their own, and nothing else is.

The statistics are over 200 seeds of the experiments alone (100 in the null world); their
acceptance bands are the exact binomial ones at 99 %.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from data_generators.args import WorldArgs
from data_generators.company.campaigns import Campaigns, make_campaigns
from data_generators.company.experiments import Experiments, Exposures, make_experiments
from data_generators.company.visits import Sessions
from data_generators.company.world import World, make_world
from data_generators.timeline import Timeline

Array = npt.NDArray[Any]

AS_OF = date(2026, 1, 1)
SEEDS = 200
CRITICAL = 1.959963984540054


def make(
    args: WorldArgs, added: int = 0, sessions: Sessions | None = None
) -> tuple[Campaigns, Experiments, Exposures]:
    span = Timeline.of(args.start, args.end + np.timedelta64(added, "D"))
    plan = make_campaigns(args, span)
    return plan, *make_experiments(args, span, plan, sessions)


@dataclass(frozen=True)
class Totals:
    """What an analyst has of many tests: counts by variant; and the truth beside it."""

    shown: Array  # [tests x 2]
    converted: Array
    lift: Array
    novelty: Array
    split: Array
    simpson: Array

    @property
    def plain(self) -> Array:
        """Tests whose lift is one number, and of which there is something to see."""
        some = self.converted.min(axis=1) > 0
        return np.asarray((self.novelty == 0) & ~self.simpson & some)


def totals(effects: str, seeds: int) -> Totals:
    parts = []
    for seed in range(seeds):
        _, tests, _ = make(WorldArgs(seed, 1, 730, AS_OF, effects=effects))
        counts = (tests.impressions.sum(axis=2), tests.conversions.sum(axis=2))
        parts.append((*counts, tests.lift, tests.novelty, tests.split, tests.simpson))
    return Totals(*(np.concatenate(column) for column in zip(*parts, strict=True)))


@pytest.fixture(scope="module")
def planted() -> Totals:
    return totals("all", SEEDS)


@pytest.fixture(scope="module")
def null() -> Totals:
    return totals("none", SEEDS // 2)


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(WorldArgs(11, 1, 730, AS_OF))


def inside(hits: Array, chance: float) -> bool:
    """Whether so many hits are within the central 99 % of the binomial."""
    low, high = stats.binom.interval(0.99, len(hits), chance)
    return bool(low <= hits.sum() <= high)


def covered(found: Totals, which: Array) -> Array:
    """Whether the 95 % interval of the ratio of rates (Katz, 1978) has the planted lift in it."""
    shown, converted, lift = found.shown[which], found.converted[which], found.lift[which]
    rate = converted / shown
    log_ratio = np.log(rate[:, 1] / rate[:, 0])
    error = np.sqrt(((1 - rate) / converted).sum(axis=1))
    return np.asarray(np.abs(log_ratio - np.log1p(lift)) < CRITICAL * error)


def p_values(shown: Array, converted: Array) -> Array:
    """Of the pooled z test of two rates."""
    rate, pooled = converted / shown, converted.sum(axis=1) / shown.sum(axis=1)
    error = np.sqrt(pooled * (1 - pooled) * (1 / shown).sum(axis=1))
    return np.asarray(2 * stats.norm.sf(np.abs(rate[:, 1] - rate[:, 0]) / error))


def sample_ratio(shown: Array) -> Array:
    """P values of the chi-square test of an even split."""
    return np.asarray(stats.chisquare(shown, axis=1).pvalue)


def test_intervals_cover_the_planted_lifts_at_the_nominal_rate(planted: Totals) -> None:
    hits = covered(planted, planted.plain)
    assert len(hits) > 7_000
    assert inside(hits, 0.95)
    assert inside(covered(planted, planted.plain & (planted.lift != 0)), 0.95)


def test_where_there_is_no_lift_the_share_of_false_positives_is_nominal(
    planted: Totals, null: Totals
) -> None:
    for found in (planted, null):
        none = found.plain & (found.lift == 0)
        found_some = p_values(found.shown[none], found.converted[none]) < 0.05
        assert len(found_some) > 3_900
        assert inside(found_some, 0.05)


def test_lifts_are_found_where_tests_are_large_enough(planted: Totals) -> None:
    size = planted.converted.sum(axis=1)
    clear = planted.plain & (np.abs(planted.lift) > 0.2) & (size > 1_000)
    assert (p_values(planted.shown[clear], planted.converted[clear]) < 0.05).mean() > 0.85


def test_a_null_world_has_nothing_in_it(null: Totals) -> None:
    assert (null.lift == 0).all() and (null.novelty == 0).all()
    assert (null.split == 0.5).all() and not null.simpson.any()


def test_the_planted_truth_has_the_promised_shares(planted: Totals) -> None:
    by_world = planted.lift.reshape(SEEDS, -1)
    assert by_world.shape[1] == 49
    assert ((by_world == 0).sum(axis=1) == 20).all()  # 40 % of 49, rounded
    size = np.abs(planted.lift[planted.lift != 0])
    assert size.min() >= 0.05 and size.max() <= 0.40
    assert (planted.split.reshape(SEEDS, -1) != 0.5).sum(axis=1).tolist() == [1] * SEEDS
    assert planted.simpson.reshape(SEEDS, -1).sum(axis=1).tolist() == [1] * SEEDS
    assert 0.1 < (planted.novelty > 0).mean() < 0.3
    assert (planted.lift[planted.novelty > 0] != 0).all()


def test_the_broken_split_is_found_and_no_other(planted: Totals) -> None:
    p = sample_ratio(planted.shown)
    assert p[planted.split != 0.5].max() < 1e-4
    sound = (planted.split == 0.5) & ~planted.simpson
    assert inside(p[sound] < 0.05, 0.05)


def test_simpsons_test_has_no_sample_ratio_mismatch(planted: Totals) -> None:
    shown = planted.shown[planted.simpson]
    z = (shown[:, 1] - shown[:, 0]) / np.sqrt(shown.sum(axis=1))
    # Standard normal: mean and largest of 200.
    assert abs(z.mean()) < 3.3 / np.sqrt(SEEDS)
    assert np.abs(z).max() < 4


def test_simpsons_reversal_shows_in_the_totals(planted: Totals) -> None:
    rate = planted.converted[planted.simpson] / planted.shown[planted.simpson]
    assert (planted.lift[planted.simpson] >= 0.3).all()
    assert (rate[:, 1] < 0.95 * rate[:, 0]).all()


def test_novelty_wears_off() -> None:
    early, late = np.zeros((2, 2)), np.zeros((2, 2))
    for seed in range(60):
        args = WorldArgs(seed, 1, 730, AS_OF)
        _, tests, _ = make(args)
        first = (tests.starts - args.start.astype("datetime64[D]")).astype(int)
        for test in np.flatnonzero((tests.novelty > 0.2) & (tests.lift > 0)):
            for kept, days in ((early, slice(0, 3)), (late, slice(15, None))):
                at = np.arange(tests.impressions.shape[2])[first[test] :][days]
                ratio = tests.conversions[test][:, at].sum(axis=1)
                shown = tests.impressions[test][:, at].sum(axis=1)
                kept += [ratio / (1 + tests.lift[test]) ** np.arange(2), shown]
    excess = [(kept[0, 1] / kept[1, 1]) / (kept[0, 0] / kept[1, 0]) - 1 for kept in (early, late)]
    assert excess[0] > 0.1
    assert abs(excess[1]) < 0.03


@pytest.mark.parametrize("scale", [0.02, 0.05, 1, 4])
@pytest.mark.parametrize("days", [30, 120, 730])
def test_the_plan_keeps_its_bounds(scale: float, days: int) -> None:
    args = WorldArgs(5, scale, days, AS_OF, defects="none")
    plan, tests, exposures = make(args)
    assert len(tests) == tests.base == args.count(50, 3)
    assert (tests.starts >= plan.starts[tests.campaign]).all()
    assert (tests.ends <= plan.ends[tests.campaign]).all()
    assert (tests.starts <= tests.ends).all() and (tests.starts < args.as_of).all()
    assert (np.diff(tests.starts.astype(int)) >= 0).all()
    assert plan.testable[tests.campaign].all()
    assert (tests.clicks >= tests.conversions).all()
    assert (tests.impressions >= tests.clicks).all()
    assert ((tests.revenue_cents > 0) == (tests.conversions > 0)).all()
    over = tests.ends < np.datetime64(AS_OF)
    np.testing.assert_array_equal(
        tests.impressions.sum(axis=(1, 2))[over], tests.planned_size[over]
    )
    assert (tests.rate >= 0.02).all() and (tests.rate <= 0.25).all()
    assert len(exposures) == 0
    assert tests.simpson.sum() == 1


def same(before: Experiments, after: Experiments, days: int) -> None:
    for name, old in vars(before).items():
        new = getattr(after, name)
        if name == "base":
            assert new == old
        elif old.ndim == 3:
            np.testing.assert_array_equal(new[: len(before), :, :days], old)
            assert (new[len(before) :, :, :days] == 0).all()
        else:
            np.testing.assert_array_equal(new[: len(before)], old)


def test_later_days_only_add() -> None:
    args = WorldArgs(2, 1, 60, AS_OF)
    for added in range(6):
        before, after = make(args, added)[1], make(args, added + 1)[1]
        same(before, after, 60 + added)
    many = make(args, 60)[1]
    assert 20 < len(many) - many.base < 80  # Poisson with mean 49, some without a campaign
    assert (many.starts[many.base :] >= np.datetime64(AS_OF)).all()


def test_later_days_only_add_to_the_clickstream_too() -> None:
    args = WorldArgs(2, 0.3, 60, AS_OF)
    old = make_world(args)
    for added in (1, 2, 8):
        new = make_world(args, date(2026, 1, 1 + added))
        same(old.experiments, new.experiments, len(old.timeline.intensity))
        for name, column in vars(old.exposures).items():
            np.testing.assert_array_equal(getattr(new.exposures, name)[: len(column)], column)
        old = new
    assert (old.sessions.start[old.exposures.session] >= args.end).any()


def test_the_null_world_exposes_the_same_way() -> None:
    """Effects change what comes of an exposure, not when and where tests run."""
    one, other = (
        make(WorldArgs(2, 1, 730, AS_OF, effects=effects))[1] for effects in ("all", "none")
    )
    for name in ("campaign", "starts", "ends", "planned_size"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    plain = ~one.simpson
    np.testing.assert_array_equal(
        one.impressions[plain].sum(axis=1), other.impressions[plain].sum(axis=1)
    )


def test_the_clickstream_shows_its_share_of_exposures(world: World) -> None:
    exposures = world.exposures
    events = len(exposures) + exposures.converted.sum()
    assert events == pytest.approx(45_000, rel=0.03)
    assert not world.sessions.bot[exposures.session].any()
    start = world.sessions.start[exposures.session].astype("datetime64[D]")
    tests = world.experiments
    assert (start >= tests.starts[exposures.test]).all()
    assert (start <= tests.ends[exposures.test]).all()
    by_time = np.lexsort((exposures.test, exposures.session))
    np.testing.assert_array_equal(by_time, np.arange(len(exposures)))


def test_a_person_is_exposed_to_a_test_once_in_the_first_session(world: World) -> None:
    exposures, sessions = world.exposures, world.sessions
    person = sessions.person[exposures.session]
    pairs = np.stack([exposures.test, person], axis=1)
    assert len(np.unique(pairs, axis=0)) == len(pairs)
    test = int(np.bincount(exposures.test).argmax())
    seen = np.flatnonzero(exposures.test == test)
    begins = world.experiments.starts[test].astype("datetime64[s]")
    for row in seen[:50]:
        before = (sessions.person == person[row]) & (sessions.start >= begins)
        assert np.flatnonzero(before)[0] == exposures.session[row]


def test_the_counts_include_the_tracked_exposures(world: World) -> None:
    exposures, tests = world.exposures, world.experiments
    day = (world.sessions.start[exposures.session] - world.args.start).astype(int) // 86_400
    tracked = np.zeros_like(tests.impressions)
    np.add.at(tracked, (exposures.test, exposures.variant, day), 1)
    assert (tests.impressions >= tracked).all()
    done = exposures.converted
    tracked[:] = 0
    np.add.at(tracked, (exposures.test[done], exposures.variant[done], day[done]), 1)
    assert (tests.conversions >= tracked).all()


def test_tracked_exposures_convert_as_planted(world: World) -> None:
    exposures, tests = world.exposures, world.experiments
    plain = (tests.novelty == 0) & ~tests.simpson
    rows = plain[exposures.test]
    test, variant = exposures.test[rows], exposures.variant[rows]
    rate = tests.rate[test] * (1 + tests.lift[test] * variant)
    z = (exposures.converted[rows] - rate).sum() / np.sqrt((rate * (1 - rate)).sum())
    assert abs(z) < 3
    share = tests.split[test]
    assert abs((variant - share).sum() / np.sqrt((share * (1 - share)).sum())) < 3


@pytest.mark.parametrize("seed", [11, 12])
def test_simpsons_reversal_shows_in_the_clickstream(seed: int, world: World) -> None:
    if seed != world.args.seed:
        world = make_world(replace(world.args, seed=seed))
    exposures, tests = world.exposures, world.experiments
    rows = tests.simpson[exposures.test]
    variant, converted = exposures.variant[rows], exposures.converted[rows]
    device = world.sessions.device[exposures.session[rows]]
    assert converted[variant == 1].mean() < 0.95 * converted[variant == 0].mean()
    for d in range(3):
        of_a, of_b = (converted[(device == d) & (variant == v)].mean() for v in (0, 1))
        assert of_b > 1.1 * of_a
