"""Cells and table of the video benchmark: what is run, how it is normalised, what is said of it."""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sims
from rewards.program import check
from robot_learn import runs
from robot_learn.errors import UserError
from robot_learn.imitation import bench, experts, table
from robot_learn.imitation.cells import BEHAVIOURS, METHODS, Budget, Cell, cells
from robot_learn.imitation.metrics import metric
from robot_learn.launcher import Finished, Job
from robot_learn.runs import Run
from tests.robot_learn.imitation.standins import cheetah, config, small, video

__all__ = ["small", "video"]

SMALL = Budget(steps=100, expert_steps=100, episodes=2, num_envs=16)


@pytest.mark.parametrize("name", BEHAVIOURS)
def test_every_behaviour_has_a_metric_and_its_expert_another_body(name: str) -> None:
    behaviour = BEHAVIOURS[name]
    task = sims.task(behaviour.task)
    assert metric(task).unit
    assert not behaviour.reward or check(behaviour.reward, task).term_names
    with closing(sims.make(task.name, 1, variant=behaviour.variant)) as env:
        assert behaviour.camera in env.worlds.cameras
        assert env.task.schema == task.schema


def test_ends_of_the_scale_are_run_first_and_names_are_checked() -> None:
    found = cells(["ant-walk"], ["ours", "reference", "chance"])
    assert [cell.method for cell in found] == ["reference", "chance", "ours"]
    assert len(cells()) == len(BEHAVIOURS) * len(METHODS)
    for wrong in ({"behaviours": ["fly"]}, {"methods": ["magic"]}, {"seeds": 0}):
        with pytest.raises(UserError):
            cells(**wrong)  # type: ignore[arg-type]


def result(behaviour: str, method: str, final: float, **more: Any) -> dict[str, Any]:
    found = {"behaviour": behaviour, "method": method, "seed": 0, "final": final, "unit": "m", "episodes": 20}
    return found | more


def written(folder: Path, *results: dict[str, Any]) -> table.Results:
    for one in results:
        (folder / f"{one['behaviour']}--{one['method']}--s{one['seed']}.json").write_text(json.dumps(one))
    return table.read_results(folder)


def loop(
    behaviour: str, finals: Sequence[float], kept: Sequence[float | None], verdicts: Sequence[str], method: str = "ours"
) -> dict[str, Any]:
    last = kept[-1]
    final = float("nan") if last is None else last
    return result(behaviour, method, final, iterations=list(finals), kept=list(kept), verdicts=list(verdicts))


def test_scores_are_0_for_chance_and_1_for_the_tuned_reward(tmp_path: Path) -> None:
    ends = [result("ant-walk", "chance", 2.0), result("ant-walk", "reference", 12.0)]
    ends += [result("ant-jump", "chance", 0.0), result("ant-jump", "reference", 1.0)]
    found = written(
        tmp_path,
        *ends,
        loop("ant-walk", [4.0, 11.0, 7.0], [4.0, 11.0, 11.0], ["accepted", "accepted", "rejected"]),
        loop("ant-jump", [0.5, 3.0], [0.5, 3.0], ["accepted", "accepted"]),
    )
    rows = table.rows(found)
    assert [row["ours"] for row in rows] == ["0.90", "3.00", "1.05"], "in the mean each counts 1.2 at most"
    assert rows[0]["dtw"] == "-"
    assert table.iteration_rows(found)[0]["2"] == "0.90 (0.50 rejected)"
    said = table.verdicts(found)
    assert said["final score at least 0.85 on average"] == "1.050 over 2 behaviours"
    assert said["loops that end below the best that they ever accepted"] == "0 of 2"
    assert "| ant-walk | 2 m | 12 m | 0.90 |" in table.markdown(found)
    assert "spider walk" in table.markdown(found)


def test_the_scale_ends_at_the_best_seed_of_the_tuned_reward() -> None:
    ends = {("hopper-hop", "chance"): [{"final": 0.0}], ("hopper-hop", "reference"): [{"final": -0.1}, {"final": 2.0}]}
    assert table.normalised(ends, "hopper-hop", 1.0) == 0.5


def test_a_loop_that_measures_worse_than_what_it_gave_up_is_named(tmp_path: Path) -> None:
    ends = [result("ant-walk", "chance", 0.0), result("ant-walk", "reference", 1.0)]
    found = written(tmp_path, *ends, loop("ant-walk", [0.9, 0.4], [0.9, 0.4], ["accepted", "accepted"]))
    assert table.verdicts(found)["loops that end below the best that they ever accepted"] == "1 of 1 (ant-walk)"


def test_ablations_are_compared_where_all_of_them_were_run(tmp_path: Path) -> None:
    results = [result(name, end, float(end == "reference")) for name in BEHAVIOURS for end in ("chance", "reference")]
    for name in ("ant-walk", "cheetah-run"):
        results.append(loop(name, [0.4, 1.6], [0.4, 1.6], ["accepted", "accepted"]))
        results += [
            loop(name, [0.9, 0.5], [0.9, 0.5], ["accepted", "accepted"], ablation) for ablation in table.ABLATIONS
        ]
    alone = loop("ant-walk", [0.0], [0.0], ["accepted"]) | {"seed": 1}
    found = written(tmp_path, *results, loop("ant-jump", [0.1], [0.1], ["accepted"]), alone)
    first, *others = table.ablation_rows(found)
    below = "ends below what it accepted"
    assert first == {"loop": "ours", "ant-walk": "1.60", "cheetah-run": "1.60", table.MEAN: "1.200", below: "0 of 2"}
    assert [(row["loop"], row[table.MEAN], row[below]) for row in others] == [
        (name, "0.500", "2 of 2") for name in table.ABLATIONS
    ]
    assert "### no-gates: what falls or freezes may be accepted" in table.markdown(found)
    del found["cheetah-run", "no-gates"], found["ant-walk", "one-model"]  # type: ignore[attr-defined]
    assert table.ablation_rows(found) == []


