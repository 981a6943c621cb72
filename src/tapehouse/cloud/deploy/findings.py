"""What a difference between two templates puts at risk."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Risk(StrEnum):
    """Worst first."""

    DATA_LOSS = "data_loss"
    PRIVILEGE = "privilege"
    REPLACEMENT = "replacement"
    COST = "cost"
    HARMLESS = "harmless"


ORDER = tuple(Risk)


@dataclass(frozen=True, slots=True)
class Finding:
    """One risk of one change. `action` is add, modify or remove; `path` is the property, dotted, or empty for the whole
    resource; `before` and `after` are the template's values. `stack` is empty where
    templates without names are compared."""

    risk: Risk
    resource: str
    type: str
    action: str
    path: str
    why: str
    before: Any = None
    after: Any = None
    stack: str = ""

    @property
    def detail(self) -> str:
        """Property and reason in one line."""
        return f"{self.path}: {self.why}" if self.path else self.why

    def as_dict(self) -> dict[str, Any]:
        return {
            "stack": self.stack,
            "risk": self.risk.value,
            "resource": self.resource,
            "type": self.type,
            "action": self.action,
            "path": self.path,
            "why": self.why,
            "before": self.before,
            "after": self.after,
        }
