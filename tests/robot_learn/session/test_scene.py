"""Bodies of a page: sent once, moved cheaply, described so that a page can read them."""

from __future__ import annotations

import json
import struct
from typing import Any

import mujoco
import numpy as np
import pytest

from robot_learn.errors import UserError
from robot_learn.session import shapes
from robot_learn.session.models import add_model, mesh_of
from robot_learn.session.scene import Camera, Scene3D
from tests.robot_learn.session.test_shapes import volume


def read(frame: bytes) -> tuple[dict[str, Any], bytes]:
    (length,) = struct.unpack("<I", frame[:4])
    return json.loads(frame[4 : 4 + length]), frame[4 + length :]


def scene() -> Scene3D:
    return Scene3D(Camera((0.0, 0.0, 0.0), 3.0), floor=0.0)


def test_the_first_frame_tells_where_to_look_from() -> None:
    changes, poses = scene().changes()
    told, rest = read(changes[""] or b"")
    assert told["camera"]["distance"] == 3.0
    assert told["floor"] == 0.0
    assert (rest, poses) == (b"", None)


def test_a_body_arrives_as_its_mesh() -> None:
    made, box = scene(), shapes.box((1.0, 2.0, 3.0))
    made.put("box", box, (0.1, 0.2, 0.3, 1.0))
    told, rest = read(made.changes()[0]["box"] or b"")
    assert (told["body"], told["vertices"], told["faces"], told["clear"]) == ("box", 36, 12, False)
    corners = np.frombuffer(rest, "<f4", 6 * 36).reshape(36, 6)
    assert corners[:, :3] == pytest.approx(box.vertices)
    assert corners[:, 3:] == pytest.approx(box.normals)
    assert np.frombuffer(rest, "<u4", offset=4 * 6 * 36).reshape(12, 3).tolist() == box.faces.tolist()


def test_what_is_the_same_is_not_sent_again() -> None:
    made, box = scene(), shapes.box((1.0, 1.0, 1.0))
    made.put("box", box)
    made.place("box", (1.0, 2.0, 3.0))
    made.changes()
    made.put("box", box)
    made.place("box", (1.0, 2.0, 3.0))
    assert made.changes() == ({}, None)


def test_what_moves_is_sent_with_its_number_and_pose() -> None:
    made = scene()
    made.put("one", shapes.sphere(0.1))
    made.put("two", shapes.sphere(0.1))
    made.changes()
    made.place("two", (1.0, 2.0, 3.0), np.array([0.0, 1.0, 0.0, 0.0]))
    changes, poses = made.changes()
    told, rest = read(poses or b"")
    assert changes == {}
    rows = np.frombuffer(rest, "<f4").reshape(told["poses"], 8)
    assert rows.tolist() == [[0, 0, 0, 0, 1, 0, 0, 0], [1, 1, 2, 3, 0, 1, 0, 0]]


def test_a_body_in_a_new_shape_stays_where_it_was() -> None:
    made = scene()
    made.put("ball", shapes.sphere(0.1))
    made.place("ball", (1.0, 0.0, 0.0))
    made.changes()
    made.put("ball", shapes.sphere(0.2))
    changes, poses = made.changes()
    assert list(changes) == ["ball"]
    assert np.frombuffer(read(poses or b"")[1], "<f4")[1] == 1.0


def test_a_body_that_is_removed_is_gone() -> None:
    made = scene()
    made.put("ball", shapes.sphere(0.1))
    made.changes()
    made.remove("ball")
    made.remove("ball")
    assert made.changes()[0] == {"ball": None}
    assert "ball" not in made


def test_a_body_wants_a_name() -> None:
    with pytest.raises(UserError, match="a body wants a name"):
        scene().put("", shapes.sphere(0.1))


MODEL = """<mujoco><worldbody>
  <geom type="box" size="1 2 .5"/>
  <body name="arm" pos="0 0 5"><freejoint/>
    <geom type="sphere" size=".5" rgba="1 0 0 1"/><geom type="capsule" size=".2 .4" pos="1 0 0" rgba="0 1 0 1"/>
    <geom type="cylinder" size=".2 .4" pos="2 0 0" rgba="0 0 1 .3"/><geom type="ellipsoid" size=".2 .3 .4" pos="3 0 0"/>
    <geom type="sphere" size="9" group="3"/><geom type="sphere" size="9" rgba="0 0 0 0"/>
  </body>
</worldbody></mujoco>"""


def test_a_model_is_drawn_as_one_mesh_a_body_and_one_for_what_is_translucent() -> None:
    model, made = mujoco.MjModel.from_xml_string(MODEL), scene()
    add_model(made, model)
    assert sorted(made.names) == ["arm", "arm (clear)", "world"]


def test_the_shapes_of_a_model_have_the_volumes_that_mujoco_gives_them() -> None:
    model = mujoco.MjModel.from_xml_string(MODEL)
    for geom, wanted in (
        (1, 4 / 3 * np.pi / 8),
        (2, np.pi * 0.04 * 0.8 + 4 / 3 * np.pi * 0.008),
        (3, np.pi * 0.04 * 0.8),
    ):
        mesh = mesh_of(model, geom)
        assert mesh is not None
        assert volume(mesh) == pytest.approx(wanted, rel=0.12)
        assert mesh.vertices.mean(axis=0) == pytest.approx(model.geom_pos[geom], abs=0.06)


def test_bodies_of_a_model_go_where_its_data_says() -> None:
    model, made = mujoco.MjModel.from_xml_string(MODEL), scene()
    data, place = mujoco.MjData(model), add_model(made, model)
    made.changes()
    data.qpos[:] = [1, 2, 3, 0, 0, 1, 0]
    mujoco.mj_kinematics(model, data)
    place(data)
    rows = np.frombuffer(read(made.changes()[1] or b"")[1], "<f4").reshape(-1, 8)
    assert rows[list(made.names).index("arm")][1:].tolist() == [1, 2, 3, 0, 0, 1, 0]
