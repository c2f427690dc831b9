"""A damaged bundle is refused by the right check, whatever was done to it; nothing in it runs."""

from __future__ import annotations

import json
import shutil

import bundles
import numpy as np
import pytest

from vdd_ros import cli
from vdd_ros.bundle_verification import CHECKS, Failed, verified
from vdd_ros.commands.bench import bundle as bench
from vdd_ros.commands.bench.bundle.kinds import KINDS
from vdd_ros.commands.bench.bundle.scene import Scene, scene_of

# of files that this bundle lacks there is nothing to damage
TRIED = [kind for kind in KINDS if not kind.file or kind.file in bundles.FILES]


@pytest.fixture(scope="module")
def scene(tmp_path_factory, contract) -> Scene:
    folder = tmp_path_factory.mktemp("damage")
    bundle = bundles.student_bundle(folder / "vdd", contract)
    assert set(bundle.manifest.files) == set(bundles.FILES)
    assert bench.kinds_of(bundle.manifest) == TRIED
    return scene_of(bundle.folder, folder / "scene")


def test_there_are_more_than_thirty_kinds_and_every_check_refuses_one():
    assert len({(kind.family, kind.told) for kind in KINDS}) == len(KINDS) > 30
    assert {kind.check for kind in TRIED} == set(CHECKS)


def test_the_bundle_passes_before_it_is_damaged(scene):
    assert bench.is_clean(scene)


@pytest.mark.parametrize("kind", TRIED, ids=lambda kind: f"{kind.family}: {kind.told}")
def test_it_is_refused_by_the_right_check(scene, kind):
    row = bench.row_of(kind, scene, 1 + TRIED.index(kind))
    assert row["refused_by"] == kind.check, row["reason"]
    assert not row["executed"]
    assert len(row["reason"]) < 600 and "\n" not in row["reason"].strip()


def test_the_bench_says_so_for_each(scene, capsys):
    bundle = str(scene.folder / "sound" / "bundle")
    assert cli.main(["bench", "bundle", "--bundle", bundle, "--json"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["undamaged_passes"] and told["kinds"] == told["refused"] == len(TRIED)
    assert [row["ok"] for row in told["rows"]] == [True] * len(TRIED)


def test_no_single_byte_can_be_another(scene):
    """Of any file, the signature's as well: anywhere, drawn by a seed."""
    rng = np.random.default_rng(0)
    victim = scene.victim(0)
    names = sorted(path.name for path in victim.folder.iterdir())
    for _ in range(100):
        path = victim.path(names[rng.integers(len(names))])
        whole = path.read_bytes()
        data = bytearray(whole)
        data[rng.integers(len(data))] ^= 1 << rng.integers(8)
        path.write_bytes(bytes(data))
        with pytest.raises(Failed) as failed:
            verified(victim.folder, scene.robot)
        assert failed.value.check in ("manifest", "files", "signature")
        path.write_bytes(whole)
    shutil.rmtree(victim.folder.parent)
