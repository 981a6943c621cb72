"""The package of the Lambda functions: a layer that changes with uv.lock, code that changes with all else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import tapehouse
from tapehouse.cloud.package import cache
from tapehouse.cloud.package.elf import runs_on
from tapehouse.cloud.package.inputs import Inputs, inputs
from tapehouse.cloud.package.layer import layer
from tapehouse.cloud.package.report import Report, measure
from tapehouse.cloud.package.target import Target
from tapehouse.cloud.package.tools import PackageError
from tapehouse.native import LIBRARY_NAME
from tapehouse.reference import prepare

UNZIPPED_BYTES_MAX = 262_144_000
"""Lambda's quota on a function's code and layers together."""
EXCHANGES = "references/exchanges"
_GLIBC_MINOR = 28
# Parts of Tapehouse that no function of ours imports: what deploys, what people use, what needs Spark or a lake.
_LEFT_OUT = ("cloud", "cli", "lake", "certificate", "synthetic", "sizing", "engines/spark", "engines/sql")


@dataclass(frozen=True, slots=True)
class LambdaPackage:
    """Two folders that become assets, their size together, and what it is made of."""

    layer: Path
    code: Path
    bytes_unzipped: int
    report: Report


def lambda_package(target: Target, contracts: Sequence[Path], references: Mapping[str, Path]) -> LambdaPackage:
    """Layer and code for a target, from the cache where nothing changed.

    Raises ContractError and UsageError for wrong contracts and references, PackageError where something cannot be
    fetched, or Lambda would not take the result.
    """
    given = inputs(contracts, references)
    dependencies, own = layer(target), code(given)
    report = measure(dependencies, own)
    if report.total > UNZIPPED_BYTES_MAX:
        raise PackageError(
            f"layer and code are {report.total:,} bytes, and Lambda takes {UNZIPPED_BYTES_MAX:,}\n{report}",
            fix="leave something out: tapehouse.cloud.package.layer says what",
        )
    return LambdaPackage(dependencies, own, report.total, report)


def code(given: Inputs) -> Path:
    """Tapehouse with its compiled loops, contracts, reference files and sessions of exchanges."""
    root = Path(tapehouse.__file__).resolve().parent
    files = [path for path in cache.files_in(root) if _ships(path, root)]
    parts: list[object] = [[[path.relative_to(root).as_posix(), cache.digest_of(path)] for path in files]]
    parts += [[place, cache.digest_of(path)] for place, path in given.files.items()]
    sessions = _sessions(given.exchanges)
    parts.append(sessions.name)

    def build(folder: Path) -> None:
        cache.copy(files, root.parent, folder)
        given.write(folder)
        cache.copy(cache.files_in(sessions), sessions, folder / EXCHANGES)

    return cache.kept(f"code-{cache.digest_of(*parts, cache.digest_of(Path(__file__)))}", build)


def _sessions(exchanges: Sequence[str]) -> Path:
    """Prepared sessions of exchanges, which take seconds to compute."""
    made_by = version("exchange_calendars")
    key = cache.digest_of([list(exchanges), made_by], Path(prepare.__file__))
    return cache.kept(f"exchanges-{key}", lambda folder: prepare.write(folder, exchanges))


def _ships(path: Path, root: Path) -> bool:
    place = path.relative_to(root).as_posix()
    if any(place.startswith(f"{part}/") for part in _LEFT_OUT):
        return False
    return path.suffix in (".py", ".json", ".typed") or (path.name == LIBRARY_NAME and runs_on(path, _GLIBC_MINOR))
