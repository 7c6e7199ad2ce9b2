"""Both models of journeys on a small planted shop: signal, leakage, artefacts and reports."""

from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from ml.artefacts import ArtefactError
from ml.journey_simulation import boosting
from ml.journey_simulation import conversion_model as trees
from ml.journey_simulation.behaviour import CONVERSION_FEATURES, bought, conversion_features
from ml.journey_simulation.calibration import calibration_error
from ml.journey_simulation.chain import expected_converters, with_less_abandonment
from ml.journey_simulation.config import (
    MONTH_DAYS,
    STAGE_DEFINING,
    BoosterConfig,
    ConversionConfig,
    StageConfig,
)
from ml.journey_simulation.conversion import ConversionModel, realized, to_score
from ml.journey_simulation.conversion_report import categories_of
from ml.journey_simulation.history import SESSION_COUNTS, History, before, day_number, fingerprint
from ml.journey_simulation.origins import conversion_data, judged_days
from ml.journey_simulation.reasons import TOPICS, insights, topic_shares
from ml.journey_simulation.stage import StageModel
from ml.journey_simulation.stage import realized as realized_stages
from ml.journey_simulation.stage import to_score as stages_to_score
from ml.journey_simulation.stage_data import (
    CURRENT_FEATURES,
    current_features,
    next_features,
    stage_data,
)
from ml.journey_simulation.stages import monthly_stages, seen_between, stages_between
from ml.model import Scope, Scored
from tests.integration.journey_support import planted_history

AS_OF, CUTOFF = date(2025, 7, 1), date(2025, 4, 1)
SCOPE = Scope(AS_OF)
END, CUT = float(day_number(AS_OF)), float(day_number(CUTOFF))
QUICK = BoosterConfig(rounds=60, learning_rate=0.06, max_depth=3)
CONVERSION = ConversionModel(ConversionConfig(trials=0, resamples=100, booster=QUICK))
STAGE = StageModel(StageConfig(resamples=100, booster=replace(QUICK, rounds=20, learning_rate=0.2)))


@pytest.fixture(scope="module")
def history() -> History:
    return planted_history(600, AS_OF)


@pytest.fixture(scope="module")
def conversion(history: History):
    data = conversion_data(history, CUT, CONVERSION.config)
    return data, CONVERSION.fit_baseline(data), CONVERSION.fit(data, None)


@pytest.fixture(scope="module")
def stage(history: History):
    data = stage_data(history, CUT, STAGE.config)
    return data, STAGE.fit_baseline(data), STAGE.fit(data, None)


def with_a_wild_future(history: History, day: float) -> History:
    """The same until `day`; after it, another customer does everything ten times."""
    orders, sessions = history.order_at >= day, history.session_at >= day
    return replace(
        history,
        order_customer=np.where(orders, 0, history.order_customer),
        order_purchase=np.where(orders, False, history.order_purchase),
        order_amount=np.where(orders, 1e6, history.order_amount),
        session_customer=np.where(sessions, 0, history.session_customer),
        session_counts=np.where(sessions[:, None], 1e6, history.session_counts),
    )


def only(history: History, **counts: float) -> History:
    """A history of one customer and one session a day earlier, with these counts."""
    row = np.zeros((1, len(SESSION_COUNTS)))
    for name, value in counts.items():
        row[0, SESSION_COUNTS.index(name)] = value
    none = np.zeros(0)
    return History(
        ("A",), np.array([0.0]), none.astype(np.int64), none, none.astype(bool),
        none.astype(bool), none, np.array([0]), np.array([99.0]), np.array([99.01]),
        np.zeros((1, 5)), row, 100.0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({}, 0),
        ({"page_views": 3, "searches": 2, "events": 5}, 0),
        ({"product_page_views": 1}, 1),
        ({"product_views": 1}, 1),
        ({"account_page_views": 1, "product_views": 4}, 4),
        ({"cart_adds": 1, "account_page_views": 1}, 3),
        ({"checkout_starts": 1}, 3),
        ({"cart_page_views": 1}, 3),
        ({"purchases": 1, "cart_adds": 2, "account_page_views": 1}, 2),
    ],
)
def test_the_stage_is_the_first_line_of_the_rule_that_holds(
    history: History, counts: dict[str, float], expected: int
) -> None:
    assert stages_between(only(history, **counts), 90.0, 100.0).tolist() == [expected]


