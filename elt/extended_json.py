"""Extended JSON for ``_extra``, and the test whether a value fits a jsonb column.

``_extra`` is canonical Extended JSON v2. PostgreSQL's jsonb cannot hold the NUL character,
so a text with one is written as ``{"$binary": {"base64": ..., "subType": "80"}}``, its
UTF-8 bytes under the user-defined subtype; real binary values keep the subtype they have.
"""

from __future__ import annotations

import base64
import json
import math
from typing import Any, NoReturn

import bson
import orjson
from bson import json_util
from bson.binary import USER_DEFINED_SUBTYPE, Binary
from bson.datetime_ms import DatetimeMS

# JSON numbers beyond these are legal but not worth jsonb's numeric (which ends at 131,072
# digits and, worse, silently at 16,383 decimals).
_MAX_NUMBER_LENGTH = 400
_MAX_EXPONENT = 400


def canonical(fields: dict[str, Any]) -> bytes:
    """Canonical Extended JSON of a document's fields, without NUL characters.

    A field whose NUL hides inside a type of BSON's own (a DBRef, the scope of a Code) is
    written whole, as ``$binary`` of its BSON.
    """
    encoded = _dumps(_without_nul(fields), json_util.CANONICAL_JSON_OPTIONS)
    if _clean(encoded):
        return encoded
    parts = {
        name: _dumps(_without_nul(value), json_util.CANONICAL_JSON_OPTIONS)
        for name, value in fields.items()
    }
    kept = {
        name: fields[name]
        if _clean(part)
        else Binary(bson.encode({name: fields[name]}), USER_DEFINED_SUBTYPE)
        for name, part in parts.items()
    }
    return _dumps(_without_nul(kept), json_util.CANONICAL_JSON_OPTIONS)


def text_value(value: bytes) -> Any:
    """A text from an SQL source as Extended JSON: a string where JSON can carry it."""
    try:
        decoded = value.decode()
    except UnicodeDecodeError:
        return binary_value(value, USER_DEFINED_SUBTYPE)
    return binary_value(value, USER_DEFINED_SUBTYPE) if "\0" in decoded else decoded


def binary_value(value: bytes, subtype: int = 0) -> dict[str, dict[str, str]]:
    """Bytes as Extended JSON."""
    encoded = base64.b64encode(value).decode()
    return {"$binary": {"base64": encoded, "subType": f"{subtype:02x}"}}


def nested_to_json(value: Any) -> bytes | None:
    """A nested BSON value as plain JSON for a jsonb column, or None where it does not fit.

    Types that JSON lacks are written as relaxed Extended JSON. What does not fit: a NUL
    character, NaN, an infinity, a negative zero.
    """
    try:
        encoded = orjson.dumps(value, default=_refuse, option=orjson.OPT_PASSTHROUGH_DATETIME)
    except TypeError:
        encoded = b""
    # orjson writes null for NaN and keeps NUL: where one is possible, look closely.
    suspect = not encoded or b"null" in encoded or b"\\u0000" in encoded or b"-0.0" in encoded
    if suspect and not _fits_jsonb(value):
        return None
    if encoded:
        return encoded
    relaxed = _dumps(value, json_util.RELAXED_JSON_OPTIONS)
    return relaxed if _clean(relaxed) else None


def json_fits_jsonb(value: bytes) -> bool:
    """Whether jsonb keeps all of a JSON text (white space and the order of keys aside)."""
    try:
        decoded = value.decode()
        parsed = json.loads(
            decoded,
            object_pairs_hook=_unique_pairs,
            parse_constant=_refuse,
            parse_float=_checked_float,
            parse_int=_checked_int,
        )
        # jsonb refuses NUL and unpaired surrogates, which JSON text can hold as escapes.
        return "\\u" not in decoded or _clean_strings(parsed)
    except (ValueError, TypeError, RecursionError):
        return False


def _dumps(value: Any, options: json_util.JSONOptions) -> bytes:
    return json_util.dumps(value, json_options=options).encode()


def _clean(encoded: bytes) -> bool:
    """Whether no string in a JSON text holds NUL (a literal backslash-u0000 is harmless)."""
    return b"\\u0000" not in encoded or _clean_strings(json.loads(encoded))


def _refuse(value: Any) -> NoReturn:
    raise TypeError(f"jsonb has no {value!r}")


def _unique_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("jsonb would drop a repeated key")
    return result


def _checked_int(text: str) -> str:
    if len(text) > _MAX_NUMBER_LENGTH or text == "-0":
        raise ValueError("number out of range")
    return ""


def _checked_float(text: str) -> str:
    mantissa, _, exponent = text.lower().partition("e")
    if len(mantissa) > _MAX_NUMBER_LENGTH or abs(int(exponent or "0")) > _MAX_EXPONENT:
        raise ValueError("number out of range")
    if mantissa.startswith("-") and not mantissa.strip("-0."):
        raise ValueError("numeric has no negative zero")
    return ""


def _clean_strings(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" not in value and not any("\ud800" <= char <= "\udfff" for char in value)
    if isinstance(value, dict):
        return all(_clean_strings(key) and _clean_strings(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(_clean_strings, value))
    return True


def _fits_jsonb(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" not in value
    if isinstance(value, float):
        return math.isfinite(value) and not (value == 0 and math.copysign(1, value) < 0)
    if isinstance(value, dict):
        return all("\0" not in key and _fits_jsonb(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(_fits_jsonb, value))
    return not isinstance(value, DatetimeMS)


def _without_nul(value: Any) -> Any:
    if isinstance(value, str) and "\0" in value:
        return Binary(value.encode(), USER_DEFINED_SUBTYPE)
    if isinstance(value, dict):
        return {key: _without_nul(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nul(item) for item in value]
    return value
