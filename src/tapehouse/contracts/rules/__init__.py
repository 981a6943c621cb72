"""Kinds of quality rules, one small module per family. Each is a macro that builds a tree of the rule language.

A plug-in adds its own `RuleKind` (or a tuple of them) under the entry-point group `tapehouse.rules`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points
from types import MappingProxyType

from tapehouse.contracts.rules import adjustments, batches, books, expression, order, presence, prices, times, values
from tapehouse.contracts.rules.base import Built, RuleKind, RuleParameterError, RuleScope
from tapehouse.errors import UsageError

__all__ = ["ENTRY_POINTS", "Built", "RuleKind", "RuleParameterError", "RuleScope", "registry"]

ENTRY_POINTS = "tapehouse.rules"
_FAMILIES = (presence, adjustments, values, prices, times, order, books, expression, batches)


@cache
def registry() -> Mapping[str, RuleKind]:
    """Every kind of rule by name: the built-in ones, then plug-ins.

    Raises UsageError when a plug-in is not a `RuleKind` or takes the name of another kind.
    """
    kinds = {kind.name: kind for family in _FAMILIES for kind in family.KINDS}
    for entry in entry_points(group=ENTRY_POINTS):
        loaded = entry.load()
        for kind in loaded if isinstance(loaded, tuple) else (loaded,):
            if not isinstance(kind, RuleKind) or kind.name in kinds:
                fault = f"a second kind {kind.name!r}" if isinstance(kind, RuleKind) else "not a RuleKind"
                raise UsageError(
                    f"rule plug-in {entry.name!r} ({entry.value}) is {fault}",
                    fix="remove the plug-in or rename its kind",
                )
            kinds[kind.name] = kind
    return MappingProxyType(kinds)
