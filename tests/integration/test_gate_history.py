"""What the gate learns from a table's own nights, and what it then takes for unusual."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import numpy as np
import psycopg
import pytest

from dags.stages.gate_figures import Standing, WatchedTable, measure
from dags.stages.gate_history import LEARNING_NIGHTS

FIRST = date(2026, 1, 5)  # a Monday
SALES = WatchedTable(
    "marts.sales", key=("id",), clock="sold_at", columns=True, categories=("kind",)
)
TABLE = """
set role amato_transformer;
create table marts.sales (id int, sold_at timestamptz, amount numeric, kind text, note text);
reset role;
"""
SELL = """
insert into marts.sales
select
    coalesce((select max(id) from marts.sales), 0) + n,
    %(night)s::timestamptz - interval '1 day' + n * interval '1 day' / (%(rows)s + 1),
    50 + mod(n * 37, 100),
    case when mod(n, 10) = 0 then 'rare' when mod(n, 2) = 0 then 'b' else 'a' end,
    case when mod(n, 4) > 0 then 'x' end
from generate_series(1, %(rows)s) as n
"""
Found = set[tuple[str, str]]


class Shop:
    """A table that grows from night to night, and is measured on each."""

    def __init__(self, conn: psycopg.Connection[Any]) -> None:
        self.conn = conn
        self.night = FIRST

    def sell(self, rows: int) -> None:
        self.conn.execute(SELL, {"night": self.night, "rows": rows})

    def measure(self, published: bool = True) -> tuple[Found, Standing]:
        """Measure and judge the night, and go on to the next; returns what is unusual."""
        self.conn.execute("select set_config('amato.as_of', %s, false)", (str(self.night),))
        self.conn.execute("set role amato_validator")
        standing = measure(self.conn, self.night, [SALES])[SALES.table]
        self.conn.execute(
            "insert into quality.verdicts (as_of, verdict, published) values (%s, %s, %s)",
            (self.night, "passed" if published else "failed", published),
        )
        self.conn.execute("reset role")
        rows = self.conn.execute(
            "select figure, column_name from quality.table_figures"
            " where as_of = %s and (value < low or value > high)",
            (self.night,),
        ).fetchall()
        self.night += timedelta(days=1)
        return set(rows), standing

    def live(self, nights: int, before: int = 200) -> None:
        """Nights of 20 to 26 sales, and so many before the first."""
        for number in range(nights):
            self.sell(20 + 3 * (number % 3) if number else before)
            assert self.measure()[0] == set()


@pytest.fixture
def shop(warehouse_url: str) -> Iterator[Shop]:
    with psycopg.connect(warehouse_url, autocommit=True, options="-c timezone=UTC") as conn:
        conn.execute(TABLE)
        yield Shop(conn)


def test_nothing_is_judged_before_fourteen_nights_have_taught(shop: Shop) -> None:
    shop.live(LEARNING_NIGHTS)  # the first has no step: thirteen have
    shop.sell(23)
    shop.conn.execute("update marts.sales set amount = amount * 100, kind = 'b'")
    found, standing = shop.measure()
    assert {figure for figure, _ in found if not figure.startswith("recent_")} == set()
    assert standing.nights["mean"][0] == standing.nights["rows"][0] == 13


def test_fourteen_nights_are_enough_and_say_which_they_were(shop: Shop) -> None:
    shop.live(LEARNING_NIGHTS + 1)
    shop.sell(23)
    shop.conn.execute("update marts.sales set amount = amount * 100")
    found, standing = shop.measure()
    assert found == {("mean", "amount"), ("recent_mean", "amount")}
    assert standing.nights["mean"] == (14, FIRST + timedelta(days=1), FIRST + timedelta(days=14))


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("select 1", set()),
        ("delete from marts.sales where mod(id, 2) = 0",
         {("rows", ""), ("share", "kind=a"), ("share", "kind=b"), ("share", "kind=rare"),
          ("nulls", "note")}),
        ("insert into marts.sales select * from marts.sales", {("rows", "")}),
        ("update marts.sales set amount = null where mod(id, 20) = 0", {("nulls", "amount")}),
        ("update marts.sales set amount = amount * 100", {("mean", "amount")}),
        ("update marts.sales set kind = 'a' where kind = 'rare'",
         {("share", "kind=rare"), ("share", "kind=a")}),
        ("update marts.sales set sold_at = sold_at - interval '1 day'", {("age_hours", "")}),
    ],
)  # fmt: skip
def test_a_step_out_of_the_ordinary_is_seen(shop: Shop, fault: str, expected: Found) -> None:
    shop.live(20)
    shop.sell(21)
    shop.conn.execute(fault.encode())
    found, _ = shop.measure()
    assert found >= expected
    assert bool(found) == bool(expected)


def test_a_night_without_sales_is_unusual_where_there_always_were_some(shop: Shop) -> None:
    shop.live(20)
    assert ("rows", "") in shop.measure()[0]


def test_a_source_of_few_rows_may_be_silent_for_as_long_as_chance_allows(shop: Shop) -> None:
    """Four rows a day, always at the same hour: 14 are due after three and a half days."""
    shop.sell(200)
    shop.measure()
    for _ in range(20):
        shop.sell(4)
        assert shop.measure()[0] == set()
    for _ in range(3):
        assert shop.measure()[0] == set()
    assert shop.measure()[0] == {("age_hours", "")}


def test_each_weekday_is_compared_with_its_own_kind(shop: Shop) -> None:
    """Nothing is sold on Sundays: that is no alarm on a Monday, and one on any other day."""
    shop.sell(200)
    shop.measure()
    for _ in range(28):
        if shop.night.isoweekday() != 1:
            shop.sell(100)
        assert shop.measure()[0] == set()
    assert ("rows", "") in shop.measure()[0]  # a Tuesday without the sales of Monday


def test_a_stopped_night_teaches_nothing(shop: Shop) -> None:
    shop.live(20)
    shop.sell(2000)
    assert ("rows", "") in shop.measure(published=False)[0]
    shop.conn.execute("delete from marts.sales where id > 200 + 19 * 23")
    shop.sell(40)  # two nights' worth
    found, standing = shop.measure()
    assert found == set()
    assert standing.nights["rows"][2] == FIRST + timedelta(days=19)


def test_what_never_held_rows_is_told_from_what_became_empty(shop: Shop) -> None:
    assert not shop.measure()[1].ever_held_rows
    shop.sell(5)
    assert shop.measure()[1].ever_held_rows
    shop.conn.execute("delete from marts.sales")
    standing = shop.measure()[1]
    assert (standing.ever_held_rows, standing.rows) == (True, 0)


def test_a_table_that_cannot_be_measured_says_why(shop: Shop) -> None:
    shop.conn.execute("drop table marts.sales")
    standing = shop.measure()[1]
    assert standing.rows is None
    assert standing.error == 'relation "marts.sales" does not exist'


def test_measuring_a_night_again_gives_the_same_figures(shop: Shop) -> None:
    shop.live(16)
    figures = "select * from quality.table_figures order by as_of, figure, column_name"
    before = shop.conn.execute(figures).fetchall()
    night = shop.night - timedelta(days=1)
    measure(shop.conn, night, [SALES])
    assert shop.conn.execute(figures).fetchall() == before


def test_drift_is_the_population_stability_index(warehouse_url: str) -> None:
    """Against numpy, and against the two-bin figure that can be worked out by hand."""
    watched = WatchedTable(
        "marts.f", key=("id",), where="as_of = quality.night()", drift=("level", "half")
    )
    rng = np.random.default_rng(5)
    level = [rng.lognormal(3, 1, 2000), rng.lognormal(3.5, 1.2, 1500)]
    half = [np.repeat([0, 1], [1000, 1000]), np.repeat([0, 1], [375, 1125])]
    nights = [FIRST + timedelta(days=n) for n in range(16)]
    with psycopg.connect(warehouse_url, autocommit=True) as conn:
        conn.execute("create table marts.f (as_of date, id int, level float8, half int)")
        for night in nights:
            last = int(night == nights[-1])
            with conn.cursor().copy("copy marts.f from stdin") as copy:
                for i, row in enumerate(zip(level[last], half[last], strict=True)):
                    copy.write_row((night, i, float(row[0]), int(row[1])))
            conn.execute("select set_config('amato.as_of', %s, false)", (str(night),))
            measure(conn, night, [watched])
            conn.execute("insert into quality.verdicts values (%s, null, 'passed', true)", (night,))
        rows = conn.execute(
            "select column_name, value, high, learnt_from from quality.table_figures"
            " where figure = 'psi' and as_of = %s order by 1 desc",
            (nights[-1],),
        ).fetchall()
    edges = np.quantile(level[0], [k / 10 for k in range(1, 10)], method="inverted_cdf")
    m, n = (np.bincount(np.digitize(values, edges), minlength=10) for values in level)
    q, p = (m + 0.5) / (m.sum() + 5), (n + 0.5) / (n.sum() + 5)
    psi = float(((p - q) * np.log(p / q)).sum())
    assert rows[0][0] == "level" and rows[0][1] == pytest.approx(psi)
    assert psi > 0.25 and rows[0][2] == 0.25 and rows[0][3] == FIRST
    # A quarter instead of a half: 0.25 ln 2 + 0.25 ln 1.5 = 0.2747.
    assert rows[1][0] == "half" and rows[1][1] == pytest.approx(0.2747, abs=0.002)


TONIGHT = "where sold_at >= quality.night() - 1"


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("select 1", set()),
        (f"update marts.sales set kind = null {TONIGHT}", {("recent_nulls", "kind"),
         ("recent_share", "kind=a"), ("recent_share", "kind=b")}),
        (f"update marts.sales set kind = 'b' {TONIGHT} and kind = 'a'",
         {("recent_share", "kind=a")}),
        (f"update marts.sales set amount = amount * 100 {TONIGHT}", {("recent_mean", "amount")}),
        (f"update marts.sales set note = 'x' {TONIGHT}", set()),
    ],
)  # fmt: skip
def test_what_is_wrong_with_tonights_rows_alone_is_seen(
    shop: Shop, fault: str, expected: Found
) -> None:
    """Twenty rows of a hundred thousand move no figure of the whole table."""
    shop.live(20, before=100_000)
    shop.sell(21)
    shop.conn.execute("select set_config('amato.as_of', %s, false)", (str(shop.night),))
    shop.conn.execute(fault.encode())
    assert shop.measure()[0] == expected


def test_new_rows_that_differ_by_chance_alone_do_not_alarm(shop: Shop) -> None:
    """Sixty nights of five to forty sales, with more on Sundays: not one alarm, whatever falls."""
    rng = np.random.default_rng(11)
    found: list[tuple[date, Found]] = []
    for number in range(LEARNING_NIGHTS + 61):
        sunday = shop.night.isoweekday() == 7
        rows = int(rng.integers(5, 41)) if number else 5000
        kinds = ["a", "b", "c", "rare"]
        with shop.conn.cursor().copy("copy marts.sales from stdin") as copy:
            for n in range(rows):
                sold = f"{shop.night - timedelta(days=1)} {n * 24 // rows:02}:00:00+00"
                amount = round(float(rng.lognormal(3, 1)), 2)
                kind = str(rng.choice(kinds, p=[0.5, 0.37, 0.1, 0.03]))
                note = None if rng.random() < (0.5 if sunday else 0.3) else "x"
                copy.write_row((number * 10_000 + n, sold, amount, kind, note))
        found.append((shop.night, {f for f in shop.measure()[0] if f[0].startswith("recent_")}))
    assert [(night, what) for night, what in found if what] == []


def test_a_day_of_few_rows_is_judged_with_the_six_before_it(shop: Shop) -> None:
    """Two rows a day say nothing; fourteen of a week do, and are compared with other weeks'."""
    shop.sell(5000)
    shop.measure()
    for _ in range(30):
        shop.sell(2)
        assert shop.measure()[0] == set()
    assert shop.conn.execute(
        "select distinct column_name, value from quality.table_figures"
        " where figure = 'recent_rows' and as_of = %s", (shop.night - timedelta(days=1),)
    ).fetchall() == [("7 days", 14)]  # fmt: skip
    shop.sell(2)
    shop.conn.execute("select set_config('amato.as_of', %s, false)", (str(shop.night),))
    shop.conn.execute(f"update marts.sales set amount = amount * 100 {TONIGHT}".encode())
    assert shop.measure()[0] == {("recent_mean", "amount")}


