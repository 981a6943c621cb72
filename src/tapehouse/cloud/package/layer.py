"""The dependencies of the functions: what judging imports, and of that only what runs.

Lambda takes 250 MB of layer and code together. pyarrow, pandas, pyiceberg and DuckDB alone are larger and are not
needed: the kernel speaks Arrow's C interface itself, and sessions of exchanges are prepared when the code is packed.
boto3 is the runtime's own.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from tapehouse.cloud.package import cache, locked
from tapehouse.cloud.package.elf import trim
from tapehouse.cloud.package.target import Target
from tapehouse.cloud.package.tools import call, uv

# By what imports them: the kernel, the contract loader, compressed feeds and DBN ones, zoneinfo.
NAMES = (
    "numpy",
    "polars",
    "polars-runtime-32",
    "jsonschema-rs",
    "open-data-contract-standard",
    "pyyaml",
    "typing-extensions",
    "databento-dbn",
    "zstandard",
    "tzdata",
)
# Never imported at run time. Licences and metadata stay.
_DROPPED = (
    r"(^|/)__pycache__/",
    r"(^|/)tests?/",
    r"^bin/",
    r"\.(pyi|pyx|pxd|c|h|hpp|a|cmake|pc)$",
    r"^[^/]+\.dist-info/(RECORD|INSTALLER|REQUESTED|direct_url\.json|uv_cache\.json)$",
    r"^numpy/(f2py|distutils|doc|_pyinstaller)/",
    r"^numpy/_core/(include|lib)/",
    r"^numpy/random/(_examples|lib)/",
    r"^zstandard/(_cffi|backend_cffi|backend_rust)\b",
    r"^\.lock$",
)
_UNUSED = re.compile("|".join(_DROPPED))


def layer(target: Target) -> Path:
    """A folder with python/, the same for the same lock and target."""
    wanted = locked.named(locked.requirements([]), NAMES)
    key = cache.digest_of(wanted, target.python, list(_DROPPED), _code())

    def build(folder: Path) -> None:
        (folder / "requirements.txt").write_text("\n".join(wanted) + "\n", encoding="utf-8")
        site = folder / "python"
        call(
            uv(), "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:", "--link-mode", "copy",
            "--target", site, "--python-version", target.python, "--python-platform", "x86_64-manylinux_2_28",
            "--requirement", folder / "requirements.txt",
        )  # fmt: skip
        (folder / "requirements.txt").unlink()
        slim(site)

    return cache.kept(f"layer-{target.label}-{key}", build)


def _code() -> str:
    return cache.digest_of(Path(__file__), Path(__file__).with_name("elf.py"))


def slim(site: Path) -> None:
    """Remove from an installation what its users never import, and from libraries what is never loaded."""
    for path in sorted(site.rglob("*")):
        if path.is_file() and _UNUSED.search(path.relative_to(site).as_posix()):
            path.unlink()
        elif path.is_file() and ".so" in path.name:
            trim(path)
    for path in sorted(site.rglob("*"), reverse=True):
        if path.is_dir() and not any(path.iterdir()):
            shutil.rmtree(path)
