"""The CSV feed against a naive reading of the same bytes, on anything Hypothesis can think of."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from . import oracle
from .helpers import batch, contract, failed_of, frame_of, integer, malformed_of, raw_of, slices_of, text

COLUMNS = (text("a"), integer("n"), text("z"))
PIECES = [b",", b",", b"\n", b"\n", b'"', b'""', b"\r\n", b"\r", b"1", b"-7", b"+5", b" ", b"\t", b"x", b"#", b"\0"]
PIECES += [b"\xff", b"\xc3\xa9", b"\xef\xbb\xbf", b"9" * 20, b"1.0", b"\x1f", b"\x1e"]
PIECES += [b"a,1,b\n", b'"q",2,"r"\n', b"c, 3,d\n"]
soup = st.lists(st.sampled_from(PIECES), max_size=60).map(b"".join)
# Polars may see a block with broken quotes before the feed finds out that it must not.
pytestmark = pytest.mark.filterwarnings("ignore:CSV malformed")
fuzz = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("oracle")


def compare(folder: Path, data: bytes, *, slice_bytes: int, limit: int, comment: str | None = None) -> None:
    what = contract(COLUMNS, header=False, max_record_bytes=limit, comment=comment)
    parts = slices_of(what, batch(folder, data), slice_bytes)
    mark = 3 if data.startswith(b"\xef\xbb\xbf") else 0
    expected = oracle.records(data[mark:], 3, limit=limit, comment=(comment or "").encode())
    assert [(r.offset, r.length, r.raw) for r in raw_of(parts)] == [
        (e.offset + mark, len(e.raw), e.raw[: 1 << 16]) for e in expected
    ]
    assert [(bad.record.offset, bad.code) for bad in malformed_of(parts)] == [
        (e.offset + mark, e.code) for e in expected if e.code
    ]
    rows = [e.fields for e in expected if e.fields is not None]
    numbers = [oracle.whole_number(row[1]) for row in rows]
    wanted = [(row[0] or None, number, row[2] or None) for row, number in zip(rows, numbers, strict=True)]
    assert (frame_of(parts).rows() if parts else []) == wanted
    refused = [number is None and row[1] != "" for row, number in zip(rows, numbers, strict=True)]
    assert failed_of(parts, "n") == refused


@fuzz
@given(data=soup, slice_bytes=st.integers(1, 64), limit=st.sampled_from([5, 20, 1000]))
@example(data=b"a,1,b\n\n", slice_bytes=6, limit=1000)
@example(data=b"a,1,x,", slice_bytes=64, limit=1000)
@example(data=b'"a,1,b\nc,2,d\n', slice_bytes=4, limit=1000)
def test_soup(folder: Path, data: bytes, slice_bytes: int, limit: int) -> None:
    compare(folder, data, slice_bytes=slice_bytes, limit=limit)


@fuzz
@given(data=soup, slice_bytes=st.integers(1, 64))
def test_soup_with_one_kind_of_line_end(folder: Path, data: bytes, slice_bytes: int) -> None:
    data = data.replace(b"\r", b"").replace(b"\n", b"\r\n").replace(b"\0", b"").replace(b"\xff", b"")
    compare(folder, data, slice_bytes=slice_bytes, limit=1000)


@fuzz
@given(data=soup, slice_bytes=st.integers(1, 64))
def test_soup_with_comments(folder: Path, data: bytes, slice_bytes: int) -> None:
    compare(folder, data, slice_bytes=slice_bytes, limit=1000, comment="#")


@fuzz
@given(data=st.binary(max_size=200), slice_bytes=st.integers(1, 64))
def test_bytes(folder: Path, data: bytes, slice_bytes: int) -> None:
    assume(data[:2] not in (b"PK", b"\x1f\x8b", b"\x28\xb5"))  # would be taken for an archive
    compare(folder, data, slice_bytes=slice_bytes, limit=50)


@fuzz
@given(
    cells=st.lists(st.text(alphabet="0123456789+- .e\tx", max_size=22), min_size=1, max_size=20),
    copies=st.integers(1, 400),
    name=st.sampled_from(["a", '"a"', '"a, ""b"""']),
    line_end=st.sampled_from(["\n", "\r\n"]),
    last=st.sampled_from(["", "\n", "\r\n", "\r"]),
)
def test_whole_numbers(folder: Path, cells: list[str], copies: int, name: str, line_end: str, last: str) -> None:
    """Good cells repeated, so that both ways of reading doubtful ones are taken."""
    good = [f"{name},{number},b" for number in range(copies)]
    data = (line_end.join([*good, *(f"{name},{cell},b" for cell in cells)]) + last).encode()
    compare(folder, data, slice_bytes=1 << 20, limit=1000)


field = st.text(alphabet=st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=12)


@fuzz
@given(
    rows=st.lists(st.tuples(field, st.integers(-(2**63), 2**63 - 1), field), max_size=20),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    line_end=st.sampled_from(["\n", "\r\n", "\r"]),
    slice_bytes=st.integers(1, 200),
)
def test_what_the_csv_module_writes(
    folder: Path, rows: list[tuple[str, int, str]], quoting: int, line_end: str, slice_bytes: int
) -> None:
    if quoting == csv.QUOTE_MINIMAL:  # Python 3.11 quotes only its own kind of line end
        rows = [(re.sub("[\r\n]", "", a), number, re.sub("[\r\n]", "", z)) for a, number, z in rows]
    buffer = io.StringIO(newline="")
    csv.writer(buffer, quoting=quoting, lineterminator=line_end).writerows([("a", "n", "z"), *rows])  # type: ignore[arg-type]
    what = contract(COLUMNS, empty_is_null=False)
    parts = slices_of(what, batch(folder, buffer.getvalue().encode()), slice_bytes)
    assert (frame_of(parts).rows() if parts else []) == rows
