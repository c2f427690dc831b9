"""What action_node demands of a bundle before it moves an arm, and of whom it is."""

from __future__ import annotations

from pathlib import Path

import bundles
import pytest
from harness import running_node

from vdd_ros.bundle import Bundle, certified
from vdd_ros.errors import UserError
from vdd_ros.nodes.action_parameters import ActionParameters
from vdd_ros.nodes.action_setup import prepared
from vdd_ros.signature import make_keys


@pytest.fixture(scope="module")
def keys(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    for name in ("own", "stranger"):
        make_keys(folder / name, folder / f"{name}.pub")
    return folder


@pytest.fixture(scope="module")
def exported(folder, lossless, keys) -> Bundle:
    return bundles.student_bundle(folder / "exported", lossless, key=keys / "stranger")


@pytest.fixture(scope="module")
def passed(folder, lossless, exported, keys) -> Bundle:
    """It passed in simulation, and is signed."""
    found = bundles.certificate(
        lossless, simulation=bundles.rollouts(delay_s=0.01, contract_hash=lossless.contract_hash)
    )
    return certified(exported, folder / "passed", found, keys / "own")


def configured(folder: Path, bundle: Bundle, **settings: str) -> None:
    """As far as action_node gets before it makes anything of its own."""
    contract = str(folder / "contract.yaml")
    ready = prepared(ActionParameters(contract=contract, bundle=str(bundle.folder), **settings))
    ready.loop.close()


def test_with_the_pass_and_the_key_it_is_taken(folder, passed, exported, keys):
    trusted = str(keys / "own.pub")
    configured(folder, passed, require_certificate="sim_pass", trusted_keys=trusted)
    configured(folder, exported, mode="shadow", require_certificate="sim_pass")


@pytest.mark.parametrize(
    ("which", "settings", "said"),
    [
        ("exported", {"require_certificate": "sim_pass"}, "no pass in simulation .*: certificate"),
        ("passed", {"require_certificate": "complete"}, "lacks calibration, .*: certificate"),
        ("exported", {"trusted_keys": "own.pub"}, "is no trusted key.*: signature"),
        ("exported", {"mode": "shadow", "trusted_keys": "own.pub"}, "no trusted key.*: signature"),
    ],
)
def test_without_it_is_refused(folder, keys, request, which, settings, said):
    found = request.getfixturevalue(which)
    if "trusted_keys" in settings:
        settings = settings | {"trusted_keys": str(keys / settings["trusted_keys"])}
    with pytest.raises(UserError, match=said):
        configured(folder, found, **settings)


def test_other_reference_outputs_are_refused(folder, lossless):
    """What runs here is compared with what was trained, before anything moves."""
    made = bundles.student_bundle(folder / "off", lossless)
    off = made.reference._replace(means=made.reference.means + 0.01)
    made = bundles.student_bundle(folder / "off", lossless, reference=off)
    with pytest.raises(UserError, match=r"differs from its reference .*\(check: parity\)"):
        configured(folder, made)


def test_the_node_ends_with_the_sentence(domain, folder, exported):
    parameters = {"contract": folder / "contract.yaml", "bundle": exported.folder}
    parameters |= {"require_certificate": "sim_pass", "autostart": True}
    with running_node("action_node", domain, parameters) as process:
        assert process.wait() == 2
        assert "(check: certificate)" in process.output and "Traceback" not in process.output
