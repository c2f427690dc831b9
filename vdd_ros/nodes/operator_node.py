"""operator_node: episodes by keys of a terminal and buttons of a gamepad, through recorder_node.

    ros2 run vdd_ros operator_node        in a terminal of its own: a launch file has no keyboard

Keys are those of `vdd_ros.session`, printed at the start.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.task import Future
from sensor_msgs.msg import Joy
from std_msgs.msg import String
from std_srvs.srv import Trigger

from vdd_ros.errors import UserError
from vdd_ros.nodes.hosting import publish_diagnostics, run_node
from vdd_ros.nodes.messages import Health
from vdd_ros.nodes.parameters import parameter, read_parameters
from vdd_ros.nodes.terminal import LineEditor, Terminal
from vdd_ros.session import KEYS, Session, Step

LOOK_PERIOD_S = 0.02
ARRIVAL = Duration(seconds=0.5)
COMMANDS = ("start", "stop", "save", "discard")
BACK_TO_READY = ("save", "discard")


@dataclass(frozen=True)
class OperatorParameters:
    episodes: int = parameter(0, "episodes to save before the session is over, 0: no end", lower=0)
    countdown: float = parameter(3.0, "from a start to the first moment recorded [s]", lower=0.0)
    recorder: str = parameter("recorder_node", "name of the recorder's node")
    buttons: str = parameter(
        "", "gamepad buttons of `joy`, such as 's:0 k:1 d:2', by the keys that they stand for"
    )
    reset: str = parameter(
        "",
        "services (std_srvs/Trigger) that set the scene back after every episode, separated by "
        "spaces, such as 'sim_node/reset command_gate/reset'",
    )


class OperatorNode(Node):
    """Hosts a Session: keys in, the recorder's services and sentences out."""

    def __init__(self) -> None:
        super().__init__("operator_node")
        settings = read_parameters(self, OperatorParameters)
        self._buttons = _buttons(settings.buttons)
        self.session = Session(settings.episodes, settings.countdown)
        self.exit_code: int | None = None
        self._pressed: deque[str] = deque()
        self._held: set[str] = set()  # of the gamepad
        self._editor: LineEditor | None = None
        self._asking = 0  # services that have not answered yet
        self._commands = {
            name: self.create_client(Trigger, f"{settings.recorder}/{name}") for name in COMMANDS
        }
        self._resets = {name: self.create_client(Trigger, name) for name in settings.reset.split()}
        self._notes = self.create_publisher(String, f"{settings.recorder}/annotate", 10)
        if self._buttons:
            self.create_subscription(Joy, "joy", self._on_joy, 10)
        publish_diagnostics(self, self._health)
        self._terminal = Terminal()
        self._do(self.session.greet())
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(LOOK_PERIOD_S, self._look, clock=steady)

    def destroy_node(self) -> None:
        """The terminal as it was."""
        self._terminal.close()
        super().destroy_node()

    def _look(self) -> None:
        self._pressed.extend(self._terminal.keys())
        self._do(self.session.tick(time.monotonic()))
        while self._pressed and not self._asking and not self.session.is_over:
            self._press(self._pressed.popleft())
        if self.session.is_over and not self._asking:
            self.exit_code = 0

    def _press(self, key: str) -> None:
        if self._editor is None:
            if key.isprintable():
                self._do(self.session.key(key, time.monotonic()))
        elif self._editor.take(key):
            text, self._editor = self._editor.text, None
            self._do(self.session.line(text))

    def _on_joy(self, message: Joy) -> None:
        held = {
            key
            for key, button in self._buttons.items()
            if button < len(message.buttons) and message.buttons[button]
        }
        self._pressed.extend(sorted(held - self._held))
        self._held = held

    def _do(self, steps: list[Step]) -> None:
        for step in steps:
            if step.command:
                self._ask(step.command)
            elif step.note[0]:
                self._note(*step.note)
            elif step.prompt:
                self._editor = LineEditor(step.prompt)
            else:
                print(step.say, flush=True)

    def _note(self, name: str, value: object) -> None:
        if self._notes.get_subscription_count() == 0:
            print("not noted: is the recorder running?", flush=True)
            return
        self._notes.publish(String(data=json.dumps({name: value})))
        # a note must not come after the command that ends its episode
        self._notes.wait_for_all_acked(ARRIVAL)
        print(f"noted {name}: {value}", flush=True)

    def _ask(self, command: str) -> None:
        client = self._commands[command]
        if not client.service_is_ready():
            print(f"{client.service_name} is not there: is the recorder running?", flush=True)
            self._do(self.session.answer(command, False, time.monotonic()))
            return
        self._asking += 1
        future = client.call_async(Trigger.Request())
        future.add_done_callback(partial(self._on_answer, command))

    def _on_answer(self, command: str, future: Future) -> None:
        self._asking -= 1
        response = future.result()
        assert response is not None
        print(response.message, flush=True)
        self._do(self.session.answer(command, response.success, time.monotonic()))
        if response.success and command in BACK_TO_READY:
            self._set_back()

    def _set_back(self) -> None:
        for name, client in self._resets.items():
            if not client.service_is_ready():
                print(f"{name} is not there: set the scene back by hand", flush=True)
                continue
            self._asking += 1
            client.call_async(Trigger.Request()).add_done_callback(self._on_set_back)

    def _on_set_back(self, future: Future) -> None:
        self._asking -= 1
        response = future.result()
        assert response is not None
        if not response.success:
            print(f"the scene was not set back: {response.message}", flush=True)

    def _health(self) -> Health:
        values = {"saved": self.session.saved, "episodes": self.session.episodes or "no end"}
        return Health("ok", self.session.phase.value, values)


def _buttons(text: str) -> dict[str, int]:
    """Buttons by key; raises UserError for what is none."""
    found = {}
    for word in text.split():
        key, _, button = word.partition(":")
        if key not in KEYS or not button.isdecimal():
            raise UserError(
                f"buttons has {word!r}; write KEY:BUTTON, KEY one of {', '.join(KEYS)} and BUTTON "
                "its number in `joy`"
            )
        found[key] = int(button)
    return found


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until the session is over, SIGINT or SIGTERM."""
    return run_node(OperatorNode, args)


if __name__ == "__main__":
    raise SystemExit(main())
