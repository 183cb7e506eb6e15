"""The benchmark of rewards: what its cells are, that it only ever adds, and what its tables make of results."""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

import sims
from rewards.language import Feedback, build_prompt, revision_request
from rewards.models import Message, Reply, Request
from rewards.program import language_reference
from robot_learn import runs
from robot_learn.cli import main
from robot_learn.errors import UserError
from robot_learn.evaluation import wilson_interval
from robot_learn.launcher import Finished, Job, LocalProcesses
from robot_learn.metrics import read_progress
from robot_learn.runs import Run
from robot_learn.text2reward import cells as matrix
from robot_learn.text2reward.cells import SOURCES, SUITES, Cell, Source, cells
from robot_learn.text2reward.page import page
from robot_learn.text2reward.run import places, result_file, run_cells, written_reward
from robot_learn.text2reward.table import Summary, markdown, matches, read_results, verdicts


def test_the_paper_has_17_tasks_of_manipulation_and_6_behaviours_and_meta_world_has_50() -> None:
    assert [len(SUITES[suite]) for suite in ("metaworld", "maniskill", "locomotion", "fifty")] == [11, 6, 6, 50]
    assert all(name in sims.TASKS for names in SUITES.values() for name in names)
    assert {cell.task for cell in cells()} == {name for suite in list(SUITES)[:3] for name in SUITES[suite]}


def test_every_reward_of_a_task_is_trained_with_the_same_settings() -> None:
    for name in ("metaworld/drawer-open", "maniskill/pick-cube", "mujoco/hopper"):
        configs = [asdict(cell.config()) | {"seed": 0} for cell in cells(tasks=[name], seeds=2)]
        assert len(configs) == 2 * len(SOURCES)
        assert all(config == configs[0] for config in configs)


