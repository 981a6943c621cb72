"""The one way a run goes, whatever asked for it: judge without the lock, then settle and publish under it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from tapehouse.contracts.model import Contract
from tapehouse.engines.embedded import Selection, salts_of
from tapehouse.errors import ProofError, TapehouseError
from tapehouse.feeds.base import BatchSource
from tapehouse.kernel.fingerprint import Tally
from tapehouse.kernel.profile import add_counts
from tapehouse.kernel.verdict import Judge
from tapehouse.lake.files import stage_rows
from tapehouse.lake.home import Lake
from tapehouse.lake.publish import recover
from tapehouse.lake.spec import Staged
from tapehouse.reference import References
from tapehouse.runs.batches import known_digests
from tapehouse.runs.budgets import by_severity, exceeded
from tapehouse.runs.checks import BatchChecks, check_batches
from tapehouse.runs.collect import Collected, leaving_rows
from tapehouse.runs.context import Clock, Progress, new_run_id
from tapehouse.runs.contracts import keep_contract
from tapehouse.runs.engine import Engine, digests_of
from tapehouse.runs.fit import check_fit
from tapehouse.runs.keys import Duplicates
from tapehouse.runs.proof import Proof
from tapehouse.runs.publication import QuarantineWritten, Settled, publish_run, record_stopped, write_quarantine
from tapehouse.runs.published import PublishedRows
from tapehouse.runs.records import mark_rows
from tapehouse.runs.result import BatchResult, RunResult, Status
from tapehouse.runs.tables import MARKS
from tapehouse.runs.write import WriteJob, Written


@dataclass(frozen=True, slots=True)
class Intake:
    """What is to be taken. `replaced` are batches whose published rows the run supersedes (backfill); `only` selects
    quarantined records (replay); `skipped` are inputs that the lake holds already, `known` their origin and bytes by
    digest; a `dry_run` judges and publishes nothing; `before_publication` is called once the proof has closed.
    """

    kind: str
    sources: Iterable[BatchSource]
    replaced: frozenset[str] = frozenset()
    only: Selection | None = None
    skipped: list[str] = field(default_factory=list)
    known: dict[str, tuple[str, int]] = field(default_factory=dict)
    dry_run: bool = False
    before_publication: Callable[[], None] = lambda: None

    @property
    def again(self) -> bool:
        """Whether batches that the lake holds are meant."""
        return self.kind != "run"


@dataclass(frozen=True, slots=True)
class _Run:
    """A run in progress."""

    contract: Contract
    lake: Lake
    engine: Engine
    intake: Intake
    references: Mapping[str, str]
    progress: Progress
    run_id: str
    clock: Clock


def execute(
    contract: Contract,
    lake: Lake,
    intake: Intake,
    references: Mapping[str, Path],
    progress: Progress,
    engine: Engine,
) -> RunResult:
    """Judge, settle, prove, publish. The lake is unchanged unless the result says PUBLISHED."""
    clock = Clock()
    loaded = References.load(contract, references, base=Path(contract.source).parent)
    judge = Judge(contract, loaded)
    check_fit(lake, contract)
    this = _Run(contract, lake, engine, intake, loaded.versions(), progress, new_run_id(clock.started), clock)
    with (
        lake.staging(this.run_id) as folder,
        ThreadPoolExecutor(1, thread_name_prefix="keep") as aside,
        closing(engine),
    ):
        kept = aside.submit(keep_contract, lake, contract)  # waits for the disk, not for a processor
        collected = engine.collect(contract, judge, intake.sources, folder, lake.place, progress, intake.only)
        kept.result()
        with lake.lock(waiting=lambda: progress.stage("wait")):
            recover(lake)
            check_fit(lake, contract)  # another run may have made the tables meanwhile
            _drop_published(this, collected)
            if not collected.totals:
                return _nothing(this)
            return _settle(this, collected)


def _drop_published(this: _Run, collected: Collected) -> None:
    """Another run may have published some of the batches since this one started (I3)."""
    if this.intake.again:
        return
    known = known_digests(this.lake, this.contract)
    late = [ordinal for ordinal, source in enumerate(collected.sources) if source.digest in known]
    if late:
        sources = [collected.sources[ordinal] for ordinal in late]
        this.intake.skipped.extend(source.origin for source in sources)
        this.intake.known.update((source.digest, (source.origin, source.size)) for source in sources)
        collected.drop(late)


def _nothing(this: _Run) -> RunResult:
    return RunResult(
        run_id=this.run_id,
        kind=this.intake.kind,
        status=Status.NOTHING,
        contract=this.contract.name,
        contract_version=this.contract.version,
        lake=this.lake.home,
        engine=this.engine.name,
        proof=Proof(0, 0, Tally()),
        seconds=this.clock.seconds(),
        skipped=tuple(this.intake.skipped),
        known=dict(this.intake.known),
        references=this.references,
    )


def _settle(this: _Run, collected: Collected) -> RunResult:
    """Dedupe, check budgets, write, prove, publish. Holds the lake's lock."""
    published = PublishedRows(this.lake, this.contract, this.intake.replaced)
    this.progress.stage("dedupe")
    duplicates = this.engine.duplicates(this.contract, collected, lambda: _near(published, collected))
    checks = check_batches(this.lake, this.contract, collected, this.clock) if not this.intake.again else BatchChecks()
    stopped = _reasons_to_stop(this, collected, checks)
    if stopped:
        result = _result(this, collected, _withheld(this, collected), Status.STOPPED, checks, tuple(stopped))
        return record_stopped(this.lake, this.contract, result, collected, this.clock)
    if this.intake.dry_run:
        return _result(this, collected, _withheld(this, collected), Status.PREVIEW, checks, ())
    marks = _marks(this, collected, duplicates)
    if this.intake.only is not None and not marks:
        return _result(this, collected, _withheld(this, collected), Status.NOTHING, checks, ())
    this.progress.stage("write")
    job = _write_job(this, collected)
    written, quarantine = this.engine.write(job, collected, duplicates, published, lambda: _quarantine(this, collected))
    proofs = _proofs(collected, written)
    result = _result(this, collected, proofs, Status.PUBLISHED, checks, ())
    if not result.proof.closed:
        gaps = "; ".join(result.proof.gaps())
        raise ProofError(
            f"rows are unaccounted for: {gaps}", fix="nothing was published; please report this with the contract"
        )
    this.progress.stage("publish")
    this.intake.before_publication()
    settled = Settled(result, written, quarantine, collected, this.clock, collected.profile(), marks)
    published_run = publish_run(this.lake, this.contract, settled)
    with suppress(OSError, TapehouseError):  # the run stands; what cannot be removed now is an orphan
        this.engine.clear(this.lake, this.run_id)
    return published_run


