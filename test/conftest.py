"""What most tests start from. Helper modules of tests lie beside this file."""

import os
from pathlib import Path

import pytest

from vdd_ros.contract import Contract

CONFIG = Path(__file__).resolve().parents[1] / "config"


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory) -> Path:
    """What tests decode is not left in the cache of who runs them."""
    os.environ["VDD_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    return Path(os.environ["VDD_CACHE"])


@pytest.fixture(scope="session")
def contract() -> Contract:
    return Contract.from_yaml(CONFIG / "panda_avoid.yaml")


@pytest.fixture(scope="module")
def env():
    """The simulated arm at `avoid`; files about other tasks have their own."""
    from vdd_ros.sim.env import RobosuiteEnv  # which most tests need not wait for

    env = RobosuiteEnv("avoid")
    yield env
    env.close()


@pytest.fixture(scope="session")
def contract_path() -> Path:
    return CONFIG / "panda_avoid.yaml"
