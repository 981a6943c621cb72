"""The CSV feed defect by defect: what a sender can do to a file, plain and in every kind of archive."""

from __future__ import annotations

import gzip
import io
import tracemalloc
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tapehouse.contracts.model import Grammar, Kind
from tapehouse.errors import FeedError
from tapehouse.feeds import formats, reader

from .helpers import (
    PACKERS,
    SUFFIX,
    batch,
    codes_of,
    column,
    contract,
    decimal,
    failed_of,
    frame_of,
    integer,
    malformed_of,
    raw_of,
    slices_of,
    text,
    zipped,
)

COLUMNS = (text("sym"), integer("size"), decimal("price", scale=2))
HEADER = b"sym,size,price\n"
GOOD = b"A,1,1.50\n"
pytestmark = pytest.mark.filterwarnings("ignore:CSV malformed")


def read(folder: Path, data: bytes, slice_bytes: int = 1 << 20, name: str = "x.csv", **feed: Any) -> Any:
    return slices_of(contract(COLUMNS, **feed), batch(folder, data, name), slice_bytes)


# What is wrong -> bytes between two good records, the codes it gives, and the rows it gives.
DEFECTS: dict[str, tuple[bytes, list[str], list[tuple[Any, ...]]]] = {
    "too few fields": (b"B,2\n", ["malformed_columns"], []),
    "too many fields": (b"B,2,3.0,x\n", ["malformed_columns"], []),
    "one short, one long": (b"B,2\nC,3,4.0,x\n", ["malformed_columns"] * 2, []),
    "empty line": (b"\n", ["malformed_columns"], []),
    "bad UTF-8": (b"\xff\xfe,2,3.0\n", ["malformed_encoding"], []),
    "UTF-8 cut at a separator": (b"\xc3,\xa9,3.0\n", ["malformed_encoding"], []),
    "NUL": (b"B\0,2,3.0\n", ["malformed_nul"], []),
    "too long": (b"B" * 300 + b",2,3.0\n", ["malformed_length"], []),
    "open quote": (b'"B,2,3.0\n', ["malformed_quote"], []),
    "text after a quote": (b'"B"b,2,3.0\n', ["malformed_quote"], []),
    "quotes": (b'"B, ""b""\nb",2,"3.0"\n', [], [('B, "b"\nb', 2, "3.0")]),
    "quote within a field": (b'5" pipe,2,3.0\n', [], [('5" pipe', 2, "3.0")]),
    "quoted empty": (b'"","",""\n', [], [(None, None, None)]),
    "carriage return line feed": (b"B,2,3.0\r\n", [], [("B", 2, "3.0")]),
    "carriage return": (b"B,2,3.0\rC,3,4.0\n", [], [("B", 2, "3.0"), ("C", 3, "4.0")]),
    "accents": ("é,2,3.0\n".encode(), [], [("é", 2, "3.0")]),
    "the ticker NA": (b"NA,2,3.0\n", [], [("NA", 2, "3.0")]),
    "a byte order mark as data": (b"\xef\xbb\xbfB,2,3.0\n", [], [("\ufeffB", 2, "3.0")]),
}


@pytest.mark.parametrize("packing", PACKERS)
@pytest.mark.parametrize("slice_bytes", [1, 10, 1 << 20])
@pytest.mark.parametrize("defect", DEFECTS)
def test_defects(tmp_path: Path, defect: str, slice_bytes: int, packing: str) -> None:
    bad, codes, rows = DEFECTS[defect]
    data = HEADER + GOOD + bad + GOOD
    parts = read(tmp_path, PACKERS[packing](data), slice_bytes, "x.csv" + SUFFIX[packing], max_record_bytes=200)
    assert codes_of(parts) == codes
    assert frame_of(parts).rows() == [("A", 1, "1.50"), *rows, ("A", 1, "1.50")]
    for record in raw_of(parts):
        assert data[record.offset : record.offset + record.length] == record.raw
    for bad_record in malformed_of(parts):
        assert bad_record.observed
        assert bad_record.bound


