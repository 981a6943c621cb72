"""Folders kept by what they were made from."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from tapehouse.errors import UsageError

_DIGITS = 20


def home() -> Path:
    """Where packages are kept: `TAPEHOUSE_CACHE`, else `$XDG_CACHE_HOME/tapehouse`, else `~/.cache/tapehouse`."""
    given = os.environ.get("TAPEHOUSE_CACHE")
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tapehouse"


def digest_of(*parts: object) -> str:
    """A digest of JSON values and files (Path: name and content; a folder stands for the files in it)."""
    found = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            for path in files_in(part) if part.is_dir() else (part,):
                found.update(f"{path.relative_to(part) if part.is_dir() else path.name}\0".encode())
                found.update(hashlib.sha256(path.read_bytes()).digest())
        else:
            found.update(json.dumps(part, sort_keys=True).encode() + b"\0")
    return found.hexdigest()[:_DIGITS]


def files_in(folder: Path) -> list[Path]:
    """Files below a folder, sorted, without what Python compiles beside them."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def kept(name: str, build: Callable[[Path], None]) -> Path:
    """The folder `name` of the cache; where there is none, what `build` writes into an empty one.

    It appears all at once or not at all, and of two builders at the same time one wins. Raises UsageError where the
    cache cannot be written.
    """
    target = home() / "packages" / name
    if target.is_dir():
        # A Python that imported from here has left its own files, which are not what was built.
        for compiled in list(target.rglob("__pycache__")):
            shutil.rmtree(compiled, ignore_errors=True)
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=target.parent))
    except OSError as error:
        raise UsageError(
            f"packages cannot be kept in {target.parent}: {error.strerror}",
            fix="name a folder that can be written in TAPEHOUSE_CACHE",
        ) from error
    try:
        build(scratch)
        plain(scratch)
        try:
            scratch.rename(target)
        except OSError:  # another process was quicker
            if not target.is_dir():
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return target


def plain(folder: Path) -> None:
    """The same modes whatever umask made the files: all may read, and run what anybody may run."""
    folder.chmod(0o755)
    for path in folder.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)


def copy(files: Iterable[Path], root: Path, target: Path) -> None:
    """Copy files below `root` to the same places below `target`."""
    for path in files:
        to = target / path.relative_to(root)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, to)
