"""`robot-learn deploy` from its words to its results, on arms in simulation."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hardware.arm import Arm, ArmError
from hardware.limits import Envelope
from hardware.simulated import Faults
from robot_learn.cli import main
from robot_learn.data import store
from robot_learn.deployment import assemble, places, session
from robot_learn.deployment.objects import ObjectPoses, Together
from robot_learn.deployment.pilot import Pilot
from robot_learn.deployment.places import InSimulation
from robot_learn.deployment.session import Asked
from robot_learn.deployment.steering import Chunks, from_policy
from robot_learn.errors import UserError
from robot_learn.evaluation import wilson_interval
from robot_learn.policy import MlpPolicy, load_policy
from robot_learn.runs import POLICY, Run
from sims import franka
from tests.robot_learn.deployment.conftest import Stage, quick, stage
from tests.robot_learn.deployment.test_start import Device

REACH = "franka/reach"


def proportional() -> MlpPolicy:
    """Straight to the goal, without a hidden layer: 5 (goal - tcp) ends the observation of franka/reach."""
    gain = np.zeros((3, 30), np.float32)
    gain[:, 27:] = 4.0 / 0.25 / 5 * np.eye(3)
    return MlpPolicy(
        obs_mean=np.zeros(30),
        obs_scale=np.ones(30),
        obs_clip=np.asarray(np.inf),
        weights=(),
        biases=(),
        relu=np.asarray(False),
        mean_weight=gain,
        mean_bias=np.zeros(3, np.float32),
        log_std_weight=np.zeros((3, 30), np.float32),
        log_std_bias=np.full(3, -np.inf, np.float32),
        state_noise=np.zeros((3, 30), np.float32),
        low=np.full(3, -1.0, np.float32),
        high=np.full(3, 1.0, np.float32),
        squash=np.asarray(False),
    )


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    run = Run.create(tmp_path / "runs", task=REACH, seed=0, config={}, name="reach")
    proportional().save(run.file(POLICY))
    return run.path


@pytest.fixture(autouse=True)
def quick_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models are compiled once; the arm of a test steps a copy."""
    real = franka.definition

    def definition(name: str) -> Any:
        return quick(name) if name in ("reach", "pick-cube") else real(name)

    quick("reach")
    quick("pick-cube")
    monkeypatch.setattr(franka, "definition", definition)


def deploy(capsys: pytest.CaptureFixture[str], tmp_path: Path, *words: str, wanted: int = 0) -> dict[str, Any]:
    """What the command prints as JSON."""
    options = ["--out", str(tmp_path / "deployments"), "--root", str(tmp_path / "datasets"), "--json"]
    assert main(["deploy", *words, *options]) == wanted
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    return told


def test_a_policy_is_evaluated_on_an_arm_by_the_tasks_own_measure(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, run_folder: Path
) -> None:
    told = deploy(capsys, tmp_path, str(run_folder), "--arm", "mujoco:fr3", "--episodes", "2")
    assert told["success_rate"] == 1.0
    assert told["success_interval_95"] == list(wilson_interval(2, 2))
    assert told["reasons"] == {"success": 2}
    assert [episode["seed"] for episode in told["episodes"]] == [2**30, 2**30 + 1]
    assert told["latency_median"] == 0.0
    folder = Path(told["session"])
    assert (folder / "episode-0001" / "ticks.npz").exists()
    config = json.loads((folder / "config.json").read_text())
    assert config["deployment"]["policy"] is not None
    assert config["task"] == REACH
    assert json.loads((folder / "summary.json").read_text())["success_rate"] == 1.0
    dataset = store.load(f"{REACH}/deployed", tmp_path / "datasets")
    assert dataset.num_episodes == 2
    assert dataset.manifest["generator"] == "robot-learn deploy"
    assert dataset.manifest["success_rate"] == 1.0


def test_the_same_command_gives_the_same_episodes_to_the_bit(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, run_folder: Path
) -> None:
    for name in ("a", "b"):
        options = ["--episodes", "1", "--steps", "12", "--dataset", f"same/{name}"]
        deploy(capsys, tmp_path, str(run_folder), *options)
    first, second = (store.load(f"same/{name}", tmp_path / "datasets") for name in ("a", "b"))
    np.testing.assert_array_equal(first.observations, second.observations)
    np.testing.assert_array_equal(first.actions, second.actions)


