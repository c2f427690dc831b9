"""What is done to a bundle to damage it."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vdd_ros.bundle_manifest import CERTIFICATE, CONTRACT, MANIFEST, POLICY
from vdd_ros.certificate_parts import Rollouts
from vdd_ros.commands.bench.bundle.scene import Victim
from vdd_ros.sealed_folder import SIGNATURE, hash_of, to_json
from vdd_ros.signature import sign

MARK = "executed"  # a folder that a pickle would make in `outside`


class Payload:
    """What a pickle can be: a call of anything, made by whoever reads it."""

    def __init__(self, mark: Path):
        self.mark = str(mark)

    def __reduce__(self) -> tuple:
        return os.mkdir, (self.mark,)


def cut(name: str, victim: Victim) -> None:
    """Half of a file is lost."""
    data = victim.path(name).read_bytes()
    victim.path(name).write_bytes(data[: len(data) // 2])


def remove(name: str, victim: Victim) -> None:
    """A file is lost."""
    victim.path(name).unlink()


def flip(name: str, victim: Victim) -> None:
    """One bit in its middle is another."""
    data = bytearray(victim.path(name).read_bytes())
    data[len(data) // 2] ^= 1
    victim.path(name).write_bytes(bytes(data))


def swap(name: str, victim: Victim) -> None:
    """A file of the other bundle is in its place."""
    victim.take(name, victim.other)


def edit_manifest(victim: Victim, reseal: bool = True, **changes: Any) -> None:
    """Keys of the manifest are others."""
    victim.edit(MANIFEST, lambda raw: raw | changes)
    if reseal:
        victim.reseal()


def edit_rule(victim: Victim, **changes: Any) -> None:
    """Some of its acting rule is otherwise."""
    victim.reseal(acting_rule=victim.manifest["acting_rule"] | changes)


def rename_file(name: str, victim: Victim) -> None:
    """List the policy under another name, with its hash."""
    files = victim.manifest["files"]
    files[name] = files[POLICY]
    victim.reseal(files=files)


def hash_of_file(victim: Victim) -> None:
    """The hash that the manifest has of the policy is another."""
    files = victim.manifest["files"] | {POLICY: "0" * 64}
    raw = json.loads(victim.path(MANIFEST).read_text()) | {"files": files}
    victim.path(MANIFEST).write_bytes(to_json(raw))


def link(name: str, victim: Victim) -> None:
    """The same bytes, from outside of the folder."""
    shutil.move(victim.path(name), victim.outside / name)
    victim.path(name).symlink_to(victim.outside / name)


def pipe(victim: Victim) -> None:
    """The policy is a named pipe, which whoever opens it waits for."""
    victim.path(POLICY).unlink()
    os.mkfifo(victim.path(POLICY))


def grow(name: str, size: int, victim: Victim) -> None:
    """So large without taking so much of the disk."""
    os.truncate(victim.path(name), size)


def add(name: str, victim: Victim) -> None:
    """There is one more file."""
    victim.path(name).write_text("nobody asked for this")


def add_folder(victim: Victim) -> None:
    """There is a folder."""
    victim.path("engines").mkdir()


def unpickle_me(name: str, victim: Victim) -> None:
    """A file is a pickle, with its hash."""
    victim.path(name).write_bytes(pickle.dumps(Payload(victim.outside / MARK)))
    victim.reseal(certify=name != CERTIFICATE)


def stray_pickle(victim: Victim) -> None:
    """There is one more file, a pickle."""
    victim.path("weights.pkl").write_bytes(pickle.dumps(Payload(victim.outside / MARK)))


def rewrite(name: str, text: str, victim: Victim) -> None:
    """A file has other contents, with their hash."""
    victim.path(name).write_text(text)
    victim.reseal(certify=name != CERTIFICATE)


def change(name: str, edit: Callable[[Any], Any], victim: Victim) -> None:
    """What is in a JSON file is changed, with its hash."""
    victim.edit(name, edit)
    victim.reseal(certify=name != CERTIFICATE)


def graph(edit: Callable[[bytes], bytes], victim: Victim) -> None:
    """The policy is changed, with its hash."""
    victim.path(POLICY).write_bytes(edit(victim.path(POLICY).read_bytes()))
    victim.reseal()


def swap_resealed(name: str, victim: Victim, certify: bool = True) -> None:
    """A file of the other bundle is in its place, with its hash."""
    victim.take(name, victim.other)
    victim.reseal(certify=certify)


def foreign(victim: Victim) -> None:
    """It is the other robot's bundle, as that was signed."""
    shutil.rmtree(victim.folder)
    shutil.copytree(victim.foreign, victim.folder)


def foreign_contract(victim: Victim) -> None:
    """It has the contract of the other robot, with its hash."""
    victim.take(CONTRACT, victim.foreign)
    victim.reseal()


def wider_limits(raw: dict) -> dict:
    """One joint may be twice as fast."""
    raw["joints"][0]["velocity"] *= 2.0
    return raw


def widen_limits(victim: Victim) -> None:
    """The contract has wider limits, with every hash of it."""
    victim.edit(CONTRACT, wider_limits)
    victim.reseal(contract_hash=hash_of(json.loads(victim.path(CONTRACT).read_text())))


def strangers_signature(victim: Victim) -> None:
    """It is signed by a key that nobody trusts."""
    signature = sign(victim.key, "bundle", victim.manifest["bundle_hash"])
    victim.path(SIGNATURE).write_bytes(to_json(signature.model_dump()))


def old_signature(victim: Victim) -> None:
    """Something is changed, every hash made to agree, and the signature left as it was."""
    signature = victim.path(SIGNATURE).read_bytes()
    edit_manifest(victim, name="renamed")
    victim.path(SIGNATURE).write_bytes(signature)


def another_kind(victim: Victim) -> None:
    """By the right key, but what was signed is a device result of that hash."""
    own = victim.folder.parents[1] / "own"
    signature = sign(own, "device result", victim.manifest["bundle_hash"])
    victim.path(SIGNATURE).write_bytes(to_json(signature.model_dump()))


def worse(raw: dict) -> dict:
    """Reference outputs that this policy does not give."""
    raw["means"][0][0][0][0] += 0.01
    return raw


def in_int8(raw: dict) -> dict:
    """The certificate of a policy in another precision."""
    return raw | {"precision": "int8"}


def rolled_out_elsewhere(raw: dict) -> dict:
    """A certificate that tells of rollouts by a robot with another contract."""
    told = Rollouts(
        policy="vdd",
        task="avoid",
        contract_hash="0" * 64,
        episodes=200,
        success=1.0,
        success_interval=(0.98, 1.0),
        entropy=0.9,
        modes=20,
        modes_declared=24,
        acting_rule=raw["acting_rule"],
        observation_delay_s=0.01,
        command_delay_s=0.01,
        code_hash="0" * 64,
    )
    return raw | {"simulation": told.model_dump(mode="json")}
