"""Calendar windows."""

from datetime import date

import pytest

from ml.windows import months_before


@pytest.mark.parametrize(
    ("day", "months", "expected"),
    [
        (date(1998, 7, 1), 3, date(1998, 4, 1)),
        (date(1998, 7, 1), 0, date(1998, 7, 1)),
        (date(1998, 1, 15), 1, date(1997, 12, 15)),
        (date(1998, 3, 31), 1, date(1998, 2, 28)),
        (date(2024, 3, 31), 1, date(2024, 2, 29)),
        (date(1998, 5, 31), 3, date(1998, 2, 28)),
        (date(1998, 7, 1), 36, date(1995, 7, 1)),
    ],
)
def test_months_before(day: date, months: int, expected: date) -> None:
    assert months_before(day, months) == expected


def test_a_negative_window_is_refused() -> None:
    with pytest.raises(ValueError, match="-1"):
        months_before(date(1998, 7, 1), -1)
