"""What is installed where, what the locks hold, and how the environment is made and reused."""

from __future__ import annotations

import ast
import configparser
import os
import re
import shutil
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
LOCKS = sorted((ROOT / "requirements").glob("*py3*.txt"))
WORKSTATION = [path for path in LOCKS if not path.name.startswith("robot")]
NEVER_LOCKED = {"tensorrt", "looking", "docs"}  # extras; that of docs has a lock of its own
NOT_SOURCE = shutil.ignore_patterns(
    ".git",
    ".venv*",
    "out",
    "build",
    "dist",
    "install",
    "log",
    "*.egg-info",
    "__pycache__",
    ".*_cache",
    "*.so",
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> zipfile.ZipFile:
    """The wheel that `pip install .` installs, built from a copy so that nothing is left here."""
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT, folder / "source", symlinks=True, ignore=NOT_SOURCE)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", "."]
    subprocess.run([*command, "./source"], cwd=folder, check=True, capture_output=True)
    return zipfile.ZipFile(next(folder.glob("*.whl")))


def one_file(wheel: zipfile.ZipFile, ending: str) -> str:
    """The text of the one file of the wheel with this ending."""
    (name,) = [name for name in wheel.namelist() if name.endswith(ending)]
    return wheel.read(name).decode()


def test_nothing_generic_is_installed(wheel):
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.startswith("vdd_ros-")} == {"vdd_ros"}


def test_every_source_file_is_installed_once(wheel):
    installed = {name for name in wheel.namelist() if name.endswith(".py")}
    folders = [("vdd_ros", ROOT / "vdd_ros")]
    folders += [(f"vdd_ros/{name}", ROOT / name) for name in ("policies", "sim", "calibration")]
    expected = {
        f"{prefix}/{path.relative_to(folder)}"
        for prefix, folder in folders
        for path in folder.rglob("*.py")
    }
    code = {name for name in installed if not name.endswith(".launch.py")}
    assert code == expected
    assert "vdd_ros/policies/__init__.py" in code
    assert len(kernels(wheel.namelist())) == (shutil.which("cc") is not None)


def kernels(names) -> list[str]:
    return [name for name in names if name.rpartition("/")[2].startswith("expert_kernel.")]


