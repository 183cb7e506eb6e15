"""LeRobot's dataset format, read: versions 3.0 and 2.1, whoever recorded it.

Their rows are moments with the action that follows. The moment after the last action is not in their format (it is in
ours; see `robot_learn.data.lerobot`), so there the last one is repeated: nothing that was paid is lost, and one in a
few hundred transitions leads nowhere. Every numeric "observation.*" is part of the observation, in alphabetical order.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from robot_learn.data.lerobot import FINAL_STATE, INFO, MANIFEST, SOURCE, TASKS, parquet
from robot_learn.data.trajectory import Trajectory
from robot_learn.errors import UserError, unknown

VERSIONS = ("v3.0", "v2.1", "v2.0")
_REWARD, _SUCCESS, _DONE, _TRUNCATED = "next.reward", "next.success", "next.done", "next.truncated"


@dataclass(frozen=True)
class LeRobot:
    """A folder in LeRobot's format."""

    folder: Path
    info: Mapping[str, Any]
    camera: str | None  # the key of the pictures, where there are any
    size: int | None  # pictures that are larger are shrunk to so many pixels square

    @property
    def manifest(self) -> dict[str, Any]:
        """Our own manifest, where the dataset was once ours, and else what it says of itself."""
        own = dict(self.info.get(MANIFEST) or {})
        unpaid = _REWARD not in self.info["features"] and _SUCCESS not in self.info["features"]
        told = {"imported_from": f"LeRobot {self.info['codebase_version']}", "fps": self.info["fps"]}
        return own | told | ({"rewards": "none: the data hold neither rewards nor success"} if unpaid else {})

    @property
    def observed(self) -> list[str]:
        """The numeric features that make the observation."""
        features = self.info["features"]
        named = (name for name in features if name.startswith("observation.") or name == "observation")
        return sorted(name for name in named if features[name]["dtype"] not in ("video", "image", "string"))

    def episodes(self) -> Iterator[Trajectory]:
        """Every episode, in order.

        Raises:
            UserError: a file is missing or damaged; the message names it, and the episode.
        """
        about = self._about()
        tables, video = _Tables(), _Videos()
        for number in sorted(about):
            where = f"{self.folder}, episode {number}"
            row = about[number]
            path = _filled(self.info["data_path"], self.info, number, row, "data")
            table = tables.episode(self.folder / path, number)
            images = None if self.camera is None else self._images(number, row, table, video, where)
            episode = _trajectory(table, self.observed, row, images, where)
            episode.check(where)
            yield episode

    def instruction(self) -> str:
        """The first task in words, or "" where none is told."""
        path, legacy = self.folder / TASKS, self.folder / "meta/tasks.jsonl"
        if path.exists():
            table = _table(path).to_pydict()
            words = [column for name, column in table.items() if name != "task_index"]
            return str(words[0][0]) if words and words[0] else ""
        return str(_json_lines(legacy)[0].get("task", "")) if legacy.exists() else ""

    def _about(self) -> dict[int, Mapping[str, Any]]:
        """What is told of each episode, by its number."""
        if self.info["codebase_version"] == "v3.0":
            files = sorted((self.folder / "meta/episodes").glob("*/*.parquet"))
            rows = [row for file in files for row in _table(file).to_pylist()]
        else:
            rows = _json_lines(self.folder / "meta/episodes.jsonl")
        if not rows:
            raise UserError(f"{self.folder}/meta names no episodes")
        return {int(row["episode_index"]): row for row in rows}

    def _images(
        self, number: int, row: Mapping[str, Any], table: Mapping[str, np.ndarray], video: _Videos, where: str
    ) -> np.ndarray:
        """(T or T + 1, height, width, 3): as many as there are."""
        assert self.camera is not None
        shrink = _shrinker(self.size)
        steps = len(table["frame_index"])
        if self.info["features"][self.camera]["dtype"] == "image":
            return np.stack([shrink(_decoded(cell, where)) for cell in table[self.camera]])
        path = _filled(self.info["video_path"], self.info, number, row, f"videos/{self.camera}", video_key=self.camera)
        first = round(float(row.get(f"videos/{self.camera}/from_timestamp", 0.0)) * self.info["fps"])
        count = steps + (1 if FINAL_STATE in row else 0)
        return video.frames(self.folder / path, first, count, shrink, where)


def open_folder(folder: Path, *, camera: str | None = None, size: int | None = 128) -> LeRobot:
    """A folder in LeRobot's format.

    Args:
        camera: which pictures, where there are several cameras; "none" for no pictures.
        size: pictures that are larger are shrunk to so many pixels square; None leaves them.

    Raises:
        UserError: it is no such folder, of another version, or it has several cameras and none is named.
    """
    path = folder / INFO
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
        version, features = info["codebase_version"], info["features"]
        cameras = sorted(name for name, each in features.items() if each["dtype"] in ("video", "image"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}: wanted LeRobot's description of a dataset: {type(error).__name__}: {error}"
        ) from error
    if version not in VERSIONS:
        raise UserError(f"{path}: version {version}; known are {', '.join(VERSIONS)}")
    if camera == "none" or (camera is None and not cameras):
        return LeRobot(folder, info, None, size)
    if camera is None and len(cameras) > 1:
        raise UserError(f"{folder} has the cameras {', '.join(cameras)}: name one by --camera, or none")
    if camera is not None and camera not in cameras:
        raise unknown("camera", camera, [*cameras, "none"])
    return LeRobot(folder, info, camera or cameras[0], size)


