"""Bags as others record them become episodes; bad ones end in one sentence."""

from __future__ import annotations

import re
import shutil
import sqlite3
import struct
from collections.abc import Callable
from pathlib import Path

import lz4.frame
import numpy as np
import pytest
import yaml
import zstandard
from exported_data import (
    ARRAY,
    CONFIG,
    JOINT_STATE,
    episodes_in,
    foreign_declaration,
    foreign_messages,
    refused,
    swinging,
    swinging_contract,
    taken,
    vdd,
    write_bag,
)
from recordings import array_cdr, joint_state_cdr

from vdd_ros.bag import read_bag, typestore
from vdd_ros.cdr import joints_cdr
from vdd_ros.contract import Contract
from vdd_ros.datasets.bounded import require_bounded

FRAME_NS = 10_000_000


@pytest.fixture(scope="module")
def contract() -> Contract:
    return swinging_contract()


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_bags_of_others_become_episodes_in_the_contracts_terms(tmp_path, contract, storage):
    messages = foreign_messages(contract)
    for name in ("day_1", "day_2"):
        (tmp_path / "bags").mkdir(exist_ok=True)
        write_bag(tmp_path / "bags" / name, storage, messages)
    source = foreign_declaration(contract, tmp_path)
    assert taken(tmp_path, contract, source, tmp_path / "bags") == 0
    episodes = episodes_in(tmp_path / "episodes")
    assert [one.manifest.meta["recording"] for one in episodes] == ["day_1", "day_2"]
    for episode in episodes:
        assert episode.manifest.verdict.level == "PASS"
        state, command = episode.streams["joint_state"], episode.streams["robot_command"]
        assert (len(state), len(command)) == (300, 60)
        times_s = np.arange(300) * 0.01
        np.testing.assert_allclose(
            state.fields["position"], swinging(times_s, contract), rtol=0, atol=1e-12
        )
        np.testing.assert_allclose(
            command.fields["position"], swinging(times_s[::5] + 0.02, contract), rtol=0, atol=1e-12
        )
        assert (np.diff(state.stamps_ns) == FRAME_NS).all()
        assert (state.received_ns - state.stamps_ns == 400_000).all()
        # an array has no header: it counts from when it was meant
        assert (np.diff(command.received_ns) == 5 * FRAME_NS).all()
        assert command.received_ns[0] == state.stamps_ns[0]


def test_topics_that_nobody_declared_are_said_not_to_be_read(tmp_path, contract, capsys):
    stamped = joint_state_cdr(1, np.zeros(1), names=["gripper"])
    more = ("/gripper/state", JOINT_STATE, 2, stamped)
    write_bag(tmp_path / "bag", "mcap", [*foreign_messages(contract), more])
    source = foreign_declaration(contract, tmp_path)
    assert taken(tmp_path, contract, source, tmp_path / "bag") == 0
    assert "not read: /gripper/state\n" in capsys.readouterr().out
    (episode,) = episodes_in(tmp_path / "episodes")
    assert episode.manifest.meta["not_read"] == ["/gripper/state"]


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_bag_may_be_larger_than_memory_but_not_what_is_wanted_of_it(
    tmp_path, contract, capsys, monkeypatch, storage
):
    """Pictures that nobody reads do not count: 3 MiB of them, where two are to be read at once."""
    rng = np.random.default_rng(0)
    pictures = [
        ("/front", "sensor_msgs/msg/CompressedImage", received_ns, compressed_image(rng))
        for _, _, received_ns, _ in foreign_messages(contract)[::10]
    ]
    messages = sorted([*foreign_messages(contract), *pictures], key=lambda one: one[2])
    path = write_bag(tmp_path / "bag", storage, messages)
    files = [one for one in path.iterdir() if one.suffix in (".mcap", ".db3")]
    source = foreign_declaration(contract, tmp_path)
    monkeypatch.setattr(require_bounded, "__defaults__", (2 << 20,))
    assert sum(one.stat().st_size for one in files) > 3 << 20
    assert taken(tmp_path, contract, source, path) == 0
    assert "not read: /front\n" in capsys.readouterr().out
    (episode,) = episodes_in(tmp_path / "episodes")
    assert len(episode.streams["joint_state"]) == 300
    shutil.rmtree(tmp_path / "episodes")
    monkeypatch.setattr(require_bounded, "__defaults__", (50_000,))
    refused(tmp_path, contract, source, path, capsys, "(declared of it|bag).* would take")


