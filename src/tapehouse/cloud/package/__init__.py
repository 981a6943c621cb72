"""What AWS is given to run: folders of files, each the same for the same inputs, built once and kept.

    made = lambda_package(lambda_target("3.14"), contracts, references)
    made.layer, made.code, made.bytes_unzipped, made.report
    glue_release(glue_target("3.13"), contracts, references)

`layer` holds python/ with the dependencies that judging needs, at the versions of uv.lock; `code` Tapehouse itself, its
compiled loops, the contracts and their reference files; the Glue release a job script, wheels, contracts and reference
files. A folder is named by a digest of what it is made from and kept under `TAPEHOUSE_CACHE` (default
`$XDG_CACHE_HOME/tapehouse`): only what changed is built again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapehouse.cloud.package.functions import UNZIPPED_BYTES_MAX, LambdaPackage, lambda_package
from tapehouse.cloud.package.release import glue_release
from tapehouse.cloud.package.target import Target, glue_target, lambda_target, running_target

if TYPE_CHECKING:
    from tapehouse.cloud.blueprint import Packages
    from tapehouse.cloud.settings import Settings

__all__ = [
    "UNZIPPED_BYTES_MAX",
    "LambdaPackage",
    "Target",
    "glue_release",
    "glue_target",
    "lambda_package",
    "lambda_target",
    "packages_for",
    "running_target",
]


def packages_for(settings: Settings) -> Packages:
    """The packages of a deployment, for the newest runtimes that the settings allow."""
    from tapehouse.cloud.blueprint import Packages
    from tapehouse.cloud.releases.catalogue import chosen

    function = chosen(settings, "lambda-python")
    job = chosen(settings, "glue")
    made = lambda_package(lambda_target(function.python), settings.contracts, settings.references)
    release = glue_release(glue_target(job.python), settings.contracts, settings.references)
    return Packages(made.layer, made.code, release)
