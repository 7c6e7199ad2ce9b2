"""When things happen: growth, seasons, weekdays, holidays and the hours of a day.

The intensity of a day is a deterministic function of its date, about 1 on average over a year.
Purchases run in *operational time*, the integral of the intensity: what is a Poisson process
there is one with seasons on the clock. Nothing here depends on the day up to which a world is
made, so that adding days changes nothing before them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]

DAY = 86_400
WEEK = 7 * DAY
#: Monday to Sunday.
WEEKDAYS = np.array([0.95, 0.92, 0.94, 0.98, 1.07, 1.10, 1.04])
#: Relative traffic of the hours of a day (UTC); the evening is busiest.
AM = (2.0, 1.2, 0.8, 0.6, 0.6, 0.9, 1.6, 2.6, 3.6, 4.4, 5.0, 5.4)
PM = (5.6, 5.4, 5.2, 5.0, 5.2, 5.6, 6.2, 7.0, 7.4, 6.8, 5.2, 3.4)
HOURS = np.array([*AM, *PM])
_HOUR_SHARES = np.concatenate([[0.0], np.cumsum(HOURS / HOURS.sum())])
YEARLY_AMPLITUDE = 0.12
#: (month, day, days, factor): sales, gifts before Christmas, and the quiet after it.
HOLIDAYS = (
    (1, 1, 1, 0.6),
    (2, 12, 3, 1.15),
    (7, 4, 1, 0.85),
    (11, 24, 7, 1.45),
    (12, 8, 14, 1.3),
    (12, 24, 3, 0.55),
)
#: Of the acquisition of customers, its rate on the last day of the history over the first.
GROWTH = 3.0


def day_intensity(days: Array) -> Floats:
    """The relative intensity of each day (``datetime64[D]``): season x weekday x holiday."""
    days = days.astype("datetime64[D]")
    number = days.astype(np.int64)
    weekday = (number + 3) % 7  # 1970-01-01 was a Thursday
    years = days.astype("datetime64[Y]")
    day_of_year = (days - years.astype("datetime64[D]")).astype(np.int64)
    # Lowest in late January, highest in late July... and again lifted by the holidays below.
    season = 1 + YEARLY_AMPLITUDE * np.sin(2 * np.pi * (day_of_year - 110) / 365.25)
    factor = np.ones(len(days))
    for month, first, length, height in HOLIDAYS:
        begins = (years.astype("datetime64[M]") + np.timedelta64(month - 1, "M")).astype(
            "datetime64[D]"
        ) + np.timedelta64(first - 1, "D")
        into = (days - begins).astype(np.int64)
        factor[(into >= 0) & (into < length)] *= height
    return np.asarray(season * WEEKDAYS[weekday] * factor)


@dataclass(frozen=True)
class Timeline:
    """The days of a world from its start to ``until``, and operational time along them.

    ``cumulative`` has one entry more than there are days: operational seconds before each.
    """

    start: np.datetime64
    until: np.datetime64
    intensity: Floats
    cumulative: Floats

    @classmethod
    def of(cls, start: np.datetime64, until: np.datetime64) -> Timeline:
        """The timeline of ``[start, until)``, both at midnight."""
        days = np.arange(start.astype("datetime64[D]"), until.astype("datetime64[D]"))
        intensity = day_intensity(days)
        return cls(start, until, intensity, np.concatenate([[0.0], np.cumsum(intensity * DAY)]))

    @property
    def horizon(self) -> float:
        """The operational seconds of the whole timeline."""
        return float(self.cumulative[-1])

    def operational(self, times: Array) -> Floats:
        """Operational seconds since the start; times lie in ``[start, until]``."""
        seconds = (times - self.start).astype(np.int64).astype(np.float64)
        day = np.minimum((seconds // DAY).astype(np.int64), len(self.intensity) - 1)
        share = np.interp(seconds - day * DAY, np.arange(25) * 3600.0, _HOUR_SHARES)
        return np.asarray(self.cumulative[day] + share * self.intensity[day] * DAY)

    def clock(self, operational: Floats) -> Array:
        """The times (whole seconds) at which these operational seconds have passed.

        The inverse of `operational`: within a day, both follow `HOURS`.
        """
        day = np.searchsorted(self.cumulative, operational, side="right") - 1
        day = np.clip(day, 0, len(self.intensity) - 1)
        share = (operational - self.cumulative[day]) / (self.intensity[day] * DAY)
        seconds = day * DAY + second_of_day(share)
        return np.asarray(self.start + seconds.astype("timedelta64[s]"))


def second_of_day(share: Floats) -> npt.NDArray[np.int64]:
    """The second (0 to 86,399) by which this share of a day's traffic has come."""
    seconds = np.interp(share, _HOUR_SHARES, np.arange(25) * 3600.0)
    return np.asarray(np.clip(seconds.astype(np.int64), 0, DAY - 1))


def acquired_by(share: Floats) -> Floats:
    """The share of the history at which this share of the customers has registered.

    The rate of registration grows linearly to ``GROWTH`` times its first value: the inverse
    of ``(x + (GROWTH - 1) x^2 / 2) / ((GROWTH + 1) / 2)``.
    """
    slope = GROWTH - 1
    return np.asarray((np.sqrt(1 + slope * (GROWTH + 1) * share) - 1) / slope)