def test_periods_of_stages_begin_with_their_first_moment_and_end_before_the_next(
    history: History,
) -> None:
    one = only(history, cart_adds=1)  # at 99.0
    assert stages_between(one, 99.0, 100.0)[0] == 3
    assert stages_between(one, 98.0, 99.0)[0] == 0
    assert monthly_stages(one, 100.0, 3, 1.0).tolist() == [[0, 0, 3]]
    assert monthly_stages(one, 99.0, 3, 1.0).tolist() == [[0, 0, 0]]
    with pytest.raises(ValueError, match="a history until"):
        stages_between(one, 90.0, 101.0)
    with pytest.raises(ValueError, match="no periods"):
        stages_between(one, 99.0, 99.0)


def test_only_purchases_make_a_converter(history: History) -> None:
    order = replace(
        only(history),
        order_customer=np.array([0]),
        order_at=np.array([95.0]),
        order_amount=np.array([1.0]),
        order_failed=np.array([False]),
    )
    bought_it = replace(order, order_purchase=np.array([True]))
    assert stages_between(bought_it, 90.0, 100.0)[0] == 2
    cancelled = replace(order, order_purchase=np.array([False]))
    assert stages_between(cancelled, 90.0, 100.0)[0] == 0
    assert bought(bought_it, 95.0, 96.0).tolist() == [1.0]
    assert bought(bought_it, 94.0, 95.0).tolist() == [0.0]
    assert bought(cancelled, 90.0, 100.0).tolist() == [0.0]


def test_monthly_stages_are_those_of_each_month(history: History) -> None:
    months = monthly_stages(history, END, 4, 30.0)
    for k in range(4):
        start = END - 30.0 * (4 - k)
        assert np.array_equal(months[:, k], stages_between(history, start, start + 30.0))
    seen = seen_between(history, END - 30.0, END)
    assert (months[~seen, -1] == 0).all()
    assert 0 < seen.sum() < history.customers


@pytest.mark.parametrize("features", [lambda h: conversion_features(h, 30.0), next_features])
def test_what_happens_at_or_after_an_origin_changes_no_feature(history: History, features) -> None:
    wild = with_a_wild_future(history, CUT)
    pd.testing.assert_frame_equal(features(before(history, CUT)), features(before(wild, CUT)))
    # It could have been seen: the same change a month earlier is.
    sooner = with_a_wild_future(history, CUT - 30)
    assert not features(before(history, CUT)).equals(features(before(sooner, CUT)))


def test_a_visit_counts_from_when_it_is_known(history: History) -> None:
    late = replace(only(history), session_known=np.array([99.6]))  # began at 99.0
    assert len(before(late, 99.5).session_at) == 0
    assert len(before(late, 99.7).session_at) == 1
    with pytest.raises(ValueError, match="ends at"):
        before(late, 100.5)


def test_the_current_stage_is_told_without_what_defines_it(history: History) -> None:
    start = END - 92
    places = [SESSION_COUNTS.index(n) for n in (*STAGE_DEFINING, "page_views", "events")]
    counts = history.session_counts.copy()
    inside = history.session_at >= start
    counts[np.ix_(np.flatnonzero(inside), places)] = 999.0
    no_orders = history.order_at < start
    changed = replace(
        history,
        session_counts=counts,
        **{
            name: getattr(history, name)[no_orders]
            for name in ("order_customer", "order_at", "order_purchase", "order_failed",
                         "order_amount")
        },
    )  # fmt: skip
    assert not np.array_equal(
        stages_between(history, start, END), stages_between(changed, start, END)
    )
    pd.testing.assert_frame_equal(
        current_features(history, start), current_features(changed, start)
    )
    assert not any(name.removeprefix("window_") in STAGE_DEFINING for name in CURRENT_FEATURES)


def test_origins_keep_to_their_side_of_the_cutoff(history: History, conversion) -> None:
    data = conversion[0]
    assert [o.day for o in data.train] == [CUT - 30 * k for k in range(len(data.train), 0, -1)]
    assert all(b.day - a.day == 30 for a, b in pairwise(data.train))
    assert all(o.day + o.days <= CUT for o in data.train)
    assert all(o.day >= CUT and o.day + o.days <= END for o in data.judged)
    assert judged_days(0.0, 28.0, 30.0) == [(0.0, 28.0)]
    assert judged_days(0.0, 30.0, 30.0) == [(0.0, 30.0)]
    assert judged_days(0.0, 59.0, 30.0) == [(0.0, 30.0)]
    assert len(judged_days(0.0, 92.0, 30.0)) == 3


