"""What is said of cameras before anybody saves: each finding by pictures made for it."""

from __future__ import annotations

import numpy as np
import pytest
from pictures import camera, contract_with, end_of, feed_cameras, recorded, recorder_with, scene
from recordings import SECOND, STARTED, feed, joint_state_cdr, position_at

from vdd_ros.camera_images import CameraImages, camera_bag
from vdd_ros.camera_judgement import judge_cameras
from vdd_ros.camera_verdict import looks
from vdd_ros.camera_writer import CamerasClosed
from vdd_ros.cdr import image_cdr
from vdd_ros.demo_recorder import DemoRecorder
from vdd_ros.episode import Episode, EpisodeStore
from vdd_ros.fitness import judged_anew, verdict_of

SECONDS = 3.0
ONE = {"front": camera("front")}


def reasons(tmp_path, contract=None, moving: bool = True, **more) -> list[str]:
    """Of a recording of a camera, whose `front` is spoilt as told."""
    contract = contract or contract_with(ONE)
    recorder = recorder_with(contract, tmp_path)
    recorder.start(SECOND, STARTED)
    if moving:
        feed(recorder, SECOND, SECONDS)
    else:
        for tick in range(int(SECONDS * 200)):
            now = SECOND + tick * 5_000_000
            recorder.add("joint_state", joint_state_cdr(now, position_at(0)), now + 300_000)
    feed_cameras(recorder, SECOND, SECONDS, **more)
    recorder.stop(end_of(SECONDS))
    return [one for one in recorder.verdict.reasons if one.startswith(("front", "wrist", "images"))]


def frame(one, time_ns: int, **shown) -> bytes:
    return image_cdr(one, scene(one, shown.get("at", time_ns)), time_ns)


def late(seconds: float) -> int:
    return SECOND + int(seconds * SECOND)


def test_good_pictures_say_nothing(tmp_path):
    assert reasons(tmp_path, contract_with()) == []


def test_a_camera_that_never_speaks_is_a_fail(tmp_path):
    assert reasons(tmp_path, front=lambda *_: None) == ["front has no picture (front/image) (FAIL)"]


def test_an_unplugged_camera_is_silent_from_then_on(tmp_path):
    found = reasons(tmp_path, front=lambda one, now: frame(one, now) if now < late(2.0) else None)
    assert found == ["front was silent for 1.028 s from 1.97 s on (at most 0.2) (FAIL)"]


def test_half_the_pictures_are_told(tmp_path):
    def every_other(one, now):
        return frame(one, now) if round((now - SECOND) * 30 / SECOND) % 2 == 0 else None

    (reason,) = reasons(tmp_path, front=every_other)
    assert reason == "front came at 15.0 Hz instead of 30 (WARN)"


