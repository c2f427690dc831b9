"""Cells of a sweep over tasks with figures from nowhere."""

from __future__ import annotations

CORE = ("teacher", "teacher-1", "vdd", "vdd-paper", "nll", "em", "imc")
FIGURES = {
    "success": 0.9,
    "success_interval": [0.8, 0.95],
    "entropy": 0.8,
    "entropy_dropped": 0.8,
    "return": 0.9,
    "modes": 4,
    "modes_declared": 4,
    "seconds": 5.0,
    "failures": {},
    "ways": [i % 4 for i in range(20)],
    "contexts": 5,
    "nll": -4.0,
    "energy_distance": 0.01,
    "energy_distance_se": 0.001,
    "energy_less_nll": {"mean": -0.001, "se": 0.001},
    "energy_floor": 0.0005,
    "sliced_w2": 0.1,
    "off_support": 0.02,
    "off_support_means": 0.005,
    "parameters": 432_000,
    "acting_rule": "draw for 5 ticks",
    "latency_us": {"p50": 20.0, "p99": 40.0},
    "training_seconds": 100.0,
    "hardware": "a processor, 2 cores",
    "command": "vdd sweep PLAN --out OUT",
}


def cell(task: str, seed: int, method: str, **changes) -> dict:
    """One of the teacher edm, of a student or of itself."""
    own = {"run": method, "objective": method, "experts": 8, "nfe": 1, "ablation": False}
    if method.startswith("teacher"):
        own |= {"objective": None, "experts": None, "nll": None, "off_support_means": None}
        own |= {"nfe": 1 if method == "teacher-1" else 10, "parameters": 457_000}
    where = {"benchmark": "made", "task": task, "seed": seed, "method": method, "teacher": "edm"}
    return where | FIGURES | own | changes
