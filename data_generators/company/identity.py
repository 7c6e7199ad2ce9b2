"""Whose a session is, and what of it shows: device, cookie, sign-in, country, campaign tag."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from data_generators.args import WorldArgs
from data_generators.company.arrivals import (
    BOT,
    BROWSING,
    CONVERTING,
    DAYS_BEFORE,
    SIGN_UP,
    Arrivals,
)
from data_generators.company.campaigns import Campaigns, company_size
from data_generators.company.customers import CHANNELS, COUNTRY_WEIGHTS, Customers
from data_generators.company.response import PREFERRED, channel_spend, pick_by_spend
from data_generators.groups import first_rows, within
from data_generators.randomness import Draws
from data_generators.timeline import DAY, Timeline

Array = npt.NDArray[Any]

#: Browsing sessions after the registration that are signed in.
SIGNED_IN = 0.7
SECOND_DEVICE, ON_SECOND_DEVICE = 0.4, 0.25
STRANGER_DEVICES = (0.38, 0.54, 0.08)
#: Cookies that are lost and made anew, and how long they last.
ROTATES, ROTATION_DAYS = 0.3, 180
#: People's sessions that follow a campaign's link, over the base history; on no day are more
#: than MOST_TAGGED expected to.
TAGGED, MOST_TAGGED = 0.26, 0.9
#: Of the tags in a world without the effect "campaigns", those of the preferred channel.
OF_PREFERRED = 0.5
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
    draws: Draws,
    args: WorldArgs,
    people: Customers,
    arrivals: Arrivals,
    campaigns: Campaigns,
    timeline: Timeline,
) -> Array:
    """The campaign whose link each session followed (int64; -1), among those of its day.

    Spend drives them: the chance of a tag saturates with the day's spend relative to the
    company's traffic (`_tag_chances`); the channel is drawn by its share of the day's spend,
    times `PREFERRED` for the one that the person prefers; the campaign by its share of the
    channel's. In a world without the effect "campaigns" there are as many tags, but they do not
    follow spend: the chance is `TAGGED` on each day on which anything runs, and each campaign of
    a channel is as likely as the next.

    Bots follow no links, and an order that a campaign caused is tagged by the caller.
    """
    person, key = arrivals.person, arrivals.key
    day = (arrivals.start - timeline.start).astype(np.int64) // DAY
    known = (person >= 0) & (arrivals.kind != BOT)
    favourite = np.where(known, people.channel[np.where(known, person, 0)], -1)
    if "campaigns" not in args.planted:
        picked = _regardless_of_spend(draws, key, favourite, day, campaigns, timeline)
        return np.where(arrivals.kind == BOT, -1, picked)
    spend = channel_spend(campaigns)
    chance = _tag_chances(args, arrivals, day, spend, timeline)
    tagged = draws("tag").chance(chance[day], key) & (arrivals.kind != BOT)
    key, day, favourite = key[tagged], day[tagged], favourite[tagged]
    preference = np.where(favourite[:, None] == np.arange(len(CHANNELS)), PREFERRED, 1.0)
    channel = draws("tag.channel").choice_rows(spend.T[day] * preference, key)
    found = np.full(len(person), -1, dtype=np.int64)
    found[tagged] = pick_by_spend(campaigns, channel, day, draws("tag.campaign").uniform(key))
    return found


def _tag_chances(
    args: WorldArgs, arrivals: Arrivals, day: Array, spend: Array, timeline: Timeline
) -> Array:
    """The chance of people's sessions to be tagged, by day: ``most * x / (x + half)``.

    x is what all channels spend on the day, relative to the traffic that the company's size and
    the season let expect. The base history alone decides ``half``, which is its mean x, and
    ``most``, such that `TAGGED` of its sessions are expected to be tagged.
    """
    date = timeline.start.astype("datetime64[D]") + np.arange(len(timeline.intensity))
    x = spend.sum(axis=0) / (company_size(args, date) * timeline.intensity)
    counted = (arrivals.kind != BOT) & (day < args.days)
    sessions = np.bincount(day[counted], minlength=args.days)
    base = x[: args.days].copy()
    total = max(int(sessions.sum()), 1)
    half = (sessions * base).sum() / total
    if half == 0:  # nobody comes on a day with any spend
        return np.where(x > 0, TAGGED, 0.0)
    mean = (sessions * base / (base + half)).sum() / total
    return np.asarray(min(TAGGED / mean, MOST_TAGGED) * x / (x + half))


def _regardless_of_spend(
    draws: Draws,
    key: Array,
    favourite: Array,
    day: Array,
    campaigns: Campaigns,
    timeline: Timeline,
) -> Array:
    """Tags of a world whose campaigns do nothing: a flat chance, any campaign that runs."""
    preferred = (favourite >= 0) & draws("tag.preferred").chance(OF_PREFERRED, key)
    anyhow = draws("tag.channel").integers(0, len(CHANNELS), key)
    channel = np.where(preferred, favourite, anyhow)
    first, running, found = _running(campaigns, timeline)
    # Where nothing runs in the channel: anything that runs.
    channel = np.where(running[channel, day] > 0, channel, len(CHANNELS))
    number = running[channel, day]
    tagged = draws("tag").chance(TAGGED, key) & (number > 0)
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
    campaign, nth = within(length)
    day = first[campaign] + nth
    cell = campaigns.channel[campaign].astype(np.int64) * days + day
    cell = np.concatenate([cell, len(CHANNELS) * days + day])
    order = np.argsort(cell, kind="stable")
    found = np.concatenate([campaign, campaign, [-1]])[np.concatenate([order, [len(cell)]])]
    number = np.bincount(cell, minlength=(len(CHANNELS) + 1) * days)
    shape = (len(CHANNELS) + 1, days)
    return first_rows(number).reshape(shape), number.reshape(shape), found
