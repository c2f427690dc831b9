"""recorder_node with cameras: pictures from another process, and what becomes of joints without."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import yaml
from diagnostic_msgs.msg import DiagnosticArray
from harness import Observer, free_domain, running, running_node, wait_for
from pictures import contract_with
from std_srvs.srv import Trigger
from test_recorder_node import Robot, done

from vdd_ros.episode import EpisodeStore
from vdd_ros.nodes.bench_sources import messages_of
from vdd_ros.nodes.recorder_node import remapped_topics
from vdd_ros.recovery import recover

PUBLISHER = Path(__file__).with_name("camera_publisher.py")


@pytest.fixture
def contract(tmp_path) -> Path:
    """Small pictures, and patience: this is about who is there, not about time."""
    raw = contract_with().to_dict()
    for camera in raw["cameras"].values():
        camera |= {"reliability": "reliable", "rate_hz": 20.0, "max_age_s": 1.0}
    raw["streams"]["joint_state"]["max_age_s"] = 60.0
    path = tmp_path / "contract.yaml"
    path.write_text(yaml.safe_dump(raw))
    return path


@pytest.fixture
def ros():
    with free_domain() as domain, Observer(domain) as observer:
        yield observer, domain


@contextmanager
def cameras(domain: int, contract: Path):
    with running([sys.executable, str(PUBLISHER), str(contract)], domain) as process:
        yield process
        process.end(signal.SIGKILL)  # it has no other end


def recorder_node(domain: int, demos: Path, contract: Path):
    return running_node("recorder_node", domain, {"contract": contract, "directory": demos})


def image_process(recorder) -> int:
    pid = recorder.process.pid
    (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(child)


def written(demos: Path, name: str) -> int:
    """Bytes of pictures of a recording that is going on."""
    return sum(file.stat().st_size for file in demos.glob(f".part-{name}/cameras/*.mcap"))


def wait_for_pictures(observer: Observer, demos: Path, name: str, robot: Robot) -> None:
    """Until some have been written, while the arm moves."""
    begun = written(demos, name)

    def more():
        robot.move(0.2)
        return written(demos, name) > begun

    wait_for(more, "pictures in the file")


def test_an_episode_has_pictures_as_long_as_there_are_any(ros, contract, tmp_path):
    observer, domain = ros
    demos = tmp_path / "demos"
    health = observer.listen(DiagnosticArray, "/diagnostics")
    with recorder_node(domain, demos, contract) as recorder:
        robot = Robot(observer)
        with cameras(domain, contract) as publisher:
            wait_for(lambda: rate_of(health, "front_hz") > 0, "pictures to come")
            assert done(observer, "start") == "recording episode_0001"
            wait_for_pictures(observer, demos, "episode_0001", robot)
            done(observer, "save")

            done(observer, "start")
            wait_for_pictures(observer, demos, "episode_0002", robot)
            publisher.end(signal.SIGKILL)
            robot.move(1.5)
            told = done(observer, "stop")
            assert "front was silent for" in told
            done(observer, "save")

        with cameras(domain, contract):
            wait_for(lambda: rate_of(health, "front_hz") > 0, "pictures to come")
            done(observer, "start")
            wait_for_pictures(observer, demos, "episode_0003", robot)
            os.kill(first := image_process(recorder), signal.SIGKILL)
            wait_for(
                lambda: "images of episode_0003 are missing from now on" in recorder.output,
                "what became of the images to be said",
            )
            robot.move(1.5)
            told = done(observer, "stop")
            assert "images are missing from" in told and "ended (signal 9)" in told
            done(observer, "save")

            wait_for(
                lambda: observer.call(Trigger, "/recorder_node/start").success, "another process"
            )
            assert image_process(recorder) != first
            wait_for_pictures(observer, demos, "episode_0004", robot)
            done(observer, "discard")
    store = EpisodeStore(demos)
    assert store.list() == ("episode_0001", "episode_0002", "episode_0003")
    for name in store.list():
        store.check_images(name)
        episode = store.load(name)
        last_ns = episode.images("front").received_ns[-1]
        joints_ns = episode.streams["joint_state"].received_ns
        if name != name_of(1):
            assert (joints_ns > last_ns).sum() > 100, "joints go on"
    sent = {name: messages_of(store.load(name_of(1)).contract, name) for name in ("front", "wrist")}
    for name, messages in sent.items():
        images = store.load(name_of(1)).images(name)
        assert (np.diff(images.stamps_ns) > 0).all()
        came = {images.message(number)[12:] for number in range(len(images))}
        # the middleware sends whole words
        padded = {bytes(one[12:]).ljust(-len(one) // 4 * -4 - 12, b"\0") for one in messages}
        assert came <= padded, "all but the stamp is as it was sent"


def name_of(number: int) -> str:
    return f"episode_{number:04d}"


def rate_of(health: list, key: str) -> float:
    """What the recorder last told."""
    statuses = [one for message in health for one in message.status if one.name == "recorder_node"]
    found = [float(item.value) for one in statuses[-1:] for item in one.values if item.key == key]
    return found[-1] if found else 0.0


def test_topics_that_are_renamed_for_the_recorder_are_for_its_cameras():
    words = ["recorder_node", "--ros-args", "-r", "__node:=other", "-p", "task:=x"]
    words += ["-r", "front/image:=cam/image", "--remap", "a:=b"]
    assert remapped_topics(words) == ["-r", "front/image:=cam/image", "-r", "a:=b"]


def test_what_a_killed_recorder_left_is_set_aside_with_its_pictures(ros, contract, tmp_path):
    observer, domain = ros
    demos = tmp_path / "demos"
    with (
        recorder_node(domain, demos, contract) as recorder,
        cameras(domain, contract),
    ):
        robot = Robot(observer)
        done(observer, "start")
        wait_for_pictures(observer, demos, "episode_0001", robot)
        recorder.end(signal.SIGKILL)
        (left,) = recover(demos)
    assert left.images > 0 and left.messages > 0
    assert (left.path / "cameras" / "metadata.yaml").is_file()
