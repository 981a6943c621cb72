"""What the job costs on this machine: two runs of different size, so that starting up is not counted."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tapehouse import synthetic
from tapehouse.errors import RunError, UsageError

ROWS = (400_000, 1_600_000)
_CONTRACT = Path(synthetic.__file__).with_name("trades.yaml")
_PROGRAM = """
import json, resource, sys, time
from pathlib import Path
from tapehouse import api
contract, lake, reference, *inputs = sys.argv[1:]
result = api.run(contract, inputs, lake=lake, references=reference)
usage = resource.getrusage(resource.RUSAGE_SELF)
files = [path.stat().st_size for path in Path(lake, "warehouse").rglob("*.parquet")]
print(json.dumps({
    "rows": result.rows_in, "status": result.status.value, "cpu_seconds": usage.ru_utime + usage.ru_stime,
    "peak_bytes": usage.ru_maxrss * 1024, "lake_bytes": sum(files)}))
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """Marginal cost of the reference job: processor time and lake bytes by byte of input, bytes of a row of input,
    memory by byte of input held, and memory before any row is read. `engine` is who did it.
    """

    engine: str
    cpu_seconds_per_byte: float
    lake_bytes_per_byte: float
    bytes_per_row: float
    memory_per_byte: float
    base_memory_bytes: int

    @property
    def bytes_per_core_second(self) -> float:
        """Input that a busy core takes in a second."""
        return 1 / self.cpu_seconds_per_byte

    def save(self, path: Path) -> None:
        """Keep the measurement for another day, as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Measured:
        """A measurement that was kept. Raises UsageError."""
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror}", fix="check the path") from error
        except (ValueError, TypeError) as error:
            raise UsageError(
                f"{path} is no measurement: {error}", fix="make one: `tapehouse size --save FILE`"
            ) from error


def measure() -> Measured:
    """Run the reference job, embedded, over invented trades of both sizes of `ROWS`; takes some seconds."""
    from tapehouse.tapes import generate

    with tempfile.TemporaryDirectory(prefix="tapehouse-size-") as folder:
        found = []
        for rows in ROWS:
            home = Path(folder, str(rows))
            made = generate("trades", home / "in", rows=rows, seed=1, files=4)
            size = sum(path.stat().st_size for path in made.files)
            found.append((size, _run(_CONTRACT, home / "lake", made.reference, made.files)))
    (small, one), (large, other) = found
    more = large - small
    if other["cpu_seconds"] <= one["cpu_seconds"]:
        raise RunError("the larger of the two measured runs took less time", fix="measure on a quieter machine")
    memory = max(0.0, (other["peak_bytes"] - one["peak_bytes"]) / more)
    return Measured(
        engine="embedded",
        cpu_seconds_per_byte=(other["cpu_seconds"] - one["cpu_seconds"]) / more,
        lake_bytes_per_byte=(other["lake_bytes"] - one["lake_bytes"]) / more,
        bytes_per_row=more / (other["rows"] - one["rows"]),
        memory_per_byte=memory,
        base_memory_bytes=max(0, int(one["peak_bytes"] - memory * small)),
    )


def _run(contract: Path, lake: Path, reference: Path | None, inputs: tuple[Path, ...]) -> dict[str, Any]:
    command = [sys.executable, "-c", _PROGRAM, contract, lake, reference or "", *inputs]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise RunError(f"the measured job failed: {done.stderr[-500:]}", fix="see `tapehouse run` on generated trades")
    told: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return told
