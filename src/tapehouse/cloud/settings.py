"""What an operator decides about a deployment: one YAML file, overridden by flags; every other value is computed."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from tapehouse.cloud.network_settings import NetworkSettings
from tapehouse.contracts.suggest import did_you_mean
from tapehouse.errors import UsageError

_SUFFIX_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"  # nothing that is read as something else
_SUFFIX_LENGTH = 4


# What every service takes as the value of a tag.
_TAG = r"^[A-Za-z0-9 _.:/=+@-]+$"


class Environment(StrEnum):
    """`dev` and `test` can be destroyed without trace; `prod` keeps its data and is protected."""

    DEV = "dev"
    TEST = "test"
    PROD = "prod"


class Classification(StrEnum):
    """Value of the tag DataClassification."""

    PUBLIC = "public"
    INTERNAL = "internal"
    CONFIDENTIAL = "confidential"
    RESTRICTED = "restricted"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class StreamSettings(_Part):
    """Kinesis streams and what reads them."""

    mode: Literal["provisioned", "on_demand"] = "provisioned"
    """Shards computed from the volume, or scaled by the service."""
    volume: str = "1GB/day"
    """Mean input of a dataset that `volumes` does not name, such as 50TB/day or 600MB/s."""
    volumes: Mapping[str, str] = Field(default_factory=dict)
    """Mean input by dataset."""
    peak_factor: Annotated[float, Field(ge=1, le=100)] = 3.0
    """Busiest second over the mean one; shards are for the busiest."""
    record_bytes: Annotated[int, Field(ge=1, le=10 * 1024 * 1024)] = 25_000
    """Mean size of a record as producers put it."""
    retention_hours: Annotated[int, Field(ge=24, le=8760)] = 384
    """How long a record can be read again: by default 16 days, for the dead-letter queue keeps its position for 14."""
    parallelization: Annotated[int, Field(ge=1, le=10)] = 1
    """Batches of one shard in work at a time; above 1, order holds only within a partition key."""
    batch_records: Annotated[int, Field(ge=2, le=10_000)] = 1_000
    """Most records of one invocation."""
    batch_window_seconds: Annotated[int, Field(ge=0, le=300)] = 5
    """How long an invocation waits for its batch to fill."""
    retries: Annotated[int, Field(ge=1, le=100)] = 3
    """Attempts after the first, until a batch is given up and its position goes to the dead-letter queue."""
    max_age_seconds: Annotated[int, Field(ge=60, le=604_800)] = 86_400
    """Records older than this are given up likewise."""


class JobSettings(_Part):
    """The Glue job. `None` takes the environment's own value."""

    worker_type: Literal["G.1X", "G.2X", "G.4X", "G.8X"] = "G.1X"
    workers_max: Annotated[int, Field(ge=2, le=299)] | None = None
    """Upper bound of autoscaling: 2 outside prod, 20 in prod."""
    timeout_minutes: Annotated[int, Field(ge=5, le=2880)] = 120
    retries: Annotated[int, Field(ge=0, le=10)] = 1
    concurrent_runs: Annotated[int, Field(ge=1, le=200)] = 3


class Consumer(_Part):
    """An account that may read some prefixes of curated data."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9]{0,15}$")]
    account: Annotated[str, Field(pattern=r"^\d{12}$")]
    external_id: Annotated[str, Field(min_length=16, max_length=1224, pattern=r"^[A-Za-z0-9_+=,.@:/-]+$")]
    """What the account must say when it takes the role; agreed with it, and not guessable."""
    prefixes: Annotated[tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9!_.'()/=-]+/$")], ...], Field(min_length=1)]
    """Key prefixes in the curated bucket, each ending in a slash. No `*`: in a policy it would stand for anything."""


class Override(_Part):
    """A release out of support or not the newest, taken anyway."""

    version: str
    reason: Annotated[str, Field(min_length=10)]


class Alarms(_Part):
    """Bounds that depend on the business."""

    ingest_low_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Share of the mean volume below which input is too low in market hours."""
    ingest_high_factor: Annotated[float, Field(gt=1)] = 2.0
    """Multiple of the peak volume above which input is too high."""
    freshness_seconds: Annotated[int, Field(ge=60)] = 3_600
    rejected_percent: Annotated[float, Field(gt=0, le=100)] = 1.0


class Quotas(_Part):
    """Service quotas of the account where they have been raised; AWS's defaults otherwise."""

    kinesis_shards: Annotated[int, Field(ge=1)] | None = None
    lambda_concurrency: Annotated[int, Field(ge=1)] | None = None
    glue_workers: Annotated[int, Field(ge=1)] | None = None


