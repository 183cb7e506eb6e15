"""Each thing that may go wrong, as a client sees it, and the scripts that make it happen."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest

from hardware.fake_fci import Fault, Remote
from hardware.fake_fci.faults import KINDS, Script, load
from hardware.fake_fci.remote import listening
from robot_learn.errors import UserError
from sims.franka.physical import physical_world
from tests.hardware.fake_fci.client import GUIDING, IDLE, MOVE, REFLEX, USER_STOPPED, Client
from tests.hardware.fake_fci.conftest import Connect, Start, free_address

COMMUNICATION, CARTESIAN, JOINT = 25, 7, 6


def flags(state: object) -> list[int]:
    return [i for i, flag in enumerate(state.errors) if flag]  # type: ignore[attr-defined]


def still(tick: int) -> dict[str, object]:
    return {}


@pytest.mark.parametrize(("lasts", "ends"), [(0.015, False), (0.03, True)])
def test_a_stall_of_twenty_commands_ends_the_motion_and_a_shorter_one_does_not(
    lasts: float, ends: bool, connect: Connect
) -> None:
    client = connect(faults=(Fault("stall", at=0.05, lasts=lasts),))
    moving = client.move(1)
    states = client.follow(200, still)
    assert client.answer(moving)[0] == (8 if ends else 0)
    if ends:
        assert flags(client.until(REFLEX)) == [COMMUNICATION]
        assert len(states) == pytest.approx(70, abs=4)  # 50 ticks, then 20 lost ones
    else:
        assert min(s.control_command_success_rate for s in states[60:]) == pytest.approx(50 / 65, abs=0.02)


def test_lost_packets_lower_the_success_rate_and_the_same_seed_loses_the_same(connect: Connect) -> None:
    def run(seed: int) -> list[float]:
        client = connect(faults=(Fault("loss", at=0.01, lasts=10.0, share=0.1, seed=seed),))
        moving = client.move(1)
        states = client.follow(300, still)
        assert client.answer(moving) == b"\0"
        return [s.control_command_success_rate for s in states]

    first = run(0)
    assert np.mean(first[150:]) == pytest.approx(0.9, abs=0.05)
    assert first == run(0)
    assert first != run(1)


def test_a_push_is_felt_and_stops_the_arm_at_its_threshold(connect: Connect) -> None:
    client = connect(faults=(Fault("push", at=0.05, lasts=0.2, force=(0.0, 0.0, -30.0)),))
    thresholds = np.repeat([10.0, 50.0, 10.0, 50.0, 10.0, 20.0, 10.0, 20.0], [7] * 4 + [6] * 4)
    assert client.status("SetCollisionBehavior", "<52d", *thresholds) == 0
    moving = client.move(1)
    states = client.follow(200, still, finish=False)
    assert client.answer(moving) == b"\x08"
    assert flags(states[-1]) == [CARTESIAN]
    assert max(s.O_F_ext_hat_K[2] for s in states) > 20.0
    assert any(s.cartesian_contact[2] for s in states if s.robot_mode == MOVE)


def test_a_push_on_the_elbow_is_a_joint_reflex(connect: Connect) -> None:
    client = connect(faults=(Fault("push", at=0.02, lasts=0.3, force=(0.0, 80.0, 0.0), body="link4"),))
    thresholds = np.repeat([3.0, 6.0, 3.0, 6.0, 100.0, 200.0, 100.0, 200.0], [7] * 4 + [6] * 4)
    assert client.status("SetCollisionBehavior", "<52d", *thresholds) == 0
    client.move(1)
    states = client.follow(200, still, finish=False)
    assert flags(states[-1]) == [JOINT]


def test_a_user_stop_ends_the_motion_refuses_others_and_is_released(connect: Connect) -> None:
    client = connect(faults=(Fault("user_stop", at=0.05, lasts=0.3),))
    moving = client.move(1)
    states = client.follow(200, still, finish=False)
    assert client.answer(moving) == b"\x09"  # emergency
    assert states[-1].robot_mode == USER_STOPPED
    assert not any(states[-1].errors)
    assert client.status("Move", "<II6dB7d", 0, 1, *[1.0] * 6, 0, *[0.0] * 7) == 5
    assert client.status("AutomaticErrorRecovery") == 1
    client.until(IDLE)
    client.move(1)


def test_a_guided_arm_gives_way_and_stays_where_it_was_led(connect: Connect) -> None:
    push = Fault("push", at=0.01, lasts=0.2, force=(20.0, 0.0, 0.0))
    client = connect(faults=(Fault("guiding", at=0.01, lasts=0.4), push))
    before = client.fresh()
    moving = client.move(1)
    client.follow(50, still, finish=False)
    assert client.answer(moving) == b"\2"
    client.until(GUIDING)
    client.until(IDLE)
    after = client.fresh()
    assert after.O_T_EE[12] - before.O_T_EE[12] > 0.02
    np.testing.assert_allclose(after.q_d, after.q, atol=1e-3)


def test_silence_means_no_states_and_then_lost_commands(connect: Connect) -> None:
    client = connect(faults=(Fault("silence", at=0.02, lasts=0.05),))
    moving = client.move(1)
    states = client.follow(100, still, finish=False)
    assert client.answer(moving) == b"\x08"
    ids = [s.message_id for s in states]
    assert max(np.diff(ids)) >= 20
    assert flags(client.until(REFLEX)) == [COMMUNICATION]


def test_a_killed_controller_resets_everything_and_is_gone(connect: Connect) -> None:
    client = connect(faults=(Fault("kill", at=0.05),))
    arm = client.arm  # type: ignore[attr-defined]
    client.timeout = 0.2
    client.move(1)
    with pytest.raises(TimeoutError):
        client.follow(200, still)
    with pytest.raises(OSError, match=r"reset|pipe"):
        client.ask("StopMove")
    with pytest.raises(OSError, match="refused"):
        Client(arm.address)
    assert not arm.running
    assert arm.state()["mode"] == "idle"  # what was the last is still told


def test_a_client_that_falls_silent_is_waited_for_only_so_long(connect: Connect) -> None:
    client = connect(patience=0.2)
    assert client.fresh().control_command_success_rate == 0.0
    moving = client.move(1)
    client.follow(20, still, finish=False)
    started = time.monotonic()
    assert client.answer(moving) == b"\x08"
    assert 0.15 < time.monotonic() - started < 2.0
    assert flags(client.until(REFLEX)) == [COMMUNICATION]


def test_in_real_time_an_answer_to_an_old_state_is_a_lost_one(connect: Connect) -> None:
    client = connect(lockstep=False)
    moving = client.move(1)
    client.command(client.state().message_id)
    for _ in range(60):
        client.command(client.state().message_id - 3)
    assert client.answer(moving) == b"\x08"
    assert flags(client.until(REFLEX)) == [COMMUNICATION]


def test_in_real_time_a_tick_is_a_millisecond(connect: Connect) -> None:
    client = connect(lockstep=False)
    arm = client.arm  # type: ignore[attr-defined]
    first, late, started = client.fresh().message_id, arm.state()["late"], time.monotonic()
    time.sleep(0.5)
    last, late, took = client.fresh().message_id, arm.state()["late"] - late, time.monotonic() - started
    # Slower only by what the machine was late, which is told.
    assert (last - first) * 0.001 + late == pytest.approx(took, abs=0.05)


def test_a_reset_preempts_the_motion_and_puts_the_task_at_its_start(start: Start) -> None:
    world = physical_world("pick-cube")
    arm = start(model=world.model, data=world.data, start=world.start, success=world.success)
    with Client(arm.address) as client, listening(arm), Remote(arm.address) as remote:
        client.state()
        moving = client.move(1)
        client.follow(20, still, finish=False)
        remote.reset(7)
        assert client.answer(moving) == b"\2"
        wanted = physical_world("pick-cube")
        wanted.start(7)
        np.testing.assert_allclose(remote.state()["q"], wanted.data.qpos[:7], atol=1e-12)
        assert remote.state()["mode"] == "idle"
        assert not remote.succeeded()
        remote.inject(Fault("user_stop", lasts=0.1))
        client.until(USER_STOPPED)
        client.until(IDLE)
        arm.call(lambda: world.data.qpos.__setitem__(slice(9, 12), world.data.mocap_pos[0]))
        arm.call(lambda: world.data.qvel.__setitem__(slice(None), 0.0))
        arm.call(arm.physics.refresh)
        assert remote.succeeded()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"do": "dance"}', "state, success"),
        ("[1]", "request"),
        ("nonsense", "JSON"),
        ('{"do": "reset", "seed": -1}', "seed of 0 or more"),
        ('{"do": "inject", "fault": {"kind": "explode"}}', "kind of fault"),
        ('{"do": "inject", "fault": {"kind": "push", "body": "nose"}}', "nose"),
    ],
)
def test_a_bad_request_is_answered_with_what_is_wanted(line: str, says: str, start: Start) -> None:
    from hardware.fake_fci.remote import answer

    assert says in answer(start(), line)["error"]


def test_scripts_are_read_and_what_is_wrong_in_one_is_named(tmp_path: Path) -> None:
    path = tmp_path / "faults.json"
    path.write_text(json.dumps([{"kind": kind, "at": 0.5} for kind in KINDS]))
    assert [fault.kind for fault in load(path)] == list(KINDS)
    for text, says in (
        ('{"kind": "stall"}', "list"),
        ("[", "JSON"),
        ('[{"kind": "stall"}, {"kind": "stal"}]', "did you mean 'stall'"),
        ('[{"kind": "stall", "when": 1}]', "fault 1"),
        ('[{"kind": "stall", "at": "soon"}]', "numbers"),
        ('[{"kind": "loss", "share": 2}]', "share <= 1"),
        ("[3]", '"kind"'),
    ):
        path.write_text(text)
        with pytest.raises(UserError, match=says):
            load(path)
    with pytest.raises(UserError, match="cannot be read"):
        load(tmp_path / "none.json")


def test_time_of_a_script_is_time_in_motion() -> None:
    script = Script([Fault("stall", at=0.01, lasts=0.005)])
    for _ in range(100):
        assert script.tick(moving=False) == ([], [])
    begun = [bool(script.tick(moving=True)[0]) for _ in range(20)]
    assert begun.index(True) == 10
    assert sum(begun) == 1
    script.restart()
    lost = []
    for _ in range(30):
        script.tick(moving=True)
        lost.append(script.loses())
    assert (lost.index(True), sum(lost)) == (10, 5)


def test_an_address_that_is_taken_and_a_body_that_is_not_there_are_told(start: Start) -> None:
    arm = start()
    from hardware.fake_fci import FakeArm

    with pytest.raises(UserError, match="cannot listen on"), FakeArm(arm.model, host=arm.address):
        pass
    with pytest.raises(UserError, match="no body named 'nose'"):
        FakeArm(arm.model, host=free_address(), faults=[Fault("push", body="nose")])


def test_a_paced_arm_waits_for_each_command_and_is_no_faster_than_the_wall(connect: Connect) -> None:
    seen: list[tuple[int, bool]] = []
    client = connect(paced=True, on_tick=lambda tick, control: seen.append((tick, control.motion is not None)))
    moving = client.move(1)
    began = time.perf_counter()

    def slow(tick: int) -> dict[str, object]:
        if tick == 50:
            time.sleep(0.05)  # fifty ticks of a real arm
        return {}

    states = client.follow(200, slow)
    assert time.perf_counter() - began >= 0.19
    assert client.answer(moving) == b"\0"
    assert states[-1].control_command_success_rate == 1.0
    ticks = [tick for tick, moves in seen if moves]
    assert ticks == list(range(ticks[0], ticks[-1] + 1))
    told = {state.message_id for state in states}
    assert max(told) <= ticks[-1] + 1
    assert len(told & set(ticks)) >= 198
