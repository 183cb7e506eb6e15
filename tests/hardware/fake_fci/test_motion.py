"""What a motion may ask for, and what is a reflex: every limit from both sides, in every kind of motion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import mujoco
import numpy as np
import pytest

from hardware.fake_fci.control import Control
from hardware.fake_fci.kinematics import Skeleton, difference, moved
from hardware.fake_fci.motion import OF_VELOCITIES
from hardware.fake_fci.physics import Physics
from hardware.fake_fci.planner import Planner
from hardware.fake_fci.udp import RobotCommand
from robot_learn.franka import ARMS, FER, FR3, HOME
from tests.hardware.fake_fci.conftest import table

DT = 0.001
Make = Callable[[int], dict[str, Any]]


def arm(q: tuple[float, ...] = HOME, kind: str = "fr3") -> Control:
    model = table(kind)
    data = mujoco.MjData(model)
    data.qpos[:7] = q
    return Control(Physics(model, data, ARMS[kind]))


def command(**given: Any) -> RobotCommand:
    zero = {"q": np.zeros(7), "dq": np.zeros(7), "pose": np.eye(4), "twist": np.zeros(6), "elbow": None}
    return RobotCommand(0, **{**zero, "tau": np.zeros(7), "motion_finished": False, "torque_finished": False, **given})


def follow(control: Control, generator: str, ticks: int, make: Make, controller: str = "joint_impedance") -> list[str]:
    """Do a motion; the outcomes that were answered."""
    outcomes: list[str] = []
    assert control.move(generator, controller, outcomes.append) == "motion_started"
    for tick in range(ticks):
        control.advance(command(**make(tick)))
        if control.motion is None:
            break
    return outcomes


def rising(acceleration: float, jerk: float, ticks: int) -> np.ndarray:
    """A velocity profile that starts smoothly and reaches an acceleration at a jerk."""
    rate = np.minimum(np.arange(1, ticks + 1) * jerk * DT, acceleration)
    return np.asarray(np.cumsum(rate) * DT)


def along(profile: np.ndarray, joint: int, tick: int) -> dict[str, Any]:
    """One joint's velocity at a tick."""
    return {"dq": profile[tick] * np.eye(7)[joint]}


def hold_elbow(pose: np.ndarray, elbow: list[float], tick: int) -> dict[str, Any]:
    return {"pose": pose, "elbow": np.array(elbow)}


@pytest.mark.parametrize("joint", range(7))
def test_accelerations_up_to_the_limit_are_followed_and_beyond_it_are_a_reflex(joint: int) -> None:
    for share, error in ((0.99, None), (1.05, "joint_motion_generator_velocity_discontinuity")):
        profile = rising(share * FR3.acceleration[joint], 1000.0, 60)
        control = arm()
        follow(control, "joint_velocity", 60, partial(along, profile, joint))
        assert control.errors == ((error,) if error else ())


@pytest.mark.parametrize("joint", range(7))
def test_jerks_up_to_the_limit_are_followed_and_beyond_it_are_a_reflex(joint: int) -> None:
    for share, error in ((0.99, None), (1.15, "joint_motion_generator_acceleration_discontinuity")):
        rate = share * FR3.jerk[joint] * DT  # an acceleration that is there at once
        control = arm()
        follow(control, "joint_velocity", 20, partial(along, rate * DT * np.arange(1, 21), joint))
        assert control.errors == ((error,) if error else ())


@pytest.mark.parametrize("joint", [0, 3, 4])
def test_velocities_up_to_the_bound_at_a_position_are_followed_and_beyond_it_are_a_reflex(joint: int) -> None:
    control = arm()
    profile = rising(9.0, 4000.0, 700)
    follow(control, "joint_velocity", 700, lambda tick: {"dq": profile[tick] * np.eye(7)[joint]})
    reached = control.reference.dq[joint]
    _, bound = FR3.velocity_bounds(control.reference.q)
    assert control.errors == ("joint_motion_generator_velocity_limits_violation",)
    assert reached <= bound[joint] + 0.02


