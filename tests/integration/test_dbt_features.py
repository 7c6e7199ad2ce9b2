"""customer_features: complete, point in time, equal to independent arithmetic; and its exports."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from pathlib import Path
from statistics import mean
from typing import Any

import psycopg
import pyarrow.parquet as pq
import pytest
import yaml

from dags.stages.dbt_build import PROJECT
from dags.stages.exports import NothingToExportError, export_datasets
from elt.checksum import table_checksum
from tests.integration.dbt_support import build_all, fill_raw, query
from tests.integration.small_company import (
    NIGHT,
    Row,
    as_raw,
    company,
    happened_before,
    midnight,
    shuffled,
)

PURCHASES = {"completed", "shipped", "delivered"}
MARTS = {
    "customer_features": ["as_of", "customer_id"],
    "customer_rfm": ["customer_id"],
    "customer_rfm_history": ["as_of", "customer_id"],
    "customer_journey": ["customer_id"],
    "conversion_funnel": ["breakdown", "breakdown_value", "step_number"],
    "journey_paths": ["path"],
}
# The names that the design gives, beside those of customer_rfm and customer_journey.
DESIGN_TEXT = """
campaign_count avg_campaign_roas preferred_channel campaign_engagement ab_test_participation
test_win_rate conversion_events add_to_cart_events unique_products_viewed avg_engagement_score
cart_abandonment_rate return_visitor_rate purchase_velocity engagement_score_normalized
session_intensity conversion_efficiency search_intensity product_exploration cart_behavior
rfm_composite value_engagement_ratio churn_risk upsell_potential lifetime_value_potential
customer_value_tier engagement_level is_high_value is_engaged is_mobile_user is_return_visitor
recency_days frequency monetary_value recency_score frequency_score monetary_score rfm_score
rfm_segment customer_lifetime_value avg_order_value purchase_frequency_rate
total_sessions total_page_views total_events avg_session_duration bounce_rate
total_product_views total_cart_adds total_search_queries total_interactions journey_type
conversion_status journey_complexity engagement_score conversion_probability
device_preference browser_preference age_group gender income_level household_size
"""
DESIGN = set(DESIGN_TEXT.split())


def checksums(url: str) -> dict[str, str]:
    with psycopg.connect(url) as conn:
        return {name: table_checksum(conn, "marts", name, key) for name, key in MARTS.items()}


def features(url: str, as_of: date = NIGHT) -> dict[str, Row]:
    """Customer to features."""
    with psycopg.connect(url, row_factory=psycopg.rows.dict_row) as conn:
        rows = conn.execute("select * from marts.customer_features where as_of = %s", (as_of,))
        return {row["customer_id"]: row for row in rows}


def refill(url: str, rows: Mapping[str, list[Row]]) -> None:
    """Put other rows into raw."""
    with psycopg.connect(url) as conn:
        for table in rows:
            conn.execute(f"truncate {table}".encode())
    fill_raw(url, as_raw(rows))


def test_features_are_complete_right_and_blind_to_what_comes_after(
    warehouse_url: str, tmp_path: Path
) -> None:
    rows = company()
    fill_raw(warehouse_url, as_raw(rows))
    results = build_all(warehouse_url, tmp_path, NIGHT)
    assert {result.status for result in results} == {"success", "pass"}
    found = features(warehouse_url)

    # everybody is there, once, without a null, and who did nothing has nothing
    assert sorted(found) == sorted(row["customer_id"] for row in rows["raw_mysql.customers"])
    assert all(value is not None for row in found.values() for value in row.values())
    names = list(found["CUST_000000"])
    assert set(names) >= DESIGN and len(names) - 2 >= 80
    nothing = found["CUST_000000"]
    assert {name for name, value in nothing.items() if isinstance(value, int | Decimal) and value} \
        == {"conversion_probability"}  # fmt: skip
    assert {name: value for name, value in nothing.items() if isinstance(value, str)} == {
        "customer_id": "CUST_000000", "rfm_score": "000", "rfm_segment": "No Purchase",
        "favourite_category": "none", "preferred_payment_method": "none",
        "journey_type": "Browser", "conversion_status": "Browsing", "journey_complexity": "Simple",
        "device_preference": "none", "browser_preference": "none", "preferred_channel": "none",
        "age_group": "unknown", "gender": "unknown", "country": "unknown",
        "income_level": "unknown", "education_level": "unknown",
        "assigned_segment": nothing["assigned_segment"], "customer_value_tier": "None",
        "engagement_level": "Low",
    }  # fmt: skip

    # independent arithmetic, all customers
    wrong: list[tuple[str, str, Any, Any]] = []
    for customer, expected in expected_features(rows).items():
        for name, value in expected.items():
            if found[customer][name] != value:
                wrong.append((customer, name, found[customer][name], value))
    assert wrong == []

    # another future, the same features; the same again; another past, others
    before = checksums(warehouse_url)
    refill(warehouse_url, shuffled(rows))
    build_all(warehouse_url, tmp_path, NIGHT)
    assert checksums(warehouse_url) == before
    first = next(
        row
        for row in rows["raw_mongo.sessions"]
        if happened_before(row["session_start"], NIGHT) and row["customer_id"]
    )
    first["session_start"] = midnight(NIGHT)
    refill(warehouse_url, rows)
    build_all(warehouse_url, tmp_path, NIGHT)
    changed = features(warehouse_url)
    assert (
        changed[first["customer_id"]]["total_sessions"]
        < (found[first["customer_id"]]["total_sessions"])
    )


def to_decimals(value: Decimal | float, places: int = 6) -> Decimal:
    return Decimal(value).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)


def ratio(part: Decimal | int, whole: Decimal | int) -> Decimal:
    return to_decimals(Decimal(part) / Decimal(whole) if whole else Decimal(0))


def day_of(when: datetime) -> date:
    return when.date()


def owners(sessions: list[Row]) -> dict[str, str]:
    """Session to customer: signed in, else the next sign-in under the cookie, else the last."""
    by_cookie: dict[str, list[Row]] = defaultdict(list)
    order: Callable[[Row], Any] = lambda r: (r["session_start"], r["customer_id"] or "", r["_id"])  # noqa: E731
    for row in sorted(sessions, key=order):
        by_cookie[row["anonymous_id"]].append(row)
    found = {}
    for cookie in by_cookie.values():
        for place, row in enumerate(cookie):
            after = [r["customer_id"] for r in cookie[place:] if r["customer_id"]]
            before = [r["customer_id"] for r in cookie[:place] if r["customer_id"]]
            if after or before:
                found[row["session_id"]] = row["customer_id"] or (after[:1] + before[-1:])[0]
    return found


def expected_features(rows: Mapping[str, list[Row]]) -> dict[str, Row]:
    """A sample of the features of every customer, from the rows, in Python's integers."""
    past = {
        table: [
            row
            for row in made
            if happened_before(row.get("timestamp") or row.get("session_start")
                               or row.get("order_date") or row.get("date") or date.min, NIGHT)
        ]
        for table, made in rows.items()
    }  # fmt: skip
    customers = [row["customer_id"] for row in rows["raw_mysql.customers"]]
    bought = purchase_features(past, customers)
    visited = session_features(past, customers)
    found = {customer: bought[customer] | visited[customer] for customer in customers}
    for row in found.values():
        rank = row.pop("order_value_rank")
        row["upsell_potential"] = (
            to_decimals(row["engagement_score_normalized"] * (1 - rank))
            if row["has_purchased"]
            else Decimal(0)
        )
    return found


