"""Figures of `vdd bench image`, of times that are made up."""

from __future__ import annotations

import numpy as np
import pytest
from bundles import student_bundle
from recordings import CONTRACT
from seeing import seeing

from vdd_ros import cli
from vdd_ros.commands.bench.image import patient, row_of
from vdd_ros.timing import Timing

STATE = {
    "camera_front_ready_p50_ms": "3.5",
    "camera_front_ready_p99_ms": "6",
    "camera_front_encode_p50_ms": "2.9",
    "camera_front_encode_p99_ms": "4",
    "camera_front_seen": "600",
    "camera_front_dropped": "2",
}


def row_with(encoder_us: float) -> dict:
    calls = {"encoder": encoder_us, "whole": 3000.0}
    alone = {name: Timing(np.full((2, 5), us), 3) for name, us in calls.items()}
    return row_of("front", alone, STATE, np.full(50, 250.0))


def test_image_to_command_is_both_ways_and_compared_with_the_encoder_alone():
    row = row_with(2800.0)
    assert row["image_to_command_p50_ms"] == pytest.approx(3.75)
    assert row["image_to_command_p99_ms"] == pytest.approx(6.25)
    assert row["over_encoder_p50_ms"] == pytest.approx(0.95) and row["reached"]
    assert (row["encoder_in_run_p50_ms"], row["encoder_in_run_p99_ms"]) == (2.9, 4.0)
    assert (row["pictures"], row["dropped"]) == (600, 2)
    assert not row_with(2700.0)["reached"]


def test_only_observed_cameras_are_shown_and_may_be_late():
    contract = patient(seeing([{"name": "hand", "camera": "wrist", "width": 32, "height": 24}]))
    assert list(contract.observed_cameras) == ["wrist"] == list(contract.cameras)
    assert contract.cameras["wrist"].max_age_s == 2.0


def test_a_bundle_without_images_is_refused(tmp_path, capsys):
    blind = student_bundle(tmp_path / "blind", CONTRACT)
    assert cli.main(["bench", "image", "--bundle", str(blind.folder)]) == 2
    assert "sees no images: name a bundle that does" in capsys.readouterr().err
