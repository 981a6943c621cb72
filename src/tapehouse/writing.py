"""Help with writing a contract: risks in it, what changed between versions, and a first one from data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tapehouse.arguments import load_contract

if TYPE_CHECKING:
    from tapehouse.arguments import ContractLike
    from tapehouse.contracts.diff import Change
    from tapehouse.contracts.lint import Finding


def lint(path: str | Path) -> list[Finding]:
    """Risks and omissions of a contract that loads. Raises ContractError with every problem where it does not."""
    from tapehouse.contracts.lint import lint as lint_

    load_contract(path)  # a missing file is told as the contract's problem
    return lint_(path)


def diff(old: ContractLike, new: ContractLike) -> list[Change]:
    """What changed between two versions of a contract, breaking changes first."""
    from tapehouse.contracts.diff import diff as diff_

    return diff_(load_contract(old), load_contract(new))


def infer(path: str | Path, *, name: str = "") -> str:
    """A contract, as YAML text, guessed from a data file. It is a start: read it before you use it."""
    from tapehouse.contracts.infer import infer as infer_

    return infer_(Path(path), name=name)
