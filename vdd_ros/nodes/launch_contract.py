"""The contract that a launch file is given: asked for before any node is started."""

from __future__ import annotations

from pathlib import Path

from launch.actions import SetLaunchConfiguration
from launch.substitutions import PathJoinSubstitution
from launch_ros.substitutions import FindPackageShare


def require_contract(context):
    """The limits of a real robot are those of its own contract, so it is named; a simulated one
    has one. Here, as what is raised ends everything before any node is started."""
    contract, sim = (context.launch_configurations[name] for name in ("contract", "sim"))
    if not contract and sim == "true":
        share = FindPackageShare("vdd_ros")
        config = PathJoinSubstitution([share, "config", "panda_avoid.yaml"])
        return [SetLaunchConfiguration("contract", config)]
    if not contract:
        raise RuntimeError(
            "no contract is named, and limits are the contract's: add contract:=FILE, the contract "
            "YAML of this robot, or sim:=true for the simulated arm"
        )
    if not Path(contract).is_file():
        raise RuntimeError(
            f"contract:={contract} is no file: name the contract YAML of this robot, from "
            f"{Path.cwd()} or from /"
        )
    return None
