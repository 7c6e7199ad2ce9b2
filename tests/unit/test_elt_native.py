"""The compiled decoder against the one in Python: the same bytes, or the document is left to it.

``AMATO_FUZZ_CASES`` says how many documents each of the random tests makes (20,000);
``AMATO_FUZZ_SEED`` where they begin.
"""

import logging
import math
import os
import random
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import bson
import pytest
from bson.binary import Binary
from bson.code import Code
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.datetime_ms import DatetimeMS
from bson.dbref import DBRef
from bson.decimal128 import Decimal128
from bson.errors import InvalidBSON
from bson.int64 import Int64
from bson.max_key import MaxKey
from bson.min_key import MinKey
from bson.objectid import ObjectId
from bson.regex import Regex
from bson.timestamp import Timestamp

from elt import native
from elt.native import build
from elt.readers import mongo_documents
from elt.readers.mongo_columns import ColumnJoiner
from elt.readers.mongo_documents import DocumentConverter
from elt.specs import MONGO, MONGO_ID, Column, TableSpec

CASES = int(os.environ.get("AMATO_FUZZ_CASES", "20000"))
SEED = int(os.environ.get("AMATO_FUZZ_SEED", "1"))
SPEC = TableSpec(
    "mongo",
    "everything",
    MONGO_ID,
    "id",
    "at",
    "mutable",
    (
        *(Column("text", "text"), Column("other", "text")),
        *(Column("small", "smallint"), Column("whole", "integer"), Column("big", "bigint")),
        *(Column("at", "timestamptz"), Column("nested", "jsonb"), Column("is", "boolean")),
        *(Column("part", "double precision"), Column("exact", "numeric(9,2)")),
    ),
)
COLUMNS = tuple((column.name, column.type) for column in SPEC.all_columns)
OPTIONS: CodecOptions[dict[str, Any]] = CodecOptions(
    document_class=dict, datetime_conversion=DatetimeConversion.DATETIME_AUTO
)
OBJECT_ID = ObjectId("00ff5f5f5f5f5f5f5f5f5fa0")
MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678000)
Copy = Callable[[bytes], tuple[bytes, int, list[bytes]] | None]


@pytest.fixture(scope="module", autouse=True)
def copy_lines() -> Copy:
    """The decoder, built if need be, for the spec of this module."""
    build.build()
    native.copier.cache_clear()
    copy = native.copier()
    assert copy is not None
    return lambda reply: copy(reply, COLUMNS)


def check(copy: Copy, document: bytes) -> bool:
    """Hold one document against Python's line; returns whether the decoder wrote it."""
    copied = copy(document)
    if copied is None:
        return False
    data, rows, odd = copied
    if odd:
        assert (data, rows, odd) == (b"", 0, [document])
        return False
    decoded = bson.decode_all(document, OPTIONS)
    assert (data, rows) == (ColumnJoiner(SPEC).join(decoded), len(decoded))
    return rows > 0


ORDINARY: list[dict[str, Any]] = [
    {},
    {"text": ""},
    {"text": "plain", "other": "Grüße, 世界 🎉 \x01\x1f\x7f\"'"},
    {"text": "\U0010ffff\ud7ff\ue000\u0080\u07ff\u0800\uffff"},
    {"text": None, "small": None, "at": None, "nested": None, "is": None, "part": None},
    {"exact": None},
    {"small": -(1 << 15), "whole": (1 << 31) - 1, "big": Int64(-(1 << 63))},
    {"small": Int64((1 << 15) - 1), "whole": -(1 << 31), "big": Int64((1 << 63) - 1)},
    {"big": 0, "at": MOMENT},
    {"at": datetime(1, 1, 1)},
    {"at": datetime(9999, 12, 31, 23, 59, 59, 999000)},
    {"at": datetime(1969, 12, 31, 23, 59, 59, 1000)},
    {"at": datetime(2024, 2, 29)},
    {"is": True, "part": 0.0},
    {"is": False, "part": -1e300},
    {"nested": {}},
    {"nested": []},
    {"nested": {"": [None, True, False, 0, Int64(-1), 1.5, -0.05, 1e15, {"x": [[]]}]}},
    {"nested": {'k\\\n\r\t\b\f"\x01é': 'v\\\n\r\t\b\f"\x1f\\u0000null\x7f'}},
    {"nested": {"position": {"x": 1, "y": -2}, "element": "buy", "value": 19.99}},
    {"part": 5e-324, "other": "after", "text": "before"},
]
ODD: list[dict[str, Any]] = [
    *({"text": f"a{special}b"} for special in "\\\n\r\t\0"),
    {"undeclared": None},
    {"_extra": "x"},
    {"text": 5},
    {"text": Code("x")},
    {"small": 1 << 15},
    {"small": -(1 << 15) - 1},
    {"whole": Int64(1 << 31)},
    {"big": 1.0},
    {"big": True},
    {"at": DatetimeMS(253402300800000)},
    {"at": DatetimeMS(-62135596800001)},
    {"at": DatetimeMS((1 << 63) - 1)},
    {"at": DatetimeMS(-(1 << 63))},
    {"at": Timestamp(1, 1)},
    {"is": 1},
    *({"part": value} for value in (math.nan, math.inf, -math.inf, -0.0)),
    {"exact": Decimal128("1.00")},
    {"nested": "{}"},
    *(
        {"nested": {"x": [value]}}
        for value in (
            *("\0", math.nan, math.inf, -0.0, MOMENT, OBJECT_ID, Binary(b""), Regex("x")),
            *(MinKey(), DBRef("x", 1), Code("x", {}), Decimal128("1"), 1e16, 9e-5),
        )
    ),
    {"nested": {"$oid": "x"}},
    {"nested": {str(number): number for number in range(65)}},
]


