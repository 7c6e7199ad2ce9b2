"""The star on a real server: what dimensions, facts and sales say about a small company."""

import json
import random
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psycopg

from tests.integration.dbt_support import AS_OF, Raw, build_all, fill_raw, query

EARLY = date(2024, 1, 1)
STAR = {
    "dim_customers": "customer_key",
    "dim_products": "product_id",
    "dim_campaigns": "campaign_id",
    "dim_dates": "date_day",
    "fct_orders": "order_id",
    "fct_order_items": "item_id",
    "fct_sessions": "session_id",
    "fct_campaign_daily": "campaign_id, date_day",
    "sales_by_category": "month_start, category",
    "sales_by_region": "month_start, region",
    "campaign_performance": "campaign_id",
    "channel_performance": "channel",
    "channel_attribution": "channel",
    "customer_campaigns": "customer_id, campaign_id",
}
CUSTOMERS = Raw(
    "raw_mysql.customers",
    [dict(row_id=i, customer_id=name) for i, name in enumerate(["ann", "bob"])],
)
ORDERS = Raw(
    "raw_mysql.transactions",
    [
        dict(row_id=1, transaction_id="o1", customer_id="ann", order_date="2024-02-10 12:00Z",
             total_amount="29.00", discount_amount="1.00", order_status="completed",
             shipping_country="Germany"),
        dict(row_id=2, transaction_id="o2", customer_id="bob", order_date="2024-02-29 23:59:59Z",
             total_amount="5.00", discount_amount=0, order_status="cancelled",
             shipping_country="France"),
        dict(row_id=3, transaction_id="o3", customer_id="bob", order_date="2024-03-01Z",
             total_amount="5.00", discount_amount=0, order_status="completed"),
    ],
)  # fmt: skip
ITEMS = Raw(
    "raw_mysql.transaction_items",
    [
        dict(row_id=1, item_id="i1", transaction_id="o1", product_id="p1", product_name="Ball",
             category="Toys", quantity=1, unit_price=10, discount_percent=0, line_total="10.00"),
        dict(row_id=2, item_id="i2", transaction_id="o1", product_id="p2", product_name="Book",
             category="Books", quantity=2, unit_price=5, discount_percent=0, line_total="10.00"),
        dict(row_id=3, item_id="i3", transaction_id="o1", product_id="p2", product_name="Book",
             category="Books", quantity=2, unit_price=5, discount_percent=0, line_total="10.00"),
        dict(row_id=4, item_id="i4", transaction_id="o2", product_id="p1", product_name="Red ball",
             category="Toys", quantity=1, unit_price=5, discount_percent=0, line_total="5.00"),
        dict(row_id=5, item_id="i5", transaction_id="o3", product_id="p9", product_name="Later",
             category="Toys", quantity=1, unit_price=5, discount_percent=0, line_total="5.00"),
    ],
)  # fmt: skip
CAMPAIGNS = Raw(
    "raw_postgres.campaigns",
    [
        dict(row_id=1, campaign_id="C1", campaign_name="Spring", channel="Email",
             start_date="2024-02-20", end_date="2024-03-10", budget=100, status="Active"),
        dict(row_id=2, campaign_id="C2", channel="Google", start_date="2024-03-01",
             end_date="2024-03-31", budget=50),
    ],
)  # fmt: skip
PERFORMANCE = Raw(
    "raw_postgres.campaign_performance",
    [
        # restated: what was known on the night counts, not what came later
        dict(row_id=1, performance_id="f1", campaign_id="C1", date="2024-02-29", impressions=1000,
             clicks=10, conversions=1, spend=7, revenue=20, _valid_to="2024-03-02"),
        dict(row_id=1, performance_id="f1", campaign_id="C1", date="2024-02-29", impressions=1000,
             clicks=10, conversions=3, spend=7, revenue=60, _valid_from="2024-03-02"),
        dict(row_id=2, performance_id="f2", campaign_id="C1", date="2024-03-01", impressions=5,
             clicks=5, conversions=5, spend=5, revenue=5),
    ],
)  # fmt: skip
NORMAL, ROBOT = "Mozilla/5.0 (Linux) Firefox", "Mozilla/5.0 (compatible; ShopBot/1.0)"


