"""Who saw campaigns, and who followed them: counts of any span of days, from the marts.

Platforms report impressions and clicks by campaign and day, and never by customer. What the shop
sees of a customer are sessions that followed a campaign's link. So a customer's responsiveness is
measured against the visits that an average customer, registered as long, would have made: `visits`
over `expected`. Sessions that were given to a customer by a later sign-in are left out, because on
the night they would not have been known to be theirs.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
import psycopg
from numpy.typing import NDArray

from ml.forecasting.marts import read_frame

Floats = NDArray[np.float64]

DATA_SOURCE = (
    "marts.fct_campaign_daily, marts.dim_campaigns, marts.fct_sessions, marts.dim_customers"
)

_DAILY = """
select
    daily.campaign_id,
    coalesce(campaigns.channel, 'Unknown') as channel,
    daily.date_day,
    daily.impressions::double precision,
    daily.clicks::double precision
from marts.fct_campaign_daily as daily
inner join marts.dim_campaigns as campaigns on daily.campaign_id = campaigns.campaign_id
where
    daily.is_reported
    and daily.impressions > 0
    and daily.date_day < %(as_of)s
order by daily.campaign_id collate "C", daily.date_day
"""

_VISITS = """
with visits as (

    select
        customer_id,
        (session_start at time zone 'UTC')::date as date_day,
        coalesce(channel, 'Unknown') as channel
    from marts.fct_sessions
    where
        campaign_id is not null
        and customer_id is not null
        and not is_bot
        and not is_identified_by_stitching
        and session_start < (%(as_of)s::date::timestamp at time zone 'UTC')

)

select
    customer_id,
    date_day,
    channel,
    count(*)::double precision as visits
from visits
group by customer_id, date_day, channel
order by customer_id collate "C", date_day, channel collate "C"
"""

_CUSTOMERS = """
select
    customer_id,
    min(registration_date) as registered,
    -- History begins with the first night loaded: before it, everybody is known.
    min(valid_from) > %(as_of)s or bool_or(
        valid_from <= %(as_of)s and (valid_to is null or valid_to > %(as_of)s)
    ) as is_known
from marts.dim_customers
where registration_date < %(as_of)s
group by customer_id
order by customer_id collate "C"
"""

_CAMPAIGNS = """
select
    campaign_id,
    coalesce(campaign_name, campaign_id) as campaign_name,
    coalesce(channel, 'Unknown') as channel
from marts.dim_campaigns
where
    (end_date is null or end_date >= %(as_of)s)
    and (created_at is null or created_at < (%(as_of)s::date::timestamp at time zone 'UTC'))
order by campaign_id collate "C"
"""


@dataclass(frozen=True)
class Clicks:
    """What was seen before `until`.

    daily       campaign_id, channel, day, impressions (> 0), clicks; by campaign and day
    visits      customer_id, day, channel, visits: sessions that followed a campaign's link
    customers   customer_id, registered (day), is_known (on the night); by customer_id
    """

    daily: pd.DataFrame
    visits: pd.DataFrame
    customers: pd.DataFrame
    until: date

    def campaign_counts(self, start: date | None, end: date) -> pd.DataFrame:
        """Return impressions and clicks by campaign_id and channel, of days in [start, end)."""
        rows = self.daily[_within(self.daily["day"], start, end)]
        return rows.groupby(["campaign_id", "channel"], as_index=False)[
            ["impressions", "clicks"]
        ].sum()

    def customer_counts(self, start: date | None, end: date) -> pd.DataFrame:
        """Return customer_id, visits and expected, of days in [start, end).

        One row per customer registered before `end`, by customer_id. `expected` are the visits
        of an average customer: each day's visits, shared alike by those registered by then.
        """
        first = date(1, 1, 1) if start is None else start
        known = self.customers[_within(self.customers["registered"], None, end)]
        rows = self.visits[_within(self.visits["day"], start, end)]
        rows = rows[rows["customer_id"].isin(set(known["customer_id"]))]
        own = rows.groupby("customer_id")["visits"].sum()
        by_day = rows.groupby("day")["visits"].sum().sort_index()
        days = np.array(by_day.index, dtype="datetime64[D]")
        registered = np.array(known["registered"], dtype="datetime64[D]")
        present = np.searchsorted(np.sort(registered), days, side="right")
        # A visit before anybody registered (a wrong date in the shop) can be nobody's share.
        share = by_day.to_numpy(dtype=np.float64) / np.maximum(present, 1)
        total = np.concatenate([[0.0], np.cumsum(share)])
        begins = np.maximum(registered, np.datetime64(first))
        expected = total[-1] - total[np.searchsorted(days, begins, side="left")]
        return pd.DataFrame(
            {
                "customer_id": known["customer_id"].to_numpy(),
                "visits": own.reindex(known["customer_id"]).fillna(0.0).to_numpy(dtype=np.float64),
                "expected": expected,
            }
        )

    def fingerprint(self) -> str:
        """Return the SHA-256 (hex) of all counts."""
        digest = hashlib.sha256()
        for frame in (self.daily, self.visits, self.customers):
            digest.update(frame.to_csv(index=False).encode())
        return digest.hexdigest()


@dataclass(frozen=True)
class Night:
    """What is to be scored: the clicks so far, and the campaigns that run or are planned."""

    clicks: Clicks
    campaigns: pd.DataFrame


def _within(days: pd.Series, start: date | None, end: date) -> pd.Series:
    before = days < end
    return before if start is None else before & (days >= start)


def read_clicks(conn: psycopg.Connection, as_of: date) -> Clicks:
    """Read all counts of days before `as_of`.

    Raises:
        MartMissingError: a mart or one of its columns does not exist.
    """
    return Clicks(
        read_frame(
            conn,
            _DAILY,
            as_of,
            ("campaign_id", "channel", "day", "impressions", "clicks"),
            DATA_SOURCE,
        ),
        read_frame(conn, _VISITS, as_of, ("customer_id", "day", "channel", "visits"), DATA_SOURCE),
        read_frame(conn, _CUSTOMERS, as_of, ("customer_id", "registered", "is_known"), DATA_SOURCE),
        as_of,
    )


def read_night(conn: psycopg.Connection, as_of: date) -> Night:
    """Read what is to be scored on the night of `as_of`.

    Raises:
        MartMissingError: a mart or one of its columns does not exist.
    """
    campaigns = read_frame(
        conn, _CAMPAIGNS, as_of, ("campaign_id", "campaign_name", "channel"), DATA_SOURCE
    )
    return Night(read_clicks(conn, as_of), campaigns)