def test_conversion_beats_its_baseline_beyond_noise_and_keeps_its_promises(conversion) -> None:
    data, baseline, fitted = conversion
    judged = CONVERSION.judge(data, fitted, baseline, baseline)
    figures = {m.name: m for m in judged.metrics}
    assert judged.gain.low > 0
    assert figures["auc"].value > 0.85 and figures["auc"].value > figures["auc"].baseline_value
    assert figures["rolling_origins"].value == 6
    assert figures["calibration_error"].value < 0.05  # of 1,800 rows; noise alone makes 0.02
    assert all(m.baseline == "recency_rate" for m in judged.metrics if m.baseline_value)
    # The gain over itself is nothing, and promotes nothing.
    assert CONVERSION.judge(data, fitted, baseline, fitted).gain.low == 0


def test_conversion_from_labels_shuffled_in_time_is_not_promoted(conversion) -> None:
    data, *_ = conversion
    random = np.random.default_rng(5)
    labels = random.permutation(np.concatenate([o.y for o in data.train]))
    bounds = np.cumsum([len(o.y) for o in data.train])[:-1]
    shuffled = replace(
        data,
        train=tuple(
            replace(o, y=y) for o, y in zip(data.train, np.split(labels, bounds), strict=True)
        ),
    )
    baseline = CONVERSION.fit_baseline(data)
    judged = CONVERSION.judge(shuffled, CONVERSION.fit(shuffled, None), baseline, baseline)
    assert judged.gain.high < 0
    auc = {m.name: m for m in judged.metrics}["auc"]
    assert auc.value < 0.75 < auc.baseline_value
    # Beside a baseline that has learnt from the same shuffled labels there is nothing to gain.
    equal = CONVERSION.fit_baseline(shuffled)
    assert CONVERSION.judge(shuffled, CONVERSION.fit(shuffled, None), equal, equal).gain.low <= 0.01


def test_the_same_data_gives_the_same_bytes_and_versions_survive_their_files(
    history: History, conversion, stage
) -> None:
    for model, (data, baseline, fitted), to_be in (
        (CONVERSION, conversion, to_score(history, CONVERSION.config)),
        (STAGE, stage, stages_to_score(history, CUT, STAGE.config)),
    ):
        assert model.dump(model.fit(data, None)) == model.dump(fitted)
        assert model.fingerprint(data) == model.fingerprint(data)
        for version in (baseline, fitted):
            files = model.dump(version)
            again = model.load(files)
            assert model.dump(again) == files
            pd.testing.assert_frame_equal(
                model.score(again, to_be, SCOPE), model.score(version, to_be, SCOPE)
            )
        files = model.dump(fitted)
        (forest,) = [name for name in files if name.endswith(".ubj")][:1]
        for broken in (
            {},
            files | {forest: b"no forest"},
            {name: data for name, data in files.items() if name.endswith(".ubj")},
            files | {f"{model.name}.json": b"{}"},
            files | {f"{model.name}.json": b"no json"},
        ):
            with pytest.raises(ArtefactError):
                model.load(broken)


