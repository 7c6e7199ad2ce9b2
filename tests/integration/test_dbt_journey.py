"""customer_journey, the funnel and the paths, on rows made by hand."""

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from psycopg.types.json import Jsonb

from tests.integration.dbt_support import AS_OF, Raw, build_all, fill_raw, query

BOT = "Mozilla/5.0 (compatible; examplebot/2.1)"


def session(
    number: int, customer: str | None, cookie: str, start: str, **columns: Any
) -> dict[str, Any]:
    return {
        "_id": f"{number:024d}",
        "session_id": f"s{number}",
        "customer_id": customer,
        "anonymous_id": cookie,
        "session_start": f"{start}Z",
        "updated_at": f"{start}Z",
        "device_type": "mobile",
        "browser": "Safari",
        **columns,
    }


def page(number: int, in_session: int, kind: str, at: str) -> dict[str, Any]:
    return {
        "_id": f"{number:024d}", "view_id": f"v{number}", "session_id": f"s{in_session}",
        "page_type": kind, "sequence": number, "timestamp": f"{at}Z", "created_at": f"{at}Z",
    }  # fmt: skip


def event(number: int, in_session: int, kind: str, at: str, agent: str = "M") -> dict[str, Any]:
    return {
        "_id": f"{number:024d}", "event_id": f"e{number}", "session_id": f"s{in_session}",
        "event_type": kind, "timestamp": f"{at}Z", "created_at": f"{at}Z", "user_agent": agent,
        "event_data": Jsonb({}),
    }  # fmt: skip


def act(number: int, in_session: int, kind: str, product: str, at: str) -> dict[str, Any]:
    return {
        "_id": f"{number:024d}", "interaction_id": f"i{number}", "session_id": f"s{in_session}",
        "interaction_type": kind, "product_id": product, "timestamp": f"{at}Z",
        "created_at": f"{at}Z", "category": "Books",
    }  # fmt: skip


RAW = [
    Raw("raw_mysql.customers", [
        dict(row_id=1, customer_id="ann", email="ann@example.com", first_name="Ann"),
        dict(row_id=2, customer_id="bob"),
        dict(row_id=3, customer_id="eve"),
        dict(row_id=4, customer_id="gone", _valid_from=date(2024, 1, 1), _valid_to=AS_OF),
    ]),
    Raw("raw_mongo.sessions", [
        # ann looked around before she signed in under the same cookie, and came back to buy
        session(1, None, "c1", "2024-02-10 10:00:00", session_end="2024-02-10 10:05:00Z",
                duration_seconds=300),
        session(2, "ann", "c1", "2024-02-12 10:00:00", session_end="2024-02-12 10:10:00Z",
                duration_seconds=600, device_type="desktop", browser="Chrome"),
        # it goes on over the night of the as_of: its end is not known yet
        session(3, "ann", "c1", "2024-02-29 23:58:00", session_end="2024-03-01 00:08:00Z",
                duration_seconds=600),
        # on the day after it: not there yet
        session(4, "ann", "c1", "2024-03-01 00:00:00"),
        # a stranger, a program, and eve, who fills a cart and leaves
        session(5, None, "c5", "2024-02-28 12:00:00", device_type=None),
        session(6, None, "c6", "2024-02-28 12:00:00"),
        session(7, "eve", "c7", "2024-01-15 12:00:00"),
    ]),
    Raw("raw_mongo.page_views", [
        page(1, 1, "home", "2024-02-10 10:00:00"),
        page(2, 1, "product", "2024-02-10 10:01:00"),
        page(3, 1, "product", "2024-02-10 10:02:00"),
        page(4, 2, "home", "2024-02-12 10:00:00"),
        page(5, 2, "product", "2024-02-12 10:01:00"),
        page(6, 3, "home", "2024-02-29 23:58:00"),
        page(7, 3, "cart", "2024-03-01 00:00:00"),
        page(8, 5, "home", "2024-02-28 12:00:00"),
        page(9, 6, "home", "2024-02-28 12:00:00"),
    ]),
    Raw("raw_mongo.product_interactions", [
        act(1, 1, "view", "p1", "2024-02-10 10:01:00"),
        act(2, 1, "view", "p2", "2024-02-10 10:02:00"),
        act(3, 2, "view", "p1", "2024-02-12 10:01:00"),
        act(4, 2, "add_to_cart", "p1", "2024-02-12 10:02:00"),
        act(5, 7, "view", "p1", "2024-01-15 12:01:00"),
        act(6, 7, "add_to_cart", "p1", "2024-01-15 12:02:00"),
        act(7, 6, "add_to_cart", "p1", "2024-02-28 12:00:00"),
        act(8, 3, "add_to_cart", "p1", "2024-03-01 00:01:00"),
    ]),
    Raw("raw_mongo.events", [
        event(1, 2, "checkout_start", "2024-02-12 10:04:00"),
        event(2, 2, "purchase", "2024-02-12 10:05:00"),
        event(3, 3, "purchase", "2024-03-01 00:02:00"),
        event(4, 6, "click", "2024-02-28 12:00:00", BOT),
    ]),
    Raw("raw_mongo.search_queries", [
        {"_id": "1", "query_id": "q1", "session_id": "s2", "search_term": "books",
         "results_count": 3, "timestamp": "2024-02-12 10:00:30Z",
         "created_at": "2024-02-12 10:00:31Z"},
    ]),
]  # fmt: skip