def session(number: int, **values: object) -> Mapping[str, object]:
    """A session's raw row."""
    full = {"_id": f"{number:024x}", "session_id": f"s{number}", "device_type": "desktop"}
    return full | {"updated_at": values.get("session_start")} | values


SESSIONS = Raw(
    "raw_mongo.sessions",
    [
        session(1, anonymous_id="c1", session_start="2024-02-28 23:50Z",
                session_end="2024-02-29 00:20Z", duration_seconds=1800,
                utm=json.dumps({"source": "email", "medium": "email", "campaign": "C1"})),
        session(2, anonymous_id="c1", customer_id="ann", session_start="2024-02-29 10:00Z",
                session_end="2024-02-29 10:10Z", duration_seconds=600,
                referrer="https://search.example/"),
        session(3, anonymous_id="c2", session_start="2024-02-29 23:55Z",
                session_end="2024-03-01 00:05Z", duration_seconds=600),
        session(4, anonymous_id="c3", session_start="2024-02-29 11:00Z",
                session_end="2024-02-29 11:01Z", duration_seconds=60),
        session(5, anonymous_id="c2", customer_id="bob", session_start="2024-03-01 00:00Z"),
    ],
)  # fmt: skip


def views(*rows: tuple[int, str, str]) -> Raw:
    """Page views: of which session, what kind, when."""
    return Raw(
        "raw_mongo.page_views",
        [dict(_id=f"{i:024x}", view_id=f"v{i}", session_id=f"s{number}", page_type=kind,
              timestamp=at, created_at=at, sequence=1, time_on_page=5, scroll_depth=50)
         for i, (number, kind, at) in enumerate(rows)],
    )  # fmt: skip


VIEWS = views(
    (1, "home", "2024-02-28 23:50Z"), (1, "product", "2024-02-29 00:10Z"),
    (2, "home", "2024-02-29 10:00Z"),
    (3, "cart", "2024-02-29 23:59Z"), (3, "checkout", "2024-03-01 00:01Z"),
)  # fmt: skip
EVENTS = Raw(
    "raw_mongo.events",
    [
        dict(_id="e1", event_id="e1", session_id="s2", event_type="purchase",
             event_data=json.dumps({"transaction_id": "o1", "value": 29}), user_agent=NORMAL,
             timestamp="2024-02-29 10:05Z", created_at="2024-02-29 10:05Z"),
        dict(_id="e2", event_id="e2", session_id="s4", event_type="click", user_agent=ROBOT,
             timestamp="2024-02-29 11:00Z", created_at="2024-02-29 11:00Z"),
    ],
)  # fmt: skip
INTERACTIONS = Raw(
    "raw_mongo.product_interactions",
    [
        dict(_id="n1", interaction_id="n1", session_id="s1", product_id="p3", product_name="Kite",
             interaction_type="view", category="Toys", timestamp="2024-02-29 00:10Z",
             created_at="2024-02-29 00:10Z"),
        dict(_id="n2", interaction_id="n2", session_id="s1", product_id="p3", product_name="Kite",
             interaction_type="add_to_cart", category="Toys", timestamp="2024-02-29 00:11Z",
             created_at="2024-02-29 00:11Z"),
    ],
)  # fmt: skip
SEARCHES = Raw(
    "raw_mongo.search_queries",
    [dict(_id="q1", query_id="q1", session_id="s2", search_term="ball", results_count=0,
          timestamp="2024-02-29 10:01Z", created_at="2024-02-29 10:01Z")],
)  # fmt: skip
COMPANY = [CUSTOMERS, ORDERS, ITEMS, CAMPAIGNS, PERFORMANCE, SESSIONS, VIEWS, EVENTS, INTERACTIONS,
           SEARCHES]  # fmt: skip


def checksums(url: str) -> dict[str, list[tuple[object, ...]]]:
    """What each table of the star says, as a checksum of its rows."""
    said = "select count(*), md5(string_agg(t::text, '|' order by {keys})) from marts.{name} t"
    return {name: query(url, said.format(name=name, keys=keys)) for name, keys in STAR.items()}


