"""What the arm of `vdd bench faults` sees: two cameras, and encoders that tell the colours of the
parts of a picture.

Encoders are made ONNX graphs, as the policy is; it does not act on what they tell. One that knows
the agent view says when something else is shown.
"""

from __future__ import annotations

import numpy as np

from vdd_ros.conformal import Threshold
from vdd_ros.contract import Contract
from vdd_ros.contract_cameras import IMAGE
from vdd_ros.contract_images import ObservedImage
from vdd_ros.eyes import FEATURES, PIXELS
from vdd_ros.feature_distance import FeatureDistance
from vdd_ros.images import decode_image
from vdd_ros.mahalanobis import Clusters

AGENT, HAND = "agent_view", "in_hand"
SIZE, RATE_HZ, MAX_AGE_S = 64, 10.0, 1.0  # a busy machine leaves pictures out
# The agent view does not always see the arm: in simulation its pictures are then the same.
FROZEN_S = 6.0
PARTS, COLOURS = 2, 3  # of each side of a picture
N_FEATURES = PARTS * PARTS * COLOURS
SEEN_STD = 0.03  # of a part's colour, 1 being the brightest; an arm in the picture changes so much
FARTHEST = 6.0  # [standard deviations]; that arm is 2.3 away, a picture of the other camera 17


def with_cameras(contract: Contract) -> Contract:
    """The contract of an arm that is driven by what two cameras see as well."""
    raw = contract.to_dict()
    raw["cameras"] = {
        name: {
            "topic": f"{name}/image_raw",
            "type": IMAGE,
            "encoding": "rgb8",
            "width": SIZE,
            "height": SIZE,
            "rate_hz": RATE_HZ,
            "max_age_s": MAX_AGE_S,
            "timeline": "header",
            "frame": f"{name}_optical_frame",
            "reliability": "reliable",
        }
        for name in (AGENT, HAND)
    }
    raw["images"] = [
        {"name": name, "camera": name, "width": SIZE, "height": SIZE, "delay_s": 0.03}
        for name in (AGENT, HAND)
    ]
    raw["recording"]["images"] = {"frozen_s": FROZEN_S}
    return Contract.from_dict(raw, f"contract {contract.name}, with cameras")


def colours_graph(image: ObservedImage) -> bytes:
    """The graph: `pixels` (height, width, 3) uint8 -> `features` (N_FEATURES,), 0 to 1."""
    from onnx import TensorProto, checker, helper, numpy_helper

    node, part = helper.make_node, [image.height // PARTS, image.width // PARTS]
    nodes = [
        node("Cast", [PIXELS], ["levels"], to=TensorProto.FLOAT),
        node("Transpose", ["levels"], ["planes"], perm=[2, 0, 1]),
        node("Unsqueeze", ["planes", "first"], ["batch"]),
        node("AveragePool", ["batch"], ["means"], kernel_shape=part, strides=part),
        node("Reshape", ["means", "flat"], ["colours"]),
        node("Div", ["colours", "brightest"], [FEATURES]),
    ]
    constants = {
        "first": np.array([0]),
        "flat": np.array([N_FEATURES]),
        "brightest": np.float32(255.0),
    }
    graph = helper.make_graph(
        nodes,
        "colours",
        [helper.make_tensor_value_info(PIXELS, TensorProto.UINT8, image.shape)],
        [helper.make_tensor_value_info(FEATURES, TensorProto.FLOAT, [N_FEATURES])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(model)
    return model.SerializeToString()


def knows_pictures(contract: Contract, messages: dict[str, bytes]) -> tuple[FeatureDistance, ...]:
    """What was trained on pictures such as these, by camera; of the camera in the hand, which sees
    something else at each place, nothing is concluded."""
    whitener = np.eye(N_FEATURES)[None] / SEEN_STD
    found = []
    for image in contract.images:
        pixels = decode_image(contract.cameras[image.camera], messages[image.camera])
        clusters = Clusters(colours_of(pixels)[None], whitener)
        threshold = Threshold(FARTHEST, 0.05, 19, 19) if image.name == AGENT else None
        found.append(FeatureDistance(image.name, clusters, threshold))
    return tuple(found)


def colours_of(pixels: np.ndarray) -> np.ndarray:
    """(height, width, 3) -> (N_FEATURES,) as the graph has them."""
    height, width, _ = pixels.shape
    parts = pixels.reshape(PARTS, height // PARTS, PARTS, width // PARTS, COLOURS)
    return parts.mean((1, 3)).transpose(2, 0, 1).ravel() / 255.0