def test_quarantine_is_judged_by_the_rows_that_came(shop: Shop) -> None:
    """Of 100,000 rows 2 % are quarantined: all of tonight's are hardly more of the whole."""
    clean = WatchedTable("marts.sales", source=("mysql", "sales"))
    shop.conn.execute("create table quality.quarantine_sales (batch_id bigint)")
    shop.conn.execute("insert into quality.quarantine_sales select 0 from generate_series(1, 2000)")
    for number in range(20):
        last = number == 19
        shop.conn.execute(
            "insert into elt.load_log (batch_id, as_of, source_system, source_table, read,"
            " inserted, updated, deleted, unchanged, rejected, bytes, seconds, raw_live)"
            " values (%s, %s, 'mysql', 'sales', 35, 25, 10, 0, 0, 0, 0, 0, 100000)",
            (number, shop.night),
        )
        shop.conn.execute(
            "insert into quality.quarantine_sales select %s from generate_series(1, %s)",
            (number, 25 if last else number % 2),
        )
        shop.conn.execute("select set_config('amato.as_of', %s, false)", (str(shop.night),))
        standing = measure(shop.conn, shop.night, [clean])[clean.table]
        assert standing.error is None
        found = shop.conn.execute(
            "select value, value > high from quality.table_figures"
            " where as_of = %s and figure = 'recent_quarantined'", (shop.night,)
        ).fetchall()  # fmt: skip
        if number:
            judged = number > LEARNING_NIGHTS
            share = 1 if last else number % 2 / 25
            assert found == [(share, last if judged else None)]
        shop.conn.execute(
            "insert into quality.verdicts (as_of, verdict, published) values (%s, 'passed', true)",
            (shop.night,),
        )
        shop.night += timedelta(days=1)


