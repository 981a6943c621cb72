"""`run`: from a contract and landed files to published, proven rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from tapehouse.contracts.model import Contract
from tapehouse.feeds.base import BatchSource
from tapehouse.lake.home import Lake
from tapehouse.runs.batches import known_digests
from tapehouse.runs.collect import landed
from tapehouse.runs.context import Progress, Silence
from tapehouse.runs.execute import Intake, execute
from tapehouse.runs.inputs import expand
from tapehouse.runs.result import RunResult


def run(
    contract: Contract,
    inputs: Iterable[str | Path],
    *,
    lake: Lake,
    references: Mapping[str, Path] | None = None,
    progress: Progress | None = None,
) -> RunResult:
    """Take `inputs` into the lake under `contract`; see `RunResult` for what comes back.

    Batches that the lake already holds for this contract are skipped (I3). A run that breaks a budget returns with
    status STOPPED and has published nothing. Raises ProofError when rows are unaccounted for, FeedError when a batch
    cannot be read at all, LakeError when the lake cannot be written; the lake is unchanged then.
    """
    watch = progress if progress is not None else Silence()
    lake.warm()
    paths = expand(inputs)
    watch.total(sum(path.stat().st_size for path in paths))
    skipped: list[str] = []
    sources = _unpublished(lake, contract, paths, skipped)
    return execute(contract, lake, Intake("run", sources, skipped=skipped), references or {}, watch)


def _unpublished(lake: Lake, contract: Contract, paths: list[Path], skipped: list[str]) -> Iterator[BatchSource]:
    """Landed batches that the lake does not hold under this contract yet; the others go to `skipped`.

    The catalogue is asked only when some content was landed before, for asking costs more than reading a small file.
    """
    before = set(lake.raw.digests())
    known: set[str] | None = None
    for source in landed(lake, paths):
        if source.digest in before:
            known = known_digests(lake, contract) if known is None else known
            if source.digest in known:
                skipped.append(source.origin)
                continue
        yield source
