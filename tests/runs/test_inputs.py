"""Which files a run takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tapehouse.errors import UsageError
from tapehouse.lake.home import Lake
from tapehouse.runs.inputs import expand


def _touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_a_folder_gives_what_is_below_it_but_no_hidden_file_and_no_lake(tmp_path: Path) -> None:
    wanted = [tmp_path / "a.csv", tmp_path / "day" / "b.csv"]
    _touch(*wanted, tmp_path / ".hidden", tmp_path / ".git" / "c.csv")
    Lake.open(tmp_path / "lake")
    assert expand([tmp_path]) == wanted


def test_a_file_named_twice_is_taken_once_and_patterns_are_expanded(tmp_path: Path) -> None:
    files = [tmp_path / "a.csv", tmp_path / "b.csv"]
    _touch(*files, tmp_path / "c.txt")
    assert expand([files[1], str(tmp_path / "*.csv")]) == [files[1], files[0]]


@pytest.mark.parametrize("what", ["absent.csv", "*.nothing", "empty"])
def test_an_input_that_names_no_file_is_an_error(tmp_path: Path, what: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="names no file"):
        expand([tmp_path / what])
