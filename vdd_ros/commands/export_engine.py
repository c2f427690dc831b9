"""Build the TensorRT engines of a bundle on the computer that runs it, and see that they agree."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from pydantic import JsonValue

from vdd_ros.bundle import Bundle
from vdd_ros.bundle_manifest import NORMALIZER, POLICY
from vdd_ros.durable import lock_folder
from vdd_ros.engine_store import EngineStore
from vdd_ros.environment import device_results_folder
from vdd_ros.errors import UserError
from vdd_ros.eyes import Eyes, made_pictures
from vdd_ros.inference import OnnxDensity, OnnxPolicy
from vdd_ros.normalizer import Normalizer
from vdd_ros.parity import Recorded, Units, Variant, compare, faults, report, units_of
from vdd_ros.parity_limits import FEATURE_BOUND
from vdd_ros.sealed_folder import to_json
from vdd_ros.signature import require_key
from vdd_ros.tensorrt_builder import build_on

if TYPE_CHECKING:
    from vdd_ros.tensorrt_policy import Machine


def export_engines(folder: Path, results: Path | None, key: Path | None, seed: int) -> dict:
    """Build and keep one engine for each graph; raises UserError, and keeps none, where one cannot
    be built or the policy that they make differs from the bundle's in onnxruntime."""
    from vdd_ros.tensorrt_policy import Machine

    if key is not None:
        require_key(key)  # before minutes are spent on what cannot be finished
    bundle = Bundle.load(folder)
    given = _given(bundle)
    machine = Machine.here()
    store = machine.store(bundle, results or device_results_folder())
    with _alone(store.results.folder):
        return _export(bundle, given, machine, store, key, seed)


class _Given(NamedTuple):
    """What engines are compared with."""

    variant: Variant
    recorded: Recorded
    units: Units
    eyes: Eyes


def _given(bundle: Bundle) -> _Given:
    """A bundle in onnxruntime, its graphs looked at before anything else reads them, and its own
    windows. Raises UserError where a graph is corrupt or there are no windows."""
    policy, density = bundle.open_policy("onnxruntime"), bundle.open_density("onnxruntime")
    recorded = bundle.recorded
    if recorded is None:
        raise UserError(f"{bundle.folder} has no recorded windows: export the bundle again")
    normalizer = Normalizer.from_dict(bundle.read_json(NORMALIZER))
    units = units_of(bundle.contract, normalizer)
    return _Given(_variant(policy, density), recorded, units, bundle.open_eyes())


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder: there was memory for one build, and not for two."""
    folder.mkdir(parents=True, exist_ok=True)
    held = lock_folder(folder)
    if held is None:
        raise UserError(f"another process builds engines in {folder}: wait until it has ended")
    try:
        yield
    finally:
        os.close(held)


def _export(
    bundle: Bundle,
    given: _Given,
    machine: Machine,
    store: EngineStore,
    key: Path | None,
    seed: int,
) -> dict:
    from vdd_ros.tensorrt_policy import encoders_of, eyes_of, graphs_of, policy_of

    graphs = graphs_of(bundle) | encoders_of(bundle)
    built = {name: _built(machine, graph, store.results.folder) for name, graph in graphs.items()}
    loaded = {name: machine.load(plan, f"engine of {name}") for name, (plan, _) in built.items()}
    parity = _parity(bundle, given, policy_of(loaded), store.results.folder, seed)
    if bundle.contract.images:
        parity |= _encoder_parity(bundle, given.eyes, eyes_of(bundle, loaded))
    made = datetime.now(timezone.utc).isoformat(timespec="seconds")
    for name, (plan, log) in built.items():
        captured = loaded[name].is_captured
        facts: dict[str, JsonValue] = {"graph": name, "parity": parity, "is_captured": captured}
        kept = store.write(machine.identity(bundle, graphs[name]), plan, log, facts, made, key)
        how = "one launch a call" if captured else "queued anew in each call"
        print(f"engine of {name}: {len(plan) / 1e6:.1f} MB in {kept.folder}, {how}")
    identity = machine.identity(bundle, graphs[POLICY])
    print(f"built for {identity}")
    print(
        f"on {parity['windows']} recorded windows it differs from onnxruntime by "
        f"{parity['largest_joint_error']:.2g} at most in a joint"
    )
    if "largest_feature_error" in parity:
        print(f"and its encoders by {parity['largest_feature_error']:.2g} in a feature")
    return {"engines": store.results.folder, "identity": identity.model_dump(), "parity": parity}


def _built(machine: Machine, graph: bytes, results: Path) -> tuple[bytes, bytes]:
    """The plan and the log of one graph; the log of a failed build is left beside the results."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "build.log"
        try:
            return build_on(machine.cuda, machine.trt, graph, log), _read(log)
        except UserError:
            (results / "failed-build.log").write_bytes(_read(log))
            raise


def _parity(bundle: Bundle, given: _Given, policy: OnnxPolicy, results: Path, seed: int) -> dict:
    """Of engines and onnxruntime on the bundle's own recorded windows; raises UserError where they
    differ by more than the contract allows, and keeps the report."""
    candidate = _variant(policy, policy.density)
    figures = compare(given.variant, candidate, given.recorded, given.units, seed)
    limits = bundle.contract.parity.of(bundle.precision)
    wrong = faults(figures, limits)
    if wrong:
        path = results / "failed-parity.json"
        path.write_bytes(to_json(report(figures, limits)))
        raise UserError(
            f"the engines differ from {bundle.folder} in onnxruntime: {'; '.join(wrong)}: none was "
            f"kept, and the report is in {path}; export the bundle with a higher precision"
        )
    return figures


def _encoder_parity(bundle: Bundle, known: Eyes, found: Eyes) -> dict:
    """Of engines and onnxruntime on made pictures, as a bundle brings none; raises UserError where
    features differ by more than twice what the precision changes of them, as the export measured
    it, and rounding."""
    errors = [
        np.abs(found.encoded(image.name, one) - known.encoded(image.name, one)).max()
        for image in bundle.contract.images
        for one in made_pictures(image.shape)
    ]
    error, bound = float(np.max(errors)), FEATURE_BOUND
    if bundle.precision != "fp32":
        told = bundle.certificate.parity.get(bundle.precision, {}) if bundle.certificate else {}
        changed = told.get("largest_feature_error")
        bound += 2.0 * changed if isinstance(changed, float) else 0.0
    if not error <= bound:
        raise UserError(
            f"the engines of encoders differ from {bundle.folder} in onnxruntime by {error:.2g} in "
            f"a feature, {bound:.2g} is allowed: none was kept; export the bundle with a higher "
            "precision"
        )
    return {"pictures": len(errors), "largest_feature_error": error, "feature_bound": bound}


def _variant(policy: OnnxPolicy, density: OnnxDensity | None) -> Variant:
    return Variant(
        policy.infer, None if density is None else density.parameters, policy.noise_shape
    )


def _read(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""
