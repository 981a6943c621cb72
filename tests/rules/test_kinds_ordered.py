"""Rules that look at other rows of the batch: earlier ones, later ones, neighbours."""

from __future__ import annotations


def test_unique_skips_nulls(broken) -> None:
    rows = {"venue": ["A", "A", "A", None, None, "B"], "sequence": [1, 2, 1, 1, 1, 1]}
    assert broken({"rule": "unique", "columns": ["venue", "sequence"]}, rows) == [2]
    assert broken({"rule": "unique"}, rows, "sequence") == [2, 3, 4, 5]


def test_monotonic_per_key(broken) -> None:
    rows = {"venue": ["A", "B", "A", "B", "A", "A"], "sequence": [5, 1, 5, 2, None, 4]}
    assert broken({"rule": "monotonic", "by": ["venue"]}, rows, "sequence") == [5]
    assert broken({"rule": "monotonic", "by": ["venue"], "strict": True}, rows, "sequence") == [2, 5]
    assert broken({"rule": "monotonic", "by": ["venue"], "strict": False}, rows, "sequence") == [5]
    assert broken({"rule": "monotonic"}, rows, "sequence") == [1, 3]
    falling = {"rule": "monotonic", "by": ["venue"], "direction": "decreasing"}
    assert broken(falling, rows, "sequence") == [3]


def test_sequence_gap_is_per_channel(bench) -> None:
    rows = {"channel": [1, 2, 1, 2, 1, 1], "sequence": [10, 100, 11, 101, 11, 14]}
    found, reasons = bench.judge({"rule": "sequence_gap"}, rows, "sequence")
    assert found == [5]
    assert reasons == [("14", "at most 1 above 11")]
    assert bench.judge({"rule": "sequence_gap", "channel": []}, rows)[0] == [1, 3, 5]
    assert bench.judge({"rule": "sequence_gap", "maxStep": 3}, rows)[0] == []


def test_sequence_gap_ignores_snapshots_and_obeys_resets(broken) -> None:
    rows = {
        "channel": [1] * 7,
        "sequence": [10, 999, 11, 1, 2, 50, 51],
        "flags": [0, 32, 0, 0, 0, 8, 0],
    }
    plain = {"rule": "sequence_gap"}
    assert broken(plain, rows) == [1, 5]
    ignoring = {"rule": "sequence_gap", "ignoreWhen": "flags == 32"}
    assert broken(ignoring, rows) == [5]
    resetting = ignoring | {"resetWhen": "flags == 8"}
    assert broken(resetting, rows) == []


def test_band_around_the_previous_price(bench) -> None:
    rows = {
        "symbol": ["A", "B", "A", "A", "A", "B"],
        "price": [100_000, 1, 0, 109_000, 120_000, 2],
        "flags": [0, 0, 0, 1, 0, 0],
    }
    rule = {"rule": "price_band", "previous": True, "max": 0.1}
    found, reasons = bench.judge(rule, rows, "price")
    assert found == [2, 4, 5]
    assert reasons[1] == ("12.0000", "within 0.1 of the previous price 10.9000")
    assert bench.judge(rule | {"ignoreWhen": "flags == 1"}, rows, "price")[0] == [2, 4, 5]
    tight = {"rule": "price_band", "previous": True, "max": "15%"}
    assert bench.judge(tight, rows, "price")[0] == [2, 5]
    assert bench.judge(tight | {"ignoreWhen": "flags == 1"}, rows, "price")[0] == [2, 4, 5]


BOOK = {
    "symbol": ["A"] * 7 + ["B"],
    "venue": ["X", "X", "Y", "Y", "X", "Y", "Y", "X"],
    "bid": [100_000, None, 101_000, None, None, 104_000, None, 200_000],
    "ask": [None, 1020, None, 1030, 1010, None, 1050, None],
}


def test_crossed_book_carries_the_other_side(bench) -> None:
    found, reasons = bench.judge({"rule": "crossed_book"}, BOOK)
    assert found == [5]
    assert reasons == [("bid 10.4000, ask 10.10", "bid <= ask")]
    assert bench.judge({"rule": "locked_book"}, BOOK)[0] == [4]


def test_crossed_book_over_the_best_of_venues(bench) -> None:
    best = {"across": "best"}
    # The best bid is Y's 10.1 from row 2, then 10.4; the best ask X's 10.2, then 10.1.
    assert bench.judge({"rule": "crossed_book"} | best, BOOK)[0] == [5, 6]
    assert bench.judge({"rule": "locked_book"} | best, BOOK)[0] == [4]


def test_crossed_book_of_each_venue(bench) -> None:
    own = {"across": "none"}
    assert bench.judge({"rule": "crossed_book"} | own, BOOK)[0] == [5]
    assert bench.judge({"rule": "crossed_book", "across": "none", "by": []}, BOOK)[0] == [5, 7]


def test_crossed_book_ignores_marked_rows(broken) -> None:
    rows = BOOK | {"flags": [0, 0, 0, 0, 0, 1, None, 0]}
    assert broken({"rule": "crossed_book", "ignoreWhen": "flags == 1"}, rows) == []
    assert broken({"rule": "crossed_book", "ignoreWhen": "flags == 2"}, rows) == [5]


def test_unit_jump_up_and_down(broken) -> None:
    prices = [100, 101, 10_200, 99, 1, 100, 102, 30_000, None, 0]
    rows = {"symbol": ["A"] * 10, "size": prices}
    rule = {"rule": "unit_jump", "column": "size", "rows": 5}
    assert broken(rule, rows) == [2, 4]
    assert broken(rule | {"against": "max", "rows": 3}, rows) == [1, 3, 4]
    assert broken(rule | {"against": "min", "rows": 3}, rows) == [2, 3, 5]


def test_unit_jump_of_a_scaled_price(bench) -> None:
    rows = {"symbol": ["A"] * 5, "price": [145_500, 145_500, 1455, 145_500, 145_500]}
    found, reasons = bench.judge({"rule": "unit_jump"}, rows, "price")
    assert found == [2]
    assert reasons == [("0.1455", "not 100 times off the median of 21 rows, 14.55")]
