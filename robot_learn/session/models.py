"""Bodies of a MuJoCo model in a scene, and their poses: one mesh a body, another for what of it is translucent."""

from __future__ import annotations

from collections.abc import Callable, Collection

import mujoco
import numpy as np

from robot_learn.session import shapes
from robot_learn.session.scene import OPAQUE, Colour, Scene3D
from robot_learn.session.shapes import Mesh

SEEN = (0, 1, 2)  # groups of geoms that MuJoCo itself shows at first
_KIND = mujoco.mjtGeom


def add_model(
    scene: Scene3D,
    model: mujoco.MjModel,
    *,
    prefix: str = "",
    groups: Collection[int] = SEEN,
    grain: float = 0.0,
    colour: Callable[[int], Colour | None] | None = None,
) -> Callable[[mujoco.MjData], None]:
    """Draw a model's geoms; returns what puts them where its data says.

    Args:
        grain: [m] to which meshes are thinned; 0 leaves them as they are.
        colour: of a geom by its number, in place of the model's own; None leaves it out.
    """
    bodies: dict[tuple[int, bool], list[Mesh]] = {}
    for geom in range(model.ngeom):
        rgba = colour(geom) if colour is not None else colour_of(model, geom)
        if rgba is None or rgba[3] == 0 or model.geom_group[geom] not in groups:
            continue
        mesh = mesh_of(model, geom, grain)
        if mesh is not None:
            painted = shapes.painted(mesh, rgba)
            bodies.setdefault((int(model.geom_bodyid[geom]), rgba[3] < OPAQUE), []).append(painted)
    names: list[tuple[str, int]] = []
    for (body, clear), meshes in bodies.items():
        name = f"{prefix}{model.body(body).name}" + (" (clear)" if clear else "")
        scene.put(name, shapes.joined(meshes))
        names.append((name, body))

    def place(data: mujoco.MjData) -> None:
        for name, body in names:
            scene.place(name, data.xpos[body], data.xquat[body])

    return place


def colour_of(model: mujoco.MjModel, geom: int) -> Colour:
    """What a geom is painted with: its material, else its own colour."""
    material = int(model.geom_matid[geom])
    red, green, blue, alpha = model.mat_rgba[material] if material >= 0 else model.geom_rgba[geom]
    return (float(red), float(green), float(blue), float(alpha))


def mesh_of(model: mujoco.MjModel, geom: int, grain: float = 0.0) -> Mesh | None:
    """A geom in its body's frame; None for kinds without a shape of their own."""
    size, rotation = model.geom_size[geom], np.empty(9)
    mujoco.mju_quat2Mat(rotation, model.geom_quat[geom])
    match model.geom_type[geom]:
        case _KIND.mjGEOM_BOX:
            mesh = shapes.box(size)
        case _KIND.mjGEOM_SPHERE:
            mesh = shapes.sphere(float(size[0]))
        case _KIND.mjGEOM_ELLIPSOID:
            mesh = shapes.ellipsoid(size)
        case _KIND.mjGEOM_CAPSULE:
            mesh = shapes.capsule(float(size[0]), float(size[1]))
        case _KIND.mjGEOM_CYLINDER:
            mesh = shapes.cylinder(float(size[0]), float(size[1]))
        case _KIND.mjGEOM_MESH:
            mesh = _stored(model, int(model.geom_dataid[geom]))
            mesh = shapes.thinned(mesh, grain) if grain else mesh
        case _:
            return None
    return shapes.moved(mesh, model.geom_pos[geom], rotation.reshape(3, 3))


def _stored(model: mujoco.MjModel, number: int) -> Mesh:
    start, count = model.mesh_vertadr[number], model.mesh_vertnum[number]
    first, faces = model.mesh_faceadr[number], model.mesh_facenum[number]
    return shapes.smooth(model.mesh_vert[start : start + count], model.mesh_face[first : first + faces])
