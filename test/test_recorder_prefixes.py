"""Power cuts after every operation of a session: nothing said to be saved is lost, and the check
sees where something would be."""

from __future__ import annotations

import shutil
import subprocess
import sys

import numpy as np
import pytest
from pictures import contract_with

from vdd_ros.commands.bench import recorder_prefixes
from vdd_ros.commands.bench.disk_crashes import BLOCK, Disk, read, without, write
from vdd_ros.commands.bench.disk_trace import Operation, traced
from vdd_ros.errors import UserError


@pytest.fixture(scope="module")
def operations(contract, tmp_path_factory):
    args = recorder_prefixes.Args(episodes=3, seconds=0.2)
    scratch = tmp_path_factory.mktemp("session")
    return recorder_prefixes.recorded(scratch, contract, args, np.random.default_rng(0))


def quiet(done: int) -> None:
    pass


def test_nothing_that_was_said_to_be_saved_is_lost(operations):
    found, first = recorder_prefixes.cut_everywhere(operations, 0, quiet)
    assert found.is_fine and first is None
    assert found.disks > len(operations) and found.saved > 0
    assert sum(one.kind == "said" for one in operations) == 2


def test_nor_is_an_episode_with_pictures(tmp_path):
    seeing = contract_with()
    args = recorder_prefixes.Args(episodes=2, seconds=0.1)
    operations = recorder_prefixes.recorded(tmp_path, seeing, args, np.random.default_rng(0))
    assert any("cameras/" in one.path and one.kind == "write" for one in operations)
    found, first = recorder_prefixes.cut_everywhere(operations, 0, quiet)
    assert found.is_fine and first is None and found.saved > 0


@pytest.mark.parametrize("dropped", ["files", "folders"])
def test_a_recorder_that_does_not_sync_is_found_out(operations, dropped):
    first_saved = next(at for at, one in enumerate(operations) if one.kind == "said")
    begun = operations[: first_saved + 1]
    fewer = without(begun, dropped)
    assert 0 < len(fewer) < len(begun)
    found, first = recorder_prefixes.cut_everywhere(fewer, 0, quiet)
    assert found.lost + found.altered > 0 and first is not None


def test_a_session_that_did_what_was_not_noted_is_no_proof(contract, tmp_path, monkeypatch):
    args = recorder_prefixes.Args(episodes=1, seconds=0.1)
    session = recorder_prefixes.session

    def and_more(folder, *rest):
        session(folder, *rest)
        subprocess.run(["touch", str(folder / "unseen")], check=True)

    monkeypatch.setattr(recorder_prefixes, "session", and_more)
    with pytest.raises(RuntimeError, match="what was not noted"):
        recorder_prefixes.recorded(tmp_path, contract, args, np.random.default_rng(0))