@pytest.mark.parametrize("compiler", ["cc", "/bin/false"])
def test_the_kernel_is_built_where_there_is_a_compiler_and_missed_nowhere(tmp_path, compiler):
    if shutil.which(compiler) is None:
        compiler = "/bin/false"
    command = [sys.executable, "setup.py", "-q", "build_ext", "--build-lib", tmp_path]
    environment = os.environ | {"CC": compiler}
    done = subprocess.run(
        [*command, "--build-temp", tmp_path / "objects"],
        cwd=ROOT, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    built = kernels(str(path) for path in tmp_path.rglob("*.so"))
    assert len(built) == (compiler != "/bin/false")
    if built:
        assert "warning" not in done.stderr


def test_data_files_are_where_ros_looks(wheel):
    share = {name.split(".data/data/")[1] for name in wheel.namelist() if ".data/data/" in name}
    wanted = {"share/vdd_ros/package.xml", "share/ament_index/resource_index/packages/vdd_ros"}
    config = [
        one
        for kind in ("yaml", "xml", "service", "json", "rviz")
        for one in ROOT.glob(f"config/**/*.{kind}")
    ]
    wanted |= {f"share/vdd_ros/{path.relative_to(ROOT)}" for path in config}
    wanted |= {f"share/vdd_ros/launch/{path.name}" for path in (ROOT / "launch").glob("*.py")}
    assert share == wanted
    assets = {f"vdd_ros/sim/assets/{path.name}" for path in (ROOT / "sim" / "assets").iterdir()}
    assets |= {f"vdd_ros/page/static/page.{kind}" for kind in ("html", "css", "js")}
    assert assets <= set(wheel.namelist())


def test_every_program_exists(wheel):
    parser = configparser.ConfigParser()
    parser.read_string(one_file(wheel, "entry_points.txt"))
    programs = dict(parser["console_scripts"])
    assert "vdd" in programs and "action_node" in programs
    for target in programs.values():
        module, function = target.split(":")
        text = wheel.read(module.replace(".", "/") + ".py").decode()
        assert re.search(rf"^def {function}\(", text, re.MULTILINE), target


def test_the_two_manifests_agree(wheel):
    metadata = Parser().parsestr(one_file(wheel, "METADATA"))
    package = ElementTree.parse(ROOT / "package.xml").getroot()
    maintainer = package.find("maintainer")
    # which setuptools before 69 writes with a dash
    assert package.findtext("name") == metadata["Name"].replace("-", "_")
    assert package.findtext("version") == metadata["Version"]
    assert package.findtext("license") == metadata["License"] == "Apache-2.0"
    # colcon silently falls back to a plain Python build where this is not an address
    assert re.fullmatch(r"[\w.+-]+@[\w-]+(\.[\w-]+)+", maintainer.get("email"))
    assert maintainer.get("email") == metadata["Maintainer-email"]


def test_package_xml_names_every_ros_package_that_is_imported():
    """And none that is not; ros2launch is who starts the launch files. Nothing but these folders
    imports ROS (test_architecture.py)."""
    places = [*(ROOT / "vdd_ros" / "nodes").glob("*.py"), *(ROOT / "launch").glob("*.py")]
    imported = {
        name.split(".")[0]
        for path in places
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [])
        + [alias.name for alias in node.names if isinstance(node, ast.Import)]
    }
    of_ros = re.compile(r"rclpy|launch|launch_ros|\w+_(msgs|srvs|interfaces)")
    declared = [one.text for one in ElementTree.parse(ROOT / "package.xml").iter("exec_depend")]
    assert len(set(declared)) == len(declared)
    ros = {name for name in declared if not name.startswith("python3-")}
    assert ros == {name for name in imported if of_ros.fullmatch(name)} | {"ros2launch"}
    # the extra `ros` has the wheels of those that there are wheels of
    [extra] = re.findall(r'"ros": \[(.*?)\n    \]', (ROOT / "setup.py").read_text(), re.DOTALL)
    wheels = set(re.findall(r'"ros-([\w-]+)', extra))
    without = {"launch", "launch_ros", "ros2launch", "tf2_msgs"}  # there are none of these
    assert wheels == {name.replace("_", "-") for name in ros - without}


def test_colcon_finds_programs_and_data_where_ros2_run_and_launch_look(tmp_path):
    """The commands of `colcon build`: colcon_core/task/python/build.py."""
    shutil.copytree(ROOT, tmp_path / "source", symlinks=True, ignore=NOT_SOURCE)
    prefix = tmp_path / "install"
    command = [sys.executable, "setup.py", "-q", "egg_info", "build", "install"]
    command += ["--prefix", str(prefix), "--record", str(tmp_path / "installed.log")]
    command += ["--single-version-externally-managed", "install_data", "--force"]
    subprocess.run(command, cwd=tmp_path / "source", check=True, capture_output=True)
    programs = {path.name for path in (prefix / "lib" / "vdd_ros").iterdir()}
    named = set(re.findall(r'"(\w+) = vdd_ros\.[\w.]+:main"', (ROOT / "setup.py").read_text()))
    assert programs == named and {"vdd", "action_node", "command_gate"} <= programs
    assert all(os.access(prefix / "lib" / "vdd_ros" / name, os.X_OK) for name in programs)
    assert (prefix / "share/ament_index/resource_index/packages/vdd_ros").is_file()
    share = prefix / "share" / "vdd_ros"
    for path in ("package.xml", "launch/sim.launch.py", "config/panda_avoid.yaml"):
        assert (share / path).read_bytes() == (ROOT / path).read_bytes()


def pins(lock: Path) -> dict[str, str]:
    """Package name -> pinned version; fails on any line that is not a pin."""
    lines = lock.read_text().splitlines()
    matches = [re.fullmatch(r"([a-z0-9-]+)==([0-9][^ ;@/]*)", line) for line in lines]
    assert all(matches), f"{lock.name}: {[x for x, m in zip(lines, matches, strict=True) if not m]}"
    return {match[1]: match[2] for match in matches if match}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)
