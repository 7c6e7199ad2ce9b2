"""The fit tests of single values, and COPY's text format."""

import json
from datetime import UTC, datetime

import bson
import pytest
from bson import Binary, Code, Int64
from hypothesis import given
from hypothesis import strategies as st

from elt.batch import KEY_BYTES, escape, rejected, unescape
from elt.documents import document_fit_for, escape_text, key_text, key_value
from elt.extended_json import canonical, json_fits_jsonb, nested_to_json
from elt.nights import Night
from elt.specs import SPECS
from elt.values import extended, fit_for, takes


@given(st.binary())
def test_escaping_can_be_read_back(value: bytes) -> None:
    escaped = escape(value)
    assert unescape(escaped) == value
    assert b"\t" not in escaped and b"\n" not in escaped


def test_null_is_not_its_own_text() -> None:
    assert unescape(b"\\N") is None
    assert escape(b"\\N") == b"\\\\N"


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0")))
def test_both_escapes_agree(value: str) -> None:
    escaped = escape_text(value)
    assert escaped is not None and escaped.encode() == escape(value.encode())


@pytest.mark.parametrize(
    ("raw_type", "kind", "fits", "misfits"),
    [
        ("smallint", "int", ["0", "-32768", "32767", "007"], ["32768", "-32769", "", "+1", "1.0"]),
        ("integer", "int", ["2147483647", "-2147483648"], ["2147483648", "-2147483649"]),
        ("bigint", "int", ["9223372036854775807"], ["9223372036854775808", "-9223372036854775809"]),
        (
            "numeric(4,2)",
            "decimal",
            ["99.99", "-99.99", "1", "1.500", ".5", "0099.9900"],
            ["100", "99.991", "NaN", "Infinity", "1e1", "", ".", "-", "1,5"],
        ),
        (
            "date",
            "date",
            ["0001-01-01", "9999-12-31", "2024-02-29"],
            [
                "0000-00-00",
                "2024-00-01",
                "2023-02-29",
                "10000-01-01",
                "infinity",
                "20240101",
                "2024-W01-1",
                "0044-03-15 BC",
            ],
        ),
        (
            "timestamptz",
            "datetime",
            ["2024-02-29 23:59:59.999999", "2024-01-01 00:00:00+00"],
            [
                "0000-00-00 00:00:00",
                "2024-02-30 00:00:00",
                "2024-01-01 24:00:00",
                "infinity",
                "2024-01-01 00:00:60",
                "2024-01-01",
                "2024-01-01 00:00:00+05:30",
            ],
        ),
        ("text", "text", ["", "ü", "\x01"], ["a\0b", "\0"]),
        (
            "jsonb",
            "json",
            ["{}", "[1.5, null]", '"\\\\u0000"', "1"],
            ["", "NaN", '"\\u0000"', '"\\udc00"', "-0", "1e500", "{'a': 1}", "[" * 2000],
        ),
        ("text", "int", [], ["1"]),
        ("integer", "text", [], ["1"]),
        ("timestamptz", "date", [], ["2024-01-01"]),
        ("date", "datetime", [], ["2024-01-01 00:00:00"]),
    ],
)
def test_fits(raw_type: str, kind: str, fits: list[str], misfits: list[str]) -> None:
    fit = fit_for(raw_type, kind)  # type: ignore[arg-type]
    assert [value for value in fits if fit(value.encode()) is None] == []
    assert [value for value in misfits if fit(value.encode()) is not None] == []
    assert takes(raw_type, kind) == bool(fits)  # type: ignore[arg-type]


def test_a_text_that_is_not_utf8_does_not_fit() -> None:
    assert fit_for("text", "text")(b"\xff") is None
    assert extended(b"\xff", "text") == {"$binary": {"base64": "/w==", "subType": "80"}}


def test_a_time_without_a_zone_is_utc() -> None:
    fit = fit_for("timestamptz", "datetime")
    assert fit(b"2024-01-01 00:00:00") == b"2024-01-01 00:00:00+00"
    assert fit(b"2024-01-01 00:00:00+00") == b"2024-01-01 00:00:00+00"


def test_every_declared_type_can_be_read() -> None:
    for spec in SPECS:
        for column in spec.all_columns:
            if spec.system == "mongo":
                document_fit_for(column.type)
            else:
                fit_for(column.type, "text")


def test_an_unknown_type_is_named() -> None:
    with pytest.raises(ValueError, match="'money'"):
        fit_for("money", "text")
    with pytest.raises(ValueError, match="'money'"):
        document_fit_for("money")
    with pytest.raises(ValueError, match="precision"):
        fit_for("numeric(5)", "decimal")


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(1 << 63), (1 << 63) - 1)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters(codec="utf-8")),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.text(st.characters(codec="utf-8", exclude_characters="\0$")), inner
            )
        ),
    )
)
def test_nested_values_become_equal_json_or_do_not_fit(value: object) -> None:
    encoded = nested_to_json(value)
    if encoded is None:
        assert "\\u0000" in json.dumps(value) or "-0.0" in json.dumps(value)
    else:
        assert json.loads(encoded) == value
        assert json_fits_jsonb(encoded)


@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8", exclude_characters="\0$")),
        st.text(st.characters(codec="utf-8")) | st.floats() | st.booleans(),
    )
)
def test_canonical_json_fits_jsonb(fields: dict[str, object]) -> None:
    assert json_fits_jsonb(canonical(fields))


@given(
    st.lists(
        st.text(st.characters(codec="utf-8")) | st.integers(0, 9) | st.booleans(),
        unique_by=lambda value: (type(value), value),
    )
)
def test_keys_stay_different(ids: list[object]) -> None:
    keys = [key_text(value) for value in ids]
    assert len(set(keys)) == len(ids)
    assert all(key is not None and "\0" not in key for key in keys)


@pytest.mark.parametrize(
    "id_",
    [
        "a\0b",
        '["a\\u0000b"]',
        "true",
        '"',
        Binary(b"a\0b", 0x80),
        Binary(b"\xff", 0x80),
        Code("f"),
        {"a": "\0", "b": [Int64(1), 1, 1.0]},
        datetime(2026, 1, 1),
    ],
)
def test_a_key_leads_back_to_its_id(id_: object) -> None:
    key = key_text(id_)
    assert key is not None
    assert bson.encode({"_id": key_value(key)}) == bson.encode({"_id": id_})


def test_rejected_rows_have_a_short_name() -> None:
    assert rejected("7", "why", b"x").source_key == "7"
    nulls = {rejected(None, "why", payload).source_key for payload in (b"x", b"y", b"x")}
    assert len(nulls) == 2
    long = rejected("k" * (KEY_BYTES + 1), "why", b"x")
    assert long.key is None and len(long.source_key) < 200


def test_a_night_survives_json() -> None:
    moment = datetime(2026, 1, 2, tzinfo=UTC)
    night = Night(moment.date(), 7, {spec.raw_name: moment for spec in SPECS})
    assert Night.from_json(json.loads(json.dumps(night.as_json()))) == night
    assert night.window(SPECS[0]).end == moment
