from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache

import numpy as np
import pytest

from data_generators.args import WorldArgs
from data_generators.company.arrivals import DAYS_BEFORE
from data_generators.company.customers import CHANNELS
from data_generators.company.orders import INCREMENTAL
from data_generators.company.visits import CONVERTER, STAGES, Sessions, make_transitions
from data_generators.company.world import World, make_world

AS_OF = date(2026, 1, 1)


@lru_cache(maxsize=6)
def world(
    scale: float = 0.1, seed: int = 1, days: int = 730, added: int = 0, effects: str = "all"
) -> World:
    args = WorldArgs(seed, scale, days, AS_OF, effects)
    return make_world(args, AS_OF + timedelta(days=added))


def transition_counts(world: World) -> np.ndarray:
    """From signed-in sessions alone: last month's stage to the one that this month shows.

    A month with a converting session is a Converter's; what its other sessions show is still
    the chain's stage.
    """
    sessions = world.sessions
    known = sessions.signed_in
    month = sessions.start.astype("datetime64[M]").astype(int)[known]
    person, stage = sessions.person[known], sessions.stage[known]
    first, many = month.min(), month.max() - month.min() + 1
    shown = np.full((len(world.customers), many), -1)
    converts = np.zeros(shown.shape, dtype=bool)
    browses = stage != CONVERTER
    shown[person[browses], month[browses] - first] = stage[browses]
    converts[person[~browses], month[~browses] - first] = True
    left = np.where(converts, CONVERTER, shown)[:, :-1].ravel()
    next_ = shown[:, 1:].ravel()
    seen = (left >= 0) & (next_ >= 0)
    counts = np.zeros((5, 5))
    np.add.at(counts, (left[seen], next_[seen]), 1)
    return counts


def test_sessions_are_numbered_by_start_and_key() -> None:
    sessions = world().sessions
    order = np.lexsort((sessions.key, sessions.start))
    assert (order == np.arange(len(sessions))).all()
    assert len(np.unique(sessions.key)) == len(sessions)
    assert sessions.start[0] >= world().args.start
    assert sessions.start[-1] < world().until


@pytest.mark.parametrize(("scale", "seed"), [(1.0, 1), (0.1, 2), (0.1, 3), (0.05, 4)])
def test_volumes_hold_within_two_percent(scale: float, seed: int) -> None:
    sessions = world(scale, seed).sessions
    assert len(sessions) == pytest.approx(100_000 * scale, rel=0.001)
    assert sessions.pages.sum() == pytest.approx(800_000 * scale, rel=0.01)
    assert sessions.interactions.sum() == pytest.approx(400_000 * scale, rel=0.01)
    assert sessions.searches.sum() == pytest.approx(300_000 * scale, rel=0.01)
    # Exposures and conversions of experiments make the difference to 600,000.
    others = 45_000 * min(1.0, scale / 0.28)
    assert sessions.events.sum() == pytest.approx((600_000 - others) * scale, rel=0.01)


def test_a_shorter_history_has_sessions_in_proportion() -> None:
    short, long = world(days=365).sessions, world(days=730).sessions
    # Half of them, and more: the customers are as many, and each signs up once.
    assert 0.55 < len(short) / len(long) < 0.65


def test_each_tracked_order_has_its_converting_session() -> None:
    orders, sessions = world(added=40).orders, world(added=40).sessions
    customers = world(added=40).customers
    with_order = np.flatnonzero(sessions.order >= 0)
    assert ((sessions.stage == CONVERTER) == (sessions.order >= 0)).all()
    assert sorted(sessions.order[with_order]) == np.flatnonzero(orders.tracked).tolist()
    order = sessions.order[with_order]
    assert (sessions.person[with_order] == orders.customer[order]).all()
    assert sessions.signed_in[with_order].all()
    start, placed = sessions.start[with_order], orders.placed[order]
    lead = (placed - start).astype(int)
    assert (lead >= 0).all() and (lead <= 40 * 60).all()
    assert (sessions.seconds[with_order] > lead).all()
    assert (start.astype("datetime64[D]") == placed.astype("datetime64[D]")).all()
    assert (start >= customers.registered[orders.customer[order]]).all()
    assert (sessions.products[with_order] >= orders.lines[order]).all()
    caused = orders.kind[order] == INCREMENTAL
    assert caused.any()
    assert (sessions.campaign[with_order][caused] == orders.campaign[order][caused]).all()


