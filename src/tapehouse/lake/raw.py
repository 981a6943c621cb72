"""Landed bytes, kept under the sha256 of their content: the same delivery twice is one file (I3)."""

from __future__ import annotations

import hashlib
import os
import re
import uuid
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tapehouse.errors import LakeError
from tapehouse.lake import disk, transfer
from tapehouse.lake.transfer import readable

_DIGEST = re.compile(r"[0-9a-f]{64}\Z")


def is_digest(name: str) -> bool:
    """Whether this is a sha256 in hex."""
    return _DIGEST.match(name) is not None


@dataclass(frozen=True, slots=True)
class Landed:
    """One landed unit: `path` in the lake holds the untouched bytes (`size` of them), `digest` is their sha256 in hex,
    `origin` the path it was delivered under.
    """

    path: Path
    digest: str
    origin: str
    size: int


class RawStore:
    """Content-addressed folder: `ab/abcdef...`, files read-only."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._sizes: set[int] | None = None

    def path(self, digest: str) -> Path:
        """Where the bytes with that digest lie, whether or not they are there."""
        if not is_digest(digest):
            raise LakeError(f"{digest!r} is not a sha256 in hex (64 digits 0-9 a-f)")
        return self.root / digest[:2] / digest

    def has(self, digest: str) -> bool:
        """Whether the bytes are in the lake."""
        return self.path(digest).is_file()

    def digest(self, source: Path) -> str:
        """The sha256 of a file anywhere, without landing it."""
        with readable(source), source.open("rb", buffering=0) as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()

    def verify(self, digest: str) -> bool:
        """Whether the landed bytes are there and still have that digest."""
        return self.has(digest) and self.digest(self.path(digest)) == digest

    def land(self, source: Path) -> Landed:
        """Bring a file into the lake; nothing is copied when its content already is there.

        The digest is that of the copy, whatever becomes of the source. Only when some landed file has the same size, so
        that the content may be here already, is the source's taken first.
        """
        held = self.held(source)
        if held is not None:
            return held
        temporary, digest = self.copy(source)
        with disk.guarded("landing input", self.root):
            disk.sync_file(temporary)
            size = temporary.stat().st_size
            self.adopt({temporary: digest})
        return Landed(self.path(digest), digest, str(source), size)

    def held(self, source: Path) -> Landed | None:
        """The file as landed before, or None when its content is not in the lake."""
        with readable(source):
            size = source.stat().st_size
        if size not in self._known_sizes():
            return None
        digest = self.digest(source)
        return Landed(self.path(digest), digest, str(source), size) if self.has(digest) else None

    def copy(self, source: Path) -> tuple[Path, str]:
        """A copy of the file under a temporary name, not yet synced, and its digest; `adopt` makes it landed."""
        temporary = self.root / f".landing-{os.getpid()}-{uuid.uuid4().hex}"
        with disk.guarded("landing input", self.root):
            try:
                transfer.copy(source, temporary)
                return temporary, transfer.digest(temporary)
            except BaseException:
                with suppress(OSError):
                    temporary.unlink(missing_ok=True)
                raise

    def adopt(self, copies: Mapping[Path, str]) -> None:
        """Give synced copies their final names, durably; a copy is removed when its content is there already."""
        targets = [(temporary, self.path(digest)) for temporary, digest in copies.items()]
        for temporary, target in targets:
            if target.exists():
                temporary.unlink(missing_ok=True)
                continue
            target.parent.mkdir(exist_ok=True)
            temporary.chmod(0o444)
            self._known_sizes().add(temporary.stat().st_size)
            temporary.replace(target)
        for folder in {target.parent for _, target in targets} | {self.root}:
            disk.sync_folder(folder)

    def fetch(self, digest: str) -> Path:
        """Where the bytes with that digest can be read, if they are in the lake."""
        return self.path(digest)

    def size(self, digest: str) -> int | None:
        """How many bytes have that digest; None when they are not in the lake."""
        path = self.path(digest)
        return path.stat().st_size if path.is_file() else None

    def remove(self, digests: Iterable[str]) -> None:
        """Remove landed bytes that nothing accounts for any more."""
        for digest in digests:
            self.path(digest).unlink(missing_ok=True)

    def digests(self) -> list[str]:
        """Every landed digest, sorted."""
        return sorted(path.name for path in self.root.glob("??/*") if is_digest(path.name))

    def _known_sizes(self) -> set[int]:
        if self._sizes is None:
            folders = [entry.path for entry in os.scandir(self.root) if entry.is_dir()] if self.root.is_dir() else []
            self._sizes = {entry.stat().st_size for folder in folders for entry in os.scandir(folder)}
        return self._sizes
