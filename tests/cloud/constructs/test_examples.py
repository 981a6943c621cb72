"""The examples are programs that work, one for each construct."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from .whole import CONTRACTS

FOLDER = CONTRACTS.parent / "cloud"
# What each is about, as a type of resource in its template.
SHOWN = {
    "alerts": "AWS::SNS::Topic",
    "catalogue": "Custom::IcebergTable",
    "consumers": "AWS::IAM::Role",
    "denies": "AWS::IAM::ManagedPolicy",
    "deployment": "Custom::S3AutoDeleteObjects",
    "encryption": "AWS::KMS::Key",
    "lineage_table": "AWS::DynamoDB::Table",
    "network": "AWS::EC2::VPC",
    "storage": "AWS::S3::Bucket",
}


def kinds(out: Path) -> set[str]:
    template = json.loads((out / "Example.template.json").read_text("utf-8"))
    return {one["Type"] for one in template["Resources"].values()}


@pytest.mark.parametrize("name", SHOWN)
def test_an_example_synthesizes(name: str, tmp_path: Path) -> None:
    runpy.run_path(str(FOLDER / f"{name}.py"))["main"](str(tmp_path))
    assert SHOWN[name] in kinds(tmp_path)


def test_an_example_is_a_program(tmp_path: Path) -> None:
    """In a process of its own, that chooses its Node.js by itself."""
    subprocess.run([sys.executable, FOLDER / "alerts.py", tmp_path], check=True, timeout=120)
    assert SHOWN["alerts"] in kinds(tmp_path)
