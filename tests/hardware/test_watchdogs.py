"""What the guard watches over: at rest in time when whoever commands is gone, whatever clocks and arms tell."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardware.arm import ArmError
from hardware.guard import Guard
from hardware.kinematics import forward
from hardware.limits import Box, Envelope
from robot_learn.errors import UserError
from robot_learn.franka import FR3
from tests.hardware.bench import UP, Bench, moving
from tests.hardware.drive import READY

PERIOD = Envelope().command_period


@pytest.mark.parametrize("clock", [0.001, 0.0, -0.5, 1e-6])
def test_when_the_commander_is_gone_the_arm_is_at_rest_in_time_whatever_the_clock_does(clock: float) -> None:
    bench = moving()
    bench.tick(round(2.5 * PERIOD / 0.001) - 1, clock)
    assert np.allclose(bench.q - READY, UP * 0.29, atol=0.01)  # until then it goes on
    bench.tick(round(bench.guard.stop_time / 0.001) + 2, clock)
    assert bench.guard.at_rest
    assert bench.limited == ("stale",)
    assert not bench.tick(round(7.5 * PERIOD / 0.001), clock).any()
    assert bench.guard.finished
    assert bench.accept("joint_velocity", UP) == "the motion is finished: start anew"
    assert not bench.tick(50).any()


@settings(max_examples=15, deadline=None)
@given(jumps=st.lists(st.floats(-1e6, 1e6) | st.sampled_from([np.nan, np.inf, -np.inf]), min_size=1, max_size=5))
def test_no_jump_of_the_clock_keeps_the_arm_moving(jumps: list[float]) -> None:
    bench = moving()
    for tick, jump in itertools.zip_longest(range(220), jumps, fillvalue=0.0):
        bench.number += 1
        bench.now += float(jump) + 0.001
        dq, _ = bench.guard.tick(bench.look(), bench.now)
        bench.q = bench.q + 0.001 * dq
        assert tick < 200 or not dq.any()
    assert bench.guard.at_rest


def test_a_forward_jump_of_the_clock_brakes_at_once() -> None:
    bench = moving()
    bench.tick(1, 5.0)
    assert bench.limited == ("stale",)
    bench.tick(100)
    assert bench.guard.finished


def test_a_fresh_command_in_time_goes_on() -> None:
    bench = moving()
    bench.tick(150)
    assert bench.limited == ("stale",)
    assert bench.accept("joint_velocity", UP) == ""
    bench.tick(60)
    assert np.allclose(bench.tick(), UP, atol=1e-9)


def test_before_the_first_command_the_arm_is_held() -> None:
    bench = Bench().start()
    assert not bench.tick(3000).any()
    assert bench.limited == ("no command",)
    assert bench.accept("joint_velocity", UP) == ""


def test_an_arm_whose_state_stands_still_is_braked() -> None:
    bench = moving()
    old = bench.look()
    for _ in range(100):
        bench.now += 0.001
        dq, limited = bench.guard.tick(old, old.received)  # also when it claims to be new
    assert not dq.any()
    assert limited == ("state stale",)


@pytest.mark.parametrize("name", ["q", "q_commanded"])
def test_an_arm_that_tells_what_is_not_finite_is_braked(name: str) -> None:
    bench = moving()
    bench.changes = {name: np.full(7, np.nan)}
    bench.tick(100)
    assert bench.guard.at_rest
    assert bench.limited == ("state not finite",)


def test_a_missing_heartbeat_holds_the_arm_until_it_beats_again() -> None:
    bench = Bench(needs_heartbeat=True).start()
    for _ in range(15):
        assert bench.accept("joint_velocity", UP) == ""
        bench.tick(25)
    assert bench.limited == ("heartbeat",)
    assert bench.guard.at_rest
    bench.guard.beat(bench.now)
    assert bench.accept("joint_velocity", UP) == ""
    bench.tick(80)
    assert np.allclose(bench.tick(), UP, atol=1e-9)


def test_a_clock_that_stands_does_not_replace_the_heartbeat() -> None:
    bench = Bench(needs_heartbeat=True).start()
    for _ in range(15):
        assert bench.accept("joint_velocity", UP) == ""
        bench.tick(25, 0.0)
    assert bench.limited == ("heartbeat",)


def test_a_release_ends_the_motion_within_the_limits() -> None:
    bench = moving()
    stop_time, before = bench.guard.stop_time, bench.tick()
    bench.guard.release()
    for _ in range(round(stop_time / 0.001)):
        after = bench.tick()
        assert (np.abs(after - before) <= 0.005 + 1e-9).all()
        before = after
    assert bench.guard.finished


# What the arm says of itself.


def test_an_arm_in_reflex_is_sent_nothing_and_the_command_is_forgotten() -> None:
    bench = moving()
    bench.state = "reflex"
    assert not bench.tick().any()
    assert bench.limited == ("arm is in state reflex",)
    bench.state = "moving"
    assert not bench.tick(50).any()
    assert bench.guard.finished


@pytest.mark.parametrize(("apart", "calls"), [(9.0, True), (11.0, False)])
def test_two_reflexes_within_ten_seconds_call_for_a_person(apart: float, calls: bool) -> None:
    bench = Bench().start()
    for _ in range(2):
        bench.state = "reflex"
        bench.tick(3)
        bench.state = "idle"
        bench.number += round(apart / 0.001)
        bench.tick()
    if not calls:
        bench.start()
        return
    with pytest.raises(ArmError, match="two reflexes within 10 s; look why"):
        bench.start()
    with pytest.raises(ArmError, match="two reflexes"):
        bench.accept("joint_velocity", UP)
    bench.guard.acknowledge()
    bench.start()


def test_a_low_success_rate_is_warned_of() -> None:
    bench = moving()
    bench.changes = {"success_rate": 0.85}
    told = []
    for _ in range(2):
        bench.tick()
        told.append(bench.guard.warnings)
        bench.changes = {}
    assert told == [("only 85% of commands reach the arm in time",), ()]


def test_the_reference_is_where_the_arm_says_it_was_sent() -> None:
    """As when commands were lost: the arm stands elsewhere than we thought, and its margin is counted from there."""
    bench = Bench().start()
    bench.q = READY.copy()
    bench.q[6] = FR3.upper[6] - 0.1 - 0.001
    for _ in range(10):
        assert bench.accept("joint_velocity", np.eye(7)[6]) == ""
        bench.tick(20)
    assert bench.q[6] <= FR3.upper[6] - 0.1
    assert "joint range" in bench.limited


def test_an_arm_that_stands_outside_of_its_workspace_is_not_started() -> None:
    keep_out = (Box((0.4, -0.1, 0.2), (0.5, 0.1, 0.3), name="vase"),)
    with pytest.raises(ArmError, match=r"the fingertip at .* is inside vase.*guide the arm back"):
        Bench(Envelope(keep_out=keep_out)).start()


@pytest.mark.parametrize("state", ["reflex", "user_stopped", "guiding"])
def test_an_arm_in_no_state_to_move_is_not_started(state: str) -> None:
    bench = Bench()
    bench.state = state
    with pytest.raises(ArmError, match=f"state '{state}'"):
        bench.start()


def test_an_envelope_that_is_looser_than_published_makes_no_guard() -> None:
    with pytest.raises(UserError, match="joint_margin"):
        Guard(FR3, Envelope(joint_margin=0.0))


# Streams.


@settings(max_examples=15, deadline=None)
@given(
    events=st.lists(
        st.tuples(
            st.sampled_from(["velocity", "position", "twist", "pose", "junk", "silence", "lag", "jump", "push"]),
            st.floats(-2.0, 1.5),
            st.integers(1, 60),
        ),
        min_size=1,
        max_size=12,
    ),
    seed=st.integers(0, 2**20),
)
def test_no_stream_of_commands_clocks_and_states_gets_past_a_limit_or_leaves_the_arm_moving(
    events: list[tuple[str, float, int]], seed: int
) -> None:
    rng, bench = np.random.default_rng(seed), Bench().start()
    before, ddq_before = np.zeros(7), np.zeros(7)

    def ticks(count: int, clock: float = 0.001) -> None:
        nonlocal before, ddq_before
        for _ in range(count):
            dq = bench.tick(1, clock)
            ddq = (dq - before) / 0.001
            assert (np.abs(dq) <= 0.5 * FR3.velocity + 1e-9).all()
            assert (np.abs(ddq) <= 0.5 * FR3.acceleration + 1e-6).all()
            assert (np.abs(ddq - ddq_before) / 0.001 <= 0.5 * FR3.jerk + 1e-3).all()
            assert (bench.q <= FR3.upper - 0.1).all()
            assert (bench.q >= FR3.lower + 0.1).all()
            before, ddq_before = dq, ddq

    for kind, size, count in events:
        bench.changes = {}
        match kind:
            case "velocity":
                bench.accept("joint_velocity", 10**size * rng.normal(size=7))
            case "position":
                bench.accept("joint_position", bench.q + size * rng.uniform(-1, 1, 7))
            case "twist":
                bench.accept("twist", 10**size * rng.normal(size=6))
            case "pose":
                bench.accept("pose", forward(bench.q + 0.2 * rng.uniform(-1, 1, 7)))
            case "junk":
                bench.accept("joint_velocity", np.full(7, np.nan))
                bench.changes = {"q": np.full(7, np.inf)}
            case "lag":
                bench.changes = {"sequence": bench.number, "received": bench.now}
            case "jump":
                bench.now += size
            case "push":
                bench.changes = {"q": bench.q + 0.1 * rng.normal(size=7)}
        ticks(count)
    bench.changes = {}
    ticks(round(10 * PERIOD / 0.001) + 200)
    assert bench.guard.at_rest
