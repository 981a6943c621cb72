"""The release that Glue's job reads: its script, wheels, contracts and reference files.

glue_job.py    wheelhouse/*.whl    contracts/<dataset>.yaml    references/<dataset>/<table>.csv
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import tapehouse
from tapehouse.cloud.package import cache
from tapehouse.cloud.package.inputs import inputs
from tapehouse.cloud.package.target import Target
from tapehouse.cloud.package.wheels import wheelhouse

EXTRAS = ("spark", "aws")


def glue_release(target: Target, contracts: Sequence[Path], references: Mapping[str, Path]) -> Path:
    """The folder, from the cache where nothing changed; raises what `lambda_package` does."""
    given = inputs(contracts, references)
    wheels = wheelhouse(target, EXTRAS)
    script = Path(tapehouse.__file__).with_name("handlers") / "glue_job.py"
    places = [[place, cache.digest_of(path)] for place, path in given.files.items()]

    def build(folder: Path) -> None:
        shutil.copyfile(script, folder / "glue_job.py")
        given.write(folder)
        (folder / "wheelhouse").mkdir()
        for path in sorted(wheels.glob("*.whl")):
            _link(path, folder / "wheelhouse" / path.name)

    return cache.kept(f"glue-{target.label}-{cache.digest_of(wheels.name, script, *places)}", build)


def _link(path: Path, target: Path) -> None:
    """180 MB of wheels are not copied for each change of a contract."""
    try:
        target.hardlink_to(path)
    except OSError:
        shutil.copyfile(path, target)
