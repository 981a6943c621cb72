"""The examples of what runs in a pipeline are programs that work."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest

from ..deployments import CONTRACTS  # noqa: TID252 - shared with other folders

FOLDER = CONTRACTS.parent / "cloud"
# What each is about: a type of resource, and what one of them says.
SHOWN = {
    "functions": ("AWS::Lambda::Function", "Tells what was committed last"),
    "glue_job": ("AWS::Glue::Job", "G.2X"),
    "object_ingest": ("AWS::Lambda::EventSourceMapping", "ReportBatchItemFailures"),
    "queues": ("AWS::SQS::Queue", "byQueue"),
    "stream_ingest": ("AWS::Kinesis::StreamConsumer", "consolidated-trades"),
}


@pytest.mark.parametrize("name", SHOWN)
def test_an_example_synthesizes(name: str, tmp_path: Path) -> None:
    runpy.run_path(str(FOLDER / f"{name}.py"))["main"](str(tmp_path))
    (path,) = tmp_path.glob("*.template.json")
    kind, said = SHOWN[name]
    resources = json.loads(path.read_text("utf-8"))["Resources"].values()
    assert any(one["Type"] == kind and said in json.dumps(one) for one in resources)
