"""What goes wrong is staged through the real command; what is judged of it can also fail."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from hardware.arm import ArmError, Observation
from hardware.limits import Envelope
from robot_learn.deployment import faults
from robot_learn.deployment.faults import TRIALS, Trial
from robot_learn.deployment.outcome import Latency, Outcome, explain, of_arm_error, of_state
from robot_learn.deployment.witness import Look, Witness, braked_by_arm, braked_by_guard
from robot_learn.franka import FR3

if any(importlib.util.find_spec(name) is None for name in ("pylibfranka", "franky")):  # both in one process cannot be
    pytest.skip("needs the extra 'franka'", allow_module_level=True)


def look(tick: int, speed: float, *, moving: bool, swings: float = 0.0) -> Look:
    rate = np.zeros(7)
    rate[0] = speed
    return Look(tick, moving, "move" if moving else "idle", (), rate, rate + swings)


def witness(*looks: Look) -> Witness:
    made = Witness()
    made.looks, made.began = list(looks), True
    return made


def test_a_witness_tells_end_stand_and_rest_apart() -> None:
    seen = witness(
        *(look(i, 0.5, moving=True) for i in range(10)),
        *(look(i, 0.2, moving=False) for i in range(10, 13)),
        *(look(i, 0.0, moving=False, swings=0.1) for i in range(13, 20)),
        *(look(i, 0.0, moving=False) for i in range(20, 25)),
    )
    assert (seen.end(), seen.stood(10), seen.rest(10)) == (10, 13, 20)
    assert seen.ended
    assert witness(look(0, 0.5, moving=False)).stood(0) is None


def test_what_the_controller_brakes_is_predicted_by_its_slowest_joint() -> None:
    assert braked_by_arm(look(0, 0.9, moving=True), FR3) == pytest.approx(0.9 / (0.9 * 10) + 0.002)
    # Of the guard: half the acceleration, and what the filter of 4 ticks holds.
    assert braked_by_guard(look(0, 0.5, moving=True), FR3, Envelope()) == pytest.approx(0.5 / 5 + 0.009)


@pytest.mark.parametrize(("brakes", "stopped"), [(60, True), (200, False)])
def test_an_arm_that_stops_too_late_fails_its_trial(brakes: int, stopped: bool) -> None:
    trial = Trial("user stop", "fci", 0.05, 0)
    slowing = np.linspace(0.5, 0.0, brakes, endpoint=False)
    seen = witness(
        *(look(i, 0.5, moving=True) for i in range(50)),
        *(look(50 + i, float(rate), moving=False) for i, rate in enumerate(slowing)),
        look(50 + brakes, 0.0, moving=False),
    )
    assert faults._stopped(trial, seen, None, 0.0)["stopped"] is stopped


def test_an_arm_that_moves_again_has_not_stopped() -> None:
    trial = Trial("user stop", "fci", 0.05, 0)
    again = [look(60 + i, 0.0, moving=False) for i in range(200)] + [look(260, 0.1, moving=False)]
    seen = witness(*(look(i, 0.2, moving=i < 50) for i in range(60)), *again)
    assert not faults._stopped(trial, seen, None, 0.0)["stopped"]


def test_there_are_twenty_trials_and_each_thing_goes_wrong_three_times_or_more() -> None:
    kinds = [trial.kind for trial in TRIALS]
    assert len(TRIALS) == 20
    assert len({trial.name for trial in TRIALS}) == 20
    assert all(kinds.count(kind) >= 3 for kind in faults._ENDS)
    assert {trial.client for trial in TRIALS} == {"franky", "fci"}


@pytest.mark.parametrize(
    "trial",
    [
        Trial("killed policy", "fci", 0.3, 1, speed=1.0),
        Trial("contact", "franky", 0.0, 7, wall=faults._WALL, speed=1.0),
    ],
    ids=lambda trial: trial.kind,
)
def test_a_trial_through_the_command_ends_stopped_recorded_and_explained(trial: Trial, tmp_path: Path) -> None:
    row = faults.one(trial, tmp_path / "trial")
    assert row["passed"], json.dumps(row, indent=1)  # whole, unlike pytest's own


def test_results_that_are_there_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    def one(trial: Trial, folder: Path) -> dict[str, object]:
        done.append(trial.name)
        return {"trial": trial.name, "passed": len(done) != 2}

    monkeypatch.setattr(faults, "one", one)
    said: list[str] = []
    faults.run(TRIALS[:2], tmp_path, tmp_path / "s", said.append)
    rows = faults.run(TRIALS[:3], tmp_path, tmp_path / "s", said.append)
    assert done == [trial.name for trial in TRIALS[:3]]
    assert [row["passed"] for row in rows] == [True, False, True]
    assert ["FAILED" in line for line in said] == [False, True, False, True, False]


def state(**values: object) -> Observation:
    zeros = np.zeros(7)
    plain: dict[str, object] = {"state": "reflex", "errors": ("joint_motion_generator_acceleration_discontinuity",)}
    return Observation(1, 0.1, 0.1, zeros, zeros, zeros, zeros, zeros, np.zeros(6), np.eye(4), **(plain | values))  # type: ignore[arg-type]


def test_a_jump_after_lost_commands_is_a_loss_and_any_other_is_none() -> None:
    lost = of_state(state(success_rate=0.2))
    assert lost is not None
    assert (lost.reason, "20%" in lost.detail) == ("communication", True)
    for other in (state(success_rate=1.0), state(success_rate=0.2, errors=("joint_reflex",))):
        found = of_state(other)
        assert found is not None
        assert found.reason == "reflex"


def test_a_commander_that_is_late_is_not_the_arms_fault() -> None:
    late = ArmError("no command came for 0.4 s, so the motion was ended", ("no_command",), recoverable=True)
    assert of_arm_error(late, state(state="idle", errors=())).reason == "late"
    assert of_arm_error(ArmError("gone"), None).reason == "arm error"


def test_an_outcome_comes_back_from_its_file() -> None:
    told = Outcome("reflex", "hit", ("joint_reflex",), 3, 0.1, 2, Latency(0.1, 0.2, 0.3, 4), 1, {"lead": 2}, rest=0.05)
    back = Outcome.from_json(told.to_json() | {"seed": 7})
    assert back == told
    assert explain(back) == explain(told)
    assert "at rest 0.05 s after the last command" in explain(told)
