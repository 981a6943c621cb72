"""What a run tells its caller."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tapehouse.runs.proof import Proof

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa


class Status(StrEnum):
    """PUBLISHED: the lake has the run's rows. STOPPED: a budget or batch rule broke, nothing was published.
    NOTHING: every batch given was in the lake already. PREVIEW: a dry run; nothing was published.
    """

    PUBLISHED = "published"
    STOPPED = "stopped"
    NOTHING = "nothing"
    PREVIEW = "preview"


@dataclass(frozen=True, slots=True)
class BatchResult:
    """One batch of a run. Event times are ns UTC, None where no row was curated; `rules` counts rows that broke each
    rule.
    """

    digest: str
    origin: str
    size: int
    proof: Proof
    first_event: int | None = None
    last_event: int | None = None
    rules: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, repr=False)
class RunResult:
    """Outcome of a run. `rules` counts rows per rejecting rule, `warnings` per warning rule; `known` has origin and
    bytes of the batches that were skipped, by digest; `complete_through` gives for each channel the event time (ns UTC)
    up to which the interval ledger has no hole.
    """

    run_id: str
    kind: str
    status: Status
    contract: str
    contract_version: str
    lake: Path | str
    proof: Proof
    seconds: float
    rules: Mapping[str, int] = field(default_factory=dict)
    warnings: Mapping[str, int] = field(default_factory=dict)
    batches: tuple[BatchResult, ...] = ()
    skipped: tuple[str, ...] = ()
    known: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    stopped_because: tuple[str, ...] = ()
    complete_through: Mapping[str, int] = field(default_factory=dict)
    snapshots: Mapping[str, int] = field(default_factory=dict)
    references: Mapping[str, str] = field(default_factory=dict)
    lateness_ns: Mapping[float, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    engine: str = "embedded"

    @property
    def rows_in(self) -> int:
        """Records read."""
        return self.proof.records

    @property
    def rows_per_second(self) -> float:
        """Records read by second of wall time."""
        return self.proof.records / self.seconds if self.seconds else 0.0

    def as_dict(self) -> dict[str, Any]:
        """JSON form, as `--json` prints it."""
        return {
            "run_id": self.run_id,
            "kind": self.kind,
            "status": self.status.value,
            "contract": self.contract,
            "contract_version": self.contract_version,
            "engine": self.engine,
            "lake": str(self.lake),
            "rows_in": self.rows_in,
            **self.proof.counts,
            "rules": dict(self.rules),
            "warnings": dict(self.warnings),
            "proof": self.proof.as_dict(),
            "batches": [
                {"digest": one.digest, "origin": one.origin, "bytes": one.size, **one.proof.counts}
                for one in self.batches
            ],
            "skipped": list(self.skipped),
            "stopped_because": list(self.stopped_because),
            "complete_through": dict(self.complete_through),
            "lateness_ns": {str(quantile): value for quantile, value in self.lateness_ns.items()},
            "snapshots": dict(self.snapshots),
            "references": dict(self.references),
            "notes": list(self.notes),
            "seconds": round(self.seconds, 4),
            "rows_per_second": round(self.rows_per_second),
        }

    def to_polars(self) -> pl.DataFrame:
        """Curated rows of this run's batches, as they stand in the lake now."""
        import polars as pl

        return pl.DataFrame(pl.from_arrow(self.to_arrow()))

    def to_arrow(self) -> pa.Table:
        """Curated rows of this run's batches, as they stand in the lake now."""
        from tapehouse.runs.read import curated_of

        return curated_of(self.lake, self.contract, [batch.digest for batch in self.batches])

    def to_pandas(self) -> pd.DataFrame:
        """Curated rows of this run's batches; needs pandas installed."""
        return self.to_arrow().to_pandas()

    def __str__(self) -> str:
        counts = ", ".join(f"{name} {count:,}" for name, count in self.proof.counts.items())
        proof = "closed" if self.proof.closed else "OPEN: " + "; ".join(self.proof.gaps())
        lines = [f"{self.kind} {self.run_id} of {self.contract} {self.contract_version}: {self.status.value}"]
        lines.append(f"  rows in {self.rows_in:,} = {counts}")
        lines.append(f"  proof {proof}; {self.seconds:.2f} s, {self.rows_per_second:,.0f} rows/s")
        lines.extend(f"  stopped: {why}" for why in self.stopped_because)
        lines.extend(f"  {code}: {count:,} rejected" for code, count in self.rules.items())
        lines.extend(f"  {code}: {count:,} warned" for code, count in self.warnings.items())
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from html import escape

        def table(rows: Mapping[str, object]) -> str:
            cells = "".join(
                f"<tr><th>{escape(name)}</th><td>{escape(str(value))}</td></tr>" for name, value in rows.items()
            )
            return f"<table>{cells}</table>"

        head = f"<b>{escape(self.kind)} of {escape(self.contract)}</b> {escape(self.status.value)}"
        proof = {"proof": "closed" if self.proof.closed else "; ".join(self.proof.gaps())}
        return head + table({"rows in": self.rows_in, **self.proof.counts, **proof, **self.rules, **self.warnings})