def test_where_nothing_was_accepted_the_score_is_that_of_chance(tmp_path: Path) -> None:
    ends = [result("ant-walk", "chance", 2.0), result("ant-walk", "reference", 12.0)]
    found = written(tmp_path, *ends, loop("ant-walk", [9.0], [None], ["vetoed"]))
    assert table.rows(found)[0]["ours"] == "0.00"
    with pytest.raises(UserError, match="no results"):
        table.read_results(tmp_path / "none")


class Trained:
    """Every training leaves a policy that moves both feet; a loop leaves an imitation of two iterations."""

    def __init__(self) -> None:
        self.words: list[tuple[str, ...]] = []

    def run(self, jobs: Sequence[Job]) -> Generator[Finished, None, None]:
        for job in jobs:
            self.words.append(job.words)
            if job.words[0] == "train":
                cheetah(2.0).save(Run(Path(job.words[2])).file(runs.POLICY))
            else:
                self.imitate(job)
            yield Finished(job, 0, 1.0)

    def imitate(self, job: Job) -> None:
        from robot_learn.imitation.state import Imitation, Iteration

        options = dict(zip(job.words[2::2], job.words[3::2], strict=False))
        made = Imitation(Path(options["--out"]), config(Path(options["--video"])), ended="all iterations done")
        for number, verdict in enumerate(("accepted", "rejected")):
            made.place(number).mkdir(parents=True)
            cheetah(1.0 + number).save(made.place(number) / runs.POLICY)
            made.iterations.append(Iteration(number, None, verdict, entrant="0"))  # type: ignore[arg-type]
        made.save()


@pytest.mark.usefixtures("small")
def test_cells_come_to_results_and_experts_to_films(tmp_path: Path) -> None:
    place, launcher = bench.Place(tmp_path), Trained()
    wanted = cells(["cheetah-run"], ["chance", "reference", "ours", "dtw", "person"])
    said: list[str] = []
    files = bench.run_cells(wanted, place, SMALL, launcher=launcher, say=said.append)
    assert {path.stem for path in files} == {
        f"cheetah-run--{name}--s0" for name in ("chance", "reference", "ours", "dtw")
    }
    assert any("nobody has taught cheetah-run" in line for line in said)
    behaviour = BEHAVIOURS["cheetah-run"]
    assert (place.expert(behaviour) / experts.FILM).stat().st_size > 500
    told = json.loads((place.expert(behaviour) / experts.TOLD).read_text())
    assert told["metric"] == pytest.approx(max(told["metrics"]), abs=1e-4)
    assert Run.open(place.expert(behaviour) / "run").config["simulator"] == {"variant": "greyhound"}
    assert Run.open(place.run(Cell("cheetah-run", "reference"))).config["blind"]
    assert Run.open(place.run(Cell("cheetah-run", "dtw"))).config["watched"]["kind"] == "dtw"
    ours = json.loads(place.result(Cell("cheetah-run", "ours")).read_text())
    assert ours["kept"] == [ours["iterations"][0]] * 2, "what was rejected is measured, but not kept"
    assert ours["final"] == ours["kept"][-1]
    assert "--vision-model" in next(words for words in launcher.words if words[0] == "video")
    assert np.isfinite(ours["scores"]).all()
    assert bench.run_cells(wanted, place, SMALL, launcher=launcher, say=said.append) == []


@pytest.mark.usefixtures("small")
def test_a_humanoid_is_trained_longer_and_quickly_and_its_expert_by_a_program(tmp_path: Path) -> None:
    place, behaviour = bench.Place(tmp_path), BEHAVIOURS["humanoid-walk"]
    words = bench._loop(Cell("humanoid-walk", "ours"), place, Budget()).words
    assert "--quick" in words
    assert words[words.index("--steps") + 1] == str(3 * Budget().steps)
    assert "--quick" not in bench._loop(Cell("ant-walk", "ours"), place, Budget()).words
    bench._begin(Cell("humanoid-walk", "reference"), place, SMALL)
    reference = Run.open(place.run(Cell("humanoid-walk", "reference"))).config
    assert reference["quick"]
    assert Run.open(place.run(Cell("humanoid-walk", "reference"))).read_text(runs.REWARD) == behaviour.reward
    assert reference["train"]["total_steps"] == 3 * SMALL.steps
    job = experts.training(place.expert(behaviour), behaviour, SMALL)
    expert = Run.open(place.expert(behaviour) / "run")
    assert expert.config["quick"]
    assert expert.config["simulator"] == {"variant": "athlete"}
    assert expert.read_text(runs.REWARD) == behaviour.reward
    assert job.words[job.words.index("--steps") + 1] == str(SMALL.expert_steps)
