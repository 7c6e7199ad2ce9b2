"""The classes of planted defects: where they sit, how often, and what must become of them.

The rates are shares of a table's rows. With the defaults, and the orphans that follow from
them, cleanup keeps about 98.5 % of the customers, 97 % of the transactions, 95 % of the
campaigns and 96 % of the tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

#: ``rejected``: cannot be loaded into raw at all (``elt.rejected_rows``). ``quarantined``: in
#: raw, out of every mart. ``deduplicated``: another row of the same key is the survivor.
#: ``repaired``: cleaned by staging, its meaning is certain. ``kept``: odd, but sound.
Fate = Literal["rejected", "quarantined", "deduplicated", "repaired", "kept"]


@dataclass(frozen=True)
class Defect:
    """One class of defects in one table."""

    table: str
    name: str
    rate: float
    fate: Fate
    description: str

    @property
    def id(self) -> str:
        """``table.name``, as the arguments and the ledger write it."""
        return f"{self.table}.{self.name}"


#: The survivor of rows with one business key is the one with the latest ``updated_at`` (or
#: ``created_at`` where a table has no ``updated_at``), then the one with the highest row id:
#: the extra row, so that the original is the one that is deduplicated.
DUPLICATES = ("duplicate_exact", "duplicate_conflict")
#: Follows from a defect of the parent: never drawn, and no rate of its own.
FOLLOWS = "orphan_of_quarantined"

DEFECTS: tuple[Defect, ...] = (
    # MySQL: customers
    Defect("customers", "duplicate_exact", 0.0020, "deduplicated", "the same row again"),
    Defect("customers", "duplicate_conflict", 0.0020, "deduplicated", "same key, other phone"),
    Defect("customers", "null_key", 0.0015, "quarantined", "customer_id is null"),
    Defect("customers", "invalid_email", 0.0060, "quarantined", "no valid e-mail address"),
    Defect("customers", "zero_date", 0.0010, "quarantined", "date_of_birth is 0000-00-00"),
    Defect("customers", "absurd_birth_date", 0.0010, "quarantined", "born before 1900"),
    Defect("customers", "future_registration", 0.0015, "quarantined", "registers in 2090"),
    Defect("customers", "untidy_email", 0.0040, "repaired", "blanks and capitals in the e-mail"),
    Defect("customers", "wrong_encoding", 0.0020, "repaired", "UTF-8 read as Latin-1: GÃ¼nther"),
    Defect("customers", "nul_character", 0.0010, "repaired", "a NUL in the last name"),
    # MySQL: customer_demographics
    Defect("customer_demographics", "duplicate_exact", 0.0040, "deduplicated", "the row again"),
    Defect("customer_demographics", "unknown_age_group", 0.0040, "quarantined", "age_group 150+"),
    Defect(
        "customer_demographics", "unknown_education", 0.0040, "quarantined", "no such education"
    ),
    Defect("customer_demographics", "impossible_household", 0.0020, "quarantined", "-1, 0 or 99"),
    # MySQL: transactions
    Defect("transactions", "duplicate_exact", 0.0030, "deduplicated", "the same order again"),
    Defect("transactions", "duplicate_conflict", 0.0020, "deduplicated", "same key, other method"),
    Defect("transactions", "null_key", 0.0005, "quarantined", "transaction_id is null"),
    Defect("transactions", "orphan", 0.0020, "quarantined", "customer_id of nobody"),
    Defect("transactions", "negative_amount", 0.0020, "quarantined", "total_amount below 0"),
    Defect("transactions", "absurd_amount", 0.0010, "quarantined", "total_amount in the billions"),
    Defect(
        "transactions", "total_mismatch", 0.0035, "quarantined", "total_amount is not its items'"
    ),
    Defect("transactions", "future_date", 0.0010, "quarantined", "order_date in 2090"),
    Defect("transactions", "zero_date", 0.0010, "quarantined", "order_date is 0000-00-00"),
    Defect("transactions", "unknown_status", 0.0025, "quarantined", "no such order_status"),
    Defect(
        "transactions", "untidy_status", 0.0040, "repaired", "capitals and blanks in the status"
    ),
    Defect("transactions", "late", 0.0050, "kept", "reaches the shop days after order_date"),
    # MySQL: transaction_items. line_total stays right, so that the order's total holds.
    Defect("transaction_items", "duplicate_exact", 0.0030, "deduplicated", "the same line again"),
    Defect("transaction_items", "null_key", 0.0005, "quarantined", "item_id is null"),
    Defect("transaction_items", "orphan", 0.0010, "quarantined", "an extra line of no order"),
    Defect(
        "transaction_items", "impossible_quantity", 0.0030, "quarantined", "0, below, or a million"
    ),
    Defect("transaction_items", "impossible_price", 0.0030, "quarantined", "unit_price below 0"),
    # MySQL: customer_segment_mapping (duplicates: same customer, segment and created_at)
    Defect("customer_segment_mapping", "duplicate_exact", 0.0020, "deduplicated", "the row again"),
    Defect("customer_segment_mapping", "orphan", 0.0020, "quarantined", "segment_id of no segment"),
    Defect(
        "customer_segment_mapping", "impossible_score", 0.0020, "quarantined", "above 1, below 0"
    ),
    # PostgreSQL: campaigns (only those that no test refers to)
    Defect("campaigns", "duplicate_conflict", 0.01, "deduplicated", "same key, other audience"),
    Defect("campaigns", "negative_budget", 0.01, "quarantined", "budget below 0"),
    Defect("campaigns", "absurd_budget", 0.01, "quarantined", "budget in the billions"),
    Defect("campaigns", "end_before_start", 0.01, "quarantined", "end_date before start_date"),
    Defect("campaigns", "unknown_channel", 0.01, "quarantined", "no such channel"),
    # PostgreSQL: campaign_performance
    Defect("campaign_performance", "duplicate_exact", 0.0030, "deduplicated", "the same day again"),
    Defect("campaign_performance", "null_key", 0.0010, "quarantined", "performance_id is null"),
    Defect(
        "campaign_performance", "clicks_above_impressions", 0.0040, "quarantined", "more clicks"
    ),
    Defect("campaign_performance", "negative_spend", 0.0020, "quarantined", "spend below 0"),
    # A date in the future would never be read: extraction holds rows dated after its night.
    Defect(
        "campaign_performance", "before_start", 0.0010, "quarantined", "an extra row, too early"
    ),
    Defect("campaign_performance", "orphan", 0.0020, "quarantined", "an extra row of no campaign"),
    # PostgreSQL: ab_tests, ab_test_results
    Defect("ab_tests", "duplicate_conflict", 0.02, "deduplicated", "same key, other name"),
    Defect("ab_tests", "impossible_sample_size", 0.02, "quarantined", "sample_size 0 or below"),
    Defect("ab_test_results", "duplicate_exact", 0.02, "deduplicated", "the same variant again"),
    Defect("ab_test_results", "unknown_variant", 0.01, "quarantined", "variant Z"),
    Defect("ab_test_results", "clicks_above_impressions", 0.01, "quarantined", "more clicks"),
    # MongoDB: sessions
    Defect("sessions", "undecodable", 0.0002, "rejected", "invalid UTF-8 in the landing page"),
    Defect("sessions", "duplicate_exact", 0.0020, "deduplicated", "the same document, other _id"),
    Defect("sessions", "duplicate_conflict", 0.0010, "deduplicated", "same key, other country"),
    Defect("sessions", "missing_key", 0.0010, "quarantined", "no session_id"),
    Defect("sessions", "orphan", 0.0010, "quarantined", "customer_id of nobody"),
    Defect(
        "sessions", "end_before_start", 0.0010, "quarantined", "session_end before session_start"
    ),
    Defect("sessions", "future_date", 0.0005, "quarantined", "session_start in 2090"),
    Defect("sessions", "zero_date", 0.0005, "quarantined", "session_start is 1970-01-01"),
    Defect("sessions", "mixed_type", 0.0030, "repaired", "duration_seconds as text"),
    Defect("sessions", "missing_field", 0.0030, "kept", "no browser field"),
    Defect("sessions", "nul_character", 0.0010, "repaired", "a NUL in the landing page"),
    # MongoDB: page_views
    Defect("page_views", "undecodable", 0.0001, "rejected", "invalid UTF-8 in the title"),
    Defect("page_views", "duplicate_exact", 0.0020, "deduplicated", "the document again"),
    Defect("page_views", "missing_key", 0.0005, "quarantined", "no view_id"),
    Defect("page_views", "missing_field", 0.0010, "quarantined", "no session_id"),
    Defect("page_views", "impossible_scroll", 0.0010, "quarantined", "scroll_depth above 100"),
    Defect("page_views", "future_date", 0.0003, "quarantined", "timestamp in 2090"),
    Defect("page_views", "mixed_type", 0.0020, "repaired", "sequence as text"),
    Defect("page_views", "nul_character", 0.0005, "repaired", "a NUL in the title"),
    Defect("page_views", "late", 0.0050, "kept", "created_at hours to days after timestamp"),
    Defect("page_views", "out_of_order", 0.0020, "kept", "created after its successor"),
    # MongoDB: events
    Defect("events", "undecodable", 0.0001, "rejected", "invalid UTF-8 in the user agent"),
    Defect("events", "duplicate_exact", 0.0020, "deduplicated", "the document again"),
    Defect("events", "missing_key", 0.0005, "quarantined", "no event_id"),
    Defect("events", "missing_field", 0.0010, "quarantined", "no timestamp"),
    Defect("events", "unknown_event", 0.0010, "quarantined", "no such event_type"),
    Defect("events", "mixed_type", 0.0020, "repaired", "event_data as JSON text"),
    Defect("events", "late", 0.0050, "kept", "created_at hours to days after timestamp"),
    # MongoDB: product_interactions
    Defect("product_interactions", "undecodable", 0.0001, "rejected", "invalid UTF-8 in the name"),
    Defect("product_interactions", "duplicate_exact", 0.0020, "deduplicated", "the document again"),
    Defect("product_interactions", "missing_field", 0.0010, "quarantined", "no product_id"),
    Defect("product_interactions", "unknown_type", 0.0010, "quarantined", "no such interaction"),
    Defect("product_interactions", "late", 0.0050, "kept", "created_at days after timestamp"),
    # MongoDB: search_queries
    Defect("search_queries", "undecodable", 0.0001, "rejected", "invalid UTF-8 in the term"),
    Defect("search_queries", "duplicate_exact", 0.0020, "deduplicated", "the document again"),
    Defect("search_queries", "missing_field", 0.0010, "quarantined", "no search_term"),
    Defect("search_queries", "negative_results", 0.0010, "quarantined", "results_count below 0"),
    Defect("search_queries", "mixed_type", 0.0020, "repaired", "results_count as text"),
    Defect("search_queries", "late", 0.0050, "kept", "created_at days after timestamp"),
)
BY_ID: Mapping[str, Defect] = {defect.id: defect for defect in DEFECTS}


@dataclass(frozen=True)
class DefectRates:
    """The rate of each class, by its id; a class that is not here is not planted."""

    rates: Mapping[str, float]

    def of(self, table: str) -> list[tuple[Defect, float]]:
        """The classes planted in one table with their rates, in the catalogue's order."""
        return [
            (defect, self.rates[defect.id])
            for defect in DEFECTS
            if defect.table == table and self.rates.get(defect.id, 0) > 0
        ]