@pytest.mark.parametrize("fields", ORDINARY, ids=repr)
def test_ordinary_documents_are_written_as_python_does(
    copy_lines: Copy, fields: dict[str, Any]
) -> None:
    assert check(copy_lines, bson.encode({"_id": OBJECT_ID, **fields}))
    assert check(copy_lines, bson.encode({**fields, "_id": OBJECT_ID}))


@pytest.mark.parametrize("fields", ODD, ids=lambda fields: repr(fields)[:60])
def test_other_documents_are_left_to_python(copy_lines: Copy, fields: dict[str, Any]) -> None:
    assert not check(copy_lines, bson.encode({"_id": OBJECT_ID, **fields}))


@pytest.mark.parametrize("key", ["x", "5f5f5f5f5f5f5f5f5f5f5f5f", 5, None, True, {"x": 1}, 1.5])
def test_only_an_object_id_is_an_ordinary_key(copy_lines: Copy, key: Any) -> None:
    assert not check(copy_lines, bson.encode({"_id": key, "text": "x"}))


def test_no_key_and_repeated_fields_are_left_to_python(copy_lines: Copy) -> None:
    element = bson.encode({"_id": OBJECT_ID})[4:-1]
    text = bson.encode({"text": "x"})[4:-1]
    assert not check(copy_lines, bson.encode({"text": "x"}))
    for elements in (element + element, element + text + text):
        assert not check(copy_lines, framed(elements))
    nested = b"\x03nested\0" + framed(text + text)
    assert not check(copy_lines, framed(element + nested))


def test_deep_nesting_is_left_to_python(copy_lines: Copy) -> None:
    for depth, kept in ((32, True), (33, False), (5_000, False)):
        inner = framed(b"")
        for _ in range(depth - 1):
            inner = framed(b"\x03x\0" + inner)
        document = framed(b"\x07_id\0" + OBJECT_ID.binary + b"\x03nested\0" + inner)
        if kept:
            assert check(copy_lines, document)
        else:
            assert copy_lines(document) == (b"", 0, [document])


def framed(elements: bytes) -> bytes:
    """A document of these elements."""
    return struct.pack("<i", len(elements) + 5) + elements + b"\0"


def test_wrong_arguments_are_refused() -> None:
    copy: Any = native.copier()
    for arguments in ((), (b"",), ("", COLUMNS), (b"", list(COLUMNS)), (b"", ("x",)), (b"", ((),))):
        with pytest.raises(TypeError):
            copy(*arguments)
    for columns in ((), (("a\0b", "text"),)):
        with pytest.raises(ValueError, match=r"NUL|key"):
            copy(b"", columns)


def test_one_odd_document_does_not_keep_the_others(copy_lines: Copy) -> None:
    documents = [{"_id": OBJECT_ID, "small": number} for number in (1, 1 << 15, 2)]
    one, two, three = map(bson.encode, documents)
    copied = copy_lines(one + two + three)
    assert copied == (ColumnJoiner(SPEC).join([documents[0], documents[2]]), 2, [two])
    assert copy_lines(b"") == (b"", 0, [])


@pytest.mark.parametrize("spec", MONGO, ids=lambda spec: spec.name)
def test_every_collection_can_be_read_natively(spec: TableSpec) -> None:
    values = {"text": "x", "integer": 7, "timestamptz": MOMENT, "jsonb": {"x": 1}}
    document = {"_id": OBJECT_ID, **{c.name: values[c.type] for c in spec.columns}}
    (batch,) = DocumentConverter(spec).batches(bson.encode(document))
    assert batch.data == ColumnJoiner(spec).join([document])


