"""LeRobot's dataset format, version 3.0, written: numbers as Parquet, pictures as one mp4.

A row is a moment with the action that follows it, so an episode of T steps has T rows. The moment after the last step
has no row: its observation is kept with the episode's metadata, in the column "robot_learn/final_state", and its
picture is the one frame of the episode's video that no row refers to. So what is exported comes back whole.

| ours | theirs |
|---|---|
| observations | observation.state |
| actions | action |
| rewards, success | next.reward, next.success |
| terminated | next.done and not next.truncated |
| images | observation.images.main |
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from robot_learn.data.dataset import Dataset
from robot_learn.data.manifest import describe
from robot_learn.data.store import trajectories
from robot_learn.errors import UserError

VERSION = "v3.0"
CAMERA = "observation.images.main"
FINAL_STATE, SOURCE, MANIFEST = "robot_learn/final_state", "robot_learn/source", "robot_learn"
_FILE = "chunk-{chunk_index:03d}/file-{file_index:03d}"
DATA, VIDEO = f"data/{_FILE}.parquet", f"videos/{{video_key}}/{_FILE}.mp4"
EPISODES, TASKS = f"meta/episodes/{_FILE}.parquet", "meta/tasks.parquet"
INFO, STATS = "meta/info.json", "meta/stats.json"
CRF = 12  # of H.264, with colours at half the resolution, as every player wants them
_FIRST = {"chunk_index": 0, "file_index": 0}
_QUANTILES = (1, 10, 50, 90, 99)


def parquet() -> tuple[Any, Any]:
    """The modules pyarrow and pyarrow.parquet.

    Raises:
        UserError: they are not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise UserError("LeRobot's format needs the package 'pyarrow': pip install 'robot-learn[data]'") from error
    return pyarrow, pyarrow.parquet


def write(dataset: Dataset, folder: Path, *, instruction: str, fps: int) -> None:
    """A dataset into an empty or new folder, which `lerobot` then opens as a `LeRobotDataset`.

    Args:
        instruction: the task in words, which each of LeRobot's frames carries.
        fps: frames in a second of the robot's time.

    Raises:
        UserError: the folder is not empty, pictures have an odd size, or there are no actions.
    """
    arrow, _ = parquet()
    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder} is not empty: wanted a new folder")
    if dataset.actions is None:
        raise UserError(f"dataset of {dataset.task} has no actions, which LeRobot's format wants; fill them in first")
    if dataset.observations.shape[1] == 0:
        raise UserError(f"dataset of {dataset.task} has no numeric observations, which LeRobot's learners want")
    if dataset.images is not None and any(side % 2 for side in dataset.images.shape[1:3]):
        raise UserError(f"pictures are {dataset.images.shape[1:3]}: an mp4 wants even sides")
    _write_table(folder / DATA.format(**_FIRST), arrow.table(_rows(dataset, fps, arrow)))
    _write_table(folder / EPISODES.format(**_FIRST), arrow.table(_episodes(dataset, instruction, fps, arrow)))
    _write_tasks(folder / TASKS, [instruction])
    if dataset.images is not None:
        _encode(folder / VIDEO.format(video_key=CAMERA, **_FIRST), _frames(dataset), dataset.images.shape[1:3], fps)
    _write_json(folder / STATS, _statistics(dataset))
    _write_json(folder / INFO, _info(dataset, fps))  # last: a folder without it is no dataset


def _rows(dataset: Dataset, fps: int, arrow: Any) -> dict[str, Any]:
    """A column a feature, a row a step."""
    within = np.arange(dataset.num_steps) - dataset.starts[dataset.episode_of]
    last = within == dataset.lengths[dataset.episode_of] - 1
    assert dataset.actions is not None
    return {
        "observation.state": _lists(arrow, dataset.observations[dataset.frame_before]),
        "action": _lists(arrow, dataset.actions),
        "next.reward": dataset.rewards,
        "next.done": dataset.terminated | last,
        "next.truncated": last & ~dataset.terminated,
        "next.success": dataset.success,
        "timestamp": (within / fps).astype(np.float32),
        "frame_index": within.astype(np.int64),
        "episode_index": dataset.episode_of.astype(np.int64),
        "index": np.arange(dataset.num_steps),
        "task_index": np.zeros(dataset.num_steps, dtype=np.int64),
    }


def _episodes(dataset: Dataset, instruction: str, fps: int, arrow: Any) -> dict[str, Any]:
    """A row an episode: where its rows and its part of the video lie, and what has no other place."""
    count, begin = dataset.num_episodes, dataset.starts
    numbers = np.arange(count)
    zeros = np.zeros(count, dtype=np.int64)
    columns: dict[str, Any] = {
        "episode_index": numbers,
        "tasks": [[instruction]] * count,
        "length": dataset.lengths,
        "data/chunk_index": zeros,
        "data/file_index": zeros,
        "dataset_from_index": begin,
        "dataset_to_index": begin + dataset.lengths,
        "meta/episodes/chunk_index": zeros,
        "meta/episodes/file_index": zeros,
    }
    if dataset.images is not None:
        first = begin + numbers  # each episode has a frame more than steps
        columns |= {
            f"videos/{CAMERA}/chunk_index": zeros,
            f"videos/{CAMERA}/file_index": zeros,
            f"videos/{CAMERA}/from_timestamp": first / fps,
            f"videos/{CAMERA}/to_timestamp": (first + dataset.lengths + 1) / fps,
        }
    columns[FINAL_STATE] = _lists(arrow, dataset.observations[begin + numbers + dataset.lengths])
    columns[SOURCE] = [""] * count if dataset.sources is None else [str(source) for source in dataset.sources]
    return columns


