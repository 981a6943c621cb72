"""Landed bytes as objects, under the sha256 of their content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from tapehouse.errors import LakeError
from tapehouse.lake.raw import Landed, RawStore, is_digest
from tapehouse.lake.s3.objects import Objects
from tapehouse.lake.s3.place import OnS3


class RawObjects(RawStore):
    """`AA/DIGEST` below a prefix. An object that is there is never written again."""

    def __init__(self, place: OnS3, objects: Objects) -> None:
        super().__init__(place.root / "raw")
        self._place, self.objects = place, objects

    def name(self, digest: str) -> str:
        """Of the object below the prefix."""
        return self.path(digest).relative_to(self.root).as_posix()

    def has(self, digest: str) -> bool:
        """Asks S3."""
        return self.objects.head(self.name(digest)) is not None

    def verify(self, digest: str) -> bool:
        """Reads the object, and keeps nothing of it here."""
        parts = self.objects.stream(self.name(digest))
        if parts is None:
            return False
        hasher = hashlib.sha256()
        for part in parts:
            hasher.update(part)
        return hasher.hexdigest() == digest

    def land(self, source: Path) -> Landed:
        """Uploaded, unless its content is there already. The digest is that of a copy, whatever becomes of the file."""
        temporary, digest = self.copy(source)
        try:
            size = temporary.stat().st_size
            if not self.has(digest):
                self.objects.upload(self.name(digest), temporary)
        finally:
            temporary.unlink(missing_ok=True)
        return Landed(self.path(digest), digest, str(source), size)

    def copy(self, source: Path) -> tuple[Path, str]:
        """In the working copy."""
        self.root.mkdir(parents=True, exist_ok=True)
        return super().copy(source)

    def held(self, source: Path) -> Landed | None:
        """Asks S3 for the file's digest."""
        digest = self.digest(source)
        return Landed(self.path(digest), digest, str(source), source.stat().st_size) if self.has(digest) else None

    def adopt(self, copies: Mapping[Path, str]) -> None:
        """Not how files land in S3."""
        raise LakeError("copies are not adopted by a lake in S3", fix="land the files with `Lake.landing`")

    def fetch(self, digest: str) -> Path:
        """Downloaded, if it is there."""
        return self._place.fetch([self.path(digest)])[0]

    def size(self, digest: str) -> int | None:
        """Asks S3."""
        found = self.objects.head(self.name(digest))
        return None if found is None else found.size

    def remove(self, digests: Iterable[str]) -> None:
        """The objects, and what is here of them."""
        self._place.remove(self.path(digest) for digest in digests)

    def digests(self) -> list[str]:
        """Every landed digest, sorted: lists all objects."""
        names = (one.name.rpartition("/")[2] for one in self.objects.listed())
        return sorted(name for name in names if is_digest(name))
