"""The life of a model, whichever it is: champions, windows, a look back, and failures."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psycopg
import pytest
import yaml

from ml import registry
from ml.catalogue import CATALOGUE, Entry
from ml.lifecycle.inference import infer
from ml.lifecycle.training import train
from ml.lifecycle.watching import watch
from ml.metrics import Interval, Metric
from ml.model import Outcome, Scope
from ml.results import TrainResult
from ml.run import main, watch_model
from tests.integration.ml_support import checksum, scientist, tree_hashes
from tests.integration.tiny_model import FALL, FIRST, Settings, Tiny, make_shop, orders_of, serve

AS_OF = date(1998, 7, 1)
LATER = date(1998, 7, 8)
END_OF_YEAR = date(1998, 12, 31)
DUE = AS_OF + timedelta(days=30)
STATE = (
    "ml.model_versions",
    "ml.model_metrics",
    "ml.tiny_predictions",
    "ml.retraining_requests",
)

GOOD = Tiny()
"""Learns from the last 28 days before the cutoff: since the rise, about 6 orders a day."""
SAME = Tiny(Settings(days=None))
"""Learns from all days, as the baseline does."""
STALE = Tiny(Settings(days=20, lag=60))
"""Learns from days before the rise: about 2."""


@pytest.fixture
def shop(warehouse_url: str) -> str:
    """A warehouse with orders, the model's table, and nothing trained."""
    make_shop(warehouse_url)
    return warehouse_url


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as conn:
        return conn.execute(query.encode()).fetchall()


def trained(url: str, home: Path, model: Tiny, night: date = AS_OF, window: int = 3) -> TrainResult:
    with scientist(url) as conn:
        return train(model, conn, Scope(night, window), home)


def scored(url: str, home: Path, night: date = AS_OF, model: Tiny = GOOD) -> str | None:
    with scientist(url) as conn:
        return infer(model, conn, Scope(night), home).version


def champion(url: str) -> str | None:
    with scientist(url) as conn:
        return registry.champion_version(conn, "tiny")


def asked(url: str, night: date) -> str | None:
    with scientist(url) as conn:
        return registry.retraining_reason(conn, "tiny", night)


# Champions


def test_the_baseline_is_the_first_champion_and_a_version_as_good_does_not_replace_it(
    shop: str, tmp_path: Path
) -> None:
    result = trained(shop, tmp_path, SAME)
    first = champion(shop)
    assert first is not None and first.endswith("-baseline")
    assert (result.state, result.promoted, result.changed) == ("success", False, True)
    assert "not better than mean_of_all_days beyond noise: mean_of_all_days stays" in result.message
    gain = next(m for m in result.metrics if m.name == "gain_over_champion")
    assert (gain.value, gain.low, gain.high) == (0.0, 0.0, 0.0)
    # The baseline is the mean that plain counting gives, and its figure stands with it.
    known = [orders_of(FIRST + timedelta(days=i)) for i in range((date(1998, 4, 1) - FIRST).days)]
    assert scored(shop, tmp_path) == first
    said = rows(
        shop, "select min(tiny_orders), max(tiny_orders), count(*) from ml.tiny_predictions"
    )
    assert said == [(pytest.approx(np.mean(known)), pytest.approx(np.mean(known)), 30)]
    window = [orders_of(date(1998, 4, 1) + timedelta(days=i)) for i in range(91)]
    mae = np.abs(np.array(window) - np.mean(known)).mean()
    assert rows(shop, f"select metric, value from ml.model_metrics where version = '{first}'") == [
        ("mae", pytest.approx(mae))
    ]
    (report,) = tmp_path.glob("reports/tiny_family/*.yaml")
    assert yaml.safe_load(report.read_text())["report"]["baseline"] == "mean_of_all_days"
    before, files = checksum(shop, *STATE), tree_hashes(tmp_path)
    again = trained(shop, tmp_path, SAME)
    assert (again.changed, again.promoted, again.metrics) == (False, False, result.metrics[::-1])
    scored(shop, tmp_path)
    assert (checksum(shop, *STATE), tree_hashes(tmp_path)) == (before, files)


