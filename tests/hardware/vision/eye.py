"""A camera that looks at `franka/pick-cube` with tags on the cube, and what vision makes of it against the truth.

`python -m tests.hardware.vision.eye` prints the accuracy by camera distance, picture size and method.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import cv2
import mujoco
import numpy as np

from hardware.vision import Finder
from hardware.vision.calibration import Calibration
from hardware.vision.colours import Coloured, ColourFinder
from hardware.vision.poses import difference, pose, turn
from hardware.vision.tags import Tag, TagFinder, on_box, picture
from sims.franka import pick_cube, stickers, world
from sims.franka.reach import READY
from sims.rendering import Camera, Renderer

REPORT_SEED = 2**30 + 8
FOVY = 45.0  # [degrees]
TAG = 0.03  # [m] on a cube of 0.04
TAGS = on_box((pick_cube.HALF,) * 3, TAG)
RED = [0.85, 0.25, 0.2, 1]


def looking(position: tuple[float, float, float], at: tuple[float, float, float]) -> np.ndarray:
    """T_base_camera of a camera at a position [m] that looks at a point, the picture's up being up."""
    z = np.array(at) - np.array(position)
    z /= np.linalg.norm(z)
    x = np.cross(z, [0.0, 0.0, 1.0])
    x /= np.linalg.norm(x)
    return pose(np.column_stack([x, np.cross(z, x), z]), np.array(position))


def eye_at(distance: float, at: tuple[float, float, float] = (0.48, 0.0, 0.02)) -> np.ndarray:
    """T_base_camera opposite the arm, 50 degrees up, `distance` [m] from the middle of where the cube starts."""
    lift = np.radians(50)
    return looking((at[0] + distance * np.cos(lift), at[1], at[2] + distance * np.sin(lift)), at)


@dataclass(eq=False)
class World:
    """The task's model with a camera and, if wanted, tags."""

    model: mujoco.MjModel
    data: mujoco.MjData
    T_base_camera: np.ndarray

    @property
    def T_base_cube(self) -> np.ndarray:
        body = self.data.body("cube")
        return pose(body.xmat.reshape(3, 3), body.xpos)

    def place(self, rng: np.random.Generator, turned: float = np.pi / 4) -> None:
        """As the task begins, the cube turned by up to `turned` [rad]."""
        mujoco.mj_resetData(self.model, self.data)
        world.pose_arm(self.data, READY, rng)
        world.open_gripper(self.data)
        world.place_box(self.data, rng.uniform(*pick_cube.STARTS), pick_cube.HALF, rng.uniform(-turned, turned))
        self.data.mocap_pos[0] = [0.1, 0.6, 0.3]
        mujoco.mj_forward(self.model, self.data)

    @contextmanager
    def camera(self, width: int, height: int) -> Iterator[tuple[Callable[[], np.ndarray], Calibration]]:
        """A function that takes a picture, smooth and a little noisy as a real one, and the camera's calibration."""
        renderer = Renderer(self.model, 2 * width, 2 * height)
        rng = np.random.default_rng(7)

        def take() -> np.ndarray:
            fine = renderer.render(self.data, Camera(name="eye"))
            small = cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA).astype(np.float64)
            return np.clip(small + 2.0 * rng.standard_normal(small.shape), 0, 255).astype(np.uint8)

        try:
            yield take, Calibration.pinhole(width, height, FOVY, self.T_base_camera)
        finally:
            renderer.close()


def make(T_base_camera: np.ndarray, *, tagged: bool, also: Sequence[Tag] = ()) -> World:
    """With tags on the cube, and `also` on the table."""
    spec = world.table_world()
    cube = world.add_box(spec, "cube", (pick_cube.HALF,) * 3, 0.1, RED)
    world.add_goal(spec, 0.02, flat=False)
    for tag in TAGS if tagged else ():
        stickers.stick(spec, cube, f"tag{tag.number}", picture(tag.number), TAG * 8 / 6, tag.T_object_tag)
    for tag in also:
        stickers.stick(
            spec, spec.worldbody, f"tag{tag.number}", picture(tag.number), tag.size * 8 / 6, tag.T_object_tag
        )
    R = T_base_camera[:3, :3]
    spec.worldbody.add_camera(name="eye", pos=T_base_camera[:3, 3], xyaxes=[*R[:, 0], *-R[:, 1]], fovy=FOVY)
    model = spec.compile()
    return World(model, mujoco.MjData(model), T_base_camera)


