"""One episode: paced by the arm's clock, predicted over the latency, and ended by a reason whatever happens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from controllers.safety_filter.result import Filtered
from hardware.arm import ArmError
from robot_learn.deployment import outcome as outcomes
from robot_learn.deployment.bridge import Belief
from robot_learn.deployment.loop import REFUSALS, Pacing, Step, run_episode
from robot_learn.deployment.outcome import Latency, Outcome, explain
from robot_learn.deployment.steering import Chunks
from robot_learn.errors import UserError
from tests.robot_learn.deployment.conftest import Stage, stage
from tests.robot_learn.deployment.stand_in import StandIn

PACING = Pacing(0.04, 100)


def run(here: Stage, pacing: Pacing = PACING, **changes: object) -> tuple[Outcome, list[Step]]:
    steps: list[Step] = []
    crew = replace(here.crew, on_step=steps.append, **changes)  # type: ignore[arg-type]
    return run_episode(here.arm, crew, pacing), steps


@pytest.mark.parametrize("name", ["reach", "pick-cube"])
def test_a_script_does_its_task_or_takes_all_its_time(name: str) -> None:
    here = stage(name)
    told, steps = run(here)
    assert len(steps) == told.steps == len(here.arm.commands)
    assert here.arm.stops == ["soft"]
    if name == "reach":
        assert told.reason == "success"
        assert told.success_step == told.steps - PACING.hold + 1
        assert told.seconds == pytest.approx(0.04 * told.steps)
    else:  # nothing is grasped where things do not touch
        assert (told.reason, told.steps, told.success) == ("time limit", 100, False)


def test_commands_are_a_control_period_of_the_arms_clock_apart(reach: Stage) -> None:
    _, steps = run(reach)
    times = np.array([step.observation.time for step in steps])
    np.testing.assert_allclose(np.diff(times), 0.04, atol=1e-9)
    for step, command in zip(steps, reach.arm.commands, strict=True):
        assert command.mode == "joint_velocity"
        assert command.made == step.observation.received
        np.testing.assert_array_equal(command.values, step.filtered)


def test_success_must_be_held(reach: Stage) -> None:
    once, _ = run(reach, replace(PACING, hold=1))
    held, _ = run(stage("reach"), replace(PACING, hold=10))
    assert held.success_step == once.success_step == once.steps
    assert held.steps == once.steps + 9


def test_where_the_arm_stood_before_the_first_step_is_no_success(reach: Stage) -> None:
    run(reach)
    again, _ = run(reach, replace(PACING, hold=1))
    assert again.success_step == 1


def test_overruns_are_counted_and_the_clock_is_not_caught_up_with_in_vain(reach: Stage) -> None:
    def slow(arm: StandIn) -> None:
        arm.wait(0.13)  # three periods and a bit go by while a command is made

    reach.arm.at[5] = slow
    told, steps = run(reach)
    assert told.overruns == 1 + 2
    assert [step.overruns for step in steps[:6]] == [0, 0, 0, 0, 0, 3]
    times = np.array([step.observation.time for step in steps]) - steps[0].observation.time
    # The grid of commands stays: only the missed ones are left out.
    np.testing.assert_allclose(times[6:], 0.04 * (np.arange(6, len(times)) + 2), atol=1e-9)


def test_the_policy_sees_the_state_that_its_command_will_meet(reach: Stage) -> None:
    """Computing takes 20 ms of the arm's time: what the policy was shown is where the arm then is."""
    shown: list[np.ndarray] = []
    actual: list[np.ndarray] = []

    def act(scene: object, vector: np.ndarray) -> np.ndarray:
        shown.append(vector[0, :7].copy())
        reach.arm.wait(0.02)
        actual.append(reach.arm.observe().q)
        return np.array([[0.3, 0.1, -0.2]])

    told, steps = run(reach, replace(PACING, max_steps=20), chunks=Chunks(act))
    assert told.latency.median == pytest.approx(0.02)
    assert told.latency.p99 == pytest.approx(0.02)
    assert [round(step.horizon, 3) for step in steps[:3]] == [0.0, 0.02, 0.02]  # the first is yet to be measured
    np.testing.assert_allclose(shown[1:], actual[1:], atol=1e-9)
    measured = np.array([step.belief.measured["robot.joint_positions"][0] for step in steps])
    np.testing.assert_allclose(measured, [step.observation.q for step in steps], atol=1e-12)
    assert np.abs(measured[3:] - np.array(shown[3:])).max() > 1e-3