def test_locks_are_pins_without_what_must_stay_out(lock):
    excluded = (ROOT / "requirements" / "excluded.txt").read_text().split("\n")
    out = {line for line in excluded if line and not line.startswith("#")}
    assert "evdev" in out
    assert not out & set(pins(lock))


@pytest.mark.parametrize("lock", WORKSTATION, ids=lambda path: path.stem)
def test_workstation_locks_lie_within_the_ranges(lock, wheel):
    torch = (ROOT / "requirements" / "torch.txt").read_text().strip().split("==")
    assert out_of_range({**pins(lock), torch[0]: torch[1]}, wheel, NEVER_LOCKED) == []


@pytest.mark.parametrize(
    "lock", [path for path in LOCKS if path not in WORKSTATION], ids=lambda path: path.stem
)
def test_robot_locks_lie_within_the_ranges(lock, wheel):
    others = {"ros", "jerk", "train", "tensorboard", "data", "ray", "sim", "test", "cartesian"}
    others |= {"page", "calibration", "rtx", *NEVER_LOCKED}
    others |= set() if "jetson" in lock.name else {"jetson"}
    assert out_of_range(pins(lock), wheel, others) == []
    assert not {"torch", "robosuite", "mujoco"} & set(pins(lock))


def out_of_range(pinned: dict[str, str], wheel: zipfile.ZipFile, left_out: set[str]) -> list[str]:
    """Requirements of the package that the pins do not meet, leaving some extras out."""
    metadata = Parser().parsestr(one_file(wheel, "METADATA"))
    wanted = [Requirement(line) for line in metadata.get_all("Requires-Dist")]
    return [
        str(requirement)
        for requirement in wanted
        if not any(f'extra == "{extra}"' in str(requirement.marker) for extra in left_out)
        and requirement.name != "setuptools"
        and not requirement.specifier.contains(pinned.get(requirement.name.lower(), "0"))
    ]


class Trial:
    """venv.sh in a folder of its own, with programs that only note how they were called."""

    PYTHON = """#!/bin/sh
case "$*" in
*version_info*) echo "${FAKE_MINOR:-3.11}"; exit ;;
*_base_executable*) echo "$0"; exit ;;
--version) echo "Python ${FAKE_MINOR:-3.11}.0"; exit ;;
*ensurepip*) exit ${FAKE_ENSUREPIP:-0} ;;
esac
echo "python $*" >>"$CALLS"
[ "$2" != venv ] || { mkdir -p "$4/bin" && cp "$0" "$4/bin/python"; }
exit ${FAKE_EXIT:-0}
"""

    def __init__(self, folder: Path):
        self.calls, self.bin, self.source = folder / "calls", folder / "bin", folder / "source"
        shutil.copytree(ROOT / "requirements", self.source / "requirements")
        for name in ("setup.py", "setup.cfg", "pyproject.toml"):
            shutil.copy(ROOT / name, self.source)
        self.bin.mkdir()
        self.program("python3", self.PYTHON)
        self.program("apt-get", '#!/bin/sh\necho "apt-get $*" >>"$CALLS"\n')
        self.program("chromium", "#!/bin/sh\n")
        self.program("id", '#!/bin/sh\necho "${FAKE_USER:-0}"\n')

    def program(self, name: str, text: str) -> None:
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    def run(self, **variables: str) -> tuple[subprocess.CompletedProcess, list[str]]:
        """Run venv.sh; what it printed, and the calls it made."""
        self.calls.write_text("")
        environment = {"PATH": f"{self.bin}:/usr/bin:/bin", "CALLS": str(self.calls), **variables}
        script = self.source / "requirements" / "venv.sh"
        done = subprocess.run([script], env=environment, capture_output=True, text=True)
        return done, self.calls.read_text().splitlines()


