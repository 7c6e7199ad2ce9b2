"""The models of campaigns in a warehouse: trained, scored, repeated, and bound by limits."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
import yaml

from ml.campaign_optimization.allocation import BudgetLimitError
from ml.campaign_optimization.history import read_history
from ml.features import MartMissingError
from ml.model import Scope
from ml.run import infer_model, train_model, watch_model
from tests.campaign_support import AS_OF, make_company
from tests.integration.ml_support import MARTS, checksum, scientist, tree_hashes

SCOPE = Scope(AS_OF)
CUSTOMERS = 60

CAMPAIGN_MARTS = """
set role amato_transformer;
create table marts.dim_campaigns (
    campaign_id text primary key,
    campaign_name text,
    campaign_type text,
    channel text,
    target_audience text,
    start_date date,
    end_date date,
    budget numeric(18, 2),
    created_at timestamptz
);
create table marts.fct_campaign_daily (
    campaign_id text,
    date_day date,
    is_reported boolean not null,
    conversions bigint not null,
    spend numeric(18, 2) not null,
    platform_revenue numeric(18, 2) not null,
    primary key (campaign_id, date_day)
);
create table marts.customer_campaigns (
    customer_id text,
    campaign_id text,
    channel text,
    converting_sessions bigint not null,
    orders_last_touch bigint not null,
    first_reached_at timestamptz not null,
    last_reached_at timestamptz not null,
    primary key (customer_id, campaign_id)
);
reset role;
"""


@pytest.fixture
def company(warehouse_url: str) -> str:
    """A warehouse with the campaigns of a company, and a few customers whom they reached."""
    history, _ = make_company(31)
    day = lambda n: history.first_day + timedelta(days=int(n))  # noqa: E731
    with psycopg.connect(warehouse_url) as conn, conn.cursor() as cursor:
        cursor.execute(MARTS.encode())
        cursor.execute(CAMPAIGN_MARTS.encode())
        with cursor.copy("copy marts.dim_campaigns from stdin") as copy:
            for i, name in enumerate(history.ids):
                made = datetime.combine(day(history.created[i]), datetime.min.time(), UTC)
                copy.write_row(
                    (name, history.names[i], history.kind[i], history.channel[i],
                     history.audience[i], day(history.starts[i]), day(history.ends[i]),
                     round(float(history.budget[i]), 2), made)
                )  # fmt: skip
        with cursor.copy("copy marts.fct_campaign_daily from stdin") as copy:
            for i, t in np.argwhere(history.reported):
                copy.write_row(
                    (history.ids[i], day(t), True, int(history.conversions[i, t]),
                     round(float(history.spend[i, t]), 2), round(float(history.revenue[i, t]), 2))
                )  # fmt: skip
        orders = "order_id, customer_id, order_date, order_status, is_purchase, total_amount"
        with cursor.copy(f"copy marts.fct_orders ({orders}) from stdin".encode()) as copy:
            for t, many in enumerate(history.purchases.astype(int)):
                for n in range(many):
                    at = datetime.combine(day(t), datetime.min.time(), UTC)
                    copy.write_row((f"{t}-{n}", "C00", at, "completed", True, 40))
        with cursor.copy("copy marts.dim_customers from stdin") as copy:
            for c in range(CUSTOMERS):
                copy.write_row((f"C{c:02d}|1", f"C{c:02d}", None, history.first_day, None, True))
        with cursor.copy("copy marts.customer_campaigns from stdin") as copy:
            for c in range(1, CUSTOMERS):
                for k in range(c % 7):
                    i = (13 * c + 29 * k) % 80
                    at = datetime.combine(day(history.starts[i] + 5), datetime.min.time(), UTC)
                    bought = int((c + k) % 9 == 0)
                    copy.write_row(
                        (f"C{c:02d}", history.ids[i], history.channel[i], bought, bought, at, at)
                    )
    return warehouse_url


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as conn:
        return conn.execute(query.encode()).fetchall()


def both(url: str, name: str, home: Path, scope: Scope = SCOPE) -> tuple[dict[str, Any], ...]:
    with scientist(url) as conn:
        return train_model(name, conn, scope, home), infer_model(name, conn, scope, home)


def repeated(url: str, name: str, home: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Train and score twice: the second time changes nothing. Returns the first time's results."""
    first = both(url, name, home)
    state = ("ml.model_versions", "ml.model_metrics", f"ml.{name}_predictions")
    before = checksum(url, *state), tree_hashes(home)
    again = both(url, name, home)
    assert (checksum(url, *state), tree_hashes(home)) == before
    assert not again[0]["changed"]
    return first[0], first[1]


def report_of(result: dict[str, Any]) -> dict[str, Any]:
    (path,) = [Path(file) for file in result["files"] if file.endswith(".yaml")]
    html = path.with_suffix(".html").read_text(encoding="utf-8")
    assert "plotly" in html and "http-equiv" not in html
    content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return content


