"""An independent search for defects: rules over the rows as a source holds them.

Nothing of `data_generators.defects` is used here. A rule sees what a cleanup of the loaded data
could see, and the time at which a row appeared (which the nights tell).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np

from data_generators.tables.rows import MISSING, Coded, PlantedRows, RawText

Found = set[tuple[str, str, str]]

EMAIL = re.compile(r"[a-z0-9._+-]+@[a-z0-9-]+(\.[a-z0-9-]+)+")
AGE_GROUPS = {"18-24", "25-34", "35-44", "45-54", "55-64", "65+"}
EDUCATIONS = {"school", "bachelor", "master", "doctorate"}
STATUSES = {"pending", "completed", "shipped", "delivered", "cancelled", "returned"}
CHANNELS = {"Facebook", "Google", "Email", "Instagram", "LinkedIn"}
EVENTS = {
    *("click", "scroll", "video_play", "add_to_cart", "checkout_start", "purchase"),
    *("experiment_exposure", "experiment_conversion"),
}
INTERACTIONS = {"view", "add_to_cart", "wishlist", "remove_from_cart", "review", "purchase"}
PARENTS = {
    "customer_demographics": ("customers", "customer_id"),
    "transactions": ("customers", "customer_id"),
    "transaction_items": ("transactions", "transaction_id"),
    "customer_segment_mapping": ("customers", "customer_id"),
    "campaign_performance": ("campaigns", "campaign_id"),
    "ab_tests": ("campaigns", "campaign_id"),
    "ab_test_results": ("ab_tests", "test_id"),
    "sessions": ("customers", "customer_id"),
    **{
        name: ("sessions", "session_id")
        for name in ("page_views", "events", "product_interactions", "search_queries")
    },
}
QUARANTINED = "quarantined"


@dataclass
class Line:
    """One row of a source: its key as the ledger writes it, its values, when it appeared."""

    key: str
    values: dict[str, Any]
    made: datetime
    deleted: bool

    def __getitem__(self, name: str) -> Any:
        value = self.values[name]
        return None if value is MISSING else value

    @property
    def order(self) -> tuple[int, str]:
        """Physical keys in their order: numbers, or text of one length."""
        return len(self.key), self.key


def lines(parts: Iterable[PlantedRows], until: np.datetime64) -> Iterator[Line]:
    """All rows of a table."""
    for part in parts:
        rows, columns = part.rows, {}
        for name, column in part.rows.columns.items():
            column = column.values() if isinstance(column, Coded) else column
            plain = column.astype(str) if column.dtype.kind == "S" else column
            columns[name] = plain.astype(object).tolist()
        made = rows.made.astype(object).tolist()
        deleted = (rows.deleted < until).tolist()
        for at, values in enumerate(zip(*columns.values(), strict=True)):
            row = dict(zip(columns, values, strict=True)) | part.overrides.get(at, {})
            yield Line(_text(part.keys[at]), row, made[at], deleted[at])
        for extra in part.extra:
            gone = bool(extra.deleted < until)
            yield Line(_text(extra.key), dict(extra.values), extra.made.item(), gone)


def _text(key: Any) -> str:
    return key.hex() if isinstance(key, bytes) else str(key)


@dataclass
class Scan:
    """Takes the tables one by one, parents first; ``found`` has (table, key, class)."""

    found: Found

    def __init__(self, until: np.datetime64) -> None:
        self.found = set()
        self.until = until.item()
        # Of each table, the business keys that are known, and those of quarantined rows.
        self.known: dict[str, set[str]] = {}
        self.bad: dict[str, set[str]] = {}
        self.totals: dict[str, float] = defaultdict(float)
        self.starts: dict[str, date] = {}

    def add_lines(self, spec: Any, parts: Iterable[PlantedRows]) -> None:
        """Sum up the order lines, before the orders are searched."""
        rows = [row for row in lines(parts, np.datetime64(self.until, "s")) if not row.deleted]
        before = set(self.found)
        for row in self._deduplicate(spec, rows):
            self.totals[row["transaction_id"]] += row["line_total"]
        self.found = before

    def table(self, spec: Any, parts: Iterable[PlantedRows]) -> None:
        """Search one table."""
        everything = list(lines(parts, np.datetime64(self.until, "s")))
        rows = [line for line in everything if not line.deleted]
        name, key = spec.name, spec.business_key
        loaded = []
        for row in rows:
            if any(isinstance(value, RawText) for value in row.values.values()):
                self.found.add((name, row.key, "undecodable"))
            else:
                loaded.append(row)
        survivors = self._deduplicate(spec, loaded)
        bad: set[str] = set()
        for row in survivors:
            wrong = {fault for fault in RULES[name](self, row) if fault is not None}
            self.found |= {(name, row.key, fault) for fault, _ in wrong}
            fates = {fate for _, fate in wrong}
            if self._hangs_on_bad(name, row):
                self.found.add((name, row.key, "orphan_of_quarantined"))
                fates.add(QUARANTINED)
            if QUARANTINED in fates and row[key] is not None:
                bad.add(row[key])
        gone = {line[key] for line in everything if line.deleted and line[key] is not None}
        self.known[name] = {row[key] for row in survivors if row[key] is not None} | gone
        self.bad[name] = bad

    def _deduplicate(self, spec: Any, rows: list[Line]) -> list[Line]:
        keys = [spec.business_key]
        if spec.name == "customer_segment_mapping":
            keys = ["customer_id", "segment_id", "created_at"]
        changed = "updated_at" if "updated_at" in rows[0].values else "created_at"
        groups = defaultdict(list)
        for row in rows:
            groups[tuple(row[k] for k in keys)].append(row)
        survivors = []
        for key, group in groups.items():
            if None in key or len(group) == 1:
                survivors += group
                continue
            *losers, survivor = sorted(group, key=lambda row: (row[changed], row.order))
            survivors.append(survivor)
            for row in losers:
                same = row.values == survivor.values
                fault = "duplicate_exact" if same else "duplicate_conflict"
                self.found.add((spec.name, row.key, fault))
        return survivors

    def _hangs_on_bad(self, table: str, row: Line) -> bool:
        if table not in PARENTS:
            return False
        parent, column = PARENTS[table]
        key = row[column]
        if key is None or is_nobody(key):
            return False
        # A parent that was never loaded under its key is no parent either.
        return key in self.bad[parent] or key not in self.known[parent]


def is_nobody(key: str) -> bool:
    """Keys of nine digits have never been given to anything."""
    return bool(re.search(r"_9\d{8}$", key))


def _bad(name: str, wrong: bool) -> Any:
    return (name, QUARANTINED) if wrong else None


def _odd(name: str, wrong: bool) -> Any:
    return (name, "repaired or kept") if wrong else None


def _customers(scan: Scan, row: Line) -> Iterator[Any]:
    yield _bad("null_key", row["customer_id"] is None)
    tidy = row["email"].strip().lower()
    valid = EMAIL.fullmatch(tidy) is not None
    yield _bad("invalid_email", not valid)
    yield _odd("untidy_email", valid and tidy != row["email"])
    born = row["date_of_birth"]
    yield _bad("zero_date", born == "0000-00-00")
    yield _bad("absurd_birth_date", isinstance(born, date) and born.year < 1900)
    yield _bad("future_registration", row["registration_date"] >= scan.until.date())
    names = (row["first_name"], row["last_name"])
    yield _odd("wrong_encoding", any(_mended(name) != name for name in names))
    yield _odd("nul_character", any("\0" in name for name in names))


def _mended(text: str) -> str:
    try:
        return text.encode("latin-1").decode()
    except UnicodeError:
        return text


def _demographics(scan: Scan, row: Line) -> Iterator[Any]:
    yield _bad("unknown_age_group", row["age_group"] not in AGE_GROUPS)
    yield _bad("unknown_education", row["education_level"] not in EDUCATIONS)
    yield _bad("impossible_household", not 1 <= row["household_size"] <= 20)


def _items(scan: Scan, row: Line) -> Iterator[Any]:
    yield _bad("null_key", row["item_id"] is None)
    yield _bad("orphan", is_nobody(row["transaction_id"]))
    yield _bad("impossible_quantity", not 1 <= row["quantity"] < 1000)
    yield _bad("impossible_price", row["unit_price"] < 0)


def _transactions(scan: Scan, row: Line) -> Iterator[Any]:
    at, total, key = row["order_date"], row["total_amount"], row["transaction_id"]
    yield _bad("null_key", key is None)
    yield _bad("orphan", is_nobody(row["customer_id"]))
    yield _bad("negative_amount", total < 0)
    yield _bad("absurd_amount", total > 1e8)
    off = key is not None and abs(scan.totals[key] - row["discount_amount"] - total) > 0.005
    yield _bad("total_mismatch", off and 0 <= total < 1e8)
    yield _bad("zero_date", at == "0000-00-00 00:00:00")
    yield _bad("future_date", isinstance(at, datetime) and at >= scan.until)
    tidy = row["order_status"].strip().lower()
    yield _bad("unknown_status", tidy not in STATUSES)
    yield _odd("untidy_status", tidy in STATUSES and tidy != row["order_status"])
    late = isinstance(at, datetime) and row.made - at > timedelta(days=1)
    yield _odd("late", late)


def _mapping(scan: Scan, row: Line) -> Iterator[Any]:
    yield _bad("orphan", is_nobody(row["segment_id"]))
    yield _bad("impossible_score", not 0 <= row["score"] <= 1)


def _campaigns(scan: Scan, row: Line) -> Iterator[Any]:
    scan.starts[row["campaign_id"]] = row["start_date"]
    yield _bad("negative_budget", row["budget"] < 0)
    yield _bad("absurd_budget", row["budget"] > 1e8)
    yield _bad("end_before_start", row["end_date"] < row["start_date"])
    yield _bad("unknown_channel", row["channel"] not in CHANNELS)


def _performance(scan: Scan, row: Line) -> Iterator[Any]:
    orphan = is_nobody(row["campaign_id"])
    yield _bad("null_key", row["performance_id"] is None)
    yield _bad("clicks_above_impressions", row["clicks"] > row["impressions"])
    yield _bad("negative_spend", row["spend"] < 0)
    yield _bad("orphan", orphan)
    yield _bad("before_start", not orphan and row["date"] < scan.starts[row["campaign_id"]])


def _tests(scan: Scan, row: Line) -> Iterator[Any]:
    yield _bad("impossible_sample_size", row["sample_size"] <= 0)


def _results(scan: Scan, row: Line) -> Iterator[Any]:
    yield _bad("unknown_variant", row["variant"] not in ("A", "B"))
    yield _bad("clicks_above_impressions", row["clicks"] > row["impressions"])


def _sessions(scan: Scan, row: Line) -> Iterator[Any]:
    start, end = row["session_start"], row["session_end"]
    past, future = datetime(2000, 1, 1), scan.until
    yield _bad("missing_key", row["session_id"] is None)
    yield _bad("orphan", row["customer_id"] is not None and is_nobody(row["customer_id"]))
    yield _bad("zero_date", start < past)
    yield _bad("future_date", start >= future)
    yield _bad("end_before_start", end is not None and past < end < start < future)
    yield _odd("mixed_type", isinstance(row["duration_seconds"], str))
    yield _odd("missing_field", row.values["browser"] is MISSING)
    yield _odd("nul_character", "\0" in row["landing_page"])


def _arrival(row: Line) -> Iterator[Any]:
    """How long a sound document was under way."""
    if row["timestamp"] is None or row["timestamp"] > row["created_at"]:
        return
    lag = row["created_at"] - row["timestamp"]
    yield _odd("late", lag > timedelta(hours=1))
    yield _odd("out_of_order", timedelta(minutes=10) < lag <= timedelta(hours=1))


def _page_views(scan: Scan, row: Line) -> Iterator[Any]:
    yield from _arrival(row)
    yield _bad("missing_key", row["view_id"] is None)
    yield _bad("missing_field", row["session_id"] is None)
    yield _bad("impossible_scroll", not 0 <= row["scroll_depth"] <= 100)
    yield _bad("future_date", row["timestamp"] >= scan.until)
    yield _odd("mixed_type", isinstance(row["sequence"], str))
    yield _odd("nul_character", "\0" in row["page_title"])


def _events(scan: Scan, row: Line) -> Iterator[Any]:
    yield from _arrival(row)
    yield _bad("missing_key", row["event_id"] is None)
    yield _bad("missing_field", row["timestamp"] is None)
    yield _bad("unknown_event", row["event_type"] not in EVENTS)
    yield _odd("mixed_type", isinstance(row["event_data"], str))


def _interactions(scan: Scan, row: Line) -> Iterator[Any]:
    yield from _arrival(row)
    yield _bad("missing_field", row["product_id"] is None)
    yield _bad("unknown_type", row["interaction_type"] not in INTERACTIONS)


def _searches(scan: Scan, row: Line) -> Iterator[Any]:
    yield from _arrival(row)
    yield _bad("missing_field", row["search_term"] is None)
    results = row["results_count"]
    yield _bad("negative_results", isinstance(results, int) and results < 0)
    yield _odd("mixed_type", isinstance(results, str))


RULES = {
    "customers": _customers,
    "customer_demographics": _demographics,
    "transactions": _transactions,
    "transaction_items": _items,
    "customer_segments": lambda scan, row: iter(()),
    "customer_segment_mapping": _mapping,
    "campaigns": _campaigns,
    "campaign_performance": _performance,
    "ab_tests": _tests,
    "ab_test_results": _results,
    "sessions": _sessions,
    "page_views": _page_views,
    "events": _events,
    "product_interactions": _interactions,
    "search_queries": _searches,
}
