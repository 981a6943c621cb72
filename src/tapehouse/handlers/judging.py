"""The rules of the packaged contracts on landed bytes: the same feeds, kernel and judge as in every run."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tapehouse.contracts.load import load
from tapehouse.contracts.model import Contract, Severity
from tapehouse.engines.embedded import BatchTotals, JudgedSlice, judge_batches
from tapehouse.errors import UsageError
from tapehouse.feeds import reader
from tapehouse.feeds.base import BatchSource
from tapehouse.kernel.profile import add_counts
from tapehouse.kernel.verdict import Judge
from tapehouse.reference import References, prepared


@dataclass(frozen=True, slots=True)
class Findings:
    """What judging found: `rows` are all records, `rejected` those that a run would quarantine, `rules` rows per code
    of what they broke (warnings too). `newest_ns` is the latest event time of a good row.
    """

    rows: int = 0
    rejected: int = 0
    rules: Mapping[str, int] = field(default_factory=dict)
    newest_ns: int | None = None

    @property
    def valid(self) -> int:
        """Rows that a run would keep, before it drops duplicates."""
        return self.rows - self.rejected

    def __add__(self, other: Findings) -> Findings:
        newest = [one for one in (self.newest_ns, other.newest_ns) if one is not None]
        return Findings(
            self.rows + other.rows,
            self.rejected + other.rejected,
            add_counts(self.rules, other.rules),
            max(newest, default=None),
        )


@dataclass(frozen=True, slots=True)
class Exceeded:
    """A rule of which more rows are broken than the contract allows; `code` is empty for all rejected rows together."""

    code: str
    count: int
    rows: int
    bound: float

    @property
    def share(self) -> float:
        """Of the rows judged."""
        return self.count / self.rows


class Dataset:
    """A contract with its judge, ready for any number of batches."""

    def __init__(self, name: str, contract: Contract, references: Mapping[str, Path]) -> None:
        """Raises ContractError, ReferenceDataError, and FeedError for a format that has no reader here."""
        self.name = name
        self.contract = contract
        self._judge = Judge(contract, References.load(contract, references))
        reader(contract.feed.format)

    def judge(self, path: Path, origin: str) -> Findings:
        """Judge a file. Raises FeedError when nothing of it can be read."""
        digest = hashlib.sha256(path.name.encode()).hexdigest()
        source = BatchSource(path, digest, origin, path.stat().st_size)
        totals, codes, lock = BatchTotals(), dict[str, int](), threading.Lock()

        def take(judged: JudgedSlice) -> None:
            nonlocal codes
            found = dict(judged.refined.profile.rules)
            rejected = judged.refined.rejected
            unplaced = int(rejected.get_column("_unplaced").sum()) if rejected.height else 0
            if unplaced:
                found = add_counts(found, {f"{self.contract.event_time.name}_missing": unplaced})
            for one in judged.malformed:
                found[one.code] = found.get(one.code, 0) + 1
            with lock:
                totals.add(judged, self.contract.event_time.name)
                codes = add_counts(codes, found)

        for _ in judge_batches(self.contract, self._judge, [(0, source)], take):
            pass
        bad = totals.rejected.rows + totals.malformed
        return Findings(totals.records, bad, {code: n for code, n in codes.items() if n}, totals.last_event)

    def exceeded(self, findings: Findings) -> list[Exceeded]:
        """Rules whose share of the rows is over their budget: their own, or else the contract's for rejecting ones and
        what is malformed. All rejected rows together come last.
        """
        if not findings.rows:
            return []
        contract, found = self.contract, list[Exceeded]()
        known = {rule.code: rule for rule in contract.rules}
        for code, count in sorted(findings.rules.items()):
            rule = known.get(code)
            rejects = rule is None or rule.severity == Severity.REJECT
            bound = rule.budget if rule is not None and rule.budget is not None else None
            bound = contract.budget if bound is None and rejects else bound
            if bound is not None and count > bound * findings.rows:
                found.append(Exceeded(code, count, findings.rows, bound))
        if contract.budget is not None and findings.rejected > contract.budget * findings.rows:
            found.append(Exceeded("", findings.rejected, findings.rows, contract.budget))
        return found


class Datasets:
    """The datasets of the package, each loaded when it is first asked for."""

    def __init__(self, contracts: Path, references: Path) -> None:
        self._contracts, self._references = contracts, references
        self._known: dict[str, Dataset] = {}
        prepared.use(references / "exchanges" if (references / "exchanges").is_dir() else None)

    @property
    def names(self) -> tuple[str, ...]:
        """Of all contracts in the package, sorted."""
        return tuple(sorted(path.stem for path in self._contracts.glob("*.yaml")))

    def get(self, name: str) -> Dataset:
        """Raises UsageError for a dataset that the package has no contract of, and what `Dataset` does."""
        if name not in self._known:
            if name not in self.names:
                raise UsageError(f"there is no contract of dataset {name!r}", fix=f"one of: {', '.join(self.names)}")
            self._known[name] = Dataset(name, self.contract(name), self.references(name))
        return self._known[name]

    def contract(self, name: str) -> Contract:
        """The contract alone."""
        return load(self._contracts / f"{name}.yaml")

    def references(self, name: str) -> dict[str, Path]:
        """Reference files of a dataset, by table."""
        folder = self._references / name
        return {path.stem: path for path in sorted(folder.iterdir())} if folder.is_dir() else {}