def test_the_star_of_a_small_company(warehouse_url: str, tmp_path: Path) -> None:
    fill_raw(warehouse_url, COMPANY)
    build_all(warehouse_url, tmp_path)

    # s1 runs across midnight and is whole; s3 goes on at the as_of; s5 is of the next day, so that
    # nobody knows yet whose s3 is
    assert query(warehouse_url, """
        select session_id, visitor_id, customer_id, is_identified_by_stitching, is_bot,
            session_date::text, duration_seconds, channel, campaign_id, page_views,
            product_page_views, cart_page_views, checkout_page_views, events, searches,
            interactions, product_views, cart_adds, purchases, is_bounce, order_id
        from marts.fct_sessions order by session_id
    """) == [
        ("s1", "ann", "ann", True, False, "2024-02-28", 1800, "Email", "C1", 2, 1, 0, 0, 0, 0, 2,
         1, 1, 0, False, None),
        ("s2", "ann", "ann", False, False, "2024-02-29", 600, "Organic Search", None, 1, 0, 0, 0,
         1, 1, 0, 0, 0, 1, True, "o1"),
        ("s3", "anon:c2", None, False, False, "2024-02-29", None, "Direct", None, 1, 0, 1, 0, 0,
         0, 0, 0, 0, 0, True, None),
        ("s4", "anon:c3", None, False, True, "2024-02-29", 60, "Direct", None, 0, 0, 0, 0, 1, 0, 0,
         0, 0, 0, False, None),
    ]  # fmt: skip
    # the largest line with the lowest id bears the cent; i5 is of an order of the next day
    assert query(warehouse_url, """
        select item_id, order_id, customer_id, is_purchase, order_discount_share::text,
            net_amount::text
        from marts.fct_order_items order by item_id
    """) == [
        ("i1", "o1", "ann", True, "0.34", "9.66"),
        ("i2", "o1", "ann", True, "0.33", "9.67"),
        ("i3", "o1", "ann", True, "0.33", "9.67"),
        ("i4", "o2", "bob", False, "0.00", "5.00"),
    ]  # fmt: skip
    assert query(warehouse_url, """
        select product_id, product_name, category, last_unit_price::text, units_sold, is_sold
        from marts.dim_products order by product_id
    """) == [
        ("p1", "Red ball", "Toys", "5.000000", 1, True),
        ("p2", "Book", "Books", "5.000000", 4, True),
        ("p3", "Kite", "Toys", None, 0, False),
    ]  # fmt: skip
    assert query(warehouse_url, """
        select campaign_id, phase, planned_days, days_run, status
        from marts.dim_campaigns order by campaign_id
    """) == [("C1", "running", 20, 10, "active"), ("C2", "planned", 31, 0, None)]  # fmt: skip
    assert query(warehouse_url, """
        select campaign_id, date_day::text, is_reported, impressions, conversions,
            spend::text, platform_revenue::text, conversion_rate::text, sessions
        from marts.fct_campaign_daily order by 1, 2
    """) == [
        ("C1", "2024-02-28", False, 0, 0, "0.00", "0.00", None, 1),
        ("C1", "2024-02-29", True, 1000, 1, "7.00", "20.00", "0.1000000000", 0),
    ]  # fmt: skip
    assert query(warehouse_url, """
        select month_start::text, category, orders, customers, units, items_total::text,
            discount::text, revenue::text, revenue_rank, is_complete_month
        from marts.sales_by_category order by category
    """) == [
        ("2024-02-01", "Books", 1, 1, 4, "20.00", "0.66", "19.34", 1, True),
        ("2024-02-01", "Toys", 1, 1, 1, "10.00", "0.34", "9.66", 2, True),
    ]  # fmt: skip
    assert query(warehouse_url, """
        select month_start::text, region, orders, customers, new_customers, units, revenue::text
        from marts.sales_by_region
    """) == [("2024-02-01", "Germany", 1, 1, 1, 5, "29.00")]  # fmt: skip