def test_signed_in_sessions_come_after_the_registration_and_others_lead_to_it() -> None:
    sessions, customers = world().sessions, world().customers
    signed = sessions.signed_in
    assert (sessions.person[signed] >= 0).all()
    assert (sessions.start[signed] >= customers.registered[sessions.person[signed]]).all()
    known = (sessions.person >= 0) & (sessions.person < len(customers))
    before = np.zeros(len(sessions), dtype=bool)
    before[known] = sessions.start[known] < customers.registered[sessions.person[known]]
    assert not signed[before].any()
    wait = customers.registered[sessions.person[before]] - sessions.start[before]
    assert wait.max() <= np.timedelta64((DAYS_BEFORE + 1) * 86_400, "s")
    share = len(np.unique(sessions.person[before])) / len(customers)
    assert 0.5 < share < 0.65
    # The same cookie signs in later.
    assert np.isin(sessions.anonymous[before], sessions.anonymous[signed]).all()
    # After the registration, seven browsing sessions in ten are signed in.
    after = known & ~before & (sessions.stage != CONVERTER)
    assert 0.68 < sessions.signed_in[after].mean() < 0.80


def test_a_cookie_is_of_one_person_and_device() -> None:
    sessions = world().sessions
    found, first, back = np.unique(sessions.anonymous, return_index=True, return_inverse=True)
    assert (sessions.person == sessions.person[first][back]).all()
    assert (sessions.device == sessions.device[first][back]).all()
    assert (found >= 0).all()
    customers = np.unique(sessions.person[sessions.person >= 0])
    cookies = np.unique(sessions.anonymous[sessions.person >= 0])
    assert 1.1 < len(cookies) / len(customers) < 2.0


def test_strangers_and_bots_never_sign_in() -> None:
    sessions = world().sessions
    assert not sessions.signed_in[sessions.person < 0].any()
    assert (sessions.person[sessions.bot] < 0).all()
    assert 0.01 < sessions.bot.mean() < 0.03
    assert 0.15 < (sessions.person < 0).mean() < 0.25
    assert sessions.pages[sessions.bot].mean() > 4 * sessions.pages[~sessions.bot].mean()
    dwell = sessions.seconds / sessions.pages
    assert dwell[sessions.bot].max() <= 2 < np.median(dwell[~sessions.bot])
    # Whether a person is a bot does not change.
    assert not np.isin(sessions.person[~sessions.bot], sessions.person[sessions.bot]).any()


def test_customers_visit_less_after_they_have_left() -> None:
    whole = world(1.0)
    sessions, churned = whole.sessions, whole.organic.churned
    gone = np.flatnonzero(~np.isnat(churned))
    registered = whole.customers.registered[gone]
    browses = (sessions.stage != CONVERTER) & (sessions.person >= 0)
    browses &= np.isin(sessions.person, gone)
    person, start = sessions.person[browses], sessions.start[browses]
    after = start >= churned[person]
    days_after = (whole.until - churned[gone]).astype(int).sum()
    days_before = (churned[gone] - registered).astype(int).sum()
    early = ~after & (start > whole.customers.registered[person])
    ratio = (after.sum() / days_after) / (early.sum() / days_before)
    assert ratio == pytest.approx(0.15, abs=0.03)


def test_tags_are_of_campaigns_that_run_on_the_day() -> None:
    whole = world()
    sessions, campaigns = whole.sessions, whole.campaigns
    tagged = np.flatnonzero((sessions.campaign >= 0) & (sessions.order < 0))
    day = sessions.start[tagged].astype("datetime64[D]")
    campaign = sessions.campaign[tagged]
    assert (campaigns.starts[campaign] <= day).all()
    assert (day <= campaigns.ends[campaign]).all()
    assert 0.2 < (world(1.0).sessions.campaign >= 0).mean() < 0.3
    assert (sessions.campaign[sessions.bot] < 0).all()


NO_CAMPAIGNS = "all,-campaigns"