class Settings(_Part):
    """A deployment, as its operator describes it."""

    application: Annotated[str, Field(pattern=r"^[a-z][a-z0-9]{1,11}$")] = "tapehouse"
    environment: Environment
    suffix: Annotated[str, Field(pattern=r"^[a-z][a-z0-9]{1,7}$")]
    """Tells deployments of one environment in one account apart; part of every physical name."""
    region: Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")]
    account: Annotated[str, Field(pattern=r"^(\d{12})?$")] = ""
    """Where this may be deployed; empty allows the account of the credentials."""
    owner: Annotated[str, Field(max_length=128, pattern=_TAG)]
    cost_centre: Annotated[str, Field(max_length=64, pattern=_TAG)]
    data_classification: Classification = Classification.CONFIDENTIAL
    contracts: Annotated[tuple[Path, ...], Field(min_length=1)]
    """Contract files, relative to the settings file."""
    references: Mapping[str, Path] = Field(default_factory=dict)
    """Files of reference tables that contracts name without a path, by table."""
    alert_emails: tuple[Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")], ...] = ()
    network: NetworkSettings = NetworkSettings()
    stream: StreamSettings = StreamSettings()
    job: JobSettings = JobSettings()
    consumers: tuple[Consumer, ...] = ()
    alarms: Alarms = Alarms()
    quotas: Quotas = Quotas()
    overrides: Mapping[str, Override] = Field(default_factory=dict)
    """Releases taken against the catalogue's advice, by product."""
    as_of: date | None = None
    """Day that support dates are judged on; today when absent."""

    @field_validator("consumers")
    @classmethod
    def _consumers_differ(cls, value: tuple[Consumer, ...]) -> tuple[Consumer, ...]:
        names = [one.name for one in value]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)} is there twice; give each consumer a name of its own")
        return value

    @property
    def label(self) -> str:
        """`environment-suffix`: value of the dimension and tag Environment."""
        return f"{self.environment}-{self.suffix}"

    @property
    def production(self) -> bool:
        """Whether data is to be kept."""
        return self.environment is Environment.PROD

    @classmethod
    def load(cls, path: Path, **given: Any) -> Settings:
        """Settings of a YAML file, with what is `given` (not None) in place of the file's values.

        A file without a suffix gets one, written into it: the same deployment is meant the next time. UsageError names
        the file, the setting, the value and what is allowed.
        """
        values = _read(path)
        values.update({name: value for name, value in given.items() if value is not None})
        if not values.get("suffix"):
            values["suffix"] = _persist_suffix(path)
        settings = cls.of(values, source=str(path))
        here = path.absolute().parent
        return settings.model_copy(
            update={
                "contracts": tuple(here / one for one in settings.contracts),
                "references": {name: here / one for name, one in settings.references.items()},
            }
        )

    @classmethod
    def of(cls, values: Mapping[str, Any], *, source: str = "settings") -> Settings:
        """Settings from a mapping; UsageError tells everything that is wrong with it."""
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise UsageError(
                "\n".join(_told(source, problem) for problem in error.errors()), fix=f"correct {source}"
            ) from error


def new_suffix() -> str:
    """A suffix that has not been used before, as good as certainly."""
    return "x" + "".join(secrets.choice(_SUFFIX_ALPHABET) for _ in range(_SUFFIX_LENGTH))


def _read(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}", fix="name a settings file with --settings") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        raise UsageError(f"{where}: no YAML: {getattr(error, 'problem', error)}", fix="correct the file") from error
    if not isinstance(values, dict):
        raise UsageError(f"{path} holds no settings", fix="write them as `name: value` lines")
    return values


def _persist_suffix(path: Path) -> str:
    suffix = new_suffix()
    try:
        text = path.read_text(encoding="utf-8")
        kept = [line for line in text.splitlines(keepends=True) if not line.startswith("suffix:")]
        path.write_text(f"suffix: {suffix}\n{''.join(kept)}", encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"{path} has no suffix, and one cannot be written: {error.strerror or error}",
            fix="add `suffix:` with two to eight letters and digits, or give --suffix",
        ) from error
    return suffix


def _told(source: str, problem: Any) -> str:
    where = ".".join(str(part) for part in problem["loc"]) or "settings"
    if problem["type"] == "missing":
        return f"{source}: {where} is missing"
    if problem["type"] == "extra_forbidden":
        guess = did_you_mean(str(problem["loc"][-1]), _names(Settings))
        return f"{source}: {where} is not a setting{f'; {guess}' if guess else ''}"
    return f"{source}: {where}: {problem['msg']} (got {problem['input']!r})"


def _names(model: type[BaseModel]) -> set[str]:
    found = set(model.model_fields)
    for field in model.model_fields.values():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found |= _names(field.annotation)
    return found
