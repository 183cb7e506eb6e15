"""What stands of several rewards, and in which order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import sims
from rewards.video.critique import Critique, Problem
from rewards.video.edits import Alternative
from rewards.video.prompts import Shown
from rewards.video.sheets import contact_sheet
from rewards.video.signals import Signals
from rewards.video.terms import Term, Terms
from robot_learn import probes
from robot_learn.imitation import screen
from robot_learn.imitation.state import ImitationConfig
from robot_learn.imitation.watch import Seen
from robot_learn.rollouts import Rollouts
from robot_learn.types import Task
from tests.robot_learn.imitation.standins import CHEETAH, chance

FALLEN = ("it fell in 100% of 2 rollouts",)


def seen(speed: float = 0.0, veto: tuple[str, ...] = (), **changes: object) -> Seen:
    sheet = contact_sheet(np.full((1, 8, 8, 3), int(10 * abs(speed)) % 255, dtype=np.uint8), [0.0])
    known: dict[str, object] = {"height": (0.5, 0.6, 0.7), "rise": 0.0, "tilt": (0.0, 0.0), "turns": 0.0}
    known |= {"swing": 1.0, "activity": 1.0, "period": None, "regularity": 0.2} | changes
    found = Signals(seconds=1.0, speed=speed, **known)  # type: ignore[arg-type]
    return Seen(Shown((sheet,), ("from the side",), 1.0, 10.0), "", found, veto)


def by_speed(robots: Sequence[Seen]) -> list[int]:
    return sorted(range(len(robots)), key=lambda number: -robots[number].signals.speed)  # type: ignore[union-attr]


def test_what_the_gates_veto_stands_behind_all_else() -> None:
    robots = {0: seen(9.0, FALLEN), 1: seen(1.0), 3: seen(2.0)}
    assert screen.in_order(robots, by_speed) == [3, 1, 0]
    assert screen.in_order(robots, by_speed, gates=False) == [0, 3, 1]
    assert screen.in_order({0: seen(1.0, FALLEN), 2: seen(3.0, FALLEN)}, by_speed) == [2, 0], "then the better faller"


def test_nobody_is_asked_about_one_alone() -> None:
    def never(robots: Sequence[Seen]) -> list[int]:
        raise AssertionError

    assert screen.in_order({4: seen(1.0), 0: seen(2.0, FALLEN)}, never) == [4, 0]
    assert screen.in_order({}, never) == []


def wish(quantity: str, direction: str, confidence: float = 1.0) -> Problem:
    said = {"problem": "not so", "body_part": "torso", "phase": "always", "confidence": confidence}
    return Problem.model_validate(said | {"quantity": quantity, "direction": direction})


def critique(*problems: Problem) -> Critique:
    words = {"video": "it moves well", "robot": "it moves badly"}
    return Critique(video_codes=("1",), robot_codes=("2",), likeness=1.0, problems=problems, **words)


@pytest.mark.parametrize(
    ("problem", "granted"),
    [
        (wish("speed", "more"), {"speed": 2.0}),
        (wish("speed", "less"), {"speed": 0.1}),
        (wish("speed", "reverse"), {"speed": -1.0}),
        (wish("height", "more"), {"height": (0.5, 0.6, 1.5)}),
        (wish("timing", "earlier"), {"period": 0.2}),
        (wish("timing", "steadier"), {"regularity": 0.9}),
        (wish("contact", "less"), {"flight": 0.9}),
        (wish("symmetry", "more"), {"duty": {"a": 0.5, "b": 0.5}}),
        (wish("effort", "less"), {"activity": 0.1}),
    ],
)
def test_a_wish_is_granted_by_what_went_its_way(problem: Problem, granted: dict[str, object]) -> None:
    start: dict[str, object] = {"speed": 1.0, "duty": {"a": 0.9, "b": 0.1}, "flight": 0.2, "period": 1.0}
    before = seen(**start)  # type: ignore[arg-type]
    now = seen(**start | granted)  # type: ignore[arg-type]
    assert before.signals is not None
    assert screen.granted_wishes(critique(problem), before.signals, now.signals) > 0.2
    assert screen.granted_wishes(critique(problem), before.signals, before.signals) == 0.0
    rank = screen.Wishes(critique(problem), before.signals)
    assert rank([before, now]) == [1, 0]


def test_wishes_count_by_how_sure_the_critic_is() -> None:
    before, faster, higher = seen(1.0), seen(2.0), seen(1.0, height=(0.5, 0.6, 2.0))
    said = critique(wish("speed", "more", 0.9), wish("height", "more", 0.2))
    assert screen.Wishes(said, before.signals)([higher, faster]) == [1, 0]
    assert screen.Wishes(None, None)([higher, faster]) == [0, 1], "without a critique they stay as they came"


def alternative(code: str) -> Alternative:
    return Alternative("x", (), Terms((Term("t", 1.0, f"def t(scene, action):\n    return {code}"),)))


def test_a_reward_that_teaches_nothing_or_nothing_new_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "collect", chance)
    codes = ("scene.torso.x_velocity", "1.0", "2 * scene.torso.x_velocity + 3", "scene.torso.height")
    found = screen.refused(sims.task(CHEETAH), [alternative(code) for code in codes])
    assert set(found) == {1, 2}
    assert "the same for everything" in found[1]
    assert found[2] == "it pays the same as alternative 0"


def test_what_a_step_is_worth_makes_a_difference_where_a_fall_ends_an_episode(monkeypatch: pytest.MonkeyPatch) -> None:
    def falling(task: Task) -> list[Rollouts]:
        (found,) = chance(task)
        return [replace(found, running=found.running & (np.arange(20) < 15)[:, None])]

    monkeypatch.setattr(probes, "collect", falling)
    codes = ("scene.torso.x_velocity", "scene.torso.x_velocity + 5", "2 * scene.torso.x_velocity + 10")
    assert set(screen.refused(sims.task(CHEETAH), [alternative(code) for code in codes])) == {2}


def test_what_is_trained_quickly_is_known_to_be(tmp_path: Path) -> None:
    task, rewards = sims.task("mujoco/ant"), [alternative("scene.torso.velocity[0]"), alternative("1.0")]
    for quick in (True, False):
        config = ImitationConfig("mujoco/ant", "film.mp4", num_envs=16, steps=100, quick=quick)
        made = screen.begin_runs(tmp_path / str(quick), task, rewards, config)
        assert [run.config.get("quick", False) for run in made] == [quick, quick]
        assert all(run.config["blind"] for run in made)