def test_a_better_version_takes_the_place_and_a_worse_one_leaves_it(
    shop: str, tmp_path: Path
) -> None:
    good = trained(shop, tmp_path, GOOD)
    assert good.promoted and champion(shop) == good.version == scored(shop, tmp_path)
    assert "better than mean_of_all_days, whose place it takes" in good.message
    worse = trained(shop, tmp_path, STALE, LATER)
    assert not worse.promoted and champion(shop) == good.version
    assert f"not better than {good.version} beyond noise: {good.version} stays" in worse.message
    gain = next(m for m in worse.metrics if m.name == "gain_over_champion")
    assert gain.high is not None and gain.high < 0
    assert scored(shop, tmp_path, LATER) == good.version
    # No second baseline: there was a champion to beat.
    kinds = "select params ->> 'kind', count(*) from ml.model_versions group by 1 order by 1"
    assert rows(shop, kinds) == [("baseline", 1), ("model", 2)]


def test_the_whole_interval_must_lie_above_nothing(shop: str, tmp_path: Path) -> None:
    lows = {-0.01: False, 0.0: False, float("nan"): False, 1e-9: True}
    for days, (low, promoted) in enumerate(lows.items(), start=20):
        model = Tiny(Settings(days=days), gain=Interval(0.1, low, 0.2))
        result = trained(shop, tmp_path, model)
        assert result.promoted is promoted, low
        assert (champion(shop) == result.version) is promoted
        assert ("whose place it takes" in result.message) is promoted


def test_a_lost_baseline_is_made_again_and_the_champions_stay(shop: str, tmp_path: Path) -> None:
    result = trained(shop, tmp_path, SAME)
    first = champion(shop)
    assert scored(shop, tmp_path) == first
    before, files = checksum(shop, *STATE), tree_hashes(tmp_path)
    for lost in ([first], [result.version], [first, result.version]):
        for version in lost:
            (tmp_path / f"artefacts/tiny_family/tiny-{version}.zip").unlink()
        again = trained(shop, tmp_path, SAME)
        assert again.changed and "made again" in again.message
        assert scored(shop, tmp_path) == first
        assert (checksum(shop, *STATE), tree_hashes(tmp_path)) == (before, files)


def test_a_champion_that_cannot_be_read_makes_way_for_a_new_baseline(
    shop: str, tmp_path: Path
) -> None:
    trained(shop, tmp_path, SAME)
    first = champion(shop)
    for path in tmp_path.glob("artefacts/tiny_family/*"):
        path.unlink()
    result = trained(shop, tmp_path, SAME, LATER)
    second = champion(shop)
    assert not result.promoted
    assert second is not None and second.endswith("-baseline") and second != first
    assert scored(shop, tmp_path, LATER) == second
    assert rows(shop, "select count(*) from ml.model_versions where is_champion") == [(1,)]


def test_of_two_trainings_beside_each_other_the_second_must_beat_the_first(
    shop: str, tmp_path: Path
) -> None:
    """Both are better than the baseline, and none than the other: only one may be promoted."""
    models = [Tiny(Settings(days=27)), Tiny(Settings(days=30))]
    with psycopg.connect(shop) as holder, ThreadPoolExecutor(2) as pool:
        holder.execute("select pg_advisory_lock(hashtext('ml.tiny'))")
        runs = [pool.submit(trained, shop, tmp_path, model) for model in models]
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:  # until both have judged, and wait to register
            (waiting,) = rows(shop, "select count(*) from pg_locks where not granted")[0]
            if waiting == 2:
                break
        assert waiting == 2
        holder.execute("select pg_advisory_unlock_all()")
        results = [run.result() for run in runs]
    winner, other = sorted(results, key=lambda result: not result.promoted)
    assert (winner.promoted, other.promoted) == (True, False)
    assert "better than mean_of_all_days, whose place it takes" in winner.message
    assert f"{winner.version} stays" in other.message
    assert champion(shop) == winner.version
    assert rows(shop, "select count(*) from ml.model_versions") == [(3,)]


