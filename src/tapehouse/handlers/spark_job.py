"""A run on the cluster that this process is the driver of."""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import unquote, urlparse

from tapehouse.arguments import reference_paths
from tapehouse.contracts.model import Contract
from tapehouse.engines.spark.session import spark_session
from tapehouse.errors import TapehouseError, UsageError
from tapehouse.handlers.locations import Locations
from tapehouse.runs.result import RunResult, Status

STOPPED = 8


def parser(name: str) -> argparse.ArgumentParser:
    """The arguments of a job. Locations are those of the cluster's file system, several with commas or by repeating the
    argument; the lake is a folder that all of the cluster's machines see.
    """
    out = argparse.ArgumentParser(prog=name, description=__doc__, allow_abbrev=False)
    out.add_argument("--contract", required=True, metavar="LOCATION")
    out.add_argument("--input", required=True, action="append", metavar="LOCATION", help="a file, folder or pattern")
    out.add_argument("--reference", action="append", default=[], metavar="[NAME=]LOCATION")
    out.add_argument("--lake", required=True, metavar="DIR")
    out.add_argument("--lineage", action="append", default=[], metavar="TARGET")
    out.add_argument("--alert", action="append", default=[], metavar="TARGET")
    return out


def run_job(options: argparse.Namespace) -> RunResult:
    """Bring what is to be read, and run."""
    from tapehouse import api

    lake = _folder(options.lake)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tapehouse-job-")))
        spark = stack.enter_context(spark_session())
        locations = Locations(spark, folder)
        contract = api.load_contract(locations.bring_one(options.contract))
        inputs = [path for location in _each(options.input) for path in locations.bring(location)]
        return api.run(
            contract,
            inputs,
            lake=lake,
            references=_references(contract, _each(options.reference), locations),
            lineage=_each(options.lineage),
            alerts=_each(options.alert),
            engine="spark",
            origins=locations.origins,
        )


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


def _folder(location: str) -> Path:
    parts = urlparse(location)
    if parts.scheme not in ("", "file"):
        raise UsageError(
            f"the lake {location} is not a folder",
            fix="name a folder that all machines of the cluster mount, such as one of EFS or FSx",
        )
    return Path(unquote(parts.path) if parts.scheme else location)