def test_a_chunk_larger_than_memory_is_refused(tmp_path, contract, capsys):
    magic, kind = b"\x89MCAP0\r\n", b""
    chunk = struct.pack("<QQQII", 0, 0, 3 << 30, 0, len(kind)) + kind + struct.pack("<Q", 0)
    content = magic + struct.pack("<BQ", 6, len(chunk)) + chunk + magic
    (tmp_path / "large.mcap").write_bytes(content)
    source = foreign_declaration(contract, tmp_path)
    refused(tmp_path, contract, source, tmp_path / "large.mcap", capsys, "would take 3072 MiB")


def compressed_image(rng: np.random.Generator) -> bytes:
    """Of 100 kB that nothing packs any further."""
    types = typestore().types
    stamp = types["builtin_interfaces/msg/Time"](1, 0)
    header = types["std_msgs/msg/Header"](stamp, "front")
    data = rng.integers(0, 256, 100_000, dtype=np.uint8)
    message = types["sensor_msgs/msg/CompressedImage"](header, "jpeg", data)
    return bytes(typestore().serialize_cdr(message, "sensor_msgs/msg/CompressedImage"))


def test_times_of_receipt_stamp_a_bag_where_that_is_declared(tmp_path, contract):
    write_bag(tmp_path / "bag", "mcap", foreign_messages(contract))
    topics = {"state": "/arm/state", "command": "/arm/target"}
    changes = {side: {"topic": topic, "time": "receive"} for side, topic in topics.items()}
    source = foreign_declaration(contract, tmp_path, **changes)
    assert taken(tmp_path, contract, source, tmp_path / "bag") == 0
    (episode,) = episodes_in(tmp_path / "episodes")
    assert episode.streams["joint_state"].stamps_ns[0] % FRAME_NS == 400_000
    assert episode.streams["robot_command"].stamps_ns[0] % FRAME_NS == 900_000


def test_messages_that_are_the_contracts_already_stay_as_they_are(tmp_path, contract):
    """Also with a joint's effort, which is nobody's column, and with commands without names."""
    messages = []
    for tick in range(200):
        stamp_ns = 1_700_000_000_000_000_000 + tick * FRAME_NS
        position = swinging(np.array([tick * 0.01]), contract)[0]
        messages.append(("/js", JOINT_STATE, stamp_ns + 9, joint_state_cdr(stamp_ns, position)))
        if tick % 5 == 0:
            messages.append(("/cmd", ARRAY, stamp_ns + 10, array_cdr(position)))
            data = joint_state_cdr(stamp_ns, position)
            messages.append(("/leader", JOINT_STATE, stamp_ns + 8, data))
    write_bag(tmp_path / "bag", "mcap", messages)
    names = list(contract.joint_names)
    source = foreign_declaration(
        contract,
        tmp_path,
        state={"topic": "/js", "time": "header"},
        command={"topic": "/cmd", "time": "receive", "names": names},
        as_is={"teleop_command": "/leader"},
    )
    raw = yaml.safe_load(source.read_text())
    raw["channels"] = [{"joint": name, "state": {"name": name, "unit": "rad"}} for name in names]
    source.write_text(yaml.safe_dump(raw))
    assert taken(tmp_path, contract, source, tmp_path / "bag") == 0
    (path,) = (tmp_path / "episodes").glob("*/*.mcap")
    kept = {(one.stream, one.received_ns, one.data) for one in read_bag(path).messages}
    streams = {"/js": "joint_state", "/cmd": "robot_command", "/leader": "teleop_command"}
    assert kept == {(streams[topic], at, data) for topic, _, at, data in messages}