def test_a_recorded_dataset_goes_on_to_lerobots_format(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, run_folder: Path
) -> None:
    pytest.importorskip("pyarrow", reason="needs the extra 'data'")
    deploy(capsys, tmp_path, str(run_folder), "--episodes", "1", "--steps", "5")
    root, out = str(tmp_path / "datasets"), tmp_path / "lerobot"
    assert main(["data", "export", f"{REACH}/deployed", str(out), "--root", root]) == 0
    assert (out / "meta" / "info.json").exists()


def test_a_slow_arm_gets_more_time_and_moves_slowly(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, run_folder: Path
) -> None:
    fastest = {}
    for speed in (0.3, 1.0):
        told = deploy(capsys, tmp_path, str(run_folder), "--episodes", "1", "--speed", str(speed), "--steps", "8")
        lines = (Path(told["session"]) / "episode-0000" / "steps.jsonl").read_text().splitlines()
        fastest[speed] = max(np.abs(json.loads(line)["wanted"]).max() for line in lines[:-1])
    assert fastest[0.3] < 0.4 * fastest[1.0]
    assert session.pacing(franka.definition("reach"), speed=0.3, steps=None).max_steps == 334


def test_a_dry_run_moves_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path, run_folder: Path) -> None:
    told = deploy(capsys, tmp_path, str(run_folder), "--episodes", "1", "--dry-run", "--steps", "5")
    (episode,) = told["episodes"]
    assert (episode["reason"], episode["limited"]) == ("time limit", {"dry run": 5})
    lines = (Path(told["session"]) / "episode-0000" / "steps.jsonl").read_text().splitlines()
    positions = [json.loads(line)["observation"]["q"] for line in lines[:-1]]
    np.testing.assert_allclose(positions, [positions[0]] * 5, atol=1e-6)


def test_a_session_can_be_compared_with_its_policy_in_simulation(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, run_folder: Path
) -> None:
    here = deploy(capsys, tmp_path, str(run_folder), "--episodes", "1", "--steps", "8")["session"]
    told = deploy(capsys, tmp_path, "--compare", str(run_folder), here)
    (comparison,) = told["comparisons"]
    assert [source["kind"] for source in comparison["sources"]] == ["simulation", "arm"]
    assert {column["name"].split(" ")[0] for column in comparison["columns"]} == set(franka.task("reach").schema.names)
    assert Path(told["page"]).read_text().startswith("<!doctype html>")


