"""Measure how long after its cameras saw something a policy's commands know of it.

action_node drives a robot that only obeys, on pictures from another process; the way of a picture
from its stamp to features is timed by the node, that from a control tick to the command in a third
process. Between the two is the wait for the next tick, which is not counted. The goal is what the
encoder alone takes, and 1 ms.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from rich.console import Console
from rich.table import Column, Table
from tyro.conf import arg

from vdd_ros.bundle import Bundle
from vdd_ros.cdr import image_cdr
from vdd_ros.commands.bench import circumstances, measure, warn_if_busy
from vdd_ros.commands.bench.control import latencies_us
from vdd_ros.commands.bench.made import made, told
from vdd_ros.commands.bench.stand import (
    ANYWHERE,
    PATIENCE_S,
    at_rates,
    begin_of,
    require_running,
    stand,
    wait_for_commands,
)
from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.eyes import Eyes
from vdd_ros.images import decode_image

SETTLE_S = 2.0
ALLOWED_MS = 1.0  # over the encoder alone
BLOCKS, CALLS = 10, 100
PERCENTILES = {"p50": 50, "p99": 99}
WAYS = (
    "encoder", "to_see", "encoder_in_run", "image_to_features", "tick_to_command",
    "image_to_command",
)  # fmt: skip

Ways = dict[tuple[str, str], Callable[[], None]]


@dataclass(frozen=True)
class Args:
    bundle: Annotated[Path | None, arg(metavar="BUNDLE")] = None
    """Folder of the bundle of a policy that sees images; without one a small student is made, of
    two cameras and encoders of the usual size."""
    seconds: float = 30.0
    """So long."""
    seed: int = 0
    """Of the pictures that the encoder alone is timed on."""


def main(args: Args) -> dict:
    """Print the figures; raises UserError where the bundle cannot be run."""
    if not args.seconds > 0.0:
        raise UserError("seconds must be above 0: write another number")
    result = measure_images(Bundle.load(args.bundle or made("sighted").student), args)
    Console().print(image_table(result["rows"]))
    for row in result["rows"]:
        goal = "reached" if row["reached"] else "missed"
        print(f"{row['camera']} over_encoder_p50_ms {row['over_encoder_p50_ms']:.2f} ({goal})")
    warn_if_busy(result)
    return result


def measure_images(bundle: Bundle, args: Args) -> dict:
    """Rows and how they were obtained; the whole of the `--json` line."""
    if not bundle.contract.images:
        raise UserError(f"{bundle.folder} sees no images: name a bundle that does")
    contract = patient(bundle.contract)
    rng = np.random.default_rng(args.seed)
    alone = measure(ways_to_features(contract, bundle.open_eyes(), rng), BLOCKS, CALLS)
    state, way_us = _driven(bundle, contract, args.seconds)
    rows = [
        row_of(name, {key: alone.timings[name, key] for key in ("encoder", "whole")}, state, way_us)
        for name in contract.observed_cameras
    ]
    return {
        "ok": state.get("stop_reason", "") == "",
        "rows": rows,
        "policy": told(args.bundle is not None, "sighted"),
        "encoder_mb": {
            name: (bundle.folder / name).stat().st_size * 1e-6
            for name in sorted(bundle.manifest.encoders)
        },
        "control_period_ms": contract.control_period_ns * 1e-6,
        **circumstances(alone, args.seed),
    }


def patient(contract: Contract) -> Contract:
    """As `at_rates`, at its own rates, with the cameras alone that are observed, whose pictures may
    be old."""
    rates = contract.rates.control_hz, contract.streams["joint_state"].rate_hz
    raw = at_rates(contract, *rates).to_dict()
    raw["cameras"] = {name: raw["cameras"][name] for name in contract.observed_cameras}
    for camera in raw["cameras"].values():
        camera["max_age_s"] = max(PATIENCE_S, camera["max_age_s"])
    return Contract.from_dict(raw, f"contract {contract.name}")


def ways_to_features(contract: Contract, eyes: Eyes, rng: np.random.Generator) -> Ways:
    """By camera: what encoding its images takes, and unpacking and reducing them as well."""
    ways: Ways = {}
    for name in contract.observed_cameras:
        camera = contract.cameras[name]
        pixels = rng.integers(0, 255, (camera.height, camera.width, 3), np.uint8)
        data = image_cdr(camera, pixels, 0)
        images = [image for image in contract.images if image.camera == name]
        shown = [(image.name, np.zeros(image.shape, np.uint8)) for image in images]
        ways[name, "encoder"] = partial(_encode, eyes, shown)
        ways[name, "whole"] = partial(_see, eyes, contract, name, data)
    return ways


def _encode(eyes: Eyes, shown: list[tuple[str, np.ndarray]]) -> None:
    for image, pixels in shown:
        eyes.encoded(image, pixels)


def _see(eyes: Eyes, contract: Contract, camera: str, data: bytes) -> None:
    eyes.see(camera, decode_image(contract.cameras[camera], data))


def _driven(bundle: Bundle, contract: Contract, seconds: float) -> tuple[dict, np.ndarray]:
    """What the node said of its cameras, and (M,) from tick to command [us]."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with stand(folder, contract, begin_of(bundle)) as on:
            lead = folder / "lead.json"
            lead.write_text(json.dumps({"sending": True}))
            parameters: dict[str, Any] = {
                "contract": on.contract_path,
                "bundle": bundle.folder.resolve(),
            }
            parameters |= {"start_tolerance": ANYWHERE, "autostart": True, "most_missed": 0}
            on.nodes.start("action_node", parameters)
            sources: dict[str, Any] = {"contract": on.contract_path, "role": "cameras"}
            sources |= {"out": folder / "cameras.json", "other": lead}
            on.nodes.start("bench_sources", sources)
            wait_for_commands(on, "action_node")
            on.observer.observe(SETTLE_S)
            observed = on.observer.observe(seconds)
            on.nodes.check()
            require_running("action_node", observed)
            return observed.state, latencies_us(observed)[:, 0]


