"""The marts that the forecasts read, filled with simulated sales, campaigns and visits."""

from datetime import UTC, date, datetime, time, timedelta

import pandas as pd
import psycopg

from ml.forecasting.clicks import Clicks
from ml.forecasting.purchases import Purchases

MARTS = """
set role amato_transformer;
create table marts.dim_customers (
    customer_id text not null,
    registration_date date,
    valid_from date not null,
    valid_to date
);
create table marts.fct_orders (
    order_id text primary key,
    customer_id text,
    order_date timestamptz,
    is_purchase boolean not null,
    total_amount numeric(18, 2)
);
create table marts.dim_campaigns (
    campaign_id text primary key,
    campaign_name text,
    channel text,
    end_date date,
    created_at timestamptz
);
create table marts.fct_campaign_daily (
    campaign_id text not null,
    date_day date not null,
    is_reported boolean not null,
    impressions bigint not null,
    clicks bigint not null
);
create table marts.fct_sessions (
    session_id text primary key,
    customer_id text,
    channel text,
    campaign_id text,
    session_start timestamptz not null,
    is_bot boolean not null,
    is_identified_by_stitching boolean not null
);
reset role;
"""


def make_sales_marts(url: str, purchases: Purchases) -> None:
    """Create the marts, and fill customers and orders; some orders count nowhere."""
    with psycopg.connect(url) as conn:
        conn.execute(MARTS.encode())
        with conn.cursor() as cursor:
            _copy_customers(cursor, purchases.registry)
            with cursor.copy("copy marts.fct_orders from stdin") as copy:
                days = zip(purchases.row, purchases.day, purchases.amount, strict=True)
                for number, (row, day, amount) in enumerate(days):
                    at = datetime.fromordinal(int(day)).replace(hour=12, tzinfo=UTC)
                    who = purchases.customers[row]
                    copy.write_row((f"o{number}", who, at, True, round(float(amount), 2)))
                    if number % 10 == 0:  # cancelled
                        copy.write_row((f"x{number}", who, at, False, 999))


def make_click_marts(url: str, clicks: Clicks) -> None:
    """Create the marts, and fill customers, campaigns and visits; bots' visits count nowhere."""
    with psycopg.connect(url) as conn:
        conn.execute(MARTS.encode())
        with conn.cursor() as cursor:
            _copy_customers(cursor, clicks.customers)
            ends = clicks.daily.groupby(["campaign_id", "channel"])["day"].max()
            with cursor.copy("copy marts.dim_campaigns from stdin") as copy:
                for campaign, channel, end in ends.reset_index().to_numpy().tolist():
                    copy.write_row((campaign, f"Campaign {campaign}", channel, end, None))
            with cursor.copy("copy marts.fct_campaign_daily from stdin") as copy:
                columns = ["campaign_id", "day", "impressions", "clicks"]
                for campaign, day, shown, clicked in clicks.daily[columns].to_numpy().tolist():
                    copy.write_row((campaign, day, True, int(shown), int(clicked)))
            with cursor.copy("copy marts.fct_sessions from stdin") as copy:
                columns = ["customer_id", "channel", "day"]
                visits = clicks.visits[columns].to_numpy().tolist()
                for number, (customer, channel, day) in enumerate(visits):
                    at = datetime.combine(day, time(12), UTC) + timedelta(seconds=number)
                    kind = (customer, channel, "C01", at)
                    copy.write_row((f"s{number}", *kind, False, False))
                    if number % 10 == 0:
                        copy.write_row((f"b{number}", *kind, True, False))
                        copy.write_row((f"t{number}", *kind, False, True))


def _copy_customers(cursor: psycopg.Cursor, customers: pd.DataFrame) -> None:
    """Fill the customers: known from their registration on, where it is dated."""
    with cursor.copy("copy marts.dim_customers from stdin") as copy:
        for customer, registered in customers[["customer_id", "registered"]].to_numpy().tolist():
            since = registered or date(2024, 1, 1)
            copy.write_row((customer, registered, since, None))
