"""Folders as zip files: the same content gives the same bytes, on every machine and day."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path
from typing import IO

# The earliest that a zip file can tell.
_TIME = (1980, 1, 1, 0, 0, 0)
_UNIX = 3
# A third of the time of the default level for a tenth more bytes, where most of them are machine code.
_LEVEL = 1
_COMPRESSED = frozenset({".whl", ".zip", ".gz", ".zst"})


def write_zip(folder: Path, target: IO[bytes]) -> int:
    """Write the files below `folder` in order of their paths; returns how many. Only whether a file can be executed
    is kept of its permissions; links are followed."""
    files = sorted((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.as_posix())
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
        for path in files:
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _TIME)
            entry.compress_type = zipfile.ZIP_STORED if path.suffix in _COMPRESSED else zipfile.ZIP_DEFLATED
            entry.create_system = _UNIX
            entry.external_attr = (0o100755 if path.stat().st_mode & 0o100 else 0o100644) << 16
            with path.open("rb") as source, archive.open(entry, "w") as place:
                shutil.copyfileobj(source, place, 1 << 20)
    return len(files)
