"""What a cluster without internet needs to run Tapehouse: a wheelhouse for Glue, an archive for EMR, the job files.

    wheelhouse/*.whl         the package and everything it needs but Spark, at the versions of uv.lock
    glue-modules.txt         the value of --additional-python-modules, once BUCKET is filled in
    site.tar.gz              the same unpacked, for --archives site.tar.gz#site on EMR
    emr_job.py, glue_job.py  the job files
    SUBMIT.md                how each is started

Wheels are those for x86_64 Linux with glibc 2.28 or newer, whatever this machine is.
"""

from __future__ import annotations

import gzip
import shutil
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

import tapehouse
from tapehouse.cloud.package.target import Target
from tapehouse.cloud.package.tools import call, uv
from tapehouse.cloud.package.wheels import wheelhouse

# Files of an installation that say where and when it was made, and the list that names them.
_OF_THIS_BUILD = ("direct_url.json", "uv_cache.json", "REQUESTED", "INSTALLER", "RECORD", ".lock")
_SUBMIT = """# EMR

Upload `site.tar.gz` and `emr_job.py`, then add a step:

    spark-submit --deploy-mode client \\
      --archives s3://BUCKET/site.tar.gz#site \\
      --conf spark.pyspark.python=python{python} --conf spark.pyspark.driver.python=python{python} \\
      --conf spark.executorEnv.PYTHONPATH=./site --conf spark.executorEnv.POLARS_MAX_THREADS=1 \\
      s3://BUCKET/emr_job.py --contract s3://BUCKET/trades.yaml --input s3://BUCKET/landing/ --lake /mnt/lake

with PYTHONPATH of the driver naming the unpacked archive.

# Glue

Upload `wheelhouse/` and `glue_job.py`; the job's parameters are the content of `glue-modules.txt` as
`--additional-python-modules`, `--python-modules-installer-option` = `--no-index`, and --contract, --input, --lake.
"""


@dataclass(frozen=True, slots=True)
class ClusterFiles:
    """What was written: how many wheels, and the size of the archive."""

    folder: Path
    wheels: int
    archive_bytes: int


def write_cluster_files(out: Path, target: Target) -> ClusterFiles:
    """Write everything to `out`, replacing what is there. Raises PackageError where something cannot be fetched."""
    shutil.rmtree(out, ignore_errors=True)
    wheels = out / "wheelhouse"
    wheels.mkdir(parents=True)
    for path in sorted(wheelhouse(target, ("spark",)).glob("*.whl")):
        shutil.copyfile(path, wheels / path.name)
    names = sorted(path.name for path in wheels.iterdir())
    modules = ",".join(f"s3://BUCKET/wheelhouse/{name}" for name in names)
    (out / "glue-modules.txt").write_text(f"{modules}\n", encoding="utf-8")
    _archive(wheels, out / "site.tar.gz", target)
    handlers = Path(tapehouse.__file__).with_name("handlers")
    for job in ("emr_job.py", "glue_job.py"):
        shutil.copyfile(handlers / job, out / job)
    (out / "SUBMIT.md").write_text(_SUBMIT.format(python=target.python), encoding="utf-8")
    return ClusterFiles(out, len(names), (out / "site.tar.gz").stat().st_size)


def _archive(wheels: Path, archive: Path, target: Target) -> None:
    """The wheels unpacked into one folder, as an archive that is the same for the same wheels."""
    with tempfile.TemporaryDirectory() as scratch:
        site = Path(scratch, "site")
        call(
            uv(), "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", site,
            "--python-version", target.python, "--python-platform", "x86_64-manylinux_2_28", *sorted(wheels.iterdir()),
        )  # fmt: skip
        with (
            archive.open("wb") as raw,
            gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w") as tar,
        ):
            for path in sorted(site.rglob("*")):
                if path.is_file() and "__pycache__" not in path.parts and path.name not in _OF_THIS_BUILD:
                    tar.add(path, path.relative_to(site).as_posix(), filter=_plain)


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime = 0
    entry.mode = 0o755 if entry.mode & 0o100 else 0o644
    return entry
