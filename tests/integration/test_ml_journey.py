"""The models of journeys in a real warehouse: what they read, and a whole life of each."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
import yaml

from ml import catalogue
from ml.features import MartMissingError
from ml.journey_simulation.config import BoosterConfig, ConversionConfig, StageConfig
from ml.journey_simulation.conversion import ConversionModel
from ml.journey_simulation.history import (
    SESSION_COUNTS,
    before,
    day_number,
    fingerprint,
    read_history,
)
from ml.journey_simulation.stage import StageModel
from ml.model import Scope
from ml.run import infer_model, train_model, watch_model
from tests.integration.journey_support import SESSIONS, make_journey_marts, planted_history
from tests.integration.ml_support import MARTS, at, checksum, make_marts, scientist, tree_hashes

AS_OF = date(2025, 7, 1)
SCOPE = Scope(AS_OF)
LATER = Scope(AS_OF + timedelta(days=31))
SMALL = BoosterConfig(rounds=25, learning_rate=0.15, max_depth=3)


@pytest.fixture
def shop(warehouse_url: str) -> str:
    """A warehouse with the orders and visits of 300 customers, of a month more than the night."""
    make_marts(warehouse_url, [], [], since=date(2000, 1, 1))
    make_journey_marts(warehouse_url, planted_history(300, LATER.as_of))
    return warehouse_url


@pytest.fixture(autouse=True)
def small_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """The models with settings that a test has time for."""
    models = {
        "conversion": ConversionModel(ConversionConfig(trials=0, resamples=100, booster=SMALL)),
        "stage": StageModel(StageConfig(resamples=100, booster=SMALL)),
    }
    monkeypatch.setattr("ml.run.find_model", lambda name: models[name])


def run(url: str, home: Path, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    with scientist(url) as conn:
        return train_model(name, conn, SCOPE, home), infer_model(name, conn, SCOPE, home)


def test_the_catalogue_knows_both() -> None:
    assert isinstance(catalogue.find_model("stage"), StageModel)
    assert isinstance(catalogue.find_model("conversion"), ConversionModel)


@pytest.mark.parametrize("name", ["stage", "conversion"])
def test_a_life_of_training_scoring_and_looking_back(shop: str, tmp_path: Path, name: str) -> None:
    tables = ("ml.model_versions", "ml.model_metrics", f"ml.{name}_predictions")
    trained, scored = run(shop, tmp_path, name)
    assert (trained["state"], trained["promoted"], scored["state"]) == ("success", True, "success")
    assert scored["predictions"] == 300
    assert scored["version"] == trained["version"]
    with psycopg.connect(shop) as conn:
        figures = dict(
            conn.execute(
                "select metric, value from ml.model_metrics where model = %s and version = %s",
                (name, trained["version"]),
            ).fetchall()
        )
        (first,) = conn.execute(
            "select version from ml.model_versions where model = %s and version like '%%-baseline'",
            (name,),
        ).fetchone()
        keys = conn.execute(
            "select count(*), count(distinct entity_id), min(target_date), max(trained_as_of)"
            f" from ml.{name}_predictions".encode()
        ).fetchone()
    assert first and figures["rolling_origins"] == 6 and figures["gain_over_champion"] > 0
    assert keys == (300, 300, AS_OF + timedelta(days=30), SCOPE.cutoff)
    (report,) = tmp_path.glob(f"reports/journey_simulation/{name}_*.yaml")
    told = yaml.safe_load(report.read_text())
    wanted = {
        "stage": {"stage_distribution", "stage_transitions", "optimization_recommendations"},
        "conversion": {"conversion_distribution", "category_breakdown", "optimization_strategies"},
    }
    assert wanted[name] <= set(told) and told["actions"] and told["headlines"]

    sums, files = checksum(shop, *tables), tree_hashes(tmp_path)
    again, _ = run(shop, tmp_path, name)
    assert (again["version"], again["changed"]) == (trained["version"], False)
    assert (checksum(shop, *tables), tree_hashes(tmp_path)) == (sums, files)

    with scientist(shop) as conn:
        early = watch_model(name, conn, SCOPE)
        seen = watch_model(name, conn, LATER)
        (outcomes,) = conn.execute(
            "select count(*) from ml.model_metrics where model = %s and metric like 'outcome%%'",
            (name,),
        ).fetchone()
    assert early["made"] is None
    assert seen["made"] == str(AS_OF) and outcomes >= 2
    assert json.dumps(seen)


def test_what_is_read_is_what_was_planted(shop: str) -> None:
    planted = before(planted_history(300, LATER.as_of), float(day_number(AS_OF)))
    with scientist(shop) as conn:
        found = read_history(conn, AS_OF)
        whole = read_history(conn, LATER.as_of)
    assert found.customer_ids == planted.customer_ids
    assert np.array_equal(found.order_customer, planted.order_customer)
    assert np.array_equal(found.session_customer, planted.session_customer)
    assert np.array_equal(found.session_counts, planted.session_counts)
    assert np.abs(found.order_at - planted.order_at).max() < 1e-5
    assert np.allclose(found.order_amount, planted.order_amount)
    # Reading later and cutting at the night is the same.
    assert fingerprint(before(whole, found.until)) == fingerprint(before(found, found.until))


def test_bots_strangers_and_what_was_not_known_yet_are_not_read(warehouse_url: str) -> None:
    night = date(2025, 7, 1)
    rows = [
        # session, customer, cookie, stitched, bot, start, end
        ("S1", "A", "c1", False, False, "2025-06-01", "2025-06-01 00:10"),
        ("S2", "A", "c1", False, True, "2025-06-02", "2025-06-02 00:10"),  # a bot
        ("S3", None, "c2", False, False, "2025-06-03", "2025-06-03 00:10"),  # a stranger
        ("S4", "A", "c3", True, False, "2025-05-01", "2025-05-01 00:10"),  # known from S5 on
        ("S5", "A", "c3", False, False, "2025-06-20", "2025-06-20 00:10"),
        ("S6", "A", "c1", False, False, "2025-06-30 23:59", None),  # goes on at the night
        ("S7", "A", "c1", False, False, "2025-07-01", "2025-07-01 00:10"),  # too late
        ("S8", "B", "c9", False, False, "2025-06-01", "2025-06-01 00:10"),  # nobody knows B
    ]
    with psycopg.connect(warehouse_url) as conn:
        conn.execute((MARTS + SESSIONS).encode())
        conn.execute(
            "insert into marts.dim_customers (customer_key, customer_id, valid_from, valid_to,"
            " is_current, registration_date) values"
            " ('A1', 'A', '2025-01-01', '2025-03-01', false, '2025-01-01'),"
            " ('A2', 'A', '2025-03-01', null, true, '2025-01-02'),"
            " ('B1', 'B', '2025-08-01', null, true, '2025-01-02')"
        )
        for session, customer, cookie, stitched, bot, start, end in rows:
            conn.execute(
                "insert into marts.fct_sessions (session_id, customer_id, anonymous_id,"
                " is_identified_by_stitching, is_bot, session_start, session_end, channel,"
                " cart_adds) values (%s, %s, %s, %s, %s, %s, %s, 'Direct', 1)",
                (session, customer, cookie, stitched, bot, at(start), end and at(end)),
            )
    with scientist(warehouse_url) as conn:
        found = read_history(conn, night)
    assert found.customer_ids == ("A",) and found.registered.tolist() == [
        day_number(date(2025, 1, 2))
    ]
    days = [datetime.fromtimestamp(d * 86_400, UTC).strftime("%m-%d") for d in found.session_at]
    assert days == ["05-01", "06-01", "06-20", "06-30"]
    # The visit of May was only known to be A's when A signed in under the same cookie.
    assert len(before(found, float(day_number(date(2025, 6, 15)))).session_at) == 1
    assert len(before(found, float(day_number(date(2025, 6, 21)))).session_at) == 3
    place = SESSION_COUNTS.index("cart_adds")
    assert found.session_counts[:, place].tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize("name", ["stage", "conversion"])
def test_without_marts_the_error_says_what_to_run(
    warehouse_url: str, tmp_path: Path, name: str
) -> None:
    with scientist(warehouse_url) as conn, pytest.raises(MartMissingError, match="transform"):
        train_model(name, conn, SCOPE, tmp_path)


@pytest.mark.parametrize("name", ["stage", "conversion"])
def test_empty_marts_are_not_applicable(warehouse_url: str, tmp_path: Path, name: str) -> None:
    with psycopg.connect(warehouse_url) as conn:
        conn.execute((MARTS + SESSIONS).encode())
    trained, scored = run(warehouse_url, tmp_path, name)
    assert (trained["state"], scored["state"]) == ("not_applicable", "not_applicable")
