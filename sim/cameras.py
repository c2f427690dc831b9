"""What the cameras of a contract see of the simulation, drawn off screen.

Multisampling, shadows and reflections are off: with a software renderer they take three quarters of
the time, and a picture of 96x96 hardly shows them.
"""

from __future__ import annotations

import mujoco
import numpy as np

from vdd_ros.contract import Contract
from vdd_ros.errors import UserError

# names in contracts, and in robosuite's models
CAMERAS = {"agent_view": "agentview", "in_hand": "robot0_eye_in_hand"}
OFF = (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION)


class SimCameras:
    """Of one model, one picture after another. Raises UserError for cameras that the simulation
    does not have, or of several sizes, and where nothing can be drawn."""

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData, contract: Contract):
        self._data = data
        self._renderer: mujoco.Renderer | None = None
        _require_cameras(contract)
        if not contract.cameras:
            return
        # two renderers of different sizes in one process spoil each other's pictures
        (size,) = {(camera.height, camera.width) for camera in contract.cameras.values()}
        model.vis.quality.offsamples = 0
        self._renderer = renderer_of(model, *size)
        for flag in OFF:
            self._renderer.scene.flags[flag] = 0

    def picture(self, name: str, state: mujoco.MjData | None = None) -> np.ndarray:
        """(height, width, 3) uint8, red, green, blue, of a camera by its name in contracts; state:
        another one of the model than that of now."""
        assert self._renderer is not None
        self._renderer.update_scene(state or self._data, camera=CAMERAS[name])
        return self._renderer.render()

    def close(self) -> None:
        """Free what drawing takes."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None


def require_drawable(contract: Contract) -> None:
    """Raise UserError where the simulation cannot draw what a contract's cameras see, before
    processes are started that would."""
    if not contract.images:
        return
    _require_cameras(contract)
    renderer_of(mujoco.MjModel.from_xml_string("<mujoco/>"), 8, 8).close()


def _require_cameras(contract: Contract) -> None:
    if unknown := sorted(set(contract.cameras) - set(CAMERAS)):
        raise UserError(
            f"{contract.name} names the camera {unknown[0]}, and the simulation has "
            f"{' and '.join(CAMERAS)}: use these, or record over ROS, where somebody publishes "
            "its pictures"
        )
    sizes = {f"{camera.width}x{camera.height}" for camera in contract.cameras.values()}
    if len(sizes) > 1:
        raise UserError(
            f"cameras of {contract.name} have pictures of {' and '.join(sorted(sizes))}; the "
            "simulation draws one size at a time: write one"
        )


def renderer_of(model: mujoco.MjModel, height: int, width: int) -> mujoco.Renderer:
    """To be closed; raises UserError where nothing can be drawn. Robosuite sets MUJOCO_GL for
    itself, long after mujoco has read it: it says nothing now."""
    try:
        return mujoco.Renderer(model, height, width)
    except AttributeError:  # of a mujoco that was told to draw nothing, or nothing at all
        raise UserError(
            "MUJOCO_GL does not say what draws the cameras: say MUJOCO_GL=osmesa or egl"
        ) from None
    except Exception as error:  # of a missing library the bindings raise whatever they trip over
        told = str(error).partition("\n")[0][:120] or type(error).__name__
        raise UserError(
            f"nothing can be drawn off screen ({told}): install libosmesa6 and say "
            "MUJOCO_GL=osmesa, or libegl1 and say MUJOCO_GL=egl"
        ) from None
