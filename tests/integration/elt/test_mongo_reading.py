"""MongoDB read by the compiled decoder and by Python, and the stream of its replies."""

from collections.abc import Callable
from typing import Any

import bson
import psycopg
import pytest
from bson import Decimal128, Int64, ObjectId
from bson.datetime_ms import DatetimeMS
from bson.errors import InvalidBSON
from pymongo.cursor import CursorType
from pymongo.errors import OperationFailure

from elt import batch as limits
from elt import native
from elt.batch import Window
from elt.native import build
from elt.readers import mongo, mongo_documents
from elt.readers.mongo_keys import PairReader
from elt.readers.mongo_stream import ReplyStream
from tests.integration.elt.support import (
    Clicks,
    at,
    empty_warehouse,
    fingerprint,
    load_night,
    query,
)

ROWS = 2 * mongo.BATCH_SIZE + 1
ODD: list[dict[str, Any]] = [
    {"_id": "text"},
    {"_id": {"sub": 1}},
    {"landing_page": "tab\tback\\slash"},
    {"landing_page": 5},
    {"duration_seconds": Int64(1 << 40)},
    {"session_start": DatetimeMS(1 << 55)},
    {"utm": {"at": DatetimeMS(0), "exact": Decimal128("1.0")}},
    {"utm": {"text": "\0"}},
    {"score": 1.5},
    {"score": 2.5},
    {"late": True, "unknown": None},
]


def documents() -> list[dict[str, Any]]:
    """Ordinary ones, with a few others among them."""
    made = [
        {
            "_id": ObjectId(number.to_bytes(12, "big")),
            "session_id": f"S{number}",
            "landing_page": None if number % 3 else f"/é世🎉/{number}",
            "duration_seconds": number,
            "session_start": at(1).replace(microsecond=number % 1000 * 1000),
            "utm": {"n": [number, number / 100, None, {"quoted": '"\\\n'}]} if number % 2 else None,
            "updated_at": at(1 + number % 2),
        }
        for number in range(ROWS)
    ]
    for number, fields in enumerate(ODD):
        made[number * 97].update(fields)
    return made


def undecodable(text: bytes, day: int = 1) -> bytes:
    """A document whose text is not UTF-8."""
    whole = bson.encode({"_id": "broken", "landing_page": "?" * len(text), "updated_at": at(day)})
    return whole.replace(b"?" * len(text), text)