def test_a_summary_for_a_person_explains_the_last_episode(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, run_folder: Path
) -> None:
    words = ["deploy", str(run_folder), "--episodes", "1", "--no-record", "--out", str(tmp_path / "none")]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "success   1 of 1 episodes" in out
    assert "Ended by success" in out
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "deploy wants a RUN"),
        (["nowhere"], "not a run folder"),
        (["script:franka/reech"], "franka/reach"),
        (["script:metaworld/reach"], "no task of the Franka arm"),
        (["script:franka/reach", "--arm", "mujoko:fr3"], "no kind of arm named 'mujoko'"),
        (["script:franka/reach", "--arm", "mujoco:fr4"], "fr4"),
        (["script:franka/reach", "--arm", "fci://10.0.0.1"], "--hand"),
        (["script:franka/reach", "--fake"], "--fake: wanted the address of a client"),
        (["script:franka/reach", "--speed", "2"], "speed 2"),
        (["script:franka/reach", "--hand", "feet"], "no input named 'feet'"),
        (["script:franka/reach", "--envelope", "none.toml"], "none.toml"),
        (["script:franka/reach", "--filter", "none.json"], "none.json"),
        (["script:franka/reach", "--objects", "none.json"], "none.json"),
        (["script:franka/reach", "--first", "2", "--ensemble", "0.1"], "ensembling"),
        (["script:franka/reach", "--episodes", "0"], "--episodes"),
        (["--compare", "one"], "two sources"),
    ],
)
def test_mistakes_are_told_before_anything_moves(
    words: list[str], says: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    told = deploy(capsys, tmp_path, *words, wanted=2)
    assert says in told["error"]


def test_a_policy_of_another_size_is_refused(tmp_path: Path) -> None:
    run = Run.create(tmp_path, task="franka/pick-cube", seed=0, config={}, name="wrong")
    proportional().save(run.file(POLICY))
    with pytest.raises(UserError, match="takes 30 numbers, franka/pick-cube gives 39"):
        assemble.acting(str(run.path))


def asked(**changes: Any) -> Asked:
    definition = franka.definition("reach")
    pacing = session.pacing(definition, speed=1.0, **({"steps": None} | changes.pop("pacing", {})))
    chunks = Chunks(from_policy(proportional()))
    plain = Asked(definition, franka.control("reach"), chunks, pacing, Together(), quiet=True)
    return replace(plain, **changes)


def in_simulation(**settings: Any) -> InSimulation:
    return places.in_simulation(REACH, "fr3", Envelope(), **settings)


def test_injected_latency_is_predicted_over() -> None:
    """80 ms late observations throw a stiff policy off; told of them, the loop makes up for most of it."""
    worst = {}
    for transport in (0.0, 0.08):
        place = in_simulation(faults=Faults(observation_delay=0.08))
        heard: list[float] = []

        def act(scene: Any, vector: np.ndarray, heard: list[float] = heard, place: InSimulation = place) -> np.ndarray:
            now = place._data.qpos[:7].copy()
            heard.append(float(np.abs(vector[0, :7] - now).max()))
            action, _ = proportional().predict(vector, deterministic=True)
            return np.asarray(action)

        wanted = asked(source=place.source, pacing={"transport": transport, "steps": 20})
        told = session.run(replace(wanted, chunks=Chunks(act)), place, None, [5], lambda line: None)
        assert told.outcomes[0].latency.median == pytest.approx(transport)
        worst[transport] = float(np.mean(heard))
        place.close()
    assert worst[0.08] < 0.35 * worst[0.0]


def test_a_reflex_ends_a_real_session_and_a_simulated_one_goes_on() -> None:
    for simulated in (False, True):
        here = stage("reach")
        here.arm.at[2] = lambda arm: setattr(arm, "state", "reflex")
        here.arm.at[4] = lambda arm: setattr(arm, "state", "moving")
        place = Standing(here, simulated)
        told = session.run(asked(source=here.crew.bridge._source), place, None, [0, 1, 2], lambda line: None)
        assert told.outcomes[0].reason == "reflex"
        assert len(told.outcomes) == (3 if simulated else 1)
        assert told.to_json()["reasons"]["reflex"] >= 1


class Standing:
    """A stand-in arm as a place."""

    source: ObjectPoses | None = None
    clock_stands = True

    def __init__(self, here: Stage, simulated: bool = False) -> None:
        self.here, self.simulated = here, simulated
        self.fails: Exception | None = None
        self.failures = 0
        self.q = here.data.qpos[:7].copy() if simulated else None

    @contextmanager
    def episode(self, seed: int) -> Iterator[Arm]:
        if self.fails is not None:
            raise self.fails
        if self.q is not None:
            self.here.data.qpos[:7] = self.q
        yield self.here.arm

    def failed(self) -> None:
        self.failures += 1

    def watch(self, size: int) -> Callable[[], np.ndarray] | None:
        return None

    def close(self) -> None: ...


def test_an_arm_that_is_gone_before_the_first_step_is_an_outcome() -> None:
    place = Standing(stage("reach"))
    place.fails = ArmError("no cable", advice="plug it in")
    told = session.run(asked(source=Together()), place, None, [0, 1], lambda line: None)
    assert [(outcome.reason, outcome.detail) for outcome in told.outcomes] == [("arm error", "no cable; plug it in")]
    assert place.failures == 1


def test_elsewhere_it_refuses_and_with_leave_it_goes_there_first() -> None:
    here = stage("reach")
    here.data.qpos[0] += 0.5
    with pytest.raises(UserError, match="joint1"):
        session.run(asked(source=here.crew.bridge._source), Standing(here), None, [0], lambda line: None)
    assert not here.arm.commands
    told = session.run(
        asked(source=here.crew.bridge._source, go_to_start=True), Standing(here), None, [0], lambda line: None
    )
    assert told.outcomes[0].reason == "success"
    assert {command.source for command in here.arm.commands} == {"start", "policy"}


def test_a_second_episode_that_cannot_begin_loses_nothing_of_the_first() -> None:
    here = stage("reach")
    told = session.run(asked(source=here.crew.bridge._source), Standing(here), None, [0, 1, 2], lambda line: None)
    assert [outcome.reason for outcome in told.outcomes] == ["success", "not at start"]
    assert "joint" in told.outcomes[1].detail
    assert told.seeds == (0, 1)


def test_a_person_holds_the_switch_from_before_the_first_step(monkeypatch: pytest.MonkeyPatch) -> None:
    here, device = stage("reach"), Device()
    clock = iter(np.arange(0.0, 1000.0, 0.04))
    monkeypatch.setattr(Pilot, "__init__", _with_clock(Pilot.__init__, lambda: float(next(clock))))
    asked_for = asked(source=here.crew.bridge._source, hand=Switching(device, [False] * 4 + [True] * 15 + [False] * 99))
    told = session.run(asked_for, Standing(here), None, [0], lambda line: None)
    assert told.outcomes[0].reason == "person let go"
    # Of the fifteen times that it was down one tells of the press; the release takes 0.3 s to be sure of.
    assert told.outcomes[0].steps == 15 - 2 + 8


def _with_clock(init: Any, clock: Callable[[], float]) -> Any:
    def made(self: Any, *given: Any, **named: Any) -> None:
        init(self, *given, **named, clock=clock)

    return made


class Switching(Device):
    """A hand whose switch goes by a list."""

    def __init__(self, device: Device, held: list[bool]) -> None:
        super().__init__()
        self._held = iter(held)

    def read(self, now: float) -> Any:
        from hardware.inputs import Hand

        return Hand(np.zeros(6), dead_man=next(self._held))


def test_a_learned_filter_keeps_the_hand_above_what_it_learned(tmp_path: Path) -> None:
    from controllers import constraint
    from controllers.constraint import LearnedConstraint
    from controllers.systems import franka_joints

    system = franka_joints.SYSTEM
    learned = LearnedConstraint(
        system.name, system.version, franka_joints.TRUTH, system.offset, system.gamma, tuple(system.weights)
    )
    constraint.save(learned, tmp_path / "learned.json")
    safety = assemble.learned_filter(tmp_path / "learned.json")
    low = franka_joints.REST.copy()  # hand half way across, under what the person knows of
    said = safety.filter(low, np.zeros(7))
    assert said.violated
    with pytest.raises(UserError):
        assemble.learned_filter(tmp_path / "none.json")


def test_the_policy_of_a_run_is_the_one_that_acts(run_folder: Path) -> None:
    task, actor = assemble.acting(str(run_folder))
    here = stage("reach")
    belief = here.crew.bridge.believe(here.arm.observe())
    wanted, _ = load_policy(run_folder).predict(belief.vector, deterministic=True)
    assert task == REACH
    np.testing.assert_array_equal(actor(belief.scene, belief.vector), wanted)


def test_a_program_that_is_told_to_end_stops_the_arm_and_says_why() -> None:
    here = stage("reach")
    here.arm.at[3] = lambda arm: os.kill(os.getpid(), signal.SIGTERM)
    before = signal.getsignal(signal.SIGTERM)
    with assemble._told_to_end():
        told = session.run(asked(source=here.crew.bridge._source), Standing(here), None, [0, 1], lambda line: None)
    assert [outcome.reason for outcome in told.outcomes] == ["interrupted"]
    assert here.arm.stops == ["soft"]
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_recorded_episode_is_played_to_the_policy_again(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, run_folder: Path
) -> None:
    first = deploy(capsys, tmp_path, str(run_folder), "--episodes", "1")
    episode = Path(first["session"]) / "episode-0000"
    lines = [json.loads(line) for line in (episode / "steps.jsonl").read_text().splitlines()]
    goal = tmp_path / "goal.json"
    goal.write_text(json.dumps({"goal": {"position": lines[0]["scene"]["goal.position"]}}))
    options = ["--arm", f"recording:{episode / 'ticks.npz'}", "--objects", str(goal)]
    again = deploy(capsys, tmp_path, str(run_folder), *options)
    (told,) = again["episodes"]
    assert told["success"]
    replayed = (Path(again["session"]) / "episode-0000" / "steps.jsonl").read_text().splitlines()
    # A recording begins a millisecond after the first step, so that the policy sees nearly the same.
    for old, new in zip(lines[:20], map(json.loads, replayed[:20]), strict=True):
        np.testing.assert_allclose(new["action"], old["action"], atol=0.02)
    without = deploy(capsys, tmp_path, str(run_folder), *options[:2], wanted=2)
    assert "--objects" in without["error"]
