"""Pictures as a policy sees them: the same pixels for training and live, and the right ones."""

from __future__ import annotations

import numpy as np
import pytest
from pictures import RATE_HZ, camera
from recordings import SECOND, position_at
from seeing import photograph, record_seen, seeing

from vdd_ros.cdr import image_cdr
from vdd_ros.contract import Contract
from vdd_ros.contract_cameras import Camera
from vdd_ros.contract_images import ObservedImage
from vdd_ros.episode import EpisodeStore
from vdd_ros.errors import UserError
from vdd_ros.image_fit import fitted
from vdd_ros.images import decode_image
from vdd_ros.replay import replay_windows
from vdd_ros.stream import Aligner

MS = 1_000_000


def one_image(width: int, height: int, crop: dict | None = None) -> ObservedImage:
    return ObservedImage(name="front", camera="front", crop=crop, width=width, height=height)


def triangle(size: int, to: int) -> np.ndarray:
    """(to, size) weights: a triangle over each new pixel's middle, twice as wide as it."""
    scale = size / to
    middles = (np.arange(to) + 0.5) * scale
    weights = np.maximum(0.0, 1.0 - np.abs(np.arange(size) + 0.5 - middles[:, None]) / scale)
    return weights / weights.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(("width", "height"), [(40, 30), (32, 24), (23, 17), (80, 8)])
def test_a_smaller_picture_is_the_weighted_mean_of_what_it_covers(width, height):
    view = Camera(**camera("front", width=80, height=60))
    pixels = photograph(view, SECOND)
    rows, columns = triangle(60, height), triangle(80, width)
    wanted = np.einsum("ij,jkc,lk->ilc", rows, pixels.astype(float), columns)
    found = fitted(pixels, view, one_image(width, height))
    assert found.shape == (height, width, 3) and found.dtype == np.uint8
    # rounded to whole numbers twice, after the columns and after the rows
    assert np.abs(found - wanted).max() <= 1.1


def test_a_part_of_its_own_size_is_left_as_it_is():
    view = Camera(**camera("front", width=80, height=60))
    pixels = photograph(view, SECOND)
    crop = {"left": 7, "top": 3, "width": 40, "height": 30}
    found = fitted(pixels, view, one_image(40, 30, crop))
    np.testing.assert_array_equal(found, pixels[3:33, 7:47])


@pytest.mark.parametrize("shape", [(60, 81, 3), (60, 80), (80, 60, 3)])
def test_another_size_is_refused(shape):
    view = Camera(**camera("front", width=80, height=60))
    with pytest.raises(UserError, match="front is made of 80x60 pixels of three bytes; uint8 of"):
        fitted(np.zeros(shape, np.uint8), view, one_image(40, 30))
    with pytest.raises(UserError, match="float64 of shape"):
        fitted(np.zeros((60, 80, 3)), view, one_image(40, 30))


def test_training_and_robot_see_the_same_pixels(tmp_path):
    """Parts of a photograph over the wire, raw and as JPEG: kept in a recording and looked up by
    replay, and decoded and fitted as they arrive, by the rules of the live window."""
    contract = seeing()
    record_seen(contract, tmp_path, 1.0)
    episode = EpisodeStore(tmp_path, contract).load("episode_0001")
    cameras = {name: episode.images(name) for name in contract.cameras}
    ticks = SECOND + np.arange(-5, 100) * 10 * MS
    replayed = replay_windows(contract, episode.streams, ticks, 2, cameras)
    live = live_windows(contract, ticks)
    assert sum(window is not None for window in live) > 90
    seen = set()
    for tick, one, other in zip(ticks, live, replayed, strict=True):
        assert (one is None) == (other is None), tick
        if one is None or other is None:
            continue
        np.testing.assert_array_equal(one.image_ages_ns, other.image_ages_ns)
        for image, shown, found in zip(contract.images, one.images, other.images, strict=True):
            pictures = cameras[image.camera]
            filed = fitted(pictures.picture(found.value).pixels, pictures.camera, image)
            np.testing.assert_array_equal(shown.value, filed)
            assert (shown.stamp_ns, shown.received_ns) == (found.stamp_ns, found.received_ns)
            seen.add((image.name, found.value))
    # the first picture of a camera holds from its arrival on, the last ones are too new to be seen
    assert len(seen) >= 2 * (RATE_HZ - 2)


def live_windows(contract, ticks):
    """As a node has it: every message is taken when it arrives."""
    aligner = Aligner(contract, 2)
    arrivals = [(SECOND + k * 5 * MS + 300_000, "joint_state", k * 5 * MS) for k in range(200)]
    for tick in range(RATE_HZ):
        now = tick * SECOND // RATE_HZ
        arrivals += [(SECOND + now + 5 * MS, name, now) for name in contract.cameras]
    arrivals.sort()
    windows, fed = [], 0
    for tick in map(int, ticks):
        while fed < len(arrivals) and arrivals[fed][0] <= tick:
            received, name, since = arrivals[fed]
            stamp, fed = SECOND + since, fed + 1
            if name == "joint_state":
                aligner.add(name, {"position": position_at(stamp)}, stamp, received)
                continue
            view = contract.cameras[name]
            pixels = decode_image(view, image_cdr(view, photograph(view, stamp), stamp))
            for image in contract.images:
                if image.camera == name:
                    aligner.add_image(image.name, fitted(pixels, view, image), stamp, received)
        windows.append(aligner.window(tick))
    return windows


def test_no_window_without_a_picture_and_a_repeated_stamp_is_counted():
    contract = seeing()
    aligner = Aligner(contract, 1)
    aligner.add("joint_state", {"position": position_at(SECOND)}, SECOND, SECOND)
    assert aligner.add_image("front", 0, SECOND, SECOND)
    assert aligner.window(SECOND + 100 * MS) is None, "the hand has seen nothing yet"
    assert aligner.add_image("hand", 0, SECOND + 90 * MS, SECOND + 95 * MS)
    assert not aligner.add_image("hand", 1, SECOND + 90 * MS, SECOND + 97 * MS)
    window = aligner.window(SECOND + 100 * MS)
    assert window is not None and window.image_ages_ns.tolist() == [100 * MS, 10 * MS]
    assert aligner.refused == "hand: repeated 1"


def test_stamps_that_are_known_to_be_late_count_as_earlier():
    raw = seeing().to_dict()
    late = Contract.from_dict(raw | {"latency": {"stamp_s": {"wrist": 0.02}}})
    aligner = Aligner(late, 1)
    aligner.add("joint_state", {"position": position_at(SECOND)}, SECOND, SECOND)
    for name in ("front", "hand"):
        aligner.add_image(name, 0, SECOND, SECOND)
    window = aligner.window(SECOND + 10 * MS)
    assert window is not None and window.image_ages_ns.tolist() == [10 * MS, 30 * MS]
