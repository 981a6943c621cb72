"""Precision and recall on findings small enough to count by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tapehouse.errors import UsageError
from tapehouse.synthetic.score import CodeScore, findings, score
from tapehouse.synthetic.truth import Layout, read_truth, truth_rows, write_truth

LAYOUT = Layout.of(20, 2, "trades")  # two files of ten records


def truth_of(*kinds: tuple[str, Sequence[int], Sequence[str], Sequence[str]]) -> pl.DataFrame:
    return pl.concat([truth_rows(LAYOUT, kind, np.array(at, np.int64), codes, also) for kind, at, codes, also in kinds])


def found_of(*places: tuple[str, int, str]) -> pl.DataFrame:
    return pl.DataFrame(places, schema={"file": pl.String, "row": pl.Int64, "code": pl.String}, orient="row")


A, B = "trades_00.csv", "trades_01.csv"
TRUTH = truth_of(
    ("late", [1, 11], ["late"], []),
    ("negative", [4], ["price_not_positive", "price_band"], []),
    ("zero", [5], ["ts_recv_invalid"], ["recv_before_event"]),
    ("duplicate", [19], ["duplicate"], []),
)
RIGHT = (
    (A, 1, "late"),
    (B, 1, "late"),
    (A, 4, "price_not_positive"),
    (A, 4, "price_band"),
    (A, 5, "ts_recv_invalid"),
    (B, 9, "duplicate"),
)


def test_everything_found_is_perfect_with_or_without_what_is_allowed() -> None:
    for extra in ((), ((A, 5, "recv_before_event"),)):
        card = score(TRUTH, found_of(*RIGHT, *extra))
        assert card.perfect
        assert card.wrong == ()
        assert (card.total.precision, card.total.recall) == (1.0, 1.0)
        assert card.total.found == 6 + len(extra)


def test_each_miss_lowers_the_recall_of_its_code() -> None:
    card = score(TRUTH, found_of(*RIGHT[1:]))
    late = next(code for code in card.codes if code.code == "late")
    assert late == CodeScore("late", expected=2, found=1, hits=1, missed=1, false_alarms=0)
    assert (late.precision, late.recall) == (1.0, 0.5)
    assert (card.total.expected, card.total.hits) == (6, 5)
    assert not card.perfect
    assert [(row.error, row.file, row.row, row.code, row.kind) for row in card.wrong] == [
        ("missed", A, 1, "late", "late")
    ]


def test_false_alarms_lower_the_precision_on_clean_and_on_spoiled_rows() -> None:
    card = score(TRUTH, found_of(*RIGHT, (A, 4, "late"), (B, 3, "late"), (B, 5, "recv_before_event")))
    late = next(code for code in card.codes if code.code == "late")
    assert (late.precision, late.recall) == (0.5, 1.0)
    before = next(code for code in card.codes if code.code == "recv_before_event")
    assert (before.precision, before.recall, before.false_alarms) == (0.0, 1.0, 1)
    assert [(row.error, row.file, row.row, row.kind) for row in card.wrong] == [
        ("false alarm", A, 4, "negative"),
        ("false alarm", B, 3, ""),
        ("false alarm", B, 5, ""),
    ]


def test_a_code_found_twice_counts_once() -> None:
    assert score(TRUTH, found_of(*RIGHT, *RIGHT)).total.found == 6


def test_nothing_found_is_no_recall_and_no_false_alarm() -> None:
    card = score(TRUTH, found_of())
    assert (card.total.precision, card.total.recall, card.total.missed) == (1.0, 0.0, 6)


def test_a_clean_tape_has_only_false_alarms() -> None:
    card = score(TRUTH.clear(), found_of((A, 1, "late")))
    assert (card.total.precision, card.total.recall) == (0.0, 1.0)
    assert score(TRUTH.clear(), found_of()).perfect


def test_the_list_of_wrong_rows_is_cut_and_their_number_is_not() -> None:
    card = score(TRUTH, found_of(), wrong_rows_max=2)
    assert (len(card.wrong), card.wrong_rows) == (2, 6)


def test_findings_of_another_tape_are_refused() -> None:
    with pytest.raises(UsageError, match="no finding lies in a file of this truth"):
        score(TRUTH, found_of(("other.csv", 1, "late")))


def test_findings_from_structs_lists_and_texts_are_the_same() -> None:
    reasons = [[{"code": "late", "observed": "5"}, {"code": "price_band", "observed": "1"}], []]
    structs = pl.DataFrame({"_batch_origin": ["s3://x/a.csv", "b.csv"], "_row": [1, 2], "reasons": reasons})
    lists = structs.with_columns(reasons=pl.Series([["late", "price_band"], []]))
    expected = found_of(("a.csv", 1, "late"), ("a.csv", 1, "price_band"))
    for frame in (structs, lists):
        assert findings(frame, file="_batch_origin", row="_row", codes="reasons").equals(expected)
    texts = pl.DataFrame({"f": ["/d/a.csv", "/d/a.csv", "b.csv"], "r": [1, 1, 2], "c": ["late", "price_band", None]})
    assert findings(texts, file="f", row="r", codes="c").equals(expected)


def test_the_card_as_plain_data_says_what_the_card_says() -> None:
    plain = score(TRUTH, found_of(*RIGHT[1:])).to_dict()
    assert plain["perfect"] is False
    assert plain["total"]["recall"] == pytest.approx(5 / 6)
    assert plain["wrong"] == [{"error": "missed", "file": A, "row": 1, "code": "late", "kind": "late"}]


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_truth_survives_its_file(tmp_path: Path, form: str) -> None:
    path = write_truth(tmp_path, [TRUTH], form)  # type: ignore[arg-type]
    assert score(read_truth(path), found_of(*RIGHT)).perfect


def test_something_else_than_a_truth_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    for name, words in (("x.csv", "not a truth file"), ("absent.parquet", "no truth at")):
        with pytest.raises(UsageError, match=words):
            read_truth(tmp_path / name)
