"""Fills the two large source tables of the benchmarks, and changes one percent of them."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

from bson import ObjectId

START = datetime(2025, 1, 1)
CHANGED = datetime(2026, 1, 1, 12)
CHUNK = 5_000
_ITEM_COLUMNS = (
    "item_id, transaction_id, product_id, product_name, category, quantity, unit_price,"
    " discount_percent, line_total"
)


def fill_items(shop: Any, count: int) -> None:
    """Order lines: 10,000 made here, then doubled by the server."""
    rng = random.Random(1)
    rows = [
        (
            f"ITEM_{number:08}",
            f"TXN_{number // 3:06}",
            f"PROD_{rng.randrange(500):04}",
            f"Product name {rng.randrange(500)}",
            rng.choice(["Home", "Books", "Garden", "Toys"]),
            rng.randrange(1, 6),
            f"{rng.randrange(100, 99999) / 100:.6f}",
            f"{rng.randrange(0, 30):.4f}",
            f"{rng.randrange(100, 999999) / 100:.2f}",
            START + timedelta(seconds=rng.randrange(31_000_000)),
        )
        for number in range(min(count, 10_000))
    ]
    cursor = shop.cursor()
    cursor.execute("truncate transaction_items")
    cursor.executemany(
        f"insert into transaction_items ({_ITEM_COLUMNS}, updated_at)"
        " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        rows,
    )
    have = len(rows)
    while have < count:
        more = min(have, count - have)
        cursor.execute(
            f"insert into transaction_items ({_ITEM_COLUMNS}, updated_at)"
            f" select {_ITEM_COLUMNS}, updated_at + interval 1 microsecond from transaction_items"
            f" order by row_id limit {more}"
        )
        have += more
    shop.commit()
    cursor.execute("analyze table transaction_items")
    cursor.fetchall()


def change_items(shop: Any, day: int = 0) -> None:
    """Update one percent of the order lines, each day (counted from 0) other ones."""
    cursor = shop.cursor()
    cursor.execute(
        "update transaction_items set quantity = quantity + 1,"
        " updated_at = %s + interval row_id microsecond where row_id %% 100 = %s",
        (CHANGED + timedelta(days=day), day),
    )
    shop.commit()


def fill_views(database: Any, first: int, count: int, day: int = 0) -> None:
    """Page views with the numbers ``first`` to ``first + count``; later ones are of one day."""
    rng = random.Random(first)
    if not first:
        database.page_views.delete_many({})
    for begin in range(first, first + count, CHUNK):
        documents = []
        for number in range(begin, min(begin + CHUNK, first + count)):
            moment = START + timedelta(milliseconds=rng.randrange(30_000_000_000) % 40_000_000_000)
            if first:
                moment = CHANGED + timedelta(days=day, milliseconds=number - first)
            documents.append(
                {
                    "_id": ObjectId(number.to_bytes(12, "big")),
                    "view_id": f"VIEW_{number:08}",
                    "session_id": f"SESS_{number // 8:08}",
                    "customer_id": None if number % 5 == 0 else f"CUST_{number % 10_000:06}",
                    "page_url": f"https://shop.example.com/products/{number % 500}",
                    "page_title": "product",
                    "page_type": "product",
                    "sequence": number % 8 + 1,
                    "time_on_page": rng.randrange(300),
                    "scroll_depth": rng.randrange(101),
                    "referrer_url": None,
                    "timestamp": moment,
                    "created_at": moment,
                }
            )
        database.page_views.insert_many(documents, ordered=False)
