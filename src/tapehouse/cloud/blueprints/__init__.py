"""Kinds of deployment: stacks composed of constructs, driven by the contracts.

The stacks of a blueprint know each other by names alone. None imports an output of another, so none can be kept from
changing by who uses it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapehouse.cloud.blueprint import Blueprint, Packages
from tapehouse.cloud.settings import Settings

if TYPE_CHECKING:
    from aws_cdk import App


def _market_stream(app: App, settings: Settings, packages: Packages) -> None:
    from tapehouse.cloud.blueprints.market_stream import build

    build(app, settings, packages)


def _serverless_lake(app: App, settings: Settings, packages: Packages) -> None:
    from tapehouse.cloud.blueprints.serverless_lake import build

    build(app, settings, packages)


# The CDK is imported when a blueprint is built: it takes a second, and starts Node.js.
BLUEPRINTS: dict[str, Blueprint] = {
    one.name: one
    for one in (
        Blueprint(
            "market-stream",
            "stream",
            "market data in Kinesis streams and files, validated by Lambda, run by Glue into Iceberg tables",
            True,
            _market_stream,
        ),
        Blueprint(
            "serverless-lake",
            "lake",
            "files in S3, validated by Lambda, run by Glue into Iceberg tables, queried by Athena",
            False,
            _serverless_lake,
        ),
    )
}
