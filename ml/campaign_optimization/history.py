"""What is known of campaigns before a day: their plans, and what they did on each day."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from datetime import date, timedelta
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray

from ml.campaign_optimization.config import DATA_SOURCE
from ml.campaign_optimization.curves import Daily
from ml.features import MartMissingError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

UNKNOWN = "unknown"
NEVER = 10**6
"""The day of what has no known end."""

_CAMPAIGNS = """
select
    campaign_id,
    coalesce(campaign_name, campaign_id),
    coalesce(channel, 'unknown'),
    coalesce(campaign_type, 'unknown'),
    coalesce(target_audience, 'unknown'),
    start_date,
    end_date,
    (created_at at time zone 'UTC')::date,
    coalesce(budget, 0)::double precision
from marts.dim_campaigns
where
    start_date is not null
    and (
        created_at < (%(as_of)s::date::timestamp at time zone 'UTC')
        or (created_at is null and start_date < %(as_of)s::date)
    )
order by campaign_id collate "C"
"""

_DAYS = """
select
    campaign_id,
    date_day,
    spend::double precision,
    conversions::double precision,
    platform_revenue::double precision
from marts.fct_campaign_daily
where is_reported and date_day < %(as_of)s::date
"""

_PURCHASES = """
select
    (order_date at time zone 'UTC')::date as order_day,
    count(*)::double precision
from marts.fct_orders
where is_purchase and order_date < (%(as_of)s::date::timestamp at time zone 'UTC')
group by order_day
"""


@dataclass(frozen=True)
class History:
    """N campaigns on T consecutive days, of which day 0 is `first_day`.

    Campaigns are in the order of their ids. starts, ends (inclusive) and created are days from
    first_day, ends beyond all days (NEVER) where a campaign is open-ended. budget is of the
    whole campaign, in the shop's currency like spend and revenue; 0 where none is set.
    spend, conversions, revenue and reported are [N, T]; purchases [T] are the company's.

    A plan is the one that marketing has now: the marts keep no earlier one.
    """

    first_day: date
    ids: tuple[str, ...]
    names: tuple[str, ...]
    channel: tuple[str, ...]
    kind: tuple[str, ...]
    audience: tuple[str, ...]
    starts: Ints
    ends: Ints
    created: Ints
    budget: Floats
    spend: Floats
    conversions: Floats
    revenue: Floats
    reported: Bools
    purchases: Floats

    @property
    def days(self) -> int:
        """T."""
        return len(self.purchases)

    def day(self, when: date) -> int:
        """Return the number of a date."""
        return (when - self.first_day).days

    def date(self, day: int) -> date | None:
        """Return the date of a number, or None where there is none."""
        return None if day >= NEVER else self.first_day + timedelta(days=day)

    def planned_days(self) -> Ints:
        """Return the days that each campaign is to run; 0 where that is not known: [N]."""
        return np.where(self.ends >= NEVER, 0, self.ends - self.starts + 1)

    def channels(self) -> tuple[str, ...]:
        """Return the known channels with a report, sorted."""
        any_report: list[bool] = self.reported.sum(axis=1).astype(bool).tolist()
        seen = {c for c, known in zip(self.channel, any_report, strict=True) if known}
        return tuple(sorted(seen - {UNKNOWN}))

    def daily(self) -> Daily:
        """Return the days by channel; what belongs to no known channel is left out."""
        channels = self.channels()
        members = [np.array([c == name for c in self.channel], dtype=bool) for name in channels]

        def total(values: Floats) -> Floats:
            sums = np.array([values[m].sum(axis=0) for m in members])
            return sums.reshape(len(channels), self.days)

        return Daily(
            channels,
            total(self.spend),
            total(self.conversions),
            total(self.revenue),
            total(self.reported.astype(np.float64)) > 0,
            self.purchases,
        )

    def fingerprint(self) -> str:
        """Return the SHA-256 (hex) of all of it."""
        digest = hashlib.sha256()
        for field in fields(self):
            value = getattr(self, field.name)
            raw = value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode()
            digest.update(f"{field.name}:{len(raw)}:".encode() + raw)
        return digest.hexdigest()


def read_history(conn: psycopg.Connection, as_of: date) -> History:
    """Read the campaigns known before `as_of`, and their days.

    Raises:
        MartMissingError: a mart or one of its columns does not exist.
    """
    campaigns = fetch(conn, _CAMPAIGNS, as_of)
    days = fetch(conn, _DAYS, as_of)
    purchases = fetch(conn, _PURCHASES, as_of)
    first: date = min((row[1] for row in days), default=as_of)
    shape = (len(campaigns), (as_of - first).days)
    row_of = {row[0]: i for i, row in enumerate(campaigns)}
    spend, conversions, revenue = (np.zeros(shape) for _ in range(3))
    reported = np.zeros(shape, dtype=bool)
    for campaign, day, spent, converted, earned in days:
        if (i := row_of.get(campaign)) is not None:
            at = (day - first).days
            spend[i, at], conversions[i, at], revenue[i, at] = spent, converted, earned
            reported[i, at] = True
    bought = np.zeros(shape[1])
    for day, count in purchases:
        if day >= first:
            bought[(day - first).days] = count

    def numbers(dates: list[date | None]) -> Ints:
        found = [NEVER if day is None else (day - first).days for day in dates]
        return np.array(found, dtype=np.int64)

    ids, names, channel, kind, audience = (
        tuple(str(row[column]) for row in campaigns) for column in range(5)
    )
    return History(
        first_day=first,
        ids=ids,
        names=names,
        channel=channel,
        kind=kind,
        audience=audience,
        starts=numbers([row[5] for row in campaigns]),
        ends=numbers([row[6] for row in campaigns]),
        created=numbers([row[7] or row[5] for row in campaigns]),
        budget=np.array([row[8] for row in campaigns], dtype=np.float64),
        spend=spend,
        conversions=conversions,
        revenue=revenue,
        reported=reported,
        purchases=bought,
    )


def fetch(conn: psycopg.Connection, query: str, as_of: date) -> list[tuple[Any, ...]]:
    """Return the rows of a query of the marts, whose one parameter is `as_of`.

    Raises:
        MartMissingError: a mart or one of its columns does not exist.
    """
    try:
        return list(conn.execute(query.encode(), {"as_of": as_of}).fetchall())
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
        conn.rollback()
        raise MartMissingError(
            f"the models of campaigns need {DATA_SOURCE}: {error.diag.message_primary}. "
            "Run the transform stage for this as_of first."
        ) from error
