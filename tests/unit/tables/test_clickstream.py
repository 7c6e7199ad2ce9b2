from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

from data_generators.args import WorldArgs
from data_generators.company.visits import (
    ABANDONER,
    BROWSER,
    CONVERTER,
    RETURN_VISITOR,
    VISITOR,
)
from data_generators.company.world import World, make_world
from data_generators.tables import clickstream
from data_generators.tables.orders import transaction_items, transactions
from data_generators.tables.rows import Coded, Rows
from elt.specs import MONGO

AS_OF = date(2026, 1, 1)
SPECS = {spec.name: spec for spec in MONGO}
CHILDREN = ("page_views", "events", "product_interactions", "search_queries")
Builder = Callable[..., Iterator[Rows]]


@lru_cache(maxsize=4)
def world(scale: float = 0.05, days: int = 730, added: int = 0, effects: str = "all") -> World:
    args = WorldArgs(7, scale, days, AS_OF, effects)
    return make_world(args, AS_OF + timedelta(days=added))


def frame(world: World, build: Builder, **options: Any) -> pd.DataFrame:
    """All rows, as objects where they are not numbers or times; ``_``: what is no column."""
    parts = []
    for rows in build(world, **options):
        columns = {
            name: values.values() if isinstance(values, Coded) else values
            for name, values in rows.columns.items()
        }
        part = pd.DataFrame(
            {k: v.astype(str) if v.dtype.kind == "S" else v for k, v in columns.items()}
        )
        part["_made"], part["_changed"], part["_deleted"] = rows.made, rows.changed, rows.deleted
        for parent, number in rows.parents.items():
            part[f"_{parent}"] = number
        part.index = pd.Index(rows.number)
        parts.append(part)
    return pd.concat(parts)


def collection(name: str, world: World, **options: Any) -> pd.DataFrame:
    return frame(world, getattr(clickstream, name), **options)


@lru_cache(maxsize=10)
def base(name: str) -> pd.DataFrame:
    return collection(name, world())


def over(sessions: pd.DataFrame) -> pd.Series:
    """The sessions that had ended by then: of the others, rows may be still to come."""
    return sessions["session_end"].notna()


@pytest.mark.parametrize("name", [*SPECS])
def test_rows_have_the_columns_of_their_spec(name: str) -> None:
    for rows in getattr(clickstream, name)(world()):
        assert list(rows.columns) == [column.name for column in SPECS[name].columns]
        for values in rows.columns.values():
            assert len(values) == len(rows)
            if isinstance(values, Coded):
                assert values.codes.dtype == np.int64
                assert (values.codes < len(values.pool)).all()
                assert (values.codes >= -1).all()
            else:
                assert values.dtype.kind in "SiMO"


def test_volumes_of_rows() -> None:
    sessions = world().sessions
    assert len(base("sessions")) == len(sessions)
    for name, counts in (
        ("page_views", sessions.pages),
        ("product_interactions", sessions.interactions),
        ("search_queries", sessions.searches),
    ):
        # All but those that come after midnight, in sessions that go on.
        assert 0 <= counts.sum() - len(base(name)) <= 100
    shown = world().exposures
    expected = sessions.events.sum() + len(shown.session) + shown.converted.sum()
    assert 0 <= expected - len(base("events")) <= 100


@pytest.mark.parametrize("name", CHILDREN)
def test_rows_are_in_the_order_of_time_within_their_session(name: str) -> None:
    rows, sessions = base(name), base("sessions")
    assert rows.index.is_monotonic_increasing and rows.index.is_unique
    assert rows["_sessions"].is_monotonic_increasing
    same = rows["_sessions"].diff() == 0
    assert (rows["timestamp"].diff()[same] >= pd.Timedelta(0)).all()
    start = sessions["session_start"].loc[rows["_sessions"]].to_numpy()
    end = sessions["session_end"].loc[rows["_sessions"]].to_numpy()
    assert (rows["timestamp"] >= start).all()
    assert ((rows["timestamp"] <= end) | np.isnat(end)).all()
    assert (rows["created_at"] == rows["timestamp"] + pd.Timedelta(seconds=1)).all()
    assert (rows["_made"] < world().until).all()


