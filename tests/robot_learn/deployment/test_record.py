"""What happened is kept while it happens, in files that others read."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hardware import recorded
from hardware.records import TICK, last_ticks, pack_observation
from robot_learn.data import store
from robot_learn.data.writer import DatasetWriter
from robot_learn.deployment import episodes
from robot_learn.deployment.loop import Pacing, Step, run_episode
from robot_learn.deployment.outcome import Outcome, explain
from robot_learn.deployment.record import Recorder
from robot_learn.errors import UserError
from robot_learn.runs import Run
from tests.robot_learn.deployment.conftest import Stage, stage
from tests.robot_learn.deployment.stand_in import StandIn

TASK = "franka/reach"
PACING = Pacing(0.04, 100)


class Ticking(StandIn):
    """A stand-in that keeps its ticks."""

    def __init__(self, plain: StandIn) -> None:
        super().__init__(plain.model, plain.data)
        self.kept: list[np.ndarray] = []

    def wait(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.001)):
            super().wait(0.001)
            tick = np.zeros((), TICK)
            pack_observation(self.observe(), tick)
            tick["dq_sent"], tick["limited"] = self.dq, b"hand speed"
            self.kept.append(tick)

    def ticks(self) -> np.ndarray:
        given, self.kept = np.array(self.kept, TICK), []
        return given


def session(folder: Path) -> tuple[Run, DatasetWriter]:
    run = Run.create(folder / "deployments", task=TASK, seed=0, config={"deployment": {"arm": "test:"}}, name="one")
    return run, DatasetWriter(f"{TASK}/deployed", folder / "datasets", task=TASK)


def record(here: Stage, recorder: Recorder, pacing: Pacing = PACING, seed: int = 7) -> tuple[Outcome, list[Step], Path]:
    steps: list[Step] = []

    def heard(step: Step) -> None:
        recorder.step(step)
        steps.append(step)

    recorder.begin(seed)
    told = run_episode(here.arm, replace(here.crew, on_step=heard, on_end=recorder.end), pacing)
    return told, steps, recorder.finish(told)


def test_an_episode_comes_back_from_the_dataset_as_it_was(tmp_path: Path, reach: Stage) -> None:
    run, writer = session(tmp_path)
    with writer:
        told, steps, folder = record(reach, Recorder(run, writer))
    dataset = store.load(f"{TASK}/deployed", tmp_path / "datasets")
    assert dataset.num_episodes == 1
    assert dataset.num_steps == told.steps == len(steps)
    np.testing.assert_array_equal(
        dataset.observations[:-1], np.array([step.belief.vector[0] for step in steps], np.float32)
    )
    np.testing.assert_array_equal(dataset.actions, np.array([step.action for step in steps], np.float32))
    np.testing.assert_array_equal(dataset.success, [False] * (told.steps - 5) + [True] * 5)
    np.testing.assert_array_equal(dataset.rewards, dataset.success.astype(np.float32))
    assert dataset.sources is not None
    assert list(dataset.sources) == ["deployed"]
    outcome = json.loads((folder / episodes.OUTCOME).read_text())
    assert (outcome["reason"], outcome["success"], outcome["seed"]) == ("success", True, 7)
    assert sorted(path.name for path in folder.iterdir()) == [episodes.OUTCOME, episodes.STEPS]


def test_every_step_tells_what_was_wanted_filtered_sent_and_by_whom(tmp_path: Path, reach: Stage) -> None:
    run, writer = session(tmp_path)
    reach.arm.limited = ("hand speed",)  # type: ignore[assignment]
    with writer:
        _, steps, folder = record(reach, Recorder(run, writer))
    lines = episodes.read_steps(folder)
    assert "end" in lines[-1]
    for line, step in zip(lines[:-1], steps, strict=True):
        assert line["wanted"] == step.wanted.tolist()
        assert line["filtered"] == step.filtered.tolist()
        assert line["sent"] == step.applied.dq.tolist()
        assert line["limited"] == ["hand speed"]
        assert line["who"] == "policy"
        assert line["observation"]["q"] == step.observation.q.tolist()
        assert line["observation"]["gripper"] == {"opening": 0.08, "grasped": False}
        assert line["scene"]["goal.position"] == step.belief.measured["goal.position"][0].tolist()


def test_ticks_are_kept_as_a_recording_that_plays(tmp_path: Path, reach: Stage) -> None:
    run, writer = session(tmp_path)
    here = replace(reach, arm=Ticking(reach.arm))
    here.crew = replace(here.crew, clock=here.arm.now)
    here.arm.wait(0.05)  # before the episode: nobody's
    with writer:
        told, steps, folder = record(here, Recorder(run, writer, here.arm))
    ticks, arm = recorded.load(folder / episodes.TICKS)
    assert arm == "fr3"
    assert len(ticks) == 40 * told.steps
    np.testing.assert_array_equal(ticks["dq_sent"][39::40], [step.applied.dq for step in steps])
    np.testing.assert_allclose(np.diff(ticks["time"]), 0.001)


def test_pictures_go_into_the_dataset_and_a_video(tmp_path: Path, reach: Stage) -> None:
    run, writer = session(tmp_path)
    count = iter(range(1000))
    with writer:
        told, _, folder = record(
            reach, Recorder(run, writer, watch=lambda: np.full((16, 16, 3), next(count), dtype=np.uint8))
        )
    dataset = store.load(f"{TASK}/deployed", tmp_path / "datasets")
    assert dataset.images is not None
    np.testing.assert_array_equal(dataset.images[:, 0, 0, 0], np.arange(told.steps + 1))
    assert (folder / episodes.FILM).stat().st_size > 0
    assert not list(folder.glob("*.raw*"))


def test_several_episodes_are_numbered_and_join_one_dataset(tmp_path: Path) -> None:
    run, writer = session(tmp_path)
    with writer:
        recorder = Recorder(run, writer)
        folders = [record(stage("reach", seed), recorder, seed=seed)[2].name for seed in range(3)]
    assert folders == ["episode-0000", "episode-0001", "episode-0002"]
    assert store.load(f"{TASK}/deployed", tmp_path / "datasets").num_episodes == 3


def test_an_episode_without_a_step_is_told_and_joins_no_dataset(tmp_path: Path, reach: Stage) -> None:
    run, writer = session(tmp_path)
    reach.arm.state = "user_stopped"
    reach.arm.start = lambda: None  # type: ignore[method-assign]
    with writer:
        told, _, folder = record(reach, Recorder(run, writer))
        assert writer.num_episodes == 0
    assert told.reason == "user stopped"
    assert json.loads((folder / episodes.OUTCOME).read_text())["reason"] == "user stopped"


def test_an_episode_that_a_person_corrected_says_so(tmp_path: Path, reach: Stage) -> None:
    run, writer = session(tmp_path)
    turn = iter(range(1000))
    reach.crew = replace(reach.crew, person=lambda: np.zeros(3) if next(turn) == 3 else None)
    with writer:
        record(reach, Recorder(run, writer))
    dataset = store.load(f"{TASK}/deployed", tmp_path / "datasets")
    assert dataset.sources is not None
    assert list(dataset.sources) == ["deployed, corrected"]


def test_the_last_step_of_an_episode_whose_end_nobody_saw_is_left_out(tmp_path: Path, reach: Stage) -> None:
    run, writer = session(tmp_path)
    with writer:
        _, steps, folder = record(reach, Recorder(run, writer))
    lines = episodes.read_steps(folder)[:-1]
    cut = episodes.trajectory(lines, None, None)
    assert cut is not None
    assert len(cut) == len(steps) - 1
    assert len(cut.observations) == len(steps)
    assert episodes.trajectory(lines[:1], None, None) is None


CRASH = """
import os, sys, signal
from pathlib import Path
from dataclasses import replace
from tests.robot_learn.deployment.test_record import *
if __name__ == "__main__":
    folder = Path(sys.argv[1])
    run, writer = session(folder)
    here = stage("reach")
    recorder = Recorder(run, writer, watch=lambda: np.zeros((8, 8, 3), dtype=np.uint8))
    here.arm.at[12] = lambda arm: os.kill(os.getpid(), signal.SIGKILL)
    record(here, recorder)
