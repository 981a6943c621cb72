"""What test runs showed: for each row and blueprint the tests that ran for it, how they ended, at which commit.

A run leaves one file in `.conformance/`, named after the session, and adds to what an earlier run of that session left:
the newest result of a test counts, so a later failure overrides an earlier success. A skipped test proves nothing.
"""

from __future__ import annotations

import fcntl
import json
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from tapehouse.errors import UsageError

FOLDER = ".conformance"
RAN, ASSERTED = "ran", "asserted"
PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"


@dataclass(frozen=True, slots=True)
class Result:
    """How one test ended that proves one row for one blueprint. `at` is the end of its run (UTC, ISO 8601)."""

    row: str
    blueprint: str
    test: str
    outcome: str
    proof: str
    commit: str
    at: str

    @property
    def key(self) -> tuple[str, str, str]:
        """What the newest result is kept for."""
        return self.row, self.blueprint, self.test


def merged(results: Iterable[Result]) -> list[Result]:
    """The newest result of each test for each row and blueprint, in a stable order."""
    newest: dict[tuple[str, str, str], Result] = {}
    for one in sorted(results, key=lambda result: result.at):
        newest[one.key] = one
    return [newest[key] for key in sorted(newest)]


def read(folder: Path) -> list[Result]:
    """All results in a folder, merged; none where it is absent. UsageError for a file that holds something else."""
    return merged(one for path in sorted(folder.glob("*.json")) for one in _read(path))


def _read(path: Path) -> Iterator[Result]:
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
        yield from [Result(**one) for one in body["results"]]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise UsageError(
            f"{path} holds no results of a test run: {error!r}", fix="remove it and run the tests"
        ) from error


def write(folder: Path, session: str, results: Iterable[Result]) -> Path:
    """Add results to those of the session; returns the file. It is replaced as a whole, never seen half written."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{session}.json"
    # Two runs that end at once must not forget each other's results.
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        kept = list(_read(path)) if path.exists() else []
        body = {"session": session, "results": [asdict(one) for one in merged([*kept, *results])]}
        fresh = path.with_suffix(".tmp")
        fresh.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")
        fresh.replace(path)
    return path


def current(results: Iterable[Result], repository: Path) -> list[Result]:
    """Results of tests that are still there: one that was renamed or removed neither proves nor disproves anything."""
    sources: dict[str, str] = {}
    found = []
    for one in results:
        file, _, rest = one.test.partition("::")
        if file not in sources:
            path = repository / file
            sources[file] = path.read_text(encoding="utf-8") if path.is_file() else ""
        name = rest.partition("[")[0].rpartition("::")[2]
        if f"def {name}(" in sources[file]:
            found.append(one)
    return found


def commit_of(repository: Path) -> str:
    """The commit that is checked out, with `-dirty` when files differ from it; `unknown` outside a repository."""
    command = ["git", "-C", str(repository), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)  # noqa: S603 - fixed words
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip() or "unknown"
