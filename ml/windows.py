"""Calendar windows relative to an as-of date."""

from __future__ import annotations

import calendar
from datetime import date


def months_before(day: date, months: int) -> date:
    """Return the date `months` calendar months before `day`.

    A day that the earlier month does not have becomes that month's last day, so that
    one month before 31 March is 28 (or 29) February.

    Raises:
        ValueError: `months` is negative.
    """
    if months < 0:
        raise ValueError(f"months must be 0 or more, got {months}")
    index = day.year * 12 + day.month - 1 - months
    year, month = divmod(index, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return date(year, month + 1, min(day.day, last))
