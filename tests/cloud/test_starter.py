"""Settings to begin with: in memory, in a folder, or the operator's own."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tapehouse.cloud.datasets import datasets_of
from tapehouse.cloud.starter import load_settings, write_starter
from tapehouse.errors import UsageError


def test_without_a_file_there_is_something_to_try(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AWS_REGION", "eu-north-1")
    settings, said = load_settings(None)
    assert (settings.environment, settings.suffix, settings.region) == ("test", "main", "eu-north-1")
    assert "tapehouse cloud init" in said
    (dataset,) = datasets_of(settings)
    assert (dataset.name, dataset.streamable) == ("trades", True)
    given, _ = load_settings(None, environment="prod", suffix=None)
    assert (given.environment, given.suffix) == ("prod", "main")


def test_what_is_written_loads_from_its_folder_and_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = write_starter(tmp_path / "new")
    assert [path.name for path in written] == ["cloud.yaml", "trades.yaml"]
    by_name, said = load_settings(written[0])
    assert said == ""
    assert by_name.suffix == yaml.safe_load(written[0].read_text())["suffix"]
    assert by_name.contracts == (written[1],)
    monkeypatch.chdir(tmp_path / "new")
    here, said = load_settings(None, environment="dev")
    assert (here.environment, here.suffix, said) == ("dev", by_name.suffix, "")


def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "trades.yaml").write_text("mine")
    with pytest.raises(UsageError, match=r"trades.yaml in .* exists already"):
        write_starter(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["trades.yaml"]
