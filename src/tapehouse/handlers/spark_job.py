"""A run on the cluster that this process is the driver of."""

from __future__ import annotations

import argparse
import json
import os
import posixpath
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlparse

from tapehouse.arguments import reference_paths
from tapehouse.contracts.model import Contract
from tapehouse.engines.spark.session import spark_session
from tapehouse.errors import TapehouseError, UsageError
from tapehouse.handlers.job_inputs import apart, expanded, note_of
from tapehouse.handlers.locations import S3_SCHEMES, Locations
from tapehouse.kernel.fingerprint import Tally
from tapehouse.lake.home import Lake
from tapehouse.runs.context import new_run_id
from tapehouse.runs.outcomes import JOB_RUN_ID
from tapehouse.runs.proof import Proof
from tapehouse.runs.result import RunResult, Status

STOPPED = 8
_INPUT = "a file, folder or pattern; @LOCATION: a text file with one of them on each line"


def parser(name: str) -> argparse.ArgumentParser:
    """The arguments of a job. Locations are in S3 or of the cluster's file system, several with commas or by repeating
    the argument. The lake is at a location in S3, or a folder that all of the cluster's machines see.
    """
    out = argparse.ArgumentParser(prog=name, description=__doc__, allow_abbrev=False)
    out.add_argument("--contract", required=True, metavar="LOCATION")
    out.add_argument("--input", required=True, action="append", metavar="LOCATION", help=_INPUT)
    out.add_argument("--absent", choices=("skip", "fail"), default="fail", help="inputs named in S3 that are gone")
    out.add_argument("--reference", action="append", default=[], metavar="[NAME=]LOCATION")
    out.add_argument("--lake", required=True, metavar="LOCATION")
    out.add_argument("--raw", default="", metavar="LOCATION", help="landed bytes of a lake in S3; default: in the lake")
    out.add_argument("--database", default="", metavar="NAME", help="Glue database of the tables of a lake in S3")
    out.add_argument("--lineage", action="append", default=[], metavar="TARGET")
    out.add_argument("--alert", action="append", default=[], metavar="TARGET")
    out.add_argument("--metrics", metavar="TARGET")
    out.add_argument("--JOB_RUN_ID", default="", dest="job_run_id", help="what the service calls this run")
    return out


def run_job(options: argparse.Namespace) -> RunResult:
    """Bring what the driver has to read, and run. Inputs in S3 are left there when the lake is in S3, too."""
    from tapehouse import api

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tapehouse-job-")))
        _check_lake(options)
        given, gone = _given(options)
        spark = stack.enter_context(spark_session())
        locations = Locations(lambda: spark, folder)
        contract = api.load_contract(locations.bring_one(options.contract))
        if not given:
            return _nothing(contract, options.lake, gone)
        named = _references(contract, _each(options.reference), locations)
        lake = _lake(options)
        inputs: list[str | Path] = []
        for location in given:
            left = urlparse(location).scheme in S3_SCHEMES and not isinstance(lake, Path)
            inputs.extend([_plain(location)] if left else locations.bring(location))
        result = api.run(
            contract,
            inputs,
            lake=lake,
            references={**_beside(contract, options.contract, locations, named), **named},
            lineage=_each(options.lineage),
            alerts=_each(options.alert),
            metrics=options.metrics,
            engine="spark",
            origins=locations.origins,
        )
        return replace(result, notes=(*result.notes, note_of(gone))) if gone else result


def _given(options: argparse.Namespace) -> tuple[list[str], list[str]]:
    """Locations to be read, and those that are left out as there is nothing, of which is told at once."""
    given = expanded(_each(options.input))
    if options.absent == "fail":
        if not given:
            raise UsageError("no input is given", fix="name a location, or a list that has some")
        return given, []
    given, gone = apart(given)
    if gone:
        print(note_of(gone), file=sys.stderr)
    return given, gone