def test_pictures_that_are_old_when_they_come_are_told(tmp_path):
    told = reasons(tmp_path, front=lambda one, now: frame(one, now - SECOND // 2, at=now))
    reason, skew = told
    assert skew.startswith("front comes 0.505 s later after its stamp than joint_state")
    assert reason.startswith("front is received 0.505 s after its stamp")


def test_lost_pictures_are_told(tmp_path):
    recorder = recorder_with(contract_with(ONE), tmp_path)
    recorder.start(SECOND, STARTED)
    feed(recorder, SECOND, 1.0)
    feed_cameras(recorder, SECOND, 1.0)
    recorder.cameras.add_lost("front", 3)
    assert "front lost 3 pictures on the way (WARN)" in recorder.stop(end_of(1.0))
    recorder.save(end_of(1.0))


@pytest.mark.parametrize(
    ("encoding", "said"),
    [
        ({"width": 64}, "rgb8 of 64x24 came instead of rgb8 of 32x24"),
        ({"encoding": "bgr8"}, "bgr8 of 32x24 came instead of rgb8 of 32x24"),
    ],
)
def test_another_size_or_encoding_is_told_once(tmp_path, encoding, said):
    (other,) = contract_with({"front": camera("front") | encoding}).cameras.values()
    (reason,) = reasons(tmp_path, front=lambda _, now: frame(other, now))
    assert reason == f"front has 13 of 13 pictures that cannot be used: {said} (FAIL)"


def test_one_damaged_picture_is_a_warning(tmp_path):
    jpeg = contract_with({"front": camera("front", "jpeg")})

    def damaged(one, now):
        data = frame(one, now)
        return data[:200] + bytes(len(data) - 200) if now == SECOND else data

    (reason,) = reasons(tmp_path, jpeg, front=damaged)
    assert reason.startswith("front has 1 of 13 pictures that cannot be used: ")
    assert reason.endswith("(FAIL)")  # one of thirteen is more than a twentieth
    patient = contract_with({"front": camera("front", "jpeg")}, spoilt=0.1)
    (reason,) = reasons(tmp_path, patient, front=damaged)
    assert reason.endswith("(WARN)")


@pytest.mark.parametrize(("level", "said"), [(0, "is black"), (90, "shows nothing")])
def test_a_covered_lens_is_told(tmp_path, level, said):
    rng = np.random.default_rng(0)

    def nothing(one, now):
        noise = rng.integers(0, 3, (one.height, one.width, 3))
        return image_cdr(one, (level + noise).astype(np.uint8), now)

    (reason,) = reasons(tmp_path, front=nothing)
    assert reason.startswith(f"front {said} in 13 of 13 pictures looked at (at most 5%)")
    assert reason.endswith("(FAIL)")


def test_a_frozen_camera_is_a_fail_while_the_arm_moves(tmp_path):
    def frozen(one, now):
        return frame(one, now, at=min(now, late(1.0)))

    (reason,) = reasons(tmp_path / "moving", front=frozen)
    assert reason == "front stood still for 2.0 s while the arm moved: is it frozen? (FAIL)"
    assert reasons(tmp_path / "standing", moving=False, front=frozen) == []
    patient = contract_with(ONE, frozen_s=2.5)
    assert reasons(tmp_path / "patient", patient, front=frozen) == []


def test_pictures_that_hardly_change_are_a_warning(tmp_path):
    def nearly(one, now):
        picture = scene(one, 0)
        picture[0, 0, 0] = now // 30_000_000 % 5  # one pixel's red
        return image_cdr(one, picture, now)

    (reason,) = reasons(tmp_path, front=nearly)
    assert reason.startswith("front hardly changed for 2.9") or "hardly changed for 3.0" in reason
    assert reason.endswith("does it see the arm? (WARN)")


def test_cameras_that_are_swapped_are_known_by_their_frames(tmp_path):
    two = contract_with({"front": camera("front"), "wrist": camera("wrist")})
    front, wrist = two.cameras.values()
    found = reasons(
        tmp_path,
        two,
        front=lambda _, now: frame(wrist, now),
        wrist=lambda _, now: frame(front, now),
    )
    assert found == [
        f"{name} is in the frame '{other}_optical' instead of '{name}_optical': are two cameras "
        "swapped? (WARN)"
        for name, other in (("front", "wrist"), ("wrist", "front"))
    ]


def test_a_long_recording_takes_no_more_looks(tmp_path):
    recorder = recorder_with(contract_with(ONE), tmp_path)
    recorder.start(SECOND, STARTED)
    (one,) = recorder.contract.cameras.values()
    data = frame(one, 0)
    for tick in range(1000):
        recorder.cameras.add("front", data, SECOND + tick * SECOND // 2)
    part = tmp_path / ".part-episode_0001"
    recorder.cameras.stop()
    images = CameraImages(camera_bag(part, "episode_0001"), recorder.contract, "front")
    limits = recorder.contract.recording.of_images
    seen = list(looks(images, limits))
    assert len(seen) == limits.most_looks == 240 and all(look.same for look in seen[1:])
    few = limits.model_copy(update={"most_looks": 10})
    assert len(list(looks(images, few))) == 10


def test_a_camera_later_than_the_joints_is_told(tmp_path):
    """Its pictures say when they were taken, a long time before they come."""

    def old(one, now):
        return image_cdr(one, scene(one, now), now - 150_000_000)

    (reason,) = reasons(tmp_path, contract_with(), wrist=old)
    assert reason == (
        "wrist comes 0.155 s later after its stamp than joint_state (at most 0.05): is one of them "
        "late, or a clock off? (WARN)"
    )


def test_a_contract_s_camera_that_was_not_recorded_is_a_fail_unless_imported(tmp_path):
    without = DemoRecorder(contract_with(), tmp_path, "episode", "avoid")

    def told(**meta: object) -> list[str]:
        without.start(SECOND, STARTED)
        feed(without, SECOND, 1.0)
        without.annotate(meta)
        without.save(end_of(1.0))
        episode = EpisodeStore(tmp_path).load(without.name)
        assert episode.manifest.verdict == judged_anew(episode) == without.verdict
        return list(without.verdict.reasons)

    assert told() == [
        "front has no picture (front/image) (FAIL)",
        "wrist has no picture (wrist/image) (FAIL)",
    ]
    assert told(imported_from={"url": ""}) == [
        "front has no picture (front/image) (WARN)",
        "wrist has no picture (wrist/image) (WARN)",
    ]


def test_pictures_that_a_manifest_no_longer_names_are_missed(tmp_path):
    recorder = recorder_with(contract_with(ONE), tmp_path)
    recorder.start(SECOND, STARTED)
    feed(recorder, SECOND, SECONDS)
    feed_cameras(recorder, SECOND, SECONDS)
    recorder.save(end_of(SECONDS))
    episode = EpisodeStore(tmp_path).load(recorder.name)
    assert verdict_of(episode).level == "PASS"
    files = {name: one for name, one in episode.manifest.files.items() if "/" not in name}
    for update in ({"cameras": {}}, {"files": files}):
        lacking = Episode(episode.manifest.model_copy(update=update), episode.streams)
        assert verdict_of(lacking).level == "FAIL"
        assert "front has no picture" in str(verdict_of(lacking))


def test_pictures_that_cannot_be_read_back_are_a_fail_of_each_camera(tmp_path):
    contract = contract_with()
    recorded(contract, tmp_path).save(end_of(1.0))
    streams = EpisodeStore(tmp_path).load("episode_0001").streams
    path = camera_bag(tmp_path / "episode_0001", "episode_0001")
    closed, times = CamerasClosed({}, None), (SECOND, end_of(1.0))
    sound = judge_cameras(contract, path, closed, streams, *times)
    assert list(sound.summaries) == ["front", "wrist"] and sound.findings == ()
    path.write_bytes(path.read_bytes()[:-100])
    found = judge_cameras(contract, path, closed, streams, *times)
    assert not found.summaries and [one.level for one in found.findings] == ["FAIL", "FAIL"]
    for name, one in zip(sound.summaries, found.findings, strict=True):
        assert one.reason.startswith(f"{name} cannot be judged: {path} ")
