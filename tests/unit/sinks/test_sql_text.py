"""The lines for LOAD DATA and COPY, read back by the servers' own rules."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_generators.sinks.sql_text import encode_rows
from data_generators.tables.rows import Coded, RawText
from tests.unit.sinks.planted import planted_rows, table_spec

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
UNESCAPED = {"\\\\": "\\", "\\t": "\t", "\\n": "\n", "\\r": "\r", "\\0": "\0"}


def objects(values: list[Any]) -> Any:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def read_back(lines: memoryview) -> list[list[str | None]]:
    """The values, as both servers read them."""
    text = bytes(lines).decode()
    assert text == "" or text.endswith("\n")
    return [[_value(cell) for cell in line.split("\t")] for line in text.split("\n")[:-1]]


def _value(cell: str) -> str | None:
    if cell == "\\N":
        return None
    read, at = "", 0
    while at < len(cell):
        step = 2 if cell[at] == "\\" else 1
        read += UNESCAPED[cell[at : at + 2]] if step == 2 else cell[at]
        at += step
    return read


@settings(deadline=None)
@given(st.lists(st.tuples(TEXT | st.none(), TEXT | st.none()), max_size=8), st.data())
def test_any_text_comes_back(values: list[tuple[str | None, str | None]], data: Any) -> None:
    spec = table_spec("mysql", [("plain", "text"), ("coded", "text")])
    pool = [*{second for _, second in values if second is not None}, "unused"]
    codes = [-1 if second is None else pool.index(second) for _, second in values]
    columns: Any = {
        "plain": objects([first for first, _ in values]),
        "coded": Coded(np.array(codes, dtype=np.int64), pool),
    }
    extra = data.draw(st.lists(TEXT | st.none(), max_size=2))
    overrides = {
        position: {"plain": data.draw(TEXT | st.none())}
        for position in range(len(values))
        if data.draw(st.booleans())
    }
    planted = planted_rows(
        spec, columns, overrides, [{"plain": text, "coded": "c"} for text in extra]
    )
    expected = [
        [str(at + 1), overrides.get(at, {"plain": first})["plain"], second]
        for at, (first, second) in enumerate(values)
    ]
    expected += [[str(len(values) + 1 + at), text, "c"] for at, text in enumerate(extra)]
    assert read_back(encode_rows(planted)) == expected


@settings(deadline=None)
@given(
    st.sampled_from([2, 4, 6, 8]),
    st.lists(st.decimals(-(10**9), 10**9, places=2, allow_nan=False), max_size=9),
)
def test_amounts_have_exactly_their_decimals(scale: int, values: list[Decimal]) -> None:
    spec = table_spec("mysql", [("amount", f"numeric(18,{scale})")])
    lines = encode_rows(planted_rows(spec, {"amount": np.array(values, dtype=float)}))
    assert [Decimal(row[1] or "") for row in read_back(lines)] == values


def test_every_kind_of_column() -> None:
    spec = table_spec(
        "postgres",
        [
            ("id", "text"),
            ("count", "integer"),
            ("rate", "numeric(18,8)"),
            ("price", "numeric(18,2)"),
            ("born", "date"),
            ("seen", "timestamptz"),
            ("likes", "jsonb"),
            ("flag", "smallint"),
        ],
    )
    columns: Any = {
        "id": np.array([b"A_1", b"B_22"]),
        "count": np.array([7, -8]),
        "rate": np.array([0.00000001, 0.0]),
        "price": np.array([1e12 + 0.01, np.nan]),
        "born": np.array(["1901-02-03", "NaT"], dtype="datetime64[D]"),
        "seen": np.array(["2026-01-01T00:00:09", "NaT"], dtype="datetime64[s]"),
        "likes": objects([["a\\b", 'say "ü"'], None]),
        "flag": np.array([True, False]),
    }
    first, second = read_back(encode_rows(planted_rows(spec, columns)))
    assert [*first[:3], Decimal(first[3] or "")] == ["1", "A_1", "7", Decimal("0.00000001")]
    assert first[4:] == [
        "1000000000000.01",
        "1901-02-03",
        "2026-01-01 00:00:09",
        '["a\\\\b", "say \\"\\u00fc\\""]',
        "1",
    ]
    assert second[:3] == ["2", "B_22", "-8"]
    assert Decimal(second[3] or "") == 0
    assert second[4:] == [None, None, None, None, "0"]


def test_overridden_values_are_written_as_they_are() -> None:
    spec = table_spec(
        "mysql",
        [("born", "date"), ("at", "timestamptz"), ("sum", "numeric(18,2)"), ("n", "integer")],
    )
    columns: Any = {
        "born": np.zeros(3, "datetime64[D]"),
        "at": np.zeros(3, "datetime64[s]"),
        "sum": np.zeros(3),
        "n": np.zeros(3, dtype=np.int64),
    }
    others = {
        0: {"born": "0000-00-00", "at": None, "sum": -3.5, "n": 10**6},
        2: {"born": date(1850, 1, 2), "at": datetime(2090, 1, 1), "sum": Decimal("9e9"), "n": None},
    }
    assert read_back(encode_rows(planted_rows(spec, columns, others))) == [
        ["1", "0000-00-00", None, "-3.50", "1000000"],
        ["2", "1970-01-01", "1970-01-01 00:00:00", "0.00", "0"],
        ["3", "1850-01-02", "2090-01-01 00:00:00", "9000000000", None],
    ]


@pytest.mark.parametrize("value", [RawText(b"\xff"), b"bytes", {"a": 1}])
def test_what_no_sql_column_holds_is_refused(value: Any) -> None:
    spec = table_spec("mysql", [("t", "text")])
    with pytest.raises(TypeError, match="SQL"):
        encode_rows(planted_rows(spec, {"t": objects(["a"])}, {0: {"t": value}}))
