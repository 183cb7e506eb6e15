"""Meshes: closed, turned outwards, as large as they say."""

from __future__ import annotations

import numpy as np
import pytest

from robot_learn.session import shapes
from robot_learn.session.shapes import Mesh

CLOSED = {
    "box": (shapes.box((1.0, 2.0, 0.5)), 8.0),
    "sphere": (shapes.sphere(1.5, 60), 4 / 3 * np.pi * 1.5**3),
    "ellipsoid": (shapes.ellipsoid((1.0, 2.0, 0.5), 60), 4 / 3 * np.pi),
    "capsule": (shapes.capsule(0.5, 1.0, 60), np.pi * 0.25 * 2 + 4 / 3 * np.pi * 0.125),
    "cylinder": (shapes.cylinder(0.5, 1.0, 60), np.pi * 0.25 * 2),
}


def volume(mesh: Mesh) -> float:
    """By the divergence theorem; positive where faces are turned outwards."""
    a, b, c = (mesh.vertices[mesh.faces[:, i]] for i in range(3))
    return float(np.einsum("ni,ni->n", a, np.cross(b, c)).sum() / 6)


@pytest.mark.parametrize("name", CLOSED)
def test_a_closed_shape_has_its_volume_and_faces_outwards(name: str) -> None:
    mesh, wanted = CLOSED[name]
    assert volume(mesh) == pytest.approx(wanted, rel=0.02)


@pytest.mark.parametrize("name", CLOSED)
def test_normals_are_of_length_one_and_point_outwards(name: str) -> None:
    mesh, _ = CLOSED[name]
    assert np.allclose(np.linalg.norm(mesh.normals, axis=1), 1.0)
    assert (np.einsum("ni,ni->n", mesh.normals, mesh.vertices) >= -1e-9).all()


def test_moving_a_shape_keeps_its_volume() -> None:
    c, s = np.cos(0.7), np.sin(0.7)
    turned = shapes.moved(
        shapes.box((1.0, 2.0, 0.5)), np.array([3.0, 1.0, 2.0]), np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    )
    assert volume(turned) == pytest.approx(8.0)
    assert turned.vertices.mean(axis=0) == pytest.approx([3.0, 1.0, 2.0])


def test_joined_shapes_have_the_sum_of_their_volumes() -> None:
    both = shapes.joined(
        [shapes.box((1, 1, 1)), shapes.moved(shapes.box((0.5, 1, 1)), np.array([5.0, 0, 0]), np.eye(3))]
    )
    assert volume(both) == pytest.approx(8.0 + 4.0)


def test_joined_shapes_keep_their_colours_where_all_have_some() -> None:
    red, blue = (1.0, 0.0, 0.0, 1.0), (0.0, 0.0, 1.0, 1.0)
    boxes = [shapes.painted(shapes.box((1, 1, 1)), colour) for colour in (red, blue)]
    both = shapes.joined(boxes)
    assert both.colours is not None
    assert both.colours[0].tolist() == list(red)
    assert both.colours[-1].tolist() == list(blue)


def test_a_tube_lies_around_its_points() -> None:
    way = np.array([[0.0, 0, 0], [1.0, 0, 0], [2.0, 0.5, 0], [2.5, 1.0, 1.0]])
    mesh = shapes.tube(way, 0.1)
    assert np.allclose(np.linalg.norm(mesh.vertices.reshape(4, 6, 3) - way[:, None], axis=2), 0.1)


def test_a_thinned_mesh_has_fewer_faces_and_nearly_the_same_volume() -> None:
    fine = shapes.sphere(1.0, 120)
    coarse = shapes.thinned(fine, 0.15)
    assert len(coarse.faces) < len(fine.faces) / 8
    assert volume(coarse) == pytest.approx(volume(fine), rel=0.06)
