"""Files of another format: refused in one sentence that names what was found, never half read."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel, ValidationError

from vdd_ros.contract import Contract
from vdd_ros.episode_log import EpisodeLog
from vdd_ros.errors import UserError
from vdd_ros.manifest import Manifest
from vdd_ros.normalizer import Normalizer

ROOT = Path(__file__).resolve().parents[1]


def versioned() -> list[tuple[str, str]]:
    """(module, class) of every model of a file with a format_version, found in the source."""
    found = []
    for folder in ("vdd_ros", "calibration"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "format_version: Literal" not in (text := path.read_text()):
                continue
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            module = name if folder == "vdd_ros" else f"vdd_ros.{name}"
            found += [
                (module, node.name)
                for node in ast.parse(text).body
                if isinstance(node, ast.ClassDef)
                and any(
                    isinstance(item, ast.AnnAssign)
                    and getattr(item.target, "id", "") == "format_version"
                    for item in node.body
                )
            ]
    return found


@pytest.mark.parametrize(("module", "name"), versioned(), ids=lambda value: value.split(".")[-1])
@pytest.mark.parametrize("other", [0, 99, "1", None])
def test_a_model_takes_its_own_version_and_no_other(module, name, other):
    model = getattr(importlib.import_module(module), name)
    assert issubclass(model, BaseModel)
    with pytest.raises(ValidationError) as refused:
        model.model_validate({"format_version": other})
    faults = {fault["loc"]: fault["type"] for fault in refused.value.errors()}
    assert faults[("format_version",)] == "literal_error"


def test_there_are_models_of_that_kind():
    names = {name for _, name in versioned()}
    assert {"Contract", "Manifest", "Journal", "Signature", "Certificate"} <= names


@pytest.mark.parametrize("other", [0, 2, "1"])
def test_a_contract_of_another_version_is_told(tmp_path, contract_path, other):
    raw = yaml.safe_load(contract_path.read_text()) | {"format_version": other}
    (tmp_path / "contract.yaml").write_text(yaml.safe_dump(raw))
    with pytest.raises(UserError, match=r"format_version: Input should be 1 \(found .*correct it"):
        Contract.from_yaml(tmp_path / "contract.yaml")


@pytest.mark.parametrize("other", [0, 2, None])
def test_an_episode_of_another_version_is_told(tmp_path, other):
    (tmp_path / "manifest.json").write_text(
        f'{{"format_version": {"null" if other is None else other}}}'
    )
    with pytest.raises(UserError, match=f"has format_version {other}, this version reads 1: use"):
        Manifest.read(tmp_path)


def test_statistics_of_another_version_are_told():
    with pytest.raises(UserError, match="format version 2 found, this program reads 3; make"):
        Normalizer.from_dict({"format_version": 2})


def test_a_line_of_a_log_of_another_version_is_left_aside(tmp_path):
    """An older program goes on reading a folder that a newer one has written to."""
    line = '{"format_version": %d, "event": "saved", "episode": "e", "manifest": "0"}\n'
    (tmp_path / "episodes.jsonl").write_text(line % 2 + line % 1)
    assert list(EpisodeLog.read(tmp_path).names) == ["e"]
    (tmp_path / "episodes.jsonl").write_text(line % 2)
    assert list(EpisodeLog.read(tmp_path).names) == []