def test_age_and_transport_are_predicted_over_and_prediction_can_be_switched_off() -> None:
    for pacing, wanted in (
        (PACING, 0.015),
        (replace(PACING, transport=0.03), 0.045),
        (replace(PACING, transport=0.2), 0.08),  # two periods at most
        (replace(PACING, predict=False), 0.0),
    ):
        here = stage("reach")
        here.arm.delay = 0.015
        told, steps = run(here, pacing)
        assert steps[0].horizon == pytest.approx(wanted)
        assert told.latency.median == pytest.approx(0.015 + pacing.transport)


def test_an_arm_whose_clock_stands_is_never_late(reach: Stage) -> None:
    reach.arm.delay = 0.015
    told, steps = run(reach, clock=None)
    assert told.latency.longest == 0.0
    assert {step.horizon for step in steps} == {0.0}


def at(step: int, what: Callable[[StandIn], None]) -> Stage:
    here = stage("reach")
    here.arm.at[step] = what
    return here


def fail(error: BaseException) -> Callable[[StandIn], None]:
    def raise_it(arm: StandIn) -> None:
        raise error

    return raise_it


def state(**values: object) -> Callable[[StandIn], None]:
    def put(arm: StandIn) -> None:
        for name, value in values.items():
            setattr(arm, name, value)

    return put


LOST = "communication_constraints_violation"


@pytest.mark.parametrize(
    ("what", "reason", "says"),
    [
        (state(state="reflex", errors=("cartesian_reflex",)), "reflex", "cartesian_reflex"),
        (state(state="reflex", errors=(LOST,)), "communication", "network"),
        (state(state="user_stopped"), "user stopped", "Release"),
        (state(state="guiding"), "guiding", "by hand"),
        (fail(ArmError("gone", (LOST,))), "communication", "Gone"),
        (fail(ArmError("gone", ("joint_reflex",))), "reflex", "joint_reflex"),
        (fail(ArmError("nothing came for a second")), "arm error", "Nothing came for a second"),
        (fail(KeyboardInterrupt()), "interrupted", "stopped"),
        (fail(ValueError("odd")), "fault", "ValueError: odd"),
        (state(refuse="not finite"), "refused", "Not finite"),
    ],
)
def test_every_end_has_its_reason_and_the_arm_is_stopped(
    what: Callable[[StandIn], None], reason: str, says: str
) -> None:
    here = at(4, what)
    told, steps = run(here)
    assert told.reason == reason
    assert here.arm.stops == ["soft"]
    assert says in explain(told)
    assert explain(told).startswith(f"Ended by {reason}")
    assert 3 <= len(steps) <= 4 + REFUSALS


def test_refusals_end_an_episode_only_in_a_row(reach: Stage) -> None:
    for step in (2, 5, 8):
        reach.arm.at[step] = state(refuse="too old")
        reach.arm.at[step + 1] = state(refuse="")
    told, _ = run(reach)
    assert (told.reason, told.refused) == ("success", 3)
    here = at(3, state(refuse="too old"))
    told, _ = run(here)
    assert (told.reason, told.refused) == ("refused", REFUSALS)


