"""What each class of defects does to a row: one small function a class.

A function gets the row and a uniform number of that row, and gives the columns whose value is
another one. What must be repaired can be repaired: the right value follows from the wrong one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np

from data_generators.tables.rows import MISSING, Coded, RawText, Rows

Values = dict[str, Any]

#: Numbers from here on name nobody: no world is that large.
NOBODY = 900_000_000
FUTURE_YEAR = 2090
ZERO_DATE, ZERO_TIME = "0000-00-00", "0000-00-00 00:00:00"
EPOCH = datetime(1970, 1, 1)


class Row:
    """One row's values as plain Python ones: ``row["email"]``, None where null."""

    def __init__(self, rows: Rows, position: int) -> None:
        self.rows = rows
        self.position = position
        self.number = int(rows.number[position])

    def __getitem__(self, name: str) -> Any:
        column = self.rows.columns[name]
        if isinstance(column, Coded):
            code = int(column.codes[self.position])
            return None if code < 0 else column.pool[code]
        value = column[self.position]
        if isinstance(value, np.generic):
            plain = value.item()  # NaT becomes None, a time a datetime without zone (UTC)
            return plain.decode() if isinstance(plain, bytes) else plain
        return value

    def values(self) -> Values:
        """Every declared column."""
        return {column.name: self[column.name] for column in self.rows.spec.columns}


#: Gives the changed columns; None where the row, as it is now, cannot have the defect.
Edit = Callable[[Row, float], Values | None]


def pick(options: Sequence[Any], u: float) -> Any:
    """One of the options."""
    return options[int(u * len(options))]


def _null(column: str) -> Edit:
    return lambda row, u: {column: None}


def _missing(column: str) -> Edit:
    return lambda row, u: {column: MISSING}


def _one_of(column: str, *options: Any) -> Edit:
    return lambda row, u: {column: pick(options, u)}


def _below_zero(column: str) -> Edit:
    return lambda row, u: {column: -max(row[column], 1)}


def _billions(column: str) -> Edit:
    return lambda row, u: {column: round(row[column] + 1e9 * (1 + int(8 * u)), 2)}


def _nobody(column: str, prefix: str) -> Edit:
    return lambda row, u: {column: nobody(prefix, row)}


def _nul(column: str) -> Edit:
    def edit(row: Row, u: float) -> Values:
        text = row[column]
        at = 1 + int(u * len(text))
        return {column: f"{text[:at]}\0{text[at:]}"}

    return edit


def _invalid_bytes(column: str) -> Edit:
    # Latin-1 where UTF-8 should be: a lone continuation byte.
    return lambda row, u: {column: RawText((row[column] or "").encode() + b" caf\xe9!")}


def _as_text(column: str) -> Edit:
    def edit(row: Row, u: float) -> Values | None:
        return None if row[column] is None else {column: str(row[column])}

    return edit


def nobody(prefix: str, row: Row) -> str:
    """A business key that no row has, one for each row."""
    return f"{prefix}_{NOBODY + row.number}"


def future(u: float) -> datetime:
    """A time in 2090."""
    return datetime(FUTURE_YEAR, 1, 1) + timedelta(seconds=int(u * 365 * 86_400))


def _invalid_email(row: Row, u: float) -> Values:
    local, _, domain = row["email"].partition("@")
    options = (f"{local}.{domain}", f"{local}@@{domain}", f"{local}@", f"@{domain}", "n/a", "")
    return {"email": pick(options, u)}


def _untidy_email(row: Row, u: float) -> Values:
    mail = row["email"]
    return {"email": pick((f"  {mail}", f"{mail} ", mail.upper(), f" {mail.title()} "), u)}


def _absurd_birth_date(row: Row, u: float) -> Values:
    return {"date_of_birth": date(1700, 1, 1) + timedelta(days=int(u * 199 * 365))}


def _wrong_encoding(row: Row, u: float) -> Values | None:
    names = ("first_name", "last_name")
    wrong = {name: row[name].encode().decode("latin-1") for name in names}
    changed = {name: text for name, text in wrong.items() if text != row[name]}
    return changed or None


def _total_mismatch(row: Row, u: float) -> Values:
    return {"total_amount": round(row["total_amount"] * (1.05 + 0.5 * u) + 1, 2)}


def _untidy_status(row: Row, u: float) -> Values:
    status = row["order_status"]
    return {"order_status": pick((f" {status}", f"{status}  ", status.upper(), status.title()), u)}


def _impossible_quantity(row: Row, u: float) -> Values:
    return {"quantity": pick((0, -row["quantity"], 1_000_000), u)}


def _score(row: Row, u: float) -> Values:
    return {"score": pick((round(1.01 + u, 4), -round(0.01 + u, 4)), u)}


def _end_date_before_start(row: Row, u: float) -> Values:
    return {"end_date": row["start_date"] - timedelta(days=1 + int(90 * u))}


def _clicks_above_impressions(row: Row, u: float) -> Values:
    return {"clicks": row["impressions"] + 1 + int(u * 1000)}


def _sample_size(row: Row, u: float) -> Values:
    return {"sample_size": pick((0, -1, -row["sample_size"]), u)}


def _session_ends_before_start(row: Row, u: float) -> Values:
    return {"session_end": row["session_start"] - timedelta(seconds=60 + int(u * 7200))}


def _data_as_text(row: Row, u: float) -> Values | None:
    data = row["event_data"]
    return None if data is None else {"event_data": json.dumps(data, sort_keys=True)}


