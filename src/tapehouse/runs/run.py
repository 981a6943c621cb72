"""`run`: from a contract and landed files to published, proven rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from tapehouse.contracts.model import Contract
from tapehouse.feeds.base import BatchSource
from tapehouse.lake.home import Lake
from tapehouse.lake.landing import Arriving
from tapehouse.runs.batches import known_digests
from tapehouse.runs.context import Progress, Silence
from tapehouse.runs.engine import Embedded, Engine
from tapehouse.runs.execute import Intake, execute
from tapehouse.runs.inputs import located
from tapehouse.runs.result import RunResult


def run(
    contract: Contract,
    inputs: Iterable[str | Path],
    *,
    lake: Lake,
    references: Mapping[str, Path] | None = None,
    progress: Progress | None = None,
    landing: Arriving | None = None,
    engine: Engine | None = None,
) -> RunResult:
    """Take `inputs` into the lake under `contract`; see `RunResult` for what comes back.

    Batches that the lake already holds for this contract are skipped (I3). A run that breaks a budget returns with
    status STOPPED and has published nothing. Raises ProofError when rows are unaccounted for, FeedError when a batch
    cannot be read at all, LakeError when the lake cannot be written; the lake is unchanged then. A caller that knew the
    files earlier may pass the `landing` it started for them.
    """
    watch = progress if progress is not None else Silence()
    lake.prepare()
    skipped: list[str] = []
    held: dict[str, tuple[str, int]] = {}
    worker = engine or Embedded()
    arriving = landing if landing is not None else lake.landing(located(inputs), here=worker.here)
    watch.total(arriving.bytes)
    if not worker.here:
        arriving.hashed_by(worker.digests)
    try:
        sources = _unpublished(lake, contract, arriving, skipped, held)
        intake = Intake("run", sources, skipped=skipped, known=held, before_publication=arriving.settle)
        return execute(contract, lake, intake, references or {}, watch, worker)
    finally:
        arriving.abandon()


def _unpublished(
    lake: Lake, contract: Contract, arriving: Arriving, skipped: list[str], held: dict[str, tuple[str, int]]
) -> Iterator[BatchSource]:
    """Landed batches that the lake does not hold under this contract yet; the others go to `skipped` and `held`.

    The catalogue is asked only when some content was landed before, for asking costs more than reading a small file.
    """
    known: set[str] | None = None
    for landed in arriving:
        if arriving.held_before(landed):
            known = known_digests(lake, contract) if known is None else known
            if landed.digest in known:
                skipped.append(landed.origin)
                held[landed.digest] = (landed.origin, landed.size)
                continue
        yield BatchSource(landed.path, landed.digest, landed.origin, landed.size)
