"""Experiments: their planted truth, their daily counts, and the exposures in the clickstream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from data_generators.args import WorldArgs
from data_generators.company.campaigns import Campaigns
from data_generators.company.experiment_design import Design, design_experiments
from data_generators.company.exposures import Exposures, device_share, no_exposures, track
from data_generators.company.visits import Sessions
from data_generators.randomness import Draws
from data_generators.timeline import DAY, Timeline, day_intensity

__all__ = ["Experiments", "Exposures", "make_experiments"]

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Experiments:
    """Row t is ``TEST_{t+1:04d}``, by start; the first ``base`` are the base history's.

    The unit is the visitor's first exposure: an impression. A conversion is a sign-up for what
    the variant offers (a newsletter, a trial, a voucher), not an order: it is worth cents, and
    neither it nor its revenue is among the orders or the conversions of the campaign.

    The number of tests grows with the scale, their size does not: a test is planned for its
    power, and takes as many impressions in a small company as in a large one.

    ``impressions``, ``clicks`` and ``conversions`` are [tests x 2 variants x days of the
    timeline], the tracked exposures of the clickstream included. An impression of variant v on
    device d, ``s`` days after the first day, converts with chance ``device_rate[d]`` for A and
    ``device_rate[d] * (1 + lift + novelty * exp(-s / novelty_days))`` for B; where ``simpson``
    is false, the rate and the split are the same on all devices.
    """

    base: int
    campaign: Array  # int64
    starts: Array  # datetime64[D]
    ends: Array  # datetime64[D], inclusive; may lie after until
    rate: Array  # float64, conversions over impressions of variant A
    lift: Array  # float64, relative lift of B's conversion rate in the long run; 40 % exactly 0
    novelty: Array  # float64, extra relative lift on the first day, decaying
    novelty_days: Array  # float64, e-folding time of the decay; 0 where there is none
    split: Array  # float64, share of impressions that really goes to B (.5 unless broken)
    simpson: Array  # bool: B wins on each device (by lift) and loses overall
    device_rate: Array  # float64 [tests x DEVICES], the rate of variant A on each device
    device_split: Array  # float64 [tests x DEVICES], the share of B on each device
    planned_size: Array  # int64, per test: ab_tests.sample_size
    impressions: Array  # int64 [tests x 2 x days]
    clicks: Array
    conversions: Array
    revenue_cents: Array

    def __len__(self) -> int:
        return len(self.campaign)


@dataclass(frozen=True)
class _Strata:
    """Untracked impressions of a test on a day on a device (0 where devices do not matter)."""

    test: Array
    day: Array  # index into the timeline
    device: Array
    many: Array


def make_experiments(
    args: WorldArgs, timeline: Timeline, campaigns: Campaigns, sessions: Sessions | None
) -> tuple[Experiments, Exposures]:
    """The experiments that start before ``timeline.until``, and who was seen to be exposed.

    Without ``sessions`` nobody is: all impressions are untracked.
    """
    share = device_share(args, sessions)
    design = design_experiments(args, timeline, campaigns, share)
    exposures = no_exposures() if sessions is None else track(args, timeline, design, sessions)
    shape = (len(design), 2, len(timeline.intensity))
    impressions, conversions = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    if sessions is not None:
        seconds = (sessions.start[exposures.session] - timeline.start).astype(np.int64)
        at = (exposures.test, exposures.variant, seconds // DAY)
        np.add.at(impressions, at, 1)
        np.add.at(conversions, at, exposures.converted)
    draws = Draws(args.seed, "experiment_counts")
    left = np.maximum(_planned(timeline, design) - impressions.sum(axis=1), 0)
    strata = _strata(draws, design, share, left, _number_of_day_0(timeline))
    _count(draws, timeline, design, strata, impressions, conversions)
    clicks, revenue = _clicks_and_revenue(draws, timeline, design, impressions, conversions)
    experiments = Experiments(
        base=design.base,
        campaign=design.campaign,
        starts=design.starts,
        ends=design.ends,
        rate=design.rate,
        lift=design.lift,
        novelty=design.novelty,
        novelty_days=design.novelty_days,
        split=design.split,
        simpson=design.simpson,
        device_rate=design.device_rate,
        device_split=design.device_split,
        planned_size=2 * design.arm,
        impressions=impressions,
        clicks=clicks,
        conversions=conversions,
        revenue_cents=revenue,
    )
    return experiments, exposures


def _number_of_day_0(timeline: Timeline) -> int:
    """Days from 1970 to the timeline's first: draws are keyed on the date itself."""
    return int(timeline.start.astype("datetime64[D]").astype(np.int64))


