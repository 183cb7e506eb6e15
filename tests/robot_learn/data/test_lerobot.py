"""LeRobot's format, there and back, and in the shapes that others write it in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from robot_learn.data import lerobot, lerobot_import, store
from robot_learn.data.dataset import Dataset
from robot_learn.data.manifest import content_hash
from robot_learn.errors import UserError
from tests.robot_learn.data import made

pa = pytest.importorskip("pyarrow", reason="the extra data is not installed")
pq = pytest.importorskip("pyarrow.parquet", reason="the extra data is not installed")

PSNR = 30.0  # [dB] that pictures keep at least


def read(folder: Path, **options: Any) -> Dataset:
    theirs = lerobot_import.open_folder(folder, **options)
    return store.assemble(list(theirs.episodes()), theirs.manifest.get("task", "unknown"), theirs.manifest)


@pytest.mark.parametrize("images", [None, 32])
def test_numbers_come_back_to_the_bit_and_pictures_nearly(tmp_path: Path, images: int | None) -> None:
    ours = made.dataset((5, 8, 3), images=images)
    lerobot.write(ours, tmp_path / "out", instruction="Go there.", fps=20)
    again = read(tmp_path / "out")
    made.assert_same(ours, again, images=False)
    assert content_hash(again) == content_hash(ours)
    assert lerobot_import.open_folder(tmp_path / "out").instruction() == "Go there."
    if images is not None:
        assert ours.images is not None
        assert again.images is not None
        assert again.images.shape == ours.images.shape
        assert all(lerobot.psnr(a, b) > PSNR for a, b in zip(ours.images, again.images, strict=True))


def test_a_frame_of_the_video_lies_where_the_metadata_say(tmp_path: Path) -> None:
    ours = made.dataset((5, 8, 3), images=32)
    lerobot.write(ours, tmp_path / "out", instruction="Go there.", fps=20)
    rows = pq.read_table(tmp_path / "out/meta/episodes/chunk-000/file-000.parquet").to_pylist()
    begins = [row[f"videos/{lerobot.CAMERA}/from_timestamp"] for row in rows]
    assert begins == [0.0, 6 / 20, (6 + 9) / 20]
    data = pq.read_table(tmp_path / "out/data/chunk-000/file-000.parquet")
    assert data.num_rows == ours.num_steps
    np.testing.assert_array_equal(data.column("next.done").to_numpy().nonzero()[0], [4, 12, 15])
    np.testing.assert_allclose(data.column("timestamp").to_numpy()[5:13], np.arange(8) / 20, rtol=1e-6)


def png(red: int) -> bytes:
    picture = np.zeros((64, 96, 3), dtype=np.uint8)
    picture[..., 2] = red  # OpenCV writes blue, green, red
    return bytes(cv2.imencode(".png", picture)[1])


def legacy(folder: Path, **changes: Any) -> dict[str, np.ndarray]:
    """A dataset of version 2.1 as others write it: a file an episode, no rewards, a success at the very end."""
    rng = np.random.default_rng(0)
    features = {
        "observation.state": {"dtype": "float32", "shape": [3]},
        "observation.effort": {"dtype": "float32", "shape": [1]},
        "observation.images.top": {"dtype": "video", "shape": [64, 96, 3]},
        "observation.images.wrist": {"dtype": "image", "shape": [64, 96, 3]},
        "action": {"dtype": "float32", "shape": [2]},
        "next.success": {"dtype": "bool", "shape": [1]},
        "next.done": {"dtype": "bool", "shape": [1]},
    }
    info = {
        "codebase_version": "v2.1",
        "fps": 30,
        "chunks_size": 1000,
        "features": features,
        "data_path": "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
        "video_path": "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4",
    }
    (folder / "meta").mkdir(parents=True)
    (folder / "meta/info.json").write_text(json.dumps(info | changes))
    (folder / "meta/tasks.jsonl").write_text('{"task_index": 0, "task": "Pick it up."}\n')
    lines = [json.dumps({"episode_index": number, "length": length}) for number, length in enumerate((4, 6))]
    (folder / "meta/episodes.jsonl").write_text("\n".join(lines) + "\n")
    kept = {"state": rng.random((10, 3), dtype=np.float32), "effort": rng.random(10, dtype=np.float32)}
    kept["action"] = rng.random((10, 2), dtype=np.float32)
    for number, rows in enumerate((slice(0, 4), slice(4, 10))):
        length = rows.stop - rows.start
        last = np.arange(length) == length - 1
        table = {
            "observation.state": list(kept["state"][rows]),
            "observation.effort": kept["effort"][rows],
            "action": list(kept["action"][rows]),
            "observation.images.wrist": [{"bytes": png(10 * at + number), "path": None} for at in range(length)],
            "next.success": last & (number == 0),
            "next.done": last,
            "frame_index": np.arange(length),
            "episode_index": np.full(length, number),
        }
        path = folder / f"data/chunk-000/episode_{number:06d}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(table), path)
        video = folder / f"videos/chunk-000/observation.images.top/episode_{number:06d}.mp4"
        frames = (np.full((64, 96, 3), 40 * number + 20 * at, dtype=np.uint8) for at in range(length))
        lerobot._encode(video, frames, (64, 96), 30)
    return kept


def test_version_2_is_read_with_all_numeric_observations_in_alphabetical_order(tmp_path: Path) -> None:
    kept = legacy(tmp_path / "old")
    found = read(tmp_path / "old", camera="observation.images.top", size=16)
    assert found.lengths.tolist() == [4, 6]
    before = np.concatenate([kept["effort"][:, None], kept["state"]], axis=1)
    np.testing.assert_array_equal(found.observations[found.frame_before], before)
    np.testing.assert_array_equal(found.observations[[4, 11]], before[[3, 9]])  # the last moment is repeated
    np.testing.assert_array_equal(found.actions, kept["action"])
    assert lerobot_import.open_folder(tmp_path / "old", camera="none").instruction() == "Pick it up."
    assert found.images is not None
    levels = found.images.mean(axis=(1, 2, 3))
    np.testing.assert_allclose(levels[:5], [0, 20, 40, 60, 60], atol=2)
    np.testing.assert_allclose(levels[5:], [40, 60, 80, 100, 120, 140, 140], atol=2)
    assert found.images.shape[1:] == (16, 16, 3)


def test_pictures_in_the_table_are_read_without_loss(tmp_path: Path) -> None:
    legacy(tmp_path / "old")
    found = read(tmp_path / "old", camera="observation.images.wrist", size=None)
    assert found.images is not None
    assert found.images.shape == (12, 64, 96, 3)
    assert found.images[:, 0, 0, 0].tolist() == [0, 10, 20, 30, 30, 1, 11, 21, 31, 41, 51, 51]
    assert not found.images[..., 1:].any()


def test_without_rewards_success_pays_and_only_success_ends_a_task(tmp_path: Path) -> None:
    legacy(tmp_path / "old")
    found = read(tmp_path / "old", camera="none")
    assert found.images is None
    assert found.rewards.nonzero()[0].tolist() == [3]
    assert found.terminated.nonzero()[0].tolist() == [3]  # the second episode is done, too, but nobody knows why


def test_several_cameras_want_one_named(tmp_path: Path) -> None:
    legacy(tmp_path / "old")
    with pytest.raises(UserError, match=r"cameras observation.images.top, observation.images.wrist: name one"):
        read(tmp_path / "old")
    with pytest.raises(UserError, match=r"did you mean 'observation.images.top'"):
        read(tmp_path / "old", camera="observation.images.tpo")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda folder: (folder / "meta/info.json").unlink(), "info.json: wanted LeRobot's description"),
        (lambda folder: (folder / "data/chunk-000/episode_000001.parquet").write_bytes(b"PAR1"), "cannot be read"),
        (lambda folder: (folder / "data/chunk-000/episode_000001.parquet").unlink(), "episode_000001.parquet cannot"),
        (
            lambda folder: (folder / "videos/chunk-000/observation.images.top/episode_000001.mp4").unlink(),
            "episode 1: there is no .*episode_000001.mp4",
        ),
        (
            lambda folder: (folder / "videos/chunk-000/observation.images.top/episode_000001.mp4").write_bytes(
                (folder / "videos/chunk-000/observation.images.top/episode_000000.mp4").read_bytes()
            ),
            "episode 1: .*episode_000001.mp4 ends at frame 4, wanted 6",
        ),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, spoil: Any, says: str) -> None:
    legacy(tmp_path / "old")
    spoil(tmp_path / "old")
    with pytest.raises(UserError, match=says):
        read(tmp_path / "old", camera="observation.images.top")


def test_an_unknown_version_is_refused(tmp_path: Path) -> None:
    legacy(tmp_path / "old", codebase_version="v9.0")
    with pytest.raises(UserError, match=r"version v9.0; known are v3.0, v2.1, v2.0"):
        read(tmp_path / "old")


def test_what_the_format_cannot_hold_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    for data, says in ((made.dataset(images=17), "even sides"), (made.dataset(acts=False), "no actions")):
        with pytest.raises(UserError, match=says):
            lerobot.write(data, tmp_path / "out", instruction="x", fps=10)
        assert not (tmp_path / "out").exists()
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken/file").touch()
    with pytest.raises(UserError, match="not empty"):
        lerobot.write(made.dataset(), tmp_path / "taken", instruction="x", fps=10)
