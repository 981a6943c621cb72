"""One run of one tool in a process of its own: wall time, CPU time and peak memory."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
CONTRACT = HERE.parent / "examples" / "contracts" / "consolidated-trades.yaml"
TOOLS = ("tapehouse", "duckdb", "polars", "pandas")
SPARK_TOOLS = ("tapehouse-spark", "spark")


@dataclass(frozen=True, slots=True)
class Sample:
    """`cpu_seconds` is user and system time of the process and of all it waited for; `rss_peak_bytes` that of the
    largest single process among them.
    """

    tool: str
    wall_seconds: float
    cpu_seconds: float
    rss_peak_bytes: int
    counts: dict[str, Any]


class ToolError(RuntimeError):
    """A tool ended with an error; the text holds the end of what it wrote to standard error."""


def command(tool: str, source: Path, out: Path) -> list[str]:
    """The command line of the reference job in `tool`, reading folder `source` and writing folder `out`."""
    if not tool.startswith("tapehouse"):
        return [sys.executable, str(HERE / "reference_job" / f"{tool}_job.py"), str(source), str(out)]
    files = [str(path) for path in sorted(source.glob("trades_*.csv"))]
    reference = ["--reference", str(source / "ref.csv"), "--lake", str(out), "--json"]
    engine = ["--engine", "spark", "--master", "local[2]"] if tool == "tapehouse-spark" else []
    return [str(Path(sys.executable).parent / "tapehouse"), "run", str(CONTRACT), *files, *reference, *engine]


def limit_cpus(cpus: int) -> None:
    """Keep this process and its children on `cpus` processors, so that no tool uses more than another."""
    allowed = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, allowed[:cpus])
    os.environ["POLARS_MAX_THREADS"] = str(cpus)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # or every start would compile the libraries again


def measure(tool: str, source: Path, out: Path, *, whole_machine: bool = False) -> Sample:
    """Run the job once into an empty `out`. Raises ToolError on a non-zero exit.

    `whole_machine` counts the processor time of everything that ran meanwhile: Spark's Python workers are children of a
    process that never waits for them, so theirs shows up nowhere else.
    """
    shutil.rmtree(out, ignore_errors=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    printed, errors = out.with_name(out.name + ".stdout"), out.with_name(out.name + ".stderr")
    os.sync()  # the last tool's dirty pages are not this one's work
    with printed.open("wb") as stdout, errors.open("wb") as stderr:
        before = _machine_seconds() if whole_machine else None
        start = time.perf_counter()
        process = subprocess.Popen(command(tool, source, out), stdout=stdout, stderr=stderr)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise ToolError(f"{tool} ended with {process.returncode}: {errors.read_text()[-2_000:]}")
    counts = json.loads(printed.read_text())
    cpu = usage.ru_utime + usage.ru_stime if before is None else _machine_seconds() - before
    return Sample(tool, wall, cpu, usage.ru_maxrss * 1024, counts)


def _machine_seconds() -> float:
    """Processor seconds that this machine has spent on anything."""
    user, nice, system, _, _, irq, softirq = map(int, Path("/proc/stat").read_text().split(maxsplit=8)[1:8])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def machine() -> dict[str, Any]:
    """What a reader needs to weigh the numbers: processor, processors allowed, versions."""
    from importlib.metadata import version

    model = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        "unknown",
    )
    packages = ("tapehouse", "polars", "duckdb", "pandas", "pyarrow")
    return {
        "processor": model,
        "cpus": len(os.sched_getaffinity(0)),
        "python": sys.version.split()[0],
        "versions": {name: version(name) for name in packages},
    }
