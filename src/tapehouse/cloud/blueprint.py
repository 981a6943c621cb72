"""What a kind of deployment is, what it is given to run, and how its stacks find that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tapehouse.cloud.settings import Settings

if TYPE_CHECKING:
    from aws_cdk import App, IStackSynthesizer

    from tapehouse.cloud.naming import Naming


@dataclass(frozen=True, slots=True)
class Packages:
    """Folders that become assets: the functions' dependencies (`layer`, holding python/), their `code`, and the
    `release` that jobs read (job script, wheels, contracts, reference files).
    """

    layer: Path
    code: Path
    release: Path


@dataclass(frozen=True, slots=True)
class Blueprint:
    """A kind of deployment. `service` stands in names; `build` adds its stacks to an app; `streamed` says whether data
    arrive in streams.
    """

    name: str
    service: str
    summary: str
    streamed: bool
    build: Callable[[App, Settings, Packages], None]


def synthesizer(naming: Naming) -> IStackSynthesizer:
    """How stacks find their assets: in a bucket of this deployment, made by it, with the caller's own permissions, so
    that the account needs no preparation.
    """
    from aws_cdk import CliCredentialsStackSynthesizer

    bucket = naming.assets_text()
    return CliCredentialsStackSynthesizer(
        file_assets_bucket_name=bucket, bucket_prefix="assets/", qualifier="tapehouse"
    )
