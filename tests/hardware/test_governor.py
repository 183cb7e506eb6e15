"""The governor against streams that nobody would send: every limit, measured as the arm's controller measures it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hardware.governor import OFF, Governor, peak_speed
from hardware.kinematics import TIP, Kinematics
from hardware.limits import Box, Envelope
from hardware.target import Here, Target
from robot_learn.errors import UserError
from robot_learn.franka import ARMS, FR3
from tests.hardware.drive import READY, ROUNDING, Drive, envelope, postures_inside

BOXES = (Box((0.45, -0.1, 0.0), (0.6, 0.1, 0.3)), Box((0.2, 0.3, 0.3), (0.4, 0.4, 0.6), ("elbow", "fingertip")))
envelopes = st.builds(
    envelope,
    velocity_share=st.sampled_from([0.3, 0.5, 1.0]),
    acceleration_share=st.sampled_from([0.2, 0.5, 1.0]),
    jerk_share=st.sampled_from([0.3, 0.5, 1.0]),
    hand_speed=st.sampled_from([0.1, 0.25, 1.0]),
    lead=st.sampled_from([0.03, 0.05, 0.3]),
    joint_margin=st.sampled_from([0.1, 0.2]),
    keep_out=st.sampled_from([(), BOXES]),
)
# Of a segment of a stream: what is wanted, how much of it, for how many ticks, and whether the arm is held fast.
kinds = st.sampled_from(["noise", "steady", "slam", "hand", "spare", "nan", "inf", "nothing"])
segments = st.tuples(kinds, st.floats(-2.0, 2.0), st.integers(1, 100), st.booleans())


def wanted_of(kind: str, size: float, fixed: np.ndarray, tick: int, q: np.ndarray, rng: np.random.Generator) -> Any:
    """(7,) [rad/s]"""
    scale = 10.0**size
    match kind:
        case "noise":
            return scale * rng.normal(size=7)
        case "steady":
            return scale * fixed
        case "slam":
            return scale * np.sign(fixed) * (1 if tick // 11 % 2 else -1)
        case "nan" | "inf":
            return np.where(fixed > 0, float(kind), fixed)
        case "nothing":
            return np.zeros(7)
    kinematics = Kinematics()
    kinematics.place(q)
    J, fixed = kinematics.jacobian()[:3], fixed.copy()
    if kind == "hand":  # straight through whatever stands there
        return np.linalg.pinv(J) @ fixed[:3] * min(scale, 3.0)
    return scale * (fixed - np.linalg.pinv(J) @ (J @ fixed))  # elbow and wrist swing about a hand that stays


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    name=st.sampled_from(sorted(ARMS)),
    allowed=envelopes,
    tick=st.sampled_from([0.001, 0.001, 0.002, 0.01]),
    stream=st.lists(segments, min_size=1, max_size=8),
    seed=st.integers(0, 2**20),
    ahead=st.booleans(),
)
def test_no_stream_gets_past_a_limit_and_it_can_always_stop(
    name: str, allowed: Envelope, tick: float, stream: list[tuple[str, float, int, bool]], seed: int, ahead: bool
) -> None:
    rng = np.random.default_rng(seed)
    try:
        governor = Governor(ARMS[name], allowed, tick)
    except UserError:
        return  # a margin that is too small for such shares; test_limits.py has it
    drive = Drive(governor, next(postures_inside(ARMS[name], allowed, rng)), ahead)
    for kind, size, ticks, held in stream:
        fixed, there = rng.normal(size=7), drive.q.copy()
        for number in range(ticks):
            drive.step(wanted_of(kind, size, fixed, number, drive.q, rng), there if held else None)
            drive.check()
            if held:  # the arm does not move at all, so its reference must not get far
                assert np.abs(drive.q - there).max() <= allowed.lead + ROUNDING
    stops_in = governor.stop_time
    taken = 0
    while not governor.at_rest:
        drive.brake()
        drive.check()
        taken += 1
        assert taken <= round(stops_in / tick)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**20), jumps=st.lists(st.floats(-3.0, 3.0), min_size=1, max_size=6), ahead=st.booleans())
def test_wherever_the_measured_joints_jump_what_is_sent_keeps_its_limits(
    seed: int, jumps: list[float], ahead: bool
) -> None:
    rng = np.random.default_rng(seed)
    drive = Drive(Governor(FR3, envelope()), READY.copy(), ahead)
    for jump in jumps:
        away, wanted = jump * rng.normal(size=7), rng.normal(size=7)
        for _ in range(60):
            drive.step(wanted, drive.q + away)
            drive.check()


def unshaped(_: Target, here: Here, wanted: np.ndarray, velocity: list[float]) -> tuple[list[float], list[str]]:
    return wanted.tolist(), []


def wild_drives(count: int, ticks: int, ahead: bool = False) -> Iterator[Drive]:
    """After random streams, far too fast, among boxes."""
    rng = np.random.default_rng(0)
    for _ in range(count):
        allowed = envelope(keep_out=BOXES, hand_speed=1.0, lead=0.3)
        drive = Drive(Governor(FR3, allowed), next(postures_inside(FR3, allowed, rng)), ahead)
        for tick in range(ticks):
            if tick % 300 == 0:
                wanted = 3 * rng.normal(size=7)
            drive.step(wanted)
        yield drive


@pytest.mark.parametrize("ahead", [False, True])
def test_limits_are_kept_also_when_targets_are_not_shaped_at_all(ahead: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Target, "__call__", unshaped)
    for drive in wild_drives(4, 700, ahead):
        drive.check()


def test_the_same_streams_break_limits_when_braking_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Target, "__call__", unshaped)
    monkeypatch.setattr(Governor, "_forbids", lambda *_: "")
    broken: set[str] = set()
    for drive in wild_drives(4, 700):
        broken |= {name for name, share in drive.worst.items() if share > 1 + ROUNDING}
        broken |= {"walls"} if drive.clearance < 0 else set()
    assert broken == {"walls", "hand speed", "velocity", "published velocity"}  # but never acceleration and jerk


def test_from_rest_a_joint_follows_the_ramp_and_its_moving_average() -> None:
    governor = Governor(FR3, envelope())
    ramp, sent = [0.0, 0.0, 0.0], []
    here = governor.look(READY, READY)
    for tick in range(30):
        sent.append(governor.step(here, np.eye(7)[6] * 0.1)[0][6])
        ramp.append(min(0.1, (tick + 1) * 0.005))
    expected = np.convolve(ramp, np.full(4, 0.25), mode="valid")
    np.testing.assert_allclose(sent, expected, atol=1e-6)


def test_braking_takes_the_time_and_the_way_that_were_predicted() -> None:
    drive = Drive(Governor(FR3, envelope()), READY.copy())
    for _ in range(300):
        drive.step(np.array([0.3, 0.0, -0.2, 0.0, 0.1, 0.0, 0.2]))
    v = drive.governor.brake()
    ticks, before = round(drive.governor.stop_time / 0.001), drive.q.copy()
    way = [v]
    for left in range(ticks, 0, -1):
        assert drive.governor.stop_time == pytest.approx(left * 0.001)
        way.append(drive.governor.brake())
    assert drive.governor.at_rest
    assert not way[-1].any()
    # From 0.3 rad/s at 5 rad/s^2: 60 ms and 9 mrad, and 1.5 ms more of the filter's delay.
    covered = 0.001 * np.sum(way, axis=0)
    np.testing.assert_allclose(covered, np.array([0.3, 0, -0.2, 0, 0.1, 0, 0.2]) * (0.030 + 0.0015), atol=4e-4)
    assert (before == drive.q).all()


def test_a_joint_that_is_sent_past_its_range_comes_to_rest_at_the_margin() -> None:
    wide = envelope(workspace=())
    drive = Drive(Governor(FR3, wide), READY.copy())
    for _ in range(4200):
        limited = drive.step(np.eye(7)[6] * 2.0)
    assert "joint range" in limited
    assert 0 <= FR3.upper[6] - 0.1 - drive.q[6] < 1e-3
    drive.check()


def test_the_hand_is_as_fast_as_it_may_be_and_no_faster() -> None:
    drive = Drive(Governor(FR3, envelope(lead=0.3, workspace=())), READY.copy())
    for _ in range(500):
        limited = drive.step(np.eye(7)[0] * 1.3)
    assert "hand speed" in limited
    assert 0.95 < drive.worst["hand speed"] <= 1.0


def test_joint_motions_that_cancel_at_the_hand_keep_cancelling() -> None:
    governor, kinematics = Governor(FR3, envelope()), Kinematics()
    q = READY.copy()
    for _ in range(400):
        kinematics.place(q)
        J = kinematics.jacobian()
        spare = np.linalg.svd(J)[2][-1]
        spare *= np.sign(spare[0])
        sent, _ = governor.step(governor.look(q, q), 3.0 * spare)
        # The filter's delay of 1.5 ms is all that is left of the hand's motion.
        assert np.abs(J @ sent).max() < 5e-3 * np.abs(sent).max() + 1e-9
        q = q + 0.001 * sent
    assert np.abs(q - READY).max() > 0.05


def test_pressing_on_the_table_neither_slides_nor_tilts_the_hand() -> None:
    drive, kinematics = Drive(Governor(FR3, Envelope()), READY.copy()), Kinematics()
    kinematics.place(READY)
    start = kinematics.T_base_ee()
    named: set[str] = set()
    for _ in range(2500):
        kinematics.place(drive.q)
        J = kinematics.jacobian()
        named.update(drive.step(np.linalg.pinv(J) @ np.array([0, 0, -0.2, 0, 0, 0])))
    kinematics.place(drive.q)
    end = kinematics.T_base_ee()
    assert "workspace" in named
    assert 0.01 <= end[2, 3] < 0.012
    np.testing.assert_allclose(end[:2, 3], start[:2, 3], atol=2e-3)
    np.testing.assert_allclose(end[:3, :3], start[:3, :3], atol=5e-3)


def test_what_was_thought_out_for_another_reference_does_not_fit() -> None:
    governor = Governor(FR3, envelope())
    kept = governor.keep(governor.look(READY, READY))
    assert governor.again(kept, READY + OFF / 2, READY) is not None
    assert governor.again(kept, READY + 2 * OFF, READY) is None
    assert governor.again(kept, np.full(7, np.nan), READY) is None


def test_along_the_table_the_hand_slides_as_it_was_told() -> None:
    drive, kinematics = Drive(Governor(FR3, Envelope()), READY.copy()), Kinematics()
    for tick in range(2500):
        kinematics.place(drive.q)
        if tick == 2000:
            before = kinematics.points[TIP].copy()
        twist = np.array([0, 0.2 if tick >= 2000 else 0.0, -0.2, 0, 0, 0])
        drive.step(np.linalg.pinv(kinematics.jacobian()) @ twist)
    kinematics.place(drive.q)
    slid = kinematics.points[TIP] - before
    np.testing.assert_allclose(slid[[0, 2]], 0.0, atol=1e-3)
    assert 0.085 < slid[1] < 0.1  # 0.5 s at 0.2 m/s, less what it takes to get there


def test_an_arm_that_is_held_fast_stops_its_reference_within_the_lead() -> None:
    drive = Drive(Governor(FR3, envelope()), READY.copy())
    for _ in range(400):
        drive.step(np.eye(7)[6] * 1.0)
    there = drive.q.copy()
    for _ in range(400):
        limited = drive.step(np.eye(7)[6] * 1.0, there)
    assert "lead" in limited
    assert 0.045 < drive.q[6] - there[6] <= 0.05


def test_a_joint_beyond_its_margin_may_only_come_back() -> None:
    start = READY.copy()
    start[6] = FR3.upper[6] - 0.05
    governor, q = Governor(FR3, envelope(workspace=())), start.copy()
    for wanted, outward in ((1.0, True), (-0.3, False), (1.0, True)):
        for _ in range(200):
            before = q[6]
            sent, limited = governor.step(governor.look(q, q), np.eye(7)[6] * wanted)
            q = q + 0.001 * sent
            if before > FR3.upper[6] - 0.1 + 1e-3 and sent[6] > 0:
                pytest.fail("it went further out")
        assert ("joint range" in limited) == outward
    assert q[6] <= FR3.upper[6] - 0.1


def test_a_joint_that_a_person_pushed_out_of_its_range_is_not_driven_further_out() -> None:
    governor, q = Governor(FR3, envelope(workspace=(), lead=0.3)), READY.copy()
    q[6] = FR3.upper[6] - 0.2
    pushed = q + np.eye(7)[6] * 0.15  # measured 0.05 beyond the margin
    for _ in range(300):
        sent, limited = governor.step(governor.look(q, pushed), np.eye(7)[6])
        q = q + 0.001 * sent
        assert sent[6] <= 0.0
    assert "joint range" in limited


def test_a_point_beyond_a_wall_may_only_come_back() -> None:
    kinematics = Kinematics()
    kinematics.place(READY)
    tip = kinematics.points[TIP]
    walls = (Box((-1.0, -1.0, -1.0), (float(tip[0]) - 0.03, 1.0, 2.0), ("fingertip",)),)  # 3 cm behind where it is
    for wanted, moves in ((0.1, False), (-0.1, True)):
        governor, q, before = Governor(FR3, envelope(workspace=walls)), READY.copy(), float(tip[0])
        for _ in range(600):
            kinematics.place(q)
            x = float(kinematics.points[TIP][0])
            assert x <= before + 1e-9
            before = x if x > tip[0] - 0.03 else before
            push = np.linalg.pinv(kinematics.jacobian()) @ np.array([wanted, 0, 0, 0, 0, 0])
            q = q + 0.001 * governor.step(governor.look(q, q), push)[0]
        kinematics.place(q)
        assert (kinematics.points[TIP][0] < READY[0] + 0.45 - 0.031) == moves


def test_what_is_not_finite_brakes_and_is_named() -> None:
    drive = Drive(Governor(FR3, envelope()), READY.copy())
    for _ in range(100):
        drive.step(np.full(7, 0.1))
    for bad in (np.nan, np.inf, -np.inf, 1e308):
        assert "not finite" in drive.step(np.full(7, bad)) or bad == 1e308
    mixed = np.zeros(7)
    mixed[:2] = np.inf, -np.inf
    for _ in range(40):
        assert "not finite" in drive.step(mixed)
    assert drive.governor.at_rest
    drive.check()


def test_the_same_stream_gives_the_same_motion_to_the_bit() -> None:
    ends = []
    for _ in range(2):
        rng = np.random.default_rng(3)
        drive = Drive(Governor(FR3, envelope(keep_out=BOXES)), READY.copy())
        for _ in range(300):
            drive.step(rng.normal(size=7))
        ends.append(drive.q)
    assert (ends[0] == ends[1]).all()


@settings(max_examples=50, deadline=None)
@given(speed=st.floats(0, 2), gain=st.floats(0, 20))
def test_the_peak_speed_is_the_largest_value_by_brute_force(speed: float, gain: float) -> None:
    x = np.linspace(0, 1, 20001)
    assert peak_speed(speed, gain) == pytest.approx(((1 - x) * (speed + gain * x)).max(), abs=1e-6)


def test_a_preview_is_what_a_steady_command_comes_to() -> None:
    drive = Drive(Governor(FR3, envelope()), READY.copy())
    wanted = np.array([0.3, 0.1, 0.0, 0.1, 0.0, 0.0, 0.2])
    previewed, _ = drive.governor.preview(drive.governor.look(READY, READY), wanted)
    for _ in range(120):
        drive.step(wanted)
    sent = drive.governor.brake()
    np.testing.assert_allclose(sent, previewed, atol=0.02)
    assert drive.governor.at_rest is False
