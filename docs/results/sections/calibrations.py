"""Sections for calibrations whose truth is known."""

from __future__ import annotations

import json
from pathlib import Path

from docs.results.result import Result
from vdd_ros.commands.bench.calibration.pictures import pictures
from vdd_ros.commands.page.table import Table, to_markdown


def of_bench_calibration(text: str) -> str:
    """The sentence, the tables and the pictures for calibrations whose truth is known."""
    result = json.loads(text)
    rows = {row["row"]: row for row in result["rows"]}
    errors = [
        [row["row"], what, f"{error:.3g}", f"{row['bounds'][what]:.3g}",
         "yes" if error <= row["bounds"][what] else "**no**"]
        for row in result["rows"]
        for what, error in row["errors"].items()
    ]  # fmt: skip
    parts = [
        f"`{result['command']}`, {result['hardware']}:",
        to_markdown(Table(["row", "what", "error", "bound", "kept"], errors)),
    ]
    if "hand_eye" in rows:
        parts += _of_hand_eye(rows["hand_eye"])
    if "joint_offsets" in rows:
        told = "error of joint offsets over the noise of encoders"
        parts.append(f"![{told}](pictures/calibration_joint_offsets.png)")
    return "\n\n".join(parts) + "\n"


def _of_hand_eye(row: dict) -> list[str]:
    near, far = row["distance_m"]
    heads = ["corner noise [px]", "median, p95 [mm]", "OpenCV's best median, p95 [mm]",
             "median, p95 [deg]", "OpenCV's best median [deg]"]  # fmt: skip
    levels = [
        [
            f"{level['noise_px']:g}",
            f"{level['median_mm']:.3f}, {level['p95_mm']:.3f}",
            f"{level['opencv_best_mm']:.3f}, {level['opencv_best_p95_mm']:.3f}",
            f"{level['median_deg']:.4f}, {level['p95_deg']:.4f}",
            f"{level['opencv_best_deg']:.4f}",
        ]
        for level in row["levels"]
    ]
    width, height = row["picture_px"]
    return [
        f"Hand-eye: {row['setups']} setups, half of them with the camera on the arm, "
        f"{row['views']} views each of a board ({row['board']}) {near:g} to {far:g} m away, focal "
        f"length {row['focal_px']:g} px, {width}x{height} px, encoders with "
        f"{1e3 * row['joint_noise_rad']:g} mrad of noise; {row['statistic']}.",
        to_markdown(Table(heads, levels)),
        f"Where encoders are off by {1e3 * row['with_offsets']['offset_std_rad']:g} mrad (standard "
        f"deviation, {row['with_offsets']['joints']} joints), the camera's place is wrong by "
        f"{row['with_offsets']['median_mm_without']:.1f} mm in the median where nobody knows of it "
        f"({row['with_offsets']['refused_without']} setups are refused), and by "
        f"{row['with_offsets']['median_mm']:.2f} mm where offsets are estimated along with it.",
        _of_lens(row["with_lens"]),
        "![error of the camera's place and rotation over the noise of corners]"
        "(pictures/calibration_hand_eye.png)",
    ]


def _of_lens(found: dict) -> str:
    told = [
        f"by {one['median_mm']:.2f} mm in the median and {one['p95_mm']:.2f} mm at p95 with "
        f"intrinsics from {whose} ({one['setups']} setups; normalised error "
        f"{one['normalised_error']:.2f})"
        for whose, one in (
            ("the very views of the hand-eye", found["same views"]),
            ("as many other views", found["other views"]),
        )
    ]
    return (
        "All of this is with intrinsics that are known exactly. Where the lens is estimated along "
        f"with the place, at 0.3 px of noise, the camera is wrong {', and '.join(told)}. In the "
        "other setups the views say too little of a lens, which is refused."
    )


def drawn(lines: list[dict], folder: Path) -> dict[str, bytes]:
    """The pictures of its rows."""
    return pictures(lines[0]["rows"])


def first_row(line: dict) -> str:
    """Of a bench of calibrations; nothing of another."""
    first = line.get("rows", [{}])[0]
    return first["row"] if "setups" in first else ""


RESULTS = (
    Result(
        "bench_calibration.json",
        "docs/calibration.md",
        of_bench_calibration,
        lambda line: first_row(line) not in ("", "latency"),
        pictures=drawn,
    ),
    Result(
        "bench_calibration_timing.json",
        "docs/calibration_timing.md",
        of_bench_calibration,
        lambda line: first_row(line) == "latency",
        pictures=drawn,
    ),
)