def _quarantine(this: _Run, collected: Collected) -> QuarantineWritten | None:
    """The rejected records as files; those of a replay are in the table already."""
    if this.intake.kind == "replay":
        return None
    return write_quarantine(this.lake, this.contract, this.run_id, collected, this.clock)


def _marks(this: _Run, collected: Collected, duplicates: Duplicates | None) -> tuple[Staged, ...]:
    """What becomes of each replayed record that leaves quarantine."""
    if this.intake.only is None:
        return ()
    at, name = this.clock.started, this.contract.name
    leaving = leaving_rows(collected, this.intake.only, duplicates)
    rows = [mark_rows(name, this.run_id, at, group, mark, "") for mark, group in leaving.items() if group.height]
    return (stage_rows(this.lake, MARKS, pl.concat(rows), this.run_id),) if rows else ()


def _near(published: PublishedRows, collected: Collected) -> pl.DataFrame | None:
    """Published rows that could be copies of the run's."""
    firsts = [totals.first_event for totals in collected.totals.values() if totals.first_event is not None]
    lasts = [totals.last_event for totals in collected.totals.values() if totals.last_event is not None]
    return published.keys_near(min(firsts), max(lasts)) if firsts and lasts else None


def _reasons_to_stop(this: _Run, collected: Collected, checks: BatchChecks) -> list[str]:
    """Budgets and batch rules; a replay was let in before and is not stopped again."""
    if this.intake.kind == "replay":
        return []
    records = sum(totals.records for totals in collected.totals.values())
    quarantined = sum(totals.rejected.rows + totals.malformed for totals in collected.totals.values())
    rules = collected.rules_broken()
    return [*exceeded(this.contract, records, quarantined, rules), *checks.rejecting]


def _write_job(this: _Run, collected: Collected) -> WriteJob:
    digests = digests_of(collected.sources)
    ranks = np.argsort(np.argsort(np.array(digests, dtype=np.str_)))
    return WriteJob(
        place=this.lake.place,
        warehouse=this.lake.warehouse,
        contract=this.contract,
        run_id=this.run_id,
        knowledge_us=this.clock.knowledge_us,
        digests=digests,
        salts=salts_of(collected.sources),
        ranks=ranks,
    )


def _proofs(collected: Collected, written: Written) -> dict[int, Proof]:
    """Proof of each batch: the input side from reading, the output side from writing."""
    return {
        batch: Proof(
            totals.records,
            totals.malformed,
            totals.taken,
            {
                "curated": written.tallies.get(batch, Tally()),
                "quarantined": totals.rejected,
                "duplicates": written.duplicates.get(batch, Tally()),
                "filtered": totals.filtered,
            },
        )
        for batch, totals in collected.totals.items()
    }


def _withheld(this: _Run, collected: Collected) -> dict[int, Proof]:
    """Proof of a run that stops before writing: its good rows are withheld."""
    good = this.engine.good(this.contract, collected, salts_of(collected.sources))
    return {
        batch: Proof(
            totals.records,
            totals.malformed,
            totals.taken,
            {"quarantined": totals.rejected, "filtered": totals.filtered, "withheld": good.get(batch, Tally())},
        )
        for batch, totals in collected.totals.items()
    }


def _result(
    this: _Run,
    collected: Collected,
    proofs: Mapping[int, Proof],
    status: Status,
    checks: BatchChecks,
    stopped: tuple[str, ...],
) -> RunResult:
    rejecting, warning = by_severity(this.contract, add_counts(collected.rules_broken(), dict(checks.counts)))
    whole = Proof(0, 0, Tally())
    for proof in proofs.values():
        whole = whole + proof
    batches = tuple(
        BatchResult(
            source.digest,
            source.origin,
            source.size,
            proofs[batch],
            collected.totals[batch].first_event,
            collected.totals[batch].last_event,
            dict(collected.codes.get(batch, {})),
        )
        for batch, source in enumerate(collected.sources)
        if batch in proofs
    )
    return RunResult(
        run_id=this.run_id,
        kind=this.intake.kind,
        status=status,
        contract=this.contract.name,
        contract_version=this.contract.version,
        lake=this.lake.home,
        proof=whole,
        seconds=this.clock.seconds(),
        rules=rejecting,
        warnings=warning,
        batches=batches,
        skipped=tuple(this.intake.skipped),
        known=dict(this.intake.known),
        stopped_because=stopped,
        engine=this.engine.name,
        notes=(*this.engine.notes(this.contract), *checks.warning),
        references=this.references,
        lateness_ns=collected.profile().lateness_quantiles(),
    )
