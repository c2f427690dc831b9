"""Cuts the committed recordings out of the public ones: `python test/data/cut.py FOLDER`.

FOLDER holds g1_bottle and robosuite_human as docs/data.md tells where to get them. What is cut is
the beginning of two episodes each, and one of Lift is whole, to be replayed; nothing else is
changed.
"""

import json
import shutil
import sys
from pathlib import Path

import h5py
import numpy as np
from pyarrow import parquet

HERE = Path(__file__).parent
FRAMES = 90
G1_EPISODES = (10, 29)
LIFT_SHORTENED, LIFT_WHOLE = ("demo_1", "demo_2"), ("demo_3",)


def cut_g1(source: Path, target: Path) -> None:
    """Two episodes, numbered anew, with the statistics that LeRobot keeps of them."""
    for folder in ("meta", "data/chunk-000"):
        (target / folder).mkdir(parents=True, exist_ok=True)
    rows, statistics = [], []
    for index, episode in enumerate(G1_EPISODES):
        table = parquet.read_table(source / f"data/chunk-000/episode_{episode:06d}.parquet")
        table = table.slice(0, FRAMES)
        place = table.column_names.index("episode_index")
        column = np.full(FRAMES, index, dtype=np.int64)
        table = table.set_column(place, "episode_index", [column])
        parquet.write_table(table, target / f"data/chunk-000/episode_{index:06d}.parquet")
        task = json.loads((source / "meta/tasks.jsonl").read_text().splitlines()[0])["task"]
        rows.append({"episode_index": index, "tasks": [task], "length": FRAMES})
        features = {
            name: np.array(table[name].to_pylist()) for name in ("observation.state", "action")
        }
        statistics.append(
            {
                "episode_index": index,
                "stats": {
                    name: {"min": values.min(0).tolist(), "max": values.max(0).tolist()}
                    for name, values in features.items()
                },
            }
        )
    info = json.loads((source / "meta/info.json").read_text())
    info |= {"total_episodes": len(rows), "total_frames": FRAMES * len(rows)}
    info["splits"] = {"train": f"0:{len(rows)}"}
    (target / "meta/info.json").write_text(json.dumps(info, indent=1))
    (target / "meta/tasks.jsonl").write_text((source / "meta/tasks.jsonl").read_text())
    for name, lines in (("episodes", rows), ("episodes_stats", statistics)):
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (target / f"meta/{name}.jsonl").write_text(text)
    shutil.copy(source / "LICENSE", target / "LICENSE")


def cut_lift(source: Path, target: Path, names: tuple[str, ...], rows: int | None) -> None:
    """Some demonstrations with the attributes that are read of them."""
    target.parent.mkdir(exist_ok=True)
    with h5py.File(source) as old, h5py.File(target, "w") as new:
        data = new.create_group("data")
        for key, value in old["data"].attrs.items():
            data.attrs[key] = value
        for name in names:
            for part in ("states", "actions"):
                values = old["data"][name][part][:rows]
                options = {"compression": "gzip", "compression_opts": 9, "shuffle": True}
                data.create_dataset(f"{name}/{part}", data=values, **options)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    cut_g1(folder / "g1_bottle", HERE / "g1_bottle")
    lift = folder / "robosuite_human/lift_1.4.hdf5"
    cut_lift(lift, HERE / "robosuite_human/lift.hdf5", LIFT_SHORTENED, FRAMES + 1)
    cut_lift(lift, HERE / "robosuite_human/lift_whole.hdf5", LIFT_WHOLE, None)