def _trajectory(
    table: Mapping[str, np.ndarray], observed: Sequence[str], row: Mapping[str, Any], images: Any, where: str
) -> Trajectory:
    steps = len(table["frame_index"])
    missing = [name for name in observed if name not in table]
    if missing:
        raise UserError(f"{where}: there is no column {missing[0]!r}; there are: {', '.join(sorted(table))}")
    parts = [_numbers(table[name], name, where) for name in observed]
    before = np.concatenate(parts, axis=1) if parts else np.zeros((steps, 0), dtype=np.float32)
    final = row.get(FINAL_STATE)
    after = before[-1] if final is None else np.atleast_1d(np.asarray(final, dtype=np.float32))
    success = _flags(table, _SUCCESS, steps)
    done = _flags(table, _DONE, steps) & ~_flags(table, _TRUNCATED, steps)
    # Without "next.truncated" nobody knows why the last step is done: only a success ends a task for good.
    if _TRUNCATED not in table:
        done &= success
    rewards = _numbers(table[_REWARD], _REWARD, where)[:, 0] if _REWARD in table else success.astype(np.float32)
    if images is not None and len(images) == steps:
        images = np.concatenate([images, images[-1:]])
    return Trajectory(
        observations=np.concatenate([before, after[None]]),
        actions=_numbers(table["action"], "action", where) if "action" in table else None,
        rewards=rewards,
        terminated=done,
        success=success,
        images=images,
        source=str(row.get(SOURCE) or ""),
    )


def _numbers(column: np.ndarray, name: str, where: str) -> np.ndarray:
    """(T, d) float32 of a column of numbers or lists."""
    try:
        rows = np.stack(list(column)) if column.dtype == object else column
        return np.asarray(rows, dtype=np.float32).reshape(len(column), -1)
    except (TypeError, ValueError) as error:
        raise UserError(f"{where}: {name} is not made of numbers, as many in each row: {error}") from error


def _flags(table: Mapping[str, np.ndarray], name: str, steps: int) -> np.ndarray:
    return np.asarray(table[name]).reshape(steps).astype(bool) if name in table else np.zeros(steps, dtype=bool)


def _filled(pattern: str, info: Mapping[str, Any], number: int, row: Mapping[str, Any], kind: str, **more: str) -> str:
    """A path pattern of any version, filled in for one episode."""
    return pattern.format(
        chunk_index=row.get(f"{kind}/chunk_index", 0),
        file_index=row.get(f"{kind}/file_index", 0),
        episode_chunk=number // int(info.get("chunks_size", 1000)),
        episode_index=number,
        **more,
    )


def _table(path: Path) -> Any:
    arrow, files = parquet()
    try:
        return files.read_table(path)
    except (OSError, arrow.ArrowException) as error:
        raise UserError(f"{path} cannot be read: {error}") from error


class _Tables:
    """Reads each file once: the episodes of a file follow each other."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._table: Any = None
        self._episodes = np.zeros(0)

    def episode(self, path: Path, number: int) -> dict[str, np.ndarray]:
        """The rows of one episode, a column a feature."""
        if path != self._path:
            self._table = _table(path)
            missing = {"episode_index", "frame_index"} - {*self._table.column_names}
            if missing:
                raise UserError(f"{path}: there is no column {', '.join(sorted(missing))}")
            self._path, self._episodes = path, self._table.column("episode_index").to_numpy()
        rows = np.flatnonzero(self._episodes == number)
        if len(rows) == 0:
            raise UserError(f"{path}: there are no rows of episode {number}")
        table = self._table.take(rows)
        order = np.argsort(table.column("frame_index").to_numpy(), kind="stable")
        return {name: table.column(name).to_numpy()[order] for name in table.column_names}


def _json_lines(path: Path) -> list[dict[str, Any]]:
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error


def _decoded(cell: Any, where: str) -> np.ndarray:
    """A picture that lies in a table, as the bytes of a PNG or JPEG."""
    import cv2

    found = cv2.imdecode(np.frombuffer(cell["bytes"], dtype=np.uint8), cv2.IMREAD_COLOR)
    if found is None:
        raise UserError(f"{where}: a picture cannot be decoded")
    return np.asarray(found[..., ::-1])


def _shrinker(size: int | None) -> Callable[[np.ndarray], np.ndarray]:
    import cv2

    def shrink(picture: np.ndarray) -> np.ndarray:
        if size is None or max(picture.shape[:2]) <= size:
            return np.asarray(picture)
        return np.asarray(cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA))

    return shrink


class _Videos:
    """Reads videos front to back: the episodes of a file follow each other."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._stream: Any = None
        self._next, self._size = 0, (0, 0)

    def frames(
        self, path: Path, first: int, count: int, shrink: Callable[[np.ndarray], np.ndarray], where: str
    ) -> np.ndarray:
        """(count, height, width, 3), of frames `first` and on."""
        if path != self._path or first < self._next:
            self._open(path, where)
        found: list[np.ndarray] = []
        while len(found) < count:
            try:
                raw = next(self._stream)
            except (StopIteration, OSError, RuntimeError) as error:
                raise UserError(f"{where}: {path} ends at frame {self._next}, wanted {first + count}") from error
            if self._next >= first:
                found.append(shrink(np.frombuffer(raw, dtype=np.uint8).reshape(*self._size, 3)))
            self._next += 1
        return np.stack(found)

    def _open(self, path: Path, where: str) -> None:
        import imageio_ffmpeg

        if not path.exists():
            raise UserError(f"{where}: there is no {path}")
        if self._stream is not None:
            self._stream.close()
        try:
            self._stream = imageio_ffmpeg.read_frames(
                str(path), pix_fmt="rgb24", output_params=["-fps_mode", "passthrough"]
            )
            told = next(self._stream)
        except (OSError, RuntimeError, StopIteration, IndexError, KeyError) as error:
            raise UserError(f"{where}: {path} cannot be decoded: {error}") from error
        width, height = told["size"]
        self._path, self._next, self._size = path, 0, (height, width)
