"""The verbs, for programs and notebooks: the command line does nothing that cannot be done here.

A contract may be given as a path or as a `Contract`, a lake as a folder, as `s3://BUCKET/PREFIX` or as a `Lake`, inputs
as one or many paths, folders or glob patterns (of a lake in S3 also as locations there), and reference tables as one
path (when the contract has exactly one) or by name.
Every failure is a `TapehouseError` that says what to do; a run that breaks a budget is no failure but a result.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tapehouse.arguments import check_engine, load_contract, open_engine, open_lake, reference_paths
from tapehouse.certification import certify, read_certificate
from tapehouse.checking import check
from tapehouse.tapes import generate, score
from tapehouse.writing import diff, infer, lint

if TYPE_CHECKING:
    import datetime as dt

    from tapehouse.arguments import ContractLike, LakeLike, ReferencesLike
    from tapehouse.contracts.model import Contract
    from tapehouse.errors import TapehouseError
    from tapehouse.lake.home import Lake
    from tapehouse.lake.landing import Arriving
    from tapehouse.rows import Rows
    from tapehouse.runs.context import Progress
    from tapehouse.runs.notify import Listeners
    from tapehouse.runs.quarantined import QuarantineList
    from tapehouse.runs.result import RunResult
    from tapehouse.runs.retention import RetentionResult
    from tapehouse.runs.verify import VerifyReport

__all__ = [
    "backfill",
    "certify",
    "check",
    "diff",
    "generate",
    "infer",
    "lint",
    "list_runs",
    "load_contract",
    "open_lake",
    "quarantine",
    "query",
    "read_certificate",
    "replay",
    "retain",
    "run",
    "score",
    "show_run",
    "verify",
    "watch",
]


def run(
    contract: ContractLike,
    inputs: str | Path | Iterable[str | Path],
    *,
    lake: LakeLike,
    references: ReferencesLike = None,
    lineage: Iterable[str] = (),
    alerts: Iterable[str] = (),
    metrics: str | Path | None = None,
    progress: Progress | None = None,
    engine: str = "embedded",
    master: str | None = None,
    origins: Mapping[Path, str] | None = None,
) -> RunResult:
    """Take inputs into the lake, which is made if absent. Batches that it holds already are skipped.

    Nothing was published when the result's status is STOPPED (a budget or batch rule broke), NOTHING (all inputs were
    known) or when an error is raised. `lineage`, `alerts` and `metrics` are targets as for `tapehouse run`,
    `engine` is `embedded` or `spark`, and `master` is Spark's. `origins` says of inputs that are copies where they are
    from.
    """
    from tapehouse.runs.inputs import located

    terms = load_contract(contract)
    tables = reference_paths(terms, references)
    # Looked up before the lake is opened: a typing error must not leave an empty lake behind.
    check_engine(engine, master)
    paths = located([inputs] if isinstance(inputs, str | Path) else inputs)
    home = open_lake(lake, create=True)
    landing = home.landing(
        paths, origins, here=engine == "embedded"
    )  # copies and hashes while the engine is being imported

    def work() -> RunResult:
        from tapehouse.runs.run import run as run_

        with open_engine(engine, master) as opened:
            return run_(terms, paths, lake=home, references=tables, progress=progress, landing=landing, engine=opened)

    try:
        return _told(terms, home, lineage, alerts, metrics, work, landing)
    finally:
        landing.abandon()


def replay(
    contract: ContractLike,
    *,
    lake: LakeLike,
    references: ReferencesLike = None,
    rules: Sequence[str] = (),
    batches: Sequence[str] = (),
    dry_run: bool = False,
    lineage: Iterable[str] = (),
    alerts: Iterable[str] = (),
    metrics: str | Path | None = None,
    progress: Progress | None = None,
) -> RunResult:
    """Judge quarantined rows again under the contract as it is now; those that pass land in the curated table.

    Restricted to rows that broke one of `rules` and to batches whose digest starts with one of `batches`, where given.
    """
    from tapehouse.runs.replay import replay as replay_

    terms, home = load_contract(contract), open_lake(lake)
    tables = reference_paths(terms, references)

    def work() -> RunResult:
        return replay_(
            terms, lake=home, references=tables, rules=rules, batches=batches, dry_run=dry_run, progress=progress
        )

    return work() if dry_run else _told(terms, home, lineage, alerts, metrics, work)


def backfill(
    contract: ContractLike,
    *,
    lake: LakeLike,
    references: ReferencesLike = None,
    batches: Sequence[str] = (),
    since: dt.datetime | None = None,
    until: dt.datetime | None = None,
    dry_run: bool = False,
    lineage: Iterable[str] = (),
    alerts: Iterable[str] = (),
    metrics: str | Path | None = None,
    progress: Progress | None = None,
    engine: str = "embedded",
    master: str | None = None,
) -> RunResult:
    """Judge landed batches again from their raw bytes, and replace what the lake held of them.

    All batches of the contract, or those whose digest starts with one of `batches`, or with events in [since, until).
    """
    from tapehouse.runs.replay import backfill as backfill_

    terms, home = load_contract(contract), open_lake(lake)
    tables = reference_paths(terms, references)

    def work() -> RunResult:
        with open_engine(engine, master) as opened:
            return backfill_(
                terms,
                lake=home,
                references=tables,
                batches=batches,
                since=since,
                until=until,
                dry_run=dry_run,
                progress=progress,
                engine=opened,
            )

    return work() if dry_run else _told(terms, home, lineage, alerts, metrics, work)


def watch(
    contract: ContractLike,
    folder: str | Path,
    *,
    lake: LakeLike,
    references: ReferencesLike = None,
    interval_seconds: float = 2.0,
    stop: threading.Event | None = None,
    lineage: Iterable[str] = (),
    alerts: Iterable[str] = (),
    metrics: str | Path | None = None,
    on_result: Callable[[RunResult], None] = lambda result: None,
    on_error: Callable[[Path, TapehouseError], None] = lambda path, error: None,
) -> None:
    """Run files as they land in a folder, until `stop` is set. Started again, it goes on where it was."""
    import datetime as dt

    from tapehouse.runs.notify import tell, tell_failure
    from tapehouse.runs.watch import watch as watch_

    terms = load_contract(contract)
    tables = reference_paths(terms, references)
    home = open_lake(lake, create=True)
    listeners = _listeners(home, lineage, alerts, metrics)

    def failed(path: Path, error: TapehouseError) -> None:
        on_error(path, error)
        tell_failure(terms, home, listeners, error, dt.datetime.now(dt.UTC))

    watch_(
        terms,
        Path(folder),
        lake=home,
        references=tables,
        interval_seconds=interval_seconds,
        stop=stop if stop is not None else threading.Event(),
        on_result=lambda result: on_result(tell(terms, home, listeners, result)),
        on_error=failed,
    )


def verify(
    lake: LakeLike, *, contract: str | None = None, deep: bool = False, progress: Progress | None = None
) -> VerifyReport:
    """Derive every proof again from the lake, of all contracts or the one named; `deep` reads the raw bytes again."""
    from tapehouse.runs.verify import verify as verify_

    return verify_(open_lake(lake, read_only=True), contract=contract, deep=deep, progress=progress)


def retain(contract: ContractLike, *, lake: LakeLike) -> RetentionResult:
    """Take out of the lake what is older than the contract keeps it, and record what went."""
    from tapehouse.runs.retention import apply_retention

    return apply_retention(open_lake(lake), load_contract(contract))


def quarantine(
    lake: LakeLike,
    contract: str = "",
    *,
    rule: str | None = None,
    batch: str | None = None,
    every: bool = False,
    limit: int = 100,
) -> QuarantineList:
    """Rows in quarantine, counted by rule; open ones only unless `every`. `contract` is a name, and may be left out
    when the lake has only one.
    """
    from tapehouse.runs.accounts import contract_name
    from tapehouse.runs.quarantined import list_quarantine

    home = open_lake(lake, read_only=True)
    return list_quarantine(home, contract_name(home, contract), rule=rule, batch=batch, every=every, limit=limit)


def query(lake: LakeLike, sql: str, *, as_of: dt.datetime | str | None = None, memory_limit: str = "") -> Rows:
    """Rows of one SQL query over the lake's tables, now or as of a moment (with time zone) or a run id."""
    from tapehouse.lake.query import query as query_
    from tapehouse.rows import Rows

    return Rows(query_(open_lake(lake, read_only=True), sql, as_of, memory_limit=memory_limit))


