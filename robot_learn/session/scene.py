"""Bodies that a page draws in 3-D: meshes that are sent once, and poses that are streamed.

World frame: metres, z up. A body is a mesh in a frame of its own; `place` moves the frame. What does not change costs
nothing, what moves costs 28 bytes a body and update. Everything here belongs to the work thread.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from robot_learn.errors import UserError
from robot_learn.session.shapes import Mesh

Colour = tuple[float, float, float, float]  # red, green, blue and how opaque, each from 0 to 1
OPAQUE = 0.99
_HERE = np.array([0.0, 0, 0, 1, 0, 0, 0], dtype=np.float32)


@dataclass(frozen=True)
class Camera:
    """Where one looks from at first; the person may turn it."""

    at: tuple[float, float, float]  # [m] what is in the middle
    distance: float  # [m] from there
    azimuth: float = 0.0  # [deg] the direction of view in the plane: 0 looks along +x, 90 along +y
    elevation: float = -20.0  # [deg] of the direction of view; below zero it looks down
    field: float = 45.0  # [deg] of view, from bottom to top


@dataclass(eq=False)
class _Body:
    mesh: Mesh
    colour: Colour
    pose: np.ndarray  # (7,) position [m], quaternion (w, x, y, z)
    number: int  # its row among the poses


class Scene3D:
    """What is drawn; see the module's text.

    `put` and `place` may be called as often as one likes: what is the same as before is not sent again.
    """

    def __init__(self, camera: Camera, *, floor: float | None = None) -> None:
        self.camera = camera
        self._bodies: dict[str, _Body] = {}
        self._changed: dict[str, bytes | None] = {"": _camera(camera, floor)}
        self._moved = False
        self._next = 0

    def put(self, name: str, mesh: Mesh, colour: Colour = (0.7, 0.72, 0.75, 1.0)) -> None:
        """A body, new or in a new shape; one that was there keeps its pose."""
        before = self._bodies.get(name)
        if before is not None and before.mesh is mesh and before.colour == colour:
            return
        if not name:
            raise UserError("a body wants a name")
        if before is None:
            body = _Body(mesh, colour, _HERE, self._next)
            self._next += 1
        else:
            body = _Body(mesh, colour, before.pose, before.number)
        self._bodies[name] = body
        self._changed[name] = _item(name, body)
        self._moved = True

    def place(self, name: str, position: Sequence[float] | np.ndarray, quat_wxyz: np.ndarray | None = None) -> None:
        """Move a body's frame: position (3,) [m], quaternion (4,), upright where it is left out."""
        body = self._bodies[name]
        pose = np.concatenate([position, (1, 0, 0, 0) if quat_wxyz is None else quat_wxyz]).astype(np.float32)
        if not np.array_equal(pose, body.pose):
            body.pose, self._moved = pose, True

    def remove(self, name: str) -> None:
        """A body that is there, or not."""
        if self._bodies.pop(name, None) is not None:
            self._changed[name] = None

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._bodies)

    def __contains__(self, name: object) -> bool:
        return name in self._bodies

    @property
    def triangles(self) -> int:
        return sum(len(body.mesh.faces) for body in self._bodies.values())

    def changes(self) -> tuple[dict[str, bytes | None], bytes | None]:
        """Frames of the bodies that are new, changed or gone since the last call, and of all poses if one moved."""
        changed, self._changed = self._changed, {}
        poses = self._poses() if self._moved else None
        self._moved = False
        return changed, poses

    def _poses(self) -> bytes:
        """Rows of number and pose: (n, 8)."""
        rows = np.empty((len(self._bodies), 8), dtype="<f4")
        for row, body in zip(rows, self._bodies.values(), strict=True):
            row[0], row[1:] = body.number, body.pose
        return _frame({"poses": len(rows)}, rows)


def _camera(camera: Camera, floor: float | None) -> bytes:
    return _frame({"camera": vars(camera), "floor": floor})


def _item(name: str, body: _Body) -> bytes:
    """A body's frame: what it is, then vertices and normals (n, 6), colours (n, 4) if it has them, faces (m, 3)."""
    mesh = body.mesh
    told = {
        "body": name,
        "number": body.number,
        "colour": body.colour,
        "vertices": len(mesh.vertices),
        "faces": len(mesh.faces),
        "coloured": mesh.colours is not None,
        "clear": bool(body.colour[3] < OPAQUE or (mesh.colours is not None and (mesh.colours[:, 3] < OPAQUE).any())),
    }
    arrays = [np.hstack([mesh.vertices, mesh.normals]).astype("<f4")]
    if mesh.colours is not None:
        arrays.append(mesh.colours.astype("<f4"))
    arrays.append(mesh.faces.astype("<u4"))
    return _frame(told, *arrays)


def _frame(told: dict[str, object], *arrays: np.ndarray) -> bytes:
    """Length of the JSON (little endian, 4 bytes), the JSON, padded to 4 bytes, and the arrays."""
    text = json.dumps(told).encode()
    text += b" " * (-len(text) % 4)
    return b"".join([struct.pack("<I", len(text)), text, *(np.ascontiguousarray(array).tobytes() for array in arrays)])
