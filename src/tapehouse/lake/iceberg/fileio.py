"""Local files for Iceberg metadata, synced before the catalogue can point to them."""

from __future__ import annotations

import io
import os
from contextlib import suppress
from pathlib import Path

from pyiceberg.io import FileIO, InputFile, InputStream, OutputFile, OutputStream

from tapehouse.lake import disk
from tapehouse.lake.place import local_path

__all__ = ["DurableFile", "DurableFileIO", "local_path"]


class DurableFile(io.BufferedWriter):
    """A new file that is on disk, name and bytes, once closed."""

    def __init__(self, path: Path, *, overwrite: bool) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        super().__init__(io.FileIO(path, "wb" if overwrite else "xb"))

    def close(self) -> None:
        if self.closed:
            return
        try:
            self.flush()
            os.fsync(self.fileno())
        except OSError:
            with suppress(OSError):
                super().close()
            self._path.unlink(missing_ok=True)
            raise
        super().close()
        disk.sync_folder(self._path.parent)


class _Input(InputFile):
    def __len__(self) -> int:
        return local_path(self.location).stat().st_size

    def exists(self) -> bool:
        return local_path(self.location).exists()

    def open(self, seekable: bool = True) -> InputStream:
        return local_path(self.location).open("rb")


class _Output(OutputFile):
    def __len__(self) -> int:
        return local_path(self.location).stat().st_size

    def exists(self) -> bool:
        return local_path(self.location).exists()

    def to_input_file(self) -> InputFile:
        return _Input(self.location)

    def create(self, overwrite: bool = False) -> OutputStream:
        return DurableFile(local_path(self.location), overwrite=overwrite)


class DurableFileIO(FileIO):
    """pyiceberg's door to the disk, given to the catalogue by name."""

    def new_input(self, location: str) -> InputFile:
        return _Input(location)

    def new_output(self, location: str) -> OutputFile:
        return _Output(location)

    def delete(self, location: str | InputFile | OutputFile) -> None:
        local_path(location if isinstance(location, str) else location.location).unlink()