def fifths(values: dict[str, Any]) -> dict[str, int]:
    order = sorted(values, key=lambda customer: (values[customer], customer))
    whole, rest = divmod(len(order), 5)
    sizes = [whole + (score < rest) for score in range(5)]
    scores = [score for score, size in enumerate(sizes, 1) for _ in range(size)]
    return dict(zip(order, scores, strict=True))


def purchase_features(
    past: Mapping[str, list[Row]], customers: list[str]
) -> dict[str, dict[str, Any]]:
    orders: dict[str, list[Row]] = defaultdict(list)
    for row in sorted(past["raw_mysql.transactions"], key=lambda r: r["order_date"]):
        orders[row["customer_id"]].append(row)
    bought = {
        customer: [row for row in made if row["order_status"] in PURCHASES]
        for customer, made in orders.items()
        if any(row["order_status"] in PURCHASES for row in made)
    }
    money = {c: sum((r["total_amount"] for r in rs), Decimal(0)) for c, rs in bought.items()}
    recency = {c: (NIGHT - day_of(rs[-1]["order_date"])).days for c, rs in bought.items()}
    scores = (
        fifths({c: -days for c, days in recency.items()}),
        fifths({c: len(rs) for c, rs in bought.items()}),
        fifths(money),
    )
    gaps = {
        c: Decimal((day_of(rs[-1]["order_date"]) - day_of(rs[0]["order_date"])).days)
        / (len(rs) - 1)
        for c, rs in bought.items()
        if len(rs) > 1
    }
    usual = sum((to_decimals(g) for g in gaps.values()), Decimal(0)) / len(gaps)
    averages = {c: to_decimals(money[c] / len(rs), 2) for c, rs in bought.items()}
    registered = {r["customer_id"]: r["registration_date"] for r in past["raw_mysql.customers"]}
    items: dict[str, list[Row]] = defaultdict(list)
    for row in past["raw_mysql.transaction_items"]:
        items[row["transaction_id"]].append(row)
    found: dict[str, dict[str, Any]] = {}
    for customer in customers:
        since = (NIGHT - registered[customer]).days if registered[customer] else 0
        purchases = bought.get(customer, [])
        in_90 = [r for r in purchases if (NIGHT - day_of(r["order_date"])).days <= 90]
        in_180 = [r for r in purchases if (NIGHT - day_of(r["order_date"])).days <= 180]
        spent_90 = sum((r["total_amount"] for r in in_90), Decimal(0))
        spent_before = sum((r["total_amount"] for r in in_180), Decimal(0)) - spent_90
        days = recency.get(customer, since)
        gap = max(to_decimals(gaps.get(customer, usual)), Decimal(30)) if purchases else 0
        if customer not in gaps and purchases:
            gap = max(usual, Decimal(30))
        risk = ratio(days, days + gap) if purchases else Decimal(0)
        lines = [line for row in purchases for line in items[row["transaction_id"]]]
        liked = Counter(line["category"] for line in lines)
        score = [s.get(customer, 0) for s in scores]
        lower = sum(a < averages[customer] for a in averages.values()) if purchases else 0
        found[customer] = {
            "has_purchased": bool(purchases),
            "recency_days": days,
            "frequency": len(purchases),
            "monetary_value": money.get(customer, Decimal("0.00")),
            "rfm_score": "".join(map(str, score)),
            "rfm_composite": ratio(sum(score), 15),
            "avg_order_value": averages.get(customer, Decimal("0.00")),
            "total_orders": len(orders[customer]),
            "return_rate": ratio(
                sum(r["order_status"] == "returned" for r in orders[customer]),
                len(purchases) + sum(r["order_status"] == "returned" for r in orders[customer]),
            ),
            "orders_last_90_days": len(in_90),
            "monetary_last_90_days": spent_90,
            "monetary_trend": ratio(spent_90 - spent_before, spent_90 + spent_before),
            "interpurchase_days": to_decimals(
                gaps.get(customer, Decimal(days if purchases else 0))
            ),
            "purchase_velocity": ratio(len(in_90), 3),
            "favourite_category": min(liked, key=lambda c: (-liked[c], c)) if liked else "none",
            "unique_products_bought": len({line["product_id"] for line in lines}),
            "items_per_order": ratio(len(lines), len(purchases)),
            "churn_risk": risk,
            "customer_value_tier": ["None", "Low", "Low", "Medium", "Medium", "High"][score[2]],
            "order_value_rank": ratio(lower, len(averages) - 1),
        }
    return found


