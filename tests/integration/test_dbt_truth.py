"""Cleanup against the truth: what was planted meets its fate, and nothing else is touched.

``AMATO_TRUTH_SCALE`` is the size of the company (default 0.1; 1 takes some minutes).
"""

import os
from collections import Counter, defaultdict
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pyarrow.parquet as pq

from data_generators.args import DEFAULT_DAYS, WorldArgs
from data_generators.company.world import make_world
from data_generators.defects.catalogue import DEFECTS, FOLLOWS
from data_generators.defects.edits import Row
from data_generators.generate import generate
from data_generators.tables import BUILDERS
from elt.accounting import check_night
from elt.extract_load import extract_and_load
from elt.nights import open_night
from elt.raw import ensure_raw
from elt.specs import BY_NAME, SPECS
from tests.integration.dbt_support import build_all, query
from tests.integration.source_support import FreshSources, Sources, open_sources

# At least so many of a table's rows have each class, so that a small company has all of them.
LEAST = {
    "customers": 0.006,
    "customer_demographics": 0.006,
    "customer_segment_mapping": 0.006,
    "campaigns": 0.1,
    "campaign_performance": 0.006,
    "ab_tests": 0.2,
    "ab_test_results": 0.1,
}
SCALE = float(os.environ.get("AMATO_TRUTH_SCALE", "0.1"))
ARGS = WorldArgs(
    seed=11,
    scale=SCALE,
    days=DEFAULT_DAYS if SCALE >= 1 else DEFAULT_DAYS // 2,
    as_of=date(2026, 1, 1),
    defects=",".join(
        ["default", *(f"{d.id}={max(d.rate, LEAST.get(d.table, 0.001))}" for d in DEFECTS)]
    ),
)
# What becomes of a row of which several things are true: the first of them.
FATES = ("rejected", "deduplicated", "quarantined", "repaired", "kept")
# What staging calls the columns that defects leave to be repaired.
REPAIRED = {
    "customers": {"email": "email", "first_name": "first_name", "last_name": "last_name"},
    "transactions": {"order_status": "order_status"},
    "sessions": {"duration_seconds": "duration_seconds", "landing_page": "landing_page"},
    "page_views": {"sequence": "page_sequence", "page_title": "page_title"},
    "events": {"event_data": "event_data"},
    "search_queries": {"results_count": "results_count"},
}
KEYS = {"transactions": "order_id"}
Key = tuple[str, str]
# Which rule takes out the rows of a class. A class that is not here has no rule of its own.
RULES = {
    "customers.null_key": "key_missing",
    "customers.invalid_email": "email_invalid",
    "customers.zero_date": "value_unfit",
    "customers.absurd_birth_date": "birth_date_impossible",
    "customers.future_registration": "registration_in_future",
    "customer_demographics.unknown_age_group": "age_group_unknown",
    "customer_demographics.unknown_education": "education_unknown",
    "customer_demographics.impossible_household": "household_size_impossible",
    "transactions.null_key": "key_missing",
    "transactions.orphan": "customer_unknown",
    "transactions.negative_amount": "amount_negative",
    "transactions.absurd_amount": "amount_absurd",
    "transactions.total_mismatch": "total_mismatch",
    "transactions.future_date": "date_in_future",
    "transactions.zero_date": "value_unfit",
    "transactions.unknown_status": "status_unknown",
    "transaction_items.null_key": "key_missing",
    "transaction_items.orphan": "order_unknown",
    "transaction_items.impossible_quantity": "quantity_impossible",
    "transaction_items.impossible_price": "price_impossible",
    "customer_segment_mapping.orphan": "segment_unknown",
    "customer_segment_mapping.impossible_score": "score_impossible",
    "campaigns.negative_budget": "budget_negative",
    "campaigns.absurd_budget": "budget_absurd",
    "campaigns.end_before_start": "end_before_start",
    "campaigns.unknown_channel": "channel_unknown",
    "campaign_performance.null_key": "key_missing",
    "campaign_performance.clicks_above_impressions": "clicks_above_impressions",
    "campaign_performance.negative_spend": "spend_negative",
    "campaign_performance.before_start": "date_before_start",
    "campaign_performance.orphan": "campaign_unknown",
    "ab_tests.impossible_sample_size": "sample_size_impossible",
    "ab_test_results.unknown_variant": "variant_unknown",
    "ab_test_results.clicks_above_impressions": "clicks_above_impressions",
    "sessions.missing_key": "key_missing",
    "sessions.orphan": "customer_unknown",
    "sessions.end_before_start": "end_before_start",
    "sessions.future_date": "start_in_future",
    "sessions.zero_date": "start_too_early",
    "page_views.missing_key": "key_missing",
    "page_views.missing_field": "session_unknown",
    "page_views.impossible_scroll": "scroll_depth_impossible",
    "page_views.future_date": "time_impossible",
    "events.missing_key": "key_missing",
    "events.missing_field": "time_missing",
    "events.unknown_event": "type_unknown",
    "product_interactions.missing_field": "product_missing",
    "product_interactions.unknown_type": "type_unknown",
    "search_queries.missing_field": "term_missing",
    "search_queries.negative_results": "results_count_negative",
}


# Nights after the base history: rows arrive late, change and are deleted, some between two nights.
LATER = tuple(ARGS.as_of + timedelta(days=days) for days in (1, 14, 30))


