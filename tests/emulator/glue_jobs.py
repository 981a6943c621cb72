"""Jobs of Glue: `StartJobRun` runs the job's script from S3, with a local Spark, as a process of its own.

The states are STARTING, RUNNING and one of SUCCEEDED, FAILED, TIMEOUT, STOPPED, with `ErrorMessage`; a failed run is
tried again up to `MaxRetries`; more runs than `MaxConcurrentRuns` are refused. A run that ends is an event of source
`aws.glue`, has a metric `glue.driver.aggregate.elapsedTime` (ms), and its output in the job's log groups.
"""

from __future__ import annotations

import contextlib
import contextvars
import json
import signal
import subprocess
import threading
import time
import uuid
from typing import Any

from emulator.inside import client
from emulator.job_process import Job, environment, prepare
from emulator.options import Options

ACTIVE = ("STARTING", "RUNNING", "STOPPING", "WAITING")
ERROR_CHARACTERS_MAX = 2000
_SEVERITY = {"SUCCEEDED": "INFO", "STOPPED": "INFO", "TIMEOUT": "WARN", "FAILED": "ERROR"}
_PROCESSES: dict[str, subprocess.Popen[str]] = {}


def install(options: Options) -> None:
    from ministack.services import glue, stepfunctions

    lock = threading.Lock()
    stop = glue._batch_stop_job_run

    def start_job_run(data: dict[str, Any]) -> Any:
        from ministack.core.responses import error_response_json, json_response

        name = data.get("JobName")
        if name not in glue._jobs:
            return error_response_json(
                "EntityNotFoundException", f"Failed to start job run due to missing metadata: {name}", 400
            )
        definition = glue._jobs[name]
        most = int((definition.get("ExecutionProperty") or {}).get("MaxConcurrentRuns", 1))
        with lock:
            runs = glue._job_runs.setdefault(name, [])
            if sum(run["JobRunState"] in ACTIVE for run in runs) >= most:
                message = f"Concurrent runs exceeded for {name}"
                return error_response_json("ConcurrentRunsExceededException", message, 400)
            run = _new_run(definition, data.get("Arguments") or {})
            runs.insert(0, run)
        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(_execute, options, definition, run, runs), daemon=True)
        thread.start()
        return json_response({"JobRunId": run["Id"]})

    def batch_stop(data: dict[str, Any]) -> Any:
        answer = stop(data)
        for run_id in data.get("JobRunIds", []):
            if run_id in _PROCESSES:
                _PROCESSES[run_id].send_signal(signal.SIGTERM)
        return answer

    glue._start_job_run = start_job_run
    glue._batch_stop_job_run = batch_stop
    stepfunctions._SERVICE_DISPATCH["arn:aws:states:::glue:startJobRun"] = _from_state_machine


def _new_run(job: dict[str, Any], arguments: dict[str, Any], attempt: int = 0, previous: str = "") -> dict[str, Any]:
    now = time.time()
    first = previous or f"jr_{uuid.uuid4().hex}{uuid.uuid4().hex}"
    run = {
        "Id": f"{first.split('_attempt_')[0]}_attempt_{attempt}" if attempt else first,
        "Attempt": attempt,
        "JobName": job["Name"],
        "StartedOn": now,
        "LastModifiedOn": now,
        "JobRunState": "STARTING",
        "Arguments": arguments,
        "PredecessorRuns": [],
        "ExecutionTime": 0,
        "Timeout": job.get("Timeout") or 2880,
        "WorkerType": job.get("WorkerType", "G.1X"),
        "NumberOfWorkers": job.get("NumberOfWorkers", 2),
        "SecurityConfiguration": job.get("SecurityConfiguration", ""),
        "LogGroupName": "/aws-glue/jobs",
        "GlueVersion": job.get("GlueVersion", ""),
    }
    return run | ({"PreviousRunId": previous} if previous else {})


