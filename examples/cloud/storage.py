"""Five buckets: raw, curated, logs, scripts, results. Landed bytes are kept for ten years.

Run it: python examples/cloud/storage.py [folder for the templates]
"""

# ruff: noqa: E402 - the first import of the CDK starts Node.js, which is to be chosen before.
from __future__ import annotations

import sys
from pathlib import Path

from tapehouse.cloud.node import use_bundled_node

use_bundled_node()

from aws_cdk import App, Stack

from tapehouse.cloud.blueprint import synthesizer
from tapehouse.cloud.constructs.arns import bucket_arn
from tapehouse.cloud.constructs.denies import Denies, DeniesProps
from tapehouse.cloud.constructs.deployment import Deployment, DeploymentProps
from tapehouse.cloud.constructs.encryption import Encryption, EncryptionProps
from tapehouse.cloud.constructs.storage import DATA_PURPOSES, Storage, StorageProps
from tapehouse.cloud.lifecycle import Lifecycle
from tapehouse.cloud.naming import Naming
from tapehouse.cloud.releases.catalogue import chosen
from tapehouse.cloud.settings import Settings

HERE = Path(__file__).resolve().parent


def main(out: str) -> None:
    """Write the template to `out`."""
    settings = Settings.of(
        {
            "environment": "test",
            "suffix": "demo",
            "region": "eu-central-1",
            "owner": "tape-desk",
            "cost_centre": "4711",
            "contracts": [HERE.parent / "contracts" / "us-equity-trades.yaml"],
        }
    )
    naming, lifecycle = Naming.of(settings, "demo"), Lifecycle.of(settings)
    app = App(outdir=out, analytics_reporting=False)
    stack = Stack(app, "Example", stack_name=naming.stack(), synthesizer=synthesizer(naming))
    keys = Encryption(stack, "Encryption", props=EncryptionProps(naming, lifecycle, settings.consumers))
    objects = [bucket_arn(naming, purpose, "*") for purpose in DATA_PURPOSES]
    denies = Denies(stack, "Denies", props=DeniesProps(naming, [keys.data.key_arn, keys.logs.key_arn], objects))
    # A blueprint takes the folder from tapehouse.cloud.package; here any will do.
    code, runtime = HERE.parents[1] / "src" / "tapehouse" / "handlers", chosen(settings, "lambda-python").version
    deployment = Deployment(
        stack, "Deployment", props=DeploymentProps(naming, lifecycle, code, runtime, keys.data, keys.logs, denies)
    )
    Storage(stack, "Storage", props=StorageProps(naming, lifecycle, keys.data, deployment, raw_days=3650))
    app.synth()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "cdk.out")