def _nothing(contract: Contract, lake: str, gone: Sequence[str]) -> RunResult:
    """Of a run that was left without inputs. It comes after Spark has started: a program that ends well without having
    done so is a failure to YARN.
    """
    notes = (note_of(gone),) if gone else ()
    proof, terms = Proof(0, 0, Tally()), (contract.name, contract.version)
    run_id = new_run_id(datetime.now(UTC))
    return RunResult(run_id, "run", Status.NOTHING, *terms, lake, proof, 0.0, notes=notes, engine="spark")


def _plain(location: str) -> str:
    """Hadoop's names of S3 as everybody else writes them."""
    return re.sub(r"^s3[an]://", "s3://", location)


def _beside(contract: Contract, location: str, locations: Locations, given: Mapping[str, Path]) -> dict[str, Path]:
    """Reference files that the contract names by their path from where it lies, when that is in S3."""
    if urlparse(location).scheme not in S3_SCHEMES:
        return {}
    scheme, _, rest = _plain(location).partition("://")
    out = {}
    for name, one in contract.references.items():
        # An absolute path is a file of the driver's machine.
        if one.path and name not in given and not one.path.startswith("/"):
            there = posixpath.normpath(posixpath.join(posixpath.dirname(rest), one.path))
            out[name] = locations.bring_one(f"{scheme}://{there}")
    return out


def _each(given: Sequence[str]) -> list[str]:
    """Every value of an argument that may be repeated; where it cannot be, as in Glue, they stand with commas. One in
    braces is part of a pattern.
    """
    return [part for one in given for part in re.split(r",(?![^{]*\})", one) if part]


def _references(contract: Contract, given: Sequence[str], locations: Locations) -> dict[str, Path]:
    """Local files of the contract's tables; one without a name is of its only table."""
    pairs = [_named(one) for one in given]
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names) or ("" in names and len(names) > 1):
        raise UsageError(f"reference tables {', '.join(given)} are not told apart", fix="name each: NAME=LOCATION")
    named = {name: locations.bring_one(location) for name, location in pairs}
    return reference_paths(contract, named.get("", named))


def main(name: str, arguments: Sequence[str], *, ignore_others: bool = False) -> int:
    """Parse, run, print the result as JSON; returns the exit code. `ignore_others` leaves out arguments that are the
    service's own.
    """
    options, others = parser(name).parse_known_args(arguments)
    if others and not ignore_others:
        parser(name).error(f"unknown arguments: {' '.join(others)}")
    if options.job_run_id:
        os.environ[JOB_RUN_ID] = options.job_run_id
    try:
        result = run_job(options)
    except TapehouseError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return error.exit_code
    print(json.dumps(result.as_dict(), default=str))
    return STOPPED if result.status == Status.STOPPED else 0


def _named(text: str) -> tuple[str, str]:
    name, equals, location = text.partition("=")
    return (name, location) if equals and "/" not in name else ("", text)


def _check_lake(options: argparse.Namespace) -> None:
    """UsageError for a lake that cannot be; before Spark starts, which takes long."""
    scheme = urlparse(options.lake).scheme
    if scheme not in ("", "file", *S3_SCHEMES):
        raise UsageError(
            f"the lake {options.lake} is neither in S3 nor a folder",
            fix="name s3://BUCKET/PREFIX, or a folder that all of the cluster's machines mount, as of EFS or FSx",
        )
    if scheme not in S3_SCHEMES and (options.raw or options.database):
        raise UsageError("--raw and --database are of a lake in S3", fix="leave them out, or name --lake s3://..")


def _lake(options: argparse.Namespace) -> Path | Lake:
    from tapehouse.arguments import open_lake

    parts = urlparse(options.lake)
    if parts.scheme in S3_SCHEMES:
        return open_lake(_plain(options.lake), create=True, database=options.database, raw=options.raw)
    return Path(unquote(parts.path) if parts.scheme else options.lake)
