"""Reads a sales file as a stream of records, whatever its size, and never stops at a bad line.

Compression (gzip, bzip2, xz) is told by the file's first bytes, not by its name. The SHA-256
is that of the content without compression, so that a file and its compressed copy are one.
"""

from __future__ import annotations

import bz2
import codecs
import csv
import gzip
import hashlib
import io
import lzma
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, cast

from data_generators.sales_csv.errors import SalesFileError

WHITESPACE = "whitespace"
MAX_LINE_BYTES = 65_536
MAX_RECORD_LINES = 20
BUFFER_BYTES = 1 << 20
UNCLOSED = "a quote is opened and never closed"

_OPENERS: dict[bytes, Callable[[Path, Literal["rb"]], object]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}
_DAMAGE = (EOFError, gzip.BadGzipFile, lzma.LZMAError, zlib.error, OSError)


@dataclass(frozen=True, slots=True)
class Record:
    """One record: where it began, its bytes, and its fields or the reason that it has none."""

    line: int
    raw: bytes
    fields: list[str] | None
    reason: str = ""


class HashedStream(io.RawIOBase):
    """Passes a stream on and hashes what passes."""

    def __init__(self, source: BinaryIO) -> None:
        """Wrap ``source``, which the caller closes."""
        self._source = source
        self._hash = hashlib.sha256()

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill ``buffer``; returns the number of bytes, 0 at the end."""
        count = cast(io.BufferedIOBase, self._source).readinto(buffer)
        self._hash.update(memoryview(buffer)[:count])
        return count

    def hexdigest(self) -> str:
        """The SHA-256 of what was read so far."""
        return self._hash.hexdigest()


class SalesStream:
    """An open sales file: its header, then its records, and the hash when all are read."""

    def __init__(self, source: BinaryIO, path: Path) -> None:
        """Read the header of ``source``; ``path`` is for messages."""
        self._path = path
        self._hashed = HashedStream(source)
        self._stream = io.BufferedReader(self._hashed, BUFFER_BYTES)
        self._pushed_back: deque[tuple[int, bytes]] = deque()
        self._number = 0
        self.blank_lines = 0
        self.header_line = self._read_header()

    @property
    def sha256(self) -> str:
        """The hash of the content, complete once all records were read."""
        return self._hashed.hexdigest()

    def records(self, delimiter: str) -> Iterator[Record]:
        """Every record after the header; blank lines are counted and passed over."""
        while (line := self._next_line()) is not None:
            number, raw = line
            if len(raw) > MAX_LINE_BYTES:
                yield Record(number, raw, None, f"the line is longer than {MAX_LINE_BYTES} bytes")
            elif not raw.strip():
                self.blank_lines += 1
            elif delimiter != WHITESPACE and b'"' in raw:
                yield self._quoted(number, raw, delimiter)
            else:
                yield _plain(number, raw, delimiter)

    def _read_header(self) -> str:
        while (line := self._next_line()) is not None:
            raw = line[1].removeprefix(codecs.BOM_UTF8) if line[0] == 1 else line[1]
            if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                raise SalesFileError(
                    f"{self._path} is UTF-16: convert it to UTF-8 (iconv -f UTF-16 -t UTF-8)"
                )
            if len(raw) > MAX_LINE_BYTES:
                raise SalesFileError(
                    f"{self._path}: the header is longer than {MAX_LINE_BYTES} bytes:"
                    " this does not look like a sales file with one purchase a line"
                )
            if raw.strip():
                try:
                    return raw.decode("utf-8").strip("\r\n")
                except UnicodeDecodeError as error:
                    raise SalesFileError(
                        f"{self._path}: the header is not UTF-8 at byte {error.start + 1}:"
                        " convert the file to UTF-8"
                    ) from error
        raise SalesFileError(f"{self._path} is empty: a header and sales lines are expected")

    def _next_line(self) -> tuple[int, bytes] | None:
        """The next physical line with its number; of an over-long one, its beginning."""
        if self._pushed_back:
            return self._pushed_back.popleft()
        try:
            raw = self._stream.readline(MAX_LINE_BYTES + 1)
            rest = raw
            while len(rest) > MAX_LINE_BYTES and not rest.endswith(b"\n"):
                rest = self._stream.readline(MAX_LINE_BYTES + 1)
        except _DAMAGE as error:
            raise SalesFileError(
                f"{self._path}: the file is damaged or cut off after line"
                f" {self._number} ({error}): nothing was imported, fetch it again"
            ) from error
        if not raw:
            return None
        self._number += 1
        return self._number, raw

    def _quoted(self, number: int, raw: bytes, delimiter: str) -> Record:
        """A record with quotes; a quoted field may hold line ends, so lines are joined.

        A quote that is never closed must not swallow the file: after 20 lines its first line
        alone is bad, and reading goes on with the second.
        """
        lines = [(number, raw)]
        while True:
            joined = b"".join(line for _, line in lines)
            text, reason = _decode(joined)
            if text is None:
                break
            try:
                return Record(
                    number, joined, next(csv.reader([text], delimiter=delimiter, strict=True))
                )
            except csv.Error as error:
                if "unexpected end" not in str(error):
                    reason = f"badly quoted: {error}" if len(lines) == 1 else UNCLOSED
                    break
            following = self._next_line() if len(lines) < MAX_RECORD_LINES else None
            if following is None or len(joined) + len(following[1]) > MAX_LINE_BYTES:
                if following is not None:
                    lines.append(following)
                reason = UNCLOSED
                break
            lines.append(following)
        self._pushed_back.extendleft(reversed(lines[1:]))
        return Record(number, raw, None, reason)


@contextmanager
def open_sales(path: Path) -> Iterator[SalesStream]:
    """Open a sales file, compressed or not, behind its header.

    Raises:
        SalesFileError: there is no such file, it cannot be read, or it is empty.
    """
    try:
        with path.open("rb") as probe:
            start = probe.read(6)
        opener = next((o for magic, o in _OPENERS.items() if start.startswith(magic)), None)
        source = cast(BinaryIO, opener(path, "rb") if opener else path.open("rb", buffering=0))
    except FileNotFoundError:
        raise SalesFileError(f"there is no file {path}: give the path of a sales file") from None
    except IsADirectoryError:
        raise SalesFileError(f"{path} is a folder: give the path of a sales file") from None
    except OSError as error:
        raise SalesFileError(f"{path} cannot be read: {error.strerror}") from error
    with source:
        yield SalesStream(source, path)


def _plain(number: int, raw: bytes, delimiter: str) -> Record:
    text, reason = _decode(raw)
    if text is None:
        return Record(number, raw, None, reason)
    fields = text.split() if delimiter == WHITESPACE else text.rstrip("\r\n").split(delimiter)
    return Record(number, raw, fields)


def _decode(raw: bytes) -> tuple[str | None, str]:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        return None, f"not UTF-8 at byte {error.start + 1}"
    if "\0" in text:
        return None, "the line holds a zero byte"
    return text, ""
