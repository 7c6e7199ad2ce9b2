"""The generated company as data frames, and what an analyst would compute from them by hand.

Nothing here is read from dbt: the frames are the live rows of raw, in which nothing is defective,
and the rules are those that the descriptions of the marts tell.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

import pandas as pd
import psycopg

PURCHASES = {"completed", "shipped", "delivered"}
WINDOW = timedelta(days=7)
STEPS = ("visit", "product_view", "add_to_cart", "checkout_start", "purchase")
COLUMNS = {
    "raw_mysql.customers": "customer_id",
    "raw_mysql.transactions": "transaction_id, customer_id, order_date, total_amount, order_status",
    "raw_postgres.campaigns": "campaign_id, channel, budget",
    "raw_postgres.campaign_performance":
        "campaign_id, date, impressions, clicks, conversions, spend, revenue",
    "raw_mongo.sessions":
        "session_id, anonymous_id, customer_id, session_start, session_end, duration_seconds,"
        " device_type, browser, referrer, utm",
    "raw_mongo.page_views": "session_id, timestamp",
    "raw_mongo.events": "session_id, event_type, user_agent, timestamp",
    "raw_mongo.product_interactions": "session_id, interaction_type, product_id, timestamp",
    "raw_mongo.search_queries": "session_id, timestamp",
}  # fmt: skip
HAPPENED = {"transactions": "order_date", "campaign_performance": "date",
            "sessions": "session_start"}  # fmt: skip
Frames = dict[str, pd.DataFrame]


@dataclass(frozen=True)
class Visits:
    """Sessions before the night, with whose they are; and what was done in those of people."""

    sessions: pd.DataFrame
    people: pd.DataFrame
    actions: pd.DataFrame


def read_frames(url: str, night: date) -> Frames:
    """The live rows of raw that happened before a night, by table."""
    end = datetime(night.year, night.month, night.day, tzinfo=UTC)
    found: Frames = {}
    with psycopg.connect(url, options="-c timezone=UTC") as conn:
        for table, columns in COLUMNS.items():
            name = table.split(".")[1]
            rows = conn.execute(
                f"select {columns} from {table} where _valid_to is null".encode()
            ).fetchall()
            frame = pd.DataFrame(rows, columns=columns.split(", "), dtype=object)
            when = HAPPENED.get(name, "timestamp")
            if when in frame:
                frame = frame[[value < (night if when == "date" else end) for value in frame[when]]]
            found[name] = frame
    return found


def purchases(frames: Frames) -> pd.DataFrame:
    """The orders that count: order_id, customer_id, day, cents."""
    orders = frames["transactions"]
    orders = orders[orders["order_status"].isin(PURCHASES)]
    return pd.DataFrame(
        {
            "order_id": orders["transaction_id"],
            "customer_id": orders["customer_id"],
            "day": [moment.date() for moment in orders["order_date"]],
            "cents": [int(amount * 100) for amount in orders["total_amount"]],
        }
    )


def visits(frames: Frames, end: datetime) -> Visits:
    """Whose each session is, which are bots', and the steps that people took."""
    sessions = frames["sessions"].copy()
    # an anonymous session belongs to the next sign-in under its cookie, else to the last one
    sessions["is_signed_in"] = sessions["customer_id"].notna()
    sessions = sessions.sort_values(["anonymous_id", "session_start", "is_signed_in", "session_id"])
    by_cookie = sessions.groupby("anonymous_id")["customer_id"]
    owner = by_cookie.bfill().where(by_cookie.bfill().notna(), by_cookie.ffill())
    sessions["owner"] = owner.where(owner.notna(), None)
    sessions["visitor"] = sessions["owner"].fillna("anon:" + sessions["anonymous_id"])

    pages = frames["page_views"].groupby("session_id")["timestamp"]
    counts = pages.size().reindex(sessions["session_id"], fill_value=0).to_numpy()
    spans = dict(zip(pages.min().index, pages.max() - pages.min(), strict=True))
    is_over = [moment is None or moment < end for moment in sessions["session_end"]]
    sessions["seconds"] = [
        seconds if over and seconds is not None else None
        for seconds, over in zip(sessions["duration_seconds"], is_over, strict=True)
    ]
    sessions["pages"] = counts
    events = frames["events"]
    agents = events["user_agent"].astype(str).str.contains("bot|crawl|spider", case=False)
    told = set(events["session_id"][agents & events["user_agent"].notna()])
    sessions["bot"] = [
        key in told
        or (
            n >= 20
            and (seconds if seconds is not None else spans[key].total_seconds()) < 2 * int(n)
        )
        for key, n, seconds in zip(sessions["session_id"], counts, sessions["seconds"], strict=True)
    ]
    people = sessions[~sessions["bot"]]
    kinds = {("interaction", "view"): 1, ("interaction", "add_to_cart"): 2,
             ("event", "checkout_start"): 3, ("event", "purchase"): 4}  # fmt: skip
    acted = pd.concat(
        [
            frames["product_interactions"].assign(
                kind=[
                    ("interaction", t) for t in frames["product_interactions"]["interaction_type"]
                ]
            ),
            events.assign(kind=[("event", t) for t in events["event_type"]]),
        ]
    )
    acted["step"] = acted["kind"].map(kinds)
    acted = acted[acted["step"].notna()].merge(people[["session_id", "visitor"]], on="session_id")
    return Visits(sessions, people, acted[["visitor", "step", "timestamp", "session_id"]])


