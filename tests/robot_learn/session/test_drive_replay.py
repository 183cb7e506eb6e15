"""A recording on the page, and what the page of an arm can be opened with."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from hardware import recorded
from hardware.records import STATES, TICK
from robot_learn.errors import UserError
from robot_learn.franka import HOME
from robot_learn.session.activity import Person, Place
from robot_learn.session.drive.activity import open_activity
from robot_learn.session.drive.offers import PATIENT, offers, settings_of
from robot_learn.session.drive.replay import Replay, events, stretches_of
from robot_learn.session.drive.scene import ArmScene

ME = Person("me", "tab", True)


def ticks(count: int = 2000) -> np.ndarray:
    """Two seconds in which the first joint turns at 0.1 rad/s; limited for a while, and a reflex at the end."""
    rows = np.zeros(count, TICK)
    rows["time"] = 5.0 + 0.001 * np.arange(count)
    rows["sequence"] = 7000 + np.arange(count)
    rows["q"] = np.array(HOME)
    rows["q"][:, 0] += 0.1 * (rows["time"] - 5.0)
    rows["opening"] = 0.04
    rows["state"] = STATES.index("moving")
    rows["limited"][500:700] = b"hand speed"
    rows["limited"][750:800] = b"hand speed,acceleration"
    rows["state"][1900:] = STATES.index("reflex")
    return rows


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return episode(tmp_path)


def episode(tmp_path: Path) -> Path:
    """An episode's folder, as a session on an arm leaves it."""
    folder = tmp_path / "session" / "episode-0000"
    folder.mkdir(parents=True)
    recorded.save(folder / "ticks.npz", ticks(), "fr3")
    steps = [
        {"step": k + 1, "who": "person" if 10 <= k < 20 else "policy", "observation": {"sequence": 7000 + 40 * k}}
        for k in range(40)
    ]
    (folder / "steps.jsonl").write_text("".join(json.dumps(step) + "\n" for step in steps))
    (folder.parent / "config.json").write_text(json.dumps({"task": "franka/reach"}))
    return folder


def test_it_plays_at_its_speed_and_stops_at_its_end(recording: Path) -> None:
    replay = Replay(recording)
    assert replay.seconds == pytest.approx(1.999)
    replay.do("play", {"on": True}, ME)
    replay.do("speed", {"value": 0.5}, ME)
    for now in np.arange(10.0, 11.01, 0.05):
        replay.tick(now)
    assert replay.live()["at"] == pytest.approx(0.5)
    assert replay.live()["q"][0] == pytest.approx(0.05, abs=1e-3)
    for now in np.arange(11.0, 16.0, 0.05):
        replay.tick(now)
    assert (replay.live()["at"], replay.state()["playing"]) == (replay.seconds, False)
    replay.do("play", {"on": True}, ME)  # from the start again
    assert replay.live()["at"] == 0.0


def test_one_may_scrub_within_it(recording: Path) -> None:
    replay = Replay(recording / "ticks.npz")
    assert replay.do("seek", {"at": 1.2}, ME) == {"at": 1.2}
    assert replay.do("seek", {"by": -0.2}, ME) == {"at": 1.0}
    assert replay.do("seek", {"at": 99.0}, ME) == {"at": replay.seconds}
    assert replay.live()["state"] == "reflex"
    with pytest.raises(UserError, match="number of seconds"):
        replay.do("seek", {"at": "soon"}, ME)
    with pytest.raises(UserError, match=r"one of 0\.1"):
        replay.do("speed", {"value": 7}, ME)


def test_it_stands_still_while_nobody_looks(recording: Path) -> None:
    replay = Replay(recording)
    replay.do("play", {"on": True}, ME)
    replay.absent(0.4)
    for now in (1.0, 2.0):
        replay.tick(now)
    assert replay.live()["at"] == 0.0


def test_who_acted_and_what_happened_when_is_told(recording: Path) -> None:
    state = Replay(recording).state()
    assert state["task"] == "franka/reach"
    assert [(one["who"], round(one["from"], 3), round(one["to"], 3)) for one in state["who"]] == [
        ("policy", 0.0, 0.4),
        ("person", 0.4, 0.8),
        ("policy", 0.8, 1.999),
    ]
    assert [(one["what"], one["from"], one["to"]) for one in state["events"]] == [
        ("acceleration", pytest.approx(0.75), pytest.approx(0.799)),
        ("hand speed", pytest.approx(0.5), pytest.approx(0.799)),  # 50 ms between them are no pause
        ("reflex", pytest.approx(1.9), pytest.approx(1.999)),
    ]


def test_a_recording_without_steps_or_events_tells_none() -> None:
    assert stretches_of([], np.arange(3.0)) == []
    assert events(np.zeros(1, TICK)) == []


def test_what_is_no_recording_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no recording"):
        open_activity(f"recording:{tmp_path}", Place(tmp_path, tmp_path))


def test_the_arm_is_drawn_where_its_joints_say_and_things_where_they_are_seen() -> None:
    drawn = ArmScene("franka/reach")
    before, _ = drawn.scene.changes()
    assert not any("goal" in name for name in before)  # nobody has told where it is
    pose = np.eye(4)
    pose[:3, 3] = (0.5, 0.1, 0.2)
    drawn.show(np.array(HOME), 0.08, {"goal": pose.tolist()})
    after, poses = drawn.scene.changes()
    assert any("goal" in name for name in after)
    assert poses is not None
    rows = np.frombuffer(poses[4 + int.from_bytes(poses[:4], "little") :], dtype="<f4").reshape(-1, 8)
    assert np.abs(rows[:, 1:4] - pose[:3, 3]).sum(axis=1).min() < 1e-6
    drawn.show(np.array(HOME), 0.08, {"goal": pose.tolist()})
    assert drawn.scene.changes() == ({}, None)  # nothing moved, nothing is sent


def test_an_address_may_say_who_drives_and_an_option_wins(tmp_path: Path) -> None:
    place = Place(tmp_path / "own", tmp_path)
    assert settings_of("", place).arm == "mujoco:fr3"
    assert settings_of("mujoco:fr3", place).run_folder == "hand:franka/reach"
    script = settings_of("fci://127.0.0.1 script:franka/pick-cube", place)
    assert (script.arm, script.run_folder) == ("fci://127.0.0.1", "script:franka/pick-cube")
    assert settings_of("mujoco:fr3", place).steps == 100 * PATIENT
    other = Place(
        tmp_path / "own", tmp_path, {"policy": "script:franka/push", "fake": "True", "objects": "things.json"}
    )
    told = settings_of("fci://127.0.0.1 script:franka/pick-cube", other)
    assert (told.run_folder, told.fake, told.objects) == ("script:franka/push", True, Path("things.json"))
    assert told.out == tmp_path / "own" / "deployments"


def test_an_unknown_kind_of_arm_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="kind of arm"):
        settings_of("usb:0", Place(tmp_path, tmp_path))
    with pytest.raises(UserError, match="wanted numbers"):
        settings_of("mujoco:fr3", Place(tmp_path, tmp_path, {"speed": "fast"}))


def test_the_home_page_offers_runs_of_the_arm_and_recordings(tmp_path: Path, recording: Path) -> None:
    for name, task in (("one", "franka/push"), ("two", "uav/gate")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps({"task": task}))
        (folder / "policy.npz").write_bytes(b"")
    found = [offer.what for offer in offers(Place(tmp_path / "own", tmp_path))]
    assert f"mujoco:fr3 {tmp_path / 'one'}" in found
    assert not any("two" in what for what in found)
    assert f"recording:{recording}" in found