def test_every_planted_defect_meets_its_fate_and_no_sound_row_is_touched(
    warehouse_url: str, fresh_sources: FreshSources, tmp_path: Path
) -> None:
    truth = tmp_path / "truth"
    with fresh_sources() as urls, open_sources(urls) as sources:
        generate(ARGS, **sources.all(), truth=truth)
        load_night(warehouse_url, sources, ARGS.as_of)
    results = build_all(warehouse_url, tmp_path / "home", ARGS.as_of)
    assert {result.status for result in results} == {"success", "pass"}

    planted = ledger(truth)
    met = {f"{table}.{name}" for (table, _), lines in planted.items() for name, _ in lines}
    assert {d.id for d in DEFECTS} <= met
    assert {d.id for d in DEFECTS if d.fate == "quarantined"} == RULES.keys()
    assert_fates_are_the_planted_ones(warehouse_url, planted)
    for table in REPAIRED:
        mended = {key for key in planted if key[0] == table and fate_of(planted[key]) == "repaired"}
        assert_values_are_the_true_ones(warehouse_url, truth, table, mended)


def test_the_same_holds_on_a_later_night(
    warehouse_url: str, fresh_sources: FreshSources, tmp_path: Path
) -> None:
    with fresh_sources() as urls, open_sources(urls) as sources:
        for night in (ARGS.as_of, *LATER):
            generate(ARGS, night, **sources.all(), truth=tmp_path / "truth")
            load_night(warehouse_url, sources, night)
    results = build_all(warehouse_url, tmp_path / "home", LATER[-1])
    assert {result.status for result in results} == {"success", "pass"}
    assert_fates_are_the_planted_ones(warehouse_url, ledger(tmp_path / "truth"))
    ((deleted,),) = query(
        warehouse_url, "select deleted from marts.data_quality_summary"
        " where table_name = 'customers'",
    )  # fmt: skip
    assert deleted > 0


def assert_fates_are_the_planted_ones(url: str, planted: dict[Key, list[tuple[str, str]]]) -> None:
    """Recall and precision 1, by class, each for its reason."""
    fates, rules = what_became(url)
    # A row that is clean is in none of the tables that cleanup takes rows to.
    expected = {key: fate_of(lines) for key, lines in planted.items()}
    missed = Counter(
        (f"{key[0]}.{name}", expected[key], fates.get(key, "clean"))
        for key, lines in planted.items()
        for name, _ in lines
        if fates.get(key, "clean") != expected[key]
        and (key in fates or expected[key] not in ("repaired", "kept"))
    )
    assert missed == {}
    assert Counter(key[0] for key in fates if key not in planted) == {}
    wrong = Counter(
        (f"{key[0]}.{name}", rules[key])
        for key, lines in planted.items()
        if fates.get(key) == "quarantined"
        for name, fate in lines
        if fate == "quarantined" and not has_reason(key[0], name, rules[key])
    )
    assert wrong == {}


def fate_of(lines: list[tuple[str, str]]) -> str:
    """What the ledger expects of a row."""
    return min((fate for _, fate in lines), key=FATES.index)


def has_reason(table: str, name: str, rules: tuple[str, ...]) -> bool:
    """Whether the rules that a row violates are those of a class of defects."""
    if name == FOLLOWS:
        return any(rule.endswith(("_quarantined", "_unknown")) for rule in rules)
    return f"{table}.{RULES[f'{table}.{name}']}" in rules


def assert_values_are_the_true_ones(url: str, truth: Path, table: str, mended: set[Key]) -> None:
    """Compare the repaired rows in staging with the rows before anything was planted."""
    spec = BY_NAME[table]
    keys = {
        row["business_key"]
        for row in pq.read_table(truth / "defects.parquet").to_pylist()
        if (row["table"], row["row_id"]) in mended
    }
    assert keys
    columns = REPAIRED[table]
    rows: dict[str, tuple[Any, ...]] = {
        key: tuple(values)
        for key, *values in query(
            url,
            f"select {KEYS.get(table, spec.business_key)}, {', '.join(columns.values())}"
            f" from staging.stg_{spec.system}__{table}",
        )
        if key in keys
    }
    true: dict[str, tuple[Any, ...]] = {}
    for part in BUILDERS[table](make_world(ARGS)):
        for position in range(len(part)):
            row = Row(part, position)
            if row[spec.business_key] in keys:
                true[row[spec.business_key]] = tuple(row[name] for name in columns)
    assert rows == true


def load_night(url: str, sources: Sources, as_of: date) -> None:
    """Load all tables as of a night."""
    with psycopg.connect(url, options="-c role=amato_loader") as conn:
        ensure_raw(conn)
        conn.commit()
        night = open_night(conn, as_of)
        conn.commit()
        for spec in SPECS:
            extract_and_load(getattr(sources, spec.system), conn, spec, night)
            conn.commit()
        check_night(conn, night)


def ledger(folder: Path) -> dict[Key, list[tuple[str, str]]]:
    """Class and fate of each planted defect, by table and physical key."""
    planted: dict[Key, list[tuple[str, str]]] = defaultdict(list)
    for row in pq.read_table(folder / "defects.parquet").to_pylist():
        planted[row["table"], row["row_id"]].append((row["defect"], row["fate"]))
    return planted


def what_became(url: str) -> tuple[dict[Key, str], dict[Key, tuple[str, ...]]]:
    """The fate of each row that is not clean, and the rules that the quarantined ones violate."""
    fates: dict[Key, str] = {
        (table, key): "rejected"
        for table, key in query(
            url, "select source_table, source_key from elt.rejected_rows where resolved_at is null"
        )
    }
    rules: dict[Key, tuple[str, ...]] = {}
    for spec in SPECS:
        for (key,) in query(url, f"select source_key::text from quality.deduplicated_{spec.name}"):
            assert fates.setdefault((spec.name, key), "deduplicated") == "deduplicated"
        for key, violated in query(
            url, f"select source_key::text, rules from quality.quarantine_{spec.name}"
        ):
            assert fates.setdefault((spec.name, key), "quarantined") == "quarantined"
            rules[spec.name, key] = tuple(violated)
    return fates, rules
