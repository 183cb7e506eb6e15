"""What moves in a clip: how much at each moment, how often it repeats, which frames show it, and where points go.

Frames at even times miss a landing between two of them, and two clips that are compared in different phases of a stride
look different when they are alike. So frames are drawn where motion is, or one stride's phases at even distances.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import cv2
import numpy as np

from rewards.video.clip import Clip
from robot_learn.errors import UserError

SHORTEST_PERIOD = 0.12  # [s]
REPEATS = 2.0  # a motion is periodic only when it was seen so many times
ALIKE = 0.35  # how much of the usual difference of two frames may be left after a period
CLEAR = 0.5  # autocorrelation at its first peak, from which on a motion counts as periodic
GRID = (8, 6)  # (across, down) parts of a picture whose mean flow tells a rhythm
STEADY = 1.0  # [s] over which flow is averaged, to tell the way that is made from the rhythm
NEARLY = 0.75  # of the highest peak, from which on an earlier one is the period: later ones are several of it
REST = 0.1  # share of the usual motion that counts even where nothing moves, so that stillness is shown too


@dataclass(frozen=True, eq=False)
class Motion:
    """What was measured of a clip of T frames."""

    energy: np.ndarray  # (T - 1,) mean length of the optical flow, in picture heights a second
    upward: np.ndarray  # (T - 1,) mean upward flow of what moves, in picture heights a second
    ground: np.ndarray  # (T - 1,) flow of the ground to the right, in picture heights a second
    unlike: np.ndarray  # (T - 1,) for lags of 1 to T - 1 frames: mean difference of frames so far apart; 1 is usual
    period: float | None  # [s] of a motion that repeats itself
    fps: float


def measure(clip: Clip) -> Motion:
    """Optical flow (Farneback, 2003) and self-similarity (Cutler and Davis, 2000) of a clip."""
    grey = clip.grey(160)
    height = grey.shape[1]
    energy, upward, ground, coarse = [], [], [], []
    for before, after in itertools.pairwise(grey):
        flow = cv2.calcOpticalFlowFarneback(before, after, None, 0.5, 3, 15, 3, 5, 1.2, 0)  # type: ignore[call-overload]
        length = np.linalg.norm(flow, axis=2)
        energy.append(float(length.mean()) * clip.fps / height)
        moving = length >= max(float(np.quantile(length, 0.9)), 1e-3)
        upward.append(-float(flow[moving, 1].mean()) * clip.fps / height if moving.any() else 0.0)
        ground.append(_ground(flow[..., 0]) * clip.fps / height)
        coarse.append(cv2.resize(flow, GRID, interpolation=cv2.INTER_AREA).ravel())
    unlike = self_difference(grey)
    # Where the camera goes along, the ground never looks the same again, but its flow and the body's repeat.
    period = _period(unlike, clip.fps) or period_of(_rhythm(np.array(coarse), clip.fps), 1.0 / clip.fps)[0]
    return Motion(np.array(energy), np.array(upward), np.array(ground), unlike, period, clip.fps)


def _ground(across: np.ndarray) -> float:
    """Median of a flow (height, width) low in the picture, to both sides of the body, which is mostly in its middle."""
    quarter = across.shape[1] // 4
    low = across[len(across) // 2 :]
    return float(np.median(np.concatenate([low[:, :quarter], low[:, -quarter:]], axis=1)))


def _rhythm(flow: np.ndarray, fps: float) -> np.ndarray:
    """Flow (T, F) without what changes slowly: how quickly the ground goes by."""
    slow = cv2.blur(flow, (1, 2 * round(STEADY * fps / 2) + 1), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(flow - slow)


def self_difference(grey: np.ndarray) -> np.ndarray:
    """(T - 1,) mean absolute difference of frames (T, height, width) that are 1, 2, ... apart, over that of all pairs.

    Pictures are taken without what they all share, so that a background that stands still does not count.
    """
    rows = grey.reshape(len(grey), -1).astype(np.float32)
    rows -= np.median(rows, axis=0)
    squares = (rows**2).sum(axis=1)
    distance = np.sqrt(np.maximum(squares[:, None] + squares[None] - 2 * rows @ rows.T, 0.0))
    lags = np.array([np.diagonal(distance, lag).mean() for lag in range(1, len(rows))])
    usual = distance[np.triu_indices(len(rows), 1)].mean()
    return np.asarray(lags / usual if usual > 0 else np.ones_like(lags))


def _period(unlike: np.ndarray, fps: float) -> float | None:
    """The first lag at which a clip is much more like itself than at the lags around it."""
    first, last = max(2, int(np.ceil(SHORTEST_PERIOD * fps))), int(len(unlike) // REPEATS)
    for lag in range(first, last):
        here = unlike[lag - 1]
        peak = unlike[: lag - 1].max(initial=0.0)
        is_dip = here <= unlike[lag - 2] and here <= unlike[lag]
        if is_dip and here <= (1.0 - ALIKE) * peak and here <= unlike[:last].min() * 1.15:
            return float(_vertex(unlike, lag) / fps)
    return None


def _vertex(values: np.ndarray, lag: int) -> float:
    """Where the parabola through a dip and its neighbours is lowest, in lags."""
    left, here, right = values[lag - 2], values[lag - 1], values[lag]
    curve = left - 2 * here + right
    return float(lag + (0.5 * (left - right) / curve if curve > 0 else 0.0))


def period_of(values: np.ndarray, dt: float) -> tuple[float | None, float]:
    """The time after which (T, J) values are most alike to themselves [s], and how alike, 0 to 1; None below `CLEAR`.

    The autocorrelation of all columns together, each with the weight of its variance; the first peak after the first
    zero that is nearly as high as the highest.
    """
    centred = values - values.mean(axis=0)
    power = float((centred**2).sum())
    if power <= 1e-12:
        return None, 0.0
    count = len(values)
    last = int(count // REPEATS)
    lags = np.arange(last + 1)
    alike = np.array([(centred[: count - lag] * centred[lag:]).sum() / (count - lag) for lag in lags]) * count / power
    below = np.flatnonzero(alike < 0)
    if not len(below) or below[0] >= last:
        return None, 0.0
    peaks = [
        lag
        for lag in range(max(1, int(below[0])), last)
        if alike[lag] > 0 and alike[lag] >= alike[lag - 1] and alike[lag] >= alike[lag + 1]
    ]
    if not peaks:
        return None, 0.0
    highest = max(alike[lag] for lag in peaks)
    first = next(lag for lag in peaks if alike[lag] >= NEARLY * highest)
    regularity = float(np.clip(alike[first], 0.0, 1.0))
    return (float(first * dt), regularity) if regularity >= CLEAR else (None, regularity)


def phase_anchor(motion: Motion, span: float = 0.0) -> int:
    """The frame in which what moves begins to go up fastest: of a gait, its push-off.

    It is looked for in the middle of the clip, so that the `span` frames from it on are no start from standing.
    """
    if motion.period is None:
        return 0
    stride = max(2, round(motion.period * motion.fps))
    first = max(0, int(len(motion.energy) - span - stride) // 2)
    return first + int(np.argmax(motion.upward[first : first + stride]))


def choose_frames(motion: Motion, count: int) -> np.ndarray:
    """(count,) rising numbers of frames that tell the motion.

    Of a motion that repeats itself: even phases of two or more periods, from the push-off. Of another: the first, the
    last, and between them frames that have the same amount of motion from one to the next.

    Raises:
        UserError: fewer frames than that are there.
    """
    total = len(motion.energy) + 1
    if not 2 <= count <= total:
        raise UserError(f"frames to show: wanted 2 to {total}, came {count}")
    stride = 0.0 if motion.period is None else motion.period * motion.fps
    span = stride and stride * max(2, np.ceil(count / stride))
    start = phase_anchor(motion, span)
    if stride and start + span <= total - 1:
        return np.round(start + np.arange(count) * span / count).astype(np.int64)
    weight = motion.energy + REST * max(float(motion.energy.mean()), 1e-9)
    done = np.concatenate([[0.0], np.cumsum(weight)])
    chosen = np.searchsorted(done, np.linspace(0.0, done[-1], count) - 1e-9)
    return _apart(np.clip(chosen, 0, total - 1), total)


def _apart(chosen: np.ndarray, total: int) -> np.ndarray:
    """Rising numbers below `total`, moved by as little as makes them all different."""
    rising = chosen.astype(np.int64)
    for index in range(1, len(rising)):
        rising[index] = max(rising[index], rising[index - 1] + 1)
    for index in range(len(rising) - 1, -1, -1):
        rising[index] = min(rising[index], total - len(rising) + index)
    return np.asarray(rising)


def tracks(clip: Clip, most: int = 40) -> np.ndarray:
    """Points that can be followed from the first frame to the last (P, T, 2), x and y in picture heights; P may be 0.

    Corners (Shi and Tomasi, 1994) are followed by pyramids of Lucas and Kanade's flow; a point that does not come back
    to where it was when followed backwards is lost.
    """
    grey = clip.grey(320)
    corners = cv2.goodFeaturesToTrack(grey[0], most * 4, 0.01, 5)
    if corners is None:
        return np.zeros((0, len(grey), 2))
    places, alive = [corners.reshape(-1, 2)], np.ones(len(corners), dtype=bool)
    for before, after in itertools.pairwise(grey):
        here = places[-1].astype(np.float32).reshape(-1, 1, 2)
        there, found, _ = cv2.calcOpticalFlowPyrLK(before, after, here, None)  # type: ignore[call-overload]
        back, returned, _ = cv2.calcOpticalFlowPyrLK(after, before, there, None)  # type: ignore[call-overload]
        alive &= (found.ravel() == 1) & (returned.ravel() == 1)
        alive &= np.linalg.norm((back - here).reshape(-1, 2), axis=1) < 1.0
        places.append(there.reshape(-1, 2))
    paths = np.stack(places, axis=1)[alive] / grey.shape[1]
    travelled = np.ptp(paths, axis=1).sum(axis=1)
    return np.asarray(paths[np.argsort(-travelled)[:most]])
