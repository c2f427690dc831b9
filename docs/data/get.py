"""Puts the public demonstrations where `VDD_DATA` can point: `python docs/data/get.py FOLDER`.

Needs git, pip and the network. What comes is compared with SHA256SUMS beside this file.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

G1_URL = "https://github.com/YifanTian07/G1-policy-train"
G1_COMMIT = "d1d3bb45f16a99eb3220c88b4f84f6c92d306f88"
G1_EPISODES = 80
ROBOSUITE = {  # our name: version, path in its source package
    "lift_1.4": ("1.4.1", "lift/demo.hdf5"),
    "lift_1.0": ("1.0.1", "lift/panda/demo.hdf5"),
    "stack_1.0": ("1.0.1", "stack/panda/demo.hdf5"),
    "door_1.0": ("1.0.1", "door/panda/demo.hdf5"),
    "nut_assembly_1.0": ("1.0.1", "nut-assembly/panda/demo.hdf5"),
}
SUMS = Path(__file__).with_name("SHA256SUMS")


def main() -> int:
    """Get everything; 1 where a file is not what it was, or could not be got."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder to make")
    parser.add_argument("--g1", default=G1_URL, help="a clone of the G1 repository, or its address")
    parser.add_argument("--videos", action="store_true", help="its videos as well, 280 MB")
    args = parser.parse_args()
    if args.folder.exists():
        print(f"{args.folder} exists already; name a folder to make", file=sys.stderr)
        return 2
    try:
        with tempfile.TemporaryDirectory() as scratch:
            get_g1(args.g1, Path(scratch), args.folder / "g1_bottle", args.videos)
            get_robosuite(Path(scratch), args.folder / "robosuite_human")
    except (subprocess.CalledProcessError, OSError) as error:
        # git and pip have said themselves what was wrong
        print(f"not all of it could be got ({error}); remove {args.folder}", file=sys.stderr)
        return 1
    return compare(args.folder)


def get_g1(url: str, scratch: Path, target: Path, videos: bool) -> None:
    """Episodes, with or without their videos, and metadata that lists those only."""
    clone = scratch / "g1"
    git = ["git", "-C", str(clone)]
    subprocess.run(
        ["git", "clone", "--quiet", "--no-checkout", "--filter=blob:none", url, clone], check=True
    )
    wanted = ["/data/", "/meta/", "/LICENSE", *(["/videos/"] if videos else [])]
    subprocess.run([*git, "sparse-checkout", "set", "--no-cone", *wanted], check=True)
    subprocess.run([*git, "checkout", "--quiet", G1_COMMIT], check=True)
    (target / "meta").mkdir(parents=True)
    info = json.loads((clone / "meta/info.json").read_text())
    for name in ("episodes", "episodes_stats"):
        lines = (clone / f"meta/{name}.jsonl").read_text().splitlines(keepends=True)[:G1_EPISODES]
        (target / f"meta/{name}.jsonl").write_text("".join(lines))
        if name == "episodes":
            info["total_frames"] = sum(json.loads(line)["length"] for line in lines)
    for name in ("LICENSE", "meta/tasks.jsonl"):
        (target / name).write_bytes((clone / name).read_bytes())
    info |= {"total_episodes": G1_EPISODES, "splits": {"train": f"0:{G1_EPISODES}"}}
    (target / "meta/info.json").write_text(json.dumps(info, indent=1))
    for index in range(G1_EPISODES):
        name = f"episode_{index:06d}"
        paths = [Path(f"data/chunk-000/{name}.parquet")]
        paths += [path.relative_to(clone) for path in clone.glob(f"videos/*/*/{name}.mp4")]
        for path in paths:
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            (target / path).write_bytes((clone / path).read_bytes())


def get_robosuite(scratch: Path, target: Path) -> None:
    """The demonstrations that robosuite's source packages bring."""
    target.mkdir(parents=True)
    for version in sorted({version for version, _ in ROBOSUITE.values()}):
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--no-binary",
            ":all:",
        ]
        command += [f"robosuite=={version}", "--dest", str(scratch)]
        subprocess.run(command, check=True)
    for name, (version, path) in ROBOSUITE.items():
        member = f"robosuite-{version}/robosuite/models/assets/demonstrations/{path}"
        with tarfile.open(scratch / f"robosuite-{version}.tar.gz") as archive:
            file = archive.extractfile(member)
            assert file is not None
            (target / f"{name}.hdf5").write_bytes(file.read())


def compare(folder: Path) -> int:
    """0 where every file is the one that SHA256SUMS names, else 1."""
    wrong = 0
    for line in SUMS.read_text().splitlines():
        expected, name = line.split()
        if hashlib.sha256((folder / name).read_bytes()).hexdigest() != expected:
            print(f"{folder / name} is not the file that SHA256SUMS names", file=sys.stderr)
            wrong += 1
    print(f"{folder}: {'as it should be' if not wrong else f'{wrong} files differ'}")
    return min(wrong, 1)


if __name__ == "__main__":
    raise SystemExit(main())
