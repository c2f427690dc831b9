"""Images of a contract: what is refused, what they tie a policy to, and what recordings need."""

from __future__ import annotations

import pytest
import yaml
from pictures import camera
from raw_contracts import changed
from recordings import CONTRACT
from seeing import CROP, HEIGHT, IMAGES, WIDTH, seeing

from vdd_ros import cli
from vdd_ros.contract import Contract
from vdd_ros.errors import UserError

SEEING = seeing()
REFUSED = {
    "no such camera": ("0.camera", "side", ["of camera 'side'; declared are front, wrist"]),
    "an unknown key": ("0.size", 24, ["unknown key 'images.0.size'"]),
    "a crop that is too wide": ("0.crop.width", 79, ["crop of image front reaches to 89, 52"]),
    "an image that is enlarged": ("1.width", 96, ["hand is 96x24, larger than the 80x60"]),
    "an image of nothing": ("1.height", 0, ["images.1.height", "greater than or equal to 8"]),
    "a name twice": ("1.name", "front", ["names of images repeat"]),
    "a delay that is none": ("0.delay_s", -1.0, ["images.0.delay_s"]),
}


@pytest.mark.parametrize(("place", "value", "said"), REFUSED.values(), ids=list(REFUSED))
def test_a_bad_image_ends_in_one_sentence_and_exit_code_2(tmp_path, capsys, place, value, said):
    path = tmp_path / "contract.yaml"
    path.write_text(yaml.safe_dump(changed(SEEING.to_dict(), f"images.{place}", value)))
    assert cli.main(["contract", "show", str(path)]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count("\n") == 1
    for words in said:
        assert words in printed.err


def test_images_are_part_of_the_interface_and_one_without_is_what_it_was():
    assert SEEING.interface_hash != CONTRACT.interface_hash
    assert Contract.from_dict(SEEING.to_dict()) == SEEING
    assert "images" not in CONTRACT.to_dict()
    # of panda_avoid.yaml before contracts had images
    assert CONTRACT.interface_hash.startswith("185fb9dc938c")
    assert SEEING.observation_dim == CONTRACT.observation_dim, "numbers are counted, not pixels"


SAME_VIEW = {"topic": "/elsewhere", "rate_hz": 15.0, "encoding": "bgr8", "max_age_s": 0.5}


@pytest.mark.parametrize("place", SAME_VIEW)
def test_how_pictures_arrive_is_not_part_of_the_interface(place):
    other = Contract.from_dict(
        changed(SEEING.to_dict(), f"cameras.front.{place}", SAME_VIEW[place])
    )
    assert other.interface_hash == SEEING.interface_hash
    assert other.contract_hash != SEEING.contract_hash


OTHER_VIEW = {
    "images.0.crop.left": 11, "images.0.width": 23, "images.0.delay_s": 0.0, "images.1.name": "eye",
    "cameras.front.width": 90, "cameras.front.frame": "side", "cameras.front.encoding": "mono8",
}  # fmt: skip


@pytest.mark.parametrize("place", OTHER_VIEW)
def test_what_is_seen_is(place):
    other = Contract.from_dict(changed(SEEING.to_dict(), place, OTHER_VIEW[place]))
    with pytest.raises(UserError, match=r"they differ in images: use"):
        SEEING.require_same_interface(other, "bundle b")


def test_recordings_need_the_cameras_and_not_the_images():
    with_cameras = Contract.from_dict(changed(SEEING.to_dict(), "images"))
    other_crop = seeing([IMAGES[0] | {"crop": CROP | {"left": 0}}])
    for recorded in (with_cameras, other_crop):
        SEEING.require_same_recording(recorded, "episode e")
        recorded.require_same_recording(SEEING, "episode e")
    CONTRACT.require_same_recording(SEEING, "episode e")


def test_recordings_without_the_cameras_are_refused():
    with pytest.raises(UserError, match="episode e lacks .*no camera front; no camera wrist"):
        SEEING.require_same_recording(CONTRACT, "episode e")
    other = seeing(IMAGES[1:], front=camera("front", width=32, height=24))
    with pytest.raises(UserError, match="camera_width 32 of camera front instead of 80"):
        SEEING.require_same_recording(other, "episode e")
    swapped = seeing(front=camera("wrist", width=WIDTH, height=HEIGHT) | {"topic": "front/image"})
    with pytest.raises(UserError, match="camera_frame wrist_optical of camera front instead of"):
        SEEING.require_same_recording(swapped, "episode e")


def test_images_are_shown_beside_their_cameras(tmp_path, capsys):
    path = tmp_path / "contract.yaml"
    path.write_text(yaml.safe_dump(SEEING.to_dict()))
    assert cli.main(["contract", "show", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "10,4 to 74,52" in shown and "24x20" in shown and "0,0 to 80,60" in shown