def test_a_night_scored_again_later_has_the_champion_that_it_had(shop: str, tmp_path: Path) -> None:
    """Whatever the order of names: several versions became champion on one night."""
    versions = []
    for days in (None, 26, 27, 28):
        forced = Tiny(Settings(days=days), gain=Interval(1.0, 0.5, 2.0))
        versions.append(trained(shop, tmp_path, forced).version)
        assert champion(shop) == versions[-1] == scored(shop, tmp_path)
    before = checksum(shop, "ml.tiny_predictions")
    last = trained(shop, tmp_path, Tiny(gain=Interval(1.0, 0.5, 2.0)), LATER)
    assert champion(shop) == last.version
    assert scored(shop, tmp_path) == versions[-1]
    assert checksum(shop, "ml.tiny_predictions") == before
    assert scored(shop, tmp_path, LATER) == last.version


# Windows


def test_each_window_reaches_the_cutoff_and_nothing_within_it_is_learnt(
    shop: str, tmp_path: Path
) -> None:
    cutoffs = {1: date(1998, 6, 1), 2: date(1998, 5, 1), 3: date(1998, 4, 1)}
    for first, cutoff in cutoffs.items():
        check_window(shop, tmp_path, first, cutoff)
        with psycopg.connect(shop) as conn:
            conn.execute("truncate ml.model_versions, ml.model_metrics")
            conn.execute("delete from marts.fct_orders where order_id !~ '^1998'")


def check_window(shop: str, tmp_path: Path, first: int, cutoff: date) -> None:
    one = trained(shop, tmp_path, GOOD, window=first)
    assert one.version is not None and one.version.startswith(str(cutoff))
    assert one.trained_rows == (cutoff - FIRST).days
    with scientist(shop) as conn:
        known = registry.find_version(conn, "tiny", one.version)
    assert known is not None
    assert (known.params["window_months"], known.trained_until) == (first, cutoff)
    assert rows(shop, "select distinct params ->> 'trained_until' from ml.model_versions") == [
        (str(cutoff),)
    ]
    # Ten times the orders within the window: another judgement, and the very same model.
    with psycopg.connect(shop) as conn:
        conn.execute(
            "insert into marts.fct_orders (order_id, order_date, is_purchase)"
            " select 'more' || i, %s::date + interval '12 hours', true"
            " from generate_series(1, 500) as i",
            (cutoff,),
        )
    two = trained(shop, tmp_path, GOOD, window=first)
    assert two.version != one.version
    with scientist(shop) as conn:
        again = registry.find_version(conn, "tiny", str(two.version))
    assert again is not None and again.sha256 == known.sha256
    assert next(m for m in one.metrics if m.name == "mae") not in two.metrics
    # One more the day before it is learnt.
    with psycopg.connect(shop) as conn:
        conn.execute(
            "insert into marts.fct_orders (order_id, order_date, is_purchase)"
            " values ('before', %s::date - interval '1 second', true)",
            (cutoff,),
        )
    three = trained(shop, tmp_path, GOOD, window=first)
    with scientist(shop) as conn:
        other = registry.find_version(conn, "tiny", str(three.version))
    assert other is not None and other.sha256 != known.sha256


def test_a_champion_that_knew_days_of_the_window_is_told(shop: str, tmp_path: Path) -> None:
    first = trained(shop, tmp_path, GOOD, window=1)
    later = trained(shop, tmp_path, GOOD, LATER, window=3)
    assert f"{first.version} knew days of this window, which favours it" in later.message
    assert "knew days" not in first.message


@pytest.mark.parametrize("arguments", [["--window-months", "0"], ["--window-months", "4"],
                                       ["--options", "[1]"], ["--options", "no json"]])  # fmt: skip
def test_the_command_line_refuses_what_no_run_can_be_about(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["train", "--as-of", str(AS_OF), *arguments])
    assert caught.value.code == 2
    assert arguments[0] in capsys.readouterr().err


# Nights with nothing to say