def parse_defects(text: str) -> DefectRates:
    """Read ``default``, ``none``, or pairs on top of one: ``none,customers.null_key=0.01``.

    Raises:
        ValueError: a class is unknown, a rate is not in [0, 0.5], or a table's rates exceed 0.9
            (those of duplicates twice, because a duplicate takes two rows).
    """
    rates: dict[str, float] = {}
    for part in (part.strip() for part in text.split(",")):
        name, equals, value = part.partition("=")
        if part == "default":
            rates = {defect.id: defect.rate for defect in DEFECTS}
        elif part == "none":
            rates = {}
        elif not equals or name.strip() not in BY_ID:
            raise ValueError(
                f"DEFECTS={text}: {part!r} is not understood; give default, none, or pairs like "
                "default,customers.invalid_email=0.02 (data_generators/defects/catalogue.py lists "
                "the classes)"
            )
        else:
            rates[name.strip()] = _rate(text, name, value)
    found = DefectRates(rates)
    for table in {defect.table for defect in DEFECTS}:
        rows = [rate * (1 + (defect.name in DUPLICATES)) for defect, rate in found.of(table)]
        if sum(rows) > 0.9:
            raise ValueError(
                f"DEFECTS={text}: the rates of {table} add up to more than 0.9 (those of "
                "duplicates count twice)"
            )
    return found


def _rate(text: str, name: str, value: str) -> float:
    try:
        rate = float(value)
    except ValueError:
        rate = float("nan")
    if not 0 <= rate <= 0.5:
        raise ValueError(
            f"DEFECTS={text}: the rate of {name.strip()} is not a number from 0 to 0.5"
        )
    return rate