def browsed(world: World) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of the people's sessions without an order: index, day of the world, and campaign (-1)."""
    sessions = world.sessions
    which = np.flatnonzero((sessions.order < 0) & ~sessions.bot)
    day = (sessions.start[which] - world.timeline.start).astype(np.int64) // 86_400
    return which, day, sessions.campaign[which]


def slope_within_channels(world: World) -> tuple[float, float]:
    """How the odds of a campaign rise with its spend, and the standard error.

    A conditional logit of the tagged campaign among those that its channel runs on the day, on
    the logarithm of what each spends that day: 1 where tags follow spend, 0 where they do not.
    """
    _, day, campaign = browsed(world)
    day, campaign = day[campaign >= 0], campaign[campaign >= 0]
    plan = world.campaigns
    spent = plan.spend_cents[:, day]
    runs = (spent > 0) & (plan.channel[:, None] == plan.channel[campaign])
    size = np.log(np.maximum(spent, 1))
    chosen = size[campaign, np.arange(len(day))]
    slope, information = 0.0, 1.0
    for _ in range(8):
        weight = np.where(runs, np.exp(slope * (size - size.max(axis=0))), 0)
        weight /= weight.sum(axis=0)
        mean = (weight * size).sum(axis=0)
        information = float((weight * (size - mean) ** 2).sum())
        slope += float((chosen - mean).sum()) / information
    return slope, information**-0.5


def slope_of_the_share(world: World) -> tuple[float, float]:
    """How the share of tagged sessions rises with the day's spend a session, and the error.

    A Poisson regression of each day's tagged sessions, given its sessions, on the logarithm.
    """
    _, day, campaign = browsed(world)
    days = len(world.timeline.intensity)
    sessions = np.bincount(day, minlength=days)
    tagged = np.bincount(day[campaign >= 0], minlength=days)
    spend = world.campaigns.spend_cents.sum(axis=0)
    runs = (spend > 0) & (sessions > 0)
    sessions, tagged = sessions[runs], tagged[runs]
    size = np.log(spend[runs] / sessions)
    design = np.column_stack([np.ones(len(size)), size - size.mean()])
    found = np.array([np.log(tagged.sum() / sessions.sum()), 0.0])
    for _ in range(8):
        expected = sessions * np.exp(design @ found)
        covariance = np.linalg.inv(design.T @ (design * expected[:, None]))
        found = found + covariance @ (design.T @ (tagged - expected))
    return float(found[1]), float(covariance[1, 1] ** 0.5)


def test_tags_follow_the_spend_of_campaigns() -> None:
    slope, error = slope_within_channels(world(1.0))
    assert error < 0.03
    assert abs(slope - 1) < 4 * error


def test_the_share_of_tagged_sessions_rises_with_spend_and_saturates() -> None:
    slope, error = slope_of_the_share(world(1.0))
    assert slope > 8 * error
    assert 0.15 < slope < 0.8


@pytest.mark.parametrize(("scale", "seed"), [(1.0, 1), (0.2, 2), (0.2, 3)])
def test_without_campaigns_tags_do_not_follow_spend(scale: float, seed: int) -> None:
    whole = world(scale, seed, effects=NO_CAMPAIGNS)
    for slope, error in (slope_within_channels(whole), slope_of_the_share(whole)):
        assert abs(slope) < 3.5 * error


def test_tags_follow_the_spend_of_channels_and_what_people_prefer() -> None:
    whole = world(1.0)
    which, day, campaign = browsed(whole)
    person, plan = whole.sessions.person[which], whole.campaigns
    seen = (campaign >= 0) & (person < len(whole.customers))
    person, day, campaign = person[seen], day[seen], campaign[seen]
    spend = np.stack([plan.spend_cents[plan.channel == c].sum(axis=0) for c in range(5)])
    preferred = np.where(person >= 0, whole.customers.channel[np.maximum(person, 0)], -1)
    prefers = np.arange(len(CHANNELS))[:, None] == preferred
    chance = spend[:, day] * np.where(prefers, 2.0, 1.0)
    chance /= chance.sum(axis=0)
    chosen = np.arange(len(CHANNELS))[:, None] == plan.channel[campaign]
    variance = chance * (1 - chance)
    assert (np.abs((chosen - chance).sum(axis=1)) < 4 * np.sqrt(variance.sum(axis=1))).all()
    beyond = (chosen - chance)[prefers].sum()
    assert abs(beyond) < 4 * np.sqrt(variance[prefers].sum())


