"""Where things are, from pictures of the simulator, against what the simulator knows."""

from __future__ import annotations

import numpy as np
import pytest

from hardware.vision import Seen
from hardware.vision.cameras import RenderedCamera
from hardware.vision.colours import Coloured, ColourFinder
from hardware.vision.objects import CameraObjects
from hardware.vision.poses import difference, inverse
from hardware.vision.smoothing import Smoothing
from hardware.vision.tags import TagFinder
from tests.hardware.vision.eye import CUBE, TAGS, World, angle_off, colour_finder, eye_at, make, measure, tag_finder


@pytest.fixture(scope="module")
def tagged() -> World:
    return make(eye_at(0.6), tagged=True)


@pytest.fixture(scope="module")
def plain() -> World:
    return make(eye_at(0.8), tagged=False)


def test_tags_of_27_pixels_give_the_cube_to_a_millimetre_and_a_degree(tagged: World) -> None:
    found = measure(tagged, (640, 480), tag_finder, 8, seed=1)
    assert found.found == 1.0
    assert found.position_mm[0] < 1.0
    assert found.angle_deg[0] < 0.5
    assert found.position_mm[1] < 5.0
    assert 20 < found.size_px < 35


def test_in_a_small_picture_tags_of_13_pixels_give_the_cube_to_a_few_millimetres(tagged: World) -> None:
    found = measure(tagged, (320, 240), tag_finder, 10, seed=1)
    assert found.found >= 0.8
    assert found.position_mm[0] < 4.0
    assert found.angle_deg[0] < 2.0


def test_a_smaller_tag_is_trusted_less(tagged: World) -> None:
    large, small = (measure(tagged, size, tag_finder, 4, seed=2) for size in ((640, 480), (320, 240)))
    assert large.confidence > small.confidence + 0.1


@pytest.mark.parametrize(("size", "most"), [((320, 240), 2.0), ((640, 480), 1.0)])
def test_colour_gives_a_cube_on_the_table_to_a_millimetre_or_two(
    plain: World, size: tuple[int, int], most: float
) -> None:
    found = measure(plain, size, colour_finder, 8, seed=1)
    assert found.found == 1.0
    assert found.position_mm[1] < most
    assert found.angle_deg[0] < 2.0  # a quarter turn aside, which looks the same


def test_colour_gives_the_height_of_a_lifted_cube_too_where_it_may_be_anywhere(plain: World) -> None:
    anywhere = Coloured("cube", CUBE.half, CUBE.hue, table=None)
    rng, errors = np.random.default_rng(3), []
    with plain.camera(640, 480) as (take, calibration):
        for height in np.linspace(0.02, 0.25, 8):
            plain.place(rng)
            lift(plain, height)
            sight = ColourFinder(calibration, [anywhere]).find(take())["cube"]
            off, _ = difference(plain.T_base_camera @ sight.T_camera_object, plain.T_base_cube)
            errors.append(off)
    assert np.median(errors) < 0.008
    assert np.max(errors) < 0.015


def test_a_lifted_cube_is_no_cube_on_the_table(plain: World) -> None:
    """Whoever says that it lies on the table gets a low confidence, or nothing, where it does not."""
    rng = np.random.default_rng(4)
    with plain.camera(640, 480) as (take, calibration):
        plain.place(rng)
        on_table = ColourFinder(calibration, [CUBE]).find(take())["cube"].confidence
        lift(plain, 0.2)
        lifted = ColourFinder(calibration, [CUBE]).find(take()).get("cube")
    assert on_table > 0.6
    assert lifted is None or lifted.confidence < 0.25


def lift(seen: World, height: float) -> None:
    import mujoco

    seen.data.qpos[:7] = [0.0, -1.2, 0.0, -2.8, 0.0, 1.7, 0.8]  # out of the way
    seen.data.qpos[11] = height
    mujoco.mj_forward(seen.model, seen.data)