def test_a_night_with_nothing_to_score_loses_what_was_said_of_it_and_no_other_does(
    shop: str, tmp_path: Path
) -> None:
    trained(shop, tmp_path, GOOD)
    scored(shop, tmp_path)
    scored(shop, tmp_path, LATER)
    kept = f"select count(*) from ml.tiny_predictions where as_of = '{AS_OF}'"
    assert rows(shop, kept) == [(30,)]
    with psycopg.connect(shop) as conn:
        conn.execute("truncate marts.fct_orders")
    with scientist(shop) as conn:
        result = infer(GOOD, conn, Scope(LATER), tmp_path)
        assert (result.state, result.version, result.files) == ("not_applicable", None, ())
        short = train(GOOD, conn, Scope(LATER), tmp_path)
        assert (short.state, short.message) == (
            "not_applicable", "not applicable: there are no orders",
        )  # fmt: skip
    assert rows(shop, "select distinct as_of, count(*) from ml.tiny_predictions group by 1") == [
        (AS_OF, 30)
    ]


# The look back


def test_predictions_are_looked_at_once_they_have_come_due(shop: str, tmp_path: Path) -> None:
    good = trained(shop, tmp_path, GOOD)
    scored(shop, tmp_path)
    scored(shop, tmp_path, LATER)
    with scientist(shop) as conn:
        early = watch(GOOD, conn, Scope(DUE - timedelta(days=1)))
        assert (early.made, early.version, early.reason) == (None, None, None)
        assert "no past prediction has come due" in early.message
        due = watch(GOOD, conn, Scope(DUE))
        assert (due.made, due.version, due.reason) == (AS_OF, good.version, None)
        assert "nothing asks for training" in due.message
    # Of all that have come due, the newest.
    with scientist(shop) as conn:
        assert watch(GOOD, conn, Scope(LATER + timedelta(days=30))).made == LATER
    mean = rows(shop, "select distinct tiny_orders from ml.tiny_predictions")[0][0]
    happened = [orders_of(AS_OF + timedelta(days=i)) for i in range(30)]
    looks = "select version, as_of, value from ml.model_metrics where metric = 'outcome_mae'"
    assert rows(shop, f"{looks} and as_of = '{DUE}'") == [
        (good.version, DUE, pytest.approx(np.abs(np.array(happened) - mean).mean()))
    ]
    assert rows(shop, "select kind, state, as_of from ml.model_runs where kind = 'watch'") == [
        ("watch", "not_applicable", DUE - timedelta(days=1)),
        ("watch", "success", DUE),
        ("watch", "success", LATER + timedelta(days=30)),
    ]
    before = checksum(shop, *STATE)
    with scientist(shop) as conn:
        watch(GOOD, conn, Scope(DUE))
        figures = registry.read_metrics(conn, "tiny", str(good.version))
    assert checksum(shop, *STATE) == before
    # A version's own report tells of its training alone.
    assert {metric.name for metric in figures} == {"mae", "gain_over_champion"}


def test_what_fails_asks_for_training_until_a_later_night_has_trained(
    shop: str, tmp_path: Path
) -> None:
    trained(shop, tmp_path, GOOD)
    scored(shop, tmp_path, FALL)  # from here on there is one order a day, not six
    look = FALL + timedelta(days=30)
    with scientist(shop) as conn:
        result = watch(GOOD, conn, Scope(look))
        assert result.reason is not None and "orders a day" in result.reason
        before = checksum(shop, *STATE)
        watch(GOOD, conn, Scope(look))
    assert checksum(shop, *STATE) == before
    assert rows(shop, "select model, as_of, reason from ml.retraining_requests") == [
        ("tiny", look, result.reason)
    ]
    nights = [look + timedelta(days=i) for i in range(-1, 4)]
    assert [asked(shop, night) for night in nights] == [None, None, *[result.reason] * 3]
    trained(shop, tmp_path, GOOD, look)  # trained on the very night, before the look
    assert asked(shop, nights[2]) == result.reason
    with scientist(shop) as conn:
        registry.record_run(conn, "train", "tiny", None, nights[2], "failed", 0, 0.0, "")
        registry.record_run(conn, "infer", "tiny", None, nights[2], "success", 0, 0.0, "")
        registry.record_run(conn, "train", "other", None, nights[2], "success", 0, 0.0, "")
    assert asked(shop, nights[3]) == result.reason
    trained(shop, tmp_path, GOOD, nights[3])
    assert [asked(shop, night) for night in nights] == [None, None, result.reason, None, None]


