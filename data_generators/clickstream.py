"""The clickstream: sessions, and the page views, events, interactions and searches in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from bson import ObjectId

from data_generators.pools import CATEGORIES, Pools, ids, objects, pick
from data_generators.shop import COUNTRIES, Shop

Array = npt.NDArray[Any]
Table = dict[str, Array]
Count = Callable[..., int]

SITE = "https://shop.example.com"
PAGE_TYPES = ("product", "category", "search", "cart", "checkout", "account")
EVENTS = ("click", "scroll", "video_play", "add_to_cart", "checkout_start", "purchase")
INTERACTIONS = ("view", "add_to_cart", "wishlist", "remove_from_cart", "review")
DEVICES = (
    ("desktop", "Chrome", "Windows"),
    ("desktop", "Firefox", "Linux"),
    ("desktop", "Safari", "macOS"),
    ("mobile", "Chrome", "Android"),
    ("mobile", "Safari", "iOS"),
    ("tablet", "Safari", "iPadOS"),
)
MEDIUM = {"Email": "email", "Google": "cpc"}


def make_clickstream(
    rng: np.random.Generator,
    pools: Pools,
    count: Count,
    shop: Shop,
    campaigns: Table,
    end: np.datetime64,
) -> dict[str, Table]:
    """Make the five collections, all before ``end``."""
    size = count(100_000, 100)
    views = count(800_000, 800)
    # Three in ten sessions bounce; the others are of very different depth.
    depth = np.exp(rng.normal(0, 0.7, size)) * (rng.random(size) > 0.3)
    pages = 1 + rng.multinomial(views - size, depth / depth.sum())
    session = np.repeat(np.arange(size), pages)
    dwell = np.clip(rng.exponential(40, views), 1, 600).astype(np.int64)
    opened = np.cumsum(dwell) - dwell
    opened -= np.repeat(opened[np.cumsum(pages) - pages], pages)
    duration = np.bincount(session, dwell, size).astype(np.int64)
    sessions = _sessions(rng, shop, campaigns, size, duration, end)
    times = sessions["session_start"][session] + opened
    page_views = _page_views(rng, pools, sessions, session, pages, dwell, times)

    def moments(of: int, letter: int) -> tuple[Array, Table]:
        """``of`` moments somewhere in page views: each one's view, and the shared columns."""
        view = np.sort(rng.integers(0, views, of))
        at = times[view] + (rng.random(of) * dwell[view]).astype(np.int64)
        return view, {
            "_id": _object_ids(at, letter),
            "session_id": sessions["session_id"][session[view]],
            "customer_id": sessions["customer_id"][session[view]],
            "timestamp": at,
            "created_at": at + 1,
        }

    return {
        "sessions": sessions,
        "page_views": page_views,
        "events": _events(rng, sessions, page_views, session, *moments(count(600_000, 600), 3)),
        "product_interactions": _interactions(rng, pools, moments(count(400_000, 400), 4)[1]),
        "search_queries": _searches(rng, pools, moments(count(300_000, 300), 5)[1]),
    }


def _sessions(
    rng: np.random.Generator,
    shop: Shop,
    campaigns: Table,
    size: int,
    duration: Array,
    end: np.datetime64,
) -> Table:
    """Sessions by rising start. Four in five are customers', some of them not signed in."""
    customers = shop.tables["customers"]
    # Who buys more also visits more, but far from in proportion.
    weight = np.sqrt(shop.activity) * np.exp(rng.normal(0, 0.5, len(shop.activity)))
    who = rng.choice(len(weight), size, p=weight / weight.sum())
    known = rng.random(size) < 0.8
    starts = shop.since[who] + (rng.random(size) * shop.active_seconds[who]).astype(np.int64)
    by_time = np.argsort(starts, kind="stable")
    who, starts = who[by_time], np.minimum(starts[by_time], end - 60 - duration)
    signed_in = known & (rng.random(size) < 0.9)
    stranger = len(weight) + rng.integers(0, size, size)
    visitor = np.where(known, who, stranger)
    device = np.where(rng.random(size) < 0.8, visitor * 7 % 6, rng.integers(0, 6, size))
    kinds, browsers, systems = (objects(column) for column in zip(*DEVICES, strict=True))
    ends = starts + duration
    utm = _utm(rng, campaigns, starts)
    return {
        "_id": _object_ids(starts, 1),
        "session_id": ids("SESS", size, 8),
        "customer_id": np.where(signed_in, customers["customer_id"][who], objects([None])),
        "anonymous_id": objects(f"ANON_{number:08d}" for number in visitor.tolist()),
        "session_start": starts,
        "session_end": ends,
        "duration_seconds": duration,
        "device_type": kinds[device],
        "browser": browsers[device],
        "os": systems[device],
        "ip_address": objects(
            f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}"
            for n in rng.integers(0, 1 << 24, size).tolist()
        ),
        "country": np.where(known, customers["country"][who], pick(rng, COUNTRIES, size)),
        "referrer": objects(tag and f"https://{tag['source']}.example/" for tag in utm),
        "utm": utm,
        "landing_page": objects([f"{SITE}/"] * size),
        "updated_at": ends,
    }


