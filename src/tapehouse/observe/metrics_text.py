"""A run's numbers as a file for a metrics collector: Prometheus text exposition (textfile collector) or JSON."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tapehouse.errors import UsageError


@dataclass(frozen=True, slots=True)
class RunMetrics:
    """Numbers of one finished run. `ended_seconds` is seconds since 1970-01-01 UTC.

    `dispositions` as in the proof (`rows_in`, `curated`, ...); `rules` rows that broke each rule, by code.
    """

    contract: str
    environment: str
    seconds: float
    ended_seconds: float
    succeeded: bool
    proof_closed: bool
    bytes_in: int
    dispositions: Mapping[str, int] = field(default_factory=dict)
    rules: Mapping[str, int] = field(default_factory=dict)


def prometheus_text(metrics: RunMetrics) -> str:
    """Text exposition format 0.0.4. All are gauges: each run overwrites the one before.

    The run id is no label: it would make a new series of every run.
    """
    rows_in = metrics.dispositions.get("rows_in", 0)
    rate = rows_in / metrics.seconds if metrics.seconds > 0 else 0.0
    return "".join(
        (
            _gauge(
                "rows", "Rows of the last run by what became of them.", metrics, metrics.dispositions, "disposition"
            ),
            _gauge("rule_rows", "Rows of the last run that broke the rule.", metrics, metrics.rules, "rule"),
            _gauge("duration_seconds", "Wall time of the last run.", metrics, metrics.seconds),
            _gauge("rows_per_second", "Rows read per second of wall time.", metrics, rate),
            _gauge("input_bytes", "Bytes of input as delivered.", metrics, metrics.bytes_in),
            _gauge("succeeded", "1 if the last run published, else 0.", metrics, int(metrics.succeeded)),
            _gauge("proof_closed", "1 if every row is accounted for, else 0.", metrics, int(metrics.proof_closed)),
            _gauge("ended_timestamp_seconds", "When the last run ended, Unix time.", metrics, metrics.ended_seconds),
        )
    )


def _gauge(name: str, about: str, metrics: RunMetrics, values: float | Mapping[str, int], label: str = "") -> str:
    full = f"tapehouse_run_{name}"
    base = {"contract": metrics.contract, "environment": metrics.environment}
    samples: list[tuple[dict[str, str], float]]
    if isinstance(values, Mapping):
        samples = [({**base, label: key}, value) for key, value in sorted(values.items())]
    else:
        samples = [(base, values)]
    if not samples:
        return ""
    lines = [f"# HELP {full} {about}", f"# TYPE {full} gauge"]
    lines += [f"{full}{{{_labels(labels)}}} {value!r}" for labels, value in samples]
    return "\n".join(lines) + "\n"


def _labels(labels: Mapping[str, str]) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def write_metrics(metrics: RunMetrics, path: Path) -> None:
    """Write `path` whole or not at all: Prometheus text for `.prom` and `.txt`, JSON for `.json`.

    UsageError for another ending; OSError if it cannot be written.
    """
    if path.suffix in (".prom", ".txt"):
        text = prometheus_text(metrics)
    elif path.suffix == ".json":
        text = json.dumps(asdict(metrics), indent=2, sort_keys=True) + "\n"
    else:
        raise UsageError(f"metrics file {str(path)!r} has no known ending", fix="end it in .prom, .txt or .json")
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(partial).chmod(0o644)  # a collector runs as another user
        Path(partial).replace(path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise
