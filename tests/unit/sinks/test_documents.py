"""Documents made column by column are, to the byte, those that bson makes one by one."""

from datetime import datetime
from typing import Any

import bson
import numpy as np
import pytest
from bson import ObjectId
from hypothesis import given, settings
from hypothesis import strategies as st

from data_generators.sinks.documents import encode_documents, encode_field
from data_generators.tables.rows import MISSING, Coded, Column, RawText
from tests.unit.sinks.planted import key, planted_rows, raw_object_id, table_spec

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
INT64 = st.integers(-(2**63), 2**63 - 1)
SCALAR = st.one_of(TEXT, INT64, st.booleans(), st.none(), st.floats(allow_nan=False))
NAME = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5)
NESTED = st.recursive(
    SCALAR,
    lambda of: st.lists(of, max_size=3) | st.dictionaries(NAME, of, max_size=3),
    max_leaves=5,
)
TIMES = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)).map(
    lambda at: at.replace(microsecond=0)
)
KINDS = ("text", "S", "mixed", "int", "small", "float", "time", "date", "bool", "coded")
OVERRIDE = st.one_of(NESTED, TIMES, st.just(MISSING))


def objects(values: list[Any]) -> Any:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


@st.composite
def columns(draw: st.DrawFn, size: int) -> tuple[Column, list[Any]]:
    """A column of one of the kinds that the contract allows, and its plain values."""

    def some(values: st.SearchStrategy[Any]) -> list[Any]:
        return draw(st.lists(values, min_size=size, max_size=size))

    match draw(
        st.sampled_from(
            ["text", "S", "mixed", "int", "small", "float", "time", "date", "bool", "coded"]
        )
    ):
        case "text":
            plain = some(TEXT | st.none())
            return objects(plain), plain
        case "S":
            plain = some(st.text(st.characters(codec="ascii", exclude_characters="\0")))
            return np.array([text.encode() for text in plain], dtype="S"), plain
        case "mixed":
            plain = some(NESTED)
            return objects(plain), plain
        case "int":
            plain = some(INT64)
            return np.array(plain, dtype=np.int64), plain
        case "small":
            plain = some(st.integers(-5, 5))
            return np.array(plain, dtype=np.int64), plain
        case "float":
            plain = some(st.floats(allow_nan=False) | st.none())
            return np.array([np.nan if v is None else v for v in plain], dtype=float), plain
        case "time":
            plain = some(TIMES | st.none())
            return np.array(plain, dtype="datetime64[s]"), plain
        case "date":
            plain = some(st.none() | TIMES.map(lambda at: datetime(at.year, at.month, at.day)))
            return np.array(plain, dtype="datetime64[D]"), plain
        case "bool":
            plain = some(st.booleans())
            return np.array(plain, dtype=bool), plain
        case _:
            pool = draw(st.lists(NESTED, min_size=1, max_size=4))
            codes = some(st.integers(-1, len(pool) - 1))
            plain = [None if code < 0 else pool[code] for code in codes]
            return Coded(np.array(codes, dtype=np.int64), pool), plain


@settings(deadline=None)
@given(st.data())
def test_documents_are_those_of_bson(data: st.DataObject) -> None:
    size = data.draw(st.integers(0, 6))
    names = data.draw(
        st.lists(NAME.filter(lambda n: n != "_id"), min_size=1, max_size=5, unique=True)
    )
    made = {name: data.draw(columns(size)) for name in names}
    overrides = {
        position: data.draw(st.dictionaries(st.sampled_from(names), OVERRIDE, max_size=3))
        for position in range(size)
        if data.draw(st.booleans())
    }
    extra = data.draw(st.lists(st.fixed_dictionaries({n: OVERRIDE for n in names}), max_size=2))
    spec = table_spec("mongo", [(name, "text") for name in names])
    planted = planted_rows(spec, {n: column for n, (column, _) in made.items()}, overrides, extra)

    expected = []
    for position in range(size):
        document = {"_id": ObjectId(raw_object_id(position))}
        document |= {name: plain[position] for name, (_, plain) in made.items()}
        document |= overrides.get(position, {})
        expected.append(document)
    expected += [
        {"_id": key(spec, size + at), **{name: values[name] for name in names}}
        for at, values in enumerate(extra)
    ]
    assert encode_documents(planted).to_pylist() == [
        bson.encode({name: v for name, v in document.items() if v is not MISSING})
        for document in expected
    ]


def test_a_text_of_wrong_bytes_stands_where_a_text_would() -> None:
    wrong = RawText(b"caf\xe9\0!")
    assert encode_field("t", wrong) == bson.encode({"t": "caf??!"})[4:-1].replace(
        b"??!", b"\xe9\0!"
    )
    spec = table_spec("mongo", [("t", "text"), ("n", "integer")])
    columns = {"t": objects(["a", "b", None]), "n": np.arange(3)}
    documents = encode_documents(planted_rows(spec, columns, {1: {"t": wrong}})).to_pylist()
    assert wrong in documents[1]
    options = bson.CodecOptions(unicode_decode_error_handler="replace")
    assert [bson.decode(d, options)["t"] for d in documents] == ["a", "caf\ufffd\0!", None]
    with pytest.raises(bson.errors.InvalidBSON):
        bson.decode(documents[1])


def test_an_override_of_a_field_that_is_not_declared_is_refused() -> None:
    spec = table_spec("mongo", [("t", "text")])
    with pytest.raises(KeyError, match="typo"):
        encode_documents(planted_rows(spec, {"t": objects(["a"])}, {0: {"typo": 1}}))


def test_the_order_of_fields_is_the_declared_one() -> None:
    spec = table_spec("mongo", [("a", "text"), ("b", "text")])
    rows = planted_rows(
        spec, {"b": objects(["2"]), "a": objects(["1"])}, extra=[{"b": "4", "a": "3"}]
    )
    assert [list(bson.decode(d)) for d in encode_documents(rows).to_pylist()] == [
        ["_id", "a", "b"],
        ["_id", "a", "b"],
    ]