def _utm(rng: np.random.Generator, campaigns: Table, starts: Array) -> Array:
    """The tags of a campaign that runs on the session's day, or None."""
    tags = objects(
        {"source": channel.lower(), "medium": MEDIUM.get(channel, "social"), "campaign": name}
        for channel, name in zip(campaigns["channel"], campaigns["campaign_name"], strict=True)
    )
    day = starts.astype("datetime64[D]")
    found = np.full(len(starts), None, dtype=object)
    for _ in range(3):
        drawn = rng.integers(0, len(tags), len(starts))
        runs = (campaigns["start_date"][drawn] <= day) & (day <= campaigns["end_date"][drawn])
        found = np.where(runs, tags[drawn], found)
    return found


def _page_views(
    rng: np.random.Generator,
    pools: Pools,
    sessions: Table,
    session: Array,
    pages: Array,
    dwell: Array,
    times: Array,
) -> Table:
    """The views of each session in order; each is referred to by the one before it."""
    size = len(session)
    sequence = np.arange(size) - np.repeat(np.cumsum(pages) - pages, pages) + 1
    first = sequence == 1
    types = pick(rng, PAGE_TYPES, size, (45, 25, 12, 9, 4, 5))
    product = rng.integers(0, len(pools.product_ids), size)
    is_product = types == "product"
    plain = {kind: f"{SITE}/{kind}" for kind in PAGE_TYPES}
    product_urls = objects(f"{SITE}/product/{name}" for name in pools.product_ids)
    urls = np.where(is_product, product_urls[product], objects(map(plain.get, types)))
    urls[first] = f"{SITE}/"
    types[first] = "home"
    titles = np.where(is_product & ~first, pools.product_names[product], types)
    return {
        "_id": _object_ids(times, 2),
        "view_id": ids("VIEW", size, 8),
        "session_id": sessions["session_id"][session],
        "customer_id": sessions["customer_id"][session],
        "page_url": urls,
        "page_title": titles,
        "page_type": types,
        "sequence": sequence,
        "time_on_page": dwell,
        "scroll_depth": rng.integers(0, 101, size),
        "referrer_url": np.where(first, sessions["referrer"][session], np.roll(urls, 1)),
        "timestamp": times,
        "created_at": times + 1,
    }


def _events(
    rng: np.random.Generator,
    sessions: Table,
    page_views: Table,
    session: Array,
    view: Array,
    shared: Table,
) -> Table:
    size = len(view)
    # A quarter of the sessions mean to buy.
    buys = (rng.random(len(sessions["_id"])) < 0.25)[session[view]]
    types = np.where(
        buys,
        pick(rng, EVENTS, size, (40, 25, 5, 18, 8, 4)),
        pick(rng, EVENTS, size, (55, 36, 7, 2, 0, 0)),
    )
    x, y = rng.integers(0, 1000, (2, size)).tolist()
    agents = objects(
        f"Mozilla/5.0 ({system}) {browser}"
        for system, browser in zip(sessions["os"], sessions["browser"], strict=True)
    )
    return {
        "_id": shared["_id"],
        "event_id": ids("EVT", size, 8),
        "session_id": shared["session_id"],
        "customer_id": shared["customer_id"],
        "event_type": types,
        "event_data": objects(
            {"element": kind, "position": {"x": a, "y": b}}
            for kind, a, b in zip(types, x, y, strict=True)
        ),
        "timestamp": shared["timestamp"],
        "page_url": page_views["page_url"][view],
        "user_agent": agents[session[view]],
        "created_at": shared["created_at"],
    }


def _interactions(rng: np.random.Generator, pools: Pools, shared: Table) -> Table:
    size = len(shared["_id"])
    product = rng.integers(0, len(pools.product_ids), size)
    return {
        "_id": shared["_id"],
        "interaction_id": ids("INT", size, 8),
        "session_id": shared["session_id"],
        "customer_id": shared["customer_id"],
        "product_id": pools.product_ids[product],
        "interaction_type": pick(rng, INTERACTIONS, size, (70, 14, 8, 5, 3)),
        "product_name": pools.product_names[product],
        "category": pools.categories[product],
        "timestamp": shared["timestamp"],
        "created_at": shared["created_at"],
    }


def _searches(rng: np.random.Generator, pools: Pools, shared: Table) -> Table:
    size = len(shared["_id"])
    product = rng.integers(0, len(pools.product_ids), size)
    results = rng.poisson(12, size) * (rng.random(size) > 0.06)
    clicked = (rng.random(size) < 0.45) & (results > 0)
    filters = [{"category": name, "sort": sort} for name in CATEGORIES for sort in ("price", "new")]
    return {
        "_id": shared["_id"],
        "query_id": ids("QRY", size, 8),
        "session_id": shared["session_id"],
        "customer_id": shared["customer_id"],
        "search_term": objects(map(str.lower, pools.product_names))[product],
        "results_count": results,
        "clicked_result": np.where(clicked, pools.product_ids[product], objects([None])),
        "filters": pick(rng, [{}, *filters], size, [len(filters), *[1] * len(filters)]),
        "timestamp": shared["timestamp"],
        "created_at": shared["created_at"],
    }


def _object_ids(times: Array, collection: int) -> Array:
    """ObjectIds as a server would give them: the second, then a number of the collection's."""
    size = len(times)
    parts = np.empty(size, dtype=[("seconds", ">u4"), ("number", ">u8")])
    parts["seconds"] = times.astype("datetime64[s]").astype(np.int64)
    parts["number"] = (collection << 56) + np.arange(size)
    raw = parts.tobytes()
    return objects(ObjectId(raw[at : at + 12]) for at in range(0, len(raw), 12))
