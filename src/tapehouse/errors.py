"""Every way Tapehouse can fail, as one tree.

Three families, so that a caller can tell whose move it is: the contract's author (`ContractError`), the sender of the
data (`FeedError`: only when a whole batch cannot be read; a single bad record is a quarantined row, never an
exception) and the operator (`LakeError`, `RunError`). Each carries its facts as attributes and a `fix`: the way out.
"""

from __future__ import annotations

from dataclasses import dataclass


class TapehouseError(Exception):
    """Root of the tree. `exit_code` is what the command line returns for it."""

    exit_code: int = 1

    def __init__(self, message: str, *, fix: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.message}\n  fix: {self.fix}" if self.fix else self.message


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a contract: where (file, 1-based line and column, dotted path), what, and the way out."""

    message: str
    path: str = ""
    file: str = ""
    line: int = 0
    column: int = 0
    value: object = None
    allowed: str = ""
    guess: str = ""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}: " if self.line else (f"{self.file}: " if self.file else "")
        lines = [f"{where}{self.path + ': ' if self.path else ''}{self.message}"]
        if self.allowed:
            lines.append(f"  allowed: {self.allowed}")
        if self.guess:
            lines.append(f"  {self.guess}")
        return "\n".join(lines)


class ContractError(TapehouseError):
    """The contract is wrong: fix the YAML. Holds every problem found, not only the first."""

    exit_code = 3

    def __init__(self, problems: list[Problem], *, fix: str = "") -> None:
        super().__init__("\n".join(str(problem) for problem in problems), fix=fix)
        self.problems = problems


class ReferenceDataError(TapehouseError):
    """A reference table (symbols, prices, calendar) is missing or malformed."""

    exit_code = 3


class FeedError(TapehouseError):
    """A batch cannot be read at all: missing file, unreadable archive, format that does not match the contract."""

    exit_code = 4

    def __init__(self, message: str, *, path: str = "", fix: str = "") -> None:
        super().__init__(f"{path}: {message}" if path else message, fix=fix)
        self.path = path


class LakeError(TapehouseError):
    """The lake cannot be read or written: permissions, disk full, damaged catalogue."""

    exit_code = 5


class RunError(TapehouseError):
    """A run could not be completed, and published nothing."""

    exit_code = 6


class ProofError(RunError):
    """Rows are unaccounted for (I1). The run published nothing."""

    exit_code = 7


class UsageError(TapehouseError):
    """Arguments that make no sense together, or name something that is not there."""

    exit_code = 2
