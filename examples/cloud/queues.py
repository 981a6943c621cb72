"""A queue for a function that takes half a minute, and where its failed messages go.

Run it: python examples/cloud/queues.py [folder for the templates]
"""

# ruff: noqa: E402 - the first import of the CDK starts Node.js, which is to be chosen before.
from __future__ import annotations

import sys
from pathlib import Path

from tapehouse.cloud.node import use_bundled_node

use_bundled_node()

from aws_cdk import App, Stack

from tapehouse.cloud.blueprint import synthesizer
from tapehouse.cloud.constructs.encryption import Encryption, EncryptionProps
from tapehouse.cloud.constructs.queues import WorkQueue, WorkQueueProps
from tapehouse.cloud.lifecycle import Lifecycle
from tapehouse.cloud.naming import Naming
from tapehouse.cloud.settings import Settings

HERE = Path(__file__).resolve().parent
CONTRACTS = HERE.parent / "contracts"


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
    naming, lifecycle = Naming.of(settings, "demo"), Lifecycle.of(settings)
    stack = Stack(app, "Example", stack_name=naming.stack(), synthesizer=synthesizer(naming))
    keys = Encryption(stack, "Encryption", props=EncryptionProps(naming, lifecycle, settings.consumers))
    WorkQueue(
        stack, "Orders", props=WorkQueueProps(naming, lifecycle, "orders", keys.data, consumer_timeout_seconds=30)
    )
    app.synth()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "cdk.out")
