"""Round trips of datasets, and bags as others record them, for tests of foreign formats."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml
from foreign_data import DATA, g1
from recordings import joint_state_cdr

from vdd_ros import cli
from vdd_ros.bag import typestore
from vdd_ros.contract import Contract
from vdd_ros.datasets.importing import check, read, write
from vdd_ros.datasets.source import Source
from vdd_ros.episode import Episode, EpisodeStore

CONFIG = Path(__file__).resolve().parents[1] / "config"
SOURCES = sorted((CONFIG / "sources").glob("*.yaml"))
FORMATS = {
    "lerobot_v3 float32": ["--format", "lerobot_v3"],
    "lerobot_v3 float64": ["--format", "lerobot_v3", "--dtype", "float64"],
    "robomimic": ["--format", "robomimic"],
    "rosbag2": ["--format", "rosbag2"],
}
JOINT_STATE, ARRAY = "sensor_msgs/msg/JointState", "std_msgs/msg/Float64MultiArray"


def public_data(source: Source) -> Path:
    """Where a public dataset lies; skips the test where it does not."""
    folder = Path(os.environ.get("VDD_DATA") or CONFIG.parent.parent / "shared" / "data")
    if not (folder / source.path).exists():
        pytest.skip(f"no {folder / source.path}: get it with docs/data/get.py and set VDD_DATA")
    return folder / source.path


def contract_of(path: Path) -> Contract:
    """The contract that a declaration of config/sources/ fits."""
    name = "g1_bottle" if path.stem == "g1_bottle" else "panda_gripper"
    return Contract.from_yaml(CONFIG / f"{name}.yaml")


def imported(data: Path, source: Source, contract: Contract, out: Path) -> Path:
    """Episodes of a dataset, in a new folder."""
    write(check(read(data, source), source, contract), source, contract, out)
    return out


def vdd(*words: object) -> int:
    """The exit code of a command."""
    return cli.main([str(word) for word in words])


def episodes_in(folder: Path) -> list[Episode]:
    store = EpisodeStore(folder)
    return [store.load(name) for name in store.list()]


def require_same(first: list[Episode], second: list[Episode], atol: float = 0.0) -> None:
    """The same arrays of states and commands, names, tasks, labels and counts."""
    assert len(first) == len(second) > 0
    for one, other in zip(first, second, strict=True):
        assert one.contract.joint_names == other.contract.joint_names
        assert one.contract.interface_hash == other.contract.interface_hash
        assert one.name == other.name
        assert one.manifest.task == other.manifest.task
        assert one.manifest.provenance == other.manifest.provenance
        assert one.manifest.meta.items() <= other.manifest.meta.items()
        for stream in ("joint_state", one.contract.action.stream):
            mine, theirs = one.streams[stream], other.streams[stream]
            assert len(mine) == len(theirs)
            if atol == 0.0:
                np.testing.assert_array_equal(mine.fields["position"], theirs.fields["position"])
            np.testing.assert_allclose(
                mine.fields["position"], theirs.fields["position"], rtol=0, atol=atol
            )


def write_bag(path: Path, storage: str, messages: list[tuple[str, str, int, bytes]]) -> Path:
    """A bag as `ros2 bag record` leaves it, of (topic, type, received_ns, data)."""
    from rosbags.rosbag2 import StoragePlugin, Writer

    plugin = {"mcap": StoragePlugin.MCAP, "sqlite3": StoragePlugin.SQLITE3}[storage]
    with Writer(path, version=9, storage_plugin=plugin) as writer:
        connections = {}
        for topic, kind, received_ns, data in messages:
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=typestore())
            writer.write(connections[topic], received_ns, data)
    return path


def swinging(times_s: np.ndarray, contract: Contract) -> np.ndarray:
    """(N, Da) [unit] a motion within the limits, slow enough for them."""
    middle = 0.5 * (contract.limit("upper") + contract.limit("lower"))
    phase = times_s[:, None] + np.arange(contract.n_joints)
    return middle + 0.1 * contract.span * np.sin(phase)


def foreign_messages(
    contract: Contract, seconds: float = 3.0, factor: float = 180.0 / np.pi
) -> list[tuple[str, str, int, bytes]]:
    """An arm of others: states at 100 Hz, commands at 20 Hz, positions times `factor`, joints in
    another order and with a wheel that no contract has."""
    names = [f"arm/{name}" for name in reversed(contract.joint_names)] + ["wheel"]
    messages = []
    for tick in range(round(seconds * 100)):
        stamp_ns = 1_700_000_000_000_000_000 + tick * 10_000_000
        position = swinging(np.array([tick * 0.01]), contract)[0][::-1] * factor
        told = joint_state_cdr(stamp_ns, [*position, 7.0], names=names)
        messages.append(("/arm/state", JOINT_STATE, stamp_ns + 400_000, told))
        if tick % 5 == 0:
            ahead = swinging(np.array([tick * 0.01 + 0.02]), contract)[0][::-1] * factor
            told = joint_state_cdr(stamp_ns, [*ahead, 7.0], names=names)
            messages.append(("/arm/target", JOINT_STATE, stamp_ns + 900_000, told))
    return messages


def foreign_declaration(contract: Contract, folder: Path, **changes: object) -> Path:
    """A declaration of `foreign_messages` in a file; changes: of its format."""
    layout = {
        "kind": "rosbag2",
        "state": {"topic": "/arm/state", "time": "header"},
        "command": {"topic": "/arm/target", "time": "header"},
        **changes,
    }
    raw = {
        "format_version": 1,
        "format": layout,
        "path": "bags",
        "task": "swing",
        "rate_hz": 20.0,
        "origin": {"url": "https://example.org", "version": "1", "licence": "CC0-1.0"},
        "channels": [
            {"joint": joint.name, "state": {"name": f"arm/{joint.name}", "unit": "deg"}}
            for joint in contract.joints
        ],
        "ignored": ["wheel"],
    }
    path = folder / "source.yaml"
    path.write_text(yaml.safe_dump(raw))
    return path


def described(folder: Path) -> dict:
    """What an exported dataset says about itself."""
    return json.loads((folder / "vdd_ros.json").read_text())


def swinging_contract(state_hz: float = 100.0) -> Contract:
    """As `foreign_messages` come: states at 100 Hz, commands at 20 Hz."""
    raw = Contract.from_yaml(CONFIG / "panda_avoid.yaml").to_dict()
    raw["rates"] = {"control_hz": 20.0, "policy_hz": 20.0}
    for name, stream in raw["streams"].items():
        stream |= {"rate_hz": state_hz if name == "joint_state" else 20.0, "max_age_s": 0.2}
    return Contract.from_dict(raw)


def taken(folder: Path, contract: Contract, source: Path, data: Path) -> int:
    """Exit code of an import to `folder`/episodes."""
    (folder / "contract.yaml").write_text(yaml.safe_dump(contract.to_dict()))
    words = [source, folder / "episodes", "--contract", folder / "contract.yaml", "--data", data]
    return vdd("dataset", "import", *words)


def refused(folder, contract, source, data, capsys, pattern) -> None:
    """One sentence, exit code 2, and nothing left behind."""
    assert taken(folder, contract, source, data) == 2
    said = capsys.readouterr().err
    assert said.startswith("vdd: ") and said.count("\n") == 1, said
    assert re.search(pattern, said), said
    assert not (folder / "episodes").exists()


def robomimic_file(folder: Path, contract: Contract) -> Path:
    """Two demonstrations of an arm, as robosuite's are after robomimic's own conversion."""
    path = folder / "low_dim.hdf5"
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        kwargs = {"control_freq": 20, "robots": ["Panda"]}
        env = {"env_name": "Lift", "type": 1, "env_kwargs": kwargs}
        data.attrs["env_args"] = json.dumps(env)
        for at, name in enumerate(("demo_0", "demo_10")):
            demo = data.create_group(name)
            times_s = at + np.arange(50) / 20.0
            demo["obs/robot0_joint_pos"] = np.degrees(swinging(times_s, contract))
            demo["obs/robot0_gripper_qpos"] = np.zeros((50, 2))
            demo["next_obs/robot0_joint_pos"] = np.degrees(swinging(times_s + 0.05, contract))
            demo["actions"] = np.zeros((50, 7))
            demo["rewards"] = np.r_[np.zeros(49), float(at)]
            demo["dones"] = np.r_[np.zeros(49, dtype=int), 1]
            demo.attrs["num_samples"] = 50
        data.attrs["total"] = 100
        file["mask/train"] = np.array([b"demo_10"])
    return path


def robomimic_declaration(folder: Path, contract: Contract, **changes: object) -> Path:
    raw = {
        "format_version": 1,
        "format": {"kind": "robomimic_hdf5", "env": "Lift", "success": "rewards"},
        "path": "low_dim.hdf5",
        "task": "lift",
        "rate_hz": 20.0,
        "origin": {"url": "https://example.org", "version": "1", "licence": "CC0-1.0"},
        "channels": [
            {
                "joint": joint.name,
                "state": {"name": f"obs/robot0_joint_pos[{at}]", "unit": "deg"},
                "command": {"name": f"next_obs/robot0_joint_pos[{at}]", "unit": "deg"},
            }
            for at, joint in enumerate(contract.joints)
        ],
    }
    raw["format"] |= changes.pop("format", {})
    path = folder / "source.yaml"
    path.write_text(yaml.safe_dump(raw | changes))
    return path


def lerobot_dataset(folder: Path) -> Path:
    """A dataset of v3.0 in `folder`/d, without a description; returns its declaration."""
    source, contract = g1()
    folder.mkdir(exist_ok=True)
    imported(DATA / "g1_bottle", source, contract, folder / "episodes")
    words = ["dataset", "export", folder / "episodes", folder / "d", "--format", "lerobot_v3"]
    assert vdd(*words) == 0
    (folder / "source.yaml").write_text(yaml.safe_dump(described(folder / "d")["source"]))
    (folder / "d" / "vdd_ros.json").unlink()
    return folder / "source.yaml"