def converted(reply: bytes, spec: TableSpec = SPEC) -> tuple[list[bytes], list[Any], Any]:
    """Lines in order, rejected rows, undeclared fields."""
    converter = DocumentConverter(spec)
    batches = list(converter.batches(reply))
    # Both are read in UTC: a date of the closer look has its zone.
    lines = [line.replace(b"+00", b"") for batch in batches for line in batch.data.splitlines()]
    assert len(lines) == sum(batch.rows for batch in batches)
    rejected = [entry for batch in batches for entry in batch.rejected]
    return sorted(lines), sorted(rejected, key=repr), dict(converter.undeclared)


def test_the_converter_gives_the_same_with_and_without(
    copy_lines: Copy, monkeypatch: pytest.MonkeyPatch
) -> None:
    fuzzer = Fuzzer(random.Random(SEED))
    replies = [b"".join(fuzzer.document() for _ in range(20)) for _ in range(100)]
    broken = bson.encode({"_id": "broken", "text": "x"}).replace(b"x\0\0", b"\xff\0\0")
    replies.append(bson.encode({"_id": OBJECT_ID}) + broken)
    expected = [converted(reply) for reply in replies]
    monkeypatch.setattr(mongo_documents, "copier", lambda: None)
    assert [converted(reply) for reply in replies] == expected
    assert any(entry[1] for entry in expected) and any(entry[2] for entry in expected)


