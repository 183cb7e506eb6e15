"""Rewards that a video gives without any language: classical baselines, in the same worlds and by the same learner.

Both look at the robot while it is trained: ten small pictures a second from its side, in windows of two seconds, and
each window is paid for at its end.
- `dtw`: trajectories of the optical flow (how much moves, upwards and across) against those of the video, by dynamic
  time warping, of which the window may match any part (Sakoe and Chiba, 1978; Mueller, 2007, section 4.4).
- `similarity`: one descriptor a window against one of the video, by their angle, as RoboCLIP does (Sontakke et al.,
  NeurIPS 2023), here with gradients' histograms (Dalal and Triggs, CVPR 2005) of the pictures and of their changes,
  since no network that was trained on videos is installed.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np

from rewards.video.clip import Clip, read_clip
from robot_learn.errors import unknown
from robot_learn.imitation.blind import Blind

RATE = 10.0  # [pictures/s]
WINDOW = 2.0  # [s]
SIZE = (64, 48)  # (width, height) of a picture
KINDS = ("dtw", "similarity")
CELL, DIRECTIONS = 8, 9  # of histograms of gradients: pixels square, and half a turn in so many parts

Judge = Callable[[np.ndarray], float]  # of a window (W, height, width) uint8


def watched(worlds: Any, *, kind: str, video: str, speed: float = 1.0) -> Watched:
    """Worlds whose own reward is how like a video they look.

    Raises:
        UserError: the video cannot be read, or there is no such baseline.
    """
    return Watched(worlds, judge_of(kind, small(read_clip(video, speed=speed))))


def small(clip: Clip) -> np.ndarray:
    """A clip at the rate and size of the windows, (T, height, width) uint8."""
    count = max(2, int(clip.seconds * RATE))
    chosen = np.minimum(np.round(np.arange(count) / RATE * clip.fps).astype(np.int64), len(clip.frames) - 1)
    return np.array([_grey(cv2.resize(frame, SIZE, interpolation=cv2.INTER_AREA)) for frame in clip.frames[chosen]])


def judge_of(kind: str, video: np.ndarray) -> Judge:
    """How a window is judged against a video (T, height, width)."""
    if kind not in KINDS:
        raise unknown("baseline", kind, KINDS)
    length = round(RATE * WINDOW)
    if kind == "dtw":
        flow = flows(video)
        scale = np.maximum(flow.std(axis=0), 1e-3)
        return lambda window: float(np.exp(-warped(flows(window) / scale, flow / scale)))
    parts = [video[start : start + length] for start in range(0, max(1, len(video) - length + 1), length // 2)]
    wanted = _unit(np.mean([described(part) for part in parts], axis=0))
    return lambda window: float(described(window) @ wanted)


def flows(pictures: np.ndarray) -> np.ndarray:
    """(T - 1, 3): mean length of the optical flow, and mean flow up and across of what moves most, in pixels."""
    found = []
    for before, after in itertools.pairwise(pictures):
        flow = cv2.calcOpticalFlowFarneback(before, after, None, 0.5, 2, 9, 2, 5, 1.2, 0)  # type: ignore[call-overload]
        length = np.linalg.norm(flow, axis=2)
        moving = length >= max(float(np.quantile(length, 0.9)), 1e-3)
        up, across = (-flow[moving, 1].mean(), flow[moving, 0].mean()) if moving.any() else (0.0, 0.0)
        found.append((float(length.mean()), float(up), float(across)))
    return np.array(found)


def warped(window: np.ndarray, video: np.ndarray) -> float:
    """Mean distance of a window (W, F) along the best warping onto any part of a video (T, F)."""
    cost = np.linalg.norm(window[:, None] - video[None], axis=2)
    total = cost[0]  # it may begin anywhere
    for row in cost[1:]:
        stepped = np.minimum(total, np.concatenate([[np.inf], total[:-1]]))
        total = row + stepped
        for column in range(1, len(total)):
            total[column] = min(total[column], row[column] + total[column - 1])
    return float(total.min() / len(window))


def described(window: np.ndarray) -> np.ndarray:
    """A unit descriptor of a window: gradients' histograms of the pictures, and of how they change."""
    still = np.mean([gradients(picture) for picture in window], axis=0)
    moved = [cv2.absdiff(before, after) for before, after in itertools.pairwise(window)]
    moving = np.mean([gradients(picture) for picture in moved], axis=0)
    return _unit(np.concatenate([_unit(still), _unit(moving)]))


def gradients(picture: np.ndarray) -> np.ndarray:
    """Histograms of the gradients' directions in cells of 8 pixels, each of four neighbours made one long, flat."""
    x, y = (cv2.Sobel(picture, cv2.CV_32F, *order, ksize=1) for order in ((1, 0), (0, 1)))
    length, turn = np.hypot(x, y), np.arctan2(y, x) % np.pi
    direction = np.minimum((turn / np.pi * DIRECTIONS).astype(np.int64), DIRECTIONS - 1)
    rows, columns = picture.shape[0] // CELL, picture.shape[1] // CELL
    cells = np.zeros((rows, columns, DIRECTIONS))
    place = np.indices(picture.shape) // CELL
    np.add.at(cells, (place[0], place[1], direction), length)
    blocks = [cells[i : rows - 1 + i, j : columns - 1 + j] for i in (0, 1) for j in (0, 1)]
    joined = np.concatenate(blocks, axis=2)
    return np.asarray(joined / (np.linalg.norm(joined, axis=2, keepdims=True) + 1.0)).ravel()


def _unit(values: np.ndarray) -> np.ndarray:
    return np.asarray(values / max(float(np.linalg.norm(values)), 1e-9))


def _grey(picture: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))


class Watched(Blind):
    """Worlds that are looked at, and whose `expert_reward` is a judge's word at the end of each window."""

    def __init__(self, worlds: Any, judge: Judge) -> None:
        super().__init__(worlds)
        self._judge, count = judge, worlds.num_worlds
        self._stride = max(1, round(1.0 / (RATE * worlds.task.control_dt)))
        self._length = round(RATE * WINDOW)
        self._steps = np.zeros(count, dtype=np.int64)  # of each episode
        self._windows = np.zeros((count, self._length, SIZE[1], SIZE[0]), dtype=np.uint8)

    def reset(self, indices: Sequence[int], rngs: Sequence[np.random.Generator]) -> None:
        self._worlds.reset(indices, rngs)
        self._steps[list(indices)] = 0

    def step(self, actions: np.ndarray) -> None:
        self._worlds.step(actions)
        self._steps += 1
        due = np.flatnonzero(self._steps % self._stride == 0)
        if not len(due):
            return
        pictures = self._worlds.pictures(*SIZE, self._worlds.cameras[0], due.tolist())
        for world, picture in zip(due, pictures, strict=True):
            self._windows[world, (self._steps[world] // self._stride - 1) % self._length] = _grey(picture)

    def expert_reward(self, actions: np.ndarray) -> np.ndarray:
        """(N,): of the worlds whose window has just ended; 0 of the others."""
        full = self._steps % (self._stride * self._length) == 0
        return np.array(
            [self._judge(window) if ends else 0.0 for window, ends in zip(self._windows, full, strict=True)]
        )

    def snapshot(self, index: int) -> Any:
        seen = (int(self._steps[index]), self._windows[index].copy())
        return {"worlds": self._worlds.snapshot(index), "seen": seen}

    def restore(self, index: int, snapshot: Any) -> None:
        self._worlds.restore(index, snapshot["worlds"])
        self._steps[index], self._windows[index] = snapshot["seen"]
