"""Precision and recall of every rule against the truth of a generated tape.

A finding is (file, row, code). It is a *hit* where the truth demands that code on that record, *allowed* where the
truth permits it there (it counts neither way), and a *false alarm* otherwise. A demanded code not found is a *miss*.
A duplicate counts as the code `duplicate`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from tapehouse.errors import UsageError

_PLACE = ["file", "row", "code"]


@dataclass(frozen=True, slots=True)
class CodeScore:
    """How one code fared. `expected` = hits + missed; `found` = hits + false alarms + allowed."""

    code: str
    expected: int
    found: int
    hits: int
    missed: int
    false_alarms: int

    @property
    def precision(self) -> float:
        """Share of findings that are right, those merely allowed left out; 1.0 where there is none."""
        judged = self.hits + self.false_alarms
        return self.hits / judged if judged else 1.0

    @property
    def recall(self) -> float:
        """Share of the demanded that was found; 1.0 where nothing was demanded."""
        return self.hits / self.expected if self.expected else 1.0


@dataclass(frozen=True, slots=True)
class WrongRow:
    """One miss or false alarm; `kind` is the injected fault of the record, empty where it was clean."""

    error: str  # missed | false alarm
    file: str
    row: int
    code: str
    kind: str


@dataclass(frozen=True, slots=True)
class Scorecard:
    """The score of one run. `wrong` holds the first wrong rows by file and row; `wrong_rows` counts them all."""

    codes: tuple[CodeScore, ...]
    total: CodeScore
    wrong: tuple[WrongRow, ...]
    wrong_rows: int

    @property
    def perfect(self) -> bool:
        """Every demanded code found, and no other."""
        return self.wrong_rows == 0

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, with precision and recall per code and in total."""

        def line(score: CodeScore) -> dict[str, Any]:
            return asdict(score) | {"precision": score.precision, "recall": score.recall}

        return {
            "perfect": self.perfect,
            "total": line(self.total),
            "codes": [line(score) for score in self.codes],
            "wrong_rows": self.wrong_rows,
            "wrong": [asdict(row) for row in self.wrong],
        }


def score(truth: pl.DataFrame, found: pl.DataFrame, *, wrong_rows_max: int = 20) -> Scorecard:
    """Compare findings (columns `file`, `row`, `code`) with the truth as `read_truth` gives it.

    A code found twice on a record counts once. Raises UsageError where a file is not of this truth: a score against
    another tape's truth means nothing.
    """
    found = found.select(pl.col("file").cast(pl.String), pl.col("row").cast(pl.Int64), pl.col("code").cast(pl.String))
    found = found.unique()
    _same_tape(truth, found)
    kinds = truth.select("file", "row", "kind").unique(["file", "row"])
    demanded = _places(truth, "codes")
    allowed = _places(truth, "also")
    hits = demanded.join(found, on=_PLACE, how="semi")
    missed = demanded.join(found, on=_PLACE, how="anti")
    permitted = found.join(allowed, on=_PLACE, how="semi").join(demanded, on=_PLACE, how="anti")
    alarms = found.join(demanded, on=_PLACE, how="anti").join(allowed, on=_PLACE, how="anti")
    tallies = [_tally(frame) for frame in (hits, missed, alarms, permitted)]
    codes = tuple(_code_score(code, *tallies) for code in sorted(set().union(*tallies)))
    wrong = pl.concat(
        [missed.with_columns(error=pl.lit("missed")), alarms.with_columns(error=pl.lit("false alarm"))]
    ).join(kinds, on=["file", "row"], how="left")
    first = wrong.sort("file", "row", "code").head(wrong_rows_max).with_columns(pl.col("kind").fill_null(""))
    rows = tuple(WrongRow(**row) for row in first.select("error", *_PLACE, "kind").iter_rows(named=True))
    return Scorecard(codes, _sum(codes), rows, wrong.height)


def findings(rows: pl.DataFrame, *, file: str, row: str, codes: str) -> pl.DataFrame:
    """Findings from rows of a lake table: `file` names the column of paths or URIs (their last part is taken), `row`
    that of record numbers, `codes` that of codes: text, a list of text, or a list of structs with a field `code`.
    """
    name = pl.col(file).cast(pl.String).str.split("/").list.last()
    frame = rows.select(file=name, row=pl.col(row).cast(pl.Int64), code=pl.col(codes))
    if isinstance(frame.schema["code"], pl.List):
        frame = frame.explode("code", empty_as_null=False)
    if isinstance(frame.schema["code"], pl.Struct):
        frame = frame.with_columns(pl.col("code").struct.field("code"))
    return frame.drop_nulls("code")


def _same_tape(truth: pl.DataFrame, found: pl.DataFrame) -> None:
    if truth.height == 0 or found.height == 0:
        return
    common = set(truth["file"].unique()) & set(found["file"].unique())
    if not common:
        raise UsageError(
            f"no finding lies in a file of this truth ({truth['file'][0]} ... against {found['file'][0]} ...)",
            fix="give the truth that was generated together with the files of the run",
        )


def _places(truth: pl.DataFrame, column: str) -> pl.DataFrame:
    lists = truth.select("file", "row", code=pl.col(column)).filter(pl.col("code").list.len() > 0)
    return lists.explode("code").cast({"code": pl.String}).unique()


def _tally(frame: pl.DataFrame) -> dict[str, int]:
    return dict(frame.group_by("code").len().iter_rows())


def _code_score(
    code: str,
    hits: Mapping[str, int],
    missed: Mapping[str, int],
    alarms: Mapping[str, int],
    permitted: Mapping[str, int],
) -> CodeScore:
    hit, miss, alarm, extra = (tally.get(code, 0) for tally in (hits, missed, alarms, permitted))
    return CodeScore(code, hit + miss, hit + alarm + extra, hit, miss, alarm)


def _sum(codes: tuple[CodeScore, ...]) -> CodeScore:
    fields = ("expected", "found", "hits", "missed", "false_alarms")
    return CodeScore("total", *(sum(getattr(code, name) for code in codes) for name in fields))
