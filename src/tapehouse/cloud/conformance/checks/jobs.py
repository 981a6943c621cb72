"""Glue jobs: version, size, script."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.resources import files

from tapehouse.cloud.conformance.checks.functions import today
from tapehouse.cloud.conformance.registry import absent, check, compare, each
from tapehouse.cloud.conformance.stacks import Resource, Stacks
from tapehouse.cloud.conformance.uses import FUNCTION, JOB, arguments, bucket_of
from tapehouse.cloud.policy.resolve import mentioned
from tapehouse.cloud.releases.catalogue import catalogue

_BOOKMARKS = ("job-bookmark-enable", "job-bookmark-disable", "job-bookmark-pause")
_TEST_WORKERS, _MOST_WORKERS = 2, 299
_HASH = re.compile(r"[0-9a-f]{16,64}")


@check("L08")
def glue_is_the_newest_supported(stacks: Stacks) -> Iterator[str]:
    newest = catalogue().newest("glue", today(stacks)).version

    def judge(job: Resource) -> str | None:
        version = str(job.get("GlueVersion"))
        return None if version == newest else f"runs on Glue {version}, and {newest} is supported"

    yield from each(stacks.of(JOB), "job", judge)


@check("C35")
def jobs_are_tuned(stacks: Stacks) -> Iterator[str]:
    def judge(job: Resource) -> str | None:
        given = arguments(job)
        lacks = [
            what
            for what, there in (
                ("a worker type", job.get("WorkerType")),
                ("a number of workers", job.get("NumberOfWorkers")),
                ("autoscaling", given.get("--enable-auto-scaling", "false").lower() == "true"),
                ("a bound on concurrent runs", job.get("ExecutionProperty.MaxConcurrentRuns")),
                ("a choice about bookmarks", given.get("--job-bookmark-option") in _BOOKMARKS),
                ("a timeout", job.get("Timeout")),
                ("a number of retries", job.get("MaxRetries") is not None),
            )
            if not there
        ]
        return f"without {', '.join(lacks)}" if lacks else None

    yield from each(stacks.of(JOB), "job", judge)


@compare("L10")
def workers_differ_by_environment(test: Stacks, prod: Stacks) -> Iterator[str]:
    yield from absent(test.of(JOB), "job")
    for job in test.of(JOB):
        if job.get("NumberOfWorkers") != _TEST_WORKERS:
            yield f"test: {job}: {job.get('NumberOfWorkers')} workers, not {_TEST_WORKERS}"
    for job in prod.of(JOB):
        workers = int(job.get("NumberOfWorkers") or 0)
        if not _TEST_WORKERS < workers <= _MOST_WORKERS:
            yield f"prod: {job}: {workers} workers, not more than {_TEST_WORKERS} and at most {_MOST_WORKERS}"


def _script(job: Resource) -> str:
    return str(job.get("Command.ScriptLocation", ""))


@check("C42")
def the_script_is_ours(stacks: Stacks) -> Iterator[str]:
    """The job runs a file of this package. That it does what it should is shown by its tests."""

    def judge(job: Resource) -> str | None:
        name = _script(job).rpartition("/")[2]
        there = name.endswith(".py") and files("tapehouse.handlers").joinpath(name).is_file()
        return None if there else f"its script {name or 'is absent and'} is not in tapehouse.handlers"

    yield from each(stacks.of(JOB), "job", judge)


@check("C43", "B36")
def scripts_are_uploaded_under_their_hash(stacks: Stacks) -> Iterator[str]:
    """A custom resource of the deployment writes the place where the script is looked for, before the job is made."""
    yield from absent(stacks.of(JOB), "job")
    for job in stacks.of(JOB):
        location = _script(job)
        key = location.partition("://")[2].partition("/")[2]
        if not any(_HASH.fullmatch(part) for part in key.split("/")):
            yield f"{job}: no hash of the content in its script's key {key!r}"
        uploads = [one for one in stacks.of("Custom::*") if _writes(one, bucket_of(location), key)]
        if not uploads:
            yield f"{job}: nothing uploads its script to {location}"
        for one in uploads:
            if stacks.find(one.get("ServiceToken"), FUNCTION) is None:
                yield f"{one}: its function is not of the deployment"
            if one.id not in _after(job):
                yield f"{job}: may be made before {one} has uploaded its script"


def _writes(custom: Resource, bucket: str, key: str) -> bool:
    values = [str(one) for one in custom.properties.values()]
    return bucket in values and any(key.startswith(f"{one.strip('/')}/") for one in values if len(one) > 16)


def _after(resource: Resource) -> set[str]:
    """Logical ids of what is made before a resource."""
    depends = resource.written.get("DependsOn", [])
    return {*([depends] if isinstance(depends, str) else depends)} | mentioned(resource.written.get("Properties", {}))
