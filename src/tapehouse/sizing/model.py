"""From a volume a day to cores, memory, tasks and files. Pure arithmetic; each result says how it came about."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from tapehouse.errors import UsageError
from tapehouse.sizing.measure import Measured

SECONDS_PER_DAY = 86_400
HOURS_PER_DAY = 24
_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "PB": 10**15}
_UNITS |= {"KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40, "PIB": 2**50}
_PERIODS = {"DAY": SECONDS_PER_DAY, "D": SECONDS_PER_DAY, "HOUR": 3600, "H": 3600, "S": 1, "SECOND": 1}


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What is not measured. `peak` is the busiest hour over the average one; `utilisation` how busy cores may be then;
    `engine_factor` what Spark adds to the processor time of the embedded engine; `data_file_rows` the most a data file
    holds.
    """

    peak: float = 1.0
    utilisation: float = 0.7
    engine_factor: float = 1.7
    cores_per_executor: int = 4
    batch_bytes: int = 256 * 10**6
    data_file_rows: int = 8_000_000
    task_memory_bytes: int = 8 * 10**9
    java_memory_bytes: int = 2 * 10**9


@dataclass(frozen=True, slots=True)
class Line:
    """One result: its value, the unit, and the arithmetic."""

    name: str
    value: float
    unit: str
    formula: str

    def as_dict(self) -> dict[str, object]:
        """JSON form."""
        return {"name": self.name, "value": self.value, "unit": self.unit, "formula": self.formula}


@dataclass(frozen=True, slots=True)
class Sizing:
    """What a volume takes, and what has to be heeded."""

    volume_bytes_per_day: float
    lines: Sequence[Line]
    warnings: Sequence[str]

    def value(self, name: str) -> float:
        """Of one result."""
        return next(line.value for line in self.lines if line.name == name)


def parse_volume(text: str) -> float:
    """Bytes a day from text such as `50TB/day`, `2 GB/hour` or `600MB/s`; decimal units, binary with an i."""
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]+)\s*/\s*([A-Za-z]+)\s*", text)
    unit, period = (_UNITS.get(match[2].upper()), _PERIODS.get(match[3].upper())) if match else (None, None)
    if match is None or unit is None or period is None:
        raise UsageError(f"{text!r} is no volume", fix="such as 50TB/day, 200GB/hour, 600MB/s or 1.5TiB/day")
    return float(match[1]) * unit * SECONDS_PER_DAY / period


def size(volume_bytes_per_day: float, measured: Measured, given: Assumptions) -> Sizing:
    """The arithmetic. Raises UsageError for assumptions that make no sense."""
    _check(volume_bytes_per_day, measured, given)
    average = volume_bytes_per_day / SECONDS_PER_DAY
    busiest = average * given.peak
    speed = measured.bytes_per_core_second / given.engine_factor
    cores = math.ceil(busiest / (speed * given.utilisation))
    executors = math.ceil(cores / given.cores_per_executor)
    hour = busiest * 3600
    task = measured.base_memory_bytes + measured.memory_per_byte * given.batch_bytes
    room = (given.task_memory_bytes - measured.base_memory_bytes) / max(measured.memory_per_byte, 1e-9)
    memory = given.cores_per_executor * max(task, given.task_memory_bytes) + given.java_memory_bytes
    rows = volume_bytes_per_day / measured.bytes_per_row
    files = max(HOURS_PER_DAY, math.ceil(rows / given.data_file_rows))
    lake = volume_bytes_per_day * measured.lake_bytes_per_byte
    lines = (
        Line("average input", average / 1e6, "MB/s", "volume / 86400 s"),
        Line("peak input", busiest / 1e6, "MB/s", f"average x peak {given.peak:g}"),
        Line("input of a core", speed / 1e6, "MB/s", f"measured {measured.bytes_per_core_second / 1e6:.1f} MB/s "
             f"({measured.engine}) / engine factor {given.engine_factor:g}"),
        Line("cores", cores, "", f"peak input / (input of a core x utilisation {given.utilisation:g})"),
        Line("executors", executors, "", f"cores / {given.cores_per_executor} each"),
        Line("memory of an executor", memory / 1e9, "GB", f"{given.cores_per_executor} tasks x "
             f"{max(task, given.task_memory_bytes) / 1e9:.1f} GB + {given.java_memory_bytes / 1e9:g} GB for Java"),
        Line("batches", math.ceil(volume_bytes_per_day / given.batch_bytes), "a day",
             f"volume / {given.batch_bytes / 1e6:g} MB: a task reads one batch"),
        Line("rows", rows, "a day", f"volume / {measured.bytes_per_row:.1f} bytes a row (measured)"),
        Line("partitions", HOURS_PER_DAY, "a day", "one an hour: a task writes one partition"),
        Line("input of a partition", hour / 1e9, "GB", "peak input x 3600 s"),
        Line("data files", files, "a day", f"rows / {given.data_file_rows:,} a file, at least one a partition"),
        Line("size of a data file", lake / files / 1e6, "MB", "lake growth / data files"),
        Line("lake growth", lake / 1e9, "GB/day",
             f"volume x {measured.lake_bytes_per_byte:.2f} (measured; all tables, without the raw bytes)"),
    )  # fmt: skip
    warnings = []
    if hour > room:
        streams = math.ceil(hour / room)
        warnings.append(
            f"an hour at peak holds {hour / 1e9:,.0f} GB, and a task of {given.task_memory_bytes / 1e9:g} GB can write "
            f"{room / 1e9:,.1f} GB of input: part the stream into {streams:,} contracts, or give tasks more memory"
        )
    return Sizing(volume_bytes_per_day, lines, tuple(warnings))


def _check(volume: float, measured: Measured, given: Assumptions) -> None:
    wrong = [
        text
        for text, good in (
            ("the volume is not positive", volume > 0),
            ("the peak is below the average", given.peak >= 1),
            ("utilisation is not in (0, 1]", 0 < given.utilisation <= 1),
            ("the engine factor is not positive", given.engine_factor > 0),
            ("an executor has no core", given.cores_per_executor >= 1),
            ("a batch has no bytes", given.batch_bytes > 0),
            (
                f"a task's memory is below the {measured.base_memory_bytes / 1e9:.1f} GB that it takes without a row",
                given.task_memory_bytes > measured.base_memory_bytes,
            ),
            ("the measured cost of a byte is not positive", measured.cpu_seconds_per_byte > 0),
        )
        if not good
    ]
    if wrong:
        raise UsageError("; ".join(wrong), fix="see `tapehouse size --help`")
