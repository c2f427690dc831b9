"""A made policy that swings an arm from side to side, and fails when it sees what it is told to.

It is an ONNX graph like any other. It turns round where the position of the first joint is ahead of
its speed: at `REACH_S` times the speed limit from the middle, wherever it began. What the first
object's position says, far beyond any table, is how it fails (`FAILURES`).
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from vdd_ros.acting import ActingRule
from vdd_ros.bundle import Bundle, write_bundle
from vdd_ros.commands.bench.faults.sight import N_FEATURES, colours_graph
from vdd_ros.conformal import Threshold
from vdd_ros.contract import Contract
from vdd_ros.mahalanobis import Clusters
from vdd_ros.ood_detector import OodDetector
from vdd_ros.start_range import StartRange

HORIZON, N_OBS_STEPS = 8, 2
SWINGING = ("panda_joint1", "panda_joint7")  # both turn the tool about the vertical
REACH_S = 1.2  # from the middle, in seconds at the speed limit
BEYOND = 2.0  # [rad]; where the target is, so that only the limits decide the speed
NORMAL = 10.0  # [m]; an object nearer than this is one
# The first object's position [m] with which the policy fails, and how.
FAILURES = {
    "nan": (20.0, 0.0, 0.0),
    "inf": (0.0, 20.0, 0.0),
    "no mixture": (0.0, 0.0, 20.0),
    "raises": (-20.0, 0.0, 0.0),
    "slow": (0.0, -20.0, 0.0),
    "far target": (0.0, 0.0, -20.0),
}
STEPS_OF_SLOW = 8_000.0  # of a loop, for each metre beyond NORMAL
FAR = 1e6  # [rad] for each metre beyond NORMAL


class Columns(NamedTuple):
    """Where in an observation the first joint and the first object are."""

    joints: int
    object: int


def write_swing(
    folder: Path,
    contract: Contract,
    middle: np.ndarray,
    start: StartRange | None = None,
    detector: OodDetector | None = None,
) -> Bundle:
    """A bundle that swings about `middle` (Da,) [unit]; its encoders tell colours."""
    return write_bundle(
        folder,
        name="swing",
        kind="mixture",
        contract=contract,
        rule=ActingRule(),
        n_obs_steps=N_OBS_STEPS,
        horizon=HORIZON,
        n_experts=1,
        policy_onnx=swing_graph(contract, middle),
        normalizer={},
        certificate={},
        start=start,
        ood_detector=detector,
        encoders={image.name: colours_graph(image) for image in contract.images},
        image_features=N_FEATURES if contract.images else None,
    )


def knows_tables(contract: Contract) -> OodDetector:
    """What was trained with the first object never farther than 5 m from the robot's base."""
    at, size = columns_of(contract), contract.observation_dim
    whitener = np.full(N_OBS_STEPS * size, 1e-9)
    newest = (N_OBS_STEPS - 1) * size + at.object
    whitener[newest : newest + 3] = 1.0  # [1/m]
    clusters = Clusters(np.zeros((1, whitener.size)), np.diag(whitener)[None])
    return OodDetector(clusters, 5, Threshold(5.0, 0.05, 19, 19))


