"""Signatures: by OpenSSL's own files, of one folder alone, and by a key that is trusted."""

from __future__ import annotations

import builtins
import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from vdd_ros import cli
from vdd_ros.errors import UserError
from vdd_ros.sealed_folder import SIGNATURE, Refused, to_json
from vdd_ros.signature import make_keys, read_trusted, require_key, sign, signer_of

DIGEST = "ab" * 32
# RFC 8410, section 10.3: a private key and its public one
PRIVATE = """-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
-----END PRIVATE KEY-----
"""
PUBLIC = """-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PUBLIC KEY-----
"""
PUBLIC_HEX = "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1"


@pytest.fixture
def keys(tmp_path):
    (tmp_path / "own").write_text(PRIVATE)
    (tmp_path / "own").chmod(0o600)
    (tmp_path / "own.pub").write_text(PUBLIC)
    return tmp_path


def signed(folder, key, kind="bundle", digest=DIGEST):
    folder.mkdir(exist_ok=True)
    (folder / SIGNATURE).write_bytes(to_json(sign(key, kind, digest).model_dump()))
    return folder


def test_keys_of_the_standard_are_read(keys):
    assert read_trusted(keys / "own.pub") == read_trusted(keys) == {PUBLIC_HEX}
    folder = signed(keys / "bundle", keys / "own")
    signer = signer_of(folder, "bundle", DIGEST, read_trusted(keys))
    assert signer.public_key == PUBLIC_HEX and signer.checked and signer.trusted


def test_a_signature_is_the_same_every_time(keys):
    """RFC 8032: it takes no chance, so that what is signed can be made again."""
    assert sign(keys / "own", "bundle", DIGEST) == sign(keys / "own", "bundle", DIGEST)


def test_made_keys_sign_and_are_never_replaced(tmp_path, capsys):
    assert cli.main(["keygen", str(tmp_path / "key")]) == 0
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    (word,) = read_trusted(tmp_path / "key.pub")
    assert word in capsys.readouterr().out
    assert sign(tmp_path / "key", "bundle", DIGEST).public_key == word
    with pytest.raises(UserError, match="keys are never replaced"):
        make_keys(tmp_path / "key", tmp_path / "other.pub")
    assert not (tmp_path / "other.pub").exists()


def test_of_another_folder_kind_or_key_it_is_refused(keys, tmp_path):
    folder = signed(tmp_path / "bundle", keys / "own")
    for kind, digest in (("bundle", "cd" * 32), ("device result", DIGEST)):
        with pytest.raises(Refused, match="does not sign this"):
            signer_of(folder, kind, digest)
    with pytest.raises(Refused, match="is no trusted key"):
        signer_of(folder, "bundle", DIGEST, {"00" * 32})


def test_who_trusts_nobody_is_told_who_signed(keys, tmp_path):
    assert signer_of(tmp_path, "bundle", DIGEST) is None
    signer = signer_of(signed(tmp_path / "bundle", keys / "own"), "bundle", DIGEST)
    assert not signer.trusted and "no key was given to trust" in str(signer)


def test_without_the_library_a_trusted_key_is_refused_and_another_told(keys, tmp_path, monkeypatch):
    folder, trusted = signed(tmp_path / "bundle", keys / "own"), read_trusted(keys)
    real = builtins.__import__

    def lacking(name, *given, **named):
        if name.startswith("cryptography"):
            raise ImportError(name)
        return real(name, *given, **named)

    monkeypatch.setattr(builtins, "__import__", lacking)
    with pytest.raises(UserError, match="signatures need cryptography"):
        signer_of(folder, "bundle", DIGEST, trusted)
    signer = signer_of(folder, "bundle", DIGEST)
    assert not signer.checked and "cryptography is not installed" in str(signer)


def test_a_key_that_others_may_use_signs_nothing(keys):
    (keys / "own").chmod(0o640)
    with pytest.raises(UserError, match=r"that others may use: chmod 600"):
        sign(keys / "own", "bundle", DIGEST)


def test_no_link_leads_a_new_key_elsewhere(tmp_path):
    (tmp_path / "key.pub").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="keys are never replaced"):
        make_keys(tmp_path / "key", tmp_path / "key.pub")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["key.pub"]
    with pytest.raises(UserError, match="cannot be written"):
        make_keys(Path("/proc/none/key"), Path("/proc/none/key.pub"))


def test_keys_are_files_of_a_kind_that_is_known(tmp_path):
    """An algorithm that has no number yet, and a pipe that nobody writes to."""
    strange = tmp_path / "strange"
    for text, read in ((PRIVATE.replace("K2Vw", "K2Vz"), require_key),
                       (PUBLIC.replace("K2Vw", "K2Vz"), read_trusted)):  # fmt: skip
        strange.write_text(text)
        with pytest.raises(UserError, match="is no (private|public) key"):
            read(strange)
    os.mkfifo(tmp_path / "pipe")
    for read in (require_key, read_trusted):
        with pytest.raises(UserError, match="is no regular file"):
            read(tmp_path / "pipe")


@pytest.mark.parametrize("text", ["", "no key", PUBLIC])
def test_what_is_no_private_key_is_told(tmp_path, text):
    (tmp_path / "key").write_text(text)
    with pytest.raises(UserError, match="is no private key"):
        sign(tmp_path / "key", "bundle", DIGEST)


def test_what_is_no_public_key_is_told(keys, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no public key"):
        read_trusted(tmp_path / "empty")
    with pytest.raises(UserError, match="is no public key"):
        read_trusted(keys / "own")


def test_a_key_of_another_kind_is_told_which_is_wanted(tmp_path):
    """As OpenSSL makes them by itself."""
    other = ec.generate_private_key(ec.SECP256R1())
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (tmp_path / "own").write_bytes(other.private_bytes(serialization.Encoding.PEM, *plain))
    (tmp_path / "own").chmod(0o600)
    with pytest.raises(UserError, match="own is no Ed25519 key: make one with vdd keygen"):
        sign(tmp_path / "own", "bundle", DIGEST)
    told = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    (tmp_path / "own.pub").write_bytes(other.public_key().public_bytes(*told))
    with pytest.raises(UserError, match=r"own.pub is no Ed25519 key: name one of vdd keygen"):
        read_trusted(tmp_path / "own.pub")