def journeys(frames: Frames, seen: Visits, night: date) -> dict[str, dict[str, object]]:
    """customer_journey: customer to columns."""
    mine = {owner: part for owner, part in seen.people.groupby("owner")}
    of_session = {
        name: {key: part for key, part in frames[name].groupby("session_id")}
        for name in ("events", "product_interactions", "search_queries")
    }
    counted: dict[str, dict[str, object]] = {}
    converting: dict[str, int] = {}
    for customer in sorted(frames["customers"]["customer_id"]):
        sessions = mine.get(customer, seen.people.iloc[:0])
        keys = list(sessions["session_id"])
        events = [p for k in keys if (p := of_session["events"].get(k)) is not None]
        acts = [p for k in keys if (p := of_session["product_interactions"].get(k)) is not None]
        searches = sum(len(of_session["search_queries"].get(k, ())) for k in keys)
        views = [x for p in acts for x in p["product_id"][p["interaction_type"] == "view"]]
        carts = {
            p["session_id"].iloc[0]: int((p["interaction_type"] == "add_to_cart").sum())
            for p in acts
        }
        bought = {p["session_id"].iloc[0] for p in events if (p["event_type"] == "purchase").any()}
        abandoned = sum(n > 0 and k not in bought for k, n in carts.items())
        timed = [int(s) for s in sessions["seconds"] if s is not None]
        pages, n = int(sessions["pages"].sum()), len(sessions)
        fresh = Fraction(0)
        if n:
            ago = (night - max(sessions["session_start"]).date()).days
            fresh = max(1 - Fraction(ago - 1, 90), Fraction(0))
        parts = [(20, n, 15), (15, pages, 120), (15, len(set(views)), 40),
                 (15, sum(carts.values()), 10), (10, searches, 40)]  # fmt: skip
        score = 25 * fresh + sum(
            w * min(Fraction(have, full), Fraction(1)) for w, have, full in parts
        )
        converting[customer] = len(bought)
        counted[customer] = {
            "total_sessions": n,
            "total_page_views": pages,
            "total_events": sum(map(len, events)),
            "avg_session_duration": rounded(Fraction(sum(timed), len(timed)), 2) if timed else None,
            "bounce_rate": rounded(Fraction(int((sessions["pages"] == 1).sum()), n), 6)
            if n else None,
            "total_product_views": len(views),
            "total_cart_adds": sum(carts.values()),
            "total_search_queries": searches,
            "total_interactions": sum(map(len, acts)),
            "journey_type": journey_type(n, len(bought), abandoned, len(set(views))),
            "conversion_status": "Converted" if bought
            else "Abandoned" if any(carts.values()) else "Browsing",
            "engagement_score": rounded(Fraction(rounded(score, 6)), 2),
            "device_preference": most_frequent(sessions["device_type"]),
            "browser_preference": most_frequent(sessions["browser"]),
        }  # fmt: skip
    # the average customer's rate is that of all sessions whose customer is known
    known = seen.people[seen.people["owner"].notna()]["session_id"]
    bought_in = set(frames["events"]["session_id"][frames["events"]["event_type"] == "purchase"])
    rate = Fraction(int(known.isin(bought_in).sum()), len(known))
    for customer, row in counted.items():
        n = int(str(row["total_sessions"]))
        row["conversion_probability"] = rounded((converting[customer] + 20 * rate) / (n + 20), 6)
    return counted


