"""Tapehouse: one written contract in, an audited lake out.

    import tapehouse

    result = tapehouse.run("trades.yaml", "landing/*.csv", lake="lake")
    result.to_polars()

Importing this costs nothing: each name is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from tapehouse.api import (
        backfill,
        certify,
        check,
        diff,
        generate,
        infer,
        lint,
        list_runs,
        quarantine,
        query,
        read_certificate,
        replay,
        retain,
        run,
        score,
        show_run,
        verify,
        watch,
    )
    from tapehouse.arguments import load_contract, open_lake
    from tapehouse.contracts.model import Contract
    from tapehouse.errors import (
        ContractError,
        FeedError,
        LakeError,
        ProofError,
        ReferenceDataError,
        RunError,
        TapehouseError,
        UsageError,
    )
    from tapehouse.lake.home import Lake
    from tapehouse.rows import Rows
    from tapehouse.runs.in_place import CheckReport
    from tapehouse.runs.result import RunResult, Status
    from tapehouse.runs.verify import VerifyReport

_HOMES = {
    "tapehouse.api": (
        "backfill",
        "certify",
        "check",
        "diff",
        "generate",
        "infer",
        "lint",
        "list_runs",
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
    ),
    "tapehouse.arguments": ("load_contract", "open_lake"),
    "tapehouse.contracts.model": ("Contract",),
    "tapehouse.errors": (
        "ContractError",
        "FeedError",
        "LakeError",
        "ProofError",
        "ReferenceDataError",
        "RunError",
        "TapehouseError",
        "UsageError",
    ),
    "tapehouse.lake.home": ("Lake",),
    "tapehouse.rows": ("Rows",),
    "tapehouse.runs.in_place": ("CheckReport",),
    "tapehouse.runs.result": ("RunResult", "Status"),
    "tapehouse.runs.verify": ("VerifyReport",),
}
_MODULES = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "CheckReport",
    "Contract",
    "ContractError",
    "FeedError",
    "Lake",
    "LakeError",
    "ProofError",
    "ReferenceDataError",
    "Rows",
    "RunError",
    "RunResult",
    "Status",
    "TapehouseError",
    "UsageError",
    "VerifyReport",
    "__version__",
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


def __getattr__(name: str) -> Any:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(module), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
