"""Every call that a role of ours made is one that its policies allow, by another reader of them than the emulator."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tapehouse.cloud.policy import Account, Place

from .operator import Deployed

# Made by the emulator itself in the name of a role, where AWS asks for nothing.
BLUEPRINTS = ("lake", "stream")


def account_of(deployed: Deployed) -> Account:
    artifacts = json.loads((deployed.assembly / "manifest.json").read_text())["artifacts"]
    templates = {
        artifact["properties"].get("stackName", name): json.loads(
            Path(deployed.assembly, artifact["properties"]["templateFile"]).read_text()
        )
        for name, artifact in artifacts.items()
        if artifact["type"] == "aws:cloudformation:stack"
    }
    return Account.of(templates, Place(account=deployed.aws.account, region=deployed.aws.region))


@pytest.mark.parametrize("name", BLUEPRINTS)
def test_recorded_calls_are_allowed(name: str, request: pytest.FixtureRequest):
    deployed: Deployed = request.getfixturevalue(name)
    account = account_of(deployed)
    roles = {permit.arn.rpartition("/")[2]: permit for permit in account.roles.values()}
    asked = {
        (call.role, call.action, call.resource, json.dumps(call.context, sort_keys=True))
        for call in deployed.aws.calls()
        if call.role in roles
    }
    assert {role for role, *_ in asked} >= {role for role in roles if "validator" in role or "job" in role}
    refused = [
        f"{role}: {action} on {resource} {context}"
        for role, action, resource, context in sorted(asked)
        if not account.allows(role, action, resource, json.loads(context)).allowed
    ]
    assert not refused, "\n".join(refused)