@pytest.mark.parametrize(
    "given", [np.full((1, 3), np.nan), np.zeros((1, 4)), np.zeros((2, 3)), np.zeros((1, 0, 3)), None]
)
def test_a_commander_that_gives_nonsense_is_a_commander_error(given: object, reach: Stage) -> None:
    told, steps = run(reach, chunks=Chunks(lambda scene, vector: given))  # type: ignore[arg-type,return-value]
    assert (told.reason, told.steps, steps) == ("commander error", 0, [])
    assert reach.arm.stops == ["soft"]
    assert not reach.arm.commands


def test_a_lost_thing_ends_it(reach: Stage) -> None:
    class Nothing:
        def poses(self, time: float) -> dict[str, object]:
            return {}

    reach.crew.bridge._source = Nothing()  # type: ignore[assignment]
    told, _ = run(reach)
    assert told.reason == "object lost"
    assert "'goal'" in told.detail


def test_it_ends_when_the_person_lets_go(reach: Stage) -> None:
    held = iter([True] * 7 + [False] * 100)
    told, _ = run(reach, pressed=lambda: next(held))
    assert (told.reason, told.steps) == ("person let go", 7)
    assert not reach.arm.moving


def test_a_person_steps_in_through_the_same_steering_and_past_the_learned_filter(reach: Stage) -> None:
    turn = iter(range(1000))

    def person() -> np.ndarray | None:
        return np.array([0.0, 0.0, 0.4]) if 5 <= next(turn) < 10 else None

    told, steps = run(reach, person=person, safety=Holding())
    assert told.corrected == 5
    assert [step.who for step in steps[4:11]] == ["policy", *["person"] * 5, "policy"]
    assert {command.source for command in reach.arm.commands} == {"policy", "person"}
    for step in steps:
        filtered = np.zeros(7) if step.who == "policy" else step.wanted
        np.testing.assert_array_equal(step.filtered, filtered)
        assert step.held_by == (("wall",) if step.who == "policy" else ())


class Holding:
    """A learned filter that lets nothing move."""

    def __init__(self, action: object = None) -> None:
        self.action, self.forgot = np.zeros(7) if action is None else action, 0

    def filter(self, state: np.ndarray, action: np.ndarray, world: int = 0) -> Filtered:
        if isinstance(self.action, Exception):
            raise self.action
        return Filtered(np.asarray(self.action), True, 1.0, ("wall",), (), True, False, 0.0)

    def forget(self, world: int = 0) -> None:
        self.forgot += 1


def test_what_the_filter_makes_of_it_is_sent_and_recorded_beside_what_was_wanted(reach: Stage) -> None:
    safety = Holding(np.full(7, 0.01))
    _, steps = run(reach, replace(PACING, max_steps=5), safety=safety)
    assert safety.forgot == 1
    for step, command in zip(steps, reach.arm.commands, strict=True):
        np.testing.assert_array_equal(command.values, np.full(7, 0.01))
        assert np.abs(step.wanted).max() > 0.05


@pytest.mark.parametrize("action", [np.full(7, np.nan), np.zeros(6), RuntimeError("no solution")])
def test_a_filter_that_fails_stops_the_arm(action: object, reach: Stage) -> None:
    told, _ = run(reach, safety=Holding(action))
    assert told.reason == "commander error"
    assert "filter" in told.detail
    assert not reach.arm.commands


def test_what_was_planned_before_a_person_stepped_in_is_forgotten(reach: Stage) -> None:
    asked = []

    def act(scene: object, vector: np.ndarray) -> np.ndarray:
        asked.append(len(reach.arm.commands))
        return np.zeros((1, 10, 3))

    turn = iter(range(1000))
    run(
        reach,
        replace(PACING, max_steps=12),
        chunks=Chunks(act),
        person=lambda: np.zeros(3) if next(turn) == 3 else None,
    )
    assert asked == [0, 4]


def test_a_dry_run_does_everything_but_send(reach: Stage) -> None:
    before = reach.data.qpos.copy()
    told, steps = run(reach, replace(PACING, dry_run=True, max_steps=10))
    assert (told.reason, told.steps) == ("time limit", 10)
    assert not reach.arm.commands
    assert not reach.arm.stops
    np.testing.assert_array_equal(reach.data.qpos, before)
    assert all(step.applied.limited == ("dry run",) for step in steps)
    assert np.abs(steps[-1].wanted).max() > 0.05
    assert told.seconds == pytest.approx(0.4)


