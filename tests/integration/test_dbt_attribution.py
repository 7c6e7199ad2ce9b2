"""Attribution, identity and campaign figures against an independent computation, row by row."""

import json
import random
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from scipy.stats import binomtest

from tests.integration.dbt_support import AS_OF, Raw, build_all, fill_raw, query

CENT = Decimal("0.01")
END = datetime(AS_OF.year, AS_OF.month, AS_OF.day, tzinfo=UTC)
START = END - timedelta(days=120)
WINDOW = timedelta(days=30)
MODELS = ["first_touch", "last_touch", "linear", "position_based", "time_decay"]
CAMPAIGNS = {f"C{n}": channel for n, channel in enumerate(["Email", "Google", "Facebook"])}
CUSTOMERS = [f"cust{n}" for n in range(8)]


@dataclass(frozen=True)
class Session:
    """One session, as the source has it."""

    id: str
    cookie: str | None
    customer: str | None
    start: datetime
    campaign: str | None
    referrer: str | None
    is_bot: bool

    @property
    def channel(self) -> str:
        """Where it came from."""
        if self.campaign:
            return CAMPAIGNS[self.campaign]
        if self.referrer is None:
            return "Direct"
        return "Organic Search" if "search" in self.referrer else "Referral"


@dataclass(frozen=True)
class Order:
    """One order, as the source has it; ``session`` is where it was placed, if that is known."""

    id: str
    customer: str | None
    placed: datetime
    total: Decimal
    status: str
    session: str | None

    @property
    def is_purchase(self) -> bool:
        """Whether it counts, before the as_of."""
        return self.status in ("completed", "shipped", "delivered") and self.placed < END


def some_company(seed: int) -> tuple[list[Session], list[Order]]:
    """Sessions and orders that share cookies, moments and cents; some at and after the bound."""
    draw = random.Random(seed)
    # few moments, so that several things happen at once
    moments = [START + timedelta(hours=draw.randrange(121 * 24)) for _ in range(150)]
    moments += [END, END - timedelta(seconds=1)]
    sessions = [
        Session(
            id=f"s{n:03d}",
            cookie=draw.choice([None, *(f"c{k}" for k in range(15))]),
            customer=draw.choice([None, None, None, *CUSTOMERS]),
            start=draw.choice(moments),
            campaign=draw.choice([None, None, *CAMPAIGNS]),
            referrer=draw.choice([None, "https://search.example/", "https://other.example/"]),
            is_bot=draw.random() < 0.1,
        )
        for n in range(250)
    ]
    orders = [
        Order(
            id=f"o{n:03d}",
            customer=draw.choice([None, *CUSTOMERS, *CUSTOMERS]),
            placed=draw.choice(moments) + draw.choice([timedelta(0), timedelta(minutes=5)]),
            total=Decimal(draw.choice([0, 1, 2, 5, draw.randrange(1, 20000)])) * CENT,
            status=draw.choice(["completed", "shipped", "delivered", "pending", "returned"]),
            session=draw.choice([None, draw.choice(sessions).id]),
        )
        for n in range(200)
    ]
    return sessions, orders


def raw(sessions: list[Session], orders: list[Order]) -> list[Raw]:
    """The company as raw has it."""
    events: list[Mapping[str, object]] = [
        dict(_id=f"b{s.id}", event_id=f"b{s.id}", session_id=s.id, event_type="click",
             user_agent="Somebot/1.0", timestamp=s.start, created_at=s.start)
        for s in sessions if s.is_bot
    ]  # fmt: skip
    events += [
        dict(_id=f"p{o.id}", event_id=f"p{o.id}", session_id=o.session, event_type="purchase",
             event_data=json.dumps({"transaction_id": o.id}), timestamp=o.placed,
             created_at=o.placed)
        for o in orders if o.session
    ]  # fmt: skip
    return [
        Raw("raw_mysql.customers",
            [dict(row_id=n, customer_id=name) for n, name in enumerate(CUSTOMERS)]),
        Raw("raw_postgres.campaigns",
            [dict(row_id=n, campaign_id=name, channel=channel, start_date="2024-01-01",
                  end_date="2024-12-31")
             for n, (name, channel) in enumerate(CAMPAIGNS.items())]),
        Raw("raw_mysql.transactions",
            [dict(row_id=n, transaction_id=o.id, customer_id=o.customer, order_date=o.placed,
                  total_amount=o.total, discount_amount=0, order_status=o.status)
             for n, o in enumerate(orders)]),
        Raw("raw_mongo.sessions",
            [dict(_id=s.id, session_id=s.id, anonymous_id=s.cookie, customer_id=s.customer,
                  session_start=s.start, referrer=s.referrer, updated_at=s.start,
                  utm=json.dumps({"source": "x", "campaign": s.campaign}) if s.campaign else None)
             for s in sessions]),
        Raw("raw_mongo.events", events),
    ]  # fmt: skip