def test_dates_agree_with_pythons_calendar(warehouse_url: str, tmp_path: Path) -> None:
    old = dict(
        row_id=1, transaction_id="o1", order_date="1997-01-01 00:00Z", order_status="completed"
    )
    fill_raw(warehouse_url, [Raw("raw_mysql.transactions", [old])])
    build_all(warehouse_url, tmp_path)
    rows = query(warehouse_url, """
        select date_day, calendar_year, quarter_of_year, month_of_year, month_name, year_month,
            month_start, iso_year, iso_week, week_start, day_of_month, day_of_year, day_of_week,
            day_name, is_weekend, is_month_end, is_past, is_in_complete_month
        from marts.dim_dates order by 1
    """)  # fmt: skip
    first, last = date(1997, 1, 1), date(AS_OF.year + 1, 12, 31)
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    expected = [
        (d, d.year, (d.month + 2) // 3, d.month, f"{d:%B}", f"{d:%Y-%m}", d.replace(day=1),
         d.isocalendar().year, d.isocalendar().week, d - timedelta(days=d.weekday()), d.day,
         int(f"{d:%j}"), d.isoweekday(), f"{d:%A}", d.isoweekday() > 5,
         (d + timedelta(days=1)).day == 1, d < AS_OF, d < AS_OF.replace(day=1))
        for d in days
    ]  # fmt: skip
    assert rows == expected


def by_night(tables: Iterable[Raw], nights: list[date], draw: random.Random) -> list[Raw]:
    """The same rows, each first seen on one of the nights, shuffled, in some wrong order."""
    shuffled = []
    for raw in tables:
        rows: list[Mapping[str, object]] = [
            {"_valid_from": draw.choice(nights), **row} for row in raw.rows
        ]
        draw.shuffle(rows)
        shuffled.append(Raw(raw.table, rows))
    return shuffled


def test_shuffled_and_late_batches_make_the_same_star(warehouse_url: str, tmp_path: Path) -> None:
    """Rows that came on other nights and in another order say the same; so does a second run."""
    draw = random.Random(5)
    start = datetime(2024, 1, 5, tzinfo=UTC)
    visits = [
        session(100 + n, anonymous_id=f"c{draw.randrange(12)}",
                customer_id=draw.choice([None, None, "ann", "bob"]),
                session_start=start + timedelta(hours=draw.randrange(1300)),
                utm=draw.choice([None, json.dumps({"source": "email", "campaign": "C1"})]))
        for n in range(120)
    ]  # fmt: skip
    bought: list[Mapping[str, object]] = [
        dict(row_id=100 + n, transaction_id=f"x{n}", customer_id=draw.choice(["ann", "bob"]),
             order_date=start + timedelta(hours=draw.randrange(1300)), order_status="shipped",
             total_amount=draw.randrange(1, 9999) / 100, discount_amount=0)
        for n in range(60)
    ]  # fmt: skip
    company = [*COMPANY, Raw("raw_mongo.sessions", visits), Raw("raw_mysql.transactions", bought)]
    # versions of customers are history: when they came is what dim_customers tells
    whole = [Raw(raw.table, [{"_valid_from": EARLY, **row} for row in raw.rows]) for raw in company]
    fill_raw(warehouse_url, whole)
    build_all(warehouse_url, tmp_path / "a")
    expected = checksums(warehouse_url)
    assert all(rows[0][0] for rows in expected.values())
    build_all(warehouse_url, tmp_path / "a")
    assert checksums(warehouse_url) == expected

    with psycopg.connect(warehouse_url) as conn:
        for name in {raw.table for raw in company}:
            conn.execute(f"truncate {name}".encode())
    nights = [EARLY, date(2024, 2, 1), AS_OF]
    late = by_night(company, nights, draw)
    late[company.index(CUSTOMERS)] = whole[company.index(CUSTOMERS)]
    # some nights are built on the way, with what was known by then
    fill_raw(warehouse_url, late)
    for night in nights[1:]:
        build_all(warehouse_url, tmp_path / "b", night)
    assert checksums(warehouse_url) == expected