EDITS: Mapping[str, Edit] = {
    "customers.null_key": _null("customer_id"),
    "customers.invalid_email": _invalid_email,
    "customers.zero_date": _one_of("date_of_birth", ZERO_DATE),
    "customers.absurd_birth_date": _absurd_birth_date,
    "customers.future_registration": lambda row, u: {"registration_date": future(u).date()},
    "customers.untidy_email": _untidy_email,
    "customers.wrong_encoding": _wrong_encoding,
    "customers.nul_character": _nul("last_name"),
    "customer_demographics.unknown_age_group": _one_of("age_group", "150+", "unborn", "-1"),
    "customer_demographics.unknown_education": _one_of("education_level", "wizardry", "42", "?"),
    "customer_demographics.impossible_household": _one_of("household_size", -1, 0, 99),
    "transactions.null_key": _null("transaction_id"),
    "transactions.orphan": _nobody("customer_id", "CUST"),
    "transactions.negative_amount": _below_zero("total_amount"),
    "transactions.absurd_amount": _billions("total_amount"),
    "transactions.total_mismatch": _total_mismatch,
    "transactions.future_date": lambda row, u: {"order_date": future(u)},
    "transactions.zero_date": _one_of("order_date", ZERO_TIME),
    "transactions.unknown_status": _one_of("order_status", "teleported", "???", "status_99"),
    "transactions.untidy_status": _untidy_status,
    "transaction_items.null_key": _null("item_id"),
    "transaction_items.impossible_quantity": _impossible_quantity,
    "transaction_items.impossible_price": _below_zero("unit_price"),
    "customer_segment_mapping.orphan": _nobody("segment_id", "SEG"),
    "customer_segment_mapping.impossible_score": _score,
    "campaigns.negative_budget": _below_zero("budget"),
    "campaigns.absurd_budget": _billions("budget"),
    "campaigns.end_before_start": _end_date_before_start,
    "campaigns.unknown_channel": _one_of("channel", "Telegraph", "Pigeon", "??"),
    "campaign_performance.null_key": _null("performance_id"),
    "campaign_performance.clicks_above_impressions": _clicks_above_impressions,
    "campaign_performance.negative_spend": _below_zero("spend"),
    "ab_tests.impossible_sample_size": _sample_size,
    "ab_test_results.unknown_variant": _one_of("variant", "Z"),
    "ab_test_results.clicks_above_impressions": _clicks_above_impressions,
    "sessions.undecodable": _invalid_bytes("landing_page"),
    "sessions.missing_key": _missing("session_id"),
    "sessions.orphan": _nobody("customer_id", "CUST"),
    "sessions.end_before_start": _session_ends_before_start,
    "sessions.future_date": lambda row, u: {"session_start": future(u)},
    "sessions.zero_date": _one_of("session_start", EPOCH),
    "sessions.mixed_type": _as_text("duration_seconds"),
    "sessions.missing_field": _missing("browser"),
    "sessions.nul_character": _nul("landing_page"),
    "page_views.undecodable": _invalid_bytes("page_title"),
    "page_views.missing_key": _missing("view_id"),
    "page_views.missing_field": _missing("session_id"),
    "page_views.impossible_scroll": lambda row, u: {"scroll_depth": 101 + int(u * 900)},
    "page_views.future_date": lambda row, u: {"timestamp": future(u)},
    "page_views.mixed_type": _as_text("sequence"),
    "page_views.nul_character": _nul("page_title"),
    "events.undecodable": _invalid_bytes("user_agent"),
    "events.missing_key": _missing("event_id"),
    "events.missing_field": _missing("timestamp"),
    "events.unknown_event": _one_of("event_type", "telepathy", "???", "event_99"),
    "events.mixed_type": _data_as_text,
    "product_interactions.undecodable": _invalid_bytes("product_name"),
    "product_interactions.missing_field": _missing("product_id"),
    "product_interactions.unknown_type": _one_of("interaction_type", "sniff", "???"),
    "search_queries.undecodable": _invalid_bytes("search_term"),
    "search_queries.missing_field": _missing("search_term"),
    "search_queries.negative_results": lambda row, u: {"results_count": -1 - int(u * 50)},
    "search_queries.mixed_type": _as_text("results_count"),
}

#: Of the duplicates with other content, the extra row's.
CONFLICTS: Mapping[str, Edit] = {
    "customers.duplicate_conflict": lambda row, u: {"phone": f"+1-555-{int(u * 10**7):07d}"},
    "transactions.duplicate_conflict": lambda row, u: {
        "payment_method": _another(row["payment_method"], ("card", "paypal", "transfer"), u)
    },
    "campaigns.duplicate_conflict": lambda row, u: {
        "target_audience": _another(row["target_audience"], ("all customers", "new customers"), u)
    },
    "ab_tests.duplicate_conflict": lambda row, u: {"test_name": f"{row['test_name']} (copy)"},
    "sessions.duplicate_conflict": lambda row, u: {
        "country": _another(row["country"], ("Canada", "France", "Germany"), u)
    },
}

#: Of the extra rows that belong to nothing, what differs from the row that they are made from.
STRAYS: Mapping[str, Edit] = {
    "transaction_items.orphan": lambda row, u: {
        "item_id": nobody("ITEM", row),
        "transaction_id": nobody("TXN", row),
    },
    "campaign_performance.orphan": lambda row, u: {
        "performance_id": nobody("PERF", row),
        "campaign_id": nobody("CAMP", row),
    },
    "campaign_performance.before_start": lambda row, u: {
        "performance_id": nobody("PERF", row),
        "date": row["date"] - timedelta(days=1000 + int(365 * u)),
    },
}


def _another(value: str | None, options: Sequence[str], u: float) -> Any:
    return pick([option for option in options if option != value], u)
