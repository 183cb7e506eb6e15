"""Pictures as few numbers, without any pretrained weights: principal components of small grey pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from robot_learn.data.dataset import Dataset
from robot_learn.errors import UserError

Encoder = Callable[[np.ndarray], np.ndarray]  # (n, height, width, 3) uint8 to (n, F) float32
_BLOCK = 512  # pictures that are in memory at once
_SIDE = 32  # pixels


@dataclass(frozen=True, eq=False)
class PictureComponents:
    """An `Encoder`."""

    mean: np.ndarray  # (32 x 32,)
    axes: np.ndarray  # (32 x 32, F), scaled so that features have deviation 1

    def __call__(self, pictures: np.ndarray) -> np.ndarray:
        return np.asarray((_small(pictures) - self.mean) @ self.axes, dtype=np.float32)


def fit_components(*images: Any, features: int = 32, samples: int = 2000, seed: int = 0) -> PictureComponents:
    """Components of pictures (F, height, width, 3) of one or more datasets.

    Raises:
        UserError: there are no pictures.
    """
    if any(each is None for each in images):
        raise UserError("wanted pictures to tell states apart, there are none")
    rng = np.random.default_rng(seed)
    chosen = [np.sort(rng.permutation(len(each))[: samples // len(images)]) for each in images]
    small = np.concatenate([_small(each[rows]) for each, rows in zip(images, chosen, strict=True)])
    mean = small.mean(axis=0)
    _, scale, axes = np.linalg.svd(small - mean, full_matrices=False)
    kept = scale[:features] > 1e-6 * scale[0]
    deviation = scale[:features][kept] / np.sqrt(len(small))
    return PictureComponents(mean, axes[:features][kept].T / deviation)


def with_features(dataset: Dataset, encoder: Encoder) -> Dataset:
    """The dataset with features of all its pictures.

    Raises:
        UserError: it has no pictures.
    """
    if dataset.images is None:
        raise UserError(f"dataset of {dataset.task} has no pictures to encode")
    blocks = range(0, len(dataset.images), _BLOCK)
    return replace(dataset, features=np.concatenate([encoder(dataset.images[at : at + _BLOCK]) for at in blocks]))


def _small(pictures: np.ndarray) -> np.ndarray:
    """(n, 32 x 32) float64 grey values in [0, 1]."""
    import cv2

    def one(picture: np.ndarray) -> np.ndarray:
        grey = cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2GRAY)
        return np.asarray(cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)).ravel()

    return np.stack([one(picture) for picture in pictures]) / 255.0
