"""Where demonstrations began, and what is said of an arm that is elsewhere."""

import json

import numpy as np
import pytest

from vdd_ros.acting import ActingRule
from vdd_ros.action_loop import ActionLoop
from vdd_ros.bundle import Bundle, write_bundle
from vdd_ros.bundle_manifest import START
from vdd_ros.command_gate import StopReason
from vdd_ros.errors import UserError
from vdd_ros.inference import PolicyOutput
from vdd_ros.sealed_folder import sha256
from vdd_ros.start_range import StartRange, start_range

HOME = np.array([0.0, 0.0, 0.0, -1.5, 0.0, 1.5, 0.0])
MS = 1_000_000


class Away:
    """A policy that wants more of every joint."""

    n_obs_steps, horizon, action_dim, n_experts, noise_shape = 1, 4, 7, 1, None
    density = expert = None

    def infer(self, window, noise=None):
        return PolicyOutput(np.zeros(1), np.tile(window[-1] + 0.3, (1, 4, 1)))


def test_the_range_is_that_of_first_windows(contract):
    observations = np.zeros((6, 2, 7))
    observations[:, 0] = 99.0  # older readings do not count
    observations[:, 1, 0] = [0.1, 5.0, 5.0, -0.2, 7.0, 0.3]
    found = start_range(contract, observations, np.array([0, 0, 0, 1, 1, 4]))
    assert found is not None and (found.lower[0], found.upper[0]) == (-0.2, 0.3)
    assert not found.lower[1:].any() and not found.upper[1:].any()


def test_without_joint_positions_in_the_observation_nothing_is_known(contract):
    raw = contract.to_dict()
    raw["observation"][0]["field"] = "velocity"
    blind = type(contract).from_dict(raw, "test")
    assert start_range(blind, np.zeros((2, 1, 7)), np.zeros(2)) is None


def test_the_joint_that_is_furthest_off_is_named(contract):
    start = StartRange(HOME - 0.1, HOME + 0.1)
    assert start.fault(HOME + 0.15, 0.051, contract) is None
    position = HOME + np.array([0.15, -0.5, 0, 0, 0, 0, 0])
    assert start.fault(position, 0.2, contract) == (
        "panda_joint2 is at -0.500 rad, demonstrations began between -0.100 and 0.100: bring the "
        "arm within 0.2 of that"
    )


def started(contract) -> ActionLoop:
    """A loop that may begin within .2 of where demonstrations did."""
    start = StartRange(HOME - 0.1, HOME + 0.1)
    loop = ActionLoop(
        contract, Away(), ActingRule(), np.random.default_rng(0),
        start_fault=lambda found: start.fault(found, 0.2, contract),
    )  # fmt: skip
    loop.start(0)
    return loop


def run(contract, position) -> tuple[ActionLoop, list]:
    loop = started(contract)
    sent = []
    for tick in range(1, 60):
        now_ns = tick * 10 * MS
        loop.add("joint_state", {"position": position}, now_ns - 10 * MS, now_ns - 10 * MS)
        output = loop.tick(now_ns).output
        if output is not None:
            position = output.position
            sent.append(position)
    return loop, sent


def test_a_run_begins_where_demonstrations_did_and_may_then_go_anywhere(contract):
    loop, sent = run(contract, HOME + 0.15)
    assert loop.reason is None and loop.detail == ""
    assert np.abs(sent[-1] - HOME).max() > 0.4


def test_a_run_does_not_begin_elsewhere_and_says_how_far_off_it_is(contract):
    loop, sent = run(contract, HOME + 0.35)
    assert sent == [] and loop.reason is StopReason.FAR_FROM_START
    assert "demonstrations began between" in loop.detail
    loop.start(10_000 * MS)
    assert loop.detail == "" and loop.reason is None


def test_a_policy_waits_while_somebody_else_brings_the_arm_there(contract):
    """Who drives is not stopped, and afterwards the policy has to be activated anew."""
    loop = started(contract)
    position, now_ns = HOME + 0.5, 0
    for _ in range(100):
        loop.add("joint_state", {"position": position}, now_ns, now_ns)
        now_ns += 10 * MS
        loop.add("teleop_command", {"position": HOME}, now_ns, now_ns)
        output = loop.tick(now_ns).output
        if output is not None:
            assert output.source == "teleop"
            position = output.position
    assert loop.reason is None
    np.testing.assert_allclose(position, HOME, atol=1e-3)


def test_a_shadow_may_begin_anywhere(contract):
    loop = ActionLoop(
        contract, Away(), ActingRule(), np.random.default_rng(0), shadow=True,
        start_fault=lambda found: "far away",
    )  # fmt: skip
    loop.start(0)
    loop.add("joint_state", {"position": HOME}, 0, 0)
    assert loop.tick(10 * MS).output is not None and loop.reason is None


def bundle(folder, contract, start):
    return write_bundle(
        folder, name="one", kind="mixture", contract=contract, rule=ActingRule(), n_obs_steps=1,
        horizon=4, n_experts=1, policy_onnx=b"", normalizer={}, certificate={},
        start=start,
    )  # fmt: skip


def test_a_bundle_carries_it(contract, tmp_path):
    start = StartRange(HOME - 0.1, HOME + 0.1)
    found = bundle(tmp_path / "with", contract, start).start
    assert found is not None
    np.testing.assert_array_equal(found, start)
    assert bundle(tmp_path / "without", contract, None).start is None


@pytest.mark.parametrize(
    "raw", [{}, [], {"lower": [0.0], "upper": [1.0]}, {"lower": "a", "upper": 1}]
)
def test_what_is_no_range_is_told(contract, tmp_path, raw):
    made = bundle(tmp_path / "one", contract, StartRange(HOME, HOME))
    written = json.dumps(raw).encode()
    (made.folder / START).write_bytes(written)
    files = made.manifest.files | {START: sha256(written)}
    manifest = made.manifest.model_copy(update={"files": files})
    broken = Bundle(made.folder, manifest, made.contract, made.rule)
    with pytest.raises(UserError, match="no range of 7 joints: export the bundle again"):
        broken.start  # noqa: B018
