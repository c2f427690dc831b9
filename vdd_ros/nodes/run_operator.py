"""RunOperator: who stands beside a run and asks for things, in a program that is no node itself.

Lifecycle of `action_node`, reset of `command_gate`, the e-stop, a leader arm, and what
`fault_relay` is to do.
"""

from __future__ import annotations

import json
import os
import threading
import time
from typing import Any

import numpy as np
import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.context import Context
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from std_msgs.msg import Bool, String
from std_srvs.srv import Trigger

from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.nodes.fault_relay import FAULTS
from vdd_ros.nodes.hosting import make_executor, spin_until
from vdd_ros.nodes.knock import Knock
from vdd_ros.nodes.messages import command_message, latched_qos, message_class, qos_of

TRANSITIONS = {
    "configure": Transition.TRANSITION_CONFIGURE,
    "activate": Transition.TRANSITION_ACTIVATE,
    "deactivate": Transition.TRANSITION_DEACTIVATE,
    "cleanup": Transition.TRANSITION_CLEANUP,
}
PATIENCE_S, POLL_S, ASK_AGAIN_S = 60.0, 0.005, 1.0


class RunOperator:
    """A participant of its own in a ROS domain; callbacks run in a thread. Use `close`."""

    def __init__(self, domain: int, contract: Contract):
        os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"  # as that of `processes.isolated`
        self.contract = contract
        self._context = Context()
        rclpy.init(
            context=self._context, domain_id=domain, signal_handler_options=SignalHandlerOptions.NO
        )
        self._node = Node("run_operator", context=self._context)
        self._executor = make_executor(self._context)
        self._executor.add_node(self._node)
        leader = contract.streams["teleop_command"]
        self._leader = self._node.create_publisher(
            message_class(leader.type), leader.topic, qos_of(leader)
        )
        # latched: a press from before a node listens counts
        self._e_stop = self._node.create_publisher(Bool, contract.e_stop_topic, latched_qos())
        # as a microcontroller's: a word is said once, to whoever listens then
        poor = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        self._poor_e_stop = self._node.create_publisher(Bool, contract.e_stop_topic, poor)
        self._rival: Any = None
        self._faults = self._node.create_publisher(String, FAULTS, 100)
        self._changes = self._node.create_client(ChangeState, "/action_node/change_state")
        self._ways_home = self._node.create_client(Trigger, "/action_node/go_home")
        self._states = self._node.create_client(GetState, "/action_node/get_state")
        self._resets = self._node.create_client(Trigger, "/command_gate/reset")
        self._ended = threading.Event()
        spinning = self._executor, self._node, self._ended.is_set
        self._thread = threading.Thread(target=spin_until, args=spinning)
        self._thread.start()

    def close(self) -> None:
        """Leave the domain."""
        self._ended.set()
        self._thread.join()
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.shutdown(context=self._context)

    def begin_change(self, name: str):
        """Ask for a transition of action_node; the answer is a future."""
        self._find("/action_node", self._changes, "action_node offers no transitions")
        request = ChangeState.Request(transition=Transition(id=TRANSITIONS[name]))
        return self._changes.call_async(request)

    def change(self, name: str) -> bool:
        """Whether a transition of action_node succeeded."""
        return self.answer(self.begin_change(name)).success

    def go_home(self) -> None:
        """Send the arm home; raises UserError where action_node refuses."""
        self._find("/action_node", self._ways_home, "action_node knows no way home")
        answer = self.answer(self._ways_home.call_async(Trigger.Request()))
        if not answer.success:
            raise UserError(f"the arm does not go home: {answer.message}")

    def answer(self, future):
        """Of a call."""
        self._wait(future.done, "action_node does not answer")
        return future.result()

    def state(self) -> str:
        """Label of action_node's lifecycle state."""
        answer = self._ask(self._states, GetState.Request(), "action_node does not tell its state")
        return answer.current_state.label

    def reset_gate(self) -> bool:
        """Whether command_gate may be driven anew, by a policy too."""
        return self._ask(self._resets, Trigger.Request(), "command_gate is not reset").success

    def _find(self, name: str, client: Any, what: str) -> None:
        """Wait for a service that answers once, and for its node to have found the client."""
        self._wait(client.service_is_ready, what)
        knock = Knock(self._node, name)
        self._wait(knock.answered, what)
        knock.close()

    def _ask(self, client: Any, request: Any, what: str) -> Any:
        """Again and again: a question may go to a node that was killed and is still known."""
        self._wait(client.service_is_ready, what)
        end_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < end_s:
            future = client.call_async(request)
            again_s = time.monotonic() + ASK_AGAIN_S
            while not future.done() and time.monotonic() < again_s:
                time.sleep(POLL_S)
            if future.done():
                return future.result()
            client.remove_pending_request(future)
        raise UserError(f"{what}: is the machine busy?")

    def press(self, pressed: bool, reliable: bool = True) -> None:
        """The e-stop, or let it go."""
        (self._e_stop if reliable else self._poor_e_stop).publish(Bool(data=pressed))

    def lead(self, target: np.ndarray, stamp_ns: int) -> None:
        """Ask for a pose (Da,), or for whatever it is [unit], as a leader arm."""
        stream = self.contract.streams["teleop_command"]
        self._leader.publish(command_message(stream, self.contract, target, stamp_ns))

    def advertise_commands(self, there: bool) -> None:
        """Be, or be no longer, another publisher of robot commands."""
        robot = self.contract.streams["robot_command"]
        if there and self._rival is None:
            self._rival = self._node.create_publisher(
                message_class(robot.type), robot.topic, qos_of(robot)
            )
        elif not there and self._rival is not None:
            self._node.destroy_publisher(self._rival)
            self._rival = None

    def relay(self, stream: str, fault: str, **values: object) -> None:
        """Have a stream's relay do something to it."""
        text = json.dumps({"stream": stream, "fault": fault, **values})
        self._faults.publish(String(data=text))

    @staticmethod
    def _wait(condition, what: str) -> None:
        end_s = time.monotonic() + PATIENCE_S
        while not condition():
            if time.monotonic() > end_s:
                raise UserError(f"{what}: is the machine busy?")
            time.sleep(POLL_S)