def swing_graph(contract: Contract, middle: np.ndarray) -> bytes:
    """The graph: `window` (To, Do) -> `log_gating` (1,), `means` (1, H, Da) [unit]."""
    from onnx import TensorProto, checker, helper, numpy_helper

    at, names = columns_of(contract), contract.joint_names
    first = names.index(SWINGING[0])
    swings = np.array([BEYOND * (name in SWINGING) for name in names])  # (Da,) [rad]
    reach_s, hz = REACH_S, contract.rates.policy_hz
    ends = at.object + np.arange(4)
    values: dict[str, object] = {
        "row": np.array([N_OBS_STEPS - 1]),
        "row_before": np.array([N_OBS_STEPS - 2]),
        "column": np.array([at.joints + first]),
        "reach": np.float32(reach_s * hz),
        "middle_1": np.float32(middle[first] - 1e-4),  # so that it is never exactly there
        "middle": middle[None, None].astype(np.float32),
        "swings": swings[None, None].astype(np.float32),
        "steps": np.zeros((1, HORIZON, 1), np.float32),
        "gate": np.zeros(1, np.float32),
        "normal": np.float32(NORMAL),
        "zero": np.float32(0.0),
        "huge": np.float32(1e38),
        "far": np.float32(FAR),
        "loops": np.float32(STEPS_OF_SLOW),
        "matrix": np.zeros((32, 32), np.float32),
        "true": np.array(True),
        "scalar": np.array([], np.int64),
        **{axis: np.array([ends[number]]) for number, axis in enumerate("xyz")},
    }
    node = helper.make_node
    nodes = [
        node("Gather", ["window", "row"], ["now"], axis=0),
        node("Gather", ["window", "row_before"], ["earlier"], axis=0),
        node("Gather", ["now", "column"], ["q"], axis=1),
        node("Gather", ["earlier", "column"], ["q_before"], axis=1),
        node("Sub", ["q", "q_before"], ["moved"]),
        node("Mul", ["moved", "reach"], ["ahead"]),
        node("Sub", ["q", "middle_1"], ["beside"]),
        node("Sub", ["ahead", "beside"], ["more"]),
        node("Sign", ["more"], ["side"]),
        node("Mul", ["side", "swings"], ["offset"]),
        node("Add", ["middle", "offset"], ["target"]),
        node("Add", ["target", "steps"], ["plan"]),
    ]
    for axis in "xyz":
        nodes += [
            node("Gather", ["now", axis], [f"at_{axis}"], axis=1),
            node("Neg", [f"at_{axis}"], [f"minus_{axis}"]),
            node("Sub", [f"at_{axis}", "normal"], [f"above_{axis}"]),
            node("Sub", [f"minus_{axis}", "normal"], [f"below_{axis}"]),
            node("Relu", [f"above_{axis}"], [f"high_{axis}"]),
            node("Relu", [f"below_{axis}"], [f"low_{axis}"]),
        ]
    body = helper.make_graph(
        [
            node("Identity", ["go"], ["go_on"]),
            node("MatMul", ["before", "before"], ["after"]),
        ],
        "waste",
        [
            helper.make_tensor_value_info("count", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("before", TensorProto.FLOAT, [32, 32]),
        ],
        [
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("after", TensorProto.FLOAT, [32, 32]),
        ],
    )
    nodes += [
        # NaN: the root of what is below zero
        node("Neg", ["high_x"], ["no_root"]),
        node("Sqrt", ["no_root"], ["root"]),
        node("Mul", ["root", "zero"], ["nan"]),
        # infinity: two large factors
        node("Mul", ["high_y", "huge"], ["larger"]),
        node("Mul", ["larger", "huge"], ["inf"]),
        # a failure of the runtime: an index that no table has
        node("Cast", ["low_x"], ["index"], to=TensorProto.INT64),
        node("Reshape", ["index", "scalar"], ["place"]),
        node("Gather", ["gate", "place"], ["nothing"], axis=0),
        # time: a loop that computes nothing of use
        node("Mul", ["low_y", "loops"], ["rounds"]),
        node("Cast", ["rounds"], ["whole"], to=TensorProto.INT64),
        node("Reshape", ["whole", "scalar"], ["trips"]),
        node("Loop", ["trips", "true", "matrix"], ["wasted"], body=body),
        node("ReduceSum", ["wasted"], ["no_more"], keepdims=0),
        node("Mul", ["low_z", "far"], ["elsewhere"]),
        node("Sum", ["nan", "inf", "nothing", "no_more", "elsewhere"], ["disturbed"]),
        node("Add", ["plan", "disturbed"], ["means"]),
        node("Reshape", ["high_z", "one"], ["loss"]),
        node("Sub", ["gate", "loss"], ["log_gating"]),
    ]
    values["one"] = np.array([1])
    constants = [numpy_helper.from_array(np.asarray(v), name) for name, v in values.items()]
    shapes = {
        "window": [N_OBS_STEPS, contract.observation_dim + len(contract.images) * (1 + N_FEATURES)],
        "log_gating": [1],
        "means": [1, HORIZON, contract.action_dim],
    }
    tensors = {
        name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in shapes.items()
    }
    inputs, outputs = [tensors["window"]], [tensors["log_gating"], tensors["means"]]
    graph = helper.make_graph(nodes, "swing", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(model)
    return model.SerializeToString()


def columns_of(contract: Contract) -> Columns:
    """Of the joints' positions and of the objects' in an observation."""
    found, column = {}, 0
    for part in contract.observation:
        found[contract.streams[part.stream].is_of_objects, part.field] = column
        column += contract.size_of(part.stream, part.field)
    return Columns(found[False, "position"], found[True, "position"])