def owner(session: Session, known: list[Session]) -> str | None:
    """The customer of a session: its own, else of the next sign-in on its cookie, else the last."""
    if session.customer or session.cookie is None:
        return session.customer
    signed_in = [s for s in known if s.cookie == session.cookie and s.customer]
    after = [s for s in signed_in if s.start >= session.start]
    before = [s for s in signed_in if s.start < session.start]
    if after:
        return min(after, key=lambda s: (s.start, s.customer, s.id)).customer
    if before:
        return max(before, key=lambda s: (s.start, s.customer, s.id)).customer
    return None


def visitor(session: Session, customer: str | None) -> str:
    """Who visits."""
    if customer:
        return customer
    return f"anon:{session.cookie}" if session.cookie else f"session:{session.id}"


def shares(total: Decimal, weights: list[Fraction]) -> list[Decimal]:
    """Whole cents in proportion to the weights; the last one has what is left."""
    whole = sum(weights)
    cents = [int(Fraction(total) * 100 * weight / whole) * CENT for weight in weights]
    return [*cents[:-1], total - sum(cents[:-1])]


def credit(total: Decimal, path: list[Session]) -> list[list[Decimal]]:
    """What each touch gets, by the five models; an empty path is one touch."""
    n = max(len(path), 1)
    first = [Fraction(int(i == 0)) for i in range(n)]
    # (half-lives are taken in floating point; no order of the test lies at a cent's edge)
    ages = [(path[-1].start - s.start) / timedelta(days=7) for s in path] or [0.0]
    position = [Fraction(1)] * n
    if n > 2:
        position = [Fraction(1, 5) / (n - 2)] * n
        position[0] = position[-1] = Fraction(2, 5)
    weights = [
        first,
        first[::-1],
        [Fraction(1)] * n,
        position,
        [Fraction(round(2.0**-age, 12)).limit_denominator(10**12) for age in ages],
    ]
    return [shares(total, each) for each in weights]


def expected_credits(
    sessions: list[Session], orders: list[Order]
) -> dict[tuple[str, int], tuple[object, ...]]:
    """Session, channel and the five amounts of each touch, by order and number."""
    known = [s for s in sessions if s.start < END]
    of = {s.id: owner(s, known) for s in known}
    people = [s for s in known if not s.is_bot]
    found: dict[tuple[str, int], tuple[object, ...]] = {}
    for order in filter(lambda o: o.is_purchase, orders):
        buyer = order.customer
        if buyer is None and order.session in {s.id for s in people}:
            placed_in = next(s for s in people if s.id == order.session)
            buyer = visitor(placed_in, of[placed_in.id])
        path = sorted(
            (s for s in people
             if visitor(s, of[s.id]) == buyer and s.start <= order.placed <= s.start + WINDOW),
            key=lambda s: (s.start, s.id),
        )  # fmt: skip
        if any(s.channel != "Direct" for s in path):
            path = [s for s in path if s.channel != "Direct"]
        amounts = list(zip(*credit(order.total, path), strict=True))
        for number, each in enumerate(amounts, 1):
            touch = path[number - 1] if path else None
            found[order.id, number] = (
                touch.id if touch else None, touch.channel if touch else "Untracked",
                touch.campaign if touch else None, *each,
            )  # fmt: skip
    return found


@pytest.mark.parametrize("seed", [1, 2])
def test_credits_equal_an_independent_computation(
    seed: int, warehouse_url: str, tmp_path: Path
) -> None:
    sessions, orders = some_company(seed)
    fill_raw(warehouse_url, raw(sessions, orders))
    build_all(warehouse_url, tmp_path)

    known = [s for s in sessions if s.start < END]
    assert dict(query(warehouse_url, "select session_id, customer_id from marts.fct_sessions")) == {
        s.id: owner(s, known) for s in known
    }
    bots = "select session_id from marts.fct_sessions where is_bot"
    assert {row[0] for row in query(warehouse_url, bots)} == {s.id for s in known if s.is_bot}

    columns = ", ".join(f"revenue_{model}" for model in MODELS)
    rows = query(warehouse_url, f"""
        select order_id, touch_number, session_id, channel, campaign_id, {columns}
        from intermediate.int_attribution__credited
    """)  # fmt: skip
    expected = expected_credits(sessions, orders)
    assert {(row[0], row[1]): row[2:] for row in rows} == expected
    # the companies have what makes it hard: long paths, cents that cannot be split, no path
    assert max(number for _, number in expected) >= 5
    assert any(touch[0] is None for touch in expected.values())

    channels: dict[object, list[Decimal]] = defaultdict(lambda: [Decimal(0)] * 5)
    for touch in expected.values():
        amounts = [Decimal(str(amount)) for amount in touch[3:]]
        channels[touch[1]] = [a + b for a, b in zip(channels[touch[1]], amounts, strict=True)]
    by_channel = query(warehouse_url, f"select channel, {columns} from marts.channel_attribution")
    assert {row[0]: list(row[1:]) for row in by_channel} == channels
    total = sum((o.total for o in orders if o.is_purchase), Decimal(0))
    assert [sum(column) for column in zip(*channels.values(), strict=True)] == [total] * 5
    # the paid channels and campaigns show their part of the same totals
    paid = query(warehouse_url, f"select channel, {columns} from marts.channel_performance")
    assert {row[0]: list(row[1:]) for row in paid} == {
        channel: channels[channel] for channel in CAMPAIGNS.values()
    }
    summed = ", ".join(f"sum(revenue_{model})" for model in MODELS)
    for mart in ("campaign_performance", "fct_campaign_daily"):
        rows = query(warehouse_url, f"select {summed} from marts.{mart}")
        assert list(rows[0]) == [sum(c) for c in zip(*(channels[name] for name in
                                 CAMPAIGNS.values()), strict=True)]  # fmt: skip


