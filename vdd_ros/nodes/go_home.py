"""~/go_home of action_node: the arm to where demonstrations began, through the gate."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from rclpy.lifecycle import LifecycleNode
from std_srvs.srv import Trigger

from vdd_ros.action_loop import ActionLoop
from vdd_ros.command_gate import HELD_WITHIN
from vdd_ros.contract import Contract
from vdd_ros.control_thread import ControlThread
from vdd_ros.errors import UserError
from vdd_ros.homing import Homing, homing_contract, way_home
from vdd_ros.last_command import LastCommand
from vdd_ros.nodes.action_topics import Reporter
from vdd_ros.nodes.e_stop import EStopListener
from vdd_ros.nodes.hosting import steady_timer

LOOK_PERIOD_S = 0.1
HANGS = "the control thread hangs: start the node anew"


class GoHome:
    """Offers the service while the node is configured.

    goal: (Da,) [unit], None where nobody knows; share: of the contract's limits; last: what was
    sent to the arm last, by whomever; make: a ControlThread for a loop, which takes note there;
    make_way: brings what else moves the arm to rest, raises UserError where nothing may move;
    e_stop: its words are to be passed on to this as well; reporter: is told what goes on.
    """

    def __init__(
        self,
        node: LifecycleNode,
        contract: Contract,
        goal: np.ndarray | None,
        share: float,
        last: LastCommand,
        make: Callable[[ActionLoop], ControlThread],
        make_way: Callable[[], None],
        e_stop: EStopListener,
        reporter: Reporter,
    ):
        self.control: ControlThread | None = None
        self._homing: Homing | None = None
        self._node = node
        self._contract = homing_contract(contract)
        self._goal, self._share = goal, share
        self._last, self._make = last, make
        self._make_way, self._e_stop, self._reporter = make_way, e_stop, reporter
        self._service = node.create_service(Trigger, "~/go_home", self._answer)
        self._timer = steady_timer(node, LOOK_PERIOD_S, self._look)

    def stop(self) -> bool:
        """Bring the arm to rest if it is on its way; False where its thread hangs."""
        control = self.control
        if control is None:
            return True
        ran = control.running
        has_ended = control.stop()
        if ran:  # who listens can tell a run that was ended from a node that died
            self._reporter.say()
        if has_ended:
            self.control = None
        return has_ended

    @property
    def hangs(self) -> bool:
        """Whether the thread that was to end still has not."""
        return self.control is not None and self.control.hangs

    def e_stop(self, pressed: bool) -> None:
        """Pass on word of the e-stop."""
        if self.control is not None:
            self.control.e_stop(pressed)

    def destroy(self) -> None:
        """At rest, and no service any more."""
        self.stop()
        self._node.destroy_service(self._service)
        self._node.destroy_timer(self._timer)

    def _answer(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        try:
            self._go()
        except UserError as error:
            response.success, response.message = False, str(error)
            return response
        response.success, response.message = True, "on its way; ~/policy_state says how it goes"
        return response

    def _go(self) -> None:
        if self._goal is None:
            raise UserError(
                "the bundle does not say where demonstrations began: set the parameter home"
            )
        self._e_stop.look()
        presses = self._e_stop.presses
        self._make_way()
        if not self.stop():
            raise UserError(HANGS)
        self._homing, loop = way_home(self._contract, self._goal, self._share, self._last.held)
        control = self._make(loop)
        self._e_stop.look()  # nobody did while the arm came to rest
        control.e_stop(self._e_stop.pressed)
        if self._e_stop.presses > presses and not self._e_stop.pressed:
            raise UserError("the e-stop was pressed meanwhile: ask again")
        control.start()
        self.control = control
        self._reporter.watch(control, "going home", "stopped on the way home")

    def _look(self) -> None:
        control, homing = self.control, self._homing
        if control is None or homing is None or not control.running:
            return
        # a leader that has taken the arm on its way has it
        if control.loop.gate.source == "policy" and homing.arrived and self._is_there(control):
            self._reporter.watch(control, "going home", "at home")
            self.stop()

    def _is_there(self, control: ControlThread) -> bool:
        measured = control.loop.gate.measured
        return measured is not None and bool((np.abs(measured - self._goal) <= HELD_WITHIN).all())
