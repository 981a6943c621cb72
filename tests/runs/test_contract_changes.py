"""One lake under successive versions of a contract: what was proved under one version still holds under the next."""

from __future__ import annotations

from pathlib import Path

import pytest

from tapehouse.runs.replay import replay
from tapehouse.runs.result import Status
from tapehouse.runs.retention import apply_retention

from .conftest import NewLake
from .support import HEADER, replaced, trade, write_csv

WIDER = {
    "version: 1.0.0": "version: 1.1.0",
    "      - name: side\n": "      - {name: desk, logicalType: string}\n"
    "      - {name: fee, logicalType: integer}\n      - name: side\n",
}


def wide(path: Path, first: int) -> Path:
    """A file with the two columns more, before the last."""
    lines = [trade("15:10:00", first + n).replace(",@,", ",@,desk,7,") for n in range(20)]
    path.write_text("\n".join([HEADER.replace(",side", ",desk,fee,side"), *lines]) + "\n")
    return path


@pytest.mark.parametrize("number", range(3))
def test_batches_of_two_versions_verify_together(new_lake: NewLake, tmp_path: Path, number: int) -> None:
    """Several files, for which version the check happens to begin with depends on their digests."""
    bench = new_lake(made=replaced(tmp_path, "v1.yaml", {}))
    later = replaced(tmp_path, "v2.yaml", WIDER)
    for file in range(3):
        bench.run(
            write_csv(tmp_path / f"a{file}.csv", [trade("15:00:00", file * 50 + 500 * number + n) for n in range(20)])
        )
    bench.clean()
    result = bench.run(wide(tmp_path / "b.csv", 5_000 + number), contract=later)
    assert result.status == Status.PUBLISHED
    rows = bench.rows("curated")
    assert rows["fee"].null_count() == 60
    assert rows["fee"].sum() == 140
    bench.clean()


def test_rows_replayed_under_a_wider_contract_verify(new_lake: NewLake, tmp_path: Path) -> None:
    bench = new_lake(made=replaced(tmp_path, "v1.yaml", {}))
    lines = [trade("15:00:00", n, price="300.0000" if n == 3 else "169.0000") for n in range(40)]
    bench.run(write_csv(tmp_path / "a.csv", lines))
    later = replaced(tmp_path, "v2.yaml", {**WIDER, 'max: "20%"': 'max: "900%"'})
    bench.run(wide(tmp_path / "b.csv", 5_000), contract=later)
    relaxed = replaced(tmp_path, "v3.yaml", {'max: "20%"': 'max: "900%"', "version: 1.0.0": "version: 1.2.0"})
    assert replay(relaxed, lake=bench.lake, references=bench.references).proof.counts["curated"] == 1
    bench.clean()


def test_rows_expired_under_a_wider_contract_verify(new_lake: NewLake, tmp_path: Path) -> None:
    bench = new_lake(made=replaced(tmp_path, "v1.yaml", {}))
    bench.run(write_csv(tmp_path / "a.csv", [trade("15:00:00", n, day="2010-03-08") for n in range(20)]))
    later = replaced(tmp_path, "v2.yaml", WIDER)
    bench.run(wide(tmp_path / "b.csv", 5_000), contract=later)
    assert apply_retention(bench.lake, later).expired == ("2010-03-08-15",)
    bench.clean()
