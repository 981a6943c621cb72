"""DBN against the vendor's own decoder, schema by schema, and cut or spoiled at every kind of place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import databento_dbn as dbn
import numpy as np
import pytest
import zstandard

from tapehouse.contracts.model import Contract, Grammar, Kind
from tapehouse.errors import FeedError
from tapehouse.feeds.base import BatchSource

from .helpers import (
    batch,
    codes_of,
    column,
    contract,
    failed_of,
    frame_of,
    integer,
    malformed_of,
    raw_of,
    slices_of,
    text,
)

FIXTURES = "market/order_book_dbn/fixtures/test_data.{}.dbn.zst"
SCHEMAS = ["definition", "imbalance", "mbo", "mbp-1", "mbp-10", "ohlcv-1d", "ohlcv-1h", "ohlcv-1m", "ohlcv-1s"]
SCHEMAS += ["tbbo", "trades"]


def decompressed(path: Path) -> bytes:
    return zstandard.ZstdDecompressor().stream_reader(path.open("rb"), read_across_frames=True).read()


def contract_for(record: type, options: dict[str, str] | None = None) -> Contract:
    """A contract with every visible field of a record type."""
    columns = []
    for name, form in record._dtypes:  # type: ignore[attr-defined]
        if name in record._hidden_fields:  # type: ignore[attr-defined]
            continue
        if name in record._price_fields:  # type: ignore[attr-defined]
            columns.append(column(name, Kind.DECIMAL, Grammar.SCALED, scale=9, source_scale=9))
        elif name in record._timestamp_fields:  # type: ignore[attr-defined]
            columns.append(column(name, Kind.TIMESTAMP, Grammar.EPOCH_NS))
        else:
            columns.append(text(name) if form.startswith("S") else integer(name))
    return contract([*columns, text("symbol")], format="dbn", options=options or {})


@pytest.mark.parametrize("schema", SCHEMAS)
def test_each_schema_as_the_vendor_reads_it(sample_data: Path, tmp_path: Path, schema: str) -> None:
    path = sample_data / FIXTURES.format(schema)
    data = decompressed(path)
    decoder = dbn.DBNDecoder()
    decoder.write(data)
    _, *records = decoder.decode()
    what = contract_for(type(records[0]))
    parts = slices_of(what, batch(tmp_path, path.read_bytes(), path.name))
    frame = frame_of(parts)
    assert frame.height == len(records) > 0
    assert not malformed_of(parts)
    for row, record in zip(frame.iter_rows(named=True), records, strict=True):
        assert row.pop("symbol") == "NVDA" or schema == "imbalance"
        for name, value in row.items():
            expected = getattr(record, name)
            undefined = dbn.UNDEF_PRICE if name in record._price_fields else dbn.UNDEF_TIMESTAMP
            if name in {*record._price_fields, *record._timestamp_fields} and expected == undefined:
                expected = None
            elif isinstance(value, str) or value is None:
                expected = str(expected).strip("\0") or None
            assert value == (int(expected) if isinstance(value, int) else expected), name
    assert b"".join(record.raw for record in raw_of(parts)) == data[-sum(r.record_size() for r in records) :]


@pytest.fixture
def mbo(sample_data: Path) -> bytes:
    return decompressed(sample_data / FIXTURES.format("mbo"))


MBO = contract_for(dbn.MBOMsg)


@pytest.mark.parametrize("slice_bytes", [1, 4096, 5000, 1 << 20])
def test_slices_do_not_matter(sample_data: Path, slice_bytes: int) -> None:
    path = sample_data / "market/order_book_dbn/esh4-glbx-mdp3-20231224.mbo.dbn.zst"
    what = contract_for(dbn.MBOMsg, {"schema": "mbo"})
    parts = slices_of(what, BatchSource(path, "", path.name, path.stat().st_size), slice_bytes)
    frame = frame_of(parts)
    assert frame.height == 8725
    assert frame["symbol"].unique().to_list() == ["ESH4"]
    assert set(frame["action"].unique()) <= {"A", "C", "M", "R", "T", "F"}
    assert frame["sequence"].sum() == sum(record.sequence for record in _decode(decompressed(path)))


def _decode(data: bytes) -> list[Any]:
    decoder = dbn.DBNDecoder()
    decoder.write(data)
    return decoder.decode()[1:]


@pytest.mark.parametrize("cut", [1, 55, 56, 57, 100])
def test_truncated(mbo: bytes, tmp_path: Path, cut: int) -> None:
    parts = slices_of(MBO, batch(tmp_path, mbo[:-cut], "x.dbn"))
    whole, left = divmod(4 * 56 - cut, 56)
    assert frame_of(parts).height == whole
    assert codes_of(parts) == (["malformed_truncated"] if left else [])
    if left:
        assert malformed_of(parts)[0].record.raw == mbo[:-cut][-left:]


def test_truncated_compression(sample_data: Path, tmp_path: Path) -> None:
    packed = (sample_data / FIXTURES.format("mbo")).read_bytes()
    parts = slices_of(MBO, batch(tmp_path, packed[:-3], "x.dbn.zst"))
    assert codes_of(parts)[-1] == "malformed_truncated"


def test_a_record_of_another_type_is_malformed_and_the_others_stay(mbo: bytes, tmp_path: Path) -> None:
    system = bytes([20, 0x17]) + bytes(78)
    data = mbo[: -2 * 56] + system + mbo[-2 * 56 :]
    parts = slices_of(MBO, batch(tmp_path, data, "x.dbn"))
    assert codes_of(parts) == ["malformed_columns"]
    assert malformed_of(parts)[0].record.raw == system
    assert frame_of(parts).equals(frame_of(slices_of(MBO, batch(tmp_path, mbo, "x.dbn"))))


def test_a_record_of_no_length_ends_the_batch(mbo: bytes, tmp_path: Path) -> None:
    data = mbo[:-56] + bytes(300)
    parts = slices_of(MBO, batch(tmp_path, data, "x.dbn"))
    assert frame_of(parts).height == 3
    assert codes_of(parts) == ["malformed_length"]
    assert malformed_of(parts)[0].record.length == 300


def test_numbers_beyond_int64_are_refused(mbo: bytes, tmp_path: Path) -> None:
    record = np.frombuffer(mbo[-56:], dbn.MBOMsg._dtypes).copy()
    record["order_id"] = 1 << 63
    record["price"] = dbn.UNDEF_PRICE
    record["ts_recv"] = dbn.UNDEF_TIMESTAMP
    parts = slices_of(MBO, batch(tmp_path, mbo[:-56] + record.tobytes(), "x.dbn"))
    assert failed_of(parts, "order_id") == [False, False, False, True]
    last = frame_of(parts).row(-1, named=True)
    assert (last["order_id"], last["price"], last["ts_recv"]) == (None, None, None)
    assert not any(failed_of(parts, "price"))


def test_not_dbn(tmp_path: Path, mbo: bytes) -> None:
    with pytest.raises(FeedError, match="is not DBN"):
        slices_of(MBO, batch(tmp_path, b"a,b\n1,2\n", "x.dbn"))
    with pytest.raises(FeedError, match="ends within its metadata"):
        slices_of(MBO, batch(tmp_path, mbo[:100], "x.dbn"))


def test_schema_and_fields_must_match(tmp_path: Path, mbo: bytes) -> None:
    source = batch(tmp_path, mbo, "x.dbn")
    with pytest.raises(FeedError, match="holds schema mbo, but the contract expects trades"):
        slices_of(contract_for(dbn.MBOMsg, {"schema": "trades"}), source)
    with pytest.raises(FeedError, match=r"none of the contract's columns \(bid_px_00\)"):
        slices_of(contract([integer("bid_px_00")], format="dbn"), source)
    with pytest.raises(FeedError, match="integer in the contract, but Binary"):
        slices_of(contract([integer("action")], format="dbn"), source)


def test_prices_at_a_coarser_scale_are_exact_or_refused(tmp_path: Path, mbo: bytes) -> None:
    exact = frame_of(slices_of(MBO, batch(tmp_path, mbo, "x.dbn")))["price"].to_list()
    coarse = contract([column("price", Kind.DECIMAL, Grammar.SCALED, scale=1)], format="dbn")
    parts = slices_of(coarse, batch(tmp_path, mbo, "x.dbn"))
    expected = [price // 10**8 if price % 10**8 == 0 else None for price in exact]
    assert frame_of(parts)["price"].to_list() == expected
    assert failed_of(parts, "price") == [value is None for value in expected]
