"""Functions: what they may import, the class of their errors, the metrics in their logs."""

from __future__ import annotations

import json
import re
import sys
import sysconfig
import threading
from pathlib import Path
from typing import Any

from emulator.differences import STAND_IN
from emulator.options import Options

# What AWS puts beside a Python function without being asked.
RUNTIME_PACKAGES = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six")
_ERROR_CLASS = re.compile(r"^([A-Za-z_][\w.]*)(?::|$)")

# Before the worker's own script: no package of this interpreter is seen, and layers are replaced by their stand-ins.
_PRELUDE = """
import os as _os, sys as _sys
_sys.path[:] = [p for p in _sys.path if p in {standard!r}] + [{runtime!r}]
def _layer(folder):
    try:
        with open(_os.path.join(folder, {stand_in!r})) as file:
            return file.read()
    except FileNotFoundError:
        return folder
_layers = _os.environ.get("_LAMBDA_LAYERS_DIRS", "")
_os.environ["_LAMBDA_LAYERS_DIRS"] = _os.pathsep.join(map(_layer, filter(None, _layers.split(_os.pathsep))))
for _name in ("PYTHONPATH", "VIRTUAL_ENV"):
    _os.environ.pop(_name, None)
"""


def install(options: Options) -> None:
    _name_errors()
    if options.isolated:
        _isolate(Path(options.folder))
    _turn_logs_into_metrics()


def _isolate(folder: Path) -> None:
    """A function sees its own code, its layers, the standard library and what AWS provides, as it does there."""
    from ministack.core import lambda_runtime

    runtime = folder / "runtime"
    runtime.mkdir(exist_ok=True)
    for name in RUNTIME_PACKAGES:
        found = next(path for path in _site_packages() for path in (path / name, path / f"{name}.py") if path.exists())
        link = runtime / found.name
        if not link.exists():
            link.symlink_to(found)
    site = tuple(map(str, _site_packages()))
    base = (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"), sys.base_prefix)
    standard = [path for path in sys.path if path.startswith(base) and not path.startswith(site)]
    prelude = _PRELUDE.format(standard=standard, runtime=str(runtime), stand_in=STAND_IN)
    detect = lambda_runtime._detect_runtime_binary

    def detect_isolated(runtime: str) -> tuple[str, str]:
        binary, script = detect(runtime)
        return (binary, prelude + script) if runtime.startswith("python") else (binary, script)

    lambda_runtime._detect_runtime_binary = detect_isolated


def _site_packages() -> list[Path]:
    return [Path(path) for path in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}]


def _name_errors() -> None:
    """The class of an exception is its `errorType`: ministack calls each one Runtime.HandlerError."""
    from ministack.core import lambda_runtime
    from ministack.services import lambda_svc

    last = threading.local()
    invoke = lambda_runtime.Worker.invoke
    execute = lambda_svc._execute_function_warm

    def invoke_and_remember(self: Any, *args: Any, **named: Any) -> Any:
        result = invoke(self, *args, **named)
        last.trace = result.get("trace", "") if result.get("status") != "ok" else ""
        return result

    def execute_and_name(func: dict[str, Any], event: Any, request_id: str) -> dict[str, Any]:
        last.trace = ""
        result: dict[str, Any] = execute(func, event, request_id)
        body = result.get("body")
        if last.trace and isinstance(body, dict) and body.get("errorType") == "Runtime.HandlerError":
            lines = last.trace.strip().splitlines()
            classes = [match[1] for line in lines if (match := _ERROR_CLASS.match(line))]
            body["errorType"] = classes[-1].rsplit(".", 1)[-1] if classes else body["errorType"]
            body["stackTrace"] = lines
        return result

    lambda_runtime.Worker.invoke = invoke_and_remember
    lambda_svc._execute_function_warm = execute_and_name


def _turn_logs_into_metrics() -> None:
    """CloudWatch makes metrics of log lines in its embedded metric format; ministack only keeps the lines."""
    from ministack.services import lambda_svc

    emit = lambda_svc._emit_lambda_logs

    def emit_with_metrics(func: Any, request_id: str, log_text: str, *args: Any, **named: Any) -> None:
        emit(func, request_id, log_text, *args, **named)
        for line in (log_text or "").splitlines():
            if '"_aws"' in line:
                publish_embedded(line)

    lambda_svc._emit_lambda_logs = emit_with_metrics


def publish_embedded(line: str) -> int:
    """The metrics in a line of the embedded metric format, published; how many. Anything else is no metric."""
    from ministack.services import cloudwatch

    try:
        document = json.loads(line)
        directives = document["_aws"]["CloudWatchMetrics"]
    except (ValueError, KeyError, TypeError):
        return 0
    published = 0
    for directive in directives:
        for names in directive.get("Dimensions") or [[]]:
            dimensions = {name: str(document[name]) for name in names}
            for metric in directive["Metrics"]:
                value = document[metric["Name"]]
                for number in value if isinstance(value, list) else [value]:
                    unit = metric.get("Unit", "None")
                    cloudwatch.record_metric(directive["Namespace"], metric["Name"], number, unit, dimensions)
                    published += 1
    return published