def test_success_is_trained_scored_and_repeated(company: str, tmp_path: Path) -> None:
    trained, scored = repeated(company, "success", tmp_path)
    assert trained["promoted"], trained["message"]
    kinds = dict(
        rows(company, "select entity_type, count(*) from ml.success_predictions group by 1")
    )
    assert kinds["customer"] == CUSTOMERS
    (running,) = rows(
        company, f"select count(*) from marts.dim_campaigns where end_date >= '{AS_OF}'"
    )
    assert kinds["campaign"] >= running[0] > 0
    assert scored["predictions"] == sum(kinds.values())
    (odd,) = rows(
        company,
        "select count(*) from ml.success_predictions where not (success_low <= success_probability"
        " and success_probability <= success_high) or success_factors = ''",
    )
    assert odd == (0,)
    report = report_of(scored)
    assert {"success_rate", "category_distribution", "optimization_recommendations"} <= set(report)
    assert report["success_rate"]["customers"] == CUSTOMERS
    assert report["actions"]


def test_budget_is_trained_scored_and_repeated(company: str, tmp_path: Path) -> None:
    trained, scored = repeated(company, "budget", tmp_path)
    assert trained["promoted"], trained["message"]
    totals = rows(
        company,
        "select entity_type, count(*), sum(predicted_optimal_budget), sum(current_budget),"
        " sum(expected_revenue), sum(current_revenue) from ml.budget_predictions"
        " group by entity_type order by entity_type",
    )  # fmt: skip
    assert [kind for kind, *_ in totals] == ["campaign", "channel", "customer"]
    assert (totals[1][1], totals[2][1]) == (5, CUSTOMERS)
    for _, _, budget, current, revenue, now in totals[1:]:
        assert budget == pytest.approx(current, rel=1e-3)
        assert revenue >= now
    # Each kind of row shares the same money.
    assert totals[0][2] == pytest.approx(totals[1][2], rel=1e-3)
    assert totals[2][2] == pytest.approx(totals[1][2], rel=1e-3)
    report = report_of(scored)
    for key in ("total_predicted_budget", "avg_predicted_budget", "total_estimated_roi",
                "budget_allocation_strategy"):  # fmt: skip
        assert report[key]
    assert report["total_predicted_budget"]["total"] == pytest.approx(totals[1][2], rel=1e-3)


def test_limits_of_a_run_bind_its_plan(company: str, tmp_path: Path) -> None:
    both(company, "budget", tmp_path)
    limits = {"Email": {"lock": 500}, "Google": {"cap": 2000}}
    scope = Scope(AS_OF, options={"budget_limits": limits, "budget_total": 9000})
    with scientist(company) as conn:
        infer_model("budget", conn, scope, tmp_path)
    found = dict(
        rows(company, "select entity_id, predicted_optimal_budget from ml.budget_predictions"
                      " where entity_type = 'channel'")
    )  # fmt: skip
    assert found["Email"] == pytest.approx(500, abs=0.01)
    assert found["Google"] <= 2000.01
    assert sum(found.values()) == pytest.approx(9000, abs=0.1)
    kept = checksum(company, "ml.budget_predictions")
    wrong = Scope(AS_OF, options={"budget_limits": {"Email": {"floor": 99_999}}})
    with scientist(company) as conn, pytest.raises(BudgetLimitError, match="Email floor 99,999"):
        infer_model("budget", conn, wrong, tmp_path)
    assert checksum(company, "ml.budget_predictions") == kept
    ((state, message),) = rows(
        company, "select state, message from ml.model_runs order by run_id desc limit 1"
    )
    assert state == "failed" and "lower a lock or floor" in message


def test_a_night_sees_only_what_was_before_it(company: str) -> None:
    earlier = date(2025, 6, 1)
    with scientist(company) as conn:
        history = read_history(conn, earlier)
    assert history.date(history.days) == earlier
    with psycopg.connect(company) as conn:
        conn.execute("delete from marts.fct_campaign_daily where date_day >= '2025-06-01'")
        conn.execute("delete from marts.dim_campaigns where created_at >= '2025-06-01 00:00Z'")
        conn.execute("delete from marts.fct_orders where order_date >= '2025-06-01 00:00Z'")
    with scientist(company) as conn:
        assert read_history(conn, earlier).fingerprint() == history.fingerprint()


@pytest.mark.parametrize(
    ("name", "figure"),
    [("success", "outcome_brier"), ("budget", "outcome_reported_roas")],
)
def test_past_predictions_are_looked_at(
    company: str, tmp_path: Path, name: str, figure: str
) -> None:
    both(company, name, tmp_path, Scope(AS_OF - timedelta(days=45)))
    with scientist(company) as conn:
        watch_model(name, conn, SCOPE)
    found = rows(
        company,
        f"select value from ml.model_metrics where metric = '{figure}' and as_of = '{AS_OF}'",
    )
    assert len(found) == 1 and found[0][0] >= 0


@pytest.mark.parametrize("name", ["success", "budget"])
def test_without_marts_or_history_nothing_is_learnt(
    warehouse_url: str, tmp_path: Path, name: str
) -> None:
    with scientist(warehouse_url) as conn, pytest.raises(MartMissingError, match="transform"):
        train_model(name, conn, SCOPE, tmp_path)
    with psycopg.connect(warehouse_url) as conn:
        conn.execute(MARTS.encode())
        conn.execute(CAMPAIGN_MARTS.encode())
    trained, scored = both(warehouse_url, name, tmp_path)
    assert (trained["state"], scored["state"]) == ("not_applicable", "not_applicable")
