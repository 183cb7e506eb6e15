"""Pictures that stay on disk, compressed, and are read a few at a time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from robot_learn.errors import UserError


class StoredPictures:
    """All frames of a dataset as one array (M + E, height, width, 3) uint8 that can be indexed and is not in memory.

    Indexing by a number, a slice, a mask or an array of indices reads from the file and gives a plain array. One thread
    at a time may do so; a copy that was sent to another process opens the file for itself.
    """

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(self, path: Path, keys: Sequence[str], lengths: np.ndarray) -> None:
        """`keys` name the dataset of each episode in the file, `lengths` (E,) their numbers of steps."""
        self._path, self._keys = path, list(keys)
        self._first = np.concatenate([[0], np.cumsum(lengths + 1)])
        self._file: h5py.File | None = None
        self._episodes: dict[int, Any] = {}
        self.shape = (int(self._first[-1]), *self._episode(0).shape[1:])
        for episode, length in enumerate(lengths):
            came, wanted = self._episode(episode).shape, (int(length) + 1, *self.shape[1:])
            if came != wanted:
                raise UserError(f"{path}, {self._keys[episode]}: images have the shape {came}, wanted {wanted}")

    @property
    def nbytes(self) -> int:
        """Of all pictures together, in memory."""
        return int(np.prod(self.shape))

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, index: Any) -> np.ndarray:
        rest: tuple[Any, ...] = ()
        if isinstance(index, tuple):
            index, rest = index[0], index[1:]
        if isinstance(index, int | np.integer):
            if not -len(self) <= index < len(self):
                raise IndexError(f"picture {index} of {len(self)}")
            return np.asarray(self._frames(np.array([int(index) % len(self)]))[0][rest])
        chosen = np.arange(len(self))[index]
        frames = self._frames(chosen.ravel()).reshape(*chosen.shape, *self.shape[1:])
        return np.asarray(frames[(slice(None), *rest)] if rest else frames)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[:] if dtype is None else self[:].astype(dtype)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_file": None, "_episodes": {}}

    def _frames(self, frames: np.ndarray) -> np.ndarray:
        """(n, height, width, 3): runs of neighbouring frames of an episode are read at once."""
        found = np.empty((len(frames), *self.shape[1:]), dtype=np.uint8)
        order = np.argsort(frames, kind="stable")
        ordered = frames[order]
        episodes = np.searchsorted(self._first, ordered, side="right") - 1
        breaks = np.flatnonzero((np.diff(ordered) > 1) | (np.diff(episodes) != 0)) + 1
        for run in np.split(np.arange(len(ordered)), breaks):
            if len(run) == 0:
                continue
            episode, low, high = int(episodes[run[0]]), int(ordered[run[0]]), int(ordered[run[-1]])
            begin = int(self._first[episode])
            try:
                block = self._episode(episode)[low - begin : high - begin + 1]
            except OSError as error:
                raise UserError(f"{self._path}, {self._keys[episode]}: images cannot be read: {error}") from error
            found[order[run]] = block[ordered[run] - low]
        return found

    def _episode(self, episode: int) -> Any:
        if self._file is None:
            # Without a cache of chunks: HDF5 would keep a megabyte for each episode that was ever looked at.
            self._file = h5py.File(self._path, "r", rdcc_nbytes=0)
        if episode not in self._episodes:
            try:
                self._episodes[episode] = self._file[self._keys[episode]]
            except KeyError:
                raise UserError(f"{self._path}: there is no {self._keys[episode]!r}") from None
        return self._episodes[episode]
