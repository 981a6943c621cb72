"""Which files a run is asked to take."""

from __future__ import annotations

import glob
from collections.abc import Iterable
from pathlib import Path

from tapehouse.errors import UsageError
from tapehouse.lake.folder import is_lake, is_remote


def located(inputs: Iterable[str | Path]) -> list[str | Path]:
    """As `expand`, with locations in S3 left to the lake."""
    out: list[str | Path] = []
    for one in inputs:
        out.extend([str(one)] if isinstance(one, str) and is_remote(one) else expand([one]))
    return list(dict.fromkeys(out))


def expand(inputs: Iterable[str | Path]) -> list[Path]:
    """Files named by paths, folders (all files below them) and glob patterns, each once, sorted.

    Of a folder, hidden files and lakes within it are left out.

    Raises UsageError for something that names no file, so that a typing error never is an empty, successful run.
    """
    found: dict[Path, None] = {}
    for one in inputs:
        matches = sorted(_files(one))
        if not matches:
            raise UsageError(
                f"input {str(one)!r} names no file",
                fix="give existing files, folders or quoted patterns such as 'landing/*.csv'",
            )
        found.update(dict.fromkeys(matches))
    return list(found)


def _files(one: str | Path) -> list[Path]:
    path = Path(one).expanduser()
    if path.is_file():
        return [path]
    if path.is_dir():
        return _below(path)
    return [Path(match) for match in glob.glob(str(path), recursive=True) if Path(match).is_file()]  # noqa: PTH207


def _below(folder: Path) -> list[Path]:
    found: list[Path] = []
    for path in folder.iterdir():
        if path.name.startswith("."):
            continue
        if path.is_file():
            found.append(path)
        elif path.is_dir() and not is_lake(path):
            found.extend(_below(path))
    return found
