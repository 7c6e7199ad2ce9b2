"""A small seeded company as raw rows, with a life before and after a night.

Everything is sound, so that cleanup takes nothing out, and everything that could repeat rows in a
join is there: customers with several cookies, orders, segments and campaigns, and customers with
nothing at all. ``shuffled`` changes whatever happens at or after the night.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
from psycopg.types.json import Jsonb

from tests.integration.dbt_support import Raw

Row = dict[str, Any]
NIGHT = date(2024, 3, 1)
BEGINNING = date(2023, 9, 1)
LATER = date(2024, 3, 20)
CUSTOMERS = 40
STATUSES = ["completed", "shipped", "delivered", "completed", "cancelled", "returned", "pending"]
CHANNELS = ["Facebook", "Google", "Email"]
CATEGORIES = ["Books", "Home", "Toys"]
PAGES = ["home", "product", "category", "search", "cart", "account"]
EVENTS = ["click", "scroll", "add_to_cart", "checkout_start"]
KINDS = ["view", "view", "view", "add_to_cart", "wishlist", "remove_from_cart"]
# The column that says when a row of each table happened.
HAPPENED = {
    "raw_mysql.transactions": "order_date",
    "raw_mysql.customer_segment_mapping": "assigned_date",
    "raw_postgres.campaign_performance": "date",
    "raw_mongo.sessions": "session_start",
    "raw_mongo.page_views": "timestamp",
    "raw_mongo.events": "timestamp",
    "raw_mongo.product_interactions": "timestamp",
    "raw_mongo.search_queries": "timestamp",
}
# What stays with its row when rows are shuffled: keys, times, and what the loader wrote.
KEPT = {"row_id", "_id", "transaction_id", "performance_id", "_valid_from", *HAPPENED.values()}
KEPT |= {"session_id", "view_id", "event_id", "interaction_id", "query_id", "created_at"}


def midnight(day: date) -> datetime:
    """The day at 00:00 UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def company(seed: int = 5) -> dict[str, list[Row]]:
    """Table to rows, all live since BEGINNING; about a tenth happens at or after NIGHT."""
    random = np.random.default_rng(seed)
    rows = _people(random) | _marketing(random)
    orders, items = _orders(random)
    rows["raw_mysql.transactions"], rows["raw_mysql.transaction_items"] = orders, items
    for table, made in _clickstream(random, orders).items():
        rows[table] = made
    for table in rows.values():
        for row in table:
            row["_valid_from"] = BEGINNING
    return rows


def as_raw(rows: Mapping[str, list[Row]]) -> list[Raw]:
    """What ``fill_raw`` takes."""
    return [Raw(table, list(made)) for table, made in rows.items()]


def shuffled(rows: Mapping[str, list[Row]], seed: int = 9) -> dict[str, list[Row]]:
    """The same past, and another future: what happens from NIGHT on trades its contents."""
    random = np.random.default_rng(seed)
    changed = {table: [dict(row) for row in made] for table, made in rows.items()}
    for table, column in HAPPENED.items():
        future = [row for row in changed[table] if not happened_before(row[column], NIGHT)]
        assert len(future) > 3, table
        for name in sorted(set(future[0]) - KEPT):
            values = [row[name] for row in future]
            for row, place in zip(future, random.permutation(len(values)), strict=True):
                row[name] = values[place]
        sessions = [row["session_id"] for row in changed["raw_mongo.sessions"]]
        for row in future:
            if table.startswith("raw_mongo") and table != "raw_mongo.sessions":
                row["session_id"] = sessions[int(random.integers(len(sessions)))]
            row[column] += timedelta(days=int(random.integers(3)))
    for row in changed["raw_mongo.sessions"]:
        if row["session_end"] and row["session_end"] >= midnight(NIGHT):
            row["session_end"] += timedelta(minutes=int(random.integers(1, 500)))
            row["duration_seconds"] = int(random.integers(1, 5000))
    future_orders = {
        row["transaction_id"]
        for row in changed["raw_mysql.transactions"]
        if not happened_before(row["order_date"], NIGHT)
    }
    for row in changed["raw_mysql.transaction_items"]:
        if row["transaction_id"] in future_orders:
            row["category"] = CATEGORIES[int(random.integers(len(CATEGORIES)))]
    return changed


def happened_before(when: date | datetime, night: date) -> bool:
    """Whether a day or moment lies before the night."""
    return when < midnight(night) if isinstance(when, datetime) else when < night


def _moment(random: np.random.Generator) -> datetime:
    """A second of the whole time; one of twenty lies on NIGHT 00:00 or the second before it."""
    if random.random() < 0.05:
        return midnight(NIGHT) - timedelta(seconds=int(random.integers(2)))
    seconds = int((midnight(LATER) - midnight(BEGINNING)).total_seconds())
    return midnight(BEGINNING) + timedelta(seconds=int(random.integers(seconds)))