@pytest.mark.parametrize("name", CHILDREN)
def test_rows_name_their_session_and_its_customer(name: str) -> None:
    rows, sessions = base(name), base("sessions")
    of = sessions.loc[rows["_sessions"]].reset_index(drop=True)
    rows = rows.reset_index(drop=True)
    assert (rows["session_id"] == of["session_id"]).all()
    assert rows["customer_id"].equals(of["customer_id"])
    assert (rows["_customers"] == of["_customers"]).all()


def test_sessions_name_the_signed_in_customer() -> None:
    rows, sessions = base("sessions"), world().sessions
    assert (rows["customer_id"].notna() == sessions.signed_in).all()
    signed = sessions.signed_in
    numbers = rows["customer_id"][signed].str.slice(5).astype(int) - 1
    assert (numbers == sessions.person[signed]).all()
    assert (rows["_customers"] == np.where(signed, sessions.person, -1)).all()
    assert rows["anonymous_id"].iloc[0] == f"ANON_{int(sessions.anonymous[0]):016x}"
    assert rows["session_id"].iloc[:2].tolist() == ["SESS_00000001", "SESS_00000002"]


def test_pages_are_numbered_and_as_many_products_as_the_session_has() -> None:
    rows, sessions = base("page_views"), base("sessions")
    whole = rows[rows["_sessions"].isin(sessions.index[over(sessions)])]
    by = whole.groupby("_sessions")
    assert (whole["sequence"] == by.cumcount() + 1).all()
    assert (by.size() == world().sessions.pages[by.size().index]).all()
    products = (whole["page_type"] == "product").groupby(whole["_sessions"]).sum()
    assert (products == world().sessions.products[products.index]).all()
    assert (whole["page_type"][whole["sequence"] == 1] == "home").all()
    assert (whole["time_on_page"] >= 0).all()
    spent = whole.groupby("_sessions")["time_on_page"].sum()
    assert (spent == world().sessions.seconds[spent.index]).all()
    # Each page was reached from the one before it.
    later = rows["sequence"] > 1
    assert (rows["referrer_url"][later] == rows["page_url"].shift()[later]).all()


def test_each_product_page_is_viewed() -> None:
    pages, acts = base("page_views"), base("product_interactions")
    shown = pages[pages["page_type"] == "product"]
    viewed = acts[acts["interaction_type"] == "view"]
    product = shown["page_url"].str.rsplit("/").str[-1]
    wanted = pd.MultiIndex.from_arrays([shown["session_id"], product, shown["timestamp"]])
    found = pd.MultiIndex.from_arrays(
        [viewed["session_id"], viewed["product_id"], viewed["timestamp"]]
    )
    assert wanted.isin(found).all()


def recover_stages(tables: dict[str, pd.DataFrame]) -> pd.Series:
    """The stage of each session that is over, from the five collections alone."""
    sessions = tables["sessions"].set_index("session_id")
    sessions = sessions[sessions["session_end"].notna()]
    pages, acts, events = (tables[n] for n in ("page_views", "product_interactions", "events"))
    ids = sessions.index
    product = ids.isin(pages["session_id"][pages["page_type"] == "product"])
    account = ids.isin(pages["session_id"][pages["page_type"] == "account"])
    carted = ids.isin(acts["session_id"][acts["interaction_type"] == "add_to_cart"])
    bought = ids.isin(events["session_id"][events["event_type"] == "purchase"])
    conditions = [bought, carted, account, product]
    stages = [CONVERTER, ABANDONER, RETURN_VISITOR, BROWSER]
    assert product[carted | account | bought].all()
    return pd.Series(np.select(conditions, stages, VISITOR), index=ids)