def session_features(
    past: Mapping[str, list[Row]], customers: list[str]
) -> dict[str, dict[str, Any]]:
    owner = owners(past["raw_mongo.sessions"])
    of_session: dict[str, dict[str, list[Row]]] = {
        table: defaultdict(list) for table in past if table.startswith("raw_mongo")
    }
    for table, by_session in of_session.items():
        for row in past[table]:
            by_session[row["session_id"]].append(row)
    sessions: dict[str, list[Row]] = defaultdict(list)
    for row in sorted(past["raw_mongo.sessions"], key=lambda r: r["session_start"]):
        if row["session_id"] in owner:
            sessions[owner[row["session_id"]]].append(row)
    rates = campaign_totals(past)
    counted: dict[str, dict[str, Any]] = {}
    for customer in customers:
        mine = sessions[customer]

        def all_of(
            table: str, mine: list[Row] = mine, of_session: Mapping[str, Any] = of_session
        ) -> list[Row]:
            by_session = of_session[f"raw_mongo.{table}"]
            return [row for session in mine for row in by_session[session["session_id"]]]

        acts, events = all_of("product_interactions"), all_of("events")
        views = [row["product_id"] for row in acts if row["interaction_type"] == "view"]
        carts = [row["session_id"] for row in acts if row["interaction_type"] == "add_to_cart"]
        buys = {row["session_id"] for row in events if row["event_type"] == "purchase"}
        starts = [row["session_start"] for row in mine]
        ended = [r["duration_seconds"] for r in mine if r["session_end"] < midnight(NIGHT)]
        tagged = {s["session_id"]: s["utm"].obj["campaign"] for s in mine if s["utm"].obj}
        shown = sorted(
            (row["timestamp"], row["session_id"], row["_id"], row["event_data"].obj)
            for row in events
            if row["event_type"] == "experiment_exposure"
        )
        variants: dict[str, str] = {}
        for *_, data in shown:
            variants.setdefault(data["test_id"], data["variant"])
        winners = {"TEST_0": "B", "TEST_1": "A"}
        decided = [test for test in variants if test in winners]
        reached = set(tagged.values()) | {f"CAMP_{test[-1]}" for test in variants}
        devices = Counter(row["device_type"] for row in mine)
        device = min(devices, key=lambda d: (-devices[d], d)) if mine else "none"
        last = (NIGHT - day_of(starts[-1])).days if mine else None
        engagement = 100 * (
            Decimal("0.2") * min(Decimal(len(mine)) / 15, Decimal(1))
            + Decimal("0.15") * min(Decimal(len(all_of("page_views"))) / 120, Decimal(1))
            + Decimal("0.15") * min(Decimal(len(set(views))) / 40, Decimal(1))
            + Decimal("0.15") * min(Decimal(len(carts)) / 10, Decimal(1))
            + Decimal("0.1") * min(Decimal(len(all_of("search_queries"))) / 40, Decimal(1))
            + Decimal("0.25") * (max(1 - Decimal(last - 1) / 90, Decimal(0)) if last else 0)
        )
        counted[customer] = {
            "total_sessions": len(mine),
            "total_page_views": len(all_of("page_views")),
            "total_events": len(events),
            "total_product_views": len(views),
            "total_cart_adds": len(carts),
            "total_search_queries": len(all_of("search_queries")),
            "total_interactions": len(acts),
            "unique_products_viewed": len(set(views)),
            "conversion_events": sum(row["event_type"] == "purchase" for row in events),
            "converting_sessions": len(buys),
            "add_to_cart_events": sum(row["event_type"] == "add_to_cart" for row in events),
            "avg_session_duration": to_decimals(Decimal(sum(ended)) / len(ended), 2)
            if ended
            else Decimal("0.00"),
            "bounce_rate": ratio(
                sum(len(of_session["raw_mongo.page_views"][s["session_id"]]) == 1 for s in mine),
                len(mine),
            ),
            "cart_abandonment_rate": ratio(len(set(carts) - buys), len(set(carts))),
            "return_visitor_rate": ratio(
                sum(later - earlier <= timedelta(days=30) for earlier, later in pairwise(starts)),
                len(mine),
            ),
            "active_session_days": len({day_of(start) for start in starts}),
            "anonymous_session_share": ratio(
                sum(row["customer_id"] is None for row in mine), len(mine)
            ),
            "mobile_session_share": ratio(devices["mobile"], len(mine)),
            "device_preference": device,
            "is_mobile_user": device == "mobile",
            "engagement_score": to_decimals(to_decimals(engagement), 2),
            "session_intensity": ratio(len(all_of("page_views")), len(mine)),
            "product_exploration": ratio(len(set(views)), len(views)),
            "cart_behavior": ratio(len(carts), len(views)),
            "campaign_sessions": len(tagged),
            "campaign_count": len(reached),
            "avg_campaign_roas": ratio(
                sum((rates[c][0] for c in reached), Decimal(0)),
                sum((rates[c][1] for c in reached), Decimal(0)),
            ),
            "ab_test_participation": len(variants),
            "test_win_rate": ratio(sum(variants[t] == winners[t] for t in decided), len(decided)),
            "variant_b_share": ratio(sum(v == "B" for v in variants.values()), len(variants)),
        }
    base = Decimal(sum(row["converting_sessions"] for row in counted.values())) / sum(
        row["total_sessions"] for row in counted.values()
    )
    scores = [row["engagement_score"] for row in counted.values()]
    for row in counted.values():
        row["conversion_probability"] = to_decimals(
            (row["converting_sessions"] + 20 * base) / (row["total_sessions"] + 20)
        )
        row["engagement_score_normalized"] = ratio(
            row["engagement_score"] - min(scores), max(scores) - min(scores)
        )
    assert mean(scores) > 0
    return counted