def test_both_decoders_load_the_same(
    clicks: Clicks,
    warehouse: psycopg.Connection[Any],
    shared_warehouse_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    build.build()
    native.copier.cache_clear()
    copy = native.copier()
    assert copy is not None
    written = 0

    def counting(reply: bytes, columns: tuple[tuple[str, str], ...]) -> Any:
        nonlocal written
        copied = copy(reply, columns)
        written += copied[1] if copied else 0
        return copied

    def loaded() -> tuple[Any, ...]:
        clicks.clear()
        clicks.client.sessions.insert_many(documents(), bypass_document_validation=True)
        clicks.put_raw(undecodable(b"\xff\xfe"))
        nights = []
        for day in (2, 3):
            result = load_night(warehouse, clicks, day)
            nights.append((result.read, result.inserted, result.updated, result.rejected))
            nights.append((result.source_checksum, result.differences))
        rejected = query(
            warehouse, "select source_key, reason, payload from elt.rejected_rows order by 1"
        )
        return fingerprint(warehouse, clicks), nights, rejected

    results = []
    copiers: list[Callable[[], Any]] = [lambda: counting, lambda: None]
    for copier in copiers:
        empty_warehouse(shared_warehouse_url)
        monkeypatch.setattr(mongo_documents, "copier", copier)
        results.append(loaded())
    assert results[0] == results[1]
    assert len(results[0][2]) == 1
    assert written >= ROWS - len(ODD)


def test_a_stream_that_is_not_read_to_its_end_leaves_the_client_usable(clicks: Clicks) -> None:
    clicks.clear()
    clicks.client.sessions.insert_many({"_id": number} for number in range(ROWS))
    for _ in range(3):
        with mongo.snapshot(clicks.client, clicks.spec, at(3)) as opened:
            batches = opened.read(Window(at(3)))
            assert next(batches).rows == mongo.BATCH_SIZE
            batches.close()
            assert sum(batch.rows for batch in opened.read(Window(at(3)))) == ROWS
            assert next(opened.read_keys(['{"$numberInt": "7"}'])).rows == 1


@pytest.mark.parametrize("rows", [0, 1, ROWS])
@pytest.mark.parametrize("kind", [CursorType.NON_TAILABLE, CursorType.EXHAUST])
def test_a_stream_gives_what_pymongo_does(clicks: Clicks, rows: int, kind: int) -> None:
    clicks.clear()
    if rows:
        clicks.client.sessions.insert_many({"_id": number} for number in range(rows))
    arguments: dict[str, Any] = {"sort": [("_id", 1)], "batch_size": 500, "cursor_type": kind}
    with clicks.client.client.start_session(snapshot=True) as session:
        ours = list(ReplyStream(clicks.client.sessions, {}, session=session, **arguments))
        theirs = list(clicks.client.sessions.find_raw_batches({}, session=session, **arguments))
    assert ours == theirs
    assert sum(len(bson.decode_all(reply)) for reply in ours) == rows


def test_an_error_of_the_server_is_raised(clicks: Clicks) -> None:
    with mongo.snapshot(clicks.client, clicks.spec, at(3)) as opened:
        opened.index = "no such index"
        with pytest.raises(OperationFailure, match="hint"):
            list(opened.held())


def test_rejected_documents_do_not_have_all_keys_read_again(
    clicks: Clicks, warehouse: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> Any:
        raise AssertionError("keys were read again")

    pairs = mongo.MongoSnapshot.pairs
    monkeypatch.setattr(mongo.MongoSnapshot, "pairs", refuse)
    for key in range(5):
        clicks.put(key, "one", at(1))
    clicks.put_raw(undecodable(b"\xff\xfe"))
    assert load_night(warehouse, clicks, 2).rejected == 1
    # An open one, a new one, and one that was live before.
    clicks.put(5, "two", at(2))
    clicks.delete(3)
    clicks.put_raw(undecodable(b"\xfe\xff").replace(b"broken", b"other!"))
    monkeypatch.setattr(mongo.MongoSnapshot, "pairs", pairs)
    assert load_night(warehouse, clicks, 3).deleted == 1
    monkeypatch.setattr(mongo.MongoSnapshot, "pairs", refuse)
    result = load_night(warehouse, clicks, 4)
    assert (result.rejected, result.late, result.raw_rows) == (2, 2, 5)
    # A rejected one that is mended without moving its cursor, and one that is deleted.
    clicks.client.sessions.replace_one({"_id": "broken"}, {"updated_at": at(1)})
    clicks.client.sessions.delete_one({"_id": "other!"})
    result = load_night(warehouse, clicks, 5)
    assert (result.rejected, result.inserted, result.raw_rows) == (0, 1, 6)
    assert query(warehouse, "select 1 from elt.rejected_rows where resolved_at is null") == []
    # One that is live is broken, and then deleted.
    clicks.client.sessions.delete_one({"_id": "broken"})
    clicks.put_raw(undecodable(b"\xff\xfe", 5))
    result = load_night(warehouse, clicks, 6)
    assert (result.rejected, result.deleted, result.raw_rows) == (1, 0, 5)
    clicks.client.sessions.delete_one({"_id": "broken"})
    monkeypatch.setattr(mongo.MongoSnapshot, "pairs", pairs)
    assert load_night(warehouse, clicks, 7).deleted == 1


def test_documents_without_a_key_are_found_however_many_there_are(
    clicks: Clicks, warehouse: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where they are too many to be remembered; none is taken for mended."""
    monkeypatch.setattr(limits, "BATCH_BYTES", 4_000)
    monkeypatch.setattr(limits, "BATCH_ROWS", 3)
    monkeypatch.setattr(mongo, "PAIRS_AT_ONCE", 4)
    clicks.put(1, "one", at(1))
    clicks.client.sessions.insert_many(
        {"_id": str(number) * 1_200, "updated_at": at(1)} for number in range(10)
    )
    still_open = "select count(*) from elt.rejected_rows where resolved_at is null"
    for day in (2, 3, 4):
        clicks.put(day, "another", at(day - 1, 20))
        assert load_night(warehouse, clicks, day).rejected == 10
        assert query(warehouse, still_open) == [(10,)]
    clicks.client.sessions.delete_many({"_id": {"$regex": "^[0-4]{1200}"}})
    load_night(warehouse, clicks, 5)
    assert query(warehouse, still_open) == [(5,)]


def test_keys_of_a_reply_that_is_cut_off_are_not_read() -> None:
    whole = bson.encode({"_id": "text"})
    for reply in (whole[:-1], whole + b"\0\0\0\0", b"\xff\xff\xff\xff" + whole[4:]):
        with pytest.raises(InvalidBSON, match="whole documents"):
            list(PairReader(None, at(1)).read(reply))