def test_the_collections_show_the_stage_of_every_session() -> None:
    found = recover_stages({name: base(name) for name in SPECS})
    sessions = base("sessions")
    expected = world().sessions.stage[sessions.index[over(sessions)]]
    assert (found.to_numpy() == expected).all()
    assert set(expected) == {VISITOR, BROWSER, CONVERTER, ABANDONER, RETURN_VISITOR}


def test_converting_sessions_show_their_order() -> None:
    orders = frame(world(), transactions).set_index("transaction_id")
    items, acts = frame(world(), transaction_items), base("product_interactions")
    events = base("events")
    bought = events[events["event_type"] == "purchase"]
    data = pd.DataFrame(bought["event_data"].tolist(), index=bought.index)
    assert list(data.columns) == ["transaction_id", "value"]
    of = orders.loc[data["transaction_id"]].set_index(bought.index)
    assert (bought["customer_id"] == of["customer_id"]).all()
    assert (bought["timestamp"] == of["order_date"]).all()
    assert data["value"].to_numpy() == pytest.approx(of["total_amount"].to_numpy())
    # Each tracked order once, but those of the last seconds.
    assert data["transaction_id"].is_unique
    assert 0 <= world().orders.tracked.sum() - len(bought) <= 1
    purchases = acts[acts["interaction_type"] == "purchase"]
    shown = purchases.groupby("session_id")["product_id"].agg(lambda ids: tuple(sorted(ids)))
    sold = items.groupby("transaction_id")["product_id"].agg(lambda ids: tuple(sorted({*ids})))
    assert (
        shown.loc[bought["session_id"]].to_numpy() == sold.loc[data["transaction_id"]].to_numpy()
    ).all()
    assert (acts["customer_id"][purchases.index].notna()).all()


def test_a_product_is_called_the_same_everywhere() -> None:
    items = frame(world(), transaction_items)
    acts = base("product_interactions")
    names = pd.concat([part[["product_id", "product_name", "category"]] for part in (items, acts)])
    assert not names.drop_duplicates()["product_id"].duplicated().any()


def test_user_agents_tell_the_bots() -> None:
    events, bots = base("events"), world().sessions.bot
    says = events["user_agent"].str.contains("bot")
    assert (says == bots[events["_sessions"]]).all()
    sessions = base("sessions")
    seen = np.isin(np.flatnonzero(bots & over(sessions).to_numpy()), events["_sessions"])
    assert seen.all()


def test_tags_name_the_campaign_and_its_channel() -> None:
    rows, campaign = base("sessions"), world().sessions.campaign
    assert (rows["utm"].notna() == (campaign >= 0)).all()
    tags = pd.DataFrame(rows["utm"].dropna().tolist())
    assert list(tags.columns) == ["source", "medium", "campaign"]
    numbers = tags["campaign"].str.slice(5).astype(int) - 1
    assert (numbers == campaign[campaign >= 0]).all()
    referrers = rows["referrer"][campaign >= 0].reset_index(drop=True)
    assert (referrers == "https://" + tags["source"] + ".example/").all()


def test_a_cookie_has_one_browser_and_country() -> None:
    rows = base("sessions")
    for column in ("device_type", "browser", "os", "country"):
        assert (rows.groupby("anonymous_id")[column].nunique() == 1).all()


def test_exposures_and_their_conversions_are_told_in_order() -> None:
    shown, events = world().exposures, base("events")
    assert len(shown.session)
    for kind, which in (("exposure", shown.session >= 0), ("conversion", shown.converted)):
        told = events[events["event_type"] == f"experiment_{kind}"]
        data = pd.DataFrame(told["event_data"].tolist())
        found = zip(told["_sessions"], data["test_id"], data["variant"], strict=True)
        expected = zip(
            shown.session[which],
            (f"TEST_{test + 1:04d}" for test in shown.test[which]),
            ("AB"[variant] for variant in shown.variant[which]),
            strict=True,
        )
        ended = over(base("sessions"))
        assert [row for row in found if ended[row[0]]] == [row for row in expected if ended[row[0]]]


