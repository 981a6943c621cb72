"""Everything that differs, on the emulator, from what is deployed to AWS. Templates and assets do not: what is deployed
here is what synthesis wrote, byte for byte. Each difference says what, why, and how it is kept from hiding a fault.

1. Layers. Functions declare AWS's newest Python and their layer is compiled for it; functions run here in this
   interpreter, which cannot import that. A layer with modules compiled for another Python is replaced by a folder given
   to `Emulator(layer_for_this_interpreter=...)`. The folder must have every package that the layer has; layers without
   compiled modules, and the functions' own code, run as deployed.
2. TLS. The emulator is plain HTTP on the loopback interface, and our policies deny what is not TLS. Requests count as
   made over TLS (`aws:SecureTransport` is true).
3. Modules of jobs. Wheels for another Python or machine that a job asks for (`--additional-python-modules`) cannot be
   imported here: this interpreter's own package of that name stands in, and where there is none the run fails. Wheels
   for any Python, and zip files, are used as deployed, before this interpreter's packages.
4. Spark. A job gets a local Spark of two threads of this environment, whatever workers it asks for, in place of Glue's
   own; its `--conf` arguments are honoured.
"""

from __future__ import annotations

import hashlib
import io
import re
import sys
import zipfile
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from emulator.options import Options

# In the folder of a layer: the folder that stands in for it.
STAND_IN = ".stand-in"
# Wheels of Python 3 for any machine: the others are for one that may not be this.
PURE_WHEEL = re.compile(r"-(py3|py2\.py3)-none-any\.whl$")
SPARK = {
    "spark.master": "local[2]",
    "spark.ui.enabled": "false",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.sql.shuffle.partitions": "2",
}
_COMPILED_FOR = re.compile(r"\.cpython-(\d+)[\w-]*\.so$")


def install(options: Options) -> None:
    _treat_requests_as_tls()
    _replace_layers(options.layer)


def stand_in_package(name: str) -> str:
    """Version of this interpreter's package of that name, used in place of a job's own. RuntimeError: there is none."""
    try:
        return version(name)
    except PackageNotFoundError:
        raise RuntimeError(f"the job asks for {name}, which this interpreter neither can import nor has") from None


def _treat_requests_as_tls() -> None:
    from ministack import app

    pin = app.pin_request_origin
    app.pin_request_origin = lambda source_ip, secure: pin(source_ip, True)


def _replace_layers(folder: str) -> None:
    """A layer compiled for another interpreter cannot be imported here: the folder given takes its place."""
    from ministack.services import lambda_svc

    fetch = lambda_svc._resolve_layer_zip

    def resolve(attachment: Any) -> bytes | None:
        content = fetch(attachment)
        return content if content is None else _for_this_interpreter(content, folder)

    lambda_svc._resolve_layer_zip = resolve


@lru_cache(maxsize=8)
def _for_this_interpreter(content: bytes, folder: str) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = archive.namelist()
    wanted = {match[1] for name in names if (match := _COMPILED_FOR.search(name))}
    here = f"{sys.version_info.major}{sys.version_info.minor}"
    if not wanted or wanted == {here}:
        return content
    digest = hashlib.sha256(content).hexdigest()
    if not folder:
        raise RuntimeError(
            f"layer {digest[:12]} holds modules of Python {', '.join(sorted(wanted))}, and functions run in {here} "
            "here: give Emulator(layer_for_this_interpreter=...) the same layer, built for this interpreter"
        )
    missing = _packages(names) - _packages([str(path.relative_to(folder)) for path in Path(folder).glob("python/*/*")])
    if missing:
        raise RuntimeError(f"layer {digest[:12]} has packages that {folder} lacks: {', '.join(sorted(missing))}")
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr(STAND_IN, folder)
    return made.getvalue()


def _packages(names: list[str]) -> set[str]:
    """Folders in `python/` that hold modules."""
    parts = [name.split("/") for name in names if name.startswith("python/") and name.count("/") >= 2]
    return {part[1] for part in parts if "." not in part[1] and part[1] not in ("bin", "lib", "share", "__pycache__")}
