"""Cameras that change places between two episodes while their topics and frames stay."""

from __future__ import annotations

import numpy as np
import pytest
from pictures import camera, contract_with, end_of, feed_cameras, recorder_with
from recordings import SECOND, STARTED, feed

from vdd_ros.camera_swap import alike, last_with_cameras
from vdd_ros.cdr import image_cdr

SECONDS = 1.0
TWO = contract_with({"front": camera("front"), "wrist": camera("wrist", width=40, height=40)})


def view(place: str, one, time_ns: int) -> np.ndarray:
    """(height, width, 3): from a table, bright below, or from a hand, bright at the right; with
    noise."""
    rows, columns = np.mgrid[: one.height, : one.width]
    levels = rows / one.height if place == "table" else columns / one.width
    noise = np.random.default_rng(time_ns).integers(0, 20, (one.height, one.width, 3))
    return (200 * levels[:, :, None] + noise).astype(np.uint8)


def record(folder, front: str, wrist: str) -> list[str]:
    """Save an episode in which cameras are at these places; what its verdict says of a swap."""
    recorder = recorder_with(TWO, folder)
    recorder.start(SECOND, STARTED)
    feed(recorder, SECOND, SECONDS)
    shown = {
        name: lambda one, now, place=place: image_cdr(one, view(place, one, now), now)
        for name, place in (("front", front), ("wrist", wrist))
    }
    feed_cameras(recorder, SECOND, SECONDS, **shown)
    recorder.stop(end_of(SECONDS))
    reasons = [reason for reason in recorder.verdict.reasons if "swapped" in reason]
    recorder.save(end_of(SECONDS))
    return reasons


def test_cameras_that_changed_places_are_told_by_what_they_show(tmp_path):
    assert record(tmp_path, "table", "hand") == []
    assert record(tmp_path, "table", "hand") == []
    last = last_with_cameras(tmp_path).name
    assert record(tmp_path, "hand", "table") == [
        f"front shows what wrist showed in {last}, and wrist what front did: are two cameras "
        "swapped? (WARN)"
    ]
    assert record(tmp_path, "hand", "table") == [], "as in the episode before"


@pytest.mark.parametrize("places", [("table", "table"), ("hand", "hand")])
def test_a_camera_that_alone_shows_something_else_is_no_swap(tmp_path, places):
    record(tmp_path, "table", "hand")
    assert record(tmp_path, *places) == []


def test_an_episode_that_cannot_be_read_is_compared_with_nothing(tmp_path):
    record(tmp_path, "table", "hand")
    last = last_with_cameras(tmp_path)
    (bag,) = (last / "cameras").glob("*.mcap")
    bag.write_bytes(bag.read_bytes()[:100])
    assert record(tmp_path, "hand", "table") == []


def test_likeness_is_a_correlation():
    one = np.array([0.0, 1.0, 2.0])
    assert alike(one, 7.0 + 3.0 * one) == pytest.approx(1.0)
    assert alike(one, -one) == pytest.approx(-1.0)
    assert alike(one, np.ones(3)) == 0.0
