"""What starts the job when files land, and an operator's way to try those again that failed.

Run it: python examples/cloud/object_ingest.py [folder for the templates]
"""

# ruff: noqa: E402 - the first import of the CDK starts Node.js, which is to be chosen before.
from __future__ import annotations

import sys
from pathlib import Path

from tapehouse.cloud.node import use_bundled_node

use_bundled_node()

from aws_cdk import App, CfnOutput

from tapehouse.cloud.blueprint import Packages
from tapehouse.cloud.blueprints.pipeline import PipelineProps, PipelineStack
from tapehouse.cloud.constructs.object_ingest import Redrive, RedriveProps
from tapehouse.cloud.endpoint_services import SERVERLESS_LAKE
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
            "contracts": [CONTRACTS / "us-equity-trades.yaml"],
        }
    )
    app = App(outdir=out, analytics_reporting=False)
    stack = PipelineStack(
        app,
        "Example",
        props=PipelineProps(
            settings, Packages(HANDLERS, HANDLERS, HANDLERS), "example", "demo", "an example", False, SERVERLESS_LAKE
        ),
    )
    # A pipeline has an ObjectIngest already: `stack.objects`.
    queue, dead = stack.objects.queue.queue, stack.objects.queue.dead_letters
    redrive = Redrive(
        stack,
        "Redrive",
        platform=stack.platform,
        props=RedriveProps(
            {**stack.environment(), "TAPEHOUSE_QUEUE_URL": queue.queue_url, "TAPEHOUSE_DLQ_URL": dead.queue_url},
            stack.access.handler("redrive", object_queue=[queue.queue_arn], object_dead_letters=[dead.queue_arn]),
        ),
    )
    CfnOutput(stack, "Redriving", value=redrive.function.function.function_name)
    app.synth()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "cdk.out")
