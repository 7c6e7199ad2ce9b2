"""The plan of the experiments: where and when each runs, and the truth that it plays out.

Tests are as large at any scale, as their power needs them to be; a conversion is a sign-up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from data_generators.args import WorldArgs
from data_generators.company.campaigns import Campaigns, run_factor
from data_generators.company.customers import DEVICES
from data_generators.defects.numbering import entities, half_up
from data_generators.groups import within
from data_generators.randomness import Draws
from data_generators.timeline import Timeline

Array = npt.NDArray[Any]

#: Days that a test runs, where the history is a year or longer.
SHORTEST, LONGEST = 21, 56
#: Impressions of an arm at any scale, log-uniform; and the least of the test with Simpson's
#: reversal.
ARM, SIMPSON_ARM = (1_000, 30_000), 10_000
#: Conversions over impressions of variant A, log-uniform.
RATE = (0.02, 0.25)
#: Currency units that a conversion is worth, log-uniform: a sign-up, not an order, so that all
#: tests together bring a few percent of what the platforms report.
VALUE = (0.1, 0.8)
#: The share of tests without any effect; sizes of the other lifts, and how many are upward.
NO_LIFT, LIFT, UPWARD = 0.4, (0.05, 0.40), 0.65
#: Of the tests with a lift, those with a novelty effect; its size and its e-folding days.
NOVEL, NOVELTY, NOVELTY_DAYS = 0.3, (0.10, 0.40), (3.0, 8.0)
#: The share of B where the randomisation is broken, and the planned arm that shows it for sure.
BROKEN, BROKEN_ARM = (0.55, 0.57), 2_000
#: Simpson's reversal. Desktop converts best; B is shown more on mobile than A, so that it
#: loses overall although it wins by `SIMPSON_LIFT` on each device.
SIMPSON_RATE = np.array([0.24, 0.08, 0.14])
SIMPSON_LIFT = (0.30, 0.40)
#: How far the share of B may lie from a half on mobile, and on desktop.
SIMPSON_TILT = (0.28, 0.42)


@dataclass(frozen=True)
class Design:
    """Tests by (start, key). The fields that `Experiments` has too mean the same there."""

    base: int
    key: Array  # int64, stable
    campaign: Array  # int64
    starts: Array  # datetime64[D]
    ends: Array  # datetime64[D], inclusive
    arm: Array  # int64, planned impressions of one variant
    click_rate: Array  # float64, clicks over impressions of those that do not convert
    value: Array  # float64, currency units a conversion
    tilted: int  # the test that has Simpson's reversal where experiments are planted; -1
    rate: Array
    lift: Array
    novelty: Array
    novelty_days: Array
    split: Array
    simpson: Array
    device_rate: Array
    device_split: Array

    def __len__(self) -> int:
        return len(self.key)

    def chance(self, test: Array, variant: Array, since: Array, device: Array) -> Array:
        """The chance that an exposure converts; ``since`` is in days from the first one on."""
        decay = np.exp(-since / np.where(self.novelty_days > 0, self.novelty_days, 1.0)[test])
        lift = self.lift[test] + self.novelty[test] * decay
        return np.asarray(self.device_rate[test, device] * (1 + np.where(variant == 1, lift, 0.0)))


def design_experiments(
    args: WorldArgs, timeline: Timeline, campaigns: Campaigns, device_share: Array
) -> Design:
    """The tests that start before ``timeline.until``.

    ``device_share`` is the mix of DEVICES among the visitors (sum 1).
    """
    draws = Draws(args.seed, "experiments")
    base = entities(args, "ab_tests")
    planted = "experiments" in args.planted
    old = _base_plan(args, draws, campaigns, base)
    new = _added_plan(args, draws, campaigns, base, timeline)
    key, campaign, starts, ends = (np.concatenate(pair) for pair in zip(old, new, strict=True))
    is_base = np.arange(len(key)) < base
    tilted = _tilted(args, starts[:base], ends[:base])
    simpson = (np.arange(len(key)) == tilted) & planted
    arm = np.rint(_log_uniform(draws("arm"), ARM, key)).astype(np.int64)
    if tilted >= 0:
        arm[tilted] = max(arm[tilted], SIMPSON_ARM)
    rate = _log_uniform(draws("rate"), RATE, key)
    lift = np.where(simpson, _uniform(draws("simpson"), SIMPSON_LIFT, key), 0.0)
    novelty, split = np.zeros(len(key)), np.full(len(key), 0.5)
    if planted:
        plain = np.arange(len(key)) != tilted
        lift = np.where(plain, _lifts(draws, key, is_base & plain, base), lift)
        novel = plain & (lift != 0) & draws("novel").chance(NOVEL, key)
        novelty = np.where(novel, _uniform(draws("novelty"), NOVELTY, key), 0.0)
        broken = _broken(args, draws, key, ends, arm, is_base & plain)
        split[broken] = _uniform(draws("split"), BROKEN, key[broken])
    days = np.where(novelty > 0, _uniform(draws("novelty_days"), NOVELTY_DAYS, key), 0.0)
    device_rate = np.repeat(rate[:, None], len(DEVICES), axis=1)
    device_split = np.repeat(split[:, None], len(DEVICES), axis=1)
    if simpson.any():
        device_rate[simpson], device_split[simpson] = SIMPSON_RATE, _tilt(device_share)
        of_a = device_share * (1 - device_split[tilted])
        rate[simpson] = (of_a @ SIMPSON_RATE) / of_a.sum()
    return Design(
        base=base,
        key=key,
        campaign=campaign,
        starts=starts,
        ends=ends,
        arm=arm,
        click_rate=_uniform(draws("click_rate"), (0.05, 0.2), key),
        value=_log_uniform(draws("value"), VALUE, key),
        tilted=tilted,
        rate=rate,
        lift=lift,
        novelty=novelty,
        novelty_days=days,
        split=split,
        simpson=simpson,
        device_rate=device_rate,
        device_split=device_split,
    )


def _uniform(draws: Draws, limits: tuple[float, float], *keys: Any) -> Array:
    low, high = limits
    return np.asarray(low + (high - low) * draws.uniform(*keys))


def _log_uniform(draws: Draws, limits: tuple[float, float], *keys: Any) -> Array:
    return np.exp(_uniform(draws, (float(np.log(limits[0])), float(np.log(limits[1]))), *keys))


def _lengths(args: WorldArgs, draws: Draws, *keys: Any) -> Array:
    days = draws("length").integers(SHORTEST, LONGEST + 1, *keys)
    return np.asarray(np.maximum(np.rint(days * run_factor(args)), 5).astype(np.int64))


def _base_plan(
    args: WorldArgs, draws: Draws, campaigns: Campaigns, base: int
) -> tuple[Array, Array, Array, Array]:
    """Key, campaign, start and end of the base history's tests, by start.

    They go round the testable campaigns, and start at any day that leaves them time to run.
    """
    number = np.arange(base)
    rows = np.flatnonzero(campaigns.testable[: campaigns.base])
    rows = rows[np.argsort(draws("turn").uniform(rows), kind="stable")]
    campaign = rows[number % len(rows)]
    key = draws("key").keys(-1, number)
    first, last = campaigns.starts[campaign], campaigns.ends[campaign]
    length = np.minimum(_lengths(args, draws, key), (last - first).astype(np.int64) + 1)
    yesterday = args.end.astype("datetime64[D]") - 1
    latest = np.minimum(last - length + 1, yesterday)
    starts = first + draws("offset").integers(0, (latest - first).astype(np.int64) + 1, key)
    order = np.lexsort((key, starts))
    return key[order], campaign[order], starts[order], (starts + length - 1)[order]


def _added_plan(
    args: WorldArgs, draws: Draws, campaigns: Campaigns, base: int, timeline: Timeline
) -> tuple[Array, Array, Array, Array]:
    """Key, campaign, start and end of the tests that start on added days, by start.

    At the daily rate of the base history, each in a testable campaign that still has time.
    """
    days = np.arange(args.end.astype("datetime64[D]"), timeline.until.astype("datetime64[D]"))
    number = days.astype(np.int64)
    many = draws("count").poisson(base / args.days, number)
    of, nth = within(many)
    day = number[of]
    key = draws("key").keys(day, nth)
    starts = day.astype("datetime64[D]")
    length = _lengths(args, draws, key)
    campaign = np.full(len(key), -1, dtype=np.int64)
    least = np.minimum(length, 7)
    for i in range(len(key)):
        fits = campaigns.testable & (campaigns.starts <= starts[i])
        rows = np.flatnonzero(fits & (campaigns.ends >= starts[i] + least[i] - 1))
        if len(rows):
            campaign[i] = rows[np.argmin(draws("which").uniform(key[i], rows))]
    ends = np.minimum(starts + length - 1, campaigns.ends[campaign])
    order = np.lexsort((key, starts))
    order = order[campaign[order] >= 0]
    return key[order], campaign[order], starts[order], ends[order]


def _tilted(args: WorldArgs, starts: Array, ends: Array) -> int:
    """The base test for Simpson's reversal: the one that most visitors come by; -1 below 3 tests.

    Traffic grows with the history, so it is a late one with many days before ``as_of``.
    """
    if len(starts) < 3:
        return -1
    first = args.start.astype("datetime64[D]")
    a = (starts - first).astype(np.int64)
    b = np.minimum((ends - first).astype(np.int64) + 1, args.days)
    return int(np.argmax(b**2 - a**2))


def _broken(
    args: WorldArgs, draws: Draws, key: Array, ends: Array, arm: Array, among: Array
) -> int:
    """The test with the broken randomisation: over at ``as_of`` and not small, where one is."""
    seen = (ends < args.end.astype("datetime64[D]")) & (arm >= BROKEN_ARM)
    return int(np.argmin(draws("broken").uniform(key) + np.where(seen, 0, 1) + 2 * ~among))


def _lifts(draws: Draws, key: Array, ranked: Array, base: int) -> Array:
    """Long-run relative lifts: exactly `NO_LIFT` of the base tests, by rank, have none."""
    size = _uniform(draws("lift"), LIFT, key)
    lift = np.where(draws("upward").chance(UPWARD, key), size, -size)
    drawn = draws("no_lift").uniform(key)
    rank = np.argsort(np.argsort(np.where(ranked, drawn, 2.0), kind="stable"), kind="stable")
    none = np.where(ranked, rank < half_up(NO_LIFT * base), drawn < NO_LIFT)
    return np.where(none, 0.0, lift)


def _tilt(share: Array) -> Array:
    """The share of B on each device, a half over all of them (no sample ratio mismatch)."""
    desktop, mobile = max(float(share[0]), 1e-9), max(float(share[1]), 1e-9)
    up = min(SIMPSON_TILT[0], SIMPSON_TILT[1] * desktop / mobile)
    return np.array([0.5 - up * mobile / desktop, 0.5 + up, 0.5])
