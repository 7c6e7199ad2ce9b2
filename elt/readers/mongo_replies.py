"""MongoDB's replies as they came: the bytes of their documents, one after another.

pymongo's own ``find_raw_batches`` makes an object of every document of a reply before it
throws them away: most of what its client costs (pymongo 4.20, ``_OpMsg.raw_response``). Here
nothing below the array of documents is looked at.
"""

from __future__ import annotations

from typing import Any

import bson
from bson.raw_bson import _RAW_ARRAY_BSON_OPTIONS
from pymongo.cursor import RawBatchCursor


class ReplyCursor(RawBatchCursor[Any]):
    """A ``RawBatchCursor`` that takes replies apart faster; the same arguments and items."""

    def _unpack_response(self, response: Any, *_: Any, **__: Any) -> list[Any]:
        payload = response.raw_command_response()
        reply: dict[str, Any] = dict(bson.decode(payload, _RAW_ARRAY_BSON_OPTIONS))
        if "cursor" in reply:
            reply["cursor"] = dict(reply["cursor"])
        bson._convert_raw_document_lists_to_streams(reply)
        return [reply]