@pytest.mark.parametrize(
    ("cell", "value", "refused"),
    [
        ("7", 7, False),
        ("+7", 7, False),
        ("-0", 0, False),
        ("007", 7, False),
        ("9223372036854775807", 2**63 - 1, False),
        ("9223372036854775808", None, True),
        ("-9223372036854775808", -(2**63), False),
        ("", None, False),
        ("-", None, True),
        (" 7", None, True),
        ("7 ", None, True),
        ("\t7", None, True),
        ("7.0", None, True),
        ("7e3", None, True),
        ("0x7", None, True),
        ("1_000", None, True),
        ("NA", None, True),
        ("٧", None, True),
        ('" 7"', None, True),
        ('"7\r"', None, True),
        ('"7"', 7, False),
    ],
)
@pytest.mark.parametrize("copies", [0, 100])
def test_whole_numbers(tmp_path: Path, cell: str, value: int | None, refused: bool, copies: int) -> None:
    data = HEADER + GOOD * copies + f"B,{cell},2.0\n".encode() + GOOD * copies
    parts = read(tmp_path, data)
    assert frame_of(parts)["size"].to_list() == [*[1] * copies, value, *[1] * copies]
    assert failed_of(parts, "size") == [*[False] * copies, refused, *[False] * copies]


@pytest.mark.parametrize(
    ("grammar", "cell", "value"),
    [
        (Grammar.EPOCH_S, "1709562600", 1709562600 * 10**9),
        (Grammar.EPOCH_MS, "-1", -(10**6)),
        (Grammar.EPOCH_US, "9223372036854775", 9223372036854775000),
        (Grammar.EPOCH_US, "9223372036854776", None),
        (Grammar.EPOCH_NS, "5", 5),
        (Grammar.EPOCH_S, "-9223372037", None),
    ],
)
def test_epochs_come_in_nanoseconds(tmp_path: Path, grammar: Grammar, cell: str, value: int | None) -> None:
    what = contract([column("t", Kind.TIMESTAMP, grammar), text("s")])
    parts = slices_of(what, batch(tmp_path, f"t,s\n1,a\n{cell},b\n".encode()))
    assert frame_of(parts)["t"].to_list()[1] == value
    assert failed_of(parts, "t") == [False, value is None]


def test_scaled_numbers_take_the_contracts_scale(tmp_path: Path) -> None:
    scaled = column("p", Kind.DECIMAL, Grammar.SCALED, scale=6, source_scale=4)
    finer = column("p", Kind.DECIMAL, Grammar.SCALED, scale=2, source_scale=4)
    data = b"p\n1234567\n9999999999999999\n10000000000000000\n"
    parts = slices_of(contract([scaled]), batch(tmp_path, data))
    assert frame_of(parts)["p"].to_list() == [123456700, 999999999999999900, None]
    assert failed_of(parts, "p") == [False, False, True]
    assert frame_of(slices_of(contract([finer]), batch(tmp_path, data)))["p"].to_list()[0] == "1234567"


def test_empty_and_null_texts(tmp_path: Path) -> None:
    data = b"sym,size,price\n,,\nNA,-1,-\nx,-01,NA\n"
    kept = read(tmp_path, data, empty_is_null=False)
    assert frame_of(kept).rows() == [("", None, ""), ("NA", -1, "-"), ("x", -1, "NA")]
    assert failed_of(kept, "size") == [True, False, False]
    what = contract(
        [text("sym"), integer("size", null_values=("-1",)), decimal("price", null_values=("-",))], null_values=("NA",)
    )
    parts = slices_of(what, batch(tmp_path, data))
    assert frame_of(parts).rows() == [(None, None, None), (None, None, None), ("x", -1, None)]
    assert not any(failed_of(parts, "size"))


def test_header_in_another_order_with_a_mark_and_quotes(tmp_path: Path) -> None:
    data = b'\xef\xbb\xbf"price",sym,"size"\r\n1.5,A,1\r\n'
    parts = read(tmp_path, data)
    assert frame_of(parts).rows() == [("A", 1, "1.5")]
    assert raw_of(parts)[0].offset == data.index(b"1.5")


