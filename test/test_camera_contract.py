"""Cameras of a contract: what is refused, and what they tie a policy to, which is nothing yet."""

from __future__ import annotations

import pytest
import yaml
from pictures import camera, contract_with
from raw_contracts import changed
from recordings import CONTRACT

from vdd_ros import cli
from vdd_ros.contract import Contract

REFUSED = {
    "unknown key": ("front.colour", "red", ["unknown key 'cameras.front.colour'"]),
    "no size": ("front.width", None, ["missing 'cameras.front.width'"]),
    "a size that cannot be": ("front.height", 100_000, ["cameras.front.height", "16384"]),
    "more than can be kept": ("front.height", 16384, ["16384x16384", "at most 40 million"]),
    "an encoding of files": ("front.encoding", "jpeg", ["jpeg is no encoding of", "rgb8, bgr8"]),
    "an encoding of pixels": ("wrist.encoding", "rgb8", ["rgb8 is no encoding", "jpeg, png"]),
    "another type": ("front.type", "sensor_msgs/msg/JointState", ["cameras.front.type"]),
    "no rate": ("front.rate_hz", 0.0, ["cameras.front.rate_hz", "greater than 0"]),
    "no topic": ("front.topic", "a-b", ["cameras.front.topic: a topic is words of letters"]),
    "a stream's topic": ("front.topic", "joint_states", ["is on /joint_states, and so is joi"]),
    "another's topic": ("front.topic", "/wrist/image", ["is on /wrist/image, and so is"]),
    "a topic twice": ("front.camera_info", "front/image", ["is on /front/image, and so is front"]),
}  # fmt: skip


@pytest.mark.parametrize(("place", "value", "said"), REFUSED.values(), ids=list(REFUSED))
def test_a_bad_camera_ends_in_one_sentence_and_exit_code_2(tmp_path, capsys, place, value, said):
    raw = contract_with().to_dict()
    raw["cameras"]["front"]["width"] = 16384 if value == 16384 else 32
    path = tmp_path / "contract.yaml"
    path.write_text(yaml.safe_dump(changed(raw, f"cameras.{place}", value)))
    assert cli.main(["contract", "show", str(path)]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count("\n") == 1
    assert printed.err.startswith(f"vdd: {path}: ")
    for words in said:
        assert words in printed.err


def test_names_of_cameras_are_their_own():
    with pytest.raises(Exception, match="camera joint_state has the name of a stream"):
        contract_with({"joint_state": camera("front")})
    with pytest.raises(Exception, match="a name is of small letters"):
        contract_with({"Front camera": camera("front")})


def test_pictures_that_are_compressed_are_not_compressed_again():
    with pytest.raises(Exception, match="pictures of wrist are compressed already: write none"):
        contract_with(compression="lz4")
    raw_only = contract_with({"front": camera("front")}, compression="lz4")
    assert raw_only.recording.of_images.compression == "lz4"


def test_a_contract_with_cameras_has_the_same_interface_and_another_hash():
    seeing = contract_with()
    assert seeing.interface_hash == CONTRACT.interface_hash
    assert seeing.contract_hash != CONTRACT.contract_hash
    assert Contract.from_dict(seeing.to_dict()) == seeing
    assert "cameras" not in CONTRACT.to_dict(), "one without is what it was before there were any"


def test_the_example_is_shown_with_its_cameras(contract_path, capsys):
    example = contract_path.with_name("panda_cameras.yaml")
    assert Contract.from_yaml(example).interface_hash == CONTRACT.interface_hash
    assert cli.main(["contract", "show", str(example)]) == 0
    shown = capsys.readouterr().out
    assert "front/image_raw" in shown and "jpeg 640x480" in shown
