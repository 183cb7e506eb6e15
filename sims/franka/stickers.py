"""Pictures on things: flat, without mass, touching nothing; for cameras that shall recognise what they see."""

from __future__ import annotations

import mujoco
import numpy as np

_LIFT = 2e-5  # [m] off the face, so that the face does not show through


def stick(
    spec: mujoco.MjSpec, body: mujoco.MjsBody, name: str, picture: np.ndarray, size: float, T: np.ndarray
) -> None:
    """Put a grey picture (n, n) uint8 on a body: a square of `size` [m] in the middle of its frame T (4, 4).

    The frame's x points to the picture's right, y up, z out of it; it is seen from that side.
    """
    pixels = np.repeat(np.asarray(picture, dtype=np.uint8)[..., None], 3, axis=2)
    texture = spec.add_texture(name=name, type=mujoco.mjtTexture.mjTEXTURE_2D)
    texture.width, texture.height, texture.nchannel = pixels.shape[1], pixels.shape[0], 3
    texture.data = pixels.tobytes()
    material = spec.add_material(name=name, specular=0.0, shininess=0.0)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = name
    corners = size / 2 * np.array([[-1, 1, 0], [1, 1, 0], [1, -1, 0], [-1, -1, 0]]) + [0, 0, _LIFT]
    # The first row of the texture is at v = 0.
    mesh = spec.add_mesh(name=name, uservert=(corners @ T[:3, :3].T + T[:3, 3]).ravel())
    mesh.userface, mesh.usertexcoord = [0, 2, 1, 0, 3, 2], [0, 0, 1, 0, 1, 1, 0, 1]
    mesh.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL
    geom = body.add_geom(type=mujoco.mjtGeom.mjGEOM_MESH, meshname=name, material=name)
    geom.contype, geom.conaffinity, geom.mass = 0, 0, 0.0
