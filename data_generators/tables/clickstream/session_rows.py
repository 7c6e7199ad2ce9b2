"""The collection ``sessions``: made at the start, complete at the end, sometimes corrected."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from data_generators.company.campaigns import Campaigns
from data_generators.company.customers import CHANNELS, COUNTRIES
from data_generators.tables.clickstream.chunk import CHUNK, SITE, Chunk, chunks
from data_generators.tables.clickstream.vocabulary import (
    BOT_NAMES,
    BROWSER_WEIGHTS,
    BROWSERS,
    OF_BOTS,
    PARTNERS,
    REFERRERS,
    SEARCH_ENGINE,
)
from data_generators.tables.keys import texts
from data_generators.tables.rows import Coded, Column, Rows
from elt.specs import BY_NAME

if TYPE_CHECKING:
    from data_generators.company.world import World

Array = npt.NDArray[Any]

MEDIUM = {"Email": "email", "Google": "cpc"}
#: Of the sessions that follow no campaign: those from a search engine, and from partners.
FROM_SEARCH, FROM_PARTNERS = 0.35, 0.10
_HEX = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)


def sessions(world: World, size: int = CHUNK) -> Iterator[Rows]:
    """The rows of ``sessions``, by the time of the start, ``size`` at a time."""
    tags = utm_tags(world.campaigns)
    for chunk in chunks(world, size):
        yield _rows(chunk, tags)


def utm_tags(campaigns: Campaigns) -> list[dict[str, str]]:
    """The tags of each campaign's links."""
    names = [CHANNELS[channel] for channel in campaigns.channel.tolist()]
    return [
        {
            "source": name.lower(),
            "medium": MEDIUM.get(name, "social"),
            "campaign": f"CAMP_{number:04d}",
        }
        for number, name in enumerate(names, 1)
    ]


def referrers(chunk: Chunk) -> Array:
    """Where each session comes from (int64, into REFERRERS; -1 for nowhere)."""
    world = chunk.world
    campaign = chunk.of(world.sessions.campaign)
    share = chunk.draws("referrer").uniform(chunk.key)
    code = np.where(share < FROM_SEARCH, SEARCH_ENGINE, -1)
    code[(share >= FROM_SEARCH) & (share < FROM_SEARCH + FROM_PARTNERS)] = PARTNERS
    tagged = campaign >= 0
    code[tagged] = world.campaigns.channel[campaign[tagged]]
    return code


def browsers(chunk: Chunk) -> Array:
    """The browser of each session (int64, into BROWSERS): one a cookie."""
    sessions = chunk.world.sessions
    weights = BROWSER_WEIGHTS[chunk.of(sessions.device)]
    drawn = chunk.draws("browser").choice_rows(weights, chunk.of(sessions.anonymous))
    return np.where(chunk.of(sessions.bot), OF_BOTS, drawn)


def user_agents(chunk: Chunk) -> Coded:
    """The user agent of each session; it tells who is a bot."""
    sessions = chunk.world.sessions
    pool = [f"Mozilla/5.0 ({system}) {browser}" for _, browser, system in BROWSERS]
    pool += [f"Mozilla/5.0 (compatible; {name}; +https://bot.example/)" for name in BOT_NAMES]
    name = chunk.draws("bot").integers(0, len(BOT_NAMES), chunk.of(sessions.person))
    return Coded(np.where(chunk.of(sessions.bot), len(BROWSERS) + name, browsers(chunk)), pool)


def _rows(chunk: Chunk, tags: list[dict[str, str]]) -> Rows:
    sessions = chunk.world.sessions
    start, browser, referrer = chunk.of(sessions.start), browsers(chunk), referrers(chunk)
    duration, changed = _durations(chunk)
    ended = duration >= 0
    kinds, names, systems = (list(part) for part in zip(*BROWSERS, strict=True))
    ends = start + duration.astype("timedelta64[s]")
    columns: dict[str, Column] = {
        "session_id": chunk.session_id,
        "customer_id": chunk.customer_id,
        "anonymous_id": anonymous_ids(chunk.of(sessions.anonymous)),
        "session_start": start,
        "session_end": np.where(ended, ends, np.datetime64("NaT", "s")),
        "duration_seconds": _or_none(duration, ended),
        "device_type": Coded(browser, kinds),
        "browser": Coded(browser, names),
        "os": Coded(browser, systems),
        "ip_address": _addresses(chunk),
        "country": Coded(chunk.of(sessions.country).astype(np.int64), list(COUNTRIES)),
        "referrer": Coded(referrer, REFERRERS),
        "utm": Coded(chunk.of(sessions.campaign), list(tags)),
        "landing_page": Coded(np.zeros(len(chunk), dtype=np.int64), [f"{SITE}/"]),
        "updated_at": changed,
    }
    return Rows(
        BY_NAME["sessions"],
        chunk.number,
        columns,
        made=start,
        changed=changed,
        deleted=chunk.of(sessions.erased),
        parents={"customers": chunk.customer},
    )


def _durations(chunk: Chunk) -> tuple[Array, Array]:
    """The duration that is known of each session (int64; -1 while it goes on), and since when."""
    sessions = chunk.world.sessions
    start, seconds = chunk.of(sessions.start), chunk.of(sessions.seconds)
    end, corrected = start + seconds.astype("timedelta64[s]"), chunk.of(sessions.corrected)
    erased = chunk.of(sessions.erased)
    until = np.where(np.isnat(erased), chunk.world.until, erased)
    ended, again = end < until, corrected < until
    duration = np.where(ended, seconds, -1)
    duration[again] += chunk.of(sessions.late_seconds)[again]
    return duration, np.where(again, corrected, np.where(ended, end, start))


def _or_none(values: Array, known: Array) -> Array:
    """The values; as objects with None where some are not known."""
    if known.all():
        return values
    found = values.astype(object)
    found[~known] = None
    return found


def anonymous_ids(numbers: Array) -> Array:
    """``ANON_`` and the sixteen hexadecimal digits of each number, as bytes."""
    head = np.frombuffer(b"ANON_", dtype=np.uint8)
    letters = np.empty((len(numbers), len(head) + 16), dtype=np.uint8)
    letters[:, : len(head)] = head
    octets = numbers.astype(">i8").view(np.uint8).reshape(-1, 8)
    letters[:, len(head) :: 2] = _HEX[octets >> 4]
    letters[:, len(head) + 1 :: 2] = _HEX[octets & 15]
    return letters.view(f"S{letters.shape[1]}").reshape(-1)


def _addresses(chunk: Chunk) -> Array:
    """The IP address of each session: one a cookie and month."""
    sessions = chunk.world.sessions
    month = chunk.of(sessions.start).astype("datetime64[M]").astype(np.int64)
    drawn = chunk.draws("address").integers(0, 1 << 24, chunk.of(sessions.anonymous), month)
    return texts([f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}" for n in drawn.tolist()])
