"""What most tests start from. Helper modules of tests lie beside this file."""

from pathlib import Path

import pytest

from vdd_ros.contract import Contract

CONFIG = Path(__file__).resolve().parents[1] / "config"


@pytest.fixture(scope="session")
def contract() -> Contract:
    return Contract.from_yaml(CONFIG / "panda_avoid.yaml")


@pytest.fixture(scope="session")
def contract_path() -> Path:
    return CONFIG / "panda_avoid.yaml"
