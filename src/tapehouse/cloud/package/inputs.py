"""Contracts and their reference files, as every package holds them.

contracts/<dataset>.yaml
references/<dataset>/<table>.<csv or parquet>
references/exchanges/       sessions of the exchanges that the contracts name (functions only)
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tapehouse.arguments import load_contract
from tapehouse.errors import UsageError
from tapehouse.runs.tables import namespace

_SUFFIXES = (".csv", ".parquet")


@dataclass(frozen=True, slots=True)
class Inputs:
    """`files` by their place in the package; `exchanges` whose sessions the contracts ask for."""

    files: Mapping[str, Path]
    exchanges: tuple[str, ...]

    def write(self, folder: Path) -> None:
        """Copy the files below a folder."""
        for place, path in self.files.items():
            target = folder / place
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


def inputs(contracts: Sequence[Path], references: Mapping[str, Path]) -> Inputs:
    """What the contracts need. `references` are files by table, for all contracts that have a table of that name and
    before the contract's own path.

    Raises ContractError, and UsageError for two contracts of one dataset, a table without a file, a file that is not
    there and a name that no contract has.
    """
    files: dict[str, Path] = {}
    exchanges: set[str] = set()
    tables: set[str] = set()
    for path in contracts:
        contract = load_contract(path)
        dataset = namespace(contract)
        place = f"contracts/{dataset}.yaml"
        if place in files:
            raise UsageError(f"{path} and {files[place]} are both dataset {dataset}", fix="rename one contract")
        files[place] = path
        exchanges |= {calendar.exchange for calendar in contract.calendars.values() if calendar.exchange}
        for name, spec in contract.references.items():
            tables.add(name)
            file = _file(path, name, references.get(name) or (path.parent / spec.path if spec.path else None))
            files[f"references/{dataset}/{name}{file.suffix.lower()}"] = file
    unknown = sorted(set(references) - tables)
    if unknown:
        raise UsageError(
            f"references: no contract has a table {unknown[0]!r}", fix=f"tables: {', '.join(sorted(tables)) or 'none'}"
        )
    return Inputs(dict(sorted(files.items())), tuple(sorted(exchanges)))


def _file(contract: Path, table: str, file: Path | None) -> Path:
    if file is None:
        raise UsageError(
            f"{contract}: reference table {table!r} has no file", fix=f"add `references: {{{table}: FILE}}` to settings"
        )
    if not file.is_file():
        raise UsageError(f"{contract}: reference table {table!r}: {file} is not there", fix="check the path")
    if file.suffix.lower() not in _SUFFIXES:
        raise UsageError(
            f"{contract}: reference table {table!r}: {file} is neither CSV nor Parquet by its name",
            fix=f"end the name in {' or '.join(_SUFFIXES)}",
        )
    return file
