"""Calibrates cameras on moments whose lengths the simulator knows, half of a disturbed script and half of chance."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import numpy as np

import sims
from rewards.preference.stereo import Calibration, Length, Stereo, fit
from robot_learn.data import actors
from robot_learn.data.actors import Disturbed
from robot_learn.envs import PREVIEW_SEED0
from robot_learn.scene import Scene

WORLDS, PERIOD = 20, 5  # episodes at once; of so many steps one is looked at
EPSILON, HOLD = (0.4, 1.0), 20.0  # shares of random actions, and for how many steps one is held


def calibrate(
    stereo: Stereo, moments: int, *, size: int, say: Callable[[str], None] = lambda text: None
) -> Calibration:
    """Look at so many moments, on the starts of previews, which neither training nor evaluation sees.

    Args:
        size: pixels of a picture's side.

    Raises:
        UserError: the task has no script, or things are so rarely seen that too few moments are left.
    """
    positions: list[np.ndarray] = []
    lengths: list[np.ndarray] = []
    with closing(sims.make(stereo.task, WORLDS)) as env:
        space = env.single_action_space
        low, high = space.low.astype(np.float64), space.high.astype(np.float64)
        for begin in range(0, 1000 * WORLDS, WORLDS):
            seeds = [PREVIEW_SEED0 + begin + world for world in range(WORLDS)]
            script = actors.scripted(sims.scripted(stereo.task, WORLDS))
            epsilon = np.resize(EPSILON, WORLDS)
            actor = Disturbed(script, low, high, epsilon, seeds, hold=HOLD)
            observations, _ = env.reset(seed=seeds)
            for step in range(env.task.max_episode_steps - 1):
                observations, *_ = env.step(actor(step, env.scene, observations))
                if step % PERIOD == 0:
                    _look(env, stereo, size, positions, lengths)
            say(f"{len(positions):,} / {moments:,} moments")
            if len(positions) >= moments:
                break
    return fit(np.array(positions[:moments]), np.array(lengths[:moments]))


def _look(
    env: sims.BatchEnv, stereo: Stereo, size: int, positions: list[np.ndarray], lengths: list[np.ndarray]
) -> None:
    views = [env.worlds.pictures(size, size, camera) for camera in stereo.cameras]
    true = np.concatenate([_true(env.scene, length) for length in stereo.lengths], axis=1)
    for picture, known in zip(np.concatenate(views, axis=2), true, strict=True):
        seen = stereo.positions(picture)
        if seen is not None:
            positions.append(seen)
            lengths.append(known)


def _true(scene: Scene, length: Length) -> np.ndarray:
    """(N, 1) of a length, (N, 3) of a way."""
    first, *second = (np.asarray(scene[name]) for name in length.fields)
    return second[0] - first if second else first[:, None]