def list_runs(lake: LakeLike, *, contract: str | None = None, limit: int = 20) -> list[dict[str, Any]]:
    """The lake's runs, newest first."""
    from tapehouse.runs.history import list_runs as list_runs_

    return list_runs_(open_lake(lake, read_only=True), contract=contract, limit=limit)


def show_run(lake: LakeLike, run_id: str) -> dict[str, Any]:
    """Everything recorded of one run; a unique beginning of its id is enough. Raises UsageError."""
    from tapehouse.runs.history import show_run as show_run_

    return show_run_(open_lake(lake, read_only=True), run_id)


def _told(
    contract: Contract,
    lake: Lake,
    lineage: Iterable[str],
    alerts: Iterable[str],
    metrics: str | Path | None,
    work: Callable[[], RunResult],
    arriving: Arriving | None = None,
) -> RunResult:
    lineage, alerts = tuple(lineage), tuple(alerts)
    if not lineage and not alerts and metrics is None:
        return work()  # nobody is to be told; what telling needs takes time to import
    from tapehouse.runs.notify import told

    return told(contract, lake, _listeners(lake, lineage, alerts, metrics), work, arriving)


def _listeners(lake: Lake, lineage: Iterable[str], alerts: Iterable[str], metrics: str | Path | None) -> Listeners:
    from tapehouse.runs.notify import Listeners

    return Listeners.of(lake, lineage=lineage, alerts=alerts, metrics=metrics)
