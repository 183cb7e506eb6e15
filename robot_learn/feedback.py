"""What a run has to say about its reward, in the form in which a language model is told."""

from __future__ import annotations

from collections.abc import Sequence

from rewards.language import Feedback
from robot_learn.envs import EVAL_SEED0
from robot_learn.errors import UserError
from robot_learn.evaluation import Evaluation
from robot_learn.metrics import read_progress
from robot_learn.runs import CONFIG, EVALUATION, PROGRESS, TRACE, Run

TERM = "term/"  # before a term's name in progress.csv
SHOWN = {"success_rate": "hidden test passed", "episode_length": "steps of an episode"}


def feedback_of(run: Run, *, findings: Sequence[str] = (), said: str | None = None) -> Feedback:
    """What came of a run's reward, from the files that it has: training, measurement, first episode.

    Args:
        run: trained, measured or neither; what it does not have is not mentioned.
        findings: named faults of the reward, in words that its author can act on.
        said: what a person said who watched.

    Raises:
        UserError: the measurement is on the seeds that results are reported on, of which no reward may learn anything,
            or a file is damaged.
    """
    curve = _curve(run) if run.has(PROGRESS) else []
    successes, episodes = _outcome(run) if run.has(EVALUATION) else (None, 0)
    trace = run.read_json(TRACE) if run.has(TRACE) else {}
    return Feedback(
        steps=int(curve[-1]["steps"]) if curve else None,
        successes=successes,
        episodes=episodes,
        curve=curve,
        episode=trace.get("terms", {}),
        control_dt=trace.get("control_dt", 1.0),
        weights=run.config.get("weights", {}) if run.has(CONFIG) else {},
        findings=tuple(findings),
        said=said,
    )


def _curve(run: Run) -> list[dict[str, float]]:
    """The figures of the training that tell of the reward, under names that need no explanation."""
    rows = []
    for row in read_progress(run):
        shown = {"steps": row["steps"]}
        shown |= {column.removeprefix(TERM): value for column, value in row.items() if column.startswith(TERM)}
        shown |= {name: row.get(column) for column, name in SHOWN.items()}  # not known before the first episode ends
        rows.append({name: value for name, value in shown.items() if value is not None})
    return rows


def _outcome(run: Run) -> tuple[int, int]:
    evaluation = Evaluation.from_json(run.read_json(EVALUATION))
    if evaluation.episodes[-1].seed >= EVAL_SEED0:
        raise UserError(
            f"run {run.path} was measured on the seeds that results are reported on, and no reward may be chosen or "
            "rewritten by those: measure it on the validation seeds first"
        )
    return evaluation.successes, len(evaluation.episodes)
