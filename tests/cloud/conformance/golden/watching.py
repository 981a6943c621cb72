"""Dashboard and alarms, by names alone: this stack refers to nothing of the other."""

from __future__ import annotations

from typing import Any

from .parts import Json, Kind, body, here, made, name, text

Line = list[Any]
ELAPSED = "glue.driver.aggregate.elapsedTime"
MARKET = "IF(DAY(m) < 6 AND HOUR(m) >= 14 AND HOUR(m) < 20, m)"


def watching(kind: Kind) -> Json:
    found: Json = {}
    for number, (metric, comparison, expression) in enumerate(_alarms(kind)):
        found[f"Alarm{number}"] = _alarm(kind, number, metric, comparison, expression)
    widgets = [_widget([line]) for line in _lines(kind)]
    properties = {"DashboardName": name(kind, "overview"), "DashboardBody": body(widgets)}
    found["Board"] = made("AWS::CloudWatch::Dashboard", properties)
    found["Failed"] = _failed_runs(kind)
    return found


def _widget(lines: list[Line]) -> Json:
    return {"type": "metric", "properties": {"title": str(lines[0][1]), "metrics": lines, "region": "${AWS::Region}"}}


def _ours(kind: Kind, metric: str) -> Line:
    dimensions = ["Environment", kind.label, "Pipeline", kind.service, "Dataset", "trades"]
    return ["Tapehouse", metric, *dimensions]


def functions(kind: Kind) -> list[str]:
    streamed = ["stream-validator", "scaler"] if kind.streamed else []
    return [text(kind, one) for one in ["object-validator", "redrive", "deployment", *streamed]]


def _fed(kind: Kind) -> list[Line]:
    """Metrics of streams, where there are any."""
    stream, consumer = text(kind, "stream-trades"), text(kind, "reader")
    behind = ["AWS/Kinesis", "SubscribeToShardEvent.MillisBehindLatest", "StreamName", stream, "ConsumerName", consumer]
    age = ["AWS/Lambda", "IteratorAge", "FunctionName", text(kind, "stream-validator")]
    return [behind, age] if kind.streamed else []


def _shared(kind: Kind) -> list[Line]:
    """Metrics that are both drawn and watched."""
    return [
        *_fed(kind),
        *(["AWS/Lambda", "Throttles", "FunctionName", one] for one in functions(kind)),
        ["Glue", ELAPSED, "JobName", text(kind, "job"), "JobRunId", "ALL", "Type", "count"],
        _ours(kind, "RowsRejected"),
        ["AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", text(kind, "objects")],
        ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", text(kind, "objects-dlq")],
        ["AWS/DynamoDB", "ThrottledRequests", "TableName", text(kind, "lineage")],
        ["AWS/Events", "MatchedEvents", "RuleName", text(kind, "failed")],
    ]


def _lines(kind: Kind) -> list[Line]:
    job = text(kind, "job")
    glue = [
        "glue.driver.aggregate.numFailedTasks",
        "glue.driver.ExecutorAllocationManager.executors.numberAllExecutors",
    ]
    ours = ["RowsIn", "RowsValid", "Completeness", "FreshnessSeconds", "LatencySeconds", "BytesIn", "RowsCurated"]
    return [
        *_shared(kind),
        *(["Glue", one, "JobName", job, "JobRunId", "ALL", "Type", "gauge"] for one in glue),
        *(_ours(kind, one) for one in ours),
        *(["AWS/Lambda", "Errors", "FunctionName", one] for one in functions(kind)),
    ]


def _alarms(kind: Kind) -> list[tuple[Line, str, str]]:
    above = "GreaterThanThreshold"
    volume = _ours(kind, "RowsIn")
    return [
        *((line, above, "") for line in _shared(kind)),
        (volume, above, ""),
        (volume, "LessThanThreshold", MARKET),
    ]


def _alarm(kind: Kind, number: int, line: Line, comparison: str, expression: str) -> Json:
    metric = {
        "Namespace": line[0],
        "MetricName": line[1],
        "Dimensions": [
            {"Name": key, "Value": {"Fn::Sub": value}} for key, value in zip(line[2::2], line[3::2], strict=True)
        ],
    }
    properties: Json = {
        "AlarmName": name(kind, f"alarm{number}"),
        "ComparisonOperator": comparison,
        "Threshold": 1,
        "EvaluationPeriods": 1,
        "AlarmActions": [here("sns", text(kind, "alerts"))],
    }
    if expression:
        stat = {"Metric": metric, "Period": 300, "Stat": "Sum"}
        properties["Metrics"] = [
            {"Id": "m", "MetricStat": stat, "ReturnData": False},
            {"Id": "e", "Expression": expression, "ReturnData": True},
        ]
    else:
        properties |= {**metric, "Statistic": "Maximum", "Period": 300}
    return made("AWS::CloudWatch::Alarm", properties)


def _failed_runs(kind: Kind) -> Json:
    pattern = {
        "source": ["aws.glue"],
        "detail-type": ["Glue Job State Change"],
        "detail": {"jobName": [name(kind, "job")], "state": ["FAILED", "TIMEOUT", "ERROR"]},
    }
    dead = here("sqs", text(kind, "objects-dlq"))
    target = {"Id": "alerts", "Arn": here("sns", text(kind, "alerts")), "DeadLetterConfig": {"Arn": dead}}
    properties = {"Name": name(kind, "failed"), "EventPattern": pattern, "Targets": [target]}
    return made("AWS::Events::Rule", properties)