def own_topics(contract: Contract) -> list[tuple[str, str, int, bytes]]:
    """Messages on the contract's topics, with a joint that it does not have."""
    names = ["wheel", *contract.joint_names]
    messages = []
    for tick in range(200):
        at = 1_700_000_000_000_000_000 + tick * FRAME_NS
        position = swinging(np.array([tick * 0.01]), contract)[0]
        data = joint_state_cdr(at, [7.0, *position], names=names)
        messages.append(("/joint_states", JOINT_STATE, at + 9, data))
        if tick % 5 == 0:
            topic = contract.streams["robot_command"].recorded_topic
            messages.append((topic, ARRAY, at + 10, array_cdr(position)))
    return messages


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_bags_with_the_contracts_topics_need_no_other_declaration(tmp_path, contract, storage):
    write_bag(tmp_path / "bag", storage, own_topics(contract))
    (tmp_path / "contract.yaml").write_text(yaml.safe_dump(contract.to_dict()))
    words = ["--contract", tmp_path / "contract.yaml", "--task", "swing", "--licence", "CC0-1.0"]
    assert vdd("dataset", "import", tmp_path / "bag", tmp_path / "episodes", *words) == 0
    (episode,) = episodes_in(tmp_path / "episodes")
    assert episode.manifest.task == "swing" and episode.manifest.provenance.licence == "CC0-1.0"
    np.testing.assert_array_equal(
        episode.streams["joint_state"].fields["position"],
        swinging(np.arange(200) * 0.01, contract),
    )


@pytest.mark.parametrize(
    ("words", "pattern"),
    [
        (["--task", "swing"], "has no vdd_ros.json"),
        (["--contract", "contract.yaml"], "what were people asked to do"),
        (["--contract", "contract.yaml", "--task", "swing"], "has no message of /joint_states"),
    ],
)
def test_bags_of_which_too_little_is_known_are_refused(
    tmp_path, monkeypatch, contract, capsys, words, pattern
):
    monkeypatch.chdir(tmp_path)
    write_bag(tmp_path / "bag", "mcap", foreign_messages(contract, seconds=1.0))
    (tmp_path / "contract.yaml").write_text(yaml.safe_dump(contract.to_dict()))
    assert vdd("dataset", "import", "bag", "episodes", *words) == 2
    assert re.search(pattern, capsys.readouterr().err)
    assert not (tmp_path / "episodes").exists()


def test_a_publisher_of_other_joints_on_the_same_topic_is_no_fault(tmp_path, contract):
    messages = foreign_messages(contract)
    for _, _, received_ns, _ in foreign_messages(contract)[::50]:
        data = joint_state_cdr(received_ns, [0.0], names=["wheel"])
        messages.append(("/arm/state", JOINT_STATE, received_ns + 1, data))
    write_bag(tmp_path / "bag", "mcap", sorted(messages, key=lambda one: one[2]))
    source = foreign_declaration(contract, tmp_path)
    assert taken(tmp_path, contract, source, tmp_path / "bag") == 0
    (episode,) = episodes_in(tmp_path / "episodes")
    assert len(episode.streams["joint_state"]) == 300
    assert "8 messages of /arm/state lack a joint" in episode.manifest.meta["findings"]


def test_trajectories_command_by_their_last_point(tmp_path, contract):
    raw = contract.to_dict()
    kind = "trajectory_msgs/msg/JointTrajectory"
    raw["streams"]["robot_command"] |= {"type": kind, "timeline": "header"}
    told = Contract.from_dict(raw)
    messages = [one for one in foreign_messages(contract, factor=1.0) if one[0] == "/arm/state"]
    for tick in range(0, 300, 5):
        stamp_ns = 1_700_000_000_000_000_000 + tick * FRAME_NS
        position = swinging(np.array([tick * 0.01]), contract)[0]
        data = joints_cdr(told.streams["robot_command"], told, position, stamp_ns)
        messages.append(("/traj", kind, stamp_ns + 5, data))
    write_bag(tmp_path / "bag", "mcap", messages)
    source = foreign_declaration(contract, tmp_path, command={"topic": "/traj", "time": "header"})
    raw = yaml.safe_load(source.read_text())
    raw["channels"] = [
        {
            "joint": name,
            "state": {"name": f"arm/{name}", "unit": "rad"},
            "command": {"name": name, "unit": "rad"},
        }
        for name in contract.joint_names
    ]
    source.write_text(yaml.safe_dump(raw))
    assert taken(tmp_path, contract, source, tmp_path / "bag") == 0
    (episode,) = episodes_in(tmp_path / "episodes")
    np.testing.assert_array_equal(
        episode.streams["robot_command"].fields["position"],
        swinging(np.arange(0, 300, 5) * 0.01, contract),
    )


