"""A function of one's own in a pipeline: it may read one object, and that is all.

Run it: python examples/cloud/functions.py [folder for the templates]
"""

# ruff: noqa: E402 - the first import of the CDK starts Node.js, which is to be chosen before.
from __future__ import annotations

import sys
from pathlib import Path

from tapehouse.cloud.node import use_bundled_node

use_bundled_node()

from aws_cdk import App
from aws_cdk import aws_iam as iam

from tapehouse.cloud.blueprint import Packages
from tapehouse.cloud.blueprints.pipeline import PipelineProps, PipelineStack
from tapehouse.cloud.constructs.functions import PythonFunction, PythonFunctionProps
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
    latest = stack.storage.curated.arn_for_objects("lake/latest.json")
    PythonFunction(
        stack,
        "Latest",
        platform=stack.platform,
        props=PythonFunctionProps(
            purpose="latest",
            handler="handlers.latest.handler",
            description="Tells what was committed last",
            statements=[iam.PolicyStatement(sid="ReadLatest", actions=["s3:GetObject"], resources=[latest])],
            timeout_seconds=10,
            reserved=2,
        ),
    )
    app.synth()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "cdk.out")
