"""Whether an SQL source's value, as the text the server sends, fits a raw column.

Nothing is coerced: a value either means exactly the same in its raw column, or it does not
fit and goes to ``_extra`` as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from functools import lru_cache, partial
from typing import Any, Literal

from elt.batch import escape
from elt.extended_json import binary_value, json_fits_jsonb, text_value

# What a source column is, whatever its server calls it.
Kind = Literal[
    "int", "decimal", "float", "bool", "text", "bytes", "date", "datetime", "json", "other"
]
# Returns the value ready for COPY, or None where it does not fit.
Fit = Callable[[bytes], bytes | None]

_INT = re.compile(rb"-?[0-9]{1,19}")
_DECIMAL = re.compile(rb"-?([0-9]*)(?:\.([0-9]*))?")
_DATE = re.compile(rb"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DATETIME = re.compile(
    rb"([0-9]{4}-[0-9]{2}-[0-9]{2})[ T](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
    rb"(?:\.[0-9]{1,6})?(\+00)?"
)
_NUMERIC_TYPE = re.compile(r"numeric\(([0-9]+),([0-9]+)\)")
INT_BITS = {"smallint": 16, "integer": 32, "bigint": 64}

# Which kinds of source column a raw type takes. Others never fit, even where a cast would
# succeed: text that happens to read as a number is still not a number.
_TAKES: dict[str, frozenset[str]] = {
    "text": frozenset({"text", "other"}),
    "smallint": frozenset({"int", "decimal"}),
    "integer": frozenset({"int", "decimal"}),
    "bigint": frozenset({"int", "decimal"}),
    "numeric": frozenset({"int", "decimal", "float"}),
    "date": frozenset({"date"}),
    "timestamptz": frozenset({"datetime"}),
    "jsonb": frozenset({"json", "text"}),
    "boolean": frozenset({"bool"}),
    "double precision": frozenset({"float"}),
    "bytea": frozenset({"bytes"}),
}
_LADDER = ("smallint", "integer", "bigint")
_FLOAT = re.compile(rb"-?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]{1,3})?")
_NUMERIC_DIGITS = 1_000


def takes(raw_type: str, kind: Kind) -> bool:
    """Whether values of this kind of source column can fit a raw column of this type."""
    return kind in _TAKES[raw_type.partition("(")[0]]


def fit_for(raw_type: str, kind: Kind) -> Fit:
    """The test for one column.

    Raises:
        ValueError: the raw type is not one that the loader knows.
    """
    base = raw_type.partition("(")[0]
    if base not in _TAKES:
        raise ValueError(f"no reader for raw columns of type {raw_type!r}: add it to elt.values")
    if kind not in _TAKES[base]:
        return _nothing
    if base in INT_BITS:
        return partial(_fit_int, 1 << (INT_BITS[base] - 1))
    if base == "numeric":
        return partial(_fit_numeric, *_numeric_digits(raw_type))
    return {
        "text": _fit_text,
        "date": _fit_date,
        "timestamptz": _fit_timestamp,
        "jsonb": _fit_json,
        "boolean": _fit_bool,
        "double precision": _fit_float,
        "bytea": _fit_bytes,
    }[base]


def widened(raw_type: str, source_type: str) -> str:
    """The raw type that holds all values of both; ``raw_type`` where it already does.

    Integers widen along their sizes and into numeric, numeric in digits. Other types are
    left as they are.
    """
    if raw_type in _LADDER and source_type in _LADDER:
        return max(raw_type, source_type, key=_LADDER.index)
    numeric = [part for part in (raw_type, source_type) if part.startswith("numeric")]
    if len(numeric) + sum(part in _LADDER for part in (raw_type, source_type)) != 2:
        return raw_type
    if not numeric or "numeric" in numeric:
        return "numeric" if "numeric" in numeric else raw_type
    digits = [_digits(raw_type), _digits(source_type)]
    whole, scale = (max(parts) for parts in zip(*digits, strict=True))
    if (whole, scale) == digits[0]:
        return raw_type
    return f"numeric({whole + scale},{scale})"


def holds(raw_type: str, source_type: str) -> bool:
    """Whether every value of a source column of this natural type fits raw's as it is."""
    if raw_type == source_type:
        return not raw_type.startswith("double")
    numbers = all(part in _LADDER or part.startswith("numeric") for part in (raw_type, source_type))
    return numbers and widened(raw_type, source_type) == raw_type


