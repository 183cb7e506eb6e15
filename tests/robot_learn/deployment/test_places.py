"""A policy through an unmodified client and the fake controller: it succeeds, and whatever goes wrong is explained."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hardware.fake_fci import Fault
from hardware.limits import Envelope
from robot_learn.data.writer import DatasetWriter
from robot_learn.deployment import places
from robot_learn.deployment.bridge import Bridge
from robot_learn.deployment.loop import Crew, Pacing, Step, run_episode
from robot_learn.deployment.outcome import Outcome, explain
from robot_learn.deployment.places import BehindFake
from robot_learn.deployment.record import Recorder
from robot_learn.deployment.steering import Chunks, Steering, from_policy
from robot_learn.errors import UserError
from robot_learn.runs import Run
from sims import franka
from tests.robot_learn.deployment.conftest import free_address, quick
from tests.robot_learn.deployment.test_session import REACH, proportional
from tests.waiting import until

pytest.importorskip("pylibfranka", reason="needs the extra 'franka'")


@pytest.fixture(scope="module")
def place() -> Iterator[BehindFake]:
    made = BehindFake(REACH, f"fci://{free_address()}", Envelope())
    yield made
    made.close()


@pytest.fixture(scope="module")
def bridge(place: BehindFake) -> Iterator[Bridge]:
    assert place.source is not None
    made = Bridge(quick("reach"), place.source, arm_clock=True)
    yield made
    made.close()


def act(place: BehindFake, bridge: Bridge, fault: Fault | None, folder: Path, seed: int = 0) -> tuple[Outcome, Path]:
    """One recorded episode in which something goes wrong at its fifth step."""
    run = Run.create(folder, task=REACH, seed=0, config={"deployment": {}})
    crew = Crew(bridge, Steering(franka.control("reach")), Chunks(from_policy(proportional())), clock=None)
    with DatasetWriter("deployed/reach", folder, task=REACH) as writer, place.episode(seed) as arm:
        recorder = Recorder(run, writer, arm)

        def heard(step: Step) -> None:
            recorder.step(step)
            if fault is not None and step.number == 5:
                place.fake.inject(fault)

        recorder.begin(seed)
        told = run_episode(arm, replace(crew, on_step=heard, on_end=recorder.end), Pacing(0.04, 100))
        return told, recorder.finish(told)


def test_a_policy_succeeds_and_every_tick_is_kept(place: BehindFake, bridge: Bridge, tmp_path: Path) -> None:
    told, folder = act(place, bridge, None, tmp_path)
    assert told.reason == "success", explain(told)
    assert place.fake.succeeded()
    assert told.overruns == 0
    assert (folder / "ticks.npz").exists()


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault("push", lasts=0.3, force=(0.0, 0.0, 80.0)), "reflex"),
        (Fault("user_stop", lasts=0.3), "user stopped"),
        (Fault("stall", lasts=0.06), "communication"),
        (Fault("loss", lasts=0.2, share=1.0), "communication"),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else "",
)
def test_whatever_goes_wrong_ends_stopped_recorded_and_explained(
    fault: Fault, reason: str, place: BehindFake, bridge: Bridge, tmp_path: Path
) -> None:
    told, folder = act(place, bridge, fault, tmp_path, seed=1)
    assert told.reason == reason, explain(told)
    assert 5 <= told.steps <= 12
    assert json.loads((folder / "outcome.json").read_text())["reason"] == reason
    assert explain(told).startswith(f"Ended by {reason}")
    assert place.fake.state()["generator"] is None

    def stands() -> bool:
        return max(abs(rate) for rate in place.fake.state()["dq"]) < 0.05

    until(stands, "it still moves", 2.0)  # what ended the episode may itself go on for 0.3 s


def test_after_a_fault_the_next_episode_succeeds_again(place: BehindFake, bridge: Bridge, tmp_path: Path) -> None:
    told, _ = act(place, bridge, None, tmp_path, seed=2)
    assert told.reason == "success", explain(told)


def test_a_client_that_has_died_is_replaced(place: BehindFake, bridge: Bridge, tmp_path: Path) -> None:
    place._arm.close()
    place.failed()
    told, _ = act(place, bridge, None, tmp_path, seed=3)
    assert told.reason == "success", explain(told)


def test_a_fake_stands_at_the_address_of_a_client() -> None:
    with pytest.raises(UserError, match="--fake: wanted the address of a client"):
        BehindFake(REACH, "mujoco:fr3", Envelope())


@pytest.mark.parametrize(
    ("address", "wanted"),
    [
        ("fci://10.0.0.2", ("fci", "10.0.0.2")),
        ("mujoco:fr3", ("mujoco", "fr3")),
        ("recording:a/b.npz", ("recording", "a/b.npz")),
    ],
)
def test_an_address_has_a_scheme_and_a_rest(address: str, wanted: tuple[str, str]) -> None:
    assert places.split(address) == wanted


@pytest.mark.parametrize("address", ["10.0.0.2", "fic://10.0.0.2", ""])
def test_an_address_of_no_kind_is_told_with_those_that_there_are(address: str) -> None:
    with pytest.raises(UserError, match="no kind of arm"):
        places.split(address)
