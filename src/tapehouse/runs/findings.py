"""What verification says: each thing that does not hold, and what could not be checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that does not hold: in which contract, of which batch or table, and what."""

    contract: str
    subject: str
    what: str


@dataclass(slots=True)
class VerifyReport:
    """What verification looked at and found. `notes` are things that could not be checked, with the reason."""

    batches: int = 0
    rows: int = 0
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether everything that was checked holds."""
        return not self.findings

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "ok": self.ok,
            "batches": self.batches,
            "rows": self.rows,
            "findings": [{"contract": one.contract, "subject": one.subject, "what": one.what} for one in self.findings],
            "notes": self.notes,
        }

    def __str__(self) -> str:
        head = f"{self.batches:,} batches, {self.rows:,} rows: "
        lines = [head + ("every row accounted for" if self.ok else f"{len(self.findings)} things do not hold")]
        lines.extend(f"  {one.contract} {one.subject}: {one.what}" for one in self.findings)
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])
