"""Ed25519 signatures (RFC 8032) of JSON documents in a canonical form: keys in order, no blanks, no fractions."""

from __future__ import annotations

import base64
import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tapehouse.errors import UsageError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

SIGNATURE = "signature"


def signing_key(path: Path) -> Ed25519PrivateKey:
    """The key in a PEM file, which is made, for its owner's eyes only, where there is none."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        load_pem_private_key,
    )

    if not path.exists():
        made = Ed25519PrivateKey.generate()
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent)  # for its owner's eyes only
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
            with suppress(FileExistsError):  # another process was first, and its key is taken
                os.link(name, path)
        finally:
            Path(name).unlink()
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError) as error:
        raise UsageError(f"{path} is no private key in PEM: {error}", fix="name another --key, or remove it") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError(f"{path} is not an Ed25519 key", fix="name another --key; one is made where there is no file")
    return key


def sign(document: Mapping[str, Any], key: Ed25519PrivateKey) -> dict[str, Any]:
    """The document with its signature and the public key it can be checked with."""
    public = base64.b64encode(key.public_key().public_bytes_raw()).decode()
    signature = {"algorithm": "Ed25519", "public_key": public}
    value = base64.b64encode(key.sign(canonical(document))).decode()
    return {**document, SIGNATURE: {**signature, "value": value}}


def verify(document: Mapping[str, Any], public_key: str = "") -> str:
    """The public key (base64) that signed the document. Raises UsageError when nobody or somebody else than
    `public_key` did, or when the document was changed since.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    rest = {name: value for name, value in document.items() if name != SIGNATURE}
    try:
        told = document[SIGNATURE]
        public, value = str(told["public_key"]), base64.b64decode(told["value"], validate=True)
        key: Ed25519PublicKey = Ed25519PublicKey.from_public_bytes(base64.b64decode(public, validate=True))
        key.verify(value, canonical(rest))
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError("the document has no signature that can be read", fix="sign it again") from error
    except InvalidSignature as error:
        raise UsageError(
            "the signature does not fit: the document was changed after it was signed", fix="certify again"
        ) from error
    if public_key and public != public_key:
        raise UsageError(f"the document was signed with {public}, not with {public_key}", fix="ask who signed it")
    return public


def canonical(document: Mapping[str, Any]) -> bytes:
    """The bytes that are signed."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