@pytest.mark.parametrize("effects", ["all", NO_CAMPAIGNS])
@pytest.mark.parametrize(("scale", "seed"), [(1.0, 1), (0.2, 2), (0.2, 3), (0.2, 4)])
def test_as_many_sessions_are_tagged_as_should_be(scale: float, seed: int, effects: str) -> None:
    _, _, campaign = browsed(world(scale, seed, effects=effects))
    assert (campaign >= 0).mean() == pytest.approx(0.26, abs=0.02)


def test_the_chain_shows_its_chances() -> None:
    whole = world(1.0)
    chances = whole.transitions.chances
    counts = transition_counts(whole)
    many = counts.sum(axis=1, keepdims=True)
    assert (many > 500).all()
    error = np.sqrt(np.maximum(chances * (1 - chances), 1e-9) / many)
    assert (np.abs(counts / many - chances) < 4 * error + 1e-9).all()


def test_without_stages_the_chain_has_no_memory() -> None:
    whole = world(1.0, effects="all,-stages")
    chances = whole.transitions.chances
    assert (chances == chances[0]).all() and chances[0] == pytest.approx(chances[0])
    counts = np.delete(transition_counts(whole), CONVERTER, axis=1)
    expected = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0) / counts.sum()
    chi2 = ((counts - expected) ** 2 / expected).sum()
    assert chi2 < 35  # 12 degrees of freedom: p = 0.0005


def test_transitions_are_chances() -> None:
    for effects in ("all", "none"):
        transitions = make_transitions(WorldArgs(1, 0.1, 730, AS_OF, effects))
        assert transitions.chances.shape == (len(STAGES), len(STAGES))
        assert transitions.chances.sum(axis=1) == pytest.approx(np.ones(5))
        assert transitions.initial.sum() == pytest.approx(1)
        assert (transitions.chances[:, CONVERTER] == 0).all()


def same(one: Sessions, other: Sessions, many: int) -> None:
    for name, values in vars(one).items():
        if name != "erased":
            assert np.array_equal(
                values[:many], getattr(other, name)[:many], equal_nan=values.dtype.kind in "Mf"
            ), name


@pytest.mark.parametrize("scale", [0.001, 0.1])
@pytest.mark.parametrize("days", [30, 730])
def test_added_days_only_append(scale: float, days: int) -> None:
    base = world(scale, days=days).sessions
    for added in (1, 5, 45):
        later = world(scale, days=days, added=added).sessions
        same(base, later, len(base))
        assert (later.start[len(base) :] >= np.datetime64(AS_OF, "s")).all()
        assert (np.isnat(base.erased)).all()


def test_customers_who_are_erased_take_their_sessions_along() -> None:
    whole = world(added=200)
    sessions, customers = whole.sessions, whole.customers
    erased = customers.erased[np.where(sessions.signed_in, sessions.person, 0)]
    erased[~sessions.signed_in] = np.datetime64("NaT")
    assert np.array_equal(sessions.erased, erased, equal_nan=True)
    gone = ~np.isnat(sessions.erased)
    assert gone.any()
    assert (sessions.start[gone] < sessions.erased[gone]).all()
    assert (sessions.erased[gone] >= whole.args.end).all()


def test_the_effects_that_are_off_leave_everything_else() -> None:
    on, off = world().sessions, world(effects="all,-stages").sessions
    assert np.array_equal(on.key, off.key)
    assert np.array_equal(on.start, off.start)
    assert np.array_equal(on.campaign, off.campaign)


@pytest.mark.parametrize("scale", [0.001, 0.0001])
@pytest.mark.parametrize("days", [30, 400])
@pytest.mark.parametrize("effects", ["all", "none"])
def test_the_smallest_worlds_are_worlds(scale: float, days: int, effects: str) -> None:
    sessions = world(scale, days=days, effects=effects).sessions
    assert len(sessions) > 0
    assert (sessions.pages >= 1 + sessions.products).all()
    assert (sessions.interactions >= sessions.products).all()
    assert (sessions.seconds >= 1).all()
