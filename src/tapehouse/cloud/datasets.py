"""The datasets of a deployment: its contracts, by the names that tables, prefixes, alarms and dimensions carry."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tapehouse.arguments import load_contract
from tapehouse.cloud.settings import Settings
from tapehouse.contracts.model import Contract
from tapehouse.errors import UsageError
from tapehouse.runs.tables import namespace


@dataclass(frozen=True, slots=True)
class Dataset:
    """A contract and the name it goes by in AWS: lower-case letters, digits and underscores."""

    name: str
    contract: Contract
    path: Path

    @property
    def streamable(self) -> bool:
        """Whether its records can arrive one by one: lines of text that say everything themselves, nothing in the path
        of a file.
        """
        by_path = any(column.source.startswith("path:") for column in self.contract.columns)
        return self.contract.feed.format in ("csv", "ndjson") and not by_path

    @property
    def purpose(self) -> str:
        """The name as part of hyphenated physical names."""
        return self.name.replace("_", "-").strip("-")


def datasets_of(settings: Settings) -> tuple[Dataset, ...]:
    """The settings' contracts, loaded, by name. ContractError when one is wrong, UsageError when two share a name."""
    found: dict[str, Dataset] = {}
    for path in settings.contracts:
        contract = load_contract(path)
        name = namespace(contract)
        if name in found:
            raise UsageError(
                f"{path} and {found[name].path} are both dataset {name}", fix="rename one of the contracts"
            )
        found[name] = Dataset(name, contract, path)
    return tuple(found[name] for name in sorted(found))


def names_of(datasets: Iterable[Dataset]) -> tuple[str, ...]:
    """Their names."""
    return tuple(one.name for one in datasets)


def streamed_names(datasets: Iterable[Dataset], *, streamed: bool) -> tuple[str, ...]:
    """Names of those that get a stream in a blueprint that has streams (`streamed`); none in one that has not."""
    return names_of(one for one in datasets if streamed and one.streamable)