def row_of(name: str, alone: dict, state: dict[str, str], way_us: np.ndarray) -> dict:
    """Of one camera [ms]; image to command is the sum of its two parts, also at p99."""
    row: dict = {"camera": name}
    for key, percent in PERCENTILES.items():
        row[f"encoder_{key}_ms"] = alone["encoder"].percentile_us(percent) * 1e-3
        row[f"to_see_{key}_ms"] = alone["whole"].percentile_us(percent) * 1e-3
        row[f"encoder_in_run_{key}_ms"] = float(state[f"camera_{name}_encode_{key}_ms"])
        row[f"image_to_features_{key}_ms"] = float(state[f"camera_{name}_ready_{key}_ms"])
        row[f"tick_to_command_{key}_ms"] = float(np.percentile(way_us, percent)) * 1e-3
        row[f"image_to_command_{key}_ms"] = (
            row[f"image_to_features_{key}_ms"] + row[f"tick_to_command_{key}_ms"]
        )
        over = row[f"image_to_command_{key}_ms"] - row[f"encoder_{key}_ms"]
        row[f"over_encoder_{key}_ms"] = over
    row["pictures"] = int(state[f"camera_{name}_seen"])
    row["dropped"] = int(state[f"camera_{name}_dropped"])
    return row | {"reached": row["over_encoder_p50_ms"] <= ALLOWED_MS}


def image_table(rows: list[dict]) -> Table:
    """One line per camera, p50 / p99 in ms."""
    right = [Column(way.replace("_", " "), justify="right") for way in WAYS]
    table = Table("camera", *right, "pictures", "dropped", title="p50 / p99 ms")
    for row in rows:
        pairs = [f"{row[f'{way}_p50_ms']:.2f} / {row[f'{way}_p99_ms']:.2f}" for way in WAYS]
        table.add_row(row["camera"], *pairs, str(row["pictures"]), str(row["dropped"]))
    return table
