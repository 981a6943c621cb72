"""What a function sees, what its errors are called, what becomes of its logs, what its role may do."""

from __future__ import annotations

import datetime as dt
import io
import json
import zipfile
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emulator import Emulator
from emulator.support import Stacks, allow, arn, eventually, function, ref, role

CODE = """
import json, os, boto3
class Broken(Exception):
    pass
def handler(event, context):
    what = event["what"]
    if what == "raise":
        raise Broken("no such symbol")
    if what == "import":
        return __import__(event["name"]).__name__
    if what == "read":
        return boto3.client("s3").get_object(Bucket=event["bucket"], Key="k")["Body"].read().decode()
    if what == "metric":
        print(json.dumps({"_aws": {"Timestamp": 1, "CloudWatchMetrics": [{"Namespace": "Ours",
            "Dimensions": [["Dataset"]], "Metrics": [{"Name": "RowsIn", "Unit": "Count"}]}]},
            "Dataset": "trades", "RowsIn": 41}))
    if what == "layer":
        import quotes
        return quotes.ORIGIN
"""


def invoke(emulator: Emulator, function_name: str, **event: Any) -> Any:
    answer = emulator.client("lambda").invoke(FunctionName=function_name, Payload=json.dumps(event))
    return json.loads(answer["Payload"].read())


@pytest.fixture
def name(stacks: Stacks) -> str:
    resources = {"Role": role("lambda"), "Function": function(CODE)}
    return stacks.deploy("functions", resources, {"Name": ref("Function")})["Name"]


def test_an_error_is_called_as_its_class(emulator: Emulator, name: str) -> None:
    answer = invoke(emulator, name, what="raise")
    assert (answer["errorType"], answer["errorMessage"]) == ("Broken", "no such symbol")


def test_a_function_sees_what_aws_gives_it_and_no_package_of_ours(emulator: Emulator, name: str) -> None:
    assert invoke(emulator, name, what="import", name="boto3") == "boto3"
    for absent in ("tapehouse", "polars", "pyarrow"):
        assert invoke(emulator, name, what="import", name=absent)["errorType"] == "ModuleNotFoundError"


def test_a_role_without_permission_is_refused_and_the_call_recorded(emulator: Emulator, name: str) -> None:
    s3 = emulator.client("s3")
    s3.create_bucket(Bucket="closed-to-functions", CreateBucketConfiguration={"LocationConstraint": emulator.region})
    s3.put_object(Bucket="closed-to-functions", Key="k", Body=b"secret")
    answer = invoke(emulator, name, what="read", bucket="closed-to-functions")
    assert "AccessDenied" in answer["errorMessage"]
    call = [call for call in emulator.calls(service="s3") if call.resource == "arn:aws:s3:::closed-to-functions/k"][-1]
    assert (call.action, call.allowed, call.role.startswith("functions-Role")) == ("s3:GetObject", False, True)
    s3.delete_object(Bucket="closed-to-functions", Key="k")
    s3.delete_bucket(Bucket="closed-to-functions")