def test_what_is_not_there_is_not_found(plain: World, tagged: World) -> None:
    with plain.camera(320, 240) as (take, calibration):
        plain.place(np.random.default_rng(5))
        assert TagFinder(calibration, {"cube": TAGS}).find(take()) == {}
    with tagged.camera(320, 240) as (take, calibration):
        tagged.place(np.random.default_rng(5))
        blue = Coloured("cube", CUBE.half, (200, 260))
        assert ColourFinder(calibration, [blue]).find(take()) == {}


def test_a_moving_cube_is_followed_and_one_that_is_hidden_grows_old_and_is_forgotten() -> None:
    """The same code as in a lab, on the simulated camera and clock: tags while they are seen, then nothing."""
    import mujoco

    now, errors = [0.0], []
    tagged = make(eye_at(0.45), tagged=True)
    tagged.place(np.random.default_rng(6))
    tagged.data.qpos[:7] = [0.0, -1.2, 0.0, -2.8, 0.0, 1.7, 0.8]
    with tagged.camera(320, 240) as (take, calibration):
        camera = RenderedCamera(take, lambda: now[0], period=0.04)
        eye = CameraObjects(camera, calibration, [TagFinder(calibration, {"cube": TAGS})], Smoothing(forget=0.5))
        for i in range(30):
            now[0] = 0.04 * i
            tagged.data.qpos[9:12] = [0.42 + 0.1 * now[0], -0.05 + 0.1 * now[0], 0.02]
            mujoco.mj_forward(tagged.model, tagged.data)
            seen = eye.poses(now[0])["cube"]
            assert (seen.age, seen.source) == (0.0, "tags")
            errors.append(difference(seen.T_base_object, tagged.T_base_cube)[0])
        assert np.max(errors[10:]) < 0.005
        np.testing.assert_allclose(seen.velocity[:3], [0.1, 0.1, 0.0], atol=0.03)
        tagged.data.qpos[9:12] = [0.5, 0.0, -1.0]
        mujoco.mj_forward(tagged.model, tagged.data)
        later: list[Seen | None] = []
        for i in range(20):
            now[0] = 1.16 + 0.04 * (i + 1)
            later.append(eye.poses(now[0]).get("cube"))
    ages = [each.age for each in later if each]
    np.testing.assert_allclose(ages, 0.04 * (1 + np.arange(len(ages))), atol=1e-9)
    assert len(ages) == 12  # until .5 s
    assert later[0] is not None
    assert later[9] is not None
    assert later[9].confidence < 0.5 * later[0].confidence
    assert not np.any(later[9].velocity)


def test_colour_steps_in_where_no_tag_is_seen(plain: World) -> None:
    plain.place(np.random.default_rng(7))
    with plain.camera(640, 480) as (take, calibration):
        finders = [TagFinder(calibration, {"cube": TAGS}), ColourFinder(calibration, [CUBE])]
        eye = CameraObjects(RenderedCamera(take, lambda: 1.0), calibration, finders)
        seen = eye.poses(1.02)["cube"]
    assert seen.source == "colour"
    assert seen.age == pytest.approx(0.02)
    assert angle_off(seen.T_base_object, plain.T_base_cube, 4) < 2.0


def test_the_truth_seen_through_the_camera_is_where_the_picture_shows_it(tagged: World) -> None:
    """The camera's own frame: what is known of the simulator's camera and what it draws agree to a tenth of a pixel."""
    tagged.place(np.random.default_rng(8))
    with tagged.camera(640, 480) as (take, calibration):
        corners = TagFinder(calibration, {"cube": TAGS}).corners(take())
        T = inverse(tagged.T_base_camera) @ tagged.T_base_cube
        top = calibration.project(TAGS[0].corners, T)
    assert np.abs(corners[0] - top).max() < 0.3
    assert np.abs((corners[0] - top).mean(axis=0)).max() < 0.1
