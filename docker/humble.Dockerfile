# ROS 2 Humble, what the robot needs, and this package built by colcon: recording and running bundles, no
# torch, no simulator. Written for Docker and not built so far (docs/support.md).
#   docker build -f docker/humble.Dockerfile -t vdd_ros:humble .
#   docker run --rm -it --net=host --ipc=host vdd_ros:humble ros2 run vdd_ros vdd doctor
FROM ros:humble-ros-base

SHELL ["/bin/bash", "-c"]
ENV DEBIAN_FRONTEND=noninteractive
RUN apt-get update && apt-get install -y --no-install-recommends \
        python3-pip python3-colcon-common-extensions python3-rosdep \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/vdd
COPY requirements/robot-py310.txt .
# in a folder of their own: the system's Python stays as it is
RUN pip install --no-deps --target packages -r robot-py310.txt
ENV PYTHONPATH=/opt/vdd/packages

COPY . src/vdd_ros
RUN apt-get update \
    && source /opt/ros/humble/setup.bash \
    && rosdep install --from-paths src --ignore-src -y \
    && rm -rf /var/lib/apt/lists/*
RUN source /opt/ros/humble/setup.bash && colcon build --install-base install --packages-select vdd_ros

RUN useradd --create-home robot
USER robot
WORKDIR /home/robot
RUN echo "source /opt/vdd/install/setup.bash" >> .bashrc
ENTRYPOINT ["/bin/bash", "-c", "source /opt/vdd/install/setup.bash && exec \"$@\"", "--"]
CMD ["ros2", "run", "vdd_ros", "vdd", "doctor"]
