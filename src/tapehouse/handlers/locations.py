"""Files at any location that the job can reach, brought to a local folder.

Locations in S3 are read with boto3, which on EMR and Glue has the job's role; other schemes (hdfs, file) with the
cluster's own Hadoop client.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

from tapehouse.errors import FeedError, UsageError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

S3_SCHEMES = ("s3", "s3a", "s3n")


class Locations:
    """Brings files to `folder`, each under its own name in a folder of its own, so that equal names do not meet.
    `origins` says where each came from. `spark` gives the session, and is called only for what Hadoop has to read.
    """

    def __init__(self, spark: Callable[[], SparkSession], folder: Path) -> None:
        self._session = spark
        self._folder = folder
        self._brought = 0
        self.origins: dict[Path, str] = {}

    def bring(self, location: str) -> list[Path]:
        """Local paths of the files at a path or pattern of a location; a folder stands for the files in it.

        Plain paths are returned as they are. Raises FeedError where there is nothing.
        """
        scheme = urlparse(location).scheme
        if not scheme:
            return [Path(location)]
        if scheme in S3_SCHEMES:
            return self._from_s3(location)
        return [self._copy(system, status) for system, status in self._found(location)]

    def bring_one(self, location: str) -> Path:
        """The one file at a location."""
        found = self.bring(location)
        if len(found) != 1:
            raise UsageError(f"{location} is {len(found)} files", fix="name one file")
        return found[0]

    def _from_s3(self, location: str) -> list[Path]:
        from tapehouse.lake.s3.listing import listed
        from tapehouse.lake.s3.objects import Objects

        out = []
        for one in listed(location):
            target = self._target(one.key.rpartition("/")[2])
            if not Objects(one.bucket).download(one.key, target, one.etag):
                raise FeedError("was replaced or removed meanwhile", path=one.uri, fix="run again")
            self.origins[target] = one.uri
            out.append(target)
        return out

    def _found(self, location: str) -> list[tuple[Any, Any]]:
        from py4j.protocol import Py4JJavaError

        try:
            path = self._path(location)
            system = path.getFileSystem(self._configuration())
            found = list(system.globStatus(path) or [])
            files = [one for status in found for one in (_inside(system, status) if status.isDirectory() else [status])]
        except Py4JJavaError as error:
            why = str(error.java_exception.getMessage() or error.java_exception.toString()).splitlines()[0]
            raise FeedError(why, path=location, fix="check the location and the job's permissions") from error
        if not files:
            raise FeedError("there is no file", path=location, fix="check the location and the job's permissions")
        return [(system, status) for status in files]

    def _target(self, name: str) -> Path:
        self._brought += 1
        target = self._folder / f"{self._brought:06d}" / name
        target.parent.mkdir(parents=True)
        return target

    def _copy(self, system: Any, status: Any) -> Path:
        target = self._target(str(status.getPath().getName()))
        # The raw local file system leaves no checksum file beside the copy.
        # Hadoop takes a location as it is written: percent signs would become part of the name.
        system.copyToLocalFile(False, status.getPath(), self._path(f"file://{target}"), True)
        self.origins[target] = str(status.getPath())
        return target

    def _path(self, location: str) -> Any:
        return self._jvm().org.apache.hadoop.fs.Path(location)

    def _configuration(self) -> Any:
        return self._session().sparkContext._jsc.hadoopConfiguration()

    def _jvm(self) -> Any:
        return self._session().sparkContext._jvm


def _inside(system: Any, folder: Any) -> list[Any]:
    """Files in a folder, by name; hidden ones and folders in it are left out."""
    found = [one for one in system.listStatus(folder.getPath()) if not one.isDirectory()]
    names = {one.getPath().getName(): one for one in found}
    return [names[name] for name in sorted(names) if not name.startswith((".", "_"))]
