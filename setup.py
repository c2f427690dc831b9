from glob import glob

from setuptools import Extension, find_packages, setup

package_name = "vdd_ros"

# Ranges that are known to work; requirements/ pins one tested set for each Python.
core = ["numpy>=1.24,<3", "pyyaml>=5.4", "pydantic>=2.8,<3", "tyro>=0.9", "rich>=13", "packaging"]
extras = {
    # on machines without a ROS installation; elsewhere package.xml names what is needed
    "ros": [
        "ros-rclpy[fastrtps]>=7.1,<10",
        "ros-std-msgs",
        "ros-sensor-msgs",
        "ros-builtin-interfaces",
        "ros-rcl-interfaces",
        "ros-diagnostic-msgs",
        "ros-lifecycle-msgs",
        "ros-rosgraph-msgs",
        "ros-std-srvs",
        "ros-geometry-msgs",
        "ros-trajectory-msgs",
    ],
    "runtime": [
        "onnxruntime>=1.17",
        "mcap>=1.6",
        "mcap-ros2-support>=0.5",
        "rosbags>=0.10",
        "pillow>=10",
    ],
    # recording in a browser
    "page": ["aiohttp>=3.8", "pillow>=10"],
    "sign": ["cryptography>=3.4"],  # signatures of bundles and of device results
    "jerk": ["ruckig>=0.12"],  # where a contract has limits of jerk
    "train": [
        "torch>=2.6,<3",
        "onnx>=1.17",
        "onnxscript>=0.3",
        "onnxruntime>=1.17",
        "safetensors>=0.4",
        "scipy>=1.11",
        "mcap>=1.6",
        "mcap-ros2-support>=0.5",
        "rosbags>=0.10",
        "matplotlib>=3.7",
        "pillow>=10",
    ],
    # `vdd train --tensorboard`
    "tensorboard": ["tensorboard>=2.15"],
    # `vdd dataset show --rerun`; 500 MB, so that no lock has it
    "looking": ["rerun-sdk>=0.41,<0.42"],
    # `vdd dataset import`, `export`, `look`: HDF5, parquet and videos, rosbag2
    "data": [
        "h5py>=3.8",
        "pyarrow>=14",
        "av>=14",
        "pillow>=10",
        "mcap>=1.6",
        "mcap-ros2-support>=0.5",
        "rosbags>=0.10",
    ],
    # where a contract's actions tell poses of tools; qpsolvers comes with mink
    "cartesian": ["mink==0.0.5", "mujoco>=3.3,<3.10"],
    # `vdd calibrate`; the arm's kinematics are those of `cartesian`
    "calibration": [
        "opencv-python-headless>=4.7,<5",
        "scipy>=1.11",
        "mink==0.0.5",
        "mujoco>=3.3,<3.10",
    ],
    # robosuite 1.5.2 fails with mujoco 3.10 and newer, whatever its own metadata says
    "sim": ["robosuite==1.5.2", "mujoco>=3.3,<3.10", "mink==0.0.5", "opencv-python-headless<5"],
    "ray": ["ray>=2.9,<3"],  # `vdd sweep --ray`
    # engines: JetPack has TensorRT itself, elsewhere it comes from NVIDIA's package index
    "jetson": ["cuda-bindings>=12.8,<14"],
    "tensorrt": ["tensorrt>=10.3,<12", "cuda-bindings>=12.8,<14"],
    # a compiler of engines that needs no GPU; tests compile every exported graph with it
    "rtx": ["tensorrt-rtx-cu13-bindings>=1.7", "tensorrt-rtx-cu13-libs>=1.7"],
    # `make docs`, which installs requirements/docs.txt
    "docs": ["mkdocs>=1.6,<2", "mkdocs-material>=9.6,<10"],
    "test": ["pytest>=7", "hypothesis>=6", "ruff", "mypy", "types-PyYAML", "playwright>=1.40"],
}

# the usual tick's graph, which is left to numpy where there is no C compiler (docs/runtime.md)
kernel = Extension(
    "vdd_ros.expert_kernel",
    ["vdd_ros/native/expert.c"],
    depends=["vdd_ros/native/expert_kernel.h"],
    extra_compile_args=["-O3", "-fno-math-errno", "-Wno-psabi"],
    libraries=["m"],
    optional=True,
)

setup(
    name=package_name,
    version="0.1.0",
    packages=find_packages(include=["vdd_ros", "vdd_ros.*"]),
    ext_modules=[kernel],
    package_data={"vdd_ros.sim": ["assets/*.xml"], "vdd_ros.page": ["static/*"]},
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/vdd_ros"]),
        ("share/vdd_ros", ["package.xml"]),
        ("share/vdd_ros/config", glob("config/*.yaml")),
        ("share/vdd_ros/config/kinematics", glob("config/kinematics/*")),
        ("share/vdd_ros/config/teleop", glob("config/teleop/*.yaml")),
        ("share/vdd_ros/config/sources", glob("config/sources/*.yaml")),
        ("share/vdd_ros/config/benchmarks", glob("config/benchmarks/*.yaml")),
        ("share/vdd_ros/config/foxglove", glob("config/foxglove/*.json")),
        ("share/vdd_ros/config/rviz", glob("config/rviz/*.rviz")),
        ("share/vdd_ros/config/sros2", glob("config/sros2/*.xml")),
        ("share/vdd_ros/config/systemd", glob("config/systemd/*.service")),
        ("share/vdd_ros/launch", glob("launch/*.launch.py")),
    ],
    python_requires=">=3.10",
    install_requires=["setuptools", *core],
    extras_require=extras,
    zip_safe=False,
    maintainer="vdd_ros maintainers",
    maintainer_email="maintainers@vdd-ros.invalid",
    description="From teleoperated demonstrations to a real-time mixture-of-experts policy on a "
    "ROS 2 robot.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "vdd = vdd_ros.cli:main",
            "recorder_node = vdd_ros.nodes.recorder_node:main",
            "clock_node = vdd_ros.nodes.clock_node:main",
            "operator_node = vdd_ros.nodes.operator_node:main",
            "page_node = vdd_ros.nodes.page_node:main",
            "teleop_node = vdd_ros.nodes.teleop_node:main",
            "action_node = vdd_ros.nodes.action_node:main",
            "command_gate = vdd_ros.nodes.command_gate:main",
            "sim_node = vdd_ros.nodes.sim_node:main",
            "demonstrator_node = vdd_ros.nodes.demonstrator_node:main",
            "replay_node = vdd_ros.nodes.replay_node:main",
            "sim_camera_node = vdd_ros.nodes.sim_camera_node:main",
            "calibration_node = vdd_ros.nodes.calibration_node:main",
            "flight_recorder_node = vdd_ros.nodes.flight_recorder_node:main",
            "trial_node = vdd_ros.nodes.trial_node:main",
        ],
    },
)
