"""A public dataset with the videos that its authors recorded, where they are there."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from exported_data import CONFIG, episodes_in, public_data

from vdd_ros.contract import Contract
from vdd_ros.datasets.importing import check, read, write
from vdd_ros.datasets.recording import OneAtATime
from vdd_ros.datasets.source import Source

KEY = "observation.images.cam_high"
VIDEO = f"videos/chunk-000/{KEY}/episode_000000.mp4"


@pytest.fixture(scope="module")
def seen() -> tuple[Path, Source, Contract]:
    """The dataset as config/sources/ declares it, and its camera."""
    source = Source.from_yaml(CONFIG / "sources" / "g1_bottle.yaml")
    data = public_data(source)
    if not (data / VIDEO).exists():
        pytest.skip(f"no {data / VIDEO}: the dataset is here without its videos")
    layout = source.format.model_copy(update={"images": {"head": KEY}})
    source = source.model_copy(update={"format": layout, "episodes": None})
    return data, source, Contract.from_yaml(CONFIG / "g1_bottle_images.yaml")


def test_pictures_of_people_s_demonstrations_are_those_of_their_video(seen, tmp_path):
    data, source, contract = seen
    first = OneAtATime(1, read(data, source).__getitem__)
    write(check(first, source, contract), source, contract, tmp_path / "episodes")
    (episode,) = episodes_in(tmp_path / "episodes")
    images = episode.images("head")
    assert str(episode.manifest.verdict) == "PASS" and "not_read" not in episode.manifest.meta
    assert images.stamps_ns.tolist() == episode.streams["joint_state"].stamps_ns.tolist()
    with av.open(str(data / VIDEO)) as file:
        decoded = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
    assert len(decoded) == len(images)
    for at in range(0, len(images), 20):
        # what a JPEG of high quality changes; a neighbour differs by more
        assert np.abs(images[at].pixels.astype(int) - decoded[at]).mean() < 1.0