def test_people_have_a_lasting_taste() -> None:
    acts = base("product_interactions")
    views = acts[(acts["interaction_type"] == "view") & (acts["_customers"] >= 0)]
    share = views.groupby("_customers")["category"].agg(lambda c: c.value_counts().iloc[0] / len(c))
    many = views.groupby("_customers").size() >= 20
    assert share[many].median() > 0.5
    # What is popular is seen often: Zipf-like.
    counts = views["product_id"].value_counts()
    assert counts.iloc[0] > 10 * counts.median()


@pytest.mark.parametrize("name", [*SPECS])
def test_rows_do_not_depend_on_the_chunks(name: str) -> None:
    whole = collection(name, world(), size=100_000)
    assert whole.astype(str).equals(collection(name, world(), size=333).astype(str))


@pytest.mark.parametrize("added", [1, 5])
@pytest.mark.parametrize("name", [*SPECS])
def test_added_days_change_only_what_says_so(name: str, added: int) -> None:
    old, new = base(name), collection(name, world(added=added))
    assert old.index.isin(new.index).all()
    fresh = new.loc[~new.index.isin(old.index)]
    assert len(fresh) and (fresh["_made"] >= world().until).all()
    kept = new.loc[old.index]
    unchanged = (kept["_changed"] < world().until).to_numpy()
    columns = [column for column in old.columns if column != "_deleted"]
    assert old[columns][unchanged].astype(str).equals(kept[columns][unchanged].astype(str))
    assert (kept["_made"] == old["_made"]).all()
    if name == "sessions":
        assert (~unchanged).any()  # sessions that went on at midnight, and corrections
    else:
        assert unchanged.all()


def test_sessions_tell_their_end_only_when_it_has_come() -> None:
    rows, sessions = base("sessions"), world().sessions
    ends = sessions.start + sessions.seconds.astype("timedelta64[s]")
    assert (over(rows) == (ends < world().until)).all()
    assert (rows["duration_seconds"].notna() == over(rows)).all()
    ended = rows[over(rows)]
    took = (ended["session_end"] - ended["session_start"]).dt.total_seconds()
    assert (took == ended["duration_seconds"].astype(float)).all()
    corrected = (sessions.corrected < world().until)[over(rows)]
    assert (took[corrected] > sessions.seconds[over(rows)][corrected]).all()
    assert (took[~corrected] == sessions.seconds[over(rows)][~corrected]).all()
    hours = (ended["updated_at"] - ends[over(rows)])[corrected].dt.total_seconds() / 3600
    assert corrected.any() and hours.between(6, 30).all()
    assert (ended["updated_at"] == ended["_changed"]).all()


def test_the_rows_of_an_erased_customer_go_with_the_sessions() -> None:
    later = world(added=150)
    sessions = collection("sessions", later)
    erased = later.customers.erased
    gone = sessions["_deleted"].notna()
    assert gone.any()
    of = sessions["_customers"][gone]
    assert (sessions["_deleted"][gone] == erased[of]).all()
    assert (sessions["_changed"] < sessions["_deleted"])[gone].all()
    for name in CHILDREN:
        rows = collection(name, later)
        deleted = sessions["_deleted"].loc[rows["_sessions"]].to_numpy()
        assert np.array_equal(rows["_deleted"].to_numpy(), deleted, equal_nan=True)
        assert not (rows["_made"] >= rows["_deleted"]).any()


@pytest.mark.parametrize("name", [*SPECS])
@pytest.mark.parametrize("scale", [0.001, 0.0001])
@pytest.mark.parametrize("days", [30, 90])
def test_the_smallest_worlds_have_rows(name: str, scale: float, days: int) -> None:
    for effects in ("all", "none"):
        rows = collection(name, world(scale, days, effects=effects))
        assert len(rows) or name == "search_queries"
