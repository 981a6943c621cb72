"""Answers of CloudFormation that the emulator does not give: pages, pending and failed change sets, lost rollbacks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tapehouse.cloud.deploy import DeploymentError, StackTimeoutError, changes, deploying
from tapehouse.cloud.deploy.assembly import Assembly, StackArtifact
from tapehouse.cloud.deploy.changes import Change, PropertyChange
from tapehouse.cloud.deploy.target import Event, Target

from .assemblies import Writer, queue


class Scripted:
    """Gives prepared answers and refusals of CloudFormation, one after the other for each operation, and notes what was
    asked.
    """

    def __init__(self, **answers: list[Any]) -> None:
        self._answers = answers
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, operation: str) -> Any:
        def answer(**request: Any) -> dict[str, Any]:
            self.asked.append((operation, request))
            prepared = self._answers.get(operation, [{}])
            given = prepared.pop(0) if len(prepared) > 1 else prepared[0]
            if isinstance(given, ClientError):
                raise given
            return given

        return answer

    def operations(self) -> list[str]:
        return [operation for operation, _ in self.asked]


def target(client: Scripted) -> Target:
    return Target(None, "111111111111", "eu-west-1", "aws", "http://scripted", {"cloudformation": client})


@pytest.fixture
def stack(writer: Writer) -> StackArtifact:
    folder: Path = writer.stack("tape", {"Q": queue("q")})
    return Assembly.read(folder).stacks[0]


MADE = {"Id": "set", "StackId": "id"}


def state(status: str) -> dict[str, Any]:
    return {"Stacks": [{"StackName": "tape", "StackId": "id", "StackStatus": status}]}


def change(action: str, name: str, *details: dict[str, Any]) -> dict[str, Any]:
    body = {"Action": action, "LogicalResourceId": name, "ResourceType": "AWS::SQS::Queue", "Details": list(details)}
    return {"Type": "Resource", "ResourceChange": body}


def test_all_pages_of_a_pending_change_set_are_read(stack: StackArtifact) -> None:
    place = {
        "Path": "/Properties/Redrive/Arn",
        "Name": "Redrive",
        "Attribute": "Properties",
        "BeforeValue": "a",
        "AfterValue": "b",
        "RequiresRecreation": "Always",
    }
    pages = [
        {"Status": "CREATE_PENDING"},
        {"Status": "CREATE_COMPLETE", "Changes": [change("Modify", "A", {"Target": place})], "NextToken": "more"},
        {"Status": "CREATE_COMPLETE", "Changes": [change("Add", "B"), {"Type": "Hook"}]},
    ]
    client = Scripted(create_change_set=[MADE], describe_change_set=pages)
    found = changes.create_change_set(target(client), stack, None)
    property_change = PropertyChange("Properties.Redrive.Arn", "Always", "a", "b")
    assert found.changes == (
        Change("Modify", "A", "AWS::SQS::Queue", "", (property_change,)),
        Change("Add", "B", "AWS::SQS::Queue", ""),
    )
    assert client.asked[-1][1]["NextToken"] == "more"


def test_a_change_set_that_fails_is_told_and_leaves_nothing(stack: StackArtifact) -> None:
    failed = {"Status": "FAILED", "StatusReason": "Export tape-arn is already exists elsewhere"}
    client = Scripted(create_change_set=[MADE], describe_change_set=[failed], describe_stacks=[state(changes.REVIEW)])
    with pytest.raises(DeploymentError, match="the change set failed: Export") as caught:
        changes.create_change_set(target(client), stack, None)
    assert "choose another suffix" in caught.value.fix
    assert client.asked[-3:] == [
        ("delete_change_set", {"StackName": "id", "ChangeSetName": "set"}),
        ("describe_stacks", {"StackName": "id"}),
        ("delete_stack", {"StackName": "id"}),
    ]


def test_a_stack_that_others_have_filled_meanwhile_is_not_deleted(stack: StackArtifact) -> None:
    """Their change set was executed while ours failed."""
    failed = {"Status": "FAILED", "StatusReason": "no"}
    there = state("CREATE_IN_PROGRESS")
    client = Scripted(create_change_set=[MADE], describe_change_set=[failed], describe_stacks=[there])
    with pytest.raises(DeploymentError, match="the change set failed"):
        changes.create_change_set(target(client), stack, None)
    assert client.operations()[-2:] == ["delete_change_set", "describe_stacks"]


def test_a_change_set_that_does_not_come_is_given_up(stack: StackArtifact, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "CHANGE_SET_SECONDS_MAX", 0.0)
    pending = {"Status": "CREATE_IN_PROGRESS"}
    client = Scripted(create_change_set=[MADE], describe_change_set=[pending], describe_stacks=[state(changes.REVIEW)])
    with pytest.raises(StackTimeoutError, match="the change set is still CREATE_IN_PROGRESS after 0 s"):
        changes.create_change_set(target(client), stack, None)


@pytest.mark.parametrize("removal", ["taken", "refused"])
def test_a_change_set_that_may_not_be_read_is_removed_if_that_is_allowed(stack: StackArtifact, removal: str) -> None:
    refused = ClientError({"Error": {"Code": "ExpiredToken", "Message": "expired"}}, "DescribeChangeSet")
    client = Scripted(
        create_change_set=[MADE],
        describe_change_set=[refused],
        describe_stacks=[state(changes.REVIEW)],
        delete_change_set=[{} if removal == "taken" else ClientError(refused.response, "DeleteChangeSet")],
    )
    with pytest.raises(ClientError, match="calling the DescribeChangeSet operation"):
        changes.create_change_set(target(client), stack, None)
    assert ("delete_stack" in client.operations()) is (removal == "taken")


def test_an_update_that_could_not_be_rolled_back_is_left_alone(stack: StackArtifact) -> None:
    broken = {
        "StackName": "tape",
        "StackId": "id",
        "StackStatus": "UPDATE_ROLLBACK_FAILED",
        "StackStatusReason": "role was deleted",
    }
    client = Scripted(describe_stacks=[{"Stacks": [broken]}])
    events: list[Event] = []
    with pytest.raises(DeploymentError, match="could not be rolled back: role was deleted") as caught:
        deploying._deploy_stack(target(client), stack, events.append, 1.0)
    assert "continue-update-rollback" in caught.value.fix
    assert client.operations() == ["describe_stacks"]