@pytest.mark.parametrize(
    ("header", "message", "fix"),
    [
        (b"sym,size,size\n", "named twice: 'size'", "once"),
        (b"sym,Size,price\n", "lacks size; found: sym, Size, price", "'Size' for 'size'"),
        (b"sym;size;price\n", "none of the contract's columns", "delimiter"),
        (b"sym,size,price,venue\n", "does not know: venue", "extraColumns"),
        (b"", "is empty", "header"),
        (b"\xff,size,price\n", "header cannot be read", "UTF-8"),
        (b'sym,"size,price\n', "no readable header", "quote"),
        (b"x" * 3000 + b"\n", "no readable header", "header"),
    ],
)
def test_headers_that_do_not_fit(tmp_path: Path, header: bytes, message: str, fix: str) -> None:
    with pytest.raises(FeedError, match=message) as caught:
        read(tmp_path, header + (GOOD if header else b""), max_record_bytes=1000)
    assert fix in caught.value.fix
    assert "x.csv" in str(caught.value)


def test_extra_columns_may_be_ignored(tmp_path: Path) -> None:
    data = b"venue,sym,size,price,flag\nX,A,1,1.5,\nY,B, 2,2.5,\nZ,C,3\n"
    parts = read(tmp_path, data, extra_columns="ignore")
    assert frame_of(parts).rows() == [("A", 1, "1.5"), ("B", None, "2.5")]
    assert codes_of(parts) == ["malformed_columns"]
    headless = read(tmp_path, b"A,1,1.5,x,y\nB,2,2.5,x\n", header=False, extra_columns="ignore")
    assert frame_of(headless).rows() == [("A", 1, "1.5")]
    assert codes_of(headless) == ["malformed_columns"]


def test_a_column_may_have_another_name_or_be_absent(tmp_path: Path) -> None:
    options = {"aliases": {"ticker": "sym"}, "optional": ["price"]}
    parts = read(tmp_path, b"ticker,size\nA,1\nB\nC,3\n", options=options)
    assert frame_of(parts).rows() == [("A", 1, None), ("C", 3, None)]
    assert frame_of(read(tmp_path, HEADER + GOOD, options=options)).rows() == [("A", 1, "1.50")]
    with pytest.raises(FeedError, match="named twice: 'sym'"):
        read(tmp_path, b"ticker,sym,size\nA,A,1\n", options=options)
    with pytest.raises(FeedError, match="lacks size"):
        read(tmp_path, b"ticker,price\nA,1\n", options=options)


def test_comments_are_no_records(tmp_path: Path) -> None:
    data = b'# one\nsym,size,price\nA,1,1.5\n#"two\nB,2,2.5\n#x'
    for slice_bytes in (1, 12, 1000):
        parts = read(tmp_path, data, slice_bytes, comment="#")
        assert [row[0] for row in frame_of(parts).rows()] == ["A", "B"]
        assert sum(part.records for part in parts) == 2


def test_two_columns_from_one_field(tmp_path: Path) -> None:
    what = contract([integer("n"), text("as_text", source="n")])
    parts = slices_of(what, batch(tmp_path, b"n\n007\nx\n"))
    assert frame_of(parts).rows() == [(7, "007"), (None, "x")]
    assert failed_of(parts, "n") == [False, True]


def test_one_column(tmp_path: Path) -> None:
    parts = slices_of(contract([text("s")]), batch(tmp_path, b"s\na\n\nb\n\n"))
    assert frame_of(parts)["s"].to_list() == ["a", None, "b"]


def test_the_end_of_the_file(tmp_path: Path) -> None:
    assert read(tmp_path, HEADER) == []
    assert read(tmp_path, HEADER[:-1]) == []
    assert read(tmp_path, HEADER + b"\n") == []
    assert frame_of(read(tmp_path, HEADER + b"A,1,1.5")).height == 1
    assert codes_of(read(tmp_path, HEADER + b"A,1")) == ["malformed_columns"]
    assert codes_of(read(tmp_path, HEADER + GOOD + b"\n\n")) == ["malformed_columns"]
    assert read(tmp_path, b"", header=False) == []


