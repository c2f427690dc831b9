"""What every file of tests over ROS may ask for, made once a file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from harness import Observer, free_domain
from robots import lossless_contract

from vdd_ros.contract import Contract


@pytest.fixture(scope="module")
def domain() -> Iterator[int]:
    with free_domain() as number:
        yield number


@pytest.fixture(scope="module")
def observer(domain) -> Iterator[Observer]:
    with Observer(domain) as node:
        yield node


@pytest.fixture(scope="module")
def folder(tmp_path_factory, request):
    return tmp_path_factory.mktemp(request.module.__name__)


@pytest.fixture(scope="module")
def lossless(folder, contract_path) -> Contract:
    return lossless_contract(folder / "contract.yaml", contract_path)