class TestDisk:
    """The model of a disk, by hand."""

    def disks(self, *operations: Operation) -> list[dict]:
        disk = Disk()
        for operation in operations:
            disk.do(operation)
        return [tree for _, tree in disk.after_power_cut(np.random.default_rng(0))]

    created = (Operation("create", "a"), Operation("write", "a", data=b"x" * BLOCK * 3))

    def test_a_file_may_be_missing_empty_torn_zeroed_or_whole(self):
        found = [tree.get("a") for tree in self.disks(*self.created)]
        lengths = {None if one is None else (len(one), one.count(b"x")) for one in found}
        assert {None, (0, 0), (BLOCK * 3, 0), (BLOCK * 3, BLOCK * 3)} <= lengths
        assert (BLOCK, BLOCK) in lengths and (2 * BLOCK, 2 * BLOCK) in lengths

    def test_fsync_of_a_file_keeps_its_data_and_not_its_name(self):
        found = {tree.get("a") for tree in self.disks(*self.created, Operation("fsync", "a"))}
        assert found == {None, b"x" * BLOCK * 3}

    def test_fsync_of_both_keeps_it(self):
        synced = (Operation("fsync", "a"), Operation("fsync", "."))
        assert {tree.get("a") for tree in self.disks(*self.created, *synced)} == {b"x" * BLOCK * 3}

    def test_a_rename_is_done_or_not_and_may_be_before_the_data(self):
        begun = (*self.created, Operation("fsync", "."), Operation("rename", "a", target="b"))
        found = self.disks(*begun)
        assert all(("a" in tree) != ("b" in tree) for tree in found)
        assert {tree["b"] for tree in found if "b" in tree} >= {b"", b"x" * BLOCK * 3}

    def test_a_folder_is_an_entry_of_the_one_above(self):
        made = (
            Operation("mkdir", "d"),
            Operation("create", "d/a"),
            Operation("fsync", "d/a"),
            Operation("fsync", "d"),
        )
        assert {"d/a" in tree for tree in self.disks(*made)} == {False, True}
        assert all("d/a" in tree for tree in self.disks(*made, Operation("fsync", ".")))

    def test_what_python_does_to_a_folder_is_noted(self, tmp_path):
        root, again = tmp_path / "root", tmp_path / "again"
        root.mkdir(), again.mkdir()
        with traced(root) as trace:
            (root / "deep" / "er").mkdir(parents=True)
            (root / "deep" / "text").write_text("one\ntwo\n")
            with (root / "deep" / "log").open("a+b") as file:
                file.write(b"whole\ntorn")
                file.seek(0)
                file.read()
                file.truncate(6)
                file.write(b"more\n")
            (root / "deep" / "text").rename(root / "deep" / "er" / "text")
            (root / "gone").mkdir()
            (root / "gone" / "file").write_bytes(b"x")
            shutil.rmtree(root / "gone")
        disk = Disk()
        for operation in trace.operations:
            disk.do(operation)
        write(disk.now(), again)
        assert read(again) == read(root) and (again / "deep/log").read_bytes() == b"whole\nmore\n"


SCRIPT = """
import sys
import numpy as np
from pathlib import Path
from vdd_ros.contract import Contract
from vdd_ros.commands.bench import recorder_prefixes as bench
contract, args = Contract.from_yaml(sys.argv[2]), bench.Args(episodes=3, seconds=0.3)
for one in bench.recorded(Path(sys.argv[1]), contract, args, np.random.default_rng(0)):
    print(one.kind)
"""
CALLS = "openat,mkdir,mkdirat,write,fsync,rename,renameat2,unlink,unlinkat,rmdir,ftruncate"


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_the_kernel_saw_the_same_sequence(contract_path, tmp_path):
    root, log = tmp_path / "root", tmp_path / "strace"
    root.mkdir()
    words = ["strace", "-y", "-qq", "-e", f"trace={CALLS}", "-o", str(log), sys.executable]
    done = subprocess.run(
        [*words, "-c", SCRIPT, str(root), str(contract_path)], capture_output=True, text=True
    )
    if "ptrace" in done.stderr.lower() and done.returncode:
        pytest.skip("nobody may be traced here")
    assert done.returncode == 0, done.stderr
    noted = [kind for kind in done.stdout.split() if kind not in ("said", "create")]
    seen = [kind_of(line, root) for line in log.read_text().splitlines()]
    assert [kind for kind in seen if kind is not None] == noted


def kind_of(line: str, root) -> str | None:
    """What a line of strace is, of those that change the folder."""
    call = line.split("(")[0]
    failed = " = -1 " in line
    if failed or str(root) not in line:
        return None
    if call == "openat":  # may find the file there already, and what is written to it tells
        return None
    kinds = {"mkdirat": "mkdir", "renameat2": "rename", "ftruncate": "truncate"}
    if call == "unlinkat":
        return "rmdir" if "AT_REMOVEDIR" in line else "unlink"
    return kinds.get(call, call)


def test_what_cannot_be_recorded_is_told(tmp_path):
    with pytest.raises(UserError, match="at least one episode"):
        recorder_prefixes.main(recorder_prefixes.Args(episodes=0))
    with pytest.raises(UserError, match="no contract"):
        recorder_prefixes.main(recorder_prefixes.Args(contract=tmp_path / "none.yaml"))