def test_path_columns(tmp_path: Path) -> None:
    columns = [*COLUMNS, text("day", source="path:day"), text("opt", source="path:opt")]
    what = contract(columns, path=r"(?P<day>\d{8})(_(?P<opt>\w+))?\.csv")
    parts = slices_of(what, batch(tmp_path, HEADER + GOOD, origin="in/20240304.csv"))
    assert frame_of(parts).rows() == [("A", 1, "1.50", "20240304", None)]
    with pytest.raises(FeedError, match=r"does not match this path") as caught:
        slices_of(what, batch(tmp_path, HEADER + GOOD, origin="in/march.csv"))
    assert "in/march.csv" in str(caught.value)
    with pytest.raises(FeedError, match=r"has no group hour; groups: day"):
        slices_of(
            contract([*COLUMNS, text("h", source="path:hour")], path=r"(?P<day>\d+)"),
            batch(tmp_path, HEADER, origin="in/20240304.csv"),
        )


def test_an_unknown_format_names_the_known() -> None:
    assert set(formats()) >= {"csv", "ndjson", "parquet", "dbn"}
    with pytest.raises(FeedError, match="unknown feed format 'cvs'") as caught:
        reader("cvs")
    assert "csv, dbn, ndjson, parquet" in caught.value.fix


def test_a_dialect_that_cannot_be(tmp_path: Path) -> None:
    for feed in ({"delimiter": "||"}, {"delimiter": "\n"}, {"quote": "«"}):
        with pytest.raises(FeedError, match="one ASCII character"):
            read(tmp_path, HEADER, **feed)


def test_other_delimiters(tmp_path: Path) -> None:
    data = HEADER.replace(b",", b"\t") + b"a 'b\t'1'\t1,5\n"
    parts = read(tmp_path, data, delimiter="\t", quote="'")
    assert frame_of(parts).rows() == [("a 'b", 1, "1,5")]
    assert frame_of(read(tmp_path, HEADER + b'"A,1,1"\n', quote=None)).rows() == [('"A', 1, '1"')]


