"""The probes of a task hold successes and failures, come from the cache unchanged, and tell good rewards from bad."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import sims
from rewards.program import check
from robot_learn import loops, probes
from robot_learn.cli import main
from robot_learn.envs import EVAL_SEED0, PREVIEW_SEED0, SWEEP_SEED0, TRAIN_SEEDS
from robot_learn.rollouts import Rollouts

POLE = sims.task("mujoco/cart-pole")
DRAWER = sims.task("metaworld/drawer-open")
CLOSER = """
def reward(scene, action):
    distance = np.linalg.norm(scene.robot.left_finger_position - scene.drawer.handle_position)
    return {"reach": 1.0 - np.tanh(5.0 * distance)}
"""


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache folder of these tests' own, in which nothing is collected twice."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROBOT_LEARN_CACHE", str(folder))
        yield folder


def good() -> str:
    return loops.write_program(DRAWER).text


def only_reaches() -> str:
    """The recorded program, with nothing paid for opening the drawer."""
    found = good().replace("OPEN = 4.0", "OPEN = 0.0").replace("FINISH = 3.0", "FINISH = 0.0")
    assert found.count("= 0.0") >= 2
    return found


def by_source(found: list[Rollouts]) -> dict[str, Rollouts]:
    return {each.source: each for each in found}


def test_a_script_succeeds_in_most_its_disturbances_fail_in_some_and_doing_nothing_in_all() -> None:
    found = by_source(probes.collect(DRAWER))
    assert list(found) == ["scripted", "disturbed", "random", "still"]
    assert found["scripted"].succeeded.mean() > 0.8
    assert 0 < found["disturbed"].succeeded.mean() < 0.8
    assert not found["still"].succeeded.any()
    # A failure that stops a hair before success is what tells a reward that pays short of it from a good one.
    opened = found["disturbed"].values["drawer.opening"][-1, ~found["disturbed"].succeeded]
    assert 0.05 < opened.max() < 0.16


def test_kinds_of_probes_share_their_starts_and_no_start_is_one_of_training_or_evaluation() -> None:
    found = by_source(probes.collect(DRAWER))
    first = {name: rollouts.values["drawer.handle_position"][0, :5] for name, rollouts in found.items()}
    for start in first.values():
        np.testing.assert_array_equal(start, first["scripted"])
    last = probes.SEED0 + probes.STARTS
    assert TRAIN_SEEDS < PREVIEW_SEED0 < probes.SEED0 < last < SWEEP_SEED0 < EVAL_SEED0


def test_the_cache_gives_back_what_was_collected_and_a_damaged_file_is_collected_anew(cache: Path) -> None:
    probes.collect(POLE)
    (file,) = cache.glob("probes/mujoco-cart-pole-*.npz")
    written = file.stat().st_mtime_ns
    before = probes.collect(POLE)
    assert file.stat().st_mtime_ns == written
    file.write_bytes(b"not an archive")
    for one, other in zip(before, probes.collect(POLE), strict=True):
        np.testing.assert_array_equal(one.actions, other.actions)
        for name in POLE.schema.names:
            np.testing.assert_array_equal(one.values[name], other.values[name])


def test_probes_are_collected_also_where_they_cannot_be_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ROBOT_LEARN_CACHE", str(tmp_path / "file"))
    assert [each.source for each in probes.collect(sims.task("mujoco/hopper"))] == ["random", "still"]


def test_another_schema_or_episode_length_is_another_file() -> None:
    fields = POLE.schema.fields
    renamed = replace(POLE, schema=replace(POLE.schema, fields=(*fields[:-1], replace(fields[-1], unit="furlong"))))
    files = {probes._cached(task) for task in (POLE, renamed, replace(POLE, max_episode_steps=7))}
    assert len(files) == 3


def test_a_task_without_a_script_has_chance_and_rest_and_nothing_is_passed_on_them() -> None:
    hopper = sims.task("mujoco/hopper")
    found = probes.collect(hopper)
    assert [each.source for each in found] == ["random", "still"]
    screening = probes.judge(loops.write_program(hopper).program.compile(), hopper, found)
    assert screening.verdict == "undecided"
    assert {each.name for each in screening.findings} == {"undecided"}


def test_a_recorded_program_passes_and_one_that_only_reaches_is_refused() -> None:
    found = probes.collect(DRAWER)
    right, wrong = (probes.judge(check(text, DRAWER).compile(), DRAWER, found) for text in (good(), only_reaches()))
    assert right.verdict == "pass", right.findings
    assert wrong.verdict == "refuse", wrong.figures
    assert wrong.score < right.score


def test_a_reward_that_is_not_finite_is_refused_and_says_where() -> None:
    reward = check(
        "def reward(scene, action):\n    return {'odd': np.log(0.0 * scene.drawer.opening)}", DRAWER
    ).compile()
    screening = probes.judge(reward, DRAWER, probes.collect(DRAWER))
    assert screening.verdict == "refuse"
    assert "odd" in screening.findings[0].text


def test_a_planner_moves_towards_what_a_reward_pays_and_keeps_to_its_time() -> None:
    close = sims.task("metaworld/drawer-close")
    reward = check(CLOSER, close).compile()
    began = time.monotonic()
    planned = probes.planned(close, reward, episodes=1, seconds=1.0)
    assert time.monotonic() - began < 20.0
    paid = planned.score(reward).rewards[:, 0]
    assert paid.max() > paid[0] + 0.05


def test_recording_stops_soon_after_all_have_succeeded_and_otherwise_at_the_end() -> None:
    control = sims.scripted(DRAWER.name, 2)
    whole = by_source(probes.collect(DRAWER))["scripted"].episodes(np.arange(2))
    seeds = [probes.SEED0, probes.SEED0 + 1]
    found = probes.record(sims.make(DRAWER.name, 2), "scripted", seeds, lambda _, *seen: control(*seen), enough=3)
    last = 1 + np.argmax(whole.success, axis=0).max()
    assert len(found.success) == last + 3
    np.testing.assert_array_equal(found.actions, whole.actions[: last + 3])
    assert len(whole.success) == DRAWER.max_episode_steps


def test_a_planned_failure_that_was_cut_at_once_is_no_evidence() -> None:
    found = probes.collect(DRAWER)
    still = by_source(found)["still"]
    values = {name: each[:21] for name, each in still.values.items()}
    cut = Rollouts(DRAWER.schema, "planned", values, still.actions[:20], still.success[:20], still.running[:20])
    reward = check(good(), DRAWER).compile()
    assert probes.judge(reward, DRAWER, [*found, cut]) == probes.judge(reward, DRAWER, found)
    whole = probes.judge(reward, DRAWER, [*found, replace(still, source="planned")])
    assert whole.figures["planned"] == 0.0


def test_the_command_ranks_programs_finds_twins_and_goes_on_after_what_is_no_program(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = {"bad": only_reaches(), "broken": "def reward(scene):\n    return 1", "good": good()}
    texts["twin"] = f"# as good\n{texts['good']}"
    for name, text in texts.items():
        (tmp_path / f"{name}.py").write_text(text)
    words = ["reward", "screen", *(str(tmp_path / f"{name}.py") for name in texts), "--task", DRAWER.name]
    assert main([*words, "--plan", "0", "--json"]) == 0
    programs = {Path(row["file"]).stem: row for row in json.loads(capsys.readouterr().out)["programs"]}
    verdicts = {name: row["verdict"] for name, row in programs.items()}
    assert verdicts == {"good": "pass", "twin": "pass", "bad": "refuse", "broken": "refuse"}
    assert next(iter(programs)) == "good"
    assert Path(programs["twin"]["same_as"]).stem == "good"
    assert programs["good"]["same_as"] is programs["bad"]["same_as"] is None
    assert "short of it" in programs["bad"]["findings"][0]["text"]
    assert main([*words, "--plan", "0"]) == 0
    assert "bad.py: refuse: Success does not pay more" in capsys.readouterr().out


def test_a_missing_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reward", "screen", str(tmp_path / "none.py"), "--task", DRAWER.name]) == 2
    assert "none.py" in capsys.readouterr().err