def test_fingerprints_see_a_single_order(history: History) -> None:
    amounts = history.order_amount.copy()
    amounts[len(amounts) // 2] += 0.01
    assert fingerprint(history) != fingerprint(replace(history, order_amount=amounts))


def test_tuning_that_takes_too_long_is_given_up_for_the_default_settings(conversion) -> None:
    train = conversion[0].train
    config = replace(CONVERSION.config, trials=2, tuning_seconds=0.0)
    found, told = trees.tune(train[:-2], train[-2:], config)
    assert (found, told) == (QUICK, "tuning took too long: default settings")
    found, told = trees.tune(train[:-2], train[-2:], replace(config, tuning_seconds=60.0))
    assert told == "best of 2 trials"


def test_the_baseline_is_the_smoothed_share_of_each_bin(conversion) -> None:
    data, baseline, _ = conversion
    x = pd.concat([o.x for o in data.train])
    y = np.concatenate([o.y for o in data.train])
    alike = ((x["orders"] >= 10) & (x["days_since_order"] < 7)).to_numpy()
    weight = CONVERSION.config.prior_weight
    expected = (y[alike].sum() + weight * y.mean()) / (alike.sum() + weight)
    assert alike.sum() > 100
    assert trees.predict(baseline, x[alike]) == pytest.approx(np.full(alike.sum(), expected))


def test_categories_have_their_published_bounds() -> None:
    chances = np.array([0.0, 0.0499, 0.05, 0.1999, 0.2, 0.4999, 0.5, 1.0])
    assert categories_of(chances).tolist() == [
        "Low", "Low", "Medium", "Medium", "High", "High", "Very High", "Very High",
    ]  # fmt: skip


def test_reasons_add_up_to_the_score_and_name_every_feature_once(
    history: History, conversion
) -> None:
    fitted = conversion[2]
    assert sorted(f for topic in TOPICS for f in topic.features) == sorted(CONVERSION_FEATURES)
    x = to_score(history, CONVERSION.config).x.head(200)
    raw = boosting.chances(fitted.booster, x)
    shares = topic_shares(fitted, x)
    bias = np.log(raw / (1 - raw)) - shares.sum(axis=1)
    assert np.ptp(bias) < 1e-3  # one constant for all: the rest is what the topics add
    told = insights(fitted, x, shares)
    assert all(words.startswith(("For: ", "Against: ")) for words in told)
    strongest = int(np.argmax(shares.max(axis=1)))
    topic = TOPICS[int(np.argmax(shares[strongest]))]
    assert topic.words(x.iloc[strongest].to_dict()) in told[strongest].split("Against")[0]


def test_conversion_scores_everybody_with_a_report_to_act_on(history: History, conversion) -> None:
    _, baseline, fitted = conversion
    everybody = to_score(history, CONVERSION.config)
    for version, simple in ((fitted, False), (baseline, True)):
        table = CONVERSION.score(version, everybody, SCOPE)
        assert len(table) == 600 and table["entity_id"].is_unique
        assert set(CONVERSION.result_columns) <= set(table.columns)
        assert (table["target_date"] == AS_OF + timedelta(days=30)).all()
        p = table["predicted_conversion_probability"]
        assert ((p > 0) & (p < 1)).all() and not table.isna().any().any()
        assert (table["conversion_confidence"] == np.maximum(p, 1 - p)).all()
        scored = Scored(SCOPE, table, everybody, version, simple, (), CUTOFF)
        parts = CONVERSION.report(scored)
        keys = [section.key for section in parts.sections]
        assert keys == ["conversion_distribution", "category_breakdown", "optimization_strategies"]
        assert sum(g["customers"] for g in parts.sections[1].data) == 600
        assert f"About {p.sum():,.0f} of 600" in parts.headlines[0]
        assert 'id="plot-conversion-distribution"' in parts.sections[0].html


def test_conversion_looks_back_on_what_happened(history: History) -> None:
    """Customers buy with the chance they were given; then with twice or half of it."""
    random = np.random.default_rng(8)
    n, made = history.customers, CUT
    chance = random.beta(1, 6, n)
    table = pd.DataFrame(
        {"customer_id": history.customer_ids, "predicted_conversion_probability": chance}
    )
    for truth, kept_word in ((chance, True), (np.minimum(2.5 * chance, 1), False)):
        buys = np.flatnonzero(random.random(n) < truth)
        happened = replace(
            history,
            order_customer=buys,
            order_at=np.full(len(buys), made + 29.9),
            order_purchase=np.ones(len(buys), dtype=bool),
            order_failed=np.zeros(len(buys), dtype=bool),
            order_amount=np.ones(len(buys)),
        )
        found = realized(happened, table, made, CONVERSION.config)
        figures = {m.name: m for m in found.metrics}
        share = figures["outcome_share_that_bought"]
        assert (share.value, share.baseline_value) == (
            round(len(buys) / n, 6), round(float(chance.mean()), 6),
        )  # fmt: skip
        assert (found.decayed is None) is kept_word
        y = np.isin(np.arange(n), buys).astype(float)
        assert figures["outcome_calibration_error"].value == pytest.approx(
            calibration_error(chance, y), abs=1e-6
        )
    assert realized(history, table.assign(customer_id="Z"), made, CONVERSION.config) is None


def test_stages_beat_the_last_stage_beyond_noise(stage) -> None:
    data, baseline, fitted = stage
    judged = STAGE.judge(data, fitted, baseline, baseline)
    figures = {m.name: m for m in judged.metrics}
    assert judged.gain.low > 0
    for name in ("next_macro_f1", "current_macro_f1"):
        assert figures[name].value > figures[name].baseline_value
    for name in ("next_log_loss", "current_log_loss"):
        assert figures[name].value < figures[name].baseline_value
    assert figures["rolling_origins"].value == 6
    assert STAGE.judge(data, fitted, baseline, fitted).gain.low == 0


def test_stages_from_labels_shuffled_in_time_are_not_promoted(stage) -> None:
    data, baseline, _ = stage
    random = np.random.default_rng(5)

    def shuffled(cases):
        labels = random.permutation(np.concatenate([case.y for case in cases]))
        bounds = np.cumsum([len(case.y) for case in cases])[:-1]
        return tuple(
            replace(case, y=y) for case, y in zip(cases, np.split(labels, bounds), strict=True)
        )

    mixed = replace(
        data,
        next_train=shuffled(data.next_train),
        current_train=shuffled(data.current_train),
    )
    judged = STAGE.judge(mixed, STAGE.fit(mixed, None), baseline, baseline)
    assert judged.gain.low <= 0


def test_stage_scores_everybody_and_its_report_answers_what_if(history: History, stage) -> None:
    _, baseline, fitted = stage
    everybody = stages_to_score(history, CUT, STAGE.config)
    table = STAGE.score(fitted, everybody, SCOPE)
    assert len(table) == 600 and table["entity_id"].is_unique and not table.isna().any().any()
    assert set(STAGE.result_columns) <= set(table.columns)
    assert table["predicted_journey_stage"].between(0, 4).all()
    assert table["stage_confidence"].between(0, 1).all()
    counted = everybody.transitions.counts
    # Twelve pairs of months; who has registered since is in the later ones only.
    assert 600 * 6 < counted.sum() <= 600 * 12
    for share in (0.2, 0.5):
        scope = replace(SCOPE, options={"less_abandonment": share})
        parts = STAGE.report(Scored(scope, table, everybody, fitted, False, (), CUTOFF))
        told = {section.key: section.data for section in parts.sections}
        assert list(told) == [
            "stage_distribution", "stage_transitions", "what_if", "optimization_recommendations",
        ]  # fmt: skip
        assert sum(s["customers"] for s in told["stage_distribution"]["stages"]) == 600
        shares = np.bincount(everybody.last_month, minlength=5) / 600
        chances = everybody.transitions.chances
        more = expected_converters(
            shares, with_less_abandonment(chances, share), 6
        ) - expected_converters(shares, chances, 6)
        assert told["what_if"]["more_purchases"] == pytest.approx(600 * more, abs=0.2)
        assert told["what_if"]["abandonment_falls_by"] == share
        assert 'id="plot-journey-stage-distribution"' in parts.sections[0].html
    simple = STAGE.score(baseline, everybody, SCOPE)
    assert (simple["next_stage"].to_numpy() == everybody.last_month).all()


def test_stage_looks_back_on_what_happened(history: History, stage) -> None:
    fitted = stage[2]
    then = before(history, CUT)
    table = STAGE.score(fitted, stages_to_score(then, CUT - 92, STAGE.config), SCOPE)
    found = realized_stages(history, table, CUT, STAGE.config)
    happened = stages_between(history, CUT, CUT + MONTH_DAYS)
    right = {m.name: m.value for m in found.metrics}["outcome_next_accuracy"]
    assert right == pytest.approx((table["next_stage"].to_numpy() == happened).mean(), abs=1e-6)
    wrong = realized_stages(history, table.assign(next_stage=(happened + 1) % 5), CUT, STAGE.config)
    assert wrong.decayed is not None


def test_too_little_is_said_and_is_no_failure(history: History) -> None:
    few = planted_history(20, AS_OF, seed=2)
    assert "customers are known" in CONVERSION.too_little(
        conversion_data(few, CUT, CONVERSION.config)
    )
    assert "customers were seen" in STAGE.too_little(stage_data(few, CUT, STAGE.config))
    short = planted_history(300, AS_OF, days=120, seed=2)
    assert "whole months" in CONVERSION.too_little(conversion_data(short, CUT, CONVERSION.config))
    assert "whole months" in STAGE.too_little(stage_data(short, CUT, STAGE.config))
    none = before(history, 0.0)
    assert CONVERSION.too_little(conversion_data(none, -92.0, CONVERSION.config))
    assert STAGE.too_little(stage_data(none, -92.0, STAGE.config))


def test_settings_that_no_training_could_honour_are_refused() -> None:
    with pytest.raises(ValueError, match="rolling_origins"):
        ConversionConfig(rolling_origins=5)
    with pytest.raises(ValueError, match="rolling_origins"):
        StageConfig(rolling_origins=3)
    with pytest.raises(ValueError, match="share"):
        StageConfig(less_abandonment=1.2)
