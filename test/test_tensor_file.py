"""Files of tensors that are written in parts and read where asked, as any safetensors."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from vdd_ros.errors import UserError
from vdd_ros.policies.examples import RowsOnDisk
from vdd_ros.policies.tensor_file import Shape, TensorFile, TensorWriter, read_whole

SHAPES = {
    "place": Shape(np.int64, (5,)),
    "rows": Shape(np.float32, (5, 3)),
    "none": Shape(np.float64, (0, 2)),
    "is_pad": Shape(np.bool_, (5, 2)),
}


def written(path: Path) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    numbers = {
        "place": np.arange(5),
        "rows": rng.standard_normal((5, 3)).astype(np.float32),
        "none": np.zeros((0, 2)),
        "is_pad": rng.random((5, 2)) < 0.5,
    }
    with TensorWriter(path, SHAPES) as writer:
        for part in (slice(0, 2), slice(2, 5)):  # in turns, as blocks come
            for name in ("rows", "is_pad", "place"):
                writer.write(name, numbers[name][part])
    return numbers


def same(found: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> None:
    assert found.keys() == wanted.keys()
    for name, part in wanted.items():
        np.testing.assert_array_equal(found[name], part)
        assert found[name].dtype == part.dtype


def test_what_is_written_in_parts_is_a_safetensors_file(tmp_path):
    path = tmp_path / "a.safetensors"
    numbers = written(path)
    same(load_file(path), numbers)
    same(read_whole(path), numbers)
    save_file(numbers, tmp_path / "b.safetensors")
    same(read_whole(tmp_path / "b.safetensors"), numbers)


def test_what_was_forgotten_is_read_again(tmp_path):
    path = tmp_path / "a.safetensors"
    numbers, file = written(path), TensorFile(path)
    view = file.tensors["rows"]
    file.forget()
    np.testing.assert_array_equal(view, numbers["rows"])


@pytest.mark.parametrize("cannot", [False, True])
def test_rows_are_read_in_any_order_whether_the_page_cache_has_them(cannot, tmp_path, monkeypatch):
    path = tmp_path / "a.safetensors"
    numbers = np.random.default_rng(0).standard_normal((20_000, 46)).astype(np.float32)
    with TensorWriter(path, {"rows": Shape(np.float32, numbers.shape)}) as writer:
        writer.write("rows", numbers)
    if cannot:
        monkeypatch.setattr(os, "RWF_NOWAIT", 1 << 30)  # a flag that no file system knows
    rows, rng = RowsOnDisk(path), np.random.default_rng(1)
    for _ in range(3):
        index = rng.integers(len(rows), size=300)
        rows.drop()
        for _ in range(2):
            np.testing.assert_array_equal(rows.at(index), numbers[index])
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 1000)
    with pytest.raises(UserError, match="ends too early"):
        rows.at(np.arange(len(rows) - 10, len(rows)))


def test_after_an_error_nothing_is_left(tmp_path):
    with pytest.raises(OSError, match="full"), TensorWriter(tmp_path / "a", SHAPES) as writer:
        writer.write("place", np.arange(5))
        raise OSError("full")
    with pytest.raises(ValueError, match="not written whole"), TensorWriter(tmp_path / "a", SHAPES):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("length", [0, 5, 20, 60, -1])
def test_a_file_that_ends_early_is_said_to_be_damaged(tmp_path, length):
    path = tmp_path / "a.safetensors"
    written(path)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(UserError, match=r"a.safetensors is damaged"):
        TensorFile(path)


def test_one_that_is_not_there_is_said_to_be_missing(tmp_path):
    with pytest.raises(UserError, match=r"a.safetensors is missing"):
        TensorFile(tmp_path / "a.safetensors")
