"""A model made light to draw: what pictures as data need, at many times the speed of a handsome picture.

A software rasteriser spends its time on triangles and on samples. So meshes are simplified, round shapes get fewer
sides, and there are no shadows, no multisampling and no sky but one plain colour. Colours, sizes and shapes stay.
"""

from __future__ import annotations

import copy

import mujoco
import numpy as np

MOST_FACES = 600  # of a mesh
GRIDS = (64, 48, 32, 24, 16, 12, 8)  # cells along a mesh's longest side: the first that leaves so few faces
SIDES = (12, 8, 2)  # round shapes: slices around, stacks along, subdivisions of a flat side
_PLAIN_SKY = (0.55, 0.65, 0.75)  # where a model has none


def light_model(model: mujoco.MjModel) -> mujoco.MjModel:
    """A copy to make a rendering context from; nothing of what is simulated may be read from it."""
    light = copy.copy(model)
    quality = light.vis.quality
    quality.offsamples, quality.shadowsize = 0, 0
    quality.numslices, quality.numstacks, quality.numquads = SIDES
    for mesh in range(light.nmesh):
        simplify_mesh(light, mesh)
    return light


def sky_colour(model: mujoco.MjModel) -> np.ndarray:
    """The colour (3,) of the model's sky at the horizon, 0 to 1."""
    skies = np.flatnonzero(model.tex_type == mujoco.mjtTexture.mjTEXTURE_SKYBOX)
    if not len(skies):
        return np.array(_PLAIN_SKY)
    sky = skies[0]
    first, width, channels = (int(row[sky]) for row in (model.tex_adr, model.tex_width, model.tex_nchannel))
    number = int(model.tex_height[sky]) // width  # one picture for all faces of the cube, or six
    faces = model.tex_data[first : first + number * width * width * channels].reshape(number, width, width, channels)
    sides = faces[[0, 1, 4, 5]] if number == 6 else faces  # 2 is above, 3 below
    return np.asarray(sides[:, width * 3 // 8 : width * 5 // 8, :, :3].mean(axis=(0, 1, 2)) / 255.0)


def add_backdrop(scene: mujoco.MjvScene, colour: np.ndarray) -> None:
    """A wall of one colour (3,) behind everything that a scene's camera sees, in place of a sky.

    It shines by itself (a hundredth of the colour, a hundredfold emission), so that lights do not change it.
    """
    if scene.ngeom >= scene.maxgeom:
        return
    eye = scene.camera[0]
    far = 0.98 * eye.frustum_far
    half = 3.0 * far * eye.frustum_top / eye.frustum_near  # wide enough for a picture three times as wide as high
    across = np.cross(eye.forward, eye.up)
    wall = scene.geoms[scene.ngeom]
    box = mujoco.mjtGeom.mjGEOM_BOX.value
    size, centre = np.array([half, half, 1e-3 * far]), eye.pos + far * eye.forward
    turn = np.stack([across, eye.up, -eye.forward], axis=1)
    mujoco.mjv_initGeom(wall, box, size, centre, turn.reshape(-1), np.append(colour / 100, 1.0).astype(np.float32))
    wall.emission, wall.specular = 100.0, 0.0
    scene.ngeom += 1


def simplify_mesh(model: mujoco.MjModel, mesh: int) -> None:
    """Vertex clustering (Rossignac and Borrel 1993): all vertices of a cell become one, faces without area go.

    The faces that stay are written over the old ones. They keep the normals of their corners, so that what was smooth
    still looks smooth.
    """
    number = int(model.mesh_facenum[mesh])
    if number <= MOST_FACES:
        return
    first = int(model.mesh_vertadr[mesh])
    vertices = model.mesh_vert[first : first + int(model.mesh_vertnum[mesh])]
    begin = int(model.mesh_faceadr[mesh])
    corners = [getattr(model, f"mesh_face{what}")[begin : begin + number] for what in ("", "normal", "texcoord")]
    for cells in GRIDS:
        faces = representatives(vertices, cells)[corners[0]]  # (F, 3)
        kept = distinct(faces)
        if len(kept) <= MOST_FACES:
            break
    corners[0][: len(kept)] = faces[kept]
    for rest in corners[1:]:
        rest[: len(kept)] = rest[kept]
    model.mesh_facenum[mesh] = len(kept)


def distinct(faces: np.ndarray) -> np.ndarray:
    """Rows of faces (F, 3), one of each that have the same corners in the same turn, none that lacks area.

    A thin sheet so keeps the faces of both its sides.
    """
    area = np.flatnonzero((faces != np.roll(faces, 1, axis=1)).all(axis=1))
    turns = faces[area].argmin(axis=1)[:, None] + np.arange(3)
    _, first = np.unique(np.take_along_axis(faces[area], turns % 3, axis=1), axis=0, return_index=True)
    return np.asarray(area[np.sort(first)])


def representatives(vertices: np.ndarray, cells: int) -> np.ndarray:
    """For each vertex (V, 3) the index (V,) of the one that stands for its cell: the nearest to the cell's mean."""
    low = vertices.min(axis=0)
    side = max(float(np.ptp(vertices, axis=0).max()) / cells, 1e-9)
    _, cell = np.unique(np.floor((vertices - low) / side).astype(np.int64), axis=0, return_inverse=True)
    cell = cell.reshape(-1)
    counts = np.bincount(cell)
    means = np.stack([np.bincount(cell, weights=vertices[:, axis]) / counts for axis in range(3)], axis=1)
    distance = np.square(vertices - means[cell]).sum(axis=1)
    order = np.lexsort((distance, cell))
    starts = np.append(0, np.cumsum(counts)[:-1])
    return np.asarray(order[starts][cell])