def test_a_policy_that_wants_tls_lets_the_function_read(emulator: Emulator, stacks: Stacks) -> None:
    tls = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": {"Fn::Sub": "arn:aws:s3:::${Bucket}/*"},
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    document = {"Version": "2012-10-17", "Statement": [tls]}
    resources = {
        "Bucket": {"Type": "AWS::S3::Bucket"},
        "Policy": {
            "Type": "AWS::S3::BucketPolicy",
            "Properties": {"Bucket": ref("Bucket"), "PolicyDocument": document},
        },
        "Role": role("lambda", allow("s3:GetObject", resource={"Fn::Sub": "arn:aws:s3:::${Bucket}/*"})),
        "Function": function(CODE),
    }
    out = stacks.deploy("tls-only", resources, {"Bucket": ref("Bucket"), "Name": ref("Function")})
    emulator.client("s3").put_object(Bucket=out["Bucket"], Key="k", Body=b"open")
    assert invoke(emulator, out["Name"], what="read", bucket=out["Bucket"]) == "open"
    emulator.client("s3").delete_object(Bucket=out["Bucket"], Key="k")


def test_an_embedded_metric_in_the_log_is_a_metric(emulator: Emulator, name: str) -> None:
    assert invoke(emulator, name, what="metric") is None
    now = dt.datetime.now(dt.UTC)

    def points() -> Any:
        return emulator.client("cloudwatch").get_metric_statistics(
            Namespace="Ours",
            MetricName="RowsIn",
            Dimensions=[{"Name": "Dataset", "Value": "trades"}],
            StartTime=now - dt.timedelta(hours=1),
            EndTime=now + dt.timedelta(hours=1),
            Period=3600,
            Statistics=["Sum"],
        )["Datapoints"]

    assert eventually(points)[0]["Sum"] == 41
    events = emulator.client("logs").filter_log_events(logGroupName=f"/aws/lambda/{name}")["events"]
    assert any('"RowsIn": 41' in event["message"] for event in events)


def layer_zip(compiled_for: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("python/quotes/__init__.py", "ORIGIN = 'layer'\n")
        archive.writestr(f"python/quotes/fast.cpython-{compiled_for}-x86_64-linux-gnu.so", b"")
    return made.getvalue()


@pytest.mark.parametrize(("compiled_for", "origin"), [("314", "stand-in"), ("311", "layer")])
def test_a_layer_for_another_python_is_replaced(
    emulator: Emulator, stacks: Stacks, compiled_for: str, origin: str
) -> None:
    s3 = emulator.client("s3")
    s3.create_bucket(Bucket="layers", CreateBucketConfiguration={"LocationConstraint": emulator.region})
    s3.put_object(Bucket="layers", Key="layer.zip", Body=layer_zip(compiled_for))
    layer = {"Content": {"S3Bucket": "layers", "S3Key": "layer.zip"}, "CompatibleRuntimes": ["python3.14"]}
    resources = {
        "Layer": {"Type": "AWS::Lambda::LayerVersion", "Properties": layer},
        "Role": role("lambda"),
        "Function": function(CODE, Layers=[ref("Layer")], ReservedConcurrentExecutions=3),
    }
    name = stacks.deploy(f"layered-{compiled_for}", resources, {"Name": ref("Function")})["Name"]
    assert invoke(emulator, name, what="layer") == origin
    concurrency = emulator.client("lambda").get_function_concurrency(FunctionName=name)
    assert concurrency["ReservedConcurrentExecutions"] == 3
    s3.delete_object(Bucket="layers", Key="layer.zip")
    s3.delete_bucket(Bucket="layers")


def test_a_custom_resource_answers_at_its_url(emulator: Emulator, stacks: Stacks) -> None:
    code = """
import json, urllib.request
def handler(event, context):
    reason = event["ResourceProperties"].get("Fail", "")
    body = {"Status": "FAILED" if reason and event["RequestType"] == "Create" else "SUCCESS", "Reason": reason,
            "PhysicalResourceId": event.get("PhysicalResourceId", "ours"), "StackId": event["StackId"],
            "RequestId": event["RequestId"], "LogicalResourceId": event["LogicalResourceId"],
            "Data": {"Kind": event["RequestType"], "Value": event["ResourceProperties"]["Value"]}}
    request = urllib.request.Request(event["ResponseURL"], data=json.dumps(body).encode(), method="PUT",
                                     headers={"content-type": ""})
    urllib.request.urlopen(request)
"""
    base = {"Role": role("lambda"), "Function": function(code)}
    custom = {"ServiceToken": arn("Function"), "Value": "1"}
    outputs = {"Kind": arn("Own", "Kind"), "Value": arn("Own", "Value")}
    made = stacks.deploy("custom", base | {"Own": {"Type": "Custom::Own", "Properties": custom}}, outputs)
    assert made == {"Kind": "Create", "Value": "1"}
    changed = base | {"Own": {"Type": "Custom::Own", "Properties": custom | {"Value": "2"}}}
    assert stacks.deploy("custom", changed, outputs) == {"Kind": "Update", "Value": "2"}
    with pytest.raises(AssertionError, match="no bucket"):
        stacks.deploy(
            "custom-fails", base | {"Own": {"Type": "Custom::Own", "Properties": custom | {"Fail": "no bucket"}}}
        )


def test_a_put_under_a_condition_is_refused_when_the_object_is_there(emulator: Emulator) -> None:
    s3 = emulator.client("s3")
    s3.create_bucket(Bucket="conditional", CreateBucketConfiguration={"LocationConstraint": emulator.region})
    first = s3.put_object(Bucket="conditional", Key="k", Body=b"1", IfNoneMatch="*")
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.put_object(Bucket="conditional", Key="k", Body=b"2", IfNoneMatch="*")
    s3.put_object(Bucket="conditional", Key="k", Body=b"3", IfMatch=first["ETag"])
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.put_object(Bucket="conditional", Key="k", Body=b"4", IfMatch=first["ETag"])
    s3.delete_object(Bucket="conditional", Key="k")
    s3.delete_bucket(Bucket="conditional")
