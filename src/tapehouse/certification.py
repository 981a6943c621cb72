"""Proving that Spark makes the same lake, and reading such a proof."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tapehouse.arguments import check_engine, load_contract, open_engine, reference_paths, require
from tapehouse.errors import UsageError

if TYPE_CHECKING:
    from tapehouse.arguments import ContractLike, ReferencesLike
    from tapehouse.certificate.certify import Certification
    from tapehouse.runs.context import Progress


def certify(
    contract: ContractLike,
    inputs: str | Path | Iterable[str | Path],
    *,
    references: ReferencesLike = None,
    out: str | Path,
    key: str | Path,
    keep: str | Path | None = None,
    master: str | None = None,
    progress: Progress | None = None,
) -> Certification:
    """Run inputs embedded and on Spark into two lakes, compare every row, and write the signed certificate `out`.

    The lakes are kept in folder `keep`, which must be absent or empty, and removed otherwise. `key` is a file with an
    Ed25519 private key (PEM), made where there is none. A difference is no failure but a result.
    """
    check_engine("spark", master)
    require("cryptography")
    from tapehouse.certificate.certify import certify as certify_
    from tapehouse.certificate.signature import sign, signing_key
    from tapehouse.runs.inputs import expand

    terms = load_contract(contract)
    tables = reference_paths(terms, references)
    paths = expand([inputs] if isinstance(inputs, str | Path) else inputs)
    signer, target = signing_key(Path(key).expanduser()), Path(out)
    _check_writable(target)  # or hours of work would end in nothing
    with ExitStack() as stack:
        folder = _kept(keep) if keep is not None else Path(stack.enter_context(tempfile.TemporaryDirectory()))
        engine = stack.enter_context(open_engine("spark", master))
        found = certify_(terms, paths, engine, folder, references=tables, progress=progress)
    text = json.dumps(sign(found.document(), signer), indent=2, ensure_ascii=False)
    target.write_text(text + "\n", encoding="utf-8")
    return found


def _check_writable(path: Path) -> None:
    try:
        with path.open("a", encoding="utf-8"):
            pass
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}", fix="name another --out") from error


def _kept(folder: str | Path) -> Path:
    path = Path(folder)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UsageError(f"{path} is not an empty folder", fix="name a new folder for the two lakes")
    path.mkdir(parents=True, exist_ok=True)
    return path.absolute()


def read_certificate(path: str | Path, signer: str = "") -> tuple[dict[str, Any], str]:
    """A certificate and the public key (base64) that signed it. Raises UsageError when it is none, was changed, or was
    signed by another key than `signer`.
    """
    require("cryptography")
    from tapehouse.certificate.certify import FORMAT
    from tapehouse.certificate.signature import verify

    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", fix="check the path") from error
    except ValueError as error:
        raise UsageError(f"{path} is no JSON: {error}", fix="certify again") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise UsageError(f"{path} is no certificate of format {FORMAT}", fix="`tapehouse certify` writes one")
    return document, verify(document, signer)
