"""Cameras that were calibrated together measure lengths in space."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

import sims
from rewards.preference.stereo import STEREO, Calibration, Length, fit
from rewards.preference.vision import of_task
from robot_learn.envs import VALIDATION_SEED0
from robot_learn.errors import UserError

RNG = np.random.default_rng(0)
DRAWER = STEREO["metaworld/drawer-open", "side+corner"]


def test_what_is_a_polynomial_of_second_degree_is_found_exactly() -> None:
    positions = RNG.uniform(size=(200, 4))
    x, y, z, w = positions.T
    lengths = np.stack([0.3 + x * y - 2 * w**2, z - 0.5 * x], axis=1)
    calibration = fit(positions, lengths)
    np.testing.assert_allclose(calibration.lengths(positions), lengths, atol=1e-4)
    assert calibration.residual.max() < 1e-4
    again = Calibration.from_json(calibration.to_json())
    np.testing.assert_allclose(again.lengths(positions), lengths, atol=1e-4)
    assert again.moments == 200


def test_what_the_positions_do_not_tell_is_in_the_residual() -> None:
    positions, noise = RNG.uniform(size=(3000, 3)), RNG.normal(0, 0.02, (3000, 1))
    assert fit(positions, positions[:, :1] + noise).residual[0] == pytest.approx(0.02, rel=0.1)


def test_too_few_moments_are_refused() -> None:
    with pytest.raises(UserError, match="wanted 19 moments or more, came 15"):
        fit(np.zeros((15, 4)), np.zeros((15, 1)))


def test_the_calibration_that_comes_along_measures_starts_that_it_never_saw() -> None:
    with closing(sims.make(DRAWER.task, 10)) as env:
        observations, _ = env.reset(seed=list(range(VALIDATION_SEED0, VALIDATION_SEED0 + 10)))
        script = sims.scripted(DRAWER.task, 10)
        errors, measured, opened = [], [], []
        for step in range(90):
            observations, *_ = env.step(script(env.scene, observations))
            if step % 30 == 29:
                views = [env.worlds.pictures(128, 128, camera) for camera in DRAWER.cameras]
                for world, picture in enumerate(np.concatenate(views, axis=2)):
                    positions = DRAWER.positions(picture)
                    assert positions is not None
                    lengths = DRAWER.calibration.lengths(positions)
                    way = env.scene["drawer.handle_position"] - env.scene["robot.hand_position"]
                    errors.append([lengths[0] - env.scene["drawer.opening"][world], *(lengths[1:] - way[world])])
                    measured.append(DRAWER.progress(picture))
                    opened.append(env.scene["drawer.opening"][world])
    assert np.sqrt(np.square(errors).mean(axis=0)).max() < 0.03
    assert np.corrcoef(measured, opened)[0, 1] > 0.9, "progress goes up as the drawer comes out"


def test_a_share_is_0_at_its_start_and_up_to_its_floor_and_1_from_its_end_on() -> None:
    stereo = replace(DRAWER, lengths=(Length(("drawer.opening",), start=0.0, end=0.2, weight=2.0, floor=0.02),))
    count = len(DRAWER.calibration.middle)
    told = np.zeros((1 + count + count * (count + 1) // 2, 1))
    picture = np.concatenate([_render(camera) for camera in DRAWER.cameras], axis=1)
    for opening, progress in ((-0.1, 0.0), (0.02, 0.0), (0.11, 1.0), (0.2, 2.0), (0.4, 2.0)):
        told[0] = opening
        stereo.__dict__["calibration"] = replace(DRAWER.calibration, coefficients=told)
        assert stereo.progress(picture) == pytest.approx(progress)


def _render(camera: str) -> np.ndarray:
    with closing(sims.make(DRAWER.task, 1)) as env:
        env.reset(seed=VALIDATION_SEED0)
        return np.asarray(env.worlds.pictures(128, 128, camera)[0])


def test_cameras_calibrated_together_are_the_teacher_and_a_thing_that_is_missing_is_no_progress() -> None:
    vision = of_task("metaworld/drawer-open", "side+corner")
    assert vision.gauge is DRAWER
    assert vision.name == "vision:drawer-open/side+corner, calibrated"
    assert 0 < vision.gauge.noise < 0.5
    assert DRAWER.progress(np.zeros((128, 256, 3), dtype=np.uint8)) is None
    with pytest.raises(UserError, match="2 views beside each other, came 127"):
        DRAWER.progress(np.zeros((128, 127, 3), dtype=np.uint8))


def test_cameras_that_nobody_calibrated_say_how() -> None:
    with pytest.raises(UserError, match="robot-learn calibrate"):
        assert replace(DRAWER, cameras=("corner", "side")).calibration
