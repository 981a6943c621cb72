"""Every call that a role made is one that its policies allow, by another reader of them than the emulator; and without
any one statement, some call would not be. Runs when the other tests have made the calls.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tapehouse.cloud.policy import Account, Place
from tapehouse.cloud.policy.replay import Call, denied, idle

from .operator import Deployed

# Statements for what the emulator does not do in a role's name, though AWS does: tracing, interfaces, log groups
# of functions; what Glue does with a job's role before and beside its script.
NOT_EMULATED = frozenset(
    {"Log", "Trace", "Interfaces", "DeadLetters"}
    | {"Temporary", "List", "SparkUi", "Connections", "JobSecurity", "JobMetrics"}
    | {"SeeNetwork", "MakeInterfaces", "TagInterfaces", "RemoveInterfaces"}
)
# Uses of one key, by the service, the queue or stream and the code: each allows some of what another does.
OF_ONE_KEY = frozenset({"Environment", "DataKey", "QueueKey", "StreamKey", "Key"})
# What happens on rare occasions: a deleted object, an alert, a run of more than ten objects.
RARE = frozenset({"RawBucket", "AlertTopic", "Alert", "ManifestObjects"})
# What redrives do with objects is seen in the other blueprint; a redrive that lands something new is not seen here.
ELSEWHERE = frozenset({("RedriveRole", "ObjectQueue"), ("RedriveRole", "LineageTable")})
# What has no name of ours but one that AWS makes.
BY_NUMBER = ("AWS::KMS::Key", "AWS::Kinesis::StreamConsumer")
# Roles that the tests here do not put to work: streams are never refused records, nobody else's account is there.
NOT_AT_WORK = ("shard-scaling", "-flow-", "consumer")


def account_of(deployed: Deployed) -> Account:
    artifacts = json.loads((deployed.assembly / "manifest.json").read_text())["artifacts"]
    templates = {
        artifact["properties"].get("stackName", name): json.loads(
            Path(deployed.assembly, artifact["properties"]["templateFile"]).read_text()
        )
        for name, artifact in artifacts.items()
        if artifact["type"] == "aws:cloudformation:stack"
    }
    pages = deployed.aws.client("cloudformation").get_paginator("list_stack_resources")
    physical = {
        one["LogicalResourceId"]: one["PhysicalResourceId"]
        for stack in templates
        for page in pages.paginate(StackName=stack)
        for one in page["StackResourceSummaries"]
        if one["ResourceType"] in BY_NUMBER
    }
    return Account.of(templates, Place(account=deployed.aws.account, region=deployed.aws.region, physical=physical))


def calls_of(deployed: Deployed, account: Account) -> list[Call]:
    """The distinct calls of the deployment's roles."""
    roles = {permit.arn.rpartition("/")[2] for permit in account.roles.values()}
    made = {
        (call.role, call.action, call.resource, json.dumps(call.context, sort_keys=True))
        for call in deployed.aws.calls()
        if call.role in roles
    }
    return [Call(role, action, resource, json.loads(context)) for role, action, resource, context in sorted(made)]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("lake", marks=pytest.mark.proves("B48", blueprint="serverless-lake")),
        pytest.param("stream", marks=pytest.mark.proves("B48", blueprint="market-stream")),
    ],
)
def test_permissions_suffice_and_none_is_idle(name: str, request: pytest.FixtureRequest):
    deployed: Deployed = request.getfixturevalue(name)
    account = account_of(deployed)
    calls = calls_of(deployed, account)
    working = {call.role for call in calls}
    names = {permit.arn.rpartition("/")[2] for permit in account.roles.values()}
    assert not {role for role in names - working if not any(part in role for part in NOT_AT_WORK)}
    refused = [
        f"{call.role}: {call.action} on {call.resource}: {decision}" for call, decision in denied(account, calls)
    ]
    assert not refused, "\n".join(refused)
    # Most of what the function of custom resources may is for the day that the stack goes.
    asked = working - {role for role in working if "deployment" in role}
    excused = NOT_EMULATED | OF_ONE_KEY | RARE
    spare = [
        f"{role}: {one.sid}"
        for role, one in idle(account, calls, asked)
        if one.sid not in excused and (role[:-8], one.sid) not in ELSEWHERE
    ]
    assert not spare, "\n".join(spare)
