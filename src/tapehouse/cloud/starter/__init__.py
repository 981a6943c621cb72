"""Settings and a contract to begin with, where there are none yet."""

from __future__ import annotations

import os
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from tapehouse.cloud.settings import Settings, new_suffix
from tapehouse.errors import UsageError

SETTINGS_FILE = "cloud.yaml"
_CONTRACT = "trades.yaml"
_SUFFIX = "main"


def load_settings(path: Path | None, **given: Any) -> tuple[Settings, str]:
    """The settings in `path`; without one those in ./cloud.yaml, and where that is absent the starter's. The second
    value says what was used when nobody named it, else it is empty. `given` overrides the file's values.
    """
    if path is not None:
        return Settings.load(path, **given), ""
    here = Path(SETTINGS_FILE)
    if here.is_file():
        return Settings.load(here, **given), ""
    values = {**_starter(), "contracts": (_bundled(_CONTRACT),), "suffix": _SUFFIX}
    values.update({name: value for name, value in given.items() if value is not None})
    values.setdefault("environment", "test")
    said = f"no {SETTINGS_FILE} here: using the starter settings; `tapehouse cloud init` writes them for you to change"
    return Settings.of(values, source="starter settings"), said


def write_starter(folder: Path) -> list[Path]:
    """Write settings with a fresh suffix and the starter's contract into `folder`; returns the files.

    UsageError when one exists already.
    """
    targets = {SETTINGS_FILE: _settings_text(), _CONTRACT: _bundled(_CONTRACT).read_text(encoding="utf-8")}
    present = [name for name in targets if (folder / name).exists()]
    if present:
        raise UsageError(f"{', '.join(present)} in {folder} exists already", fix="change it, or choose another folder")
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in targets.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in targets]


def _starter() -> dict[str, Any]:
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    return {"region": region, "owner": "market-data", "cost_centre": "unassigned"}


def _settings_text() -> str:
    text = _bundled("settings.yaml").read_text(encoding="utf-8")
    return text.replace("SUFFIX", new_suffix()).replace("REGION", _starter()["region"])


def _bundled(name: str) -> Path:
    with as_file(files("tapehouse.cloud.starter").joinpath(name)) as path:
        return path
