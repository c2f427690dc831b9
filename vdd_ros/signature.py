"""Ed25519 signatures of sealed folders, by `cryptography`, which is needed only where keys are.

Keys are PEM files, as OpenSSL writes them (`openssl genpkey -algorithm ed25519`). What is signed is
the folder's kind and hash, so that a signature fits neither another folder nor another kind.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import Field, ValidationError

from vdd_ros.bounded_file import read_text_up_to
from vdd_ros.errors import UserError
from vdd_ros.fields import Part
from vdd_ros.sealed_folder import SIGNATURE, Refused, read_json

INSTALL = "pip install '.[sign]', or apt-get install python3-cryptography"
LARGEST_PEM = 1 << 16
Kind = Literal["bundle", "device result"]
HOW_TO_SIGN: dict[Kind, str] = {
    "bundle": "sign it (vdd certify --key)",
    "device result": "make it again with --key (of vdd export --tensorrt, of vdd verify --save)",
}


class Signature(Part):
    """signature.json; public_key and signature in hexadecimal digits."""

    format_version: Literal[1] = 1
    algorithm: Literal["ed25519"] = "ed25519"
    public_key: str = Field(pattern="^[0-9a-f]{64}$")
    signature: str = Field(pattern="^[0-9a-f]{128}$")


class Signer(NamedTuple):
    """public_key: in hexadecimal digits; checked: whether the signature was, which needs
    `cryptography`; trusted: whether the key is one of those that were given."""

    public_key: str
    checked: bool
    trusted: bool

    def __str__(self) -> str:
        what = "trusted" if self.trusted else "no key was given to trust"
        told = what if self.checked else "not checked: cryptography is not installed"
        return f"signed by {self.public_key[:16]} ({told})"


def make_keys(private: Path, public: Path) -> str:
    """Write a new pair of keys, the private one for its owner's eyes only; the public key in
    hexadecimal digits. Raises UserError where one of the files is there already."""
    _, ed25519 = _library()
    serialization = _serialization()
    for path in (private, public):
        if path.is_symlink() or path.exists():
            raise UserError(f"{path} is there already, and keys are never replaced: name another")
    key = ed25519.Ed25519PrivateKey.generate()
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    told = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    for path, data, mode in ((public, told, 0o644), (private, secret, 0o600)):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
                file.write(data)
        except OSError as error:
            raise UserError(f"{path} cannot be written ({error.strerror}): name another") from None
    return _hex(key.public_key())


def sign(key: Path, kind: Kind, digest: str) -> Signature:
    """Of a folder's hash, by a private key; raises UserError where the file holds none."""
    found = require_key(key)
    return Signature(
        public_key=_hex(found.public_key()),
        signature=found.sign(_message(kind, digest)).hex(),
    )


def require_key(key: Path) -> Any:
    """The private key in a file; raises UserError where there is none, or others may read it."""
    _, ed25519 = _library()
    try:
        data, mode = _pem(key), key.stat().st_mode
        found = _serialization().load_pem_private_key(data, password=None)
    except (OSError, ValueError, TypeError, _unsupported()) as error:
        raise UserError(f"{key} is no private key ({error}): make one with vdd keygen") from None
    if not isinstance(found, ed25519.Ed25519PrivateKey):
        raise UserError(f"{key} is no Ed25519 key: make one with vdd keygen")
    if mode & 0o077:  # as OpenSSH asks of its own
        raise UserError(f"{key} is a private key that others may use: chmod 600 {key}")
    return found


def read_trusted(path: Path) -> frozenset[str]:
    """Public keys in a PEM file, or in the *.pem and *.pub files of a folder, in hexadecimal
    digits. Raises UserError where there is none."""
    _, ed25519 = _library()
    files = sorted([*path.glob("*.pem"), *path.glob("*.pub")]) if path.is_dir() else [path]
    keys = set()
    for file in files:
        try:
            key = _serialization().load_pem_public_key(_pem(file))
        except (OSError, ValueError, _unsupported()) as error:
            raise UserError(f"{file} is no public key ({error}): name one of vdd keygen") from None
        if not isinstance(key, ed25519.Ed25519PublicKey):
            raise UserError(f"{file} is no Ed25519 key: name one of vdd keygen")
        keys.add(_hex(key))
    if not keys:
        raise UserError(f"{path} holds no public key: put those you trust there, as *.pub")
    return frozenset(keys)


def signer_of(
    folder: Path, kind: Kind, digest: str, trusted: Collection[str] = ()
) -> Signer | None:
    """Who signed a folder of this hash, None where nobody did.

    Raises Refused where the signature is damaged or of something else, and, where there are
    trusted keys, where it is missing or of another key.
    """
    path = folder / SIGNATURE
    if not path.is_symlink() and not path.exists():
        if trusted:
            told = f"{folder} is not signed, and only what a trusted key has signed is taken here"
            raise Refused("signature", f"{told}: {HOW_TO_SIGN[kind]}")
        return None
    try:
        found = Signature.model_validate(read_json(path))
    except ValidationError:
        raise Refused("signature", f"{path} is no signature: sign the folder again") from None
    if trusted and found.public_key not in trusted:
        told = f"{folder} is signed by {found.public_key[:16]}, which is no trusted key"
        raise Refused("signature", f"{told}: have it signed by one that is")
    try:
        invalid, ed25519 = _library()
    except UserError:
        if trusted:
            raise
        return Signer(found.public_key, False, False)
    public = ed25519.Ed25519PublicKey.from_public_bytes(bytes.fromhex(found.public_key))
    try:
        public.verify(bytes.fromhex(found.signature), _message(kind, digest))
    except invalid:
        told = f"{path} does not sign this {kind}: copy the folder again, or sign it again"
        raise Refused("signature", told) from None
    return Signer(found.public_key, True, bool(trusted))


def _pem(path: Path) -> bytes:
    return read_text_up_to(path, LARGEST_PEM).encode()


def _message(kind: Kind, digest: str) -> bytes:
    return f"vdd_ros {kind}\n{digest}\n".encode()


def _hex(public: Any) -> str:
    serialization = _serialization()
    raw = serialization.Encoding.Raw, serialization.PublicFormat.Raw
    return public.public_bytes(*raw).hex()


def _library() -> tuple[Any, Any]:
    """(the exception of a signature that does not fit, the module of keys)."""
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError:
        raise UserError(f"signatures need cryptography: {INSTALL}") from None
    return InvalidSignature, ed25519


def _unsupported() -> type[Exception]:
    """Raised for keys of kinds that the library has not."""
    from cryptography.exceptions import UnsupportedAlgorithm

    return UnsupportedAlgorithm


def _serialization() -> Any:
    from cryptography.hazmat.primitives import serialization

    return serialization