def _info(dataset: Dataset, fps: int) -> dict[str, Any]:
    assert dataset.actions is not None

    def feature(dtype: str, *shape: int) -> dict[str, Any]:
        return {"dtype": dtype, "shape": list(shape or (1,)), "names": None}

    features: dict[str, Any] = {
        "observation.state": feature("float32", dataset.observations.shape[1]),
        "action": feature("float32", dataset.actions.shape[1]),
        "next.reward": feature("float32"),
        **{name: feature("bool") for name in ("next.done", "next.truncated", "next.success")},
        "timestamp": feature("float32"),
        **{name: feature("int64") for name in ("frame_index", "episode_index", "index", "task_index")},
    }
    if dataset.images is not None:
        height, width = dataset.images.shape[1:3]
        told = {"video.height": height, "video.width": width, "video.channels": 3, "video.fps": fps}
        told |= {"video.codec": "h264", "video.pix_fmt": "yuv420p", "video.is_depth_map": False, "has_audio": False}
        named = {"dtype": "video", "shape": [height, width, 3], "names": ["height", "width", "channels"]}
        features[CAMERA] = named | {"info": told}
    return {
        "codebase_version": VERSION,
        "robot_type": dataset.task,
        "total_episodes": dataset.num_episodes,
        "total_frames": dataset.num_steps,
        "total_tasks": 1,
        "chunks_size": 1000,
        "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 200,
        "fps": fps,
        "splits": {"train": f"0:{dataset.num_episodes}"},
        "data_path": DATA,
        "video_path": None if dataset.images is None else VIDEO,
        "features": features,
        MANIFEST: {"task": dataset.task, **dataset.manifest, **describe(dataset)},
    }


def _statistics(dataset: Dataset) -> dict[str, Any]:
    """What learners normalise by. Of pictures in [0, 1], from every k-th frame, as many as are quickly read."""
    assert dataset.actions is not None
    values = {
        "observation.state": dataset.observations[dataset.frame_before],
        "action": dataset.actions,
        "next.reward": dataset.rewards[:, None],
    }
    found = {name: _summary(rows.astype(np.float64)) for name, rows in values.items()}
    if dataset.images is not None:
        some = np.asarray(dataset.images[:: max(1, len(dataset.images) // 100)]) / 255.0
        found[CAMERA] = {
            name: value if name == "count" else [[[one]] for one in value]  # (3, 1, 1)
            for name, value in _summary(some.reshape(-1, 3)).items()
        }
    return found


def _summary(rows: np.ndarray) -> dict[str, list[Any]]:
    quantiles = {f"q{q:02d}": np.percentile(rows, q, axis=0).tolist() for q in _QUANTILES}
    own = {name: getattr(rows, name)(axis=0).tolist() for name in ("min", "max", "mean", "std")}
    return own | quantiles | {"count": [len(rows)]}


def _lists(arrow: Any, rows: np.ndarray) -> Any:
    """(n, d) as a column of lists of d numbers; of bare numbers where d is 1, as LeRobot has it."""
    flat = arrow.array(np.ascontiguousarray(rows, dtype=np.float32).ravel())
    return flat if rows.shape[1] == 1 else arrow.FixedSizeListArray.from_arrays(flat, rows.shape[1])


def _write_tasks(path: Path, tasks: list[str]) -> None:
    """The instructions as pandas writes a frame that is indexed by them."""
    arrow, _ = parquet()
    index = "__index_level_0__"
    columns = [
        {"name": name, "field_name": field, "pandas_type": kind, "numpy_type": numpy, "metadata": None}
        for name, field, kind, numpy in (
            ("task_index", "task_index", "int64", "int64"),
            (None, index, "unicode", "object"),
        )
    ]
    told = {"index_columns": [index], "column_indexes": [], "columns": columns, "pandas_version": "2.2.0"}
    table = arrow.table({"task_index": np.arange(len(tasks)), index: tasks})
    _write_table(path, table.replace_schema_metadata({"pandas": json.dumps(told)}))


def _write_table(path: Path, table: Any) -> None:
    _, files = parquet()
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_table(table, path)


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=4, ensure_ascii=False) + "\n", encoding="utf-8")


def _frames(dataset: Dataset) -> Iterator[np.ndarray]:
    for episode in trajectories(dataset):
        assert episode.images is not None
        yield from episode.images


def _encode(path: Path, frames: Iterator[np.ndarray], size: tuple[int, int], fps: int) -> None:
    """H.264 with a whole picture every second frame, so that any frame is quickly found."""
    import imageio_ffmpeg

    path.parent.mkdir(parents=True, exist_ok=True)
    writer = imageio_ffmpeg.write_frames(
        str(path),
        (size[1], size[0]),
        fps=fps,
        codec="libx264",
        pix_fmt_out="yuv420p",
        macro_block_size=2,
        quality=None,
        ffmpeg_log_level="error",
        output_params=["-crf", str(CRF), "-g", "2", "-bf", "0"],
    )
    writer.send(None)
    try:
        for frame in frames:
            writer.send(np.ascontiguousarray(frame))
    finally:
        writer.close()


def psnr(first: np.ndarray, second: np.ndarray) -> float:
    """Peak signal-to-noise ratio of two sets of pictures uint8 [dB]; infinite where they are equal."""
    error = np.square(first.astype(np.float64) - second.astype(np.float64)).mean()
    return math.inf if error == 0 else float(10.0 * np.log10(255.0**2 / error))
