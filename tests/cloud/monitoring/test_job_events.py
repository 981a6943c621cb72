"""Events of runs that fail or take too long, on their way to people."""

from __future__ import annotations

import pytest

from tapehouse.cloud.conformance.stacks import Resource, Stacks
from tapehouse.cloud.monitoring.job_events import FAILED, FAILED_STATES, LATE

# What Glue says of a run that has ended in another way than well.
ENDED_BADLY = {"ERROR", "FAILED", "STOPPED", "TIMEOUT"}


def rule(stacks: Stacks, purpose: str) -> Resource:
    (found,) = (one for one in stacks.of("AWS::Events::Rule") if f"-{purpose}-" in one.get("Name"))
    return found


@pytest.mark.parametrize("blueprint", ["market-stream", "serverless-lake"])
def test_every_bad_end_of_our_job_reaches_the_topic(deployed, blueprint: str) -> None:
    stacks: Stacks = deployed[blueprint, "prod"]
    pattern = rule(stacks, FAILED).get("EventPattern")
    assert set(pattern["detail"]["state"]) == set(FAILED_STATES) == ENDED_BADLY
    (job,) = stacks.of("AWS::Glue::Job")
    assert pattern["detail"]["jobName"] == [job.get("Name")]
    (topic,) = stacks.of("AWS::SNS::Topic")
    for purpose in (FAILED, LATE):
        (target,) = rule(stacks, purpose).get("Targets")
        assert target["Arn"] == topic.arn
        assert target["DeadLetterConfig"]["Arn"]
