"""TensorRTPolicy: a bundle's policy and its density, in engines that were built on this computer.

It is what OnnxPolicy is, window in and mixture out, and nothing of it is loaded unless a robot asks
for it. An engine is taken for exactly one identity (engine_identity.py): after an update of driver
or TensorRT there is none, and it has to be built again.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from vdd_ros.bundle import Bundle
from vdd_ros.bundle_manifest import DENSITY, POLICY, encoder_file
from vdd_ros.cuda_driver import Cuda
from vdd_ros.device import this_device
from vdd_ros.device_results import DeviceResults
from vdd_ros.engine_identity import EngineIdentity, Gpu
from vdd_ros.engine_store import EngineStore
from vdd_ros.eyes import Eyes
from vdd_ros.inference import OnnxDensity, OnnxPolicy
from vdd_ros.sealed_folder import LARGEST_FILE
from vdd_ros.tensorrt_graph import TensorRTGraph
from vdd_ros.tensorrt_library import open_tensorrt


class TensorRTPolicy(OnnxPolicy):
    """A policy in TensorRT."""

    def __init__(self, graph: TensorRTGraph, what: str, density: OnnxDensity | None = None):
        """what: the engine's name in errors. Raises UserError where it is of another signature."""
        self._take(graph, what, density)


class TensorRTDensity(OnnxDensity):
    """TensorRT gives the parameters of a mixture, numpy the rest."""

    def __init__(self, graph: TensorRTGraph, what: str):
        """Raises UserError where it is of another signature."""
        self._take(graph, what)


class Machine(NamedTuple):
    """GPU and library of this computer."""

    cuda: Cuda
    trt: ModuleType
    gpu: Gpu

    @classmethod
    def here(cls) -> Machine:
        """Raises UserError where there is no GPU, no TensorRT, or one of another version."""
        trt, cuda = open_tensorrt(), Cuda()
        return cls(cuda, trt, cuda.gpu(trt.__version__))

    def store(self, bundle: Bundle, results: Path) -> EngineStore:
        """Engines of a bundle that were built here."""
        device = this_device(self.gpu.device)
        return EngineStore(DeviceResults(results, bundle.manifest.bundle_hash, device))

    def identity(self, bundle: Bundle, graph: bytes) -> EngineIdentity:
        """Of the engine of one of a bundle's graphs."""
        return EngineIdentity.of(graph, bundle.precision, self.gpu)

    def load(self, plan: bytes, what: str) -> TensorRTGraph:
        """An engine whose origin was checked, or that was just built."""
        return TensorRTGraph(plan, what, self.cuda, self.trt)


def graphs_of(bundle: Bundle) -> dict[str, bytes]:
    """Those of a verified bundle that are evaluated while a robot moves, by name."""
    names = [POLICY] + ([] if bundle.density_path is None else [DENSITY])
    return {name: bundle.read(name, LARGEST_FILE) for name in names}


def encoders_of(bundle: Bundle) -> dict[str, bytes]:
    """The encoders of its images, likewise; none of a policy that sees none."""
    names = [encoder_file(image.name) for image in bundle.contract.images]
    return {name: bundle.read(name, LARGEST_FILE) for name in names}


def open_engines(bundle: Bundle, results: Path, trusted: Collection[str] = ()) -> TensorRTPolicy:
    """A bundle's policy in its engines, none of which is built here and now: that takes minutes.

    results: folder of device results; trusted: public keys of which one must have signed an engine,
    any or none may if there are none. Raises UserError, with both identities where there are only
    engines of another one.
    """
    graphs = {
        name: graph
        for name, graph in graphs_of(bundle).items()
        if name == POLICY or bundle.rule.output == "sample"
    }
    return policy_of(_loaded(bundle, graphs, results, trusted))


def open_engine_eyes(bundle: Bundle, results: Path, trusted: Collection[str] = ()) -> Eyes:
    """A bundle's encoders in their engines, as `open_engines`."""
    return eyes_of(bundle, _loaded(bundle, encoders_of(bundle), results, trusted))


def _loaded(
    bundle: Bundle, graphs: dict[str, bytes], results: Path, trusted: Collection[str]
) -> dict[str, TensorRTGraph]:
    machine = Machine.here()
    store = machine.store(bundle, results)
    return {
        name: machine.load(
            store.plan(machine.identity(bundle, graph), trusted), f"engine of {name}"
        )
        for name, graph in graphs.items()
    }


def eyes_of(bundle: Bundle, loaded: dict[str, TensorRTGraph]) -> Eyes:
    """The encoders that engines make, by name of their graphs."""
    return bundle.open_eyes(lambda path: loaded[path.name])


def policy_of(loaded: dict[str, TensorRTGraph]) -> TensorRTPolicy:
    """The policy that engines make, by name of their graphs."""
    density = loaded.get(DENSITY)
    return TensorRTPolicy(
        loaded[POLICY],
        f"engine of {POLICY}",
        None if density is None else TensorRTDensity(density, f"engine of {DENSITY}"),
    )
