"""How the arm looks: the Panda's meshes where mani_skill is installed, else smooth white and grey shapes.

Nothing here is felt: these geoms have no mass and touch nothing. Meshes are read at run time from the installed
package, thinned out on the way, because a picture of half a million pixels shows no tenth of a millimetre.
"""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path
from typing import Any

import mujoco
import numpy as np

_LINKS = {f"link{i}": f"link{i}" for i in range(8)} | {
    "hand": "hand",
    "left_finger": "finger",
    "right_finger": "finger",
}
_GRAIN = 0.004  # [m] vertices closer than this become one

Part = tuple[np.ndarray, np.ndarray, tuple[float, ...]]  # vertices (V, 3) [m], faces (F, 3), colour


def dress(spec: mujoco.MjSpec, group: int) -> None:
    """Give the bodies of an arm something to be seen by, in the geom group `group`."""
    folder = _mesh_folder()
    for body, file in _LINKS.items():
        target = spec.body(body)
        if target is None:
            continue
        if folder is None:
            _copy_shapes(target, group)
            continue
        for index, (vertices, faces, colour) in enumerate(_parts(folder / f"{file}.glb")):
            name = f"{file}_{index}"
            if spec.mesh(name) is None:
                spec.add_mesh(name=name, uservert=vertices.ravel(), userface=faces.ravel())
            geom = target.add_geom(type=mujoco.mjtGeom.mjGEOM_MESH, meshname=name, rgba=list(colour))
            _only_looks(geom, group)


def _mesh_folder() -> Path | None:
    """Where mani_skill keeps the Panda's meshes; found without importing it."""
    found = importlib.util.find_spec("mani_skill")
    readable = importlib.util.find_spec("trimesh") is not None
    if found is None or found.origin is None or not readable:
        return None
    folder = Path(found.origin).parent / "assets/robots/panda/franka_description/meshes/visual"
    return folder if folder.is_dir() else None


def _copy_shapes(body: mujoco.MjsBody, group: int) -> None:
    for shape in list(body.geoms):
        geom = body.add_geom(type=shape.type, pos=shape.pos, quat=shape.quat, size=shape.size, rgba=shape.rgba)
        geom.fromto = shape.fromto
        _only_looks(geom, group)


def _only_looks(geom: mujoco.MjsGeom, group: int) -> None:
    geom.group, geom.contype, geom.conaffinity, geom.mass = group, 0, 0, 0.0


@functools.cache
def _parts(path: Path) -> tuple[Part, ...]:
    """The coloured parts of a mesh file, thinned out; tiny marks are dropped."""
    import trimesh

    loaded: Any = trimesh.load(path)
    parts: list[Part] = []
    for node in loaded.graph.nodes_geometry:
        T_link_shape, name = loaded.graph[node]
        shape = loaded.geometry[name]
        if len(shape.faces) < 50:
            continue
        colour = tuple(float(c) for c in np.asarray(shape.visual.material.baseColorFactor) / 255)
        vertices = np.asarray(shape.vertices) @ T_link_shape[:3, :3].T + T_link_shape[:3, 3]
        parts.append((*_thin(vertices, np.asarray(shape.faces)), colour))
    return tuple(parts)


def _thin(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Merge the vertices of each cell of a grid into their mean and drop the faces that collapse."""
    cells, merged = np.unique(np.round(vertices / _GRAIN).astype(int), axis=0, return_inverse=True)
    merged = merged.reshape(-1)
    counts = np.bincount(merged)
    means = np.stack([np.bincount(merged, vertices[:, k]) / counts for k in range(3)], axis=1)
    corners = merged[faces]
    kept = (corners[:, 0] != corners[:, 1]) & (corners[:, 1] != corners[:, 2]) & (corners[:, 2] != corners[:, 0])
    return means, np.unique(corners[kept], axis=0) if len(cells) else corners