def test_journeys_funnel_and_paths_of_a_few_visitors(warehouse_url: str, tmp_path: Path) -> None:
    fill_raw(warehouse_url, RAW)
    build_all(warehouse_url, tmp_path)

    assert query(warehouse_url, """
        select customer_id, email, first_name, total_sessions, total_page_views, total_events,
            avg_session_duration, bounce_rate, total_product_views, total_cart_adds,
            total_search_queries, total_interactions, journey_type, conversion_status,
            journey_complexity, engagement_score, conversion_probability,
            conversion_probability_support, device_preference, browser_preference,
            unique_products_viewed, first_session_date, last_session_date
        from marts.customer_journey order by customer_id
    """) == [
        # 3 of 15 sessions, 6 of 120 pages, 2 of 40 products, 1 of 10 cart adds, 1 of 40 searches:
        # 4 + .75 + .75 + 1.5 + .25, and 25 for yesterday. One of all 4 sessions has a purchase.
        ("ann", "ann@example.com", "Ann", 3, 6, 2, Decimal("450.00"), Decimal("0.333333"), 3, 1, 1,
         4, "Converter", "Converted", "Medium", Decimal("32.25"), Decimal("0.260870"), 3, "mobile",
         "Safari", 2, date(2024, 2, 10), date(2024, 2, 29)),
        ("bob", None, None, 0, 0, 0, None, None, 0, 0, 0, 0, "Browser", "Browsing", "Simple",
         Decimal("0.00"), Decimal("0.250000"), 0, None, None, 0, None, None),
        # 1.3333 + .375 + 1.5, and half of 25: 45 of the 90 days are over
        ("eve", None, None, 1, 0, 0, None, Decimal("0.000000"), 1, 1, 0, 2, "Abandoner",
         "Abandoned", "Simple", Decimal("15.71"), Decimal("0.238095"), 1, "mobile", "Safari", 1,
         date(2024, 1, 15), date(2024, 1, 15)),
    ]  # fmt: skip
    assert query(warehouse_url, """
        select journey_type, customers, converted_customers, conversion, avg_sessions
        from marts.journey_type_summary order by journey_type
    """) == [
        ("Abandoner", 1, 0, Decimal(0), Decimal(1)),
        ("Browser", 1, 0, Decimal(0), Decimal(0)),
        ("Converter", 1, 1, Decimal(1), Decimal(3)),
    ]  # fmt: skip

    # Three entries: ann's of February, eve's of January, the stranger's, whose week is not over.
    # ann's cart add comes two days after her first visit. The program is in none of it.
    assert query(warehouse_url, """
        select step_name, entered, reached_previous, reached, censored, step_conversion_rate,
            overall_conversion_rate, estimated_conversion_rate, median_hours_to_step,
            median_hours_of_converted
        from marts.conversion_funnel where breakdown = 'all' order by step_number
    """) == [
        ("visit", 3, 3, 3, 0, Decimal(1), Decimal(1), Decimal(1), Decimal(0), Decimal(0)),
        ("product_view", 3, 3, 2, 1, Decimal("0.666667"), Decimal("0.666667"), Decimal("0.666667"),
         Decimal("0.0167"), Decimal("0.0167")),
        # eve after 2 minutes (1/3), then the stranger leaves the view after 36 hours, and of the
        # one who is left ann does after 48 hours
        ("add_to_cart", 3, 2, 2, 1, Decimal(1), Decimal("0.666667"), Decimal(1),
         Decimal("48.0333"), Decimal("0.0333")),
        ("checkout_start", 3, 2, 1, 1, Decimal("0.5"), Decimal("0.333333"), Decimal("0.5"),
         Decimal("48.0667"), Decimal("48.0667")),
        ("purchase", 3, 1, 1, 1, Decimal(1), Decimal("0.333333"), Decimal("0.5"),
         Decimal("48.0833"), Decimal("48.0833")),
    ]  # fmt: skip
    assert query(warehouse_url, """
        select breakdown, breakdown_value, entered, reached from marts.conversion_funnel
        where step_number = 2 and breakdown <> 'all' order by 1, 2
    """) == [
        ("channel", "Direct", 3, 2),
        ("device_type", "mobile", 2, 2),
        ("device_type", "unknown", 1, 0),
        ("entry_month", "2024-01", 1, 1),
        ("entry_month", "2024-02", 2, 1),
        ("visitor", "anonymous", 1, 0),
        ("visitor", "customer", 2, 2),
    ]  # fmt: skip

    # so few sessions are rare paths, all of them
    assert query(warehouse_url, """
        select path, path_rank, sessions, visitors, share_of_sessions, conversions, conversion_rate
        from marts.journey_paths
    """) == [("(rare paths)", 1, 5, 3, Decimal(1), 1, Decimal("0.2"))]  # fmt: skip
    assert query(warehouse_url, """
        select session_id, path, steps from intermediate.int_page_views__paths order by 1
    """) == [
        ("s1", "home > product", 2),
        ("s2", "home > product", 2),
        ("s3", "home", 1),
        ("s5", "home", 1),
        ("s6", "home", 1),
    ]  # fmt: skip


def test_empty_sources_make_empty_journeys(warehouse_url: str, tmp_path: Path) -> None:
    fill_raw(warehouse_url)
    build_all(warehouse_url, tmp_path)
    for mart in ("customer_journey", "journey_type_summary", "conversion_funnel", "journey_paths",
                 "customer_features", "customer_rfm_history", "rfm_segment_migration"):  # fmt: skip
        assert query(warehouse_url, f"select count(*) from marts.{mart}") == [(0,)]