def test_limits_are_counted_by_name(reach: Stage) -> None:
    reach.arm.limited = ("hand speed", "acceleration")  # type: ignore[assignment]
    told, _ = run(reach)
    assert told.limited == {"hand speed": told.steps, "acceleration": told.steps}


def test_a_second_interrupt_while_it_brakes_stops_hard(reach: Stage) -> None:
    reach.arm.at[3] = fail(KeyboardInterrupt())
    stop, tried = reach.arm.stop, []

    def impatient(kind: str = "soft") -> None:
        tried.append(kind)
        if kind == "soft":
            raise KeyboardInterrupt
        stop(kind)  # type: ignore[arg-type]

    reach.arm.stop = impatient  # type: ignore[method-assign]
    told, _ = run(reach)
    assert told.reason == "interrupted"
    assert tried == ["soft", "hard"]


def test_an_arm_that_cannot_be_stopped_is_no_success(reach: Stage) -> None:
    def broken(kind: str = "soft") -> None:
        raise ArmError("the line is dead")

    reach.arm.stop = broken  # type: ignore[method-assign]
    told, _ = run(reach)
    assert (told.reason, told.detail) == ("arm error", "the line is dead")


def test_the_arm_is_stopped_also_where_the_program_is_told_to_exit(reach: Stage) -> None:
    reach.arm.at[3] = fail(SystemExit(3))
    with pytest.raises(SystemExit):
        run(reach)
    assert reach.arm.stops == ["soft"]


def test_what_is_believed_last_is_told(reach: Stage) -> None:
    ends: list[Belief | None] = []
    told, steps = run(reach, on_end=ends.append)
    assert ends[0] is not None
    assert ends[0] is not steps[-1].belief
    assert ends[0].success
    assert told.steps == len(steps)


def test_the_same_episode_again_is_the_same_to_the_bit() -> None:
    first, second = run(stage("reach", 4))[1], run(stage("reach", 4))[1]
    for mine, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(mine.wanted, other.wanted)
        np.testing.assert_array_equal(mine.belief.vector, other.belief.vector)


def test_every_reason_has_advice() -> None:
    for reason in outcomes._ADVICE:
        said = explain(Outcome(reason, "detail", ("error",), 3, 0.12, overruns=2))
        assert said.startswith(f"Ended by {reason} (error) after 3 steps, 0.1 s. Detail.")
        assert said.endswith("2 control periods were missed.")


def test_latency_is_told_by_its_quantiles() -> None:
    told = Latency.of([0.001 * i for i in range(1, 101)])
    assert told.median == pytest.approx(0.0505)
    assert (told.longest, told.count) == (0.1, 100)
    assert told.p99 == pytest.approx(0.09901)
    assert Latency.of([]).count == 0


@pytest.mark.parametrize(
    "values", [{"control_dt": 0.01}, {"control_dt": 0.2}, {"max_steps": 0}, {"hold": 0}, {"transport": 1.0}]
)
def test_a_pacing_that_makes_no_sense_is_refused(values: dict[str, float]) -> None:
    with pytest.raises(UserError):
        Pacing(**({"control_dt": 0.04, "max_steps": 10} | values))  # type: ignore[arg-type]


def test_where_a_soft_stop_fails_a_hard_one_is_tried(reach: Stage) -> None:
    stop, tried = reach.arm.stop, []

    def half(kind: str = "soft") -> None:
        tried.append(kind)
        if kind == "soft":
            raise ArmError("it does not brake")
        stop(kind)  # type: ignore[arg-type]

    reach.arm.stop = half  # type: ignore[method-assign]
    told, _ = run(reach)
    assert (told.reason, tried) == ("success", ["soft", "hard"])