def test_nulls_of_a_small_table_are_measured_but_not_judged_by_history(shop: Shop) -> None:
    shop.live(20)
    shop.conn.execute("delete from marts.sales where id > 60")
    shop.conn.execute("update marts.sales set note = null, amount = null where id <= 30")
    found, standing = shop.measure()
    assert not {f for f in found if f[0] in ("nulls", "mean", "share")}
    assert (standing.rows, "mean" in standing.nights) == (60, False)
    assert shop.conn.execute(
        "select value from quality.table_figures where as_of = %s and figure = 'nulls'"
        " and column_name = 'amount'", (shop.night - timedelta(days=1),)
    ).fetchall() == [(0.5,)]  # fmt: skip


def test_an_outage_that_was_published_does_not_raise_the_limit(shop: Shop) -> None:
    """Nor does a row from the future lower it."""
    limit = "select high from quality.table_figures where figure = 'age_hours' and as_of = %s"

    def high() -> float:
        return shop.conn.execute(limit, (shop.night - timedelta(days=1),)).fetchall()[0][0]

    shop.live(21)
    before = high()
    for _ in range(4):
        shop.measure()  # nothing came, and all of it was published
    shop.conn.execute(SELL, {"night": shop.night + timedelta(days=2), "rows": 1})
    shop.measure()
    shop.conn.execute("delete from marts.sales where sold_at > quality.night()")
    for _ in range(10):
        shop.sell(23)
        shop.measure()
        assert high() == pytest.approx(before, abs=1)
