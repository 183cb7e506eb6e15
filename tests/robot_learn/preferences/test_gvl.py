"""Progress values of a dataset: asked once an episode, stored line by line, used to sift. Replies are stand-ins."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from rewards.models import NoReplyError, Reply, Request
from rewards.preference.progress import worth_learning_from
from rewards.preference.sheets import Look
from robot_learn.cli import main
from robot_learn.data.dataset import Dataset
from robot_learn.data.store import load, save
from robot_learn.errors import UserError
from robot_learn.preferences.gvl import ask_episodes, read_progress, report

LENGTHS = np.array([12, 9, 15])


def dataset() -> Dataset:
    """Three episodes whose pictures brighten; in the second one nothing happens. The first and third succeed."""
    frames, steps = int(LENGTHS.sum()) + 3, int(LENGTHS.sum())
    images = np.zeros((frames, 32, 32, 3), dtype=np.uint8)
    success = np.zeros(steps, dtype=bool)
    first, begin = 0, 0
    for episode, length in enumerate(LENGTHS):
        for frame in range(length + 1):
            images[first + frame] = 0 if episode == 1 else round(250 * frame / length)
        first, begin = first + length + 1, begin + length
        success[begin - 1] = episode != 1
    zeros = np.zeros(steps, dtype=np.float32)
    observations = np.arange(frames, dtype=np.float32)[:, None]
    return Dataset("metaworld/drawer-open", LENGTHS, observations, None, zeros, success & False, success, images=images)


DATA = dataset()


class Brightness:
    """Reads off the progress, except where it is out of words."""

    spec = "stand-in"

    def __init__(self, silent: int = -1) -> None:
        self.calls, self.silent = 0, silent

    def complete(self, request: Request) -> Reply:
        self.calls += 1
        if self.calls == self.silent:
            raise NoReplyError("no reply yet")
        pictures = [cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR) for png in request.messages[0].images]
        lines = [
            json.dumps({"picture": number, "shows": "light", "percent": float(np.mean(np.asarray(picture)) / 2.5)})
            for number, picture in enumerate(pictures, start=1)
            if number > 1
        ]
        return Reply("\n".join(lines), "stand-in", "2026-01-01", "stand-in")


def ask(path: Path, client: Brightness) -> tuple[dict[int, float], list[str]]:
    known, problems = ask_episodes(DATA, range(3), client, path, "Brighten.", most=8, look=Look(32))
    return {episode: told.voc for episode, told in known.items()}, problems


def test_every_episode_is_asked_once_and_what_is_stored_says_the_same(tmp_path: Path) -> None:
    client = Brightness()
    vocs, problems = ask(tmp_path / "p.jsonl", client)
    assert (problems, client.calls) == ([], 3)
    assert vocs == pytest.approx({0: 1.0, 1: 0.0, 2: 1.0})
    again = Brightness()
    assert ask(tmp_path / "p.jsonl", again)[0] == vocs
    assert again.calls == 0


def test_an_episode_without_a_reply_waits_and_the_others_are_kept(tmp_path: Path) -> None:
    vocs, problems = ask(tmp_path / "p.jsonl", Brightness(silent=2))
    assert list(vocs) == [0, 2]
    assert problems == ["episode 1: no reply yet"]
    with (tmp_path / "p.jsonl").open("ab") as file:
        file.write(b'{"episode": 1, "fra')  # the machine went down
    client = Brightness()
    assert list(ask(tmp_path / "p.jsonl", client)[0]) == [0, 1, 2]
    assert client.calls == 1
    assert list(read_progress(tmp_path / "p.jsonl", DATA)) == [0, 2, 1]


def test_success_is_detected_and_episodes_are_sifted(tmp_path: Path) -> None:
    known, _ = ask_episodes(DATA, range(3), Brightness(), tmp_path / "p.jsonl", "Brighten.", most=8, look=Look(32))
    said = report(DATA, known, voc=0.5)
    assert (said["detected"], said["succeeded"], said["detection_accuracy"]) == (2, 2, 1.0)
    assert (said["voc_of_successes"], said["voc_of_failures"]) == (pytest.approx(1.0), 0.0)
    assert report(DATA, known, voc=0.5, final=1.01)["detected"] == 0  # rises, and does not arrive
    kept = DATA.episodes(worth_learning_from(list(known.values()), 0.5))
    assert kept.lengths.tolist() == [12, 15]
    assert report(DATA, {}, voc=0.5) == {"episodes": 0}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"values": [0, 2]}, "line 1, key 'values'"),
        ({"values": [0, float("nan")]}, "line 1, key 'values'"),
        ({"frames": [0, 99]}, "line 1, key 'frames'"),
        ({"frames": ["a", 2]}, "line 1, keys 'frames' and 'values'"),
        ({"episode": 3}, "line 1, key 'episode'"),
        ({"dataset": "other"}, "line 1, key 'dataset'"),
    ],
)
def test_bad_lines_are_refused_with_file_line_and_key(change: dict[str, object], says: str, tmp_path: Path) -> None:
    ask(tmp_path / "p.jsonl", Brightness())
    entry = json.loads((tmp_path / "p.jsonl").read_text().splitlines()[0])
    entry |= {"frames": [0, 12], "values": [0, 1]} | change
    (tmp_path / "p.jsonl").write_text(json.dumps(entry) + "\n")
    with pytest.raises(UserError, match=says):
        read_progress(tmp_path / "p.jsonl", DATA)


def test_a_dataset_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no pictures"):
        ask_episodes(replace(DATA, images=None), [0], Brightness(), tmp_path / "p", "x", most=8, look=Look(32))


def test_the_command_writes_prompts_takes_replies_and_keeps_the_good_episodes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(DATA, "light", tmp_path)
    words = ["progress", "light", "--root", str(tmp_path), "--model", f"mailbox:{tmp_path / 'mail'}", "--frames", "8"]
    words += ["--size", "32", "--json"]
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out)["missing"] == 3
    for folder in sorted((tmp_path / "mail").iterdir()):
        if folder.is_dir():
            images = sorted(folder.glob("image_*.png"), key=lambda path: int(path.stem.rpartition("_")[2]))
            light = [float(np.mean(np.asarray(cv2.imread(str(path)))) / 2.5) for path in images]
            rows = [{"picture": n, "shows": "light", "percent": value} for n, value in enumerate(light, 1) if n > 1]
            (folder / "reply.txt").write_text("\n".join(map(json.dumps, rows)))
    assert main([*words, "--keep", "bright"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["missing"], said["kept"], said["detection_accuracy"]) == (0, 2, 1.0)
    assert load("bright", tmp_path).lengths.tolist() == [12, 15]
