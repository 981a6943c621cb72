"""A VPC in three zones, with a NAT gateway in each and private ways to the services that a lake calls.

Run it: python examples/cloud/network.py [folder for the templates]
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
from tapehouse.cloud.constructs.network import Network, NetworkProps
from tapehouse.cloud.endpoint_services import SERVERLESS_LAKE
from tapehouse.cloud.lifecycle import Lifecycle
from tapehouse.cloud.naming import Naming
from tapehouse.cloud.settings import Settings

HERE = Path(__file__).resolve().parent


def main(out: str) -> None:
    """Write the template to `out`."""
    settings = Settings.of(
        {
            "environment": "prod",
            "suffix": "demo",
            "region": "eu-central-1",
            "owner": "tape-desk",
            "cost_centre": "4711",
            "contracts": [HERE.parent / "contracts" / "us-equity-trades.yaml"],
            "network": {"cidr": "10.77.0.0/20", "zones": 3},
        }
    )
    naming, lifecycle = Naming.of(settings, "demo"), Lifecycle.of(settings)
    app = App(outdir=out, analytics_reporting=False)
    stack = Stack(app, "Example", stack_name=naming.stack(), synthesizer=synthesizer(naming))
    keys = Encryption(stack, "Encryption", props=EncryptionProps(naming, lifecycle, settings.consumers))
    network = Network(
        stack, "Network", props=NetworkProps(settings.network, naming, lifecycle, keys.logs, SERVERLESS_LAKE)
    )
    network.security_group(stack, "Callers", "callers", "Whatever calls services from the private subnets")
    app.synth()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "cdk.out")
