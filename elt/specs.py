"""The contract of every source table: its columns, its key, its cursor and how it changes.

This module is the one place where a table is declared. The loader creates the raw
tables from it, the readers select from it, and tests hold the sources' DDL and dbt's
sources against it. Column types are PostgreSQL types, as the raw table has them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

System = Literal["mysql", "postgres", "mongo"]
Change = Literal["mutable", "append", "restated", "whole"]


@dataclass(frozen=True)
class Column:
    """One declared column: its name in the source, and its PostgreSQL type in raw."""

    name: str
    type: str


@dataclass(frozen=True)
class TableSpec:
    """One source table (or collection).

    ``key`` is the physical row id that extraction keys on, never the business key, which
    real sources repeat. ``cursor`` is the column that says when a row last changed, or
    None where the source keeps none. ``change`` says how rows change: ``mutable`` (updates
    move the cursor), ``append`` (rows are only added), ``restated`` (the last days are
    corrected), ``whole`` (small, and compared whole).

    ``lag`` is how far behind the watermark each night reads again; ``trailing_days`` how many
    days of a restated table are read each night. A load fails that would delete more than the
    share ``max_deleted`` of the live rows, or reject more than ``max_rejected`` of those read.
    """

    system: System
    name: str
    key: Column
    business_key: str
    cursor: str | None
    change: Change
    columns: tuple[Column, ...]
    lag: timedelta = timedelta(hours=1)
    trailing_days: int = 35
    max_deleted: float = 0.2
    max_rejected: float = 0.01

    @property
    def raw_schema(self) -> str:
        """The warehouse schema that holds this table."""
        return f"raw_{self.system}"

    @property
    def raw_name(self) -> str:
        """The schema-qualified name of the raw table."""
        return f"{self.raw_schema}.{self.name}"

    @property
    def all_columns(self) -> tuple[Column, ...]:
        """The key, then the declared columns."""
        return (self.key, *self.columns)


ROW_ID = Column("row_id", "bigint")
MONGO_ID = Column("_id", "text")


def _columns(declaration: str) -> tuple[Column, ...]:
    """Read ``name type`` pairs, one a line."""
    lines = (line.strip() for line in declaration.strip().splitlines())
    return tuple(Column(*line.split(maxsplit=1)) for line in lines)


MYSQL = (
    TableSpec(
        "mysql",
        "customers",
        ROW_ID,
        "customer_id",
        "updated_at",
        "mutable",
        _columns("""
            customer_id text
            email text
            first_name text
            last_name text
            phone text
            date_of_birth date
            gender text
            address text
            city text
            state text
            country text
            postal_code text
            registration_date date
            is_active smallint
            created_at timestamptz
            updated_at timestamptz
        """),
    ),
    TableSpec(
        "mysql",
        "customer_demographics",
        ROW_ID,
        "customer_id",
        "updated_at",
        "mutable",
        _columns("""
            customer_id text
            age_group text
            income_level text
            education_level text
            occupation text
            household_size integer
            interests jsonb
            updated_at timestamptz
        """),
    ),
    TableSpec(
        "mysql",
        "transactions",
        ROW_ID,
        "transaction_id",
        "updated_at",
        "mutable",
        _columns("""
            transaction_id text
            customer_id text
            order_date timestamptz
            total_amount numeric(18,2)
            discount_amount numeric(18,2)
            payment_method text
            order_status text
            shipping_country text
            updated_at timestamptz
        """),
    ),
    TableSpec(
        "mysql",
        "transaction_items",
        ROW_ID,
        "item_id",
        "updated_at",
        "mutable",
        _columns("""
            item_id text
            transaction_id text
            product_id text
            product_name text
            category text
            quantity integer
            unit_price numeric(18,6)
            discount_percent numeric(9,4)
            line_total numeric(18,2)
            updated_at timestamptz
        """),
    ),
    TableSpec(
        "mysql",
        "customer_segments",
        ROW_ID,
        "segment_id",
        "updated_at",
        "mutable",
        _columns("""
            segment_id text
            segment_name text
            description text
            criteria jsonb
            target_value numeric(18,2)
            created_at timestamptz
            updated_at timestamptz
        """),
    ),
    TableSpec(
        "mysql",
        "customer_segment_mapping",
        ROW_ID,
        "customer_id",
        "created_at",
        "append",
        _columns("""
            customer_id text
            segment_id text
            assigned_date date
            score numeric(9,4)
            confidence numeric(9,4)
            created_at timestamptz
        """),
    ),
)

POSTGRES = (
    TableSpec(
        "postgres",
        "campaigns",
        ROW_ID,
        "campaign_id",
        "updated_at",
        "mutable",
        _columns("""
            campaign_id text
            campaign_name text
            campaign_type text
            channel text
            target_audience text
            start_date date
            end_date date
            budget numeric(18,2)
            status text
            created_at timestamptz
            updated_at timestamptz
        """),
    ),
    TableSpec(
        "postgres",
        "campaign_performance",
        ROW_ID,
        "performance_id",
        "date",
        "restated",
        _columns("""
            performance_id text
            campaign_id text
            date date
            impressions bigint
            clicks bigint
            conversions bigint
            spend numeric(18,2)
            revenue numeric(18,2)
            ctr numeric(18,8)
            conversion_rate numeric(18,8)
            created_at timestamptz
        """),
    ),
    TableSpec(
        "postgres",
        "ab_tests",
        ROW_ID,
        "test_id",
        "updated_at",
        "mutable",
        _columns("""
            test_id text
            test_name text
            campaign_id text
            variant_a_description text
            variant_b_description text
            start_date date
            end_date date
            sample_size bigint
            test_status text
            created_at timestamptz
            updated_at timestamptz
        """),
    ),
    TableSpec(
        "postgres",
        "ab_test_results",
        ROW_ID,
        "result_id",
        None,
        "whole",
        _columns("""
            result_id text
            test_id text
            variant text
            impressions bigint
            clicks bigint
            conversions bigint
            revenue numeric(18,2)
            ctr numeric(18,8)
            conversion_rate numeric(18,8)
            created_at timestamptz
        """),
    ),
)

MONGO = (
    TableSpec(
        "mongo",
        "sessions",
        MONGO_ID,
        "session_id",
        "updated_at",
        "mutable",
        _columns("""
            session_id text
            customer_id text
            anonymous_id text
            session_start timestamptz
            session_end timestamptz
            duration_seconds integer
            device_type text
            browser text
            os text
            ip_address text
            country text
            referrer text
            utm jsonb
            landing_page text
            updated_at timestamptz
        """),
    ),
    TableSpec(
        "mongo",
        "page_views",
        MONGO_ID,
        "view_id",
        "created_at",
        "append",
        _columns("""
            view_id text
            session_id text
            customer_id text
            page_url text
            page_title text
            page_type text
            sequence integer
            time_on_page integer
            scroll_depth integer
            referrer_url text
            timestamp timestamptz
            created_at timestamptz
        """),
    ),
    TableSpec(
        "mongo",
        "events",
        MONGO_ID,
        "event_id",
        "created_at",
        "append",
        _columns("""
            event_id text
            session_id text
            customer_id text
            event_type text
            event_data jsonb
            timestamp timestamptz
            page_url text
            user_agent text
            created_at timestamptz
        """),
    ),
    TableSpec(
        "mongo",
        "product_interactions",
        MONGO_ID,
        "interaction_id",
        "created_at",
        "append",
        _columns("""
            interaction_id text
            session_id text
            customer_id text
            product_id text
            interaction_type text
            product_name text
            category text
            timestamp timestamptz
            created_at timestamptz
        """),
    ),
    TableSpec(
        "mongo",
        "search_queries",
        MONGO_ID,
        "query_id",
        "created_at",
        "append",
        _columns("""
            query_id text
            session_id text
            customer_id text
            search_term text
            results_count integer
            clicked_result text
            filters jsonb
            timestamp timestamptz
            created_at timestamptz
        """),
    ),
)

SPECS: tuple[TableSpec, ...] = MYSQL + POSTGRES + MONGO
BY_NAME: dict[str, TableSpec] = {spec.name: spec for spec in SPECS}

_LARGE = (
    *("page_views", "events", "product_interactions", "search_queries", "transaction_items"),
    *("sessions", "transactions", "campaign_performance"),
)
LARGEST_FIRST: tuple[TableSpec, ...] = tuple(
    sorted(SPECS, key=lambda spec: _LARGE.index(spec.name) if spec.name in _LARGE else len(_LARGE))
)
"""The order to load in, so that no large table is begun last."""
