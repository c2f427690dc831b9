"""~/go_home of action_node: the arm to where demonstrations began, through the gate."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode
from std_srvs.srv import Trigger

from vdd_ros.action_loop import ActionLoop
from vdd_ros.contract import Contract
from vdd_ros.control_thread import ControlThread
from vdd_ros.errors import UserError
from vdd_ros.homing import RULE, Homing, homing_contract

LOOK_PERIOD_S = 0.1


class GoHome:
    """Offers the service while the node is configured.

    goal: (Da,) [unit], None where nobody knows; share: of the contract's velocity and acceleration
    limits; make: a ControlThread for a loop; begin: called before a movement, raises UserError
    where there must be none; report: told which thread moves the arm, what it does and has done.
    """

    def __init__(
        self,
        node: LifecycleNode,
        contract: Contract,
        goal: np.ndarray | None,
        share: float,
        make: Callable[[ActionLoop], ControlThread],
        begin: Callable[[], None],
        report: Callable[[ControlThread, str, str], None],
    ):
        self.control: ControlThread | None = None
        self._homing: Homing | None = None
        self._pressed = False
        self._node = node
        self._contract = homing_contract(contract)
        self._goal, self._share = goal, share
        self._make, self._begin, self._report = make, begin, report
        self._service = node.create_service(Trigger, "~/go_home", self._answer)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = node.create_timer(LOOK_PERIOD_S, self._look, clock=steady)

    def stop(self) -> None:
        """Bring the arm to rest if it is on its way."""
        if self.control is not None:
            self.control.stop()

    def e_stop(self, pressed: bool) -> None:
        """Pass on word of the e-stop."""
        self._pressed = pressed
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
        self._begin()
        self.stop()
        self._homing = Homing(self._contract, self._goal, self._share)
        loop = ActionLoop(self._contract, self._homing, RULE, np.random.default_rng(0))
        self.control = self._make(loop)
        self.control.e_stop(self._pressed)
        self._report(self.control, "going home", "at home")
        self.control.start()

    def _look(self) -> None:
        control = self.control
        if control is not None and self._homing is not None and self._homing.arrived:
            control.stop()