@pytest.fixture
def trial(tmp_path) -> Trial:
    return Trial(tmp_path)


def test_environment_is_made_in_order_and_reused(trial):
    done, calls = trial.run()
    assert done.returncode == 0, done.stderr
    steps = [
        "-m venv --clear",
        "build.txt",
        "--no-deps --no-build-isolation -r",
        "torch.txt",
        "-e .",
    ]
    assert len(calls) == len(steps)
    assert all(step in call for step, call in zip(steps, calls, strict=True))
    assert trial.run()[1] == []


def test_environment_is_a_prefix_that_ros_can_search(trial):
    trial.run()
    prefix = trial.source / ".venv"
    assert (prefix / "share" / "vdd_ros" / "config").readlink() == trial.source / "config"
    assert (prefix / "share" / "ament_index/resource_index/packages/vdd_ros").is_symlink()
    program = prefix / "lib" / "vdd_ros" / "action_node"
    assert program.readlink() == prefix / "bin" / "action_node"


def test_only_what_changed_is_done_again(trial):
    trial.run()
    with (trial.source / "setup.py").open("a") as file:
        file.write("# changed\n")
    _, calls = trial.run()
    assert len(calls) == 1 and calls[0].endswith("-e .")
    (trial.source / "requirements" / "torch.txt").write_text("torch==2.14.0\n")
    assert len(trial.run()[1]) == 5
    assert len(trial.run(FAKE_MINOR="3.12")[1]) == 5


def test_a_failed_installation_is_not_taken_for_done(trial):
    assert trial.run(FAKE_EXIT="1")[0].returncode != 0
    assert len(trial.run()[1]) == 5


def test_an_unsupported_python_is_named_with_the_remedy(trial):
    done, calls = trial.run(FAKE_MINOR="3.9")
    assert (done.returncode, calls) == (2, [])
    assert "python3 is Python 3.9" in done.stderr and "make venv PYTHON=" in done.stderr
    done, _ = trial.run(PYTHON="python3.99")
    assert done.returncode == 2 and "python3.99 does not run" in done.stderr


def test_a_machine_without_wheels_is_told_what_to_use(trial):
    trial.program("uname", "#!/bin/sh\necho aarch64\n")
    done, calls = trial.run()
    assert (done.returncode, calls) == (2, [])
    assert "on aarch64 source its ROS installation and install" in done.stderr


def test_missing_system_packages_are_named_or_installed(trial):
    done, calls = trial.run(FAKE_ENSUREPIP="1", FAKE_USER="1000")
    assert (done.returncode, calls) == (2, [])
    assert "sudo apt-get update && sudo apt-get install -y python3.11-venv" in done.stderr
    done, calls = trial.run(FAKE_ENSUREPIP="1", FAKE_USER="0")
    assert done.returncode == 0
    assert calls[0] == "apt-get update -q" and calls[1].endswith("python3.11-venv")


def test_optional_system_packages_are_installed_or_gone_without(trial):
    wanted = trial.source / "requirements" / "system-packages.txt"
    wanted.write_text("a-browser | command -v no-such-browser | a test | optional\n")
    done, calls = trial.run(FAKE_USER="1000")
    assert done.returncode == 0 and "tests that need it are left out: a-browser" in done.stdout
    assert not [call for call in calls if call.startswith("apt-get")]
    shutil.rmtree(trial.source / ".venv")
    done, calls = trial.run()
    assert done.returncode == 0 and calls[1].endswith("--no-install-recommends a-browser")
    shutil.rmtree(trial.source / ".venv")
    trial.program("apt-get", "#!/bin/sh\n[ $1 = update ]\n")
    done, calls = trial.run()
    assert done.returncode == 0 and "goes on without a-browser" in done.stdout
    assert len(calls) == 5


@pytest.mark.parametrize("script", ["requirements/venv.sh", "requirements/lock.sh", ".ci/run"])
def test_scripts_can_be_run(script):
    assert os.access(ROOT / script, os.X_OK)
    subprocess.run(["sh", "-n", ROOT / script], check=True)
