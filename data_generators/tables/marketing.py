"""The marketing tables: campaigns and tests, and what the platforms and the tests report.

A platform reports the day's figures at 23:30 and corrects the conversions over the next three
days; a test's counters grow every day at 23:30.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from data_generators.company.campaigns import AUDIENCES, TYPES
from data_generators.company.customers import CHANNELS
from data_generators.company.orders import INCREMENTAL, ORGANIC
from data_generators.company.response import pick_by_spend
from data_generators.randomness import Draws
from data_generators.tables.keys import chunks, never, numbered, texts
from data_generators.tables.rows import Coded, Column, Rows
from data_generators.timeline import DAY
from elt.specs import BY_NAME

if TYPE_CHECKING:
    from data_generators.company.world import World

Array = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]

#: When a day's figures are written.
REPORTED = 23 * 3600 + 1800
END_OF_DAY = np.timedelta64(REPORTED, "s")
#: The share of conversions that a platform reports on their day, and 1, 2 and 3 days later.
LAGS = (0.70, 0.15, 0.10, 0.05)
#: Currency units for a thousand impressions, and clicks over impressions, by channel.
MILLE = np.array([30.0, 70.0, 36.0, 32.0, 70.0])
CLICK_RATE = np.array([0.009, 0.020, 0.015, 0.008, 0.006])
CAMPAIGN_STATUSES = ("planned", "active", "completed")
TEST_STATUSES = ("running", "completed")
TESTED = ("headline", "image", "offer")
VARIANTS_B = ("shorter", "bolder", "with a discount")


def campaigns(world: World) -> Iterator[Rows]:
    """The rows of ``campaigns``: row k is campaign k."""
    plan = world.campaigns
    number = np.arange(len(plan))
    channel, kind = plan.channel.astype(np.int64), plan.kind.astype(np.int64)
    begins, ends = plan.starts.astype("datetime64[s]"), plan.ends + END_OF_DAY
    status = (begins < world.until).astype(np.int64) + (ends < world.until)
    changed = np.choose(status, [plan.created, begins, ends])
    names = [
        f"{CHANNELS[c]} {TYPES[k]} {n + 1:03d}"
        for n, c, k in zip(number.tolist(), channel.tolist(), kind.tolist(), strict=True)
    ]
    columns: dict[str, Column] = {
        "campaign_id": numbered("CAMP", number, 4),
        "campaign_name": texts(names),
        "campaign_type": Coded(kind, list(TYPES)),
        "channel": Coded(channel, list(CHANNELS)),
        "target_audience": Coded(plan.audience.astype(np.int64), list(AUDIENCES)),
        "start_date": plan.starts,
        "end_date": plan.ends,
        "budget": plan.budget_cents / 100,
        "status": Coded(status, list(CAMPAIGN_STATUSES)),
        "created_at": plan.created,
        "updated_at": changed,
    }
    yield Rows(BY_NAME["campaigns"], number, columns, plan.created, changed, never(len(number)))


@dataclass(frozen=True)
class Conversions:
    """The orders that the platforms count as theirs, each on its day and for one campaign."""

    campaign: Ints
    day: Ints  # index into the timeline
    lag: Ints  # days until it is reported
    cents: Ints


def platform_conversions(world: World) -> Conversions:
    """The incremental orders credited to a campaign that runs that day, and claimed organic ones.

    Every channel that is active on a day claims its share of that day's organic purchases,
    so that a purchase may be claimed more than once. Orders that an ended campaign still
    causes are reported by no platform.
    """
    orders = world.orders
    caused = np.flatnonzero((orders.kind == INCREMENTAL) & (orders.campaign >= 0))
    organic = np.flatnonzero(orders.kind == ORGANIC)
    draws = Draws(world.args.seed, "platforms")
    of, channel = [caused], [orders.channel[caused].astype(np.int64)]
    for c, share in enumerate(world.response.claim):
        claimed = organic[draws("claim").chance(share, orders.key[organic], c)]
        of.append(claimed)
        channel.append(np.full(len(claimed), c))
    order, by = np.concatenate(of), np.concatenate(channel)
    seconds = (orders.placed[order] - world.timeline.start).astype(np.int64)
    day = seconds // DAY
    key = orders.key[order]
    claimant = pick_by_spend(world.campaigns, by, day, draws("campaign").uniform(key, by))
    campaign = np.where(np.arange(len(order)) < len(caused), orders.campaign[order], claimant)
    # What comes after the day's report waits for the next one.
    late = (seconds % DAY >= REPORTED).astype(np.int64)
    lag = np.maximum(draws("lag").choice(LAGS, key, by), late)
    cents = orders.value_cents[order]
    seen = (campaign >= 0) & (world.campaigns.spend_cents[campaign, day] > 0)
    return Conversions(campaign[seen], day[seen], lag[seen], cents[seen])


@dataclass(frozen=True)
class _Reports:
    """By row of ``campaign_performance``, which are by (date, campaign)."""

    day: Ints
    campaign: Ints
    conversions: Ints  # reported by until
    cents: Ints  # reported by until
    all_conversions: Ints  # that will ever be reported
    restated: Ints  # day index of the last report that changed the row


def campaign_performance(world: World) -> Iterator[Rows]:
    """The rows of ``campaign_performance``: one for each campaign and day that it runs."""
    reports = _reports(world)
    for number in chunks(len(reports.day)):
        yield _performance(world, reports, number)


def _reports(world: World) -> _Reports:
    runs = world.campaigns.spend_cents.T > 0
    day, campaign = np.nonzero(runs)
    number = np.cumsum(runs.reshape(-1)).reshape(runs.shape) - 1
    found = platform_conversions(world)
    row = number[found.day, found.campaign]
    known = found.day + found.lag < runs.shape[0]
    conversions, cents, ever = (np.zeros(len(day), dtype=np.int64) for _ in range(3))
    np.add.at(ever, row, 1)
    np.add.at(conversions, row[known], 1)
    np.add.at(cents, row[known], found.cents[known])
    restated = day.copy()
    np.maximum.at(restated, row[known], (found.day + found.lag)[known])
    return _Reports(day, campaign, conversions, cents, ever, restated)


def _performance(world: World, reports: _Reports, number: Ints) -> Rows:
    draws = Draws(world.args.seed, "table.campaign_performance")
    campaign, day = reports.campaign[number], reports.day[number]
    date = world.timeline.start.astype("datetime64[D]") + day
    keys = (campaign, date.astype(np.int64))
    channel = world.campaigns.channel[campaign]
    spend = world.campaigns.spend_cents[campaign, day] / 100
    mille = MILLE[channel] * _noise(draws("mille"), 0.2, campaign)
    rate = CLICK_RATE[channel] * _noise(draws("rate"), 0.25, campaign)
    rate = np.minimum(rate * _noise(draws("day"), 0.1, *keys), 0.5)
    # Who converts has clicked, also where it is reported later; and a day with conversions has
    # the impressions that so many clicks usually take, however little is spent on it.
    least = reports.all_conversions[number]
    reach = 1000 * spend / mille * _noise(draws("reach"), 0.1, *keys)
    shown = np.maximum(np.rint(np.maximum(reach, least / rate)), 1).astype(np.int64)
    clicks = np.maximum(draws("clicks").binomial(shown, rate, *keys), least)
    conversions = reports.conversions[number]
    made = date + END_OF_DAY
    columns: dict[str, Column] = {
        "performance_id": numbered("PERF", number, 7),
        "campaign_id": numbered("CAMP", campaign, 4),
        "date": date,
        "impressions": shown,
        "clicks": clicks,
        "conversions": conversions,
        "spend": spend,
        "revenue": reports.cents[number] / 100,
        "ctr": _rate(clicks, shown),
        "conversion_rate": _rate(conversions, clicks),
        "created_at": made,
    }
    changed = made + (reports.restated[number] - day).astype("timedelta64[D]")
    return Rows(
        BY_NAME["campaign_performance"],
        number,
        columns,
        made,
        changed,
        never(len(number)),
        parents={"campaigns": campaign},
    )


def ab_tests(world: World) -> Iterator[Rows]:
    """The rows of ``ab_tests``: row t is test t."""
    tests, draws = world.experiments, Draws(world.args.seed, "table.ab_tests")
    number = np.arange(len(tests))
    created, ends = tests.starts.astype("datetime64[s]"), tests.ends + END_OF_DAY
    status = np.asarray(ends < world.until, dtype=np.int64)
    changed = np.where(status == 1, ends, created)
    tested = draws("tested").integers(0, len(TESTED), number).tolist()
    columns: dict[str, Column] = {
        "test_id": numbered("TEST", number, 4),
        "test_name": texts([f"{TESTED[w]} test {n:03d}" for n, w in enumerate(tested, 1)]),
        "campaign_id": numbered("CAMP", tests.campaign, 4),
        "variant_a_description": Coded(np.zeros_like(number), ["the present version"]),
        "variant_b_description": Coded(
            draws("variant_b").integers(0, len(VARIANTS_B), number), list(VARIANTS_B)
        ),
        "start_date": tests.starts,
        "end_date": tests.ends,
        "sample_size": tests.planned_size,
        "test_status": Coded(status, list(TEST_STATUSES)),
        "created_at": created,
        "updated_at": changed,
    }
    yield Rows(
        BY_NAME["ab_tests"],
        number,
        columns,
        created,
        changed,
        never(len(number)),
        parents={"campaigns": tests.campaign},
    )


def ab_test_results(world: World) -> Iterator[Rows]:
    """The rows of ``ab_test_results``: row 2 t is variant A of test t, row 2 t + 1 its B.

    They are no part of the campaign's figures in ``campaign_performance``, and may exceed them:
    an impression is a visitor who was shown the variant, however they came, and a conversion is
    a sign-up, not an order (see `Experiments`).
    """
    tests = world.experiments
    number = np.arange(2 * len(tests))
    test = number // 2
    variant = number % 2
    days = tests.impressions.shape[2]
    daily = tests.impressions.reshape(len(number), days)
    shown, clicks, conversions, cents = (
        counts.reshape(len(number), days).sum(axis=1)
        for counts in (tests.impressions, tests.clicks, tests.conversions, tests.revenue_cents)
    )
    made = tests.starts[test] + END_OF_DAY
    # The last day on which a counter grew; the first where none ever did.
    last = days - 1 - np.argmax(daily[:, ::-1] > 0, axis=1)
    last_date = world.timeline.start.astype("datetime64[D]") + last
    changed = np.where(shown > 0, last_date + END_OF_DAY, made)
    columns: dict[str, Column] = {
        "result_id": numbered("RES", number, 4),
        "test_id": numbered("TEST", test, 4),
        "variant": Coded(variant, ["A", "B"]),
        "impressions": shown,
        "clicks": clicks,
        "conversions": conversions,
        "revenue": cents / 100,
        "ctr": _rate(clicks, shown),
        "conversion_rate": _rate(conversions, shown),
        "created_at": made,
    }
    yield Rows(
        BY_NAME["ab_test_results"],
        number,
        columns,
        made,
        changed,
        never(len(number)),
        parents={"ab_tests": test},
    )


def _noise(draws: Draws, spread: float, *keys: Any) -> Array:
    """Lognormal with median 1."""
    return np.asarray(np.exp(spread * draws.normal(*keys)))


def _rate(part: Array, whole: Array) -> Array:
    """``part / whole`` to eight decimals; 0 where there is no whole."""
    return np.asarray(np.round(part / np.maximum(whole, 1), 8))
