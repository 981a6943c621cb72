"""Sequence numbers of a real order-book channel: a snapshot at its head must not look like thousands of gaps."""

from __future__ import annotations

import databento_dbn
import polars as pl
import zstandard

from tapehouse.kernel.verdict import Judge, JudgeState

FILE = "orderbooks_mbo_2024-05-08T00-00-00_2024-05-08T00-00-02.dbn.zst"
SNAPSHOT = 32


def test_snapshot_is_not_a_storm_of_gaps(bench, sample_data) -> None:
    packed = (sample_data / "market" / "order_book_dbn" / FILE).read_bytes()
    decoder = databento_dbn.DBNDecoder()
    decoder.write(zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True).read())
    messages = [record for record in decoder.decode() if isinstance(record, databento_dbn.MBOMsg)]
    frame = bench.frame(
        {
            "ts_event": [message.ts_event for message in messages],
            "sequence": [message.sequence for message in messages],
            "channel": [message.channel_id for message in messages],
            "flags": [int(message.flags) for message in messages],
        }
    )
    naive = bench.rule({"rule": "sequence_gap"})
    aware = bench.rule({"rule": "sequence_gap", "ignoreWhen": f"has_bits(flags, {SNAPSHOT})"})
    judge = Judge(bench.contract(naive, aware), bench.references())
    broken = judge.verdict(judge.annotate(frame, JudgeState()))["_broken"]
    counts = [int(((broken & (1 << bit)) != 0).sum()) for bit in range(2)]
    assert frame.select(((pl.col("flags") & SNAPSHOT) != 0).sum()).item() == 13_601
    # The file holds one instrument of the channel, so five packets of others are truly missing from it.
    assert counts == [9364, 5]