def _execute(options: Options, definition: dict[str, Any], run: dict[str, Any], runs: list[dict[str, Any]]) -> None:
    job = Job.of(definition, run, options)
    try:
        command = prepare(job)
        run["JobRunState"] = "RUNNING"
        state, message = _run(job, command, run)
    except Exception as error:
        state, message = "FAILED", f"{type(error).__name__}: {error}"
    if run["JobRunState"] == "STOPPED":
        state, message = "STOPPED", ""
    now = time.time()
    run.update(CompletedOn=now, LastModifiedOn=now, ExecutionTime=round(now - run["StartedOn"]))
    if message:
        run["ErrorMessage"] = message[-ERROR_CHARACTERS_MAX:]
    again = state == "FAILED" and run["Attempt"] < int(definition.get("MaxRetries") or 0)
    following = _new_run(definition, run["Arguments"], run["Attempt"] + 1, run["Id"]) if again else None
    if following is not None:
        runs.insert(0, following)
    try:
        _tell(job, run, state)
    finally:
        # Last: whoever sees the end sees all that belongs to it.
        run["JobRunState"] = state
    if following is not None:
        _execute(options, definition, following, runs)


def _run(job: Job, command: list[str], run: dict[str, Any]) -> tuple[str, str]:
    """State at the end, and the message of an error."""
    with (job.folder / "log.txt").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            command, cwd=job.folder, env=environment(job), stdout=log, stderr=subprocess.STDOUT, text=True
        )
        _PROCESSES[run["Id"]] = process
        try:
            code = process.wait(timeout=float(run["Timeout"]) * 60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return "TIMEOUT", f"Job {run['JobName']} run exceeded its timeout of {run['Timeout']} minutes"
        finally:
            del _PROCESSES[run["Id"]]
    return ("SUCCEEDED", "") if code == 0 else ("FAILED", _message(job.log(), code))


def _message(log: str, code: int) -> str:
    """Last line that is not a frame of a traceback, as Glue shows it."""
    lines = [line for line in log.splitlines() if line.strip() and not line.startswith((" ", "\t"))]
    return lines[-1] if lines else f"exit code {code}"


def _tell(job: Job, run: dict[str, Any], state: str) -> None:
    """Logs, metric and event of a run that ended."""
    from ministack.services import cloudwatch, eventbridge

    logs = client("logs")
    group = "/aws-glue/jobs/output" if state == "SUCCEEDED" else "/aws-glue/jobs/error"
    with contextlib.suppress(logs.exceptions.ResourceAlreadyExistsException):
        logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName=run["Id"])
    lines = [line for line in job.log().splitlines() if line.strip()][-1000:]
    if lines:
        events = [{"timestamp": int(time.time() * 1000), "message": line} for line in lines]
        logs.put_log_events(logGroupName=group, logStreamName=run["Id"], logEvents=events)
    dimensions = {"JobName": run["JobName"], "JobRunId": "ALL", "Type": "count"}
    elapsed = (run["CompletedOn"] - run["StartedOn"]) * 1000
    cloudwatch.record_metric("Glue", "glue.driver.aggregate.elapsedTime", elapsed, "Milliseconds", dimensions)
    detail = {
        "jobName": run["JobName"],
        "jobRunId": run["Id"],
        "severity": _SEVERITY[state],
        "state": state,
        "message": run.get("ErrorMessage", "Job run succeeded"),
    }
    entry = {"Source": "aws.glue", "DetailType": "Glue Job State Change", "Detail": json.dumps(detail)}
    eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)


def _from_state_machine(resource: str, data: dict[str, Any]) -> dict[str, Any]:
    """The optimized integration of Step Functions, `.sync` or not."""
    from ministack.services import stepfunctions

    glue = client("glue")
    try:
        run_id = glue.start_job_run(JobName=data["JobName"], Arguments=data.get("Arguments", {}))["JobRunId"]
    except glue.exceptions.ConcurrentRunsExceededException as error:
        raise stepfunctions._ExecutionError("Glue.ConcurrentRunsExceededException", str(error)) from error
    if not resource.endswith(".sync"):
        return {"JobRunId": run_id}
    while (run := glue.get_job_run(JobName=data["JobName"], RunId=run_id)["JobRun"])["JobRunState"] in ACTIVE:
        time.sleep(0.2)
    told: dict[str, Any] = json.loads(json.dumps(run, default=str))
    if run["JobRunState"] != "SUCCEEDED":
        raise stepfunctions._ExecutionError("States.TaskFailed", json.dumps(told))
    return told
