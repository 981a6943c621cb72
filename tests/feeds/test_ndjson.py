"""NDJSON: the text of every value, whatever shape the line has; and lines that are no record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .helpers import (
    PACKERS,
    SUFFIX,
    batch,
    codes_of,
    contract,
    decimal,
    frame_of,
    integer,
    malformed_of,
    raw_of,
    slices_of,
    text,
)

COLUMNS = (text("s"), integer("n"), decimal("p", scale=2))


def rows(folder: Path, data: bytes, slice_bytes: int = 1 << 20, **feed: Any) -> list[tuple[str | None, ...]]:
    return frame_of(slices_of(contract(COLUMNS, format="ndjson", **feed), batch(folder, data), slice_bytes)).rows()


def test_values_keep_their_text(tmp_path: Path) -> None:
    data = b'{"s":"a","n":123456789012345678901234567890,"p":1.10}\n{"s":"1.10","n":-0,"p":1e3}\n'
    assert rows(tmp_path, data) == [("a", "123456789012345678901234567890", "1.10"), ("1.10", "-0", "1e3")]


def test_shapes_may_change_within_a_file(tmp_path: Path) -> None:
    data = (
        b'{"s":"a","n":1,"p":1.0}\n{"p":2.0,"s":"b","n":2}\n { "n" : 3 , "s":"c\\u00e9\\n" }\r\n'
        b'{"s":null,"n":true,"p":"null"}\n{}\n{"s":"","n":6,"p":6}'
    )
    expected = [("a", "1", "1.0"), ("b", "2", "2.0"), ("c\u00e9\n", "3", None), (None, "true", "null")]
    assert rows(tmp_path, data) == [*expected, (None, None, None), (None, "6", "6")]


def test_an_empty_text_may_be_data(tmp_path: Path) -> None:
    assert rows(tmp_path, b'{"s":""}\n{"n":1,"s":"\\u0041"}\n', empty_is_null=False)[0] == ("", None, None)
    assert rows(tmp_path, b'{"s":"NA"}\n{"s":"-"}\n', null_values=("-",)) == [("NA", None, None), (None, None, None)]


BAD = {
    b'{"s":"a","s":"b"}': "key 's' twice",
    b'{"s":{"x":1}}': "holds an object",
    b'{"s":[1]}': "holds an array",
    b"[1]": "no object",
    b'"text"': "no object",
    b'{"n":NaN}': "NaN is not JSON",
    b'{"n":01}': "delimiter",
    b'{"s":"a"': "delimiter",
    b'{"s":"\\ud800"}': "surrogate",
    b'{"s":"a\tb"}': "control character",
    b"": "an empty line",
    b'{"zzz":1}': "key 'zzz'",
    b"[" * 100_000: "recursion",
}


@pytest.mark.parametrize("line", list(BAD), ids=range(len(BAD)))
def test_lines_that_are_no_record(tmp_path: Path, line: bytes) -> None:
    data = b'{"s":"a"}\n' + line + b'\n{"s":"b"}\n'
    parts = slices_of(contract(COLUMNS, format="ndjson"), batch(tmp_path, data))
    assert [row[0] for row in frame_of(parts).rows()] == ["a", "b"]
    (bad,) = malformed_of(parts)
    assert bad.code == "malformed_json"
    assert BAD[line] in bad.observed
    assert (bad.record.row, bad.record.offset, bad.record.length) == (1, 10, len(line))


def test_encoding_and_length(tmp_path: Path) -> None:
    data = b'{"s":"\xff"}\n{"s":"' + b"x" * 100 + b'"}\n{"s":"ok"}\n'
    for slice_bytes in (8, 1 << 20):
        parts = slices_of(contract(COLUMNS, format="ndjson", max_record_bytes=50), batch(tmp_path, data), slice_bytes)
        assert codes_of(parts) == ["malformed_encoding", "malformed_length"]
        assert [record.raw for record in raw_of(parts)] == data.splitlines()
        assert frame_of(parts)["s"].to_list() == ["ok"]


def test_unknown_keys_may_be_ignored(tmp_path: Path) -> None:
    assert rows(tmp_path, b'{"zzz":[1],"s":"a"}\n', extra_columns="ignore") == []
    assert rows(tmp_path, b'{"zzz":1,"s":"a"}\n', extra_columns="ignore") == [("a", None, None)]


@pytest.mark.parametrize("packing", PACKERS)
def test_compressed_and_truncated(tmp_path: Path, packing: str) -> None:
    lines = [json.dumps({"s": f"symbol {n * n % 997}", "n": n}).encode() for n in range(3000)]
    packed = PACKERS[packing](b"\n".join(lines) + b"\n")
    what = contract(COLUMNS, format="ndjson")
    name = "x.ndjson" + SUFFIX[packing]
    for slice_bytes in (3000, 1 << 20):
        assert frame_of(slices_of(what, batch(tmp_path, packed, name), slice_bytes))["n"].to_list() == [
            str(n) for n in range(3000)
        ]
        cut = slices_of(what, batch(tmp_path, packed[: len(packed) // 2], name), slice_bytes)
        kept = frame_of(cut)["n"].to_list()
        assert kept == [str(n) for n in range(len(kept))]
        assert codes_of(cut) == (["malformed_json"] if packing == "plain" else ["malformed_truncated"])


def test_many_empty_lines_come_in_several_slices(tmp_path: Path) -> None:
    parts = slices_of(contract(COLUMNS, format="ndjson"), batch(tmp_path, b"\n" * 300_000))
    assert len(parts) == 3
    assert sum(part.records for part in parts) == 299_999


scalar = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text())
objects = st.dictionaries(st.sampled_from(["s", "n", "p"]), scalar)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(objects, max_size=20), st.booleans(), st.integers(1, 200))
def test_as_pythons_parser_reads_it(
    tmp_path: Path, records: list[dict[str, Any]], ascii_only: bool, slice_bytes: int
) -> None:
    try:
        data = b"".join(json.dumps(record, ensure_ascii=ascii_only).encode() + b"\n" for record in records)
    except UnicodeEncodeError:
        return  # half a surrogate pair: not text
    if b"\\ud8" in data or b"\\ud9" in data or b"\\uda" in data or b"\\udb" in data:
        data.decode()
    expected = []
    for record in records:
        values = [record.get(key) for key in ("s", "n", "p")]
        expected.append(tuple(v if v is None or isinstance(v, str) else json.dumps(v) for v in values))
    found = slices_of(contract(COLUMNS, format="ndjson", empty_is_null=False), batch(tmp_path, data), slice_bytes)
    assert (frame_of(found).rows() if found else []) == expected


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from([b'{"s":', b'"a"', b"}", b"\n", b"\r", b"1", b",", b'{"n":1}\n', b"\0", b"\xff"])),
    st.integers(1, 40),
)
def test_soup_is_accounted_for(tmp_path: Path, pieces: list[bytes], slice_bytes: int) -> None:
    data = b"".join(pieces)
    what = contract(COLUMNS, format="ndjson", max_record_bytes=20, empty_is_null=False)
    found = slices_of(what, batch(tmp_path, data), slice_bytes)
    lines = data.split(b"\n")
    if not lines[-1]:
        lines.pop()
        if lines and not lines[-1].strip():
            lines.pop()
    assert [record.raw for record in raw_of(found)] == lines
