"""What a run tells about its reward."""

from __future__ import annotations

from pathlib import Path

import pytest

from rewards.language import revision_request
from robot_learn import runs
from robot_learn.envs import EVAL_SEED0, VALIDATION_SEED0
from robot_learn.errors import UserError
from robot_learn.evaluation import Episode, Evaluation
from robot_learn.feedback import feedback_of
from robot_learn.runs import Run

CURVE = (
    "steps,iteration,seconds,success_rate,episode_return,episode_length,term/reach,loss/value_loss\n"
    "400,1,0.5,,,,0.25,9\n"
    "800,2,1.0,0.5,17.5,200,0.75,9\n"
)


def measured(run: Run, first_seed: int, successes: int = 2, episodes: int = 5) -> None:
    done = tuple(Episode(first_seed + n, n < successes, False, None, 1.0, 200) for n in range(episodes))
    run.write_json(runs.EVALUATION, Evaluation("toy/point", done, True, 0.0).to_json())


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def test_a_run_that_nothing_was_done_with_tells_nothing_but_what_others_say(run: Run) -> None:
    told = feedback_of(run, findings=["It is flat."], said="It falls.")
    assert (told.steps, told.successes, told.episodes, list(told.curve), dict(told.episode)) == (None, None, 0, [], {})
    assert (told.findings, told.said) == (("It is flat.",), "It falls.")


def test_training_measurement_and_first_episode_come_from_the_files(run: Run) -> None:
    run.write_text(runs.PROGRESS, CURVE)
    run.write_json(runs.TRACE, {"control_dt": 0.05, "terms": {"reach": [0.0, 1.0]}, "rewards": [0.0, 1.0]})
    measured(run, VALIDATION_SEED0)
    told = feedback_of(run)
    assert (told.steps, told.successes, told.episodes, told.control_dt) == (800, 2, 5, 0.05)
    assert told.episode == {"reach": [0.0, 1.0]}
    assert told.curve[0] == {"steps": 400.0, "reach": 0.25}
    assert told.curve[1] == {"steps": 800.0, "reach": 0.75, "hidden test passed": 0.5, "steps of an episode": 200.0}


def test_no_clock_and_no_loss_reaches_the_prompt(run: Run) -> None:
    # The same training at another pace asks the same question, so that its recorded answer is found.
    run.write_text(runs.PROGRESS, CURVE)
    fast = revision_request(feedback_of(run))
    run.write_text(runs.PROGRESS, CURVE.replace(",0.5,,", ",7.5,,").replace(",9\n", ",8\n"))
    assert revision_request(feedback_of(run)) == fast
    assert "seconds" not in fast


@pytest.mark.parametrize("first_seed", [EVAL_SEED0, EVAL_SEED0 + 1000, EVAL_SEED0 - 2])
def test_what_happened_on_the_seeds_of_results_is_not_told(first_seed: int, run: Run) -> None:
    measured(run, first_seed)
    with pytest.raises(UserError, match="measure it on the validation seeds first"):
        feedback_of(run)


def test_factors_of_terms_that_the_program_does_not_show_are_told(run: Run) -> None:
    run.write_text(runs.PROGRESS, CURVE)
    assert "multiplied" not in revision_request(feedback_of(run))
    run.write_json(runs.CONFIG, {"task": "toy/point", "weights": {"reach": 0.125, "open": 8}})
    assert "its terms were multiplied: reach by 0.125, open by 8." in revision_request(feedback_of(run))