def _customer(number: int) -> str:
    return f"CUST_{number:06d}"


def _people(random: np.random.Generator) -> dict[str, list[Row]]:
    customers, demographics, mapping = [], [], []
    for number in range(CUSTOMERS):
        known = number % 5 > 0
        customers.append(
            {
                "row_id": number,
                "customer_id": _customer(number),
                "email": f"c{number}@example.com" if known else None,
                "date_of_birth": date(1970, 1, 1 + number % 28) if known else None,
                "gender": ["Female", "male", "other"][number % 3] if known else None,
                "country": "Germany" if known else None,
                "registration_date": BEGINNING + timedelta(days=number) if known else None,
                "is_active": number % 2 if known else None,
                "updated_at": midnight(BEGINNING),
            }
        )
        if known:
            demographics.append(
                {
                    "row_id": number,
                    "customer_id": _customer(number),
                    "age_group": "45-54",
                    "income_level": "middle",
                    "household_size": 1 + number % 4,
                    "interests": Jsonb(["Music"] * (number % 3)),
                    "updated_at": midnight(BEGINNING),
                }
            )
    for number in range(90):
        day = BEGINNING + timedelta(days=int(random.integers(200)))
        mapping.append(
            {
                "row_id": number,
                "customer_id": _customer(1 + int(random.integers(CUSTOMERS - 3))),
                "segment_id": f"SEG_{int(random.integers(3))}",
                "assigned_date": day,
                "score": Decimal("0.5"),
                "confidence": Decimal(int(random.integers(100))) / 100,
                "created_at": midnight(day) + timedelta(hours=3),
            }
        )
    segments = [
        {"row_id": n, "segment_id": f"SEG_{n}", "segment_name": f"Segment {n}"} for n in range(3)
    ]
    return {
        "raw_mysql.customers": customers,
        "raw_mysql.customer_demographics": demographics,
        "raw_mysql.customer_segments": segments,
        "raw_mysql.customer_segment_mapping": mapping,
    }


