"""Meshes of simple shapes, with as few triangles as still look round."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

ROUND = 14  # sides of what is round


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles."""

    vertices: np.ndarray  # (n, 3) [m]
    faces: np.ndarray  # (m, 3) whole numbers, counter-clockwise seen from outside
    normals: np.ndarray  # (n, 3), of length 1
    colours: np.ndarray | None = None  # (n, 4) of the vertices, in place of the body's colour


def smooth(vertices: np.ndarray, faces: np.ndarray, colours: np.ndarray | None = None) -> Mesh:
    """A mesh whose normals are the mean of the faces around each vertex, weighted by area."""
    vertices, faces = np.asarray(vertices, dtype=np.float64).reshape(-1, 3), np.asarray(faces, dtype=int).reshape(-1, 3)
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    across = np.cross(b - a, c - a)
    normals = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(normals, faces[:, corner], across)
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    return Mesh(vertices, faces, np.where(length > 0, normals / np.maximum(length, 1e-30), (0, 0, 1)), colours)


def flat(vertices: np.ndarray, faces: np.ndarray) -> Mesh:
    """A mesh with sharp edges: no two faces share a vertex."""
    corners = np.asarray(vertices, dtype=np.float64)[np.asarray(faces, dtype=int)].reshape(-1, 3)
    return smooth(corners, np.arange(len(corners)).reshape(-1, 3))


def box(half: tuple[float, float, float] | np.ndarray) -> Mesh:
    """A box by its half sides (3,) [m]."""
    signs = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=np.float64)
    quads = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))
    return flat(signs * np.asarray(half), _halved(quads))


def ellipsoid(radii: tuple[float, float, float] | np.ndarray, sides: int = ROUND) -> Mesh:
    """By its half axes (3,) [m]."""
    radii = np.asarray(radii, dtype=np.float64)
    tilt = np.linspace(-np.pi / 2, np.pi / 2, sides // 2 + 1)
    ball = _turned(np.cos(tilt), np.sin(tilt), np.cos(tilt), np.sin(tilt), sides)
    normals = ball.normals / radii
    return Mesh(ball.vertices * radii, ball.faces, normals / np.linalg.norm(normals, axis=1, keepdims=True))


def sphere(radius: float, sides: int = ROUND) -> Mesh:
    return ellipsoid((radius, radius, radius), sides)


def capsule(radius: float, half: float, sides: int = ROUND) -> Mesh:
    """Along z, by the radius and half the length of the cylinder between the two half balls [m]."""
    tilt = np.linspace(-np.pi / 2, np.pi / 2, 2 * (sides // 4) + 2)
    lift = np.where(tilt < 0, -half, half)
    return _turned(radius * np.cos(tilt), radius * np.sin(tilt) + lift, np.cos(tilt), np.sin(tilt), sides)


def cylinder(radius: float, half: float, sides: int = ROUND) -> Mesh:
    """Along z, by its radius and half its length [m]."""
    r = np.array([0.0, radius, radius, radius, radius, 0.0])
    z = np.array([-half, -half, -half, half, half, half])
    return _turned(r, z, np.array([0.0, 0, 1, 1, 0, 0]), np.array([-1.0, -1, 0, 0, 1, 1]), sides)


def tube(points: np.ndarray, radius: float | np.ndarray, sides: int = 6) -> Mesh:
    """A pipe along points (n, 3) [m], open at its ends; `radius` [m] may be one a point (n,)."""
    points = np.asarray(points, dtype=np.float64)
    ahead = np.gradient(points, axis=0)
    ahead /= np.maximum(np.linalg.norm(ahead, axis=1, keepdims=True), 1e-12)
    # Any direction across will do that never turns along the pipe; of the axes, the one that it follows least.
    axis = np.eye(3)[np.argmin(np.abs(ahead).max(axis=0))]
    across = np.cross(ahead, axis)
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-12)
    other = np.cross(ahead, across)
    angles = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    around = np.cos(angles)[None, :, None] * across[:, None] + np.sin(angles)[None, :, None] * other[:, None]
    wide = np.broadcast_to(np.asarray(radius, dtype=np.float64), (len(points),))
    vertices = points[:, None] + wide[:, None, None] * around
    return Mesh(vertices.reshape(-1, 3), _net(len(points), sides), around.reshape(-1, 3))


def painted(mesh: Mesh, colour: tuple[float, float, float, float]) -> Mesh:
    """In one colour of its own."""
    return Mesh(mesh.vertices, mesh.faces, mesh.normals, np.tile(np.asarray(colour), (len(mesh.vertices), 1)))


def joined(meshes: list[Mesh]) -> Mesh:
    """Several meshes as one; with colours where all of them have some."""
    starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    colours = [mesh.colours for mesh in meshes if mesh.colours is not None]
    return Mesh(
        np.concatenate([mesh.vertices for mesh in meshes]),
        np.concatenate([mesh.faces + start for mesh, start in zip(meshes, starts, strict=False)]),
        np.concatenate([mesh.normals for mesh in meshes]),
        np.concatenate(colours) if len(colours) == len(meshes) else None,
    )


def moved(mesh: Mesh, position: np.ndarray, rotation: np.ndarray) -> Mesh:
    """Turned by a matrix (3, 3), then shifted by (3,) [m]."""
    return Mesh(mesh.vertices @ rotation.T + position, mesh.faces, mesh.normals @ rotation.T, mesh.colours)


def thinned(mesh: Mesh, cell: float) -> Mesh:
    """As coarse as a grid of cells [m]: vertices in one cell become one (Rossignac & Borrel, 1993)."""
    _, where, counts = np.unique(np.round(mesh.vertices / cell), axis=0, return_inverse=True, return_counts=True)
    where = where.ravel()
    middles = np.zeros((len(counts), 3))
    np.add.at(middles, where, mesh.vertices)
    faces = where[mesh.faces]
    kept = (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])
    return smooth(middles / counts[:, None], np.unique(faces[kept], axis=0))


def _turned(r: np.ndarray, z: np.ndarray, out: np.ndarray, up: np.ndarray, sides: int) -> Mesh:
    """A profile (n,) of radii and heights, turned about z, with the profile's normals (out, up)."""
    angles = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    c, s = np.cos(angles), np.sin(angles)
    vertices = np.stack([r[:, None] * c, r[:, None] * s, np.repeat(z[:, None], sides, axis=1)], axis=2)
    normals = np.stack([out[:, None] * c, out[:, None] * s, np.repeat(up[:, None], sides, axis=1)], axis=2)
    return Mesh(vertices.reshape(-1, 3), _net(len(r), sides), normals.reshape(-1, 3))


def _net(rows: int, sides: int) -> np.ndarray:
    """Triangles between rings of so many vertices."""
    ring = np.arange(sides)
    here, there = ring, (ring + 1) % sides
    quads = [
        np.stack([row * sides + here, row * sides + there, (row + 1) * sides + there, (row + 1) * sides + here], axis=1)
        for row in range(rows - 1)
    ]
    return _halved(np.concatenate(quads))


def _halved(quads: np.ndarray | tuple[tuple[int, ...], ...]) -> np.ndarray:
    """Two triangles for each quad (m, 4)."""
    quads = np.asarray(quads)
    return np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
