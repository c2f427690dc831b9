"""Read a dataset that `vdd dataset export --format lerobot_v3` wrote with LeRobot's own class.

    python docs/data/read_with_lerobot.py FOLDER

in an environment where lerobot is installed, which has to be one of its own (docs/data.md). Every
number and every picture is compared with the parquet files; nothing is fetched.
"""

import io
import os
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from PIL import Image
from pyarrow import parquet


def main(folder: Path) -> None:
    """Print what LeRobot sees; ends with an AssertionError where that is not what is written."""
    files = sorted(folder.glob("data/*/*.parquet"))
    tables = [parquet.read_table(file).to_pydict() for file in files]
    dataset = LeRobotDataset("local/exported", root=folder)
    fps = dataset.fps
    print(f"{dataset.num_episodes} episodes, {dataset.num_frames} frames, fps {fps}")
    print("features:", {key: one["shape"] for key, one in dataset.features.items()})
    print("tasks:", dataset.meta.tasks.index.tolist())
    print("statistics of:", ", ".join(dataset.meta.stats))
    rows = [dataset[at] for at in range(len(dataset))]
    for key in ("observation.state", "action", "timestamp", "episode_index", "task_index"):
        written = np.concatenate([np.array(table[key], dtype=np.float32) for table in tables])
        seen = np.stack([row[key].numpy() for row in rows]).astype(np.float32)
        assert np.array_equal(seen.reshape(written.shape), written), key
        print(f"{key}: {written.shape}, equal")
    for key in dataset.meta.image_keys:
        cells = [cell for table in tables for cell in table[key]]
        for cell, row in zip(cells, rows, strict=True):
            pixels = np.asarray(Image.open(io.BytesIO(cell["bytes"])), dtype=np.float32) / 255
            assert np.array_equal(row[key].numpy().transpose(1, 2, 0), pixels), key
        print(f"{key}: {len(cells)} pictures of {tuple(rows[0][key].shape)}, equal")
    chunks = LeRobotDataset(
        "local/exported", root=folder, delta_timestamps={"action": [at / fps for at in range(8)]}
    )
    last = chunks[len(chunks) - 1]
    print("action chunk:", tuple(last["action"].shape), "padded:", last["action_is_pad"].tolist())
    assert last["action_is_pad"].tolist() == [False] + [True] * 7


if __name__ == "__main__":
    main(Path(sys.argv[1]))