def test_a_version_that_no_longer_serves_is_no_reason_to_train(shop: str, tmp_path: Path) -> None:
    first = trained(shop, tmp_path, GOOD)
    scored(shop, tmp_path, FALL)
    better = Tiny(Settings(days=5), gain=Interval(1.0, 0.5, 2.0))
    second = trained(shop, tmp_path, better, FALL + timedelta(days=20), window=1)
    look = FALL + timedelta(days=30)
    with scientist(shop) as conn:
        result = watch(GOOD, conn, Scope(look))
    assert (result.version, result.reason) == (first.version, None)
    assert champion(shop) == second.version
    assert asked(shop, look + timedelta(days=1)) is None
    # What came of it is recorded all the same.
    found = f"select version from ml.model_metrics where as_of = '{look}'"
    assert rows(shop, found) == [(first.version,)]


def test_another_look_takes_back_what_no_longer_holds(shop: str, tmp_path: Path) -> None:
    trained(shop, tmp_path, SAME)
    scored(shop, tmp_path, FALL)
    look = FALL + timedelta(days=30)
    with scientist(shop) as conn:
        assert watch(GOOD, conn, Scope(look)).reason is not None
    # The night is trained and scored again, by another version, and looked at again.
    second = trained(shop, tmp_path, Tiny(gain=Interval(1.0, 0.5, 2.0)))
    assert scored(shop, tmp_path, FALL) == second.version
    lenient = Tiny(Settings(worst_error=9.0))
    with scientist(shop) as conn:
        assert watch(lenient, conn, Scope(look)).reason is None
    assert rows(shop, "select * from ml.retraining_requests") == []
    looks = "select version from ml.model_metrics where metric = 'outcome_mae'"
    assert rows(shop, looks) == [(second.version,)]


def test_drift_asks_for_training_where_a_bound_is_passed(shop: str, tmp_path: Path) -> None:
    drift = {"spent": (0.31, 0.25), "orders": (0.5, 0.25), "edge": (0.25, 0.25), "none": (9, None)}
    with psycopg.connect(shop) as conn:
        for column, (value, high) in drift.items():
            conn.execute(
                "insert into quality.table_figures (as_of, table_name, figure, column_name, value,"
                " high) values (%s, 'marts.customer_features', 'psi', %s, %s, %s)",
                (AS_OF, column, value, high),
            )
        conn.execute(
            "insert into quality.table_figures (as_of, table_name, figure, column_name, value,"
            " high) values (%s, 'marts.customer_features', 'mean', 'spent', 9, 1)",
            (LATER,),
        )
    with scientist(shop) as conn:
        assert watch(GOOD, conn, Scope(AS_OF)).reason is None  # nothing is trained yet
    trained(shop, tmp_path, GOOD)
    with scientist(shop) as conn:
        result = watch(GOOD, conn, Scope(AS_OF))
        assert result.reason == "features have drifted since training: orders, spent"
        assert watch(GOOD, conn, Scope(LATER)).reason is None
        before = checksum(shop, *STATE)
        watch(GOOD, conn, Scope(AS_OF))
    assert checksum(shop, *STATE) == before
    assert asked(shop, LATER) == result.reason


class Endless(Tiny):
    """Nothing will ever tell whether it was right."""

    horizon_days = None


class Misnamed(Tiny):
    """Names its outcome like a figure of training."""

    def outcome(
        self, conn: psycopg.Connection, predictions: pd.DataFrame, made: date, as_of: date
    ) -> Outcome | None:
        return Outcome((Metric("mae", 1.0),), None)


def test_a_model_that_nothing_can_tell_of_is_not_applicable(shop: str, tmp_path: Path) -> None:
    trained(shop, tmp_path, GOOD)
    scored(shop, tmp_path)
    with scientist(shop) as conn:
        assert watch(Endless(), conn, Scope(END_OF_YEAR)).made is None
        with pytest.raises(ValueError, match=r"named outcome_\.\.\.: mae"):
            watch(Misnamed(), conn, Scope(END_OF_YEAR))
    assert rows(shop, "select state from ml.model_runs where kind = 'watch'") == [
        ("not_applicable",)
    ]


# One failing beside others


class Whole(Tiny):
    """What `Broken` was before it broke."""

    name = "broken"


