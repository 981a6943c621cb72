"""What a run of a Glue job is started with: its script, arguments, modules, credentials, Java and Spark."""

from __future__ import annotations

import os
import re
import shlex
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from emulator.differences import PURE_WHEEL, SPARK, stand_in_package
from emulator.inside import endpoint, role_session
from emulator.options import Options


@dataclass(frozen=True)
class Job:
    """`arguments` are the job's defaults, overridden by the run's, as the script gets them."""

    name: str
    run_id: str
    role: str
    script: str
    arguments: dict[str, str]
    folder: Path
    region: str

    @classmethod
    def of(cls, definition: dict[str, Any], run: dict[str, Any], options: Options) -> Job:
        from ministack.core.responses import get_region

        folder = options.jobs / run["Id"]
        folder.mkdir(parents=True, exist_ok=True)
        own = {"--JOB_NAME": definition["Name"], "--JOB_RUN_ID": run["Id"]}
        fixed = definition.get("NonOverridableArguments") or {}
        arguments = {**(definition.get("DefaultArguments") or {}), **own, **run["Arguments"], **fixed}
        script = (definition.get("Command") or {}).get("ScriptLocation", "")
        return cls(definition["Name"], run["Id"], definition["Role"], script, arguments, folder, get_region())

    @property
    def modules(self) -> Path:
        return self.folder / "modules"

    def log(self) -> str:
        path = self.folder / "log.txt"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def prepare(job: Job) -> list[str]:
    """The command of a run, after its script and modules were fetched with the permissions of the job's role."""
    script = _fetch(job, job.script)
    job.modules.mkdir(exist_ok=True)
    for name in ("--extra-py-files", "--additional-python-modules"):
        for item in filter(None, job.arguments.get(name, "").split(",")):
            _add_module(job, item.strip())
    return [sys.executable, str(script), *(part for item in job.arguments.items() for part in item)]


def environment(job: Job) -> dict[str, str]:
    """The job's own modules come first, then the packages of this interpreter (where Spark is)."""
    from tapehouse.engines.spark.java import java_home

    conf = {**SPARK, **_confs(job.arguments.get("--conf", ""))}
    submit = [part for item in conf.items() for part in ("--conf", "=".join(item))]
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "GATEWAY_", "MINISTACK_"))
    }
    return kept | {
        **role_session(job.role, f"GlueJobRunnerSession-{job.run_id[:32]}"),
        "AWS_ENDPOINT_URL": endpoint(),
        "AWS_DEFAULT_REGION": job.region,
        "AWS_REGION": job.region,
        "AWS_EC2_METADATA_DISABLED": "true",
        "PYTHONPATH": str(job.modules),
        "PYTHONUNBUFFERED": "1",
        "JAVA_HOME": str(java_home(job.folder / "java")),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_SUBMIT_ARGS": f"{shlex.join(submit)} pyspark-shell",
    }


def _confs(text: str) -> dict[str, str]:
    """Glue's one argument `--conf` holds several: `a=1 --conf b=2`."""
    return dict(part.strip().split("=", 1) for part in text.split("--conf") if "=" in part)


def _fetch(job: Job, location: str) -> Path:
    """A file in S3, downloaded as the job's role."""
    import boto3

    place = urlparse(location)
    if place.scheme != "s3" or not place.path.strip("/"):
        raise ValueError(f"{location!r} is not the address of an object in S3")
    key = role_session(job.role, f"GlueJobRunnerSession-{job.run_id[:32]}")
    s3 = boto3.client(
        "s3",
        endpoint_url=endpoint(),
        region_name=job.region,
        aws_access_key_id=key["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=key["AWS_SECRET_ACCESS_KEY"],
        aws_session_token=key["AWS_SESSION_TOKEN"],
    )
    target = job.folder / Path(place.path).name
    s3.download_file(place.netloc, place.path.lstrip("/"), str(target))
    return target


def _add_module(job: Job, item: str) -> None:
    """A module the job asks for: unpacked where this interpreter can import it; else this one's own package of that
    name stands in, and where there is none the run fails."""
    if item.startswith("s3://"):
        path = _fetch(job, item)
        if path.suffix == ".py":
            path.rename(job.modules / path.name)
            return
        if path.suffix == ".zip" or PURE_WHEEL.search(path.name):
            with zipfile.ZipFile(path) as archive:
                archive.extractall(job.modules)
            return
        item = path.name.split("-")[0]
    stand_in_package(re.split(r"[=<>!~\[;-]", item)[0].strip())
