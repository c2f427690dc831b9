"""Sealed folders that several processes write."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from vdd_ros.sealed_folder import write_sealed

WRITERS, ROUNDS = 4, 40


def test_who_writes_a_folder_at_the_same_time_replaces_it_whole(tmp_path):
    together = Barrier(WRITERS)

    def write(writer: int) -> None:
        for place in range(ROUNDS):
            together.wait(timeout=60)
            write_sealed(tmp_path / str(place), {"a": bytes([writer]), "b": bytes([writer])})

    with ThreadPoolExecutor(WRITERS) as pool:
        for done in [pool.submit(write, writer) for writer in range(WRITERS)]:
            done.result()
    for folder in tmp_path.iterdir():
        assert (folder / "a").read_bytes() == (folder / "b").read_bytes()
    assert {folder.name for folder in tmp_path.iterdir()} == set(map(str, range(ROUNDS)))