class Broken(Tiny):
    """Cannot read anything, in a way that nobody had thought of."""

    name = "broken"

    def read(self, conn: psycopg.Connection, scope: Scope) -> pd.DataFrame:
        raise ZeroDivisionError("no days")

    def read_scoring(self, conn: psycopg.Connection, scope: Scope) -> int:
        conn.execute("select 1 / 0")
        return 0

    def score(self, fitted: float, data: int, scope: Scope) -> pd.DataFrame:
        raise AssertionError("never read")


def test_one_models_failure_is_recorded_and_stops_no_other(
    shop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in list(CATALOGUE):
        monkeypatch.delitem(CATALOGUE, name)
    monkeypatch.setitem(CATALOGUE, "broken", Entry("tiny_family", __name__, "Broken"))
    serve(monkeypatch)
    assert list(CATALOGUE) == ["broken", "tiny"]  # the failing one comes first
    monkeypatch.setenv("WAREHOUSE_URL", shop)
    monkeypatch.setenv("AMATO_HOME", str(tmp_path))
    # `broken` has a version to score with, and no table of predictions to look back at.
    with scientist(shop) as conn:
        train(Whole(), conn, Scope(AS_OF), tmp_path)
    for kind, said in (("train", "broken"), ("infer", "broken"), ("watch", "broken")):
        assert main([kind, "--as-of", str(AS_OF)]) == 1
        printed = capsys.readouterr()
        assert f"{kind} failed: {said}\n" in printed.err
        assert "tiny: " in printed.out
    runs = rows(
        shop,
        "select kind, model, state, split_part(message, ':', 1) from ml.model_runs"
        " where not (kind = 'train' and model = 'broken' and state = 'success') order by run_id",
    )
    assert runs[0] == ("train", "broken", "failed", "ZeroDivisionError")
    assert runs[1][:3] == ("train", "tiny", "success")
    assert runs[2] == ("infer", "broken", "failed", "DivisionByZero")
    assert runs[3][:3] == ("infer", "tiny", "success")
    assert runs[4] == ("watch", "broken", "failed", "UndefinedTable")
    assert runs[5][:3] == ("watch", "tiny", "not_applicable")
    assert main(["train", "--model", "tiny", "--as-of", str(AS_OF)]) == 0


def test_the_task_trains_on_mondays_without_a_champion_and_on_request(
    shop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.sdk.exceptions import AirflowSkipException

    from dags.stages import models

    serve(monkeypatch)
    monday, tuesday, wednesday = (date(1998, 7, 6) + timedelta(days=i) for i in range(3))
    form: dict[str, Any] = {"window_months": 2, "model_options": {}}

    def train_on(night: date, always: bool = False) -> Any:
        monkeypatch.setattr(models, "latest_night", lambda: night)
        return models.train_model.function("tiny", always)

    monkeypatch.setattr(models, "warehouse", lambda role: scientist(shop))
    monkeypatch.setattr(models, "require_passed", lambda as_of: None)
    monkeypatch.setattr(models, "get_current_context", lambda: {"params": form})
    monkeypatch.setenv("AMATO_HOME", str(tmp_path))
    first = train_on(tuesday)  # there is no champion yet
    assert first["promoted"] and first["version"].startswith("1998-05-07")
    with pytest.raises(AirflowSkipException, match=f"on Mondays by as_of; {first['version']} serv"):
        train_on(wednesday)
    with scientist(shop) as conn:
        registry.request_retraining(conn, "tiny", tuesday, "features have drifted")
    assert train_on(wednesday)["state"] == "success"
    with pytest.raises(AirflowSkipException):
        train_on(wednesday)  # the request has been heard
    assert train_on(wednesday, always=True)["changed"] is False
    assert train_on(monday)["state"] == train_on(monday + timedelta(days=7))["state"] == "success"


def test_a_look_back_returns_plain_data(shop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch)
    with scientist(shop) as conn:
        content = watch_model("tiny", conn, Scope(AS_OF))
    assert json.loads(json.dumps(content)) == {
        "model": "tiny", "as_of": "1998-07-01", "made": None, "version": None, "reason": None,
        "message": "no past prediction has come due; nothing asks for training",
    }  # fmt: skip
