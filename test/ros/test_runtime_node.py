"""A student's bundle on the robot with each runtime: same promises, and what is loaded for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from harness import Observer, free_domain, running_node
from robots import HOME, Robot
from small_student import student_bundle, student_parts

from vdd_ros.commands.export import STUDENT_RULE
from vdd_ros.compiled_expert import kernel

MOST_MB = 120.0


@pytest.fixture(scope="module")
def bundle(folder, lossless) -> Path:
    rule = replace(STUDENT_RULE, hold_ticks=10)
    return student_bundle(folder / "bundle", lossless, student_parts(width=320), rule).folder


# the kernel is built wherever there is a C compiler
BUILT = ["compiled"] if kernel() is not None else []


@pytest.mark.parametrize("runtime", ["numpy", "onnxruntime", *BUILT])
def test_a_student_drives_in_little_memory_with_every_runtime(runtime, bundle, folder, lossless):
    parameters = {
        "contract": folder / "contract.yaml", "bundle": bundle, "autostart": True,
        "runtime": runtime,
    }  # fmt: skip
    with (
        free_domain() as domain,
        Observer(domain) as observer,
        Robot(observer, lossless) as robot,
        running_node("action_node", domain, parameters) as process,
    ):
        robot.wait_for_commands(200)
        proc = Path(f"/proc/{process.process.pid}")
        loaded = (proc / "maps").read_text()
        memory = (proc / "smaps_rollup").read_text().splitlines()
        assert process.end() == 0, process.output
        robot.wait_for_rest()
        robot.assert_safe(HOME)
    assert ("onnxruntime" in loaded) is (runtime == "onnxruntime")
    assert ("expert_kernel" in loaded) is (runtime == "compiled")
    for library in ("/scipy/", "/torch/", "/mujoco/", "/robosuite/"):
        assert library not in loaded
    (pss,) = (line.split()[1] for line in memory if line.startswith("Pss:"))
    assert int(pss) * 1024 / 1e6 < MOST_MB
