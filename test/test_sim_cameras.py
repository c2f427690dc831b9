"""Demonstrations that are seen: the simulation's cameras in the recording, drawn off screen."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import drawing
import numpy as np
import pytest
from pictures import camera
from recordings import ROOT

from vdd_ros.contract import Contract
from vdd_ros.episode import EpisodeStore
from vdd_ros.errors import UserError
from vdd_ros.policies.windows import windows_of
from vdd_ros.sim.cameras import require_drawable
from vdd_ros.sim.env import RobosuiteEnv
from vdd_ros.sim.rollout import wire

CONFIG = ROOT / "config"
TASKS = ("sort", "stack_1", "stack_2")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> EpisodeStore:
    gl = drawing.gl()
    folder: Path = tmp_path_factory.mktemp("drawn") / "episodes"
    contract = CONFIG / "panda_stack_1_images.yaml"
    given = ("--task", "stack_1", "--contract", contract, "--episodes", 1, "--one-process")
    done = drawing.vdd("record", "--out", folder, *given, gl=gl)
    assert done.returncode == 0, done.stderr
    return EpisodeStore(folder, Contract.from_yaml(contract))


@pytest.mark.parametrize("task", TASKS)
def test_tasks_in_image_form_know_the_objects_by_their_pictures_alone(task):
    contract = Contract.from_yaml(CONFIG / f"panda_{task}_images.yaml")
    blind = Contract.from_yaml(CONFIG / f"panda_{task}.yaml")
    assert contract.objects == () and contract.joint_names == blind.joint_names
    assert [image.shape for image in contract.images] == [(96, 96, 3)] * 2
    assert wire(contract, task).cameras == {"agent_view": 50_000_000, "in_hand": 50_000_000}


def test_what_is_recorded_passes_and_shows_the_scene(recorded):
    (name,) = recorded.list()
    episode = recorded.load(name)
    recorded.check_images(name)
    assert episode.manifest.verdict.level == "PASS", episode.manifest.verdict
    view = episode.images("agent_view")
    first = view[0].pixels.astype(int)
    assert first.shape == (96, 96, 3)
    for colour in range(3):  # a red, a green and a blue block
        others = [other for other in range(3) if other != colour]
        is_pure = first[..., colour] > first[..., others].max(-1) + 40
        assert 15 < is_pure.sum() < 600, colour
    hand = episode.images("in_hand")
    assert np.abs(hand[0].pixels.astype(int) - hand[len(hand) // 2].pixels).mean() > 10


def test_windows_see_it_at_the_age_that_the_contract_asks_for(recorded):
    episode = recorded.load(recorded.list()[0])
    windows = windows_of(recorded.contract, [episode], 1, 8)
    assert windows.pictures is not None
    ages_s = windows.pictures.ages_s[windows.pictures.numbers[:, 0] > 0]
    assert ages_s.min() == pytest.approx(0.03) and ages_s.max() < 0.03 + 0.05
    assert windows.pictures[:3].pixels(1).shape == (3, 96, 96, 3)


def changed(**cameras: dict) -> Contract:
    raw = Contract.from_yaml(CONFIG / "panda_stack_1_images.yaml").to_dict()
    return Contract.from_dict(raw | {"cameras": cameras, "images": []})


def test_cameras_that_the_simulation_does_not_have_are_told():
    env = RobosuiteEnv("stack_1")
    with pytest.raises(UserError, match="names the camera side, and the simulation has agent_view"):
        env.cameras(changed(side=camera("side")))
    both = {"agent_view": camera("agent_view"), "in_hand": camera("in_hand", width=64, height=64)}
    with pytest.raises(UserError, match="pictures of 32x24 and 64x64; the simulation draws one"):
        env.cameras(changed(**both))
    env.cameras(changed()).close()  # of none nothing is drawn
    env.close()


EVALUATE = """
from vdd_ros.contract import Contract
from vdd_ros.sim.evaluate import evaluate
robot = Contract.from_yaml("config/panda_stack_1_images.yaml")
evaluate("nowhere", robot, [0], "nowhere", task="stack_1")
"""


def test_nothing_is_evaluated_where_nothing_can_be_drawn():
    done = subprocess.run(
        [sys.executable, "-c", EVALUATE],
        cwd=ROOT,
        env=drawing.environment("disable"),
        capture_output=True,
        text=True,
    )
    told = done.stderr.splitlines()[-1]
    assert told.endswith(
        "MUJOCO_GL does not say what draws the cameras: say MUJOCO_GL=osmesa or egl"
    )
    require_drawable(changed(side=camera("side")))  # of which a policy sees nothing


def test_where_nothing_can_be_drawn_nothing_is_recorded(tmp_path):
    contract = CONFIG / "panda_stack_1_images.yaml"
    given = ("--task", "stack_1", "--contract", contract, "--episodes", 1, "--one-process")
    done = drawing.vdd("record", "--out", tmp_path / "episodes", *given, gl="disable")
    told = "MUJOCO_GL does not say what draws the cameras: say MUJOCO_GL=osmesa or egl"
    assert done.returncode == 2 and told in done.stderr
    assert not list((tmp_path / "episodes").glob("episode*"))


BESIDE = """
import sys
import numpy as np
from vdd_ros.contract import Contract
from vdd_ros.images import decode_image
from vdd_ros.sim.drawing import Drawing
from vdd_ros.sim.env import RobosuiteEnv

contract = Contract.from_yaml(sys.argv[1])
env = RobosuiteEnv("stack_1")
env.advance(0.2)
cameras = env.cameras(contract)
wanted = {name: cameras.picture(name).copy() for name in contract.cameras}
cameras.close()
beside = Drawing(env, contract)
beside.ask(tuple(wanted), 7)
env.apply(env.observe().position + 0.3)
env.advance(0.5)
beside.wait()
for name, message, time_ns in beside.fetch():
    found = decode_image(contract.cameras[name], message)
    assert time_ns == 7 and np.array_equal(found, wanted.pop(name)), name
assert not wanted and beside.drawn == 2 and beside.left_out == 0
for time_ns in range(40):
    beside.ask(("agent_view",), time_ns)
beside.wait()
assert beside.drawn + beside.left_out == 42 and beside.left_out > 0
beside.close()
"""


def test_what_is_drawn_beside_the_simulation_is_what_is_recorded():
    """The state of when it was asked for, while the arm moves on; what is too much is left out."""
    gl = drawing.gl()
    command = [sys.executable, "-c", BESIDE, CONFIG / "panda_stack_1_images.yaml"]
    done = subprocess.run(
        command, cwd=ROOT, env=drawing.environment(gl), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
