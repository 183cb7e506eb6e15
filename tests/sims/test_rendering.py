"""Pictures: the right size, upright, of the world that was asked for."""

from __future__ import annotations

import ctypes.util
import os
import subprocess
import sys

import mujoco
import numpy as np
import pytest

import sims
from robot_learn.errors import UserError
from sims import light_models, rendering

HEIGHT, WIDTH = 90, 120


@pytest.fixture
def opengl() -> None:
    try:
        rendering.backend()
    except UserError:
        pytest.skip(f"no OpenGL here: needs the Debian packages {rendering.PACKAGES}")


def middle_row(mask: np.ndarray) -> float:
    assert mask.sum() > 10, "nothing of this colour is in the picture"
    return float(np.nonzero(mask)[0].mean())


@pytest.mark.usefixtures("opengl")
def test_a_picture_is_upright_and_follows_the_hand() -> None:
    env = sims.make("metaworld/drawer-open", 1)
    env.reset(seed=0)
    before = env.render_world(0, WIDTH, HEIGHT).astype(int)
    for _ in range(15):
        env.step(np.array([[0.0, 0.0, 1.0, 0.0]]))
    after = env.render_world(0, WIDTH, HEIGHT).astype(int)
    assert before.shape == (HEIGHT, WIDTH, 3)
    assert before.std() > 20
    arm, finger, wood = [], [], []
    for picture in (before, after):
        red, green, blue = np.moveaxis(picture, 2, 0)
        arm.append(middle_row((red > 90) & (green < 40) & (blue < 40)))
        finger.append(middle_row((green > 140) & (blue > 140) & (red < 90)))
        wood.append(middle_row((red > 70) & (red < 140) & (green > 0.6 * red) & (green < 0.85 * red) & (blue < green)))
    assert arm[0] < wood[0], "the arm is above the table"
    assert finger[1] < finger[0] - 5, "a raised hand is higher in the picture"
    env.close()


@pytest.mark.usefixtures("opengl")
@pytest.mark.parametrize("name", ["mujoco/hopper", "mujoco/ant"])
def test_the_floor_is_below_the_horizon(name: str) -> None:
    env = sims.make_single(name, render_mode="rgb_array")
    env.reset(seed=0)
    picture = env.render()
    assert picture is not None
    assert picture.dtype == np.uint8
    third = len(picture) // 3
    assert picture[-third:].std() > 2 * picture[:third].std(), "the chequered floor is below, the plain sky above"
    env.close()


@pytest.mark.usefixtures("opengl")
def test_each_world_of_a_batch_is_drawn_where_its_own_objects_stand() -> None:
    one, two = (sims.make("metaworld/drawer-open", number) for number in (1, 2))
    one.reset(seed=31)
    two.reset(seed=30)
    first, second = (two.render_world(index, WIDTH, HEIGHT) for index in (0, 1))
    np.testing.assert_array_equal(second, one.render_world(0, WIDTH, HEIGHT))
    assert (first != second).any()
    one.close()
    two.close()


@pytest.mark.usefixtures("opengl")
def test_looking_does_not_change_the_future() -> None:
    seen, unseen = (sims.make("mujoco/hopper", 1) for _ in range(2))
    seen.reset(seed=0)
    unseen.reset(seed=0)
    for action in np.random.default_rng(0).uniform(-1, 1, (30, 1, 3)):
        seen.render_world(0, WIDTH, HEIGHT)
        np.testing.assert_array_equal(seen.step(action)[0], unseen.step(action)[0])
    seen.close()
    unseen.close()


DRAWN = ["metaworld/drawer-open", "mujoco/ant", "mujoco/cart-pole", "uav/gate", "franka/push", "soft/pass-water"]


@pytest.mark.usefixtures("opengl")
@pytest.mark.parametrize("name", DRAWN)
def test_pictures_as_data_show_what_the_handsome_picture_shows(name: str) -> None:
    env = sims.make(name, 2)
    env.reset(seed=4)
    for camera in env.worlds.cameras:
        handsome = np.stack([env.render_world(index, WIDTH, HEIGHT, camera) for index in range(2)]).astype(int)
        light = env.pictures(WIDTH, HEIGHT, camera)
        assert light.shape == (2, HEIGHT, WIDTH, 3)
        assert light.dtype == np.uint8
        # Edges and the sky differ; a picture that is upside down is off by far more.
        apart = np.abs(light - handsome).mean(axis=(0, 3))
        assert apart.mean() < 0.35 * np.abs(light[:, ::-1] - handsome).mean()
        assert apart.mean() < 16
    env.close()