def _planned(timeline: Timeline, design: Design) -> Array:
    """Planned impressions of both variants: int64 [tests x days], following the days' traffic."""
    days = len(timeline.intensity)
    planned = np.zeros((len(design), days), dtype=np.int64)
    for test in range(len(design)):
        dates = np.arange(design.starts[test], design.ends[test] + 1)
        share = np.cumsum(day_intensity(dates))
        upto = np.floor(2 * design.arm[test] * share / share[-1] + 0.5).astype(np.int64)
        first = int((dates[0] - timeline.start.astype("datetime64[D]")).astype(np.int64))
        many = np.diff(upto, prepend=0)[: max(days - first, 0)]
        planned[test, first : first + len(many)] = many
    return planned


def _strata(draws: Draws, design: Design, share: Array, left: Array, day_0: int) -> _Strata:
    """The untracked impressions; those of Simpson's test by device."""
    test, day = np.nonzero(left)
    many = left[test, day]
    by_device = design.simpson[test]
    plain = _Strata(test, day, np.zeros_like(test), many).__dict__
    parts = [{name: column[~by_device] for name, column in plain.items()}]
    test, day, rest = test[by_device], day[by_device], many[by_device]
    for device in range(len(share)):
        # A multinomial as a chain of binomials; the last device takes what is left.
        part = min(float(share[device] / share[device:].sum()), 1.0)
        here = draws("device").binomial(rest, part, design.key[test], day + day_0, device)
        parts.append(_Strata(test, day, np.full_like(test, device), here).__dict__)
        rest = rest - here
    return _Strata(**{name: np.concatenate([part[name] for part in parts]) for name in plain})


def _count(
    draws: Draws,
    timeline: Timeline,
    design: Design,
    strata: _Strata,
    impressions: Array,
    conversions: Array,
) -> None:
    """Assign the untracked impressions to variants, and convert them: added to the arrays."""
    test, day, device = strata.test, strata.day, strata.device
    date = day + _number_of_day_0(timeline)
    keys = (design.key[test], date, device)
    of_b = draws("assigned").binomial(strata.many, design.device_split[test, device], *keys)
    since = date - design.starts[test].astype(np.int64)
    for variant, many in enumerate((strata.many - of_b, of_b)):
        shown = np.full_like(test, variant)
        rate = design.chance(test, shown, since, device)
        np.add.at(impressions, (test, shown, day), many)
        done = draws("converted").binomial(many, rate, *keys, variant)
        np.add.at(conversions, (test, shown, day), done)


def _clicks_and_revenue(
    draws: Draws, timeline: Timeline, design: Design, impressions: Array, conversions: Array
) -> tuple[Array, Array]:
    """Who converts has clicked; others click too. A sign-up's value is gamma of shape 2."""
    test, variant, day = np.nonzero(impressions)
    shown, bought = impressions[test, variant, day], conversions[test, variant, day]
    keys = (design.key[test], variant, day + _number_of_day_0(timeline))
    clicks, revenue = np.zeros_like(impressions), np.zeros_like(impressions)
    only = draws("clicks").binomial(shown - bought, design.click_rate[test], *keys)
    clicks[test, variant, day] = bought + only
    value = draws("value").gamma(2.0 * np.maximum(bought, 1), *keys) / 2
    cents = np.rint(100 * design.value[test] * value).astype(np.int64)
    revenue[test, variant, day] = np.where(bought > 0, np.maximum(cents, 1), 0)
    return clicks, revenue
