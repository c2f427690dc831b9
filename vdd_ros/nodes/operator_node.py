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

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.duration import Duration
from rclpy.node import Node
from sensor_msgs.msg import Joy
from std_msgs.msg import String

from vdd_ros.errors import UserError
from vdd_ros.nodes.calls import Calls
from vdd_ros.nodes.hosting import full_name_of, publish_diagnostics, run_node, steady_timer
from vdd_ros.nodes.messages import Health
from vdd_ros.nodes.parameters import parameter, read_parameters
from vdd_ros.nodes.terminal import LineEditor, Terminal
from vdd_ros.session import KEYS, Session, Step
from vdd_ros.session_parts import whole_number

LOOK_PERIOD_S = 0.02
ARRIVAL = Duration(seconds=0.5)


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
        resets = settings.reset.split()
        self.session = Session(settings.episodes, settings.countdown, sets_back=bool(resets))
        self.exit_code: int | None = None
        self._pressed: deque[str] = deque()  # on the keyboard
        self._buttons_pressed: deque[str] = deque()  # as the keys that they stand for
        self._held: set[str] = set()  # of the gamepad
        self._editor: LineEditor | None = None
        self._calls = Calls(self, settings.recorder, resets)
        self._fault = ""  # of the recorder, as it was told last
        self._told: dict[str, str] = {}  # likewise, its other sentences
        self._recorder = full_name_of(self, settings.recorder)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        self._notes = self.create_publisher(String, f"{settings.recorder}/annotate", 10)
        self._corrections = self.create_publisher(String, f"{settings.recorder}/correct", 10)
        if self._buttons:
            self.create_subscription(Joy, "joy", self._on_joy, 10)
        publish_diagnostics(self, self._health)
        self._terminal = Terminal()
        self._do(self.session.greet())
        steady_timer(self, LOOK_PERIOD_S, self._look)

    def destroy_node(self) -> None:
        """The terminal as it was."""
        self._terminal.close()
        super().destroy_node()

    def _look(self) -> None:
        self._pressed.extend(self._terminal.keys())
        now_s = time.monotonic()
        self._calls.look(now_s)
        if self._calls:
            self.session.postpone(now_s)
            return
        self._do(self.session.expire(now_s))
        self._do(self.session.tick(now_s))
        while self._buttons_pressed and not self._calls and not self.session.is_over:
            self._do(self.session.button(self._buttons_pressed.popleft(), time.monotonic()))
        while self._pressed and not self._calls and not self.session.is_over:
            self._press(self._pressed.popleft())
        if self.session.is_over and not self._calls:
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
        self._buttons_pressed.extend(sorted(held - self._held))
        self._held = held

    def _do(self, steps: list[Step]) -> None:
        for step in steps:
            if step.command:
                self._calls.ask(step.command, partial(self._on_answer, step.command))
            elif step.note[0]:
                self._note(*step.note)
            elif step.correct[0]:
                self._correct(*step.correct)
            elif step.prompt:
                self._editor = LineEditor(step.prompt)
            else:
                self._say(step.say)

    def _say(self, text: str) -> None:
        """A line of its own; a note that is being written goes on below it."""
        print(text if self._editor is None else f"\n{text}", flush=True)
        if self._editor is not None:
            self._editor.show()

    def _note(self, name: str, value: object) -> None:
        if self._notes.get_subscription_count() == 0:
            self._say("not noted: is the recorder running?")
            return
        self._notes.publish(String(data=json.dumps({name: value})))
        # a note must not come after the command that ends its episode
        arrived = self._notes.wait_for_all_acked(ARRIVAL)
        self._say(f"{'noted' if arrived else 'perhaps not noted'} {name}: {value}")

    def _correct(self, episode: str, name: str, value: object) -> None:
        """What came of it is said by the recorder."""
        if self._corrections.get_subscription_count() == 0:
            self._say("not corrected: is the recorder running?")
            return
        self._corrections.publish(String(data=json.dumps({"episode": episode, name: value})))

    def _on_answer(self, command: str, done: bool, told: str) -> None:
        self._say(told)
        self._do(self.session.answer(command, done, time.monotonic(), told))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name != self._recorder:
                continue
            told = {pair.key: pair.value for pair in status.values}
            self.session.last_saved = told.get("last_saved", "")
            if not self._calls:
                count = whole_number(told.get("saved", ""))
                state, episode = told.get("state", ""), told.get("episode", "")
                self._do(self.session.report(state, episode, count, told.get("verdict", "")))
            for what in ("left_over", "corrected"):
                self._tell_new(what, told.get(what, ""))
            fault = status.message if status.level == DiagnosticStatus.ERROR else ""
            if fault and fault != self._fault:
                self._say(f"the recorder: {fault}")
            self._fault = fault

    def _tell_new(self, what: str, told: str) -> None:
        """What the recorder says of recordings that were never saved, or of what was corrected,
        each time that it changes."""
        if told and told != self._told.get(what):
            self._say(told)
        self._told[what] = told

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