def journey_type(sessions: int, converting: int, abandoned: int, products: int) -> str:
    if sessions and Fraction(converting, sessions) >= Fraction(15, 100):
        return "Converter"
    if sessions and Fraction(abandoned, sessions) >= Fraction(25, 100):
        return "Abandoner"
    return "Explorer" if products >= 12 else "Browser"


def most_frequent(values: pd.Series) -> str | None:
    """The most frequent of the known values, ties by name."""
    counts = values.dropna().value_counts()
    return min(counts.index, key=lambda v: (-counts[v], v)) if len(counts) else None


def funnel(seen: Visits, end: datetime) -> dict[tuple[str, str, int], tuple[object, ...]]:
    """conversion_funnel: (breakdown, value, step number) to its figures."""
    observed: dict[tuple[str, str, int], list[tuple[timedelta, bool, bool, bool]]] = {}
    acts: dict[str, list[list[datetime]]] = {}
    for visitor, step, when in seen.actions[["visitor", "step", "timestamp"]].itertuples(
        index=False
    ):
        acts.setdefault(visitor, [[] for _ in STEPS])[int(step)].append(when)
    for lists in acts.values():
        for moments in lists:
            moments.sort()
    for labels, visitor, start in entries(seen):
        closes = start + WINDOW
        reached: list[datetime | None] = [start]
        for step in range(1, len(STEPS)):
            before = reached[-1]
            after = [
                when
                for when in acts.get(visitor, [[]] * len(STEPS))[step]
                if before is not None and before <= when < closes
            ]
            reached.append(after[0] if after else None)
        for number, when in enumerate(reached, 1):
            seen_for = (when or min(closes, end)) - start
            line = (seen_for, when is not None, when is None and closes > end,
                    number == 1 or reached[number - 2] is not None)  # fmt: skip
            for label in labels:
                observed.setdefault((*label, number), []).append(line)
    return {key: figures(lines) for key, lines in observed.items()}


def entries(seen: Visits) -> Iterator[tuple[list[tuple[str, str]], str, datetime]]:
    """Each visitor's first session of each month: its breakdowns, the visitor, and when."""
    people = seen.people.assign(month=[f"{m:%Y-%m}" for m in seen.people["session_start"]])
    people = people.sort_values(["session_start", "session_id"])
    for row in people.drop_duplicates(["visitor", "month"]).itertuples(index=False):
        yield (
            [
                ("all", "all"),
                ("device_type", row.device_type or "unknown"),
                ("visitor", "customer" if row.owner else "anonymous"),
                ("entry_month", row.month),
            ],
            row.visitor,
            row.session_start,
        )


def figures(lines: list[tuple[timedelta, bool, bool, bool]]) -> tuple[object, ...]:
    """Counts, and Kaplan and Meier's estimate in exact fractions, of one step of one group."""
    times = sorted(when for when, is_reached, _, _ in lines if is_reached)
    everybody = sorted(when for when, *_ in lines)
    survival, median = Fraction(1), None
    for when, count in Counter(times).items():
        survival *= 1 - Fraction(count, len(everybody) - bisect_left(everybody, when))
        if median is None and survival <= Fraction(1, 2):
            median = when
    previous = sum(was_before for *_, was_before in lines)
    return (
        len(lines),
        previous,
        len(times),
        sum(is_censored for _, _, is_censored, _ in lines),
        rounded(Fraction(len(times), previous), 6) if previous else None,
        rounded(Fraction(len(times), len(lines)), 6),
        rounded(1 - survival, 6),
        None if median is None else hours(median),
        hours(times[(len(times) - 1) // 2]) if times else None,
    )


def hours(time: timedelta) -> Decimal:
    milliseconds = time // timedelta(milliseconds=1)
    return rounded(Fraction(milliseconds, 3_600_000), 4)


def rounded(value: Fraction | Decimal, places: int) -> Decimal:
    """Half away from zero, as the warehouse rounds."""
    value = Fraction(value)
    whole = int(abs(value) * 10**places + Fraction(1, 2))
    return (
        (Decimal(whole) if value >= 0 else -Decimal(whole))
        .scaleb(-places)
        .quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
    )