def test_seeds_come_one_after_the_other_so_that_half_a_run_has_something_of_everything() -> None:
    seeds = [cell.seed for cell in cells(["locomotion"], sources=["expert", "zero-shot"], seeds=3)]
    assert seeds == sorted(seeds)
    assert seeds.count(0) == 12


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"suites": ["fivty"]}, "did you mean 'fifty'"),
        ({"sources": ["zeroshot"]}, "zero-shot"),
        ({"tasks": ["metaworld/drawer-opn"]}, "did you mean 'metaworld/drawer-open'"),
        ({"seeds": 0}, "wanted 1 or more"),
    ],
)
def test_what_is_not_in_the_benchmark_is_refused_by_name(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        cells(**wrong)


def test_a_cell_is_trained_measured_and_kept_and_never_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = {"total_steps": 400, "num_envs": 4, "n_steps": 50, "minibatches": 4}
    monkeypatch.setitem(matrix.SETTINGS, "mujoco", small)
    monkeypatch.setattr("robot_learn.text2reward.run.EPISODES", 2)
    said: list[str] = []
    wanted = [Cell("mujoco/hopper", source, 0) for source in ("expert", "refined")]
    written = run_cells(wanted, tmp_path, launcher=LocalProcesses(1), say=said.append)

    assert written == [result_file(tmp_path, wanted[0])]
    assert any("left out  mujoco-hopper--refined--s0" in line for line in said)
    result = json.loads(written[0].read_text())
    run = Run.open(tmp_path / "runs" / wanted[0].key)
    evaluation = run.read_json(runs.EVALUATION)
    assert (result["task"], result["source"], result["seed"]) == ("mujoco/hopper", "expert", 0)
    assert result["success_rate"] == evaluation["success_rate"]
    assert result["episodes"] == 2
    assert result["steps"] == result["curve"][-1][0] == 400
    assert result["train"]["total_steps"] == 400

    class NothingToDo:
        def run(self, jobs: Sequence[Job]) -> Generator[Finished, None, None]:
            assert not jobs
            yield from ()

    assert run_cells(wanted[:1], tmp_path, launcher=NothingToDo(), say=said.append) == []

    monkeypatch.setitem(matrix.SETTINGS, "mujoco", small | {"total_steps": 600})
    run_cells(wanted[:1], tmp_path, launcher=LocalProcesses(1), say=said.append)
    longer = json.loads(written[0].read_text())
    assert longer["steps"] == 600
    assert longer["curve"][: len(result["curve"])] == result["curve"]


def test_a_training_that_fails_says_so_and_the_others_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(matrix.SETTINGS, "mujoco", {"total_steps": 200, "num_envs": 4, "minibatches": 4})
    monkeypatch.setattr("robot_learn.text2reward.run.EPISODES", 1)
    wanted = [Cell("mujoco/hopper", "expert", seed) for seed in (0, 1)]
    said: list[str] = []

    class Breaks(LocalProcesses):
        def run(self, jobs: Sequence[Job]) -> Generator[Finished, None, None]:
            (jobs[0].log.parent / runs.CONFIG).write_text("{}")
            yield from super().run(jobs)

    written = run_cells(wanted, tmp_path, launcher=Breaks(1), say=said.append)
    assert [path.stem for path in written] == [wanted[1].key]
    assert any(line.startswith("failed    mujoco-hopper--expert--s0") for line in said)


def test_a_refined_reward_is_the_last_reply_of_a_conversation_and_recorded() -> None:
    folder = Path(__file__).resolve().parents[2] / "benchmarks"
    names = sorted(path.name for path in (folder / "refined").iterdir())
    every = {name.replace("/", "-"): name for names_of in SUITES.values() for name in names_of}
    assert names
    for each in names:
        stem, _, seed = each.partition("--s")
        name, common = every[stem], written_reward(Cell(every[stem], "refined", 99), folder)
        written = written_reward(Cell(name, "refined", int(seed)), folder) if seed else common
        assert (written.text != common.text) == bool(seed)
        assert "# What a person who watched the robot says" in written.messages[-2].text
        assert written.text != written_reward(Cell(name, "zero-shot", 0), folder).text
        assert written.replies[-1].model != "unnamed (by mailbox)"
    with pytest.raises(UserError, match="nobody has refined"):
        written_reward(Cell("metaworld/drawer-open", "refined", 0), folder)


def test_a_round_that_went_on_with_a_policy_is_a_lesson_after_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = Cell("mujoco/hopper", "refined", 0)
    monkeypatch.setitem(matrix.SETTINGS, "mujoco", {"total_steps": 400, "num_envs": 4, "n_steps": 50, "minibatches": 4})
    monkeypatch.setattr("robot_learn.text2reward.run.EPISODES", 2)
    task = sims.task(cell.task)
    messages, replies = list(build_prompt(task, language_reference())), {}
    for number in range(4):  # the run's own program, and three rounds
        text = f"```python\ndef reward(scene, action):\n    return {{'r{number}': scene.torso.x_velocity}}\n```"
        replies[len(messages)] = text
        said = Message("user", revision_request(Feedback(said=f"wrong {number}")))
        messages += [Message("assistant", text)] + [said] * (number < 3)
    place = tmp_path / "refined" / "mujoco-hopper"
    place.mkdir(parents=True)
    (place / "conversation.json").write_text(json.dumps([{"role": one.role, "text": one.text} for one in messages]))
    (place / "rounds.json").write_text(json.dumps([{"warm": warm} for warm in (True, False, True)]))

    class Replies:
        def complete(self, request: Request) -> Reply:
            return Reply(replies[len(request.messages)], "test", "2026-01-01T00:00:00Z", "mailbox")

    monkeypatch.setattr("robot_learn.text2reward.run.Recordings", Replies)
    said: list[str] = []
    (written,) = run_cells([cell], tmp_path, launcher=LocalProcesses(1), say=said.append)
    before, last = (Run.open(path) for path in places(cell, tmp_path))  # what came before round 2 began anew there
    terms = [[name for name in read_progress(run)[-1] if name.startswith("term/")] for run in (before, last)]
    assert terms == [["term/r2"], ["term/r3"]]
    assert last.config["from"]["run"] == str(before.path)
    assert "from" not in before.config
    told = json.loads(written.read_text())
    assert (told["steps"], told["lessons"], told["episodes"]) == (800, 2, 2)
    assert any(line.startswith("lesson    1 of 2") for line in said)

    (place / "rounds.json").write_text(json.dumps([{}]))
    with pytest.raises(UserError, match="3 revisions in the conversation, 1 rounds"):
        places(cell, tmp_path)


def result(task: str, source: Source, seed: int, successes: int, curve: list[tuple[int, float | None]]) -> Summary:
    stored = {
        **asdict(Cell(task, source, seed)),
        "success_rate": successes / 100,
        "successes": successes,
        "episodes": 100,
        "success_at_end_rate": successes / 100,
        "steps": curve[-1][0],
        "curve": curve,
    }
    return Summary(task, source, (stored,))


def test_seeds_are_pooled_and_the_interval_is_wilsons_of_all_episodes(tmp_path: Path) -> None:
    for seed, successes in ((0, 90), (1, 100)):
        one = result("metaworld/drawer-open", "expert", seed, successes, [(10, None), (20, 0.5), (30 + seed, 0.95)])
        (tmp_path / f"{seed}.json").write_text(json.dumps(one.results[0]))
    pooled = read_results(tmp_path)["metaworld/drawer-open", "expert"]
    assert (pooled.successes, pooled.episodes) == (190, 200)
    assert pooled.interval == wilson_interval(190, 200)
    assert pooled.steps_to(0.9) == 30.5
    assert pooled.steps_to(0.99) is None


def test_a_reward_matches_where_its_interval_reaches_the_experts() -> None:
    def of(successes: int) -> Summary:
        return result("metaworld/drawer-open", "zero-shot", 0, successes, [(10, 0.5)])

    assert matches(of(1), of(0))
    assert not matches(of(0), of(0))
    assert matches(of(95), of(99))
    assert matches(of(100), of(20))
    assert not matches(of(50), of(99))
    assert matches(of(96), of(99)) == (wilson_interval(96, 100)[1] >= wilson_interval(99, 100)[0])


def test_the_tables_name_what_was_not_run_and_what_failed() -> None:
    name = "metaworld/drawer-open"
    found = [
        result(name, "expert", 0, 98, [(1000, 0.1), (40_000, 0.97)]),
        result(name, "zero-shot", 0, 12, [(1000, 0.1), (40_000, 0.2)]),
        result(name, "few-shot", 0, 97, [(1000, 0.1), (20_000, 0.97)]),
        result("mujoco/ant", "zero-shot", 0, 94, [(1000, 0.1)]),
    ]
    summaries = {(each.task, each.source): each for each in found}
    manipulation, locomotion, fifty = verdicts(summaries).values()
    assert manipulation == "1 of 1 compared, of 17"
    assert locomotion == "0 of 1 run, of 6"
    assert fifty == "0 of 1 run, of 50"
    text = markdown(summaries)
    row = next(line for line in text.splitlines() if line.startswith(f"| `{name}`"))
    assert "12% (7-20), 1 seed" in row
    assert row.endswith("| 40 k | - |")
    assert f"| `{name}` | 12% (7-20), 1 seed | 12% | 0.04 M | few-shot: 97% (92-99), 1 seed |" in text
    assert "| `maniskill/pick-cube` | - | - | - | - | - | - | - |" in text
    shown = page(summaries)
    assert shown.count("<polyline") == 4
    assert "not run" in shown


def test_results_are_read_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["results", "--folder", str(tmp_path)]) == 2
    assert "robot-learn bench text2reward" in capsys.readouterr().err
    one = result("metaworld/drawer-open", "zero-shot", 0, 100, [(10, None), (20, 1.0)])
    (tmp_path / "one.json").write_text(json.dumps(one.results[0]))
    assert main(["results", "--folder", str(tmp_path), "--out", str(tmp_path / "docs")]) == 0
    assert "1 of 1 run, of 50" in capsys.readouterr().out
    assert (tmp_path / "docs" / "text2reward.html").stat().st_size > 1000
    (tmp_path / "two.json").write_text('{"task": 1}')
    assert main(["results", "--folder", str(tmp_path)]) == 2
    assert "two.json is no result" in capsys.readouterr().err