"""


def test_a_killed_program_loses_no_more_than_the_step_it_was_in(tmp_path: Path) -> None:
    root = Path(__file__).parents[3]
    script = [sys.executable, "-c", textwrap.dedent(CRASH), str(tmp_path)]
    found = subprocess.run(script, cwd=root, env=os.environ | {"PYTHONPATH": str(root)}, check=False)
    assert found.returncode == -signal.SIGKILL
    folder = tmp_path / "deployments" / "one" / "episode-0000"
    assert not (folder / episodes.OUTCOME).exists()
    with (folder / episodes.STEPS).open("ab") as file:
        file.write(b'{"step": 12, "cut')
    with DatasetWriter(f"{TASK}/deployed", tmp_path / "datasets", task=TASK) as writer:
        assert episodes.salvage(tmp_path / "deployments", "franka/pick-cube", writer) == []
        assert episodes.salvage(tmp_path / "deployments", TASK, writer) == [folder]
        assert episodes.salvage(tmp_path / "deployments", TASK, writer) == []
    dataset = store.load(f"{TASK}/deployed", tmp_path / "datasets")
    assert list(dataset.lengths) == [10]  # eleven steps were recorded; where the last one led nobody saw
    assert dataset.images is not None
    outcome = json.loads((folder / episodes.OUTCOME).read_text())
    assert (outcome["reason"], outcome["steps"]) == ("program ended", 11)
    assert "ended in the middle of an episode" in explain(Outcome.from_json(outcome))


def test_an_episode_that_still_runs_is_not_salvaged(tmp_path: Path, reach: Stage) -> None:
    run, writer = session(tmp_path)
    with writer:
        recorder = Recorder(run, writer)
        recorder.begin()
        run_episode(reach.arm, replace(reach.crew, on_step=recorder.step), Pacing(0.04, 3))
        assert episodes.salvage(tmp_path / "deployments", TASK, writer) == []
        recorder.finish(Outcome("time limit"))
        assert episodes.salvage(tmp_path / "deployments", TASK, writer) == []


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    (tmp_path / episodes.STEPS).write_bytes(b'{"step": 1}\nnonsense\n{"step": 2}\n')
    with pytest.raises(UserError, match=r"steps.jsonl, line 2"):
        episodes.read_steps(tmp_path)


def test_a_step_outside_of_an_episode_is_refused(tmp_path: Path) -> None:
    run, writer = session(tmp_path)
    with writer, pytest.raises(UserError, match="begin one first"):
        Recorder(run, writer).end(None)


def test_ticks_that_the_arms_process_kept_follow_on_those_that_were_recorded(tmp_path: Path) -> None:
    run, _ = session(tmp_path)
    folder = run.path / "episode-0000"
    folder.mkdir()
    ticks = np.zeros(30, TICK)
    ticks["sequence"], ticks["time"] = np.arange(100, 130), np.arange(100, 130) / 1000
    ticks["dq"][:25, 0] = 0.3  # it moved until a few ticks before the end
    (folder / episodes.RAW_TICKS).write_bytes(ticks[:12].tobytes() + b"cut")
    last_ticks(folder / episodes.LAST_TICKS, ticks[8:])
    (folder / episodes.ARM).write_text("fr3")
    lines = [{"step": i, "observation": {"time": 0.1 + 0.004 * i}, "success": False} for i in range(3)]
    steps = [line | {"vector": [0.0], "action": [0.0], "who": "policy"} for line in lines]
    (folder / episodes.STEPS).write_text("".join(json.dumps(line) + "\n" for line in steps))
    assert episodes.salvage(run.path.parent, TASK, None) == [folder]
    kept, arm = recorded.load(folder / episodes.TICKS)
    np.testing.assert_array_equal(kept["sequence"], np.arange(100, 130))
    assert arm == "fr3"
    told = json.loads((folder / episodes.OUTCOME).read_text())
    assert (told["reason"], told["steps"]) == ("program ended", 3)
    assert told["rest"] == pytest.approx(0.125 - 0.108)
    assert not (folder / episodes.LAST_TICKS).exists()


def test_an_arm_that_was_still_moving_when_it_was_seen_last_is_not_said_to_be_at_rest(tmp_path: Path) -> None:
    ticks = np.zeros(5, TICK)
    ticks["time"], ticks["dq"] = np.arange(5) / 1000 + 1.0, 0.2
    last_ticks(tmp_path / episodes.LAST_TICKS, ticks)
    step = {"step": 1, "observation": {"time": 0.9}}
    (tmp_path / episodes.STEPS).write_text(json.dumps(step) + "\n")
    assert episodes._left(tmp_path).rest is None
