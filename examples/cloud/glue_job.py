"""The job of a pipeline, with larger workers and more of them.

Run it: python examples/cloud/glue_job.py [folder for the templates]
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
from tapehouse.cloud.endpoint_services import SERVERLESS_LAKE
from tapehouse.cloud.settings import JobSettings, Settings

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
    # `job` is what an operator decides about it; names, roles, keys and network follow from the rest.
    settings = settings.model_copy(update={"job": JobSettings(worker_type="G.2X", workers_max=10)})
    stack = PipelineStack(
        app,
        "Example",
        props=PipelineProps(
            settings, Packages(HANDLERS, HANDLERS, HANDLERS), "example", "demo", "an example", False, SERVERLESS_LAKE
        ),
    )
    # A pipeline has a GlueJob already: `stack.job`.
    CfnOutput(stack, "Script", value=f"{stack.release}/glue_job.py")
    CfnOutput(stack, "Job", value=stack.job.job.ref)
    app.synth()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "cdk.out")
