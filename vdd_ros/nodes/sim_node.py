"""sim_node: a simulated robot behind the robot's own topics; nobody can tell it from the robot.

joint states, poses of objects and pictures of observed cameras out, position commands in (topics of
the contract); the last command is held, as a forward position controller holds it; of a trajectory,
the way to its last point is gone evenly until the point is due, as a joint_trajectory_controller
does. Pictures are drawn off screen, by what MUJOCO_GL says, in a thread of their own. Beyond the
robot: /clock, ~/reset (std_srvs/Trigger: arm at its start pose, next seed, time goes on), and once
an episode is decided ~/success (std_msgs/Bool) and ~/episode (std_msgs/String, JSON: success,
reason, way, done, seconds, decided_ns, seed), both latched.

time_base wall: real time, stamps and /clock carry system time. time_base sim: /clock starts at 1 s
and goes as fast as commands answer (vdd_ros.sim.lockstep); at most real time while nobody drives.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from rclpy.node import Node
from rclpy.publisher import Publisher
from rosgraph_msgs.msg import Clock as ClockMessage
from std_msgs.msg import Bool, String
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

from vdd_ros.contract import Contract
from vdd_ros.environment import draw_off_screen
from vdd_ros.errors import UserError
from vdd_ros.manifest import Manifest
from vdd_ros.nodes.hosting import publish_diagnostics, run_node, steady_timer
from vdd_ros.nodes.messages import (
    NS_PER_S,
    Health,
    clock_message,
    fields_of,
    joint_state_message,
    latched_qos,
    message_class,
    poses_message,
    qos_of,
)
from vdd_ros.nodes.parameters import parameter, read_parameters
from vdd_ros.sim.delay import LONGEST_S, DelayLine

if TYPE_CHECKING:
    from vdd_ros.sim.drawing import Drawing

FIRST_SIM_TIME_NS = NS_PER_S  # zero would mean "no clock yet"
LARGEST_LAG_NS = NS_PER_S // 10  # a machine that falls further behind gives the lost time up


@dataclass(frozen=True)
class SimParameters:
    """See the descriptions."""

    contract: str = parameter("", "path of the contract YAML", required=True)
    task: str = parameter("avoid", "name of the simulated task")
    scene: str = parameter(
        "", "folder of an episode recorded in this task: every reset is to its beginning"
    )
    observation_delay_s: float = parameter(
        0.0,
        "states and poses are told so long after they were true [s]",
        lower=0.0,
        upper=LONGEST_S,
    )
    command_delay_s: float = parameter(
        0.0, "commands act so long after they came [s]", lower=0.0, upper=LONGEST_S
    )
    seed: int = parameter(0, "seed of the first episode; each reset takes the next", lower=0)
    time_base: str = parameter("wall", "what stamps and /clock carry", choices=("wall", "sim"))
    lockstep_timeout_s: float = parameter(
        1.0, "time_base sim: longest wait for a command [s of real time]", lower=0.0
    )
    step_limit_s: float = parameter(
        0.0, "end an undecided episode after this long [s]; 0: the task's own limit", lower=0.0
    )


class Way(NamedTuple):
    """begin, end: targets (J,) of the simulated arm [rad, fraction]; end holds from end_ns on."""

    begin: np.ndarray
    begin_ns: int
    end: np.ndarray
    end_ns: int

    def at(self, time_ns: int) -> np.ndarray:
        """(J,) evenly from one to the other."""
        if time_ns >= self.end_ns:
            return self.end
        share = (time_ns - self.begin_ns) / (self.end_ns - self.begin_ns)
        return self.begin + share * (self.end - self.begin)


class SimNode(Node):
    """Hosts a RobosuiteEnv; every callback runs in one thread."""

    def __init__(self) -> None:
        super().__init__("sim_node")
        self.settings = read_parameters(self, SimParameters)
        self.contract = Contract.from_yaml(self.settings.contract)
        if self.contract.images:
            draw_off_screen()
        # Late, because robosuite takes seconds and a bad parameter should be told at once.
        from vdd_ros.sim.env import RobosuiteEnv, joints_of
        from vdd_ros.sim.lockstep import Lockstep
        from vdd_ros.sim.rollout import wire

        self._joints = joints_of(self.settings.task)
        self._wiring = wire(self.contract, self.settings.task)
        self._scene = scene_of(Path(self.settings.scene)) if self.settings.scene else None
        self._env = RobosuiteEnv(self.settings.task)
        self._drawing = self._open_eyes()
        self._in_sim_time = self.settings.time_base == "sim"
        self._lockstep = Lockstep(self.settings.lockstep_timeout_s)
        self._step_ns = self._wiring.state_period_ns
        correction = self.contract.correction_of(self.contract.streams["joint_state"])
        self._correction = None if correction is None else correction.taken(self._wiring.to_arm)
        self._way: Way | None = None
        self._time_ns = FIRST_SIM_TIME_NS if self._in_sim_time else time.time_ns()
        self._due_ns = self._started_ns = time.monotonic_ns()
        self._first_time_ns = self._time_ns
        self._lost_ns = self._refused = 0
        self._open_topics()
        self._begin(self.settings.seed)
        steady_timer(self, self._step_ns / NS_PER_S, self._on_timer)
        publish_diagnostics(self, self._health)

    def destroy_node(self) -> None:
        """Free what drawing takes."""
        if self._drawing is not None:
            self._drawing.close()
        super().destroy_node()

    def _open_eyes(self) -> Drawing | None:
        """None where nothing is observed: cameras that are only recorded may be others'."""
        if not self.contract.images:
            return None
        from vdd_ros.sim.drawing import Drawing

        return Drawing(self._env, self.contract)

    def _open_topics(self) -> None:
        commands = self.contract.streams["robot_command"]
        self._states_out = self._publisher("joint_state")
        self._poses_out = {name: self._publisher(name) for name in self._wiring.pose_streams}
        self._pictures_out = {
            name: self._publisher(name) for name in self.contract.observed_cameras
        }
        self._clock_out = self.create_publisher(ClockMessage, "/clock", 10)
        self._success_out = self.create_publisher(Bool, "~/success", latched_qos())
        self._episode_out = self.create_publisher(String, "~/episode", latched_qos())
        kind = message_class(commands.type)
        self.create_subscription(kind, commands.topic, self._on_command, qos_of(commands))
        self.create_service(Trigger, "~/reset", self._on_reset)

    def _publisher(self, name: str) -> Publisher:
        """Of a stream or a camera."""
        told = self.contract.sources[name]
        return self.create_publisher(message_class(told.type), told.topic, qos_of(told))

    def _begin(self, seed: int) -> None:
        self._env.reset(seed, self._scene)
        self._seed, self._decided = seed, False
        self._target, self._way = self._env.observe().position, None
        self._to_tell = DelayLine(self.settings.observation_delay_s)
        self._to_obey = DelayLine(self.settings.command_delay_s)
        self._lockstep.release()

    def _on_reset(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._begin(self._seed + 1)
        response.success, response.message = True, f"at the start pose, seed {self._seed}"
        return response

    def _on_command(self, message) -> None:
        try:
            stream = self.contract.streams["robot_command"]
            target = fields_of(message, self.contract, stream)["position"]
        except UserError as error:
            self._refuse(error)
            return
        due_ns = self._time_ns
        if isinstance(message, JointTrajectory):
            due_ns += self.contract.control_period_ns
        self._to_obey.put((target[self._wiring.to_arm], due_ns), self._time_ns)
        if self._obey() and self._in_sim_time and self._lockstep.answered():
            for _ in range(self.contract.control_period_ns // self._step_ns):
                self._step()

    def _obey(self) -> bool:
        """Do what has arrived, in the step that comes; whether all of it could be done."""
        refused = self._refused
        for target, due_ns in self._to_obey.due(self._time_ns):
            self._way = Way(self._target, self._time_ns, target, due_ns)
        if self._way is not None:
            target = self._way.at(self._time_ns + self._step_ns)
            try:
                self._env.apply(target)
                self._target = target
            except ValueError as error:
                self._way = None
                self._refuse(error)
        return refused == self._refused

    def _refuse(self, error: Exception) -> None:
        self._refused += 1
        self.get_logger().warning(f"command refused: {error}", throttle_duration_sec=1.0)

    def _on_timer(self) -> None:
        if self._in_sim_time:
            if self._lockstep.may_go_on(time.monotonic()):
                self._step()
            return
        now_ns = time.monotonic_ns()
        if (lag_ns := now_ns - self._due_ns) > LARGEST_LAG_NS:
            lost_ns = lag_ns // self._step_ns * self._step_ns
            self._due_ns, self._time_ns = self._due_ns + lost_ns, self._time_ns + lost_ns
            self._lost_ns += lost_ns
        while self._due_ns <= now_ns:
            self._step()
            self._due_ns += self._step_ns

    def _step(self) -> None:
        """One joint state's worth of simulated time."""
        self._obey()
        self._env.advance(self._step_ns / NS_PER_S)
        self._time_ns += self._step_ns
        reading = self._env.observe()
        self._clock_out.publish(clock_message(self._time_ns))
        position, velocity = reading.position, reading.velocity
        if self._correction is not None:  # its encoders count as the contract says they do
            position, velocity = (
                self._correction.encoders(position),
                self._correction.sign * velocity,
            )
        states = joint_state_message(self._joints, position, self._time_ns, velocity)
        self._to_tell.put((self._states_out, states), self._time_ns)
        for name, period_ns in self._wiring.pose_streams.items():
            if reading.stamp_ns % period_ns == 0:
                frame = self.contract.frames.base
                poses = poses_message(self._env.poses(), frame, self._time_ns)
                self._to_tell.put((self._poses_out[name], poses), self._time_ns)
        self._draw(reading.stamp_ns)
        for publisher, message in self._to_tell.due(self._time_ns):
            publisher.publish(message)
        if self._in_sim_time and self._time_ns % self.contract.control_period_ns == 0:
            self._lockstep.tick_sent(time.monotonic())
        if not self._decided:
            self._judge(reading.stamp_ns / NS_PER_S)

    def _draw(self, elapsed_ns: int) -> None:
        """Have pictures drawn that are due, and tell those that have been; simulated time waits for
        them, real time does not."""
        if self._drawing is None:
            return
        due = [name for name in self._pictures_out if elapsed_ns % self._wiring.cameras[name] == 0]
        if due:
            self._drawing.ask(due, self._time_ns)
        if self._in_sim_time:
            self._drawing.wait()
        for name, message, taken_ns in self._drawing.fetch():
            self._to_tell.put((self._pictures_out[name], message), taken_ns)

    def _judge(self, elapsed_s: float) -> None:
        status = self._env.status()
        over = 0.0 < self.settings.step_limit_s <= elapsed_s
        if not (status.finished or over):
            return
        self._decided = True
        reason = status.reason if status.finished else f"undecided after {elapsed_s:g} s"
        self._episode_out.publish(
            String(
                data=json.dumps(
                    {
                        "success": status.success,
                        "reason": reason,
                        "way": status.way,
                        "done": status.done,
                        "seconds": elapsed_s,
                        "decided_ns": self._time_ns,
                        "seed": self._seed,
                    }
                )
            )
        )
        self._success_out.publish(Bool(data=status.success))
        self.get_logger().info(f"seed {self._seed}: {reason} after {elapsed_s:.2f} s")

    def _health(self) -> Health:
        """Real-time factor over all the time since the start, and what went wrong."""
        passed_ns = self._time_ns - self._first_time_ns - self._lost_ns
        factor = passed_ns / max(1, time.monotonic_ns() - self._started_ns)
        values = {
            "real_time_factor": f"{factor:.3f}",
            "lost_s": self._lost_ns / NS_PER_S,
            "unanswered_ticks": self._lockstep.unanswered,
            "refused_commands": self._refused,
            "seed": self._seed,
            "episode": self._env.status().reason,
        }
        if self._drawing is not None:
            values["pictures"] = self._drawing.drawn
            values["pictures_left_out"] = self._drawing.left_out
            if self._drawing.fault is not None:
                return Health("error", self._drawing.fault, values)
        if self._refused:
            return Health("warn", "commands were refused", values)
        if self._lost_ns:
            return Health("warn", "this machine is too slow for real time", values)
        if self._drawing is not None and self._drawing.left_out:
            return Health("warn", "this machine is too slow to draw every picture", values)
        return Health("ok", "running", values)


def scene_of(folder: Path) -> np.ndarray:
    """Positions of everything in the scene that an episode began with; raises UserError."""
    scene = Manifest.read(folder).meta.get("scene")
    if not isinstance(scene, list):
        raise UserError(f"{folder} does not know the scene it began with: leave scene away")
    return np.array(scene, dtype=np.float64)


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM."""
    return run_node(SimNode, args)


if __name__ == "__main__":
    raise SystemExit(main())
