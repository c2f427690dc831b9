"""Eyes: what a policy's encoders make of pictures, on the robot as in simulation.

One graph for each image of the contract, so that each is evaluated when its camera has a picture:
`pixels` uint8 (height, width, 3) in, `features` float32 (F,) out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from vdd_ros.bundle_manifest import encoder_file
from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.graph import Graph
from vdd_ros.image_fit import fitted
from vdd_ros.onnx_graph import PIXEL_DTYPES, OnnxGraph

PIXELS, FEATURES = "pixels", "features"
MADE = 16  # pictures that encoders are compared on where there are no others


class Eyes:
    """Of one bundle. Pictures of different cameras may be seen by different threads at once. Raises
    UserError where a graph cannot be read or is of another image, or there is no onnxruntime."""

    def __init__(
        self,
        folder: Path,
        contract: Contract,
        features: int,
        opened: Callable[[Path], Graph] | None = None,
    ):
        """features: numbers that the policy takes of each image; opened: what evaluates a graph of
        the folder, onnxruntime if None."""
        self.contract = contract
        self._graphs: dict[str, Graph] = {}
        for image in contract.images:
            path = folder / encoder_file(image.name)
            graph = (opened or _graph)(path)
            found = [
                (name, str(array.dtype), array.shape)
                for arrays in (graph.inputs, graph.outputs)
                for name, array in arrays.items()
            ]
            wanted = [(PIXELS, "uint8", image.shape), (FEATURES, "float32", (features,))]
            if found != wanted:
                raise UserError(f"{path} has {found}, {wanted} are needed: export it again")
            self._graphs[image.name] = graph

    def see(self, camera: str, pixels: np.ndarray) -> Mapping[str, np.ndarray]:
        """What becomes of a camera's picture (height, width, 3) uint8: (F,) by image. Raises
        UserError for a picture of another size, GraphError where it cannot be evaluated."""
        view = self.contract.cameras[camera]
        return {
            image.name: self.encoded(image.name, fitted(pixels, view, image))
            for image in self.contract.images
            if image.camera == camera
        }

    def encoded(self, image: str, pixels: np.ndarray) -> np.ndarray:
        """(height, width, 3) uint8, fitted -> (F,). Raises GraphError."""
        graph = self._graphs[image]
        graph.give(PIXELS, pixels)
        graph.run()
        return graph.outputs[FEATURES].copy()


def _graph(path: Path) -> OnnxGraph:
    try:
        return OnnxGraph(path, dtypes=PIXEL_DTYPES)
    except ModuleNotFoundError:
        raise UserError("encoders of images are run by onnxruntime: install it") from None


def made_pictures(shape: tuple[int, int, int]) -> np.ndarray:
    """(MADE, height, width, 3) uint8, always the same: half of them noise, half of them smooth."""
    rng = np.random.default_rng(0)
    height, width, _ = shape
    noise = rng.integers(0, 256, (MADE // 2, *shape))
    rows, columns = np.mgrid[:height, :width, :1][:2]
    waves = rng.uniform(0.0, 12.0, (MADE - MADE // 2, 3, 1, 1, 3))
    phase = waves[:, 0] * rows / height + waves[:, 1] * columns / width + waves[:, 2]
    return np.concatenate([noise, 127.5 + 127.5 * np.sin(phase)]).astype(np.uint8)