def campaign_totals(past: Mapping[str, list[Row]]) -> dict[str, tuple[Decimal, Decimal]]:
    """Campaign to revenue and spend before the night."""
    totals: dict[str, tuple[Decimal, Decimal]] = defaultdict(lambda: (Decimal(0), Decimal(0)))
    for row in past["raw_postgres.campaign_performance"]:
        revenue, spend = totals[row["campaign_id"]]
        totals[row["campaign_id"]] = (revenue + row["revenue"], spend + row["spend"])
    return totals


def test_every_feature_says_its_unit_and_formula() -> None:
    (model,) = yaml.safe_load(
        (PROJECT / "models/marts/customer_features.yml").read_text(encoding="utf-8")
    )["models"]
    described = {column["name"]: column for column in model["columns"]}
    assert set(described) >= DESIGN
    assert len(described) - 2 >= 80
    for name, column in described.items():
        assert {"type": "not_null"} in column["constraints"], name
        assert len(column["description"]) > 10, name


def test_exports_hold_the_night_and_repeat_byte_for_byte(
    warehouse_url: str, tmp_path: Path
) -> None:
    fill_raw(warehouse_url, as_raw(company()))
    build_all(warehouse_url, tmp_path, NIGHT)
    with psycopg.connect(warehouse_url, options="-c role=amato_scientist") as conn:
        export = export_datasets(conn, NIGHT, tmp_path)
        written = {p.name: hashlib.sha256(p.read_bytes()).hexdigest()
                   for p in export.folder.iterdir()}  # fmt: skip
        assert export_datasets(conn, NIGHT, tmp_path) == export
        with pytest.raises(NothingToExportError, match="run the transform stage"):
            export_datasets(conn, NIGHT + timedelta(days=1), tmp_path)
    assert written == {p.name: hashlib.sha256(p.read_bytes()).hexdigest()
                       for p in export.folder.iterdir()}  # fmt: skip
    assert export.folder == tmp_path / "datasets" / "2024-03-01"
    assert set(written) == {
        "unified_customer_dataset.parquet", "recent_customer_dataset.parquet",
        "unified_dataset_summary.yaml", "timeline_datasets_metadata.yaml",
    }  # fmt: skip

    found = features(warehouse_url)
    unified = pq.read_table(export.folder / "unified_customer_dataset.parquet").to_pylist()
    assert [row["customer_id"] for row in unified] == sorted(found)
    assert len(unified) == export.customers
    for row in unified:
        expected = found[row["customer_id"]]
        assert list(row) == list(expected)
        assert row == {
            name: float(value) if isinstance(value, Decimal) else value
            for name, value in expected.items()
        }
    recent = pq.read_table(export.folder / "recent_customer_dataset.parquet").to_pylist()
    # the three months before 1 March 2024 are 91 days
    expected_recent = {
        customer
        for customer, row in found.items()
        if (row["has_purchased"] and row["recency_days"] <= 91)
        or (row["total_sessions"] and row["days_since_last_session"] <= 91)
    }
    assert {row["customer_id"] for row in recent} == expected_recent
    assert 0 < len(recent) < len(unified)

    summary = yaml.safe_load((export.folder / "unified_dataset_summary.yaml").read_text())
    assert summary["customers"] == len(found)
    assert summary["features"] == len(summary["columns"]) == len(unified[0]) - 2
    assert all(column["nulls"] == 0 for column in summary["columns"].values())
    frequencies = [row["frequency"] for row in found.values()]
    assert summary["columns"]["frequency"]["max"] == max(frequencies)
    assert summary["columns"]["frequency"]["mean"] == pytest.approx(mean(frequencies))
    metadata = yaml.safe_load((export.folder / "timeline_datasets_metadata.yaml").read_text())
    assert metadata["inference_window"] == {
        "months": 3, "from": "2023-12-01", "before": "2024-03-01",
    }  # fmt: skip
    assert metadata["recent_customers"][2] == {
        "months": 3, "from": "2023-12-01", "customers": len(recent),
    }  # fmt: skip
    assert metadata["training_window"] == {"before": "2023-12-01"}
    assert {entry["file"]: entry["sha256"] for entry in metadata["datasets"]} == {
        name: digest for name, digest in written.items() if name.endswith(".parquet")
    }
    assert metadata["mark"] is None
    assert query(warehouse_url, "select count(*) from marts.customer_features") == [(len(found),)]

    with psycopg.connect(warehouse_url) as conn:
        conn.execute(
            "update quality.verdicts"
            " set verdict = 'passed_with_warnings', published = true, mark = 'few visits'"
            " where as_of = %s",
            (NIGHT,),
        )
    with psycopg.connect(warehouse_url, options="-c role=amato_scientist") as conn:
        export_datasets(conn, NIGHT, tmp_path)
    metadata = yaml.safe_load((export.folder / "timeline_datasets_metadata.yaml").read_text())
    assert metadata["mark"] == "few visits"
