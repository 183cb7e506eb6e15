from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hardware.arm import Arm, ArmError, Command
from hardware.recorded import RecordedArm, connect, load, save
from hardware.records import STATES, TICK
from robot_learn.errors import UserError


def episode(count: int = 100) -> np.ndarray:
    """A turn of joint 1 at 0.1 rad/s that something limits in its second half and contact ends."""
    ticks = np.zeros(count, TICK)
    ticks["sequence"] = np.arange(count) + 1000
    ticks["time"] = ticks["sequence"] / 1000
    ticks["dq_sent"][:, 0] = 0.1
    ticks["q"][:, 0] = ticks["q_commanded"][:, 0] = 0.0001 * np.arange(count)
    ticks["T_base_ee"] = np.eye(4)
    ticks["external_wrench"][:, 2] = np.linspace(0, -30, count)
    ticks["state"] = STATES.index("moving")
    ticks["state"][-5:] = STATES.index("reflex")
    ticks["errors"][-5:] = b"cartesian_reflex"
    ticks["limited"][count // 2 :] = b"hand speed,joint range"
    ticks["limited"][-5:] = b"joint range"
    ticks["success_rate"], ticks["opening"] = 1.0, 0.04
    return ticks


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "episode.npz"
    save(path, episode(), "fr3")
    return path


def test_what_is_saved_comes_back_to_the_bit(file: Path) -> None:
    ticks, arm = load(file)
    assert arm == "fr3"
    written = episode()
    for name in TICK.names or ():
        if name not in ("limited",):
            assert np.array_equal(ticks[name], written[name]), name
    assert [set(text.split(b",")) for text in ticks["limited"]] == [set(t.split(b",")) for t in written["limited"]]


def test_the_file_says_what_its_bits_mean(file: Path) -> None:
    with np.load(file) as columns:
        listed = columns["limited_names"].tolist()
        assert sorted(listed) == ["hand speed", "joint range"]
        assert columns["limited"][0] == 0
        assert columns["limited"][60] == 0b11
        assert columns["limited"][-1] == 1 << listed.index("joint range")
        assert columns["state_names"][columns["state"][0]] == "moving"


def test_the_player_shows_what_was_and_compares_what_is_wanted(file: Path) -> None:
    with connect(str(file)) as arm:
        assert isinstance(arm, Arm)
        arm.start()
        first = arm.observe()
        assert (first.state, first.time, first.gripper is not None) == ("moving", 1.0, True)
        arm.command(Command("joint_velocity", np.array([0.1, 0, 0, 0, 0, 0, 0]), first.received))
        arm.wait(0.04)
        second = arm.observe()
        assert second.sequence == first.sequence + 40
        assert second.received - first.received == pytest.approx(0.04)
        arm.command(Command("joint_velocity", np.array([0.1, 0, 0.2, 0, 0, 0, 0]), second.received))
        arm.wait(0.02)
        applied = arm.command(Command("joint_velocity", np.zeros(7), arm.observe().received))
        assert set(applied.limited) == {"hand speed", "joint range"}
        assert [round(pair.difference, 9) for pair in arm.compared] == [0.0, 0.2]


def test_a_stop_that_was_recorded_stops_the_player_too(file: Path) -> None:
    arm = connect(str(file))
    arm.start()
    arm.wait(0.096)
    assert arm.observe().errors == ("cartesian_reflex",)
    with pytest.raises(ArmError, match="cartesian_reflex") as raised:
        arm.command(Command("joint_velocity", np.zeros(7), arm.observe().received))
    assert not raised.value.recoverable
    with pytest.raises(ArmError, match="start it first"):
        arm.command(Command("joint_velocity", np.zeros(7), arm.observe().received))
    with pytest.raises(ArmError, match="a person must look first"):
        arm.recover()
    with pytest.raises(ArmError, match=r"ended after 0\.099 s"):
        arm.wait(0.01)


def test_no_command_is_taken_before_the_start() -> None:
    arm = RecordedArm(episode(), "fr3")
    with pytest.raises(ArmError, match="start it first"):
        arm.command(Command("joint_velocity", np.zeros(7), 0.0))


def test_what_is_no_recording_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no recording of an arm"):
        load(tmp_path / "missing.npz")
    text = tmp_path / "text.npz"
    text.write_text("hello")
    with pytest.raises(UserError, match=r"text\.npz: no recording of an arm"):
        load(text)
    other = tmp_path / "other.npz"
    np.savez(other, time=np.zeros(3))
    with pytest.raises(UserError, match=r"it has no sequence, q, "):
        load(other)
    save(tmp_path / "none.npz", episode()[:0], "fr3")
    with pytest.raises(UserError, match="no ticks"):
        load(tmp_path / "none.npz")