@pytest.mark.parametrize("native_too", [True, False])
def test_large_replies_are_cut_between_documents(
    native_too: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not native_too:
        monkeypatch.setattr(mongo_documents, "copier", lambda: None)
    document = bson.encode({"_id": OBJECT_ID, "text": "x" * 1_000_000})
    batches = list(DocumentConverter(SPEC).batches(document * 11))
    assert [batch.rows for batch in batches] == [5, 5, 1]


@pytest.mark.parametrize("length", [0, -1, 4, 1000])
def test_a_reply_of_no_documents_is_an_error(length: int) -> None:
    reply = bson.encode({"_id": OBJECT_ID}) + struct.pack("<i", length) + b"\0" * 8
    with pytest.raises(InvalidBSON):
        list(DocumentConverter(SPEC).batches(reply))


class Fuzzer:
    """Random documents, ordinary ones and others, and random damage."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng

    def text(self) -> str:
        pools = (
            "abc",
            "abcdefgh ",
            'ab"\\',
            "\t\n\r\b\f\x01\x1f\x7f",
            "é世🎉",
            "null\\u0000-0.0\0",
        )
        pool = self.rng.choices(pools, (8, 4, 1, 0.3, 2, 0.3))[0]
        return "".join(self.rng.choices(pool, k=self.rng.choice((0, 1, 3, 7, 8, 9, 30))))

    def integer(self) -> int:
        bits = self.rng.choice((4, 15, 16, 31, 32, 63))
        value = self.rng.randrange(-(1 << bits), 1 << bits)
        return value if self.rng.random() < 0.5 else Int64(value)

    def number(self) -> float:
        if self.rng.random() < 0.1:
            bits = self.rng.getrandbits(64)
            return float(struct.unpack("<d", bits.to_bytes(8, "little"))[0])
        return round(
            self.rng.uniform(-1, 1) * 10 ** self.rng.randint(-4, 17), self.rng.randint(0, 9)
        )

    def date(self) -> DatetimeMS:
        if self.rng.random() < 0.8:
            return DatetimeMS(self.rng.randrange(-62135596800000, 253402300800000))
        return DatetimeMS(self.rng.randrange(-(1 << 63), 1 << 63))

    def nested(self, depth: int = 0) -> Any:
        make = self.nested if depth < 4 else self.text
        values = [
            make(depth + 1) if make == self.nested and self.rng.random() < 0.3 else self.scalar()
            for _ in range(self.rng.randrange(4))
        ]
        if self.rng.random() < 0.5:
            return values
        return {self.text().replace("\0", ""): value for value in values}

    def scalar(self) -> Any:
        makers = (self.text, self.integer, self.number, lambda: None, lambda: True, self.strange)
        return self.rng.choices(makers, (8, 5, 4, 1, 1, 0.2))[0]()

    def strange(self) -> Any:
        return self.rng.choice(
            (
                *(ObjectId(self.rng.randbytes(12)), Binary(self.rng.randbytes(3), 0x80)),
                *(Regex("a", "i"), Timestamp(1, 2), MinKey(), MaxKey(), Code("f"), Code("f", {})),
                *(Decimal128("1.5"), DBRef("c", 1), math.nan, -0.0, MOMENT, DatetimeMS(1 << 60)),
                *(self.text(), self.integer(), self.number(), self.nested(3), {"$id": 1}),
            )
        )

    def document(self) -> bytes:
        makers: dict[str, Callable[[], Any]] = {
            **dict.fromkeys(("text", "other"), self.text),
            **dict.fromkeys(("small", "whole", "big"), lambda: self.integer() % 40_000),
            **{"at": self.date, "nested": self.nested, "is": lambda: self.rng.random() < 0.5},
            **{"part": self.number, "exact": lambda: None},
        }
        document: dict[str, Any] = {"_id": ObjectId(self.rng.randbytes(12))}
        for name, make in makers.items():
            if self.rng.random() < 0.7:
                document[name] = make() if self.rng.random() < 0.97 else self.strange()
        if self.rng.random() < 0.05:
            document[self.text().replace("\0", "")] = self.strange()
        if self.rng.random() < 0.05:
            document["_id"] = self.scalar()
        names = list(document)
        if self.rng.random() < 0.3:
            self.rng.shuffle(names)
        return bson.encode({name: document[name] for name in names})

    def damaged(self, document: bytes) -> bytes:
        """The document with some bytes changed, cut, or doubled."""
        data = bytearray(document)
        for _ in range(self.rng.choice((1, 1, 1, 1, 2, 4))):
            at = self.rng.randrange(len(data))
            match self.rng.choices(range(6), (6, 4, 1, 1, 2, 1))[0]:
                case 0:
                    data[at] ^= 1 << self.rng.randrange(8)
                case 1:
                    data[at] = self.rng.choice((0, 1, 2, 3, 4, 0x7F, 0x80, 0xC0, 0xED, 0xFF))
                case 2:
                    del data[at : at + self.rng.randrange(1, 9)]
                case 3:
                    data[at:at] = data[at : at + self.rng.randrange(1, 30)]
                case 4:
                    data[at : at + 4] = struct.pack("<i", self.rng.choice(LENGTHS))
                case _:
                    data[at:at] = self.rng.randbytes(self.rng.randrange(1, 5))
            data = data or bytearray(1)
        if self.rng.random() < 0.8:
            # Otherwise most of it would be refused for its length.
            data[:4] = struct.pack("<i", len(data))
        return bytes(data)


LENGTHS = (0, 1, 4, 5, -1, -5, (1 << 31) - 1, -(1 << 31), 1 << 24, 12, 13)


def fuzz(damage: bool) -> Iterator[bytes]:
    """The random test's documents; each kind has its own."""
    fuzzer = Fuzzer(random.Random(f"{SEED} {damage}"))
    for _ in range(CASES):
        document = fuzzer.document()
        yield fuzzer.damaged(document) if damage else document


@pytest.mark.parametrize("damage", [False, True])
def test_random_documents(copy_lines: Copy, damage: bool) -> None:
    written = sum(check(copy_lines, document) for document in fuzz(damage))
    # Enough of them came through for the comparison to mean something.
    assert written > CASES * (0.05 if damage else 0.2)


def test_truncations(copy_lines: Copy) -> None:
    fuzzer = Fuzzer(random.Random(SEED))
    for _ in range(max(CASES // 500, 1)):
        document = fuzzer.document()
        for end in range(len(document)):
            assert copy_lines(document[:end]) == (None if end else (b"", 0, []))
            if end > 4:
                check(copy_lines, struct.pack("<i", end) + document[4:end])


def test_it_is_built_once_and_again_when_its_source_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = build.build(tmp_path)
    built = library.stat().st_ino
    assert build.build(tmp_path).stat().st_ino == built
    source = tmp_path / "changed.c"
    source.write_bytes(build.SOURCE.read_bytes() + b"\n")
    monkeypatch.setattr(build, "SOURCE", source)
    assert build.build(tmp_path).stat().st_ino != built
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [".built", "changed.c", library.name]
    )
    source.write_text("no C")
    with pytest.raises(build.NotBuiltError, match="error"):
        build.build(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(build.NotBuiltError, match="no C compiler"):
        build.build(tmp_path)


def test_without_a_compiler_the_installation_goes_on(tmp_path: Path) -> None:
    script = Path(build.__file__)
    for name in (script.name, build.SOURCE.name):
        (tmp_path / name).write_bytes((script.parent / name).read_bytes())
    done = subprocess.run(
        [sys.executable, str(tmp_path / script.name)],
        env={"PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == (
        "warning: MongoDB will be read in Python only, which is slower: no C compiler\n"
    )


def test_a_missing_extension_is_logged_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "elt.native.bson_copy", None)
    native.copier.cache_clear()
    with caplog.at_level(logging.WARNING):
        assert native.copier() is None
        assert native.copier() is None
    native.copier.cache_clear()
    assert [record.message.split(":")[0] for record in caplog.records] == [
        "MongoDB is read in Python only, which is slower"
    ]