def _marketing(random: np.random.Generator) -> dict[str, list[Row]]:
    campaigns = [
        {
            "row_id": n,
            "campaign_id": f"CAMP_{n}",
            "campaign_name": f"Campaign {n}",
            "campaign_type": "seasonal",
            "channel": CHANNELS[n % 3],
            "start_date": BEGINNING,
            "end_date": LATER,
            "budget": 10_000,
            "status": "active",
        }
        for n in range(6)
    ]
    performance = []
    for number in range(6 * 200):
        clicks = int(random.integers(1, 50))
        performance.append(
            {
                "row_id": number,
                "performance_id": f"PERF_{number}",
                "campaign_id": f"CAMP_{number % 6}",
                "date": BEGINNING + timedelta(days=number // 6),
                "impressions": clicks * 20,
                "clicks": clicks,
                "conversions": int(random.integers(clicks)),
                "spend": Decimal(int(random.integers(100, 5000))) / 100,
                "revenue": Decimal(int(random.integers(100, 20000))) / 100,
            }
        )
    tests = [
        {
            "row_id": n,
            "test_id": f"TEST_{n}",
            "test_name": f"Test {n}",
            "campaign_id": f"CAMP_{n}",
            "start_date": BEGINNING,
            "end_date": date(2024, 2, 1),
            "sample_size": 2000,
            "test_status": "completed",
        }
        for n in range(4)
    ]
    # B wins test 0, A wins test 1, the others are ties
    conversions = [(100, 200), (200, 100), (100, 100), (100, 101)]
    results = [
        {
            "row_id": 2 * n + place,
            "result_id": f"RES_{n}{variant}",
            "test_id": f"TEST_{n}",
            "variant": variant,
            "impressions": 1000,
            "clicks": 300,
            "conversions": conversions[n][place],
            "revenue": 1000,
        }
        for n in range(4)
        for place, variant in enumerate("AB")
    ]
    return {
        "raw_postgres.campaigns": campaigns,
        "raw_postgres.campaign_performance": performance,
        "raw_postgres.ab_tests": tests,
        "raw_postgres.ab_test_results": results,
    }


def _orders(random: np.random.Generator) -> tuple[list[Row], list[Row]]:
    """The first eight customers order nothing."""
    orders, items = [], []
    for number in range(220):
        lines = int(random.integers(1, 4))
        discount = Decimal(int(random.integers(3)))
        prices = [Decimal(int(random.integers(500, 9000))) / 100 for _ in range(lines)]
        orders.append(
            {
                "row_id": number,
                "transaction_id": f"TXN_{number:04d}",
                "customer_id": _customer(8 + int(random.integers(CUSTOMERS - 8) ** 2 // 32)),
                "order_date": _moment(random),
                "total_amount": sum(prices) - discount,
                "discount_amount": discount,
                "payment_method": ["card", "paypal"][int(random.integers(2))],
                "order_status": STATUSES[int(random.integers(len(STATUSES)))],
                "updated_at": midnight(BEGINNING),
            }
        )
        for price in prices:
            items.append(
                {
                    "row_id": len(items),
                    "item_id": f"ITEM_{len(items)}",
                    "transaction_id": f"TXN_{number:04d}",
                    "product_id": f"PROD_{int(random.integers(30))}",
                    "category": CATEGORIES[int(random.integers(3))],
                    "quantity": 1,
                    "unit_price": price,
                    "discount_percent": 0,
                    "line_total": price,
                }
            )
    return orders, items


def _clickstream(random: np.random.Generator, orders: list[Row]) -> dict[str, list[Row]]:
    """Sessions of customers 4 and up: so the first four did nothing at all."""
    rows: dict[str, list[Row]] = {
        f"raw_mongo.{name}": []
        for name in ("sessions", "page_views", "events", "product_interactions", "search_queries")
    }
    for number in range(260):
        person = 4 + int(random.integers(CUSTOMERS - 4))
        start, length = _moment(random), int(random.integers(30, 3000))
        signed_in = random.random() < 0.6 and person < CUSTOMERS - 3
        tagged = random.random() < 0.4
        session = f"S{number:04d}"
        rows["raw_mongo.sessions"].append(
            {
                "_id": f"{number:024x}",
                "session_id": session,
                "customer_id": _customer(person) if signed_in else None,
                "anonymous_id": f"ANON_{person}_{number % 2}",
                "session_start": start,
                "session_end": start + timedelta(seconds=length),
                "duration_seconds": length,
                "device_type": ["mobile", "desktop", "tablet"][int(random.integers(3))],
                "browser": ["Chrome", "Safari"][int(random.integers(2))],
                "utm": Jsonb(
                    {"source": "google", "campaign": f"CAMP_{int(random.integers(6))}"}
                    if tagged
                    else None
                ),
                "updated_at": start,
            }
        )
        _actions(random, rows, session, start, length, orders if signed_in else [])
    return rows


def _actions(
    random: np.random.Generator,
    rows: dict[str, list[Row]],
    session: str,
    start: datetime,
    length: int,
    orders: list[Row],
) -> None:
    """What happens in a session; one of eight signed-in ones ends with an order."""

    def add(table: str, key: str, **columns: Any) -> None:
        made = rows[f"raw_mongo.{table}"]
        when = start + timedelta(seconds=int(random.integers(length)))
        made.append(
            {
                "_id": f"{len(made):024x}",
                key: f"{table}-{len(made)}",
                "session_id": session,
                "timestamp": when,
                "created_at": when + timedelta(seconds=1),
                **columns,
            }
        )

    pages = int(random.integers(1, 8))
    for number in range(pages):
        page = PAGES[int(random.integers(len(PAGES)))]
        add("page_views", "view_id", page_type=page, sequence=number + 1, time_on_page=5)
    for _ in range(int(random.integers(5))):
        kind = EVENTS[int(random.integers(len(EVENTS)))]
        add("events", "event_id", event_type=kind, event_data=Jsonb({}), user_agent="Mozilla")
    if random.random() < 0.4:
        shown = {"test_id": f"TEST_{int(random.integers(4))}", "variant": "AB"[length % 2]}
        kinds = ["experiment_exposure", "experiment_conversion"][: 1 + length % 3 // 2]
        for kind in kinds:
            add("events", "event_id", event_type=kind, event_data=Jsonb(shown), user_agent="M")
    if orders and random.random() < 0.125:
        bought = {"transaction_id": orders[int(random.integers(len(orders)))]["transaction_id"]}
        add("events", "event_id", event_type="purchase", event_data=Jsonb(bought), user_agent="M")
    for _ in range(int(random.integers(6)) if pages > 1 else 0):
        product = int(random.integers(30))
        add(
            "product_interactions",
            "interaction_id",
            product_id=f"PROD_{product}",
            interaction_type=KINDS[int(random.integers(len(KINDS)))],
            category=CATEGORIES[product % 3],
        )
    for _ in range(int(random.integers(3))):
        clicked = "PROD_1" if random.random() < 0.5 else None
        add("search_queries", "query_id", search_term="a", results_count=3, clicked_result=clicked)


def known_since(rows: Mapping[str, list[Row]], night: date) -> dict[str, list[Row]]:
    """Only what had happened before a night, as it was loaded on it."""
    kept = {
        table: [
            dict(row)
            for row in made
            if table not in HAPPENED or happened_before(row[HAPPENED[table]], night)
        ]
        for table, made in rows.items()
    }
    orders = {row["transaction_id"] for row in kept["raw_mysql.transactions"]}
    items = kept["raw_mysql.transaction_items"]
    kept["raw_mysql.transaction_items"] = [r for r in items if r["transaction_id"] in orders]
    return kept
