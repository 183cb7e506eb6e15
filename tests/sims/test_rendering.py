"""Pictures: the right size, upright, of the world that was asked for."""

from __future__ import annotations

import numpy as np
import pytest

import sims
from robot_learn.errors import UserError
from sims import rendering

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
