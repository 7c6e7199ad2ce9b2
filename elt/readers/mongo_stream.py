"""A cursor of raw replies that does not look into them.

pymongo 4.20's own makes an object of every document of a reply, and drops it unused: that is
four fifths of the time that reading takes. What is used here of pymongo is not public; a version
that has it no longer fails in the first test that reads.
"""

from __future__ import annotations

from typing import Any

from bson import _convert_raw_document_lists_to_streams
from bson.raw_bson import _RAW_ARRAY_BSON_OPTIONS, RawBSONDocument, _RawArrayBSONDocument
from pymongo.cursor import RawBatchCursor

_OPTIONS: Any = _RAW_ARRAY_BSON_OPTIONS


class ReplyStream(RawBatchCursor[Any]):
    """What ``find_raw_batches`` returns; its arguments, after the collection."""

    def _unpack_response(self, response: Any, *details: Any, **more: Any) -> list[Any]:
        reply = dict(RawBSONDocument(response.raw_command_response()))
        if "cursor" not in reply:
            failed: list[Any] = super()._unpack_response(response, *details, **more)
            return failed
        reply["cursor"] = dict(_RawArrayBSONDocument(reply["cursor"].raw, _OPTIONS))
        _convert_raw_document_lists_to_streams(reply)
        return [reply]