# bad bags: what is done to the messages or the declaration, and what is said


def no_command(messages, raw):
    messages[:] = [one for one in messages if one[0] != "/arm/target"]


def topic_misspelt(messages, raw):
    raw["format"]["state"]["topic"] = "/arm/stat"


def wheel_not_ignored(messages, raw):
    raw["ignored"] = []


def number_not_finite(messages, raw):
    names = [f"arm/{name}" for name in reversed(panda().joint_names)] + ["wheel"]
    topic, kind, at, _ = messages[30]
    data = joint_state_cdr(at - 400_000, [np.nan, *np.zeros(7)], names=names)
    messages[30] = (topic, kind, at, data)


def message_cut(messages, raw):
    topic, kind, at, data = messages[30]
    messages[30] = (topic, kind, at, data[:60])


def velocities_only(messages, raw):
    names = [f"arm/{name}" for name in reversed(panda().joint_names)] + ["wheel"]
    messages[:] = [
        (topic, kind, at, joint_state_cdr(at, [], np.zeros(8), names))
        if topic == "/arm/state"
        else (topic, kind, at, data)
        for topic, kind, at, data in messages
    ]


def declared_in_radians(messages, raw):
    for channel in raw["channels"]:
        channel["state"]["unit"] = "rad"


def another_rate(messages, raw):
    raw["rate_hz"] = 30.0


def states_stop(messages, raw):
    messages[:] = [one for one in messages if one[0] != "/arm/state" or one[2] % 10**10 < 10**9]


def commands_pause(messages, raw):
    begin = messages[0][2]
    messages[:] = [
        one
        for one in messages
        if one[0] != "/arm/target" or not 10**9 < one[2] - begin < 1.5 * 10**9
    ]


def no_stamps(messages, raw):
    names = [f"arm/{name}" for name in reversed(panda().joint_names)] + ["wheel"]
    messages[:] = [
        (topic, kind, at, joint_state_cdr(0, np.zeros(8), names=names))
        if topic == "/arm/state"
        else (topic, kind, at, data)
        for topic, kind, at, data in messages
    ]


def another_type(messages, raw):
    text = struct.pack("<4xI", 6) + b"hello\0"
    messages.append(("/said", "std_msgs/msg/String", messages[0][2], text))
    raw["format"]["state"]["topic"] = "/said"


def one_bag_more_declared(messages, raw):
    raw["episodes"] = 2


def panda() -> Contract:
    return Contract.from_yaml(CONFIG / "panda_avoid.yaml")


BAGS = {
    no_command: r"bag has no topic '/arm/target', there are /arm/state",
    topic_misspelt: r"bag has no topic '/arm/stat', there are /arm/state, /arm/target",
    wheel_not_ignored: r"not declared \['wheel'\]",
    number_not_finite: r"state arm/panda_joint7 of frame \d+ is nan",
    message_cut: r"/arm/state: message \d+ is no readable sensor_msgs",
    declared_in_radians: r"bag: state of panda_joint\d is .* another unit",
    velocities_only: r"/arm/state has no message with positions of every declared joint",
    another_rate: r"frames come 20 times a second, the source declares 30",
    states_stop: r"joint_state was silent for 0\.\d+ s from 0\.99 s on",
    commands_pause: r"frames are missing after frame",
    no_stamps: r"the state has messages without a stamp: declare time: receive",
    another_type: r"/said is of type std_msgs/msg/String",
    one_bag_more_declared: r"holds 1 bags, the source declares 2",
}


