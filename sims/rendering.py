"""Pictures of MuJoCo worlds without a screen: EGL where it is there, else OSMesa."""

from __future__ import annotations

import ctypes.util
import os
import weakref
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np

from robot_learn.errors import UserError
from sims.light_models import add_backdrop, light_model, sky_colour

_HANDSOME = {mujoco.mjtRndFlag.mjRND_SHADOW: 0, mujoco.mjtRndFlag.mjRND_REFLECTION: 0}
_LIGHT = {**_HANDSOME, mujoco.mjtRndFlag.mjRND_HAZE: 0}
PACKAGES = "libegl1 libegl-mesa0 libgl1-mesa-dri libosmesa6"


def backend() -> str:
    """The OpenGL back end to render with: MUJOCO_GL if set, else what this machine has."""
    chosen = os.environ.get("MUJOCO_GL", "").lower()
    if chosen in ("egl", "osmesa", "glfw"):
        return chosen
    if chosen:
        raise UserError(f"MUJOCO_GL={chosen!r}: wanted egl, osmesa or glfw")
    for name, library in (("egl", "EGL"), ("osmesa", "OSMesa")):
        if ctypes.util.find_library(library):
            return name
    raise UserError(f"no OpenGL to render with; on Debian or Ubuntu: apt-get install {PACKAGES}")


def _context(width: int, height: int) -> Any:
    """A current OpenGL context; MuJoCo's own classes for each back end, picked at first use instead of at import."""
    name = backend()
    try:
        if name == "egl":
            from mujoco.egl import GLContext
        elif name == "osmesa":
            from mujoco.osmesa import GLContext
        else:
            from mujoco.glfw import GLContext
        context = GLContext(width, height)
        context.make_current()
    except Exception as error:  # the back ends raise whatever their C libraries gave them
        raise UserError(
            f"rendering with {name} failed ({error}); on Debian or Ubuntu: apt-get install {PACKAGES}; "
            "MUJOCO_GL=osmesa needs no graphics driver"
        ) from error
    return context


class Renderer:
    """Renders datas of one model (or copies of it) at one size. Shadows and reflections are off: eight times faster.

    With `light` it draws what `sims.light_models` leaves of the model, at twice the size, and takes the mean of four
    pixels each: smooth edges at a fraction of what multisampling costs in software.
    """

    def __init__(self, model: mujoco.MjModel, width: int, height: int, *, light: bool = False) -> None:
        self._model, self._light = model, light
        self._width, self._height = (2 * width, 2 * height) if light else (width, height)
        self._context = _context(self._width, self._height)
        drawn = light_model(model) if light else model
        # The offscreen buffer takes its size from the model when the OpenGL context is made.
        drawn.vis.global_.offwidth = max(self._width, drawn.vis.global_.offwidth)
        drawn.vis.global_.offheight = max(self._height, drawn.vis.global_.offheight)
        self._gl = mujoco.MjrContext(drawn, mujoco.mjtFontScale.mjFONTSCALE_100.value)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._gl)
        self._scene = mujoco.MjvScene(model, maxgeom=2000)
        for flag, on in _LIGHT.items() if light else _HANDSOME.items():
            self._scene.flags[flag] = on
        self._option = mujoco.MjvOption()
        # MuJoCo draws the sky of a model without materials white.
        has_sky = not light and model.nmat > 0 and mujoco.mjtTexture.mjTEXTURE_SKYBOX in model.tex_type
        self._backdrop = None if has_sky else sky_colour(model)
        self._scene.flags[mujoco.mjtRndFlag.mjRND_SKYBOX] = has_sky
        # Freed at the latest when the interpreter ends, before the libraries that freeing needs are gone.
        self._free = weakref.finalize(self, _free, self._gl, self._context)

    def render(self, data: mujoco.MjData, camera: Camera) -> np.ndarray:
        """A picture, (height, width, 3) uint8."""
        self._context.make_current()
        everything = mujoco.mjtCatBit.mjCAT_ALL.value
        view = camera.resolve(self._model, data)
        mujoco.mjv_updateScene(self._model, data, self._option, None, view, everything, self._scene)
        if self._backdrop is not None:
            add_backdrop(self._scene, self._backdrop)
        pixels = np.empty((self._height, self._width, 3), dtype=np.uint8)
        viewport = mujoco.MjrRect(0, 0, self._width, self._height)
        mujoco.mjr_render(viewport, self._scene, self._gl)
        mujoco.mjr_readPixels(pixels, None, viewport, self._gl)
        upright = pixels[::-1]  # OpenGL's first row is the lowest
        return _halved(upright) if self._light else upright

    def close(self) -> None:
        self._free()


def _halved(pixels: np.ndarray) -> np.ndarray:
    """Means of two by two pixels, rounded."""
    total = pixels[::2].astype(np.uint16)
    total += pixels[1::2]
    return np.asarray((total[:, ::2] + total[:, 1::2] + 2) >> 2, dtype=np.uint8)


def _free(gl: mujoco.MjrContext, context: Any) -> None:
    # At the interpreter's end the driver may already have been shut down, and has then freed everything itself.
    with suppress(Exception):
        gl.free()
        context.free()


@dataclass(frozen=True)
class Camera:
    """Where a picture is taken from: a camera of the model by `name`, or a view of the point `lookat`."""

    lookat: tuple[float, float, float] = (0.0, 0.0, 0.0)  # [m]; with `follow`, x and y count from that body
    distance: float = 1.0  # [m]
    azimuth: float = 90.0  # [degrees] 90 looks along +y
    elevation: float = -20.0  # [degrees] below 0 looks down
    follow: str | None = None  # a body that the view moves with
    name: str | None = None  # a camera of the model; the rest then does not count

    def resolve(self, model: mujoco.MjModel, data: mujoco.MjData) -> mujoco.MjvCamera:
        """MuJoCo's camera for a world as it stands now."""
        view = mujoco.MjvCamera()
        if self.name is not None:
            view.type = mujoco.mjtCamera.mjCAMERA_FIXED
            view.fixedcamid = model.camera(self.name).id
            return view
        view.type = mujoco.mjtCamera.mjCAMERA_FREE
        view.lookat[:] = self.lookat
        if self.follow is not None:
            view.lookat[:2] += data.body(self.follow).xpos[:2]
        view.distance, view.azimuth, view.elevation = self.distance, self.azimuth, self.elevation
        return view