def test_windows_are_whole_days_wherever_the_server_is(warehouse_url: str, tmp_path: Path) -> None:
    """New York put its clocks back on 5 November: its 30 days are an hour longer."""
    visit = datetime(2023, 11, 1, 12, tzinfo=UTC)
    session = Session("s1", "c1", CUSTOMERS[0], visit, "C0", None, False)
    orders = [
        Order(name, CUSTOMERS[0], visit + WINDOW + late, Decimal(10), "completed", None)
        for name, late in (("in time", timedelta(0)), ("too late", timedelta(minutes=30)))
    ]
    fill_raw(warehouse_url, raw([session], orders))
    with psycopg.connect(warehouse_url) as conn:
        conn.execute(
            sql.SQL("alter database {} set timezone = 'America/New_York'").format(
                sql.Identifier(conn.info.dbname)
            )
        )
    build_all(warehouse_url, tmp_path)
    rows = query(warehouse_url, """
        select order_id, session_id from intermediate.int_attribution__credited order by 1
    """)  # fmt: skip
    assert rows == [("in time", "s1"), ("too late", None)]


def test_ratios_and_intervals_equal_scipys(warehouse_url: str, tmp_path: Path) -> None:
    draw = random.Random(7)
    figures = {}
    for n in range(40):
        impressions = draw.choice([0, 1, 999, 1000, draw.randrange(2000, 10**7)])
        clicks = draw.choice([0, min(99, impressions), min(100, impressions), impressions // 7])
        conversions = draw.choice([0, min(4, clicks), min(5, clicks), clicks])
        figures[f"K{n:02d}"] = (impressions, clicks, conversions)
    fill_raw(warehouse_url, [
        Raw("raw_postgres.campaigns",
            [dict(row_id=n, campaign_id=name, channel="Email", start_date="2024-01-01")
             for n, name in enumerate(figures)]),
        Raw("raw_postgres.campaign_performance",
            [dict(row_id=n, performance_id=name, campaign_id=name, date="2024-02-01",
                  impressions=i, clicks=c, conversions=v, spend=10, revenue=v)
             for n, (name, (i, c, v)) in enumerate(figures.items())]),
    ])  # fmt: skip
    build_all(warehouse_url, tmp_path)
    rows = query(warehouse_url, """
        select campaign_id, overall_ctr, ctr_low, ctr_high, overall_conversion_rate,
            conversion_rate_low, conversion_rate_high, overall_roas
        from marts.campaign_performance
    """)  # fmt: skip
    assert len(rows) == len(figures)
    for name, *said in rows:
        impressions, clicks, conversions = figures[name]
        expected = [
            *rate_and_interval(clicks, impressions, 1000),
            *rate_and_interval(conversions, clicks, 100),
            conversions / 10 if conversions >= 5 else None,
        ]
        found = [None if value is None else float(value) for value in said]
        assert found == pytest.approx(expected, abs=1e-9), name
    ranked = query(warehouse_url, """
        select revenue_rank from marts.campaign_performance order by total_revenue desc, campaign_id
    """)  # fmt: skip
    assert [row[0] for row in ranked] == list(range(1, len(figures) + 1))


def rate_and_interval(part: int, whole: int, minimum: int) -> list[float | None]:
    """The rate and its Wilson interval, or nothing where the whole is too small."""
    if whole < minimum:
        return [None, None, None]
    interval = binomtest(part, whole).proportion_ci(0.95, method="wilson")
    return [part / whole, interval.low, interval.high]
