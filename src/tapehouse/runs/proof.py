"""The conservation proof (I1): everything that came in is somewhere, exactly once, with the same values.

The input side is counted where records are read; curated rows and duplicates where they are taken for writing;
quarantined and filtered rows where the kernel parts them from the others (and quarantine is counted again when it is
written). The sides meet only here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tapehouse.kernel.fingerprint import Tally, total

DISPOSITIONS = ("curated", "quarantined", "duplicates", "filtered")
# Good rows of a run that stopped: not lost, not published.
WITHHELD = "withheld"


@dataclass(frozen=True, slots=True)
class Proof:
    """`taken` is what entered the kernel, `parts` what became of it by disposition. `records` counts what the feed
    offered, `malformed` those it could not split into fields: they are in quarantine with their bytes, but have no
    values to sum, so they enter the count and not the sums.
    """

    records: int
    malformed: int
    taken: Tally
    parts: Mapping[str, Tally] = field(default_factory=dict)

    @property
    def counts(self) -> dict[str, int]:
        """Rows by disposition, malformed records counted as quarantined."""
        out = {name: self.parts.get(name, Tally()).rows for name in self._names()}
        out["quarantined"] += self.malformed
        return out

    def _names(self) -> tuple[str, ...]:
        return (*DISPOSITIONS, WITHHELD) if WITHHELD in self.parts else DISPOSITIONS

    def gaps(self) -> list[str]:
        """What does not add up, in words; empty when the proof closes."""
        out = total(self.parts.values())
        found = []
        if self.records != sum(self.counts.values()):
            found.append(f"{self.records} records in, {sum(self.counts.values())} accounted for")
        if self.taken.rows != out.rows:
            found.append(f"{self.taken.rows} rows judged, {out.rows} written")
        if self.taken.fingerprint != out.fingerprint:
            found.append(f"fingerprint in {self.taken.fingerprint:016x}, out {out.fingerprint:016x}")
        for name, value in self.taken.sums.items():
            if out.sums.get(name, 0) != value:
                found.append(f"sum of {name} in {value}, out {out.sums.get(name, 0)}")
        return found

    @property
    def closed(self) -> bool:
        """Whether every row is accounted for."""
        return not self.gaps()

    def __add__(self, other: Proof) -> Proof:
        names = {**self.parts, **other.parts}
        return Proof(
            self.records + other.records,
            self.malformed + other.malformed,
            self.taken + other.taken,
            {name: self.parts.get(name, Tally()) + other.parts.get(name, Tally()) for name in names},
        )

    def as_dict(self) -> dict[str, Any]:
        """JSON form: fingerprints as hex text and sums as decimal text, for JSON numbers lose large integers."""
        return {
            "closed": self.closed,
            "gaps": self.gaps(),
            "records": self.records,
            "malformed": self.malformed,
            "in": tally_dict(self.taken),
            **{name: tally_dict(self.parts.get(name, Tally())) for name in self._names()},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Proof:
        """The proof that `as_dict` wrote."""
        parts = {name: tally_of(data[name]) for name in (*DISPOSITIONS, WITHHELD) if name in data}
        return cls(data["records"], data["malformed"], tally_of(data["in"]), parts)


def tally_dict(tally: Tally) -> dict[str, Any]:
    """JSON form of a tally."""
    return {
        "rows": tally.rows,
        "fingerprint": f"{tally.fingerprint:016x}",
        "sums": {name: str(value) for name, value in tally.sums.items()},
    }


def tally_of(data: Mapping[str, Any]) -> Tally:
    """The tally that `tally_dict` wrote."""
    return Tally(data["rows"], int(data["fingerprint"], 16), {name: int(v) for name, v in data["sums"].items()})