def _digits(type_: str) -> tuple[int, int]:
    """Digits before and after the point that an integer or numeric type holds."""
    if type_ in _LADDER:
        return {"smallint": 5, "integer": 10, "bigint": 19}[type_], 0
    return _numeric_digits(type_)


def _numeric_digits(raw_type: str) -> tuple[int, int]:
    if raw_type == "numeric":
        return _NUMERIC_DIGITS, _NUMERIC_DIGITS
    match = _NUMERIC_TYPE.fullmatch(raw_type)
    if match is None:
        raise ValueError(f"{raw_type!r} is no numeric type with a precision and a scale")
    precision, scale = int(match[1]), int(match[2])
    return precision - scale, scale


def extended(value: bytes, kind: Kind) -> Any:
    """The value as canonical Extended JSON, for ``_extra``.

    Numbers become ``$number...`` where that carries them exactly (64 bits, 34 digits);
    texts, times and everything else stay the text that the source sent.
    """
    text = value.decode("latin-1")
    if kind == "bytes":
        return binary_value(value)
    if kind == "bool":
        return value == b"t"
    if kind == "float":
        return {"$numberDouble": text}
    if kind == "int":
        number = int(text)
        if -(1 << 31) <= number < 1 << 31:
            return {"$numberInt": text}
        return {"$numberLong": text} if -(1 << 63) <= number < 1 << 63 else text
    if kind == "decimal":
        return {"$numberDecimal": text} if sum(map(str.isdigit, text)) <= 34 else text
    return text_value(value)


def _nothing(_: bytes) -> None:
    return None


def _fit_text(value: bytes) -> bytes | None:
    if not value.isascii():
        try:
            value.decode()
        except UnicodeDecodeError:
            return None
    return None if b"\0" in value else escape(value)


def _fit_int(limit: int, value: bytes) -> bytes | None:
    if _INT.fullmatch(value) is None:
        return None
    return value if -limit <= int(value) < limit else None


def _fit_numeric(whole_digits: int, scale: int, value: bytes) -> bytes | None:
    match = _DECIMAL.fullmatch(value)
    if match is None:
        return None
    whole, fraction = match[1], match[2] or b""
    if not whole and not fraction:
        return None
    if len(whole.lstrip(b"0")) > whole_digits or len(fraction.rstrip(b"0")) > scale:
        return None
    return value


def _fit_bool(value: bytes) -> bytes | None:
    return value if value in (b"t", b"f") else None


def _fit_float(value: bytes) -> bytes | None:
    """A finite number; a negative zero would compare equal to zero and is kept apart."""
    if _FLOAT.fullmatch(value) is None or (value.startswith(b"-") and not float(value)):
        return None
    return value


def _fit_bytes(value: bytes) -> bytes | None:
    return b"\\\\x" + value.hex().encode()


@lru_cache(maxsize=65_536)
def is_date(value: bytes) -> bool:
    """A day of the calendar between the years 1 and 9999 (no zero dates, no infinity)."""
    if _DATE.fullmatch(value) is None:
        return False
    try:
        date.fromisoformat(value.decode())
    except ValueError:
        return False
    return True


def _fit_date(value: bytes) -> bytes | None:
    return value if is_date(value) else None


def _fit_timestamp(value: bytes) -> bytes | None:
    match = _DATETIME.fullmatch(value)
    if match is None or not is_date(match[1]):
        return None
    # The session's zone is UTC, whatever the server's is.
    return value if match[2] else value + b"+00"


def _fit_json(value: bytes) -> bytes | None:
    return escape(value) if json_fits_jsonb(value) else None
