"""Streams for the datasets that can be streamed, validated by one function.

Run it: python examples/cloud/stream_ingest.py [folder for the templates]
"""

# ruff: noqa: E402 - the first import of the CDK starts Node.js, which is to be chosen before.
from __future__ import annotations

import sys
from pathlib import Path

from tapehouse.cloud.node import use_bundled_node

use_bundled_node()

from aws_cdk import App

from tapehouse.cloud.blueprint import Packages
from tapehouse.cloud.blueprints.pipeline import PipelineProps, PipelineStack
from tapehouse.cloud.constructs.stream_ingest import StreamIngest, StreamIngestProps
from tapehouse.cloud.endpoint_services import MARKET_STREAM
from tapehouse.cloud.settings import Settings

HERE = Path(__file__).resolve().parent
CONTRACTS = HERE.parent / "contracts"
# A blueprint takes the folders from tapehouse.cloud.package; here any will do.
HANDLERS = HERE.parents[1] / "src" / "tapehouse" / "handlers"


def main(out: str) -> None:
    """Write the template to `out`."""
    settings = Settings.of(
        {
            "environment": "test",
            "suffix": "demo",
            "region": "eu-central-1",
            "owner": "tape-desk",
            "cost_centre": "4711",
            "contracts": [CONTRACTS / "consolidated-trades.yaml"],
        }
    )
    app = App(outdir=out, analytics_reporting=False)
    stack = PipelineStack(
        app,
        "Example",
        props=PipelineProps(
            settings, Packages(HANDLERS, HANDLERS, HANDLERS), "example", "demo", "an example", True, MARKET_STREAM
        ),
    )
    StreamIngest(
        stack,
        "Streams",
        platform=stack.platform,
        props=StreamIngestProps(
            settings=stack.settings,
            naming=stack.naming,
            lifecycle=stack.lifecycle,
            plan=stack.plan,
            datasets=[one for one in stack.datasets if one.streamable],
            key=stack.encryption.data,
            environment=stack.environment(),
            statements=stack.access.handler("stream_validator"),
        ),
    )
    app.synth()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "cdk.out")
