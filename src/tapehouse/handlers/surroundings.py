"""What a function knows of where it runs: its environment variables, clients of AWS, its log."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from tapehouse.errors import UsageError

# A function waits for no service longer than it takes to try again.
CONNECT_SECONDS, READ_SECONDS, ATTEMPTS = 3, 20, 5
# A content that a run was given is taken again after so long, unless the deployment says otherwise.
STARTED_SECONDS = 6 * 3_600


@lru_cache
def client(service: str) -> Any:
    """The process's one boto3 client of a service; safe to use from several threads. Honours AWS_ENDPOINT_URL."""
    import boto3
    from botocore.config import Config

    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
    )
    return boto3.client(service, config=config)


def error_code(error: Exception) -> str:
    """The service's word for an error of boto3, or the HTTP status where it has none; else the class's name."""
    answer = getattr(error, "response", None)
    if not isinstance(answer, dict):
        return type(error).__name__
    return str(answer.get("Error", {}).get("Code") or answer.get("ResponseMetadata", {}).get("HTTPStatusCode", ""))


def log(event: str, **facts: Any) -> None:
    """One line of JSON. Facts are names, counts, codes and places: never values of rows."""
    print(json.dumps({"event": event, **facts}, default=str), file=sys.stdout, flush=True)


def root() -> Path:
    """Where the function's code lies."""
    return Path(os.environ.get("LAMBDA_TASK_ROOT") or Path(__file__).resolve().parents[2])


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The environment variables that functions share; each is required where it is used, and empty where it is not
    set. `contracts` and `references` are folders, `release` the s3:// address that the job reads from, `lanes` the
    batches of one shard that may be in work at a time (0: not known), `started_seconds` how long a run may take, its
    retries included.
    """

    environment: str
    pipeline: str
    raw_bucket: str
    lineage_table: str
    alert_topic: str
    glue_job: str
    release: str
    key_arn: str
    contracts: Path
    references: Path
    streams: dict[str, str]
    lanes: int
    started_seconds: int = STARTED_SECONDS

    @classmethod
    def read(cls) -> Surroundings:
        """From the environment. Raises UsageError naming a variable that is missing or wrong."""
        contracts = root() / variable("TAPEHOUSE_CONTRACTS", "contracts")
        return cls(
            environment=variable("TAPEHOUSE_ENVIRONMENT"),
            pipeline=variable("TAPEHOUSE_PIPELINE"),
            raw_bucket=variable("TAPEHOUSE_RAW_BUCKET"),
            lineage_table=variable("TAPEHOUSE_LINEAGE_TABLE"),
            alert_topic=variable("TAPEHOUSE_ALERT_TOPIC_ARN", ""),
            glue_job=variable("TAPEHOUSE_GLUE_JOB", ""),
            release=variable("TAPEHOUSE_RELEASE", "").rstrip("/"),
            key_arn=variable("TAPEHOUSE_KEY_ARN", ""),
            contracts=contracts,
            references=contracts.parent / "references",
            streams=_streams(variable("TAPEHOUSE_STREAMS", "{}")),
            lanes=_lanes(variable("TAPEHOUSE_PARALLELIZATION", "0")),
            started_seconds=started_seconds(),
        )


def variable(name: str, default: str | None = None) -> str:
    """An environment variable. Raises UsageError where it has to be set and is not."""
    found = os.environ.get(name, default)
    if not found and default is None:
        raise UsageError(f"{name} is not set", fix="set it in the function's environment")
    return found or ""


def _streams(text: str) -> dict[str, str]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise UsageError(f"TAPEHOUSE_STREAMS is {text!r}", fix='write JSON: {"stream name": "dataset"}')
    return found


def _lanes(text: str) -> int:
    if not text.isdigit() or int(text) > 10:
        raise UsageError(f"TAPEHOUSE_PARALLELIZATION is {text!r}", fix="write the mapping's factor, 1 to 10")
    return int(text)


def started_seconds() -> int:
    """For how long a content's run may say nothing."""
    return _seconds("TAPEHOUSE_STARTED_SECONDS", STARTED_SECONDS)


def _seconds(name: str, default: int) -> int:
    text = variable(name, str(default))
    if not text.isdigit() or int(text) < 1:
        raise UsageError(f"{name} is {text!r}", fix="write a whole number of seconds, 1 or more")
    return int(text)
