"""Synthesis in tests uses the Node.js that deployments use, whichever module imports the CDK first."""

from __future__ import annotations

from tapehouse.cloud.node import use_bundled_node

use_bundled_node()
