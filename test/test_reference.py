"""Pages of docs/reference/ say what the code says. That of the nodes: ros/test_node_page.py."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel

from vdd_ros import bundle_manifest, manifest
from vdd_ros.command_gate import StopReason

REFERENCE = Path(__file__).resolve().parents[1] / "docs" / "reference"


@pytest.fixture(scope="module", autouse=True)
def makers():
    """The modules that make the pages can be imported."""
    sys.path.insert(0, str(REFERENCE))
    yield
    sys.path.remove(str(REFERENCE))


@pytest.mark.parametrize("name", ["contract", "command_line", "launch", "stop_reasons"])
def test_a_page_is_what_the_code_says(name):
    made = importlib.import_module("make").PAGES[f"{name}.md"]()
    assert (REFERENCE / f"{name}.md").read_text(encoding="utf-8") == made, "run: make reference"


def test_a_key_that_nobody_explains_is_no_page():
    class Arm(BaseModel):
        """An arm.

        reach, speed: how far [m], how fast
        [m/s]; hand: of it.
        """

        reach: float
        speed: float
        hand: str

    class Silent(BaseModel):
        """weight: of it [kg]."""

        weight: float
        colour: str

    meanings = importlib.import_module("contract_page").meanings
    both = "how far [m], how fast [m/s]"
    assert meanings(Arm) == {"reach": both, "speed": both, "hand": "of it"}
    with pytest.raises(KeyError, match="Silent says nothing of colour"):
        meanings(Silent)


def test_every_stop_has_a_remedy_and_every_remedy_a_stop():
    remedies = importlib.import_module("reason_page").REMEDY
    assert set(remedies) == set(StopReason)
    assert all(text.endswith((".", ").")) and len(text) > 20 for text in remedies.values())


def test_every_file_and_key_of_an_episode_and_of_a_bundle_is_explained():
    page = (REFERENCE / "files.md").read_text(encoding="utf-8")
    names = {*bundle_manifest.REQUIRED, *bundle_manifest.OPTIONAL, bundle_manifest.MANIFEST}
    names |= set(manifest.Manifest.model_fields)
    assert not [name for name in names if f"`{name}`" not in page]


def test_the_architecture_says_how_long_each_stop_holds():
    page = (REFERENCE.parent / "architecture.md").read_text(encoding="utf-8")
    table = page.partition("| reason | holds until |")[2].partition("\n\n")[0]
    assert {name for name in StopReason.__members__ if f"`{name}`" not in table} == set()
