"""Whether a BSON value fits a raw column, by strict type: no coercion of any kind."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

from bson import json_util
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from bson.objectid import ObjectId

from elt.extended_json import nested_to_json
from elt.values import INT_BITS, Fit, fit_for

# Returns the value as COPY text, or None where it does not fit.
DocumentFit = Callable[[Any], str | None]

_NAIVE = json_util.CANONICAL_JSON_OPTIONS.with_options(tz_aware=False)
_SPECIAL = re.compile(r"[\\\n\r\t\0]")
_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_AMBIGUOUS = re.compile(r'["{\[]|(?:[0-9a-f]{24}|true|false)\Z')


def document_fit_for(raw_type: str) -> DocumentFit:
    """The test for one column.

    Raises:
        ValueError: the raw type is not one that documents are read into.
    """
    if raw_type in INT_BITS:
        return partial(_fit_int, 1 << (INT_BITS[raw_type] - 1))
    if raw_type.startswith("numeric"):
        return partial(_fit_numeric, fit_for(raw_type, "decimal"))
    fits: dict[str, DocumentFit] = {
        "text": _fit_text,
        "timestamptz": _fit_timestamp,
        "jsonb": _fit_nested,
        "boolean": _fit_bool,
        "double precision": _fit_float,
    }
    if raw_type not in fits:
        raise ValueError(f"no reader for raw columns of type {raw_type!r}: add it here")
    return fits[raw_type]


def key_text(value: Any) -> str | None:
    """A document's ``_id`` as text: different ids never give the same text.

    An ObjectId is its 24 hexadecimal digits and a string is itself; a string that could be
    mistaken for another id stands in quotes, one with NUL is a JSON array of its own (no id is
    an array), and any other type is canonical Extended JSON. None for null.
    """
    if value is None:
        return None
    if type(value) is ObjectId:
        return str(value)
    if type(value) is str:
        if "\0" in value:
            return json.dumps([value])
        return f'"{value}"' if _AMBIGUOUS.match(value) else value
    # JSON escapes NUL, and a key is a text: nothing has to stand for it.
    encoded = json_util.dumps({"_": value}, json_options=json_util.CANONICAL_JSON_OPTIONS)
    return encoded[len('{"_": ') : -1]


def key_value(key: str) -> Any:
    """The ``_id`` that :func:`key_text` wrote."""
    if re.fullmatch(r"[0-9a-f]{24}", key):
        return ObjectId(key)
    if key.startswith('"'):
        return key[1:-1]
    if key in ("true", "false"):
        return key == "true"
    if key.startswith("["):
        return json.loads(key)[0]
    if not key.startswith("{"):
        return key
    return json_util.loads(f'{{"_": {key}}}', json_options=_NAIVE)["_"]


def raw_type_of(value: Any) -> str | None:
    """The raw type for values like this one, or None where no simple type holds them."""
    for types, raw_type in _RAW_TYPES:
        if type(value) in types:
            return raw_type
    return None


_RAW_TYPES: tuple[tuple[tuple[type, ...], str], ...] = (
    ((str,), "text"),
    ((int, Int64), "bigint"),
    ((float,), "double precision"),
    ((bool,), "boolean"),
    ((datetime,), "timestamptz"),
    ((dict, list), "jsonb"),
)


def escape_text(value: str) -> str | None:
    """Escape a text for COPY; None where it holds NUL."""
    if _SPECIAL.search(value) is None:
        return value
    if "\0" in value:
        return None
    return _SPECIAL.sub(lambda match: _ESCAPES[match[0]], value)


def _fit_text(value: Any) -> str | None:
    return escape_text(value) if type(value) is str else None


def _fit_int(limit: int, value: Any) -> str | None:
    # type() rather than isinstance(): True is an int to isinstance.
    if type(value) is int or type(value) is Int64:
        return str(int(value)) if -limit <= value < limit else None
    return None


def _fit_numeric(fit: Fit, value: Any) -> str | None:
    if type(value) not in (int, Int64, Decimal128):
        return None
    fitted = fit(str(value).encode())
    return None if fitted is None else fitted.decode()


def _fit_timestamp(value: Any) -> str | None:
    # A Date outside of the years 1 to 9999 is decoded as DatetimeMS, and does not fit.
    return f"{value.isoformat()}+00" if type(value) is datetime else None


def _fit_bool(value: Any) -> str | None:
    return ("t" if value else "f") if type(value) is bool else None


def _fit_float(value: Any) -> str | None:
    if type(value) is not float or not math.isfinite(value):
        return None
    return None if value == 0 and math.copysign(1, value) < 0 else repr(value)


def _fit_nested(value: Any) -> str | None:
    if type(value) is not dict and type(value) is not list:
        return None
    encoded = nested_to_json(value)
    return None if encoded is None else escape_text(encoded.decode())
