"""Reading records: every physical line is in exactly one record, whatever the file does."""

import bz2
import gzip
import hashlib
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_generators.sales_csv import SalesFileError
from data_generators.sales_csv.reader import MAX_LINE_BYTES, Record, open_sales


def read(path: Path, content: bytes, delimiter: str = ",") -> tuple[list[Record], int, str]:
    path.write_bytes(content)
    with open_sales(path) as stream:
        records = list(stream.records(delimiter))
        return records, stream.blank_lines, stream.header_line


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_compression_is_told_by_content(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    content = b"a,b\r\n1,2\r\n\r\n3,4"
    path = tmp_path / "sales"
    path.write_bytes(compress(content))
    with open_sales(path) as stream:
        records = list(stream.records(","))
        assert [(r.line, r.fields) for r in records] == [(2, ["1", "2"]), (4, ["3", "4"])]
        assert (stream.blank_lines, stream.header_line) == (1, "a,b")
        assert stream.sha256 == hashlib.sha256(content).hexdigest()


def test_byte_order_mark_and_quotes(tmp_path: Path) -> None:
    content = b'\xef\xbb\xbf"a",b\n"x, ""y""",1\n"two\nlines",2\n5" pipe,3\n'
    records, _, header = read(tmp_path / "f", content)
    assert header == '"a",b'
    assert [(r.line, r.fields) for r in records] == [
        (2, ['x, "y"', "1"]),
        (3, ["two\nlines", "2"]),
        (5, ['5" pipe', "3"]),
    ]


def test_bad_lines_do_not_stop_the_file(tmp_path: Path) -> None:
    content = (
        b"a,b\n\xff,1\n"
        + b"x" * (MAX_LINE_BYTES + 1)
        + b"\nz\0,1\n"
        + b'"never closed,1\nok,2\n"ba"d,3\nlast,4'
    )
    records, _, _ = read(tmp_path / "f", content)
    assert [(r.line, r.fields or r.reason) for r in records] == [
        (2, "not UTF-8 at byte 1"),
        (3, f"the line is longer than {MAX_LINE_BYTES} bytes"),
        (4, "the line holds a zero byte"),
        (5, "a quote is opened and never closed"),
        (6, ["ok", "2"]),
        (7, "badly quoted: ',' expected after '\"'"),
        (8, ["last", "4"]),
    ]


def test_a_line_of_the_longest_length_is_read(tmp_path: Path) -> None:
    line = b"x" * (MAX_LINE_BYTES - 3) + b",1\n"
    records, _, _ = read(tmp_path / "f", b"a,b\n" + line)
    assert [len(r.fields or ()) for r in records] == [2]


def test_an_unclosed_quote_costs_one_line_however_long_the_file(tmp_path: Path) -> None:
    content = b'a,b\n"x,1\n' + b"".join(b"y,%d\n" % n for n in range(5_000))
    records, _, _ = read(tmp_path / "f", content)
    assert [r.line for r in records if r.fields is None] == [2]
    assert len(records) == 5_001


@given(st.lists(st.text(alphabet='x,"\n\r ', max_size=12), max_size=40))
def test_no_line_is_lost_or_read_twice(
    tmp_path_factory: pytest.TempPathFactory, parts: list[str]
) -> None:
    body = "\n".join(parts).encode()
    path = tmp_path_factory.getbasetemp() / "lines"
    records, blank, _ = read(path, b"a,b\n" + body)
    raw = b"".join(r.raw for r in records)
    lines = [line for line in body.split(b"\n") if line.strip()]
    # Blank lines inside a quoted field belong to its record: compare what is not blank.
    assert [line for line in raw.split(b"\n") if line.strip()] == lines
    assert [r.line for r in records] == sorted({r.line for r in records})
    assert blank >= 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n \r\n", "is empty"),
        ("date,customer\n".encode("utf-16"), "UTF-16"),
        (b"\xffdate,customer\n", "header is not UTF-8"),
        (b"x" * 100_000, "header is longer"),
    ],
)
def test_files_without_a_header(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(SalesFileError, match=message):
        read(tmp_path / "f", content)


def test_no_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(SalesFileError, match="there is no file"), open_sales(tmp_path / "none"):
        pass
    with pytest.raises(SalesFileError, match="is a folder"), open_sales(tmp_path):
        pass


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_a_cut_off_download(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    whole = compress(b"a,b\n" + b"".join(b"%d,%d\n" % (n, n * n) for n in range(50_000)))
    with pytest.raises(SalesFileError, match="damaged or cut off"):
        read(tmp_path / "f", whole[: len(whole) // 2])