def test_positions_are_differentiated_as_velocities_are_and_a_far_start_is_refused() -> None:
    q, profile = np.array(HOME), np.cumsum(rising(9.0, 4000.0, 100)) * DT
    control = arm()
    assert follow(control, "joint_position", 100, lambda tick: {"q": q + profile[tick] * np.eye(7)[6]}) == []
    np.testing.assert_allclose(control.reference.dq[6], (profile[-1] - profile[-2]) / DT, atol=1e-9)
    assert control.errors == ()
    control = arm()
    outcomes = follow(control, "joint_position", 5, lambda tick: {"q": q + 0.1})
    assert outcomes == ["reflex"]
    assert control.errors == ("joint_position_motion_generator_start_pose_invalid",)


def test_a_position_beyond_the_range_is_a_reflex() -> None:
    q = np.array(HOME)
    q[3] = FER.upper[3] - 0.0005
    control = arm(tuple(q), "fer")
    follow(control, "joint_position", 2000, lambda tick: {"q": q + 1e-6 * tick * np.eye(7)[3]})
    assert control.errors == ("joint_motion_generator_position_limits_violation",)
    assert control.reference.q[3] <= FER.upper[3]


@pytest.mark.parametrize("field", ["q", "dq", "pose", "twist", "tau"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_none_are_a_reflex_in_every_kind_of_motion(field: str, bad: float) -> None:
    kind = {
        "q": "joint_position",
        "dq": "joint_velocity",
        "pose": "cartesian_position",
        "twist": "cartesian_velocity",
        "tau": "none",
    }[field]
    control = arm()
    good = {"q": np.array(HOME), "pose": control.reference.pose}

    def make(tick: int) -> dict[str, Any]:
        values = np.array({**vars(command()), **good}[field], dtype=float)
        if tick == 3:
            values.flat[0] = bad
        return {field: values}

    assert follow(control, kind, 10, make, "external" if field == "tau" else "joint_impedance") == ["reflex"]
    assert len(control.errors) >= 1
    for _ in range(50):
        control.advance(None)
    assert np.all(np.isfinite(control.physics.sensed.q))


def circle(tick: int, ticks: int) -> np.ndarray:
    phase = np.pi * (1 - np.cos(np.pi * tick / ticks))
    return np.array([0.02 * np.sin(phase), 0.02 * (1 - np.cos(phase)), 0.0, 0.0, 0.05 * np.sin(phase), 0.0])


@pytest.mark.parametrize("controller", ["joint_impedance", "cartesian_impedance"])
def test_a_cartesian_path_is_followed_by_the_hand(controller: str) -> None:
    control = arm()
    begin, worst = control.reference.pose, 0.0

    def make(tick: int) -> dict[str, Any]:
        nonlocal worst
        worst = max(worst, np.abs(difference(control.physics.sensed.O_T_EE, control.reference.pose)).max())
        return {"pose": moved(begin, circle(tick, 1000))}

    assert follow(control, "cartesian_position", 1000, make, controller) == []
    assert control.errors == ()
    assert worst < 2e-3
    skeleton = Skeleton(control.physics.model)
    skeleton.move(control.reference.q)
    pose = skeleton.flange() @ control.physics.tool.F_T_EE
    np.testing.assert_allclose(pose, moved(begin, circle(999, 1000)), atol=1e-9)


def test_a_twist_moves_the_hand_by_its_integral() -> None:
    control = arm()
    begin = control.reference.pose
    speed = 0.1 * np.sin(np.pi * np.arange(500) / 499) ** 2
    direction = np.array([0.0, 1.0, 0.0, 0.0, 0.0, 2.0])
    assert follow(control, "cartesian_velocity", 500, lambda tick: {"twist": speed[tick] * direction}) == []
    np.testing.assert_allclose(difference(begin, control.reference.pose), direction * speed.sum() * DT, atol=1e-9)
    np.testing.assert_allclose(difference(begin, control.physics.sensed.O_T_EE), direction * 0.025, atol=1e-3)


@pytest.mark.parametrize(
    ("order", "error"),
    [
        (0, "cartesian_motion_generator_velocity_limits_violation"),
        (1, "cartesian_motion_generator_velocity_discontinuity"),
        (2, "cartesian_motion_generator_acceleration_discontinuity"),
    ],
)
@pytest.mark.parametrize("turning", [False, True])
def test_the_hand_has_limits_of_its_own(order: int, error: str, turning: bool) -> None:
    limits = FR3.rotation if turning else FR3.translation
    axis = np.eye(6)[5 if turning else 0]
    generators = arm().generators
    before = arm().reference
    # One tick with two derivatives small and one beyond its limit.
    for share in (0.999, 1.01):
        jerk = share * limits[2] if order == 2 else 0.0
        acceleration = share * limits[1] if order == 1 else 0.0
        speed = share * limits[0] if order == 0 else 0.0
        was = replace(
            before,
            twist=axis * (speed - (acceleration + jerk * DT) * DT),
            acceleration=axis * acceleration,
        )
        twist = axis * speed
        assert generators._cartesian_errors(was, twist, (twist - was.twist) / DT, OF_VELOCITIES) == (
            [] if share < 1 else [error]
        )


def test_an_elbow_is_held_where_it_is_commanded_and_its_rules_are_kept() -> None:
    control = arm()
    begin = control.reference.pose
    profile = 0.2 * (1 - np.cos(np.pi * np.arange(600) / 599)) / 2
    follow(
        control,
        "cartesian_position",
        600,
        lambda tick: {"pose": begin, "elbow": np.array([HOME[2] + profile[tick], -1.0])},
    )
    assert control.errors == ()
    assert control.reference.q[2] == pytest.approx(HOME[2] + 0.2, abs=1e-9)
    np.testing.assert_allclose(difference(begin, control.reference.pose), 0, atol=1e-9)
    for elbow, error in (
        ([HOME[2] + 0.5, -1.0], "cartesian_motion_generator_start_elbow_invalid"),
        ([HOME[2], 1.0], "cartesian_motion_generator_elbow_sign_inconsistent"),
        ([3.0, -1.0], "cartesian_motion_generator_elbow_limit_violation"),
    ):
        control = arm()
        follow(control, "cartesian_position", 3, partial(hold_elbow, begin, elbow))
        assert error in control.errors


def test_a_matrix_that_is_no_pose_and_a_pose_out_of_reach_are_reflexes() -> None:
    control = arm()
    follow(control, "cartesian_position", 3, lambda tick: {"pose": 2 * np.eye(4)})
    assert control.errors == ("cartesian_position_motion_generator_invalid_frame",)
    control = arm()
    far = moved(control.reference.pose, np.array([0, 0, 0.3, 0, 0, 0.0]))
    follow(control, "cartesian_position", 3, lambda tick: {"pose": far})
    assert control.errors == ("cartesian_position_motion_generator_start_pose_invalid",)
    control = arm()
    speeds = 0.5 * rising(2.0, 500.0, 4000).clip(max=0.6)
    follow(control, "cartesian_velocity", 4000, lambda tick: {"twist": speeds[tick] * np.eye(6)[0]})
    assert any(error.startswith("cartesian_motion_generator_joint_") for error in control.errors)


def test_a_motion_may_only_end_at_rest() -> None:
    control = arm()
    profile = rising(5.0, 2000.0, 50)
    outcomes = follow(
        control, "joint_velocity", 50, lambda tick: {"dq": profile[tick] * np.eye(7)[0], "motion_finished": tick == 49}
    )
    assert (outcomes, control.errors) == (["reflex"], ("joint_motion_generator_velocity_discontinuity",))
    control = arm()
    slow = 0.003 * np.array([0.3, 1.0, 1.0, 0.3, 0.0])  # the last tick has a derivative left
    outcomes = follow(
        control, "joint_velocity", 5, lambda tick: {"dq": slow[tick] * np.eye(7)[0], "motion_finished": tick == 4}
    )
    assert (outcomes, control.errors, control.mode) == (["success"], (), "idle")
    assert not control.reference.ddq.any()
    assert follow(control, "joint_velocity", 5, lambda tick: {}) == []  # which the next motion does not begin with
    assert control.errors == ()


def test_a_lost_command_is_replaced_by_the_last_acceleration_and_twenty_in_a_row_are_a_reflex() -> None:
    control = arm()
    outcomes: list[str] = []
    assert control.move("joint_velocity", "joint_impedance", outcomes.append) == "motion_started"
    profile = rising(2.0, 500.0, 100)
    for tick in range(100):
        control.advance(command(dq=profile[tick] * np.eye(7)[0]))
    dq, ddq = control.reference.dq[0], control.reference.ddq[0]
    for lost in range(1, 20):
        control.advance(None)
        assert control.reference.dq[0] == pytest.approx(dq + lost * ddq * DT)
        assert control.success_rate == pytest.approx((100 - lost) / 100)
        assert control.errors == ()
    control.advance(None)
    assert control.errors == ("communication_constraints_violation",)
    assert outcomes == ["reflex"]
    assert control.success_rate == 0.0


def test_after_a_reflex_the_arm_brakes_within_its_acceleration_and_then_holds() -> None:
    control = arm()
    profile = rising(8.0, 4000.0, 200)
    follow(control, "joint_velocity", 200, lambda tick: {"dq": profile[tick] * np.eye(7)[0]})
    control.reflex("communication_constraints_violation")
    speeds = []
    for _ in range(400):
        control.advance(None)
        speeds.append(control.reference.dq[0])
    assert np.all(np.abs(np.diff(speeds)) <= FR3.acceleration[0] * DT)
    assert speeds[-1] == 0.0
    assert np.abs(control.physics.sensed.dq).max() < 1e-3
    assert np.abs(control.physics.sensed.q - control.reference.q).max() < 1e-3


def test_targets_at_any_rate_are_reached_within_every_limit_and_without_overshoot() -> None:
    most = np.array([1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0])
    planner = Planner(np.zeros(7), most, 0.9 * FR3.acceleration, 0.9 * FR3.jerk)
    goal = np.array([0.5, -0.4, 0.3, 1e-5, 1.0, -1e-3, 0.0])
    planner.target = goal
    path = np.array([planner.step() for _ in range(1500)])
    velocity = np.diff(path, axis=0, prepend=0) / DT
    acceleration = np.diff(velocity, axis=0, prepend=0) / DT
    jerk = np.diff(acceleration, axis=0, prepend=0) / DT
    np.testing.assert_array_equal(path[-1], goal)
    assert np.all(np.abs(path) <= np.abs(goal) + 1e-12)
    assert np.all(np.abs(velocity) <= most + 1e-9)
    assert np.all(np.abs(acceleration) <= 0.9 * FR3.acceleration + 1e-6)
    assert np.all(np.abs(jerk) <= 0.9 * FR3.jerk + 1e-3)
    # As fast as a trapezoid of velocity, and the average's few ticks.
    fastest = 0.5 / 1.0 + 1.0 / 9.0
    assert int(np.argmax(path[:, 0] >= 0.5 - 1e-9)) * DT == pytest.approx(fastest, abs=0.01)


def test_targets_that_change_all_the_time_keep_every_limit_and_stopping_never_turns_back() -> None:
    rng = np.random.default_rng(0)
    most = np.full(7, 1.5)
    planner = Planner(np.zeros(7), most, 0.9 * FR3.acceleration, 0.9 * FR3.jerk)
    path = []
    for _ in range(60):
        planner.target = rng.uniform(-1, 1, 7)
        path += [planner.step() for _ in range(int(rng.integers(1, 80)))]
    moving = np.sign(path[-1] - path[-2])
    planner.stop()
    braking = [planner.step() for _ in range(400)]
    assert planner.at_rest
    assert np.all(np.diff([path[-1], *braking], axis=0)[20:] * moving >= -1e-12)
    velocity = np.diff([np.zeros(7), *path, *braking], axis=0) / DT
    acceleration = np.diff(velocity, axis=0) / DT
    assert np.all(np.abs(velocity) <= most + 1e-9)
    assert np.all(np.abs(acceleration) <= 0.9 * FR3.acceleration + 1e-6)
    assert np.all(np.abs(np.diff(acceleration, axis=0)) / DT <= 0.9 * FR3.jerk + 1e-3)


def test_an_asynchronous_motion_goes_to_its_target_at_its_velocity_and_ends_when_asked() -> None:
    control = arm()
    outcomes: list[str] = []
    assert control.move("joint_position", "joint_impedance", outcomes.append, np.full(7, 0.5)) == "motion_started"
    target = np.array(HOME) + 0.1
    control.advance(command(q=target))
    speeds = []
    for _ in range(600):  # and no command at all: nothing is lost
        control.advance(None)
        speeds.append(np.abs(control.reference.dq).max())
    assert (control.errors, control.success_rate) == ((), 1.0)
    assert max(speeds) == pytest.approx(0.5, abs=1e-9)
    np.testing.assert_allclose(control.reference.q, target, atol=1e-12)
    control.advance(command(motion_finished=True))
    for _ in range(5):
        control.advance(None)
    assert outcomes == ["success"]
    assert control.move("joint_position", "joint_impedance", outcomes.append, np.full(7, 9.0)) == "invalid_argument"


def test_a_target_beyond_the_range_is_a_reflex() -> None:
    control = arm()
    outcomes: list[str] = []
    control.move("joint_position", "joint_impedance", outcomes.append, np.full(7, 0.5))
    control.advance(command(q=np.full(7, 4.0)))
    assert control.errors == ("joint_motion_generator_position_limits_violation",)


def test_a_client_that_never_commands_has_a_second_and_then_loses_as_any_other() -> None:
    control = arm()
    outcomes: list[str] = []
    control.move("joint_velocity", "joint_impedance", outcomes.append)
    for _ in range(1000):
        control.advance(None)
    assert (control.mode, outcomes) == ("move", [])
    for _ in range(20):
        control.advance(None)
    assert (control.errors, outcomes) == (("communication_constraints_violation",), ["reflex"])


@pytest.mark.parametrize(
    ("torque", "error"), [(6.0, "joint_velocity_violation"), (12.5, "tau_j_range_violation")], ids=["fast", "strong"]
)
def test_torques_may_neither_make_a_joint_too_fast_nor_be_beyond_its_motor(torque: float, error: str) -> None:
    control = arm()
    follow(control, "none", 400, lambda tick: {"tau": min(torque, 0.99 * tick) * np.eye(7)[6]}, "external")
    assert control.errors == (error,)
    for _ in range(800):
        control.advance(None)
    assert np.abs(control.physics.sensed.dq).max() < 1e-3


def test_outside_of_its_range_an_arm_is_not_recovered_without_a_person() -> None:
    control = arm()
    control.physics.data.qpos[6] = FR3.upper[6] + 0.05
    control.physics.refresh()
    control.reflex("joint_position_limits_violation")
    assert control.recover() == "manual"
    assert control.mode == "reflex"
    control.physics.data.qpos[6] = 0.0
    control.physics.refresh()
    assert control.recover() == "success"
    assert (control.mode, control.errors) == ("idle", ())