@pytest.mark.parametrize("packing", ["gz", "zst", "zip"])
@pytest.mark.parametrize("slice_bytes", [500, 5000, 1 << 20])
def test_truncated_archives_keep_what_precedes_the_cut(tmp_path: Path, packing: str, slice_bytes: int) -> None:
    generator = np.random.default_rng(5)
    lines = [f"S{n},{n},{n % 97}.25\n".encode() for n in generator.integers(0, 10**9, 20_000)]
    packed = PACKERS[packing](HEADER + b"".join(lines))
    whole = frame_of(read(tmp_path, packed, 1 << 20, "x.csv" + SUFFIX[packing]))
    assert whole.height == 20_000
    parts = read(tmp_path, packed[: len(packed) * 2 // 3], slice_bytes, "x.csv" + SUFFIX[packing])
    kept = frame_of(parts)
    assert 5_000 < kept.height < 20_000
    assert kept.equals(whole.head(kept.height))
    assert codes_of(parts) == ["malformed_truncated"]
    assert lines[kept.height].startswith(malformed_of(parts)[0].record.raw)


def test_damaged_archives(tmp_path: Path) -> None:
    data = HEADER + b"".join(f"S{n},{n * n},1.25\n".encode() for n in range(20_000))
    packed = bytearray(gzip.compress(data))
    packed[-6] ^= 0xFF
    parts = read(tmp_path, bytes(packed), name="x.csv.gz")
    assert codes_of(parts) == ["malformed_archive"]
    assert frame_of(parts).height == 20_000
    archive = bytearray(zipped(data))
    archive[archive.index(b"PK\x01\x02") + 16] ^= 0xFF
    parts = read(tmp_path, bytes(archive), name="x.zip")
    assert codes_of(parts) == ["malformed_archive"]
    assert "checksum" in malformed_of(parts)[0].bound
    assert frame_of(parts).height == 20_000
    archive = bytearray(zipped(data))
    archive[20_000:20_010] = b"\xff" * 10
    assert codes_of(read(tmp_path, bytes(archive), name="x.zip")) == ["malformed_archive"]
    with pytest.raises(FeedError, match="ends within its header: the gzip stream ends"):
        read(tmp_path, gzip.compress(b"sym,size", 0)[:-9], name="x.csv.gz")
    with pytest.raises(FeedError, match="the name says gzip, but the file begins with"):
        read(tmp_path, HEADER, name="x.csv.gz")
    with pytest.raises(FeedError, match="not a readable zip"):
        read(tmp_path, zipped(data)[:10], name="x.zip")


def test_several_frames_and_padding(tmp_path: Path) -> None:
    for packing in ("gz", "zst"):
        packed = PACKERS[packing](HEADER + GOOD) + PACKERS[packing](GOOD)
        assert frame_of(read(tmp_path, packed, name="x" + SUFFIX[packing])).height == 2
    assert frame_of(read(tmp_path, gzip.compress(HEADER + GOOD) + bytes(512), name="x.gz")).height == 1
    assert codes_of(read(tmp_path, gzip.compress(HEADER + GOOD) + b"junk", name="x.gz")) == ["malformed_archive"]


def members(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def test_members_come_in_name_order_with_offsets_through_all(tmp_path: Path) -> None:
    one, two = HEADER + b"A,1,1\n", b"price,size,sym\n2,2,B\n3,3"
    packed = members(**{"b.csv": two, "a.csv": one, "readme.txt": b"hello"})
    parts = read(tmp_path, packed, name="x.zip", member="*.csv")
    assert frame_of(parts).rows() == [("A", 1, "1"), ("B", 2, "2")]
    assert codes_of(parts) == ["malformed_columns"]
    both = one + two
    for record in raw_of(parts):
        assert both[record.offset : record.offset + record.length] == record.raw
    with pytest.raises(FeedError, match=r"no archive member matches '\*.dat'; members: a.csv, b.csv, readme.txt"):
        read(tmp_path, packed, name="x.zip", member="*.dat")


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_ways_to_pack_a_member(tmp_path: Path, method: int) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr("x.csv", HEADER + GOOD * 50_000)
    assert frame_of(read(tmp_path, buffer.getvalue(), name="x.zip")).height == 50_000


def test_an_archive_that_lost_its_directory(tmp_path: Path) -> None:
    packed = members(**{"skip.txt": b"x", "a.csv": HEADER + GOOD, "b.csv": HEADER + GOOD})
    headless = packed[: packed.index(b"PK\x01\x02") + 10]
    assert codes_of(read(tmp_path, headless, name="x.zip", member="*.csv")) == []
    cut = packed[: packed.index(b"PK\x01\x02")]
    parts = read(tmp_path, cut, name="x.zip", member="*.csv")
    assert frame_of(parts).height == 2
    assert codes_of(parts) == ["malformed_truncated"]


def test_an_encrypted_member(tmp_path: Path) -> None:
    packed = bytearray(zipped(HEADER + GOOD))
    packed[6] |= 1
    packed[packed.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(FeedError, match="is encrypted"):
        read(tmp_path, bytes(packed), name="x.zip")


@pytest.mark.parametrize("packing", ["gz", "zst", "zip"])
@pytest.mark.parametrize("line", [GOOD, b"x"], ids=["records", "one line"])
def test_bombs_are_bounded(tmp_path: Path, packing: str, line: bytes) -> None:
    packer = zlib.compressobj(9, wbits=31)
    if packing == "gz":
        packed = b"".join([packer.compress(HEADER + line * (60_000_000 // len(line))), packer.flush()])
    else:
        packed = PACKERS[packing](HEADER + line * (60_000_000 // len(line)))
    source = batch(tmp_path, packed, "x.csv" + SUFFIX[packing])
    tracemalloc.start()
    count = 0
    codes: list[str] = []
    for part in reader("csv")(contract(COLUMNS, max_expansion=100), source, slice_bytes=1 << 20):
        count += part.records
        codes += [bad.code for bad in part.malformed]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert codes[-1] == "malformed_archive"
    assert peak < 64 << 20
    assert count < 60_000_000 // len(line)


def test_many_bad_lines_come_in_several_slices(tmp_path: Path) -> None:
    parts = read(tmp_path, HEADER + b"x\n" * 300_000 + GOOD, 1 << 22)
    assert len(parts) >= 3
    assert len(malformed_of(parts)) == 300_000
    assert frame_of(parts).height == 1