def forward(seen: World) -> None:
    """Bring everything to where the joints say."""
    mujoco.mj_forward(seen.model, seen.data)


@dataclass(frozen=True)
class Accuracy:
    """Of one method at one camera; errors are of what was found."""

    pictures: int
    found: float  # share
    position_mm: tuple[float, float]  # median, 95 % quantile
    angle_deg: tuple[float, float]
    size_px: float  # median
    confidence: float  # median
    milliseconds: float  # median for one picture


def measure(
    seen: World, size: tuple[int, int], finder: Callable[[Calibration], Finder], count: int, seed: int = 0
) -> Accuracy:
    """How well a method finds the cube in pictures of `count` starts; of each a new finder, which remembers nothing."""
    rng = np.random.default_rng(seed)
    rows, seconds = [], []
    with seen.camera(*size) as (take, calibration):
        for _ in range(count):
            seen.place(rng)
            taken, eye = take(), finder(calibration)
            began = time.perf_counter()
            sights = eye.find(taken)
            seconds.append(time.perf_counter() - began)
            if "cube" in sights:
                sight = sights["cube"]
                T = seen.T_base_camera @ sight.T_camera_object
                off, _ = difference(T, seen.T_base_cube)
                rows.append([1000 * off, angle_off(T, seen.T_base_cube, sight.turns), sight.size, sight.confidence])
    table = np.array(rows) if rows else np.full((1, 4), np.nan)
    half, most = np.quantile(table, 0.5, axis=0), np.quantile(table, 0.95, axis=0)
    return Accuracy(
        count,
        len(rows) / count,
        (float(half[0]), float(most[0])),
        (float(half[1]), float(most[1])),
        float(half[2]),
        float(half[3]),
        1000 * float(np.median(seconds)),
    )


def angle_off(T: np.ndarray, truth: np.ndarray, turns: int) -> float:
    """[degrees] between two orientations, of which `turns` about z look the same."""
    angles = 2 * np.pi * np.arange(turns) / turns
    off = [
        np.linalg.norm(turn(T[:3, :3].T @ truth[:3, :3] @ pose(np.array([0, 0, a]), np.zeros(3))[:3, :3]))
        for a in angles
    ]
    return float(np.degrees(min(off)))


def tag_finder(calibration: Calibration) -> Finder:
    return TagFinder(calibration, {"cube": TAGS})


CUBE = Coloured("cube", (pick_cube.HALF,) * 3, hue=(345, 25))


def colour_finder(calibration: Calibration) -> Finder:
    return ColourFinder(calibration, [CUBE])


def lifted_finder(calibration: Calibration) -> Finder:
    """Of a cube that may be anywhere: its height is found, too."""
    return ColourFinder(calibration, [replace(CUBE, table=None)])


def report(count: int) -> None:
    """A table of markdown on the standard output, from starts that nothing was chosen by."""
    say = sys.stdout.write
    heads = ("by", "picture", "distance [m]", "size [px]", "found", "position [mm]", "95 %", "angle [deg]", "95 %")
    say(f"| {' | '.join((*heads, 'sure', 'time [ms]'))} |\n|{'---|' * (len(heads) + 2)}\n")
    methods = (("tags", True, tag_finder), ("colour", False, colour_finder), ("colour, lifted", False, lifted_finder))
    for size in ((320, 240), (640, 480)):
        for name, tagged, finder in methods:
            for distance in (0.45, 0.6, 0.8, 1.0):
                found = measure(make(eye_at(distance), tagged=tagged), size, finder, count, seed=REPORT_SEED)
                mm, deg = found.position_mm, found.angle_deg
                say(
                    f"| {name} | {size[0]}x{size[1]} | {distance:g} | {found.size_px:.0f} | {found.found:.0%} "
                    f"| {mm[0]:.1f} | {mm[1]:.1f} | {deg[0]:.1f} | {deg[1]:.1f} | {found.confidence:.2f} "
                    f"| {found.milliseconds:.0f} |\n"
                )
                sys.stdout.flush()


if __name__ == "__main__":
    report(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
