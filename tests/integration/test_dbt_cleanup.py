"""Cleanup rule by rule, on rows made by hand: one violates each rule, one beside it does not."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
import pytest

from elt.extended_json import canonical
from elt.specs import BY_NAME, SPECS
from tests.integration.dbt_support import AS_OF, Raw, build_all, fill_raw, query

NOON = "2024-02-01 12:00Z"
# A sound row of each table. Every other row is one of these with something changed.
SOUND: dict[str, dict[str, Any]] = {
    "customers": dict(customer_id="c1", email="ann@example.com", registration_date="2024-01-01"),
    "customer_demographics": dict(customer_id="c1", age_group="25-34", education_level="school",
                                  household_size=1),
    "transactions": dict(transaction_id="t1", customer_id="c1", order_date=NOON, total_amount=9,
                         discount_amount=1, order_status="pending"),
    "transaction_items": dict(item_id="i1", transaction_id="t1", quantity=2, unit_price=5,
                              discount_percent=0, line_total=10),
    "customer_segments": dict(segment_id="s1"),
    "customer_segment_mapping": dict(customer_id="c1", segment_id="s1", score=0, confidence=1,
                                     created_at=NOON),
    "campaigns": dict(campaign_id="k1", channel="Email", budget=0, start_date="2024-01-01",
                      end_date="2024-01-01"),
    "campaign_performance": dict(performance_id="p1", campaign_id="k1", date="2024-01-01",
                                 impressions=1, clicks=1, conversions=1, spend=0),
    "ab_tests": dict(test_id="x1", campaign_id="k1", sample_size=1, start_date="2024-01-01",
                     end_date="2024-01-01"),
    "ab_test_results": dict(result_id="r1", test_id="x1", variant="A", impressions=1, clicks=1,
                            conversions=1),
    "sessions": dict(session_id="v1", customer_id="c1", session_start=NOON, session_end=NOON),
    "page_views": dict(view_id="w1", session_id="v1", timestamp=NOON, scroll_depth=100),
    "events": dict(event_id="e1", session_id="v1", timestamp=NOON, event_type="click"),
    "product_interactions": dict(interaction_id="n1", session_id="v1", timestamp=NOON,
                                 product_id="P", interaction_type="view"),
    "search_queries": dict(query_id="q1", session_id="v1", timestamp=NOON, search_term="toys",
                           results_count=0),
}  # fmt: skip
EARLY, LATE = "1994-12-31 23:59:59Z", "2024-03-02 00:00Z"
# By rule: what is changed in the sound row so that it violates this one rule.
BAD: dict[str, dict[str, Any]] = {
    "customers.key_missing": dict(customer_id=None),
    "customers.value_unfit": dict(_extra={"date_of_birth": "0000-00-00"}),
    "customers.email_invalid": dict(email="ann@@example.com"),
    "customers.birth_date_impossible": dict(date_of_birth="1899-12-31"),
    "customers.registration_in_future": dict(registration_date="2024-03-02"),
    "customer_demographics.key_missing": dict(customer_id=" "),
    "customer_demographics.value_unfit": dict(household_size=None,
                                              _extra={"household_size": "two"}),
    "customer_demographics.customer_unknown": dict(customer_id="nobody"),
    "customer_demographics.customer_quarantined": dict(customer_id="c-bad"),
    "customer_demographics.age_group_unknown": dict(age_group="150+"),
    "customer_demographics.education_unknown": dict(education_level="wizardry"),
    "customer_demographics.household_size_impossible": dict(household_size=0),
    "transactions.key_missing": dict(transaction_id=""),
    "transactions.value_unfit": dict(order_date=None, _extra={"order_date": "0000-00-00 00:00:00"}),
    "transactions.customer_unknown": dict(customer_id="nobody"),
    "transactions.customer_quarantined": dict(customer_id="c-bad"),
    "transactions.amount_negative": dict(total_amount=-1),
    "transactions.amount_absurd": dict(total_amount="10000000.01"),
    "transactions.total_mismatch": dict(transaction_id="t-short", total_amount="8.98"),
    "transactions.date_in_future": dict(order_date=LATE),
    "transactions.status_unknown": dict(order_status="teleported"),
    "transaction_items.key_missing": dict(item_id=None),
    "transaction_items.value_unfit": dict(quantity=None, _extra={"quantity": 2.5}),
    "transaction_items.order_unknown": dict(transaction_id="nothing"),
    "transaction_items.order_quarantined": dict(transaction_id="t-bad"),
    "transaction_items.quantity_impossible": dict(quantity=0, line_total=0),
    "transaction_items.price_impossible": dict(unit_price=-5, line_total=-10),
    "transaction_items.line_total_mismatch": dict(line_total="10.02"),
    "customer_segments.key_missing": dict(segment_id=None),
    "customer_segments.value_unfit": dict(_extra={"target_value": "much"}),
    "customer_segment_mapping.value_unfit": dict(_extra={"assigned_date": "2024-02-30"}),
    "customer_segment_mapping.customer_unknown": dict(customer_id=None),
    "customer_segment_mapping.customer_quarantined": dict(customer_id="c-bad"),
    "customer_segment_mapping.segment_unknown": dict(segment_id="s9"),
    "customer_segment_mapping.segment_quarantined": dict(segment_id="s-bad"),
    "customer_segment_mapping.score_impossible": dict(score="1.0001"),
    "campaigns.key_missing": dict(campaign_id=None),
    "campaigns.value_unfit": dict(budget=None, _extra={"budget": "1e3"}),
    "campaigns.budget_negative": dict(budget="-0.01"),
    "campaigns.budget_absurd": dict(budget="100000000.01"),
    "campaigns.end_before_start": dict(end_date="2023-12-31"),
    "campaigns.channel_unknown": dict(channel="Pigeon"),
    "campaign_performance.key_missing": dict(performance_id=None),
    "campaign_performance.value_unfit": dict(clicks=None, _extra={"clicks": "9" * 20}),
    "campaign_performance.campaign_unknown": dict(campaign_id=None),
    "campaign_performance.campaign_quarantined": dict(campaign_id="k-bad"),
    "campaign_performance.clicks_above_impressions": dict(clicks=2),
    "campaign_performance.conversions_above_clicks": dict(conversions=2),
    "campaign_performance.spend_negative": dict(spend="-0.01"),
    "campaign_performance.count_negative": dict(impressions=None, conversions=-1),
    "campaign_performance.date_before_start": dict(date="2023-12-31"),
    "campaign_performance.date_in_future": dict(date="2024-03-02"),
    "ab_tests.key_missing": dict(test_id=None),
    "ab_tests.value_unfit": dict(_extra={"test_name": {"$binary": {"base64": "/w==",
                                                                   "subType": "80"}}}),
    "ab_tests.campaign_unknown": dict(campaign_id="k9"),
    "ab_tests.campaign_quarantined": dict(campaign_id="k-bad"),
    "ab_tests.sample_size_impossible": dict(sample_size=0),
    "ab_tests.end_before_start": dict(end_date="2023-12-31"),
    "ab_test_results.key_missing": dict(result_id=None),
    "ab_test_results.value_unfit": dict(_extra={"revenue": "1.005"}),
    "ab_test_results.test_unknown": dict(test_id="x9"),
    "ab_test_results.test_quarantined": dict(test_id="x-bad"),
    "ab_test_results.variant_unknown": dict(variant="Z"),
    "ab_test_results.clicks_above_impressions": dict(clicks=2),
    "ab_test_results.conversions_above_impressions": dict(conversions=2),
    "ab_test_results.count_negative": dict(conversions=-1),
    "sessions.key_missing": dict(session_id=None),
    "sessions.value_unfit": dict(_extra={"duration_seconds": "long"}),
    "sessions.customer_unknown": dict(customer_id="nobody"),
    "sessions.customer_quarantined": dict(customer_id="c-bad"),
    "sessions.start_missing": dict(session_start=None),
    "sessions.start_in_future": dict(session_start=LATE, session_end=None),
    "sessions.start_too_early": dict(session_start=EARLY),
    "sessions.end_before_start": dict(session_end="2024-02-01 11:59:59Z"),
    "page_views.key_missing": dict(view_id=None),
    "page_views.value_unfit": dict(_extra={"sequence": "first"}),
    "page_views.session_unknown": dict(session_id=None),
    "page_views.session_quarantined": dict(session_id="v-bad"),
    "page_views.time_missing": dict(timestamp=None),
    "page_views.time_impossible": dict(timestamp=LATE),
    "page_views.scroll_depth_impossible": dict(scroll_depth=101),
    "events.key_missing": dict(event_id=None),
    "events.value_unfit": dict(_extra={"event_data": "{broken"}),
    "events.session_unknown": dict(session_id="v9"),
    "events.session_quarantined": dict(session_id="v-bad"),
    "events.time_missing": dict(timestamp=None),
    "events.time_impossible": dict(timestamp=EARLY),
    "events.type_unknown": dict(event_type="telepathy"),
    "product_interactions.key_missing": dict(interaction_id=None),
    "product_interactions.value_unfit": dict(_extra={"product_name": {"a": 1}}),
    "product_interactions.session_unknown": dict(session_id="v9"),
    "product_interactions.session_quarantined": dict(session_id="v-bad"),
    "product_interactions.time_missing": dict(timestamp=None),
    "product_interactions.time_impossible": dict(timestamp=LATE),
    "product_interactions.product_missing": dict(product_id=None),
    "product_interactions.type_unknown": dict(interaction_type="sniff"),
    "search_queries.key_missing": dict(query_id=None),
    "search_queries.value_unfit": dict(results_count=None, _extra={"results_count": "-"}),
    "search_queries.session_unknown": dict(session_id="v9"),
    "search_queries.session_quarantined": dict(session_id="v-bad"),
    "search_queries.time_missing": dict(timestamp=None),
    "search_queries.time_impossible": dict(timestamp=LATE),
    "search_queries.term_missing": dict(search_term=None),
    "search_queries.results_count_negative": dict(results_count=-1),
}  # fmt: skip
# Sound rows at the edge of a rule, each beside the row that violates it.
EDGE: list[tuple[str, dict[str, Any]]] = [
    ("customers", dict(email=None, date_of_birth="1900-01-01", registration_date=AS_OF)),
    ("customers", dict(email="o'neil+shop@mail.example.co.uk", registration_date=None)),
    ("customers", dict(email="jürgen@bücher.example", _extra={"loyalty_points": 7})),
    ("customer_demographics", dict(household_size=20, age_group=None, education_level=None)),
    ("transactions", dict(order_date="2024-03-01 23:59:59Z", customer_id=None)),
    ("transactions", dict(transaction_id="t-cent", total_amount="8.99", order_date=None)),
    ("transactions", dict(total_amount="10000000.00", order_status=None)),
    ("transaction_items", dict(quantity=1, unit_price="10.01", discount_percent=None)),
    ("transaction_items", dict(quantity=100000, unit_price=0, line_total=0)),
    ("transaction_items", dict(quantity=None, unit_price=None, line_total=None)),
    ("customer_segment_mapping", dict(score=1, confidence=0)),
    ("campaigns", dict(budget="100000000.00", end_date=None, channel=None)),
    ("campaign_performance", dict(date="2024-03-01", clicks=None, conversions=5)),
    ("ab_tests", dict(campaign_id=None, sample_size=None)),
    ("ab_test_results", dict(variant=" b ", clicks=None)),
    ("sessions", dict(customer_id=None, session_start="2024-03-01 23:59:59Z", session_end=None)),
    ("sessions", dict(session_start="1995-01-01 00:00Z")),
    ("page_views", dict(scroll_depth=0, timestamp="1995-01-01 00:00Z")),
    ("events", dict(event_type=" Experiment_Exposure ", timestamp="2024-03-01 23:59:59Z")),
    ("search_queries", dict(results_count=None)),
]
# Parents that are wrong, and their own rows: what follows from them is an orphan.
PARENTS: list[tuple[str, dict[str, Any]]] = [
    ("customers", dict(customer_id="c-bad", email="n/a")),
    ("customer_segments", dict(segment_id="s-bad", _extra={"target_value": "?"})),
    ("transactions", dict(transaction_id="t-bad", order_status="?")),
    ("campaigns", dict(campaign_id="k-bad", channel="?")),
    ("ab_tests", dict(test_id="x-bad", sample_size=0)),
    ("sessions", dict(session_id="v-bad", session_start=None, session_end=None)),
    # what an order's total is held against: two lines, one of them in quarantine
    *(("transaction_items", dict(item_id=f"{order}-{n}", transaction_id=order, quantity=quantity,
                                 line_total=5, unit_price=5))
      for order in ("t-short", "t-cent") for n, quantity in enumerate((1, 0))),
]  # fmt: skip


class Rows:
    """Collects raw rows, each with a physical key and a business key of its own."""

    def __init__(self) -> None:
        self.raw: dict[str, list[dict[str, Any]]] = {table: [] for table in SOUND}

    def add(self, table: str, changed: Mapping[str, Any], **more: Any) -> str:
        """Add a sound row with some values changed; returns its physical key."""
        spec = BY_NAME[table]
        number = len(self.raw[table]) + 1
        key: object = number if spec.key.name == "row_id" else f"{number:024x}"
        values = {**SOUND[table], **changed, **more}
        # children of one parent are no duplicates of each other
        if number > 1 and spec.business_key not in changed and table != "customer_demographics":
            values[spec.business_key] = f"{spec.business_key}-{number}"
        if table == "customer_segment_mapping":
            values |= {"customer_id": changed.get("customer_id", "c1"),
                       "created_at": f"2024-02-01 12:00:{number:02d}Z"}  # fmt: skip
        if table == "customer_demographics" and number > 1 and "customer_id" not in changed:
            values["customer_id"] = self.add("customers", {"customer_id": f"d{number}"}) and (
                f"d{number}"
            )
        if "_extra" in values:
            values["_extra"] = canonical(values["_extra"]).decode()
        self.raw[table].append({spec.key.name: key, **values})
        return str(key)

    def tables(self) -> list[Raw]:
        """What ``fill_raw`` takes."""
        return [Raw(BY_NAME[table].raw_name, list(rows)) for table, rows in self.raw.items()]


def quarantined(url: str) -> dict[tuple[str, str], list[str]]:
    """The rules that each row in quarantine violates, by table and physical key."""
    return {
        (spec.name, key): rules
        for spec in SPECS
        for key, rules in query(
            url, f"select source_key::text, rules from quality.quarantine_{spec.name}"
        )
    }


def test_each_rule_takes_out_the_row_that_violates_it_and_no_other(
    warehouse_url: str, tmp_path: Path
) -> None:
    rows = Rows()
    for table in SOUND:
        rows.add(table, {})
    for table, changed in PARENTS:
        rows.add(table, changed)
    sound = {(table, rows.add(table, changed)) for table, changed in EDGE}
    bad = {rule: (rule.split(".")[0], rows.add(rule.split(".")[0], changed))
           for rule, changed in BAD.items()}  # fmt: skip
    fill_raw(warehouse_url, rows.tables())
    results = build_all(warehouse_url, tmp_path)
    assert {result.status for result in results} == {"success", "pass"}

    found = quarantined(warehouse_url)
    assert {rule: found.get(row) for rule, row in bad.items()} == {rule: [rule] for rule in bad}
    assert {row: found[row] for row in sound if row in found} == {}
    declared = query(warehouse_url, "select rule_id, table_name, severity, description"
                     " from quality.rules")  # fmt: skip
    assert {rule for rule, *_ in declared} == BAD.keys()
    assert all(rule.startswith(f"{table}.") and told for rule, table, _, told in declared)
    # the rules that a row violates are counted, and the worst of them is told
    assert query(warehouse_url, """
        select table_name, quarantined_by_rule -> 'events.type_unknown',
            rows_in = clean + quarantined, pass_rate < 1
        from marts.data_quality_summary where table_name = 'events'
    """) == [("events", 1, True, True)]  # fmt: skip
    assert query(warehouse_url, """
        select business_key, severity, raw_row ->> 'email', batch_id, as_of
        from quality.quarantine_customers where 'customers.email_invalid' = any(rules)
        order by source_key
    """)[0] == ("c-bad", "major", "n/a", 1, AS_OF)  # fmt: skip


def test_values_with_a_certain_meaning_are_repaired(warehouse_url: str, tmp_path: Path) -> None:
    rows = Rows()
    for table in SOUND:
        rows.add(table, {})
    rows.add("customers", dict(
        customer_id="\tc2\n", email="  Ann@Example.COM ", first_name="GÃ¼nther", city=" Köln ",
        last_name=None, _extra={"last_name": "Mül\0ler", "is_active": "1", "shoe_size": 43},
    ))  # fmt: skip
    rows.add("transactions", dict(
        transaction_id="t2", order_status=" SHIPPED\n", total_amount=None, order_date=None,
        _extra={"total_amount": " 12.30 ", "order_date": "2024-02-03T04:05:06+02:00"},
    ))  # fmt: skip
    rows.add("sessions", dict(
        session_id="v2", _extra={"duration_seconds": "61", "referrer": "a\0b", "customer_id": 7},
    ), customer_id="c2")  # fmt: skip
    rows.add("events", dict(event_id="e2", _extra={"event_data": '{"a": [1, null]}'}))
    rows.add("customer_demographics", dict(
        customer_id=None, household_size=None,
        _extra={"customer_id": "c\0" "2", "household_size": 3.0},
    ))  # fmt: skip
    fill_raw(warehouse_url, rows.tables())
    build_all(warehouse_url, tmp_path)

    assert quarantined(warehouse_url) == {}
    assert query(warehouse_url, """
        select email, first_name, last_name, city, is_active
        from staging.stg_mysql__customers where customer_id = 'c2'
    """) == [("ann@example.com", "Günther", "Müller", "Köln", True)]  # fmt: skip
    assert query(warehouse_url, """
        select order_status, total_amount::text, to_char(order_date, 'YYYY-MM-DD HH24:MI:SS')
        from staging.stg_mysql__transactions where order_id = 't2'
    """) == [("shipped", "12.30", "2024-02-03 02:05:06")]  # fmt: skip
    assert query(warehouse_url, """
        select duration_seconds, referrer, customer_id from staging.stg_mongo__sessions
        where session_id = 'v2'
    """) == [(61, "ab", "c2")]  # fmt: skip
    assert query(
        warehouse_url, "select event_data from staging.stg_mongo__events where event_id = 'e2'"
    ) == [({"a": [1, None]},)]
    assert query(warehouse_url, """
        select household_size from staging.stg_mysql__customer_demographics
        where customer_id = 'c2'
    """) == [(3,)]  # fmt: skip


def test_a_survivor_is_chosen_before_rules_apply(warehouse_url: str, tmp_path: Path) -> None:
    rows = Rows()
    for table in SOUND:
        rows.add(table, {})
    # the survivor is the later one although it is unsound; ids compare as numbers, texts as bytes
    rows.add("customers", dict(customer_id="dup", updated_at="2024-01-02Z", email="?"), row_id=20)
    rows.add("customers", dict(customer_id="dup", updated_at="2024-01-01Z"), row_id=30)
    rows.add("customers", dict(customer_id="dup", updated_at=None), row_id=40)
    rows.add("campaigns", dict(campaign_id="dup"), row_id=9)
    rows.add("campaigns", dict(campaign_id="dup "), row_id=10)
    rows.add("events", dict(event_id="dup", created_at=NOON), _id="a")
    rows.add("events", dict(event_id="dup", created_at=NOON), _id="B")
    rows.add("customer_segment_mapping", dict(), row_id=50)
    rows.add("customer_segment_mapping", dict(), row_id=51)
    for row in rows.raw["customer_segment_mapping"][-2:]:
        row["created_at"] = NOON
    # no key: no duplicates of each other
    rows.add("page_views", dict(view_id=None))
    rows.add("page_views", dict(view_id=""))
    # a duplicate line counts once in its order's total
    rows.add("transactions", dict(transaction_id="t2"))
    for _ in range(2):
        rows.add("transaction_items", dict(item_id="i2", transaction_id="t2"))
    fill_raw(warehouse_url, rows.tables())
    build_all(warehouse_url, tmp_path)

    assert query(warehouse_url, """
        select source_key, survivor_key, business_key, raw_row ->> 'updated_at'
        from quality.deduplicated_customers order by source_key
    """) == [(30, 20, "dup", "2024-01-01T00:00:00+00:00"), (40, 20, "dup", None)]  # fmt: skip
    assert quarantined(warehouse_url)["customers", "20"] == ["customers.email_invalid"]
    for table, expected in {
        "campaigns": [(9, 10)],
        "events": [("B", "a")],
        "customer_segment_mapping": [(50, 51)],
        "transaction_items": [(2, 3)],
        "page_views": [],
    }.items():
        assert (
            query(
                warehouse_url,
                f"select source_key, survivor_key from quality.deduplicated_{table} order by 1",
            )
            == expected
        )
    assert query(
        warehouse_url, "select order_id from staging.stg_mysql__transactions order by 1"
    ) == [("t1",), ("t2",)]


def test_orphans_come_back_when_the_parent_is_mended_and_a_deleted_parent_is_one(
    warehouse_url: str, tmp_path: Path
) -> None:
    rows = Rows()
    for table in SOUND:
        rows.add(table, {}, _valid_from=date(2024, 2, 1))
    # mended on the 15th; its session and that session's event had been orphans until then
    rows.add("customers", dict(customer_id="ill", email="?"), row_id=7,
             _valid_from=date(2024, 2, 1), _valid_to=date(2024, 2, 15))  # fmt: skip
    rows.add("customers", dict(customer_id="ill"), row_id=7, _valid_from=date(2024, 2, 15))
    # deleted on the 15th, unsound when last seen
    rows.add("customers", dict(customer_id="gone", email="?"), row_id=8,
             _valid_from=date(2024, 2, 1), _valid_to=date(2024, 2, 15))  # fmt: skip
    # not seen before the 15th: until then nobody
    rows.add("customers", dict(customer_id="new"), row_id=9, _valid_from=date(2024, 2, 15))
    for name in ("ill", "gone", "new"):
        rows.add("sessions", dict(session_id=f"v-{name}", customer_id=name),
                 _valid_from=date(2024, 2, 1))  # fmt: skip
        rows.add("events", dict(event_id=f"e-{name}", session_id=f"v-{name}"),
                 _valid_from=date(2024, 2, 1))  # fmt: skip
        rows.add("transactions", dict(transaction_id=f"t-{name}", customer_id=name,
                 order_status="completed"), _valid_from=date(2024, 2, 1))  # fmt: skip
    fill_raw(warehouse_url, rows.tables())

    before = date(2024, 2, 10)
    build_all(warehouse_url, tmp_path, before)
    found = quarantined(warehouse_url)
    assert set(map(tuple, found.values())) == {
        ("customers.email_invalid",), ("sessions.customer_quarantined",),
        ("sessions.customer_unknown",), ("events.session_quarantined",),
        ("transactions.customer_quarantined",), ("transactions.customer_unknown",),
    }  # fmt: skip
    assert len(found) == 2 + 3 + 3 + 3
    assert query(warehouse_url, "select customer_id from marts.dim_customers") == [("c1",)]
    build_all(warehouse_url, tmp_path, AS_OF)
    assert quarantined(warehouse_url) == {}
    assert query(warehouse_url, """
        select customer_id, valid_from, is_current from marts.dim_customers order by customer_id
    """) == [("c1", date(2024, 2, 1), True), ("ill", date(2024, 2, 15), True),
             ("new", date(2024, 2, 15), True)]  # fmt: skip
    assert query(warehouse_url, "select customer_id from marts.customer_rfm order by 1") == [
        ("gone",), ("ill",), ("new",)
    ]  # fmt: skip
    # the older night keeps its figures
    summary = """
        select as_of, clean, quarantined, deleted, recommended_action, top_rule
        from marts.data_quality_summary where table_name = 'customers' order by as_of
    """
    assert query(warehouse_url, summary) == [
        (before, 1, 2, 0, "Stop and investigate", "customers.email_invalid"),
        (AS_OF, 3, 0, 1, "No action", None),
    ]
    build_all(warehouse_url, tmp_path, before)
    assert [row[:4] for row in query(warehouse_url, summary)] == [
        (before, 1, 2, 0), (AS_OF, 3, 0, 1)
    ]  # fmt: skip


@pytest.mark.parametrize("share", ["none", "all"])
def test_nothing_odd_in_extra_stops_a_build(warehouse_url: str, tmp_path: Path, share: str) -> None:
    """Whatever type a value has in a source, its row is somewhere in the end."""
    odd: list[Any] = [
        None, True, 1, 1 << 62, -1.5, 1e300, float("inf"), "", "x", "NaN", "1e5", "9" * 400, "\0",
        "0000-00-00", "2024-13-01", "9999-12-31T23:59:60Z", "infinity", "now", "{", "[1]", b"\xff",
        [], {}, {"$numberInt": "x"}, {"$binary": "x"}, {"a": "\0"},
    ]  # fmt: skip
    with psycopg.connect(warehouse_url) as conn:
        fill_raw(warehouse_url)
        for spec in SPECS:
            for number, value in enumerate(odd):
                extra = {column.name: value for column in spec.columns}
                sound = {} if share == "all" else SOUND[spec.name]
                names = [spec.key.name, *sound, "_extra", "_batch_id", "_valid_from"]
                conn.execute(
                    f"insert into {spec.raw_name} ({', '.join(names)})"
                    f" values ({', '.join(['%s'] * len(names))})".encode(),
                    [number, *sound.values(), canonical(extra).decode(), 1, AS_OF],
                )
    results = build_all(warehouse_url, tmp_path)
    assert {result.status for result in results} == {"success", "pass"}
    assert query(
        warehouse_url, "select distinct clean + quarantined + deduplicated"
        " from marts.data_quality_summary",
    ) == [(len(odd),)]  # fmt: skip