@pytest.mark.parametrize("spoil", BAGS, ids=lambda spoil: spoil.__name__)
def test_a_bad_bag_is_told_in_one_sentence(tmp_path, contract, capsys, spoil: Callable):
    messages = foreign_messages(contract, seconds=2.0)
    source = foreign_declaration(contract, tmp_path)
    raw = yaml.safe_load(source.read_text())
    spoil(messages, raw)
    source.write_text(yaml.safe_dump(raw))
    write_bag(tmp_path / "bag", "mcap", messages)
    refused(tmp_path, contract, source, tmp_path / "bag", capsys, BAGS[spoil])


def cut_in_half(bag: Path) -> None:
    (file,) = [one for one in bag.iterdir() if one.suffix in (".mcap", ".db3")]
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def emptied(bag: Path) -> None:
    (file,) = [one for one in bag.iterdir() if one.suffix in (".mcap", ".db3")]
    file.write_bytes(b"")


def garbled(bag: Path) -> None:
    (file,) = [one for one in bag.iterdir() if one.suffix in (".mcap", ".db3")]
    content = bytearray(file.read_bytes())
    content[64:4096] = bytes(len(content[64:4096]))
    file.write_bytes(content)


def file_gone(bag: Path) -> None:
    (file,) = [one for one in bag.iterdir() if one.suffix in (".mcap", ".db3")]
    file.unlink()


def metadata_of_nothing(bag: Path) -> None:
    (bag / "metadata.yaml").write_text("nothing: 1\n")


def compressed_as_a_whole(bag: Path) -> None:
    path = bag / "metadata.yaml"
    raw = yaml.safe_load(path.read_text())
    raw["rosbag2_bagfile_information"] |= {"compression_mode": "FILE", "compression_format": "zstd"}
    path.write_text(yaml.safe_dump(raw))


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize(
    ("damage", "pattern"),
    [
        (cut_in_half, r"is no readable rosbag2|no readable sensor_msgs"),
        (emptied, "is no readable rosbag2|has no topic"),
        (garbled, r"is no readable rosbag2|has no topic|has \d+ messages, 0 are there"),
        (file_gone, "is no readable rosbag2"),
        (metadata_of_nothing, "is no readable metadata of a bag"),
        (compressed_as_a_whole, "compressed by file.*ros2 bag convert"),
    ],
)
def test_a_damaged_bag_is_told_in_one_sentence(
    tmp_path, contract, capsys, storage, damage, pattern
):
    write_bag(tmp_path / "bag", storage, foreign_messages(contract, seconds=1.0))
    damage(tmp_path / "bag")
    source = foreign_declaration(contract, tmp_path)
    refused(tmp_path, contract, source, tmp_path / "bag", capsys, pattern)


@pytest.mark.parametrize("compression", ["zstd", "lz4"])
def test_a_chunk_that_unpacks_to_more_than_it_says_is_refused(
    tmp_path, contract, capsys, compression
):
    packed = {"zstd": zstandard.compress, "lz4": lz4.frame.compress}[compression](bytes(1 << 24))
    kind = compression.encode()
    chunk = struct.pack("<QQQII", 0, 0, 100, 0, len(kind)) + kind
    chunk += struct.pack("<Q", len(packed)) + packed
    magic = b"\x89MCAP0\r\n"
    (tmp_path / "bomb.mcap").write_bytes(magic + struct.pack("<BQ", 6, len(chunk)) + chunk + magic)
    source = foreign_declaration(contract, tmp_path)
    refused(tmp_path, contract, source, tmp_path / "bomb.mcap", capsys, "unpacks to more than it")


def test_a_database_that_is_none_of_ros_is_told(tmp_path, contract, capsys):
    with sqlite3.connect(tmp_path / "x.db3") as database:
        database.execute("create table notes (text)")
    source = foreign_declaration(contract, tmp_path)
    refused(tmp_path, contract, source, tmp_path / "x.db3", capsys, "is no readable rosbag2")
