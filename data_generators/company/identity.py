"""Whose a session is, and what of it shows: device, cookie, sign-in, country, campaign tag."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from data_generators.company.arrivals import (
    BOT,
    BROWSING,
    CONVERTING,
    DAYS_BEFORE,
    SIGN_UP,
    Arrivals,
)
from data_generators.company.campaigns import Campaigns
from data_generators.company.customers import CHANNELS, COUNTRY_WEIGHTS, Customers
from data_generators.randomness import Draws
from data_generators.timeline import DAY, Timeline

Array = npt.NDArray[Any]

#: Browsing sessions after the registration that are signed in.
SIGNED_IN = 0.7
SECOND_DEVICE, ON_SECOND_DEVICE = 0.4, 0.25
STRANGER_DEVICES = (0.38, 0.54, 0.08)
#: Cookies that are lost and made anew, and how long they last.
ROTATES, ROTATION_DAYS = 0.3, 180
#: Sessions that follow a campaign's link, where one runs; and those of the preferred channel.
TAGGED, PREFERRED = 0.26, 0.5
_POSITIVE = np.int64((1 << 63) - 1)


def devices(draws: Draws, people: Customers, arrivals: Arrivals) -> Array:
    """The device of each session (int8); nobody signs up on the second one."""
    person = arrivals.person
    known = person >= 0
    customer = np.where(known, person, 0)
    first = np.where(
        known, people.device[customer], draws("device").choice(STRANGER_DEVICES, person)
    )
    first = np.where(arrivals.kind == BOT, 0, first)
    other = (first + draws("device.other").integers(1, 3, person)) % 3
    second = known & draws("device.has").chance(SECOND_DEVICE, person)
    second &= draws("device.on").chance(ON_SECOND_DEVICE, arrivals.key)
    second &= (arrivals.kind == BROWSING) | (arrivals.kind == CONVERTING)
    return np.where(second, other, first).astype(np.int8)


def cookies(draws: Draws, people: Customers, arrivals: Arrivals, device: Array) -> Array:
    """The number of each session's cookie: one a person and device, some made anew (int64).

    The cookie from before the registration lives on through it.
    """
    person = arrivals.person
    customer = np.where(person >= 0, person, 0)
    age = (arrivals.start - people.registered[customer]).astype(np.int64) // DAY + DAYS_BEFORE + 1
    rotates = draws("cookie.rotates").chance(ROTATES, person, device) & (person >= 0)
    epoch = np.where(rotates, age // ROTATION_DAYS, 0)
    return np.asarray(draws("cookie").keys(person, device, epoch) & _POSITIVE)


def signed_in(draws: Draws, arrivals: Arrivals) -> Array:
    """Whether each session's document says whose it is."""
    browses = (arrivals.kind == BROWSING) & draws("signed_in").chance(SIGNED_IN, arrivals.key)
    return np.asarray(browses | (arrivals.kind == CONVERTING) | (arrivals.kind == SIGN_UP))


def countries(draws: Draws, people: Customers, arrivals: Arrivals) -> Array:
    """The country of each session (int8): the customer's, or the stranger's."""
    known = arrivals.person >= 0
    drawn = draws("country").choice(COUNTRY_WEIGHTS, arrivals.person)
    found = people.country[np.where(known, arrivals.person, 0)]
    return np.where(known, found, drawn).astype(np.int8)


def tags(
    draws: Draws, people: Customers, arrivals: Arrivals, campaigns: Campaigns, timeline: Timeline
) -> Array:
    """The campaign whose link each session followed (int64; -1), among those of its day.

    People follow links of their preferred channel more often. Bots follow none, and an order
    that a campaign caused is tagged by the caller.
    """
    person, key = arrivals.person, arrivals.key
    known = person >= 0
    preferred = known & draws("tag.preferred").chance(PREFERRED, key)
    anyhow = draws("tag.channel").integers(0, len(CHANNELS), key)
    channel = np.where(preferred, people.channel[np.where(known, person, 0)], anyhow)
    day = (arrivals.start - timeline.start).astype(np.int64) // DAY
    first, running, found = _running(campaigns, timeline)
    # Where nothing runs in the channel: anything that runs.
    channel = np.where(running[channel, day] > 0, channel, len(CHANNELS))
    number = running[channel, day]
    tagged = draws("tag").chance(TAGGED, key) & (number > 0) & (arrivals.kind != BOT)
    at = first[channel, day] + draws("tag.campaign").integers(0, np.maximum(number, 1), key)
    return np.where(tagged, found[np.where(tagged, at, 0)], -1)


def _running(campaigns: Campaigns, timeline: Timeline) -> tuple[Array, Array, Array]:
    """The campaigns that run, by channel (and one more row for all) and day.

    Returns the first position and the number [channels + 1 x days], and the campaigns.
    """
    days = len(timeline.intensity)
    start = timeline.start.astype("datetime64[D]")
    first = np.clip((campaigns.starts - start).astype(np.int64), 0, days)
    last = np.clip((campaigns.ends - start).astype(np.int64) + 1, first, days)
    length = last - first
    campaign = np.repeat(np.arange(len(first)), length)
    day = np.arange(len(campaign)) - np.repeat(np.cumsum(length) - length - first, length)
    cell = campaigns.channel[campaign].astype(np.int64) * days + day
    cell = np.concatenate([cell, len(CHANNELS) * days + day])
    order = np.argsort(cell, kind="stable")
    found = np.concatenate([campaign, campaign, [-1]])[np.concatenate([order, [len(cell)]])]
    number = np.bincount(cell, minlength=(len(CHANNELS) + 1) * days)
    shape = (len(CHANNELS) + 1, days)
    return (np.cumsum(number) - number).reshape(shape), number.reshape(shape), found