@pytest.mark.usefixtures("opengl")
@pytest.mark.parametrize("name", ["metaworld/soccer", "uav/gate", "uav/tube", "franka/push", "soft/pass-water"])
def test_the_goal_is_seen_in_green_in_both_kinds_of_picture(name: str) -> None:
    env = sims.make(name, 1)
    env.reset(seed=0)
    camera = "side" if name == "uav/gate" else None  # from behind it is seen through the wall, which greys it
    for picture in (env.render_world(0, 240, 180, camera), env.pictures(240, 180, camera)[0]):
        red, green, blue = np.moveaxis(picture.astype(int), 2, 0)
        assert ((green > 1.4 * red) & (green > 1.4 * blue) & (green > 80)).sum() > 8
    env.close()


@pytest.mark.usefixtures("opengl")
def test_pictures_of_some_worlds_are_those_rows_of_all() -> None:
    env = sims.make("uav/gate", 4)
    env.reset(seed=0)
    everyone = env.pictures(WIDTH, HEIGHT)
    some = env.worlds.pictures(WIDTH, HEIGHT, None, [1, 3])
    np.testing.assert_array_equal(some, everyone[[1, 3]])
    assert (some[0] != some[1]).any()
    env.close()


@pytest.mark.usefixtures("opengl")
def test_where_a_model_has_no_sky_a_plain_one_is_drawn() -> None:
    env = sims.make("mujoco/cart-pole", 1)
    env.reset(seed=0)
    for picture in (env.render_world(0, WIDTH, HEIGHT), env.pictures(WIDTH, HEIGHT)[0]):
        wanted = light_models.sky_colour(mujoco.MjModel.from_xml_string("<mujoco/>")) * 255
        np.testing.assert_allclose(picture[0], np.tile(wanted, (WIDTH, 1)), atol=8)
    env.close()


@pytest.mark.skipif(ctypes.util.find_library("OSMesa") is None, reason="needs the Debian package libosmesa6")
def test_osmesa_draws_both_kinds_without_a_graphics_driver() -> None:
    env = {name: value for name, value in os.environ.items() if name != "PYOPENGL_PLATFORM"} | {"MUJOCO_GL": "osmesa"}
    script = (
        "import sims; env = sims.make('mujoco/hopper', 2); env.reset(seed=0);"
        "assert env.pictures(64, 48).std() > 20; assert env.render_world(1, 64, 48).std() > 20; env.close()"
    )
    subprocess.run([sys.executable, "-c", script], check=True, env=env)


def test_the_colour_of_a_sky_is_that_at_its_horizon() -> None:
    texture = 'type="skybox" builtin="gradient" rgb1="0.8 0.8 0.8" rgb2="0 0.2 0" width="48" height="288"'
    model = mujoco.MjModel.from_xml_string(f"<mujoco><asset><texture {texture}/></asset></mujoco>")
    np.testing.assert_allclose(light_models.sky_colour(model), [0.4, 0.5, 0.4], atol=0.03)


def test_a_light_model_has_few_faces_and_leaves_the_model_alone() -> None:
    env = sims.make("metaworld/drawer-open", 1)
    model = env.worlds._engine.models[0]  # type: ignore[attr-defined]
    faces, size = model.mesh_face.copy(), int(model.mesh_facenum.max())
    light = light_models.light_model(model)
    assert size > 10_000
    assert light.mesh_facenum.max() <= light_models.MOST_FACES
    assert light.mesh_facenum.min() > 0
    np.testing.assert_array_equal(model.mesh_face, faces)
    env.close()


def test_merged_vertices_stay_within_a_cell() -> None:
    vertices = np.random.default_rng(0).uniform(-1, 1, (500, 3))
    stand_in = light_models.representatives(vertices, 8)
    side = np.ptp(vertices, axis=0).max() / 8
    assert (np.abs(vertices[stand_in] - vertices) <= side).all()
    assert len(np.unique(stand_in)) < 400
    np.testing.assert_array_equal(stand_in[stand_in], stand_in)


def test_faces_without_area_go_and_a_sheet_keeps_both_sides() -> None:
    faces = np.array([[0, 1, 2], [1, 2, 0], [0, 2, 1], [0, 0, 2], [3, 1, 3], [2, 3, 1]])
    np.testing.assert_array_equal(light_models.distinct(faces), [0, 2, 5])


def test_without_a_render_mode_there_is_no_picture() -> None:
    env = sims.make_single("mujoco/hopper")
    env.reset(seed=0)
    assert env.render() is None
    env.close()


def test_an_unknown_back_end_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUJOCO_GL", "vulkan")
    with pytest.raises(UserError, match="'vulkan': wanted egl, osmesa or glfw"):
        rendering.backend()


def test_a_machine_without_opengl_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    monkeypatch.setattr("ctypes.util.find_library", lambda name: None)
    with pytest.raises(UserError, match=r"apt-get install .*libosmesa6"):
        rendering.backend()
