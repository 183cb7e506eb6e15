"""An action means on the arm what it means in simulation."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from robot_learn.deployment.steering import Actor, Chunks, CommanderError, Steering
from robot_learn.errors import UserError
from robot_learn.scene import Scene
from sims import franka
from tests.robot_learn.deployment.conftest import quick

NONE = Scene(franka.task("reach").schema, {})


@pytest.mark.parametrize("name", ["reach", "pick-cube", "push", "pour"])
def test_joint_velocities_are_those_that_simulation_gives_its_servos(name: str) -> None:
    definition, control = quick(name), franka.control(name)
    model = definition.model()
    data = mujoco.MjData(model)
    rng = np.random.default_rng(0)
    definition.start(model, data, rng)
    data.ctrl[:7] = 0.0
    steering = Steering(control)
    for _ in range(20):
        action = rng.uniform(-1.3, 1.3, definition.task.act_dim)
        dq, opening = steering.velocities(data.qpos[:7].copy(), action)
        definition.drive(model, data, np.clip(action, -1, 1))
        np.testing.assert_allclose(dq, data.ctrl[:7], atol=1e-9)
        assert opening is None or opening == pytest.approx(data.ctrl[7])
        assert (opening is not None) == control.grips
        mujoco.mj_step(model, data, definition.frame_skip)


def test_speed_scales_what_is_sent_and_nothing_else() -> None:
    q, action = np.array(franka.control("reach").posture), np.array([0.3, -0.2, 0.1])
    full, slow = Steering(franka.control("reach")), Steering(franka.control("reach"), speed=0.3)
    for _ in range(5):  # the acceleration limit looks at the command before
        np.testing.assert_allclose(slow.velocities(q, action)[0], 0.3 * full.velocities(q, action)[0], atol=1e-12)


def test_it_goes_on_from_what_somebody_else_has_sent() -> None:
    control = franka.control("reach")
    q, action = np.array(control.posture), np.array([1.0, 1.0, 1.0])
    first, second = Steering(control, speed=0.5), Steering(control, speed=0.5)
    sent, _ = first.velocities(q, action)
    second.sent(sent)
    np.testing.assert_allclose(first.velocities(q, action)[0], second.velocities(q, action)[0])
    second.begin()
    np.testing.assert_allclose(second.velocities(q, action)[0], sent)


@pytest.mark.parametrize("action", [np.zeros(2), np.array([0.0, np.nan, 0.0]), np.array([0.0, np.inf, 0.0])])
def test_what_is_no_action_is_refused(action: np.ndarray) -> None:
    with pytest.raises(CommanderError, match="wanted 3 finite numbers"):
        Steering(franka.control("reach")).velocities(np.zeros(7), action)


@pytest.mark.parametrize("speed", [0.0, -1.0, 1.1, np.nan])
def test_a_speed_is_a_share(speed: float) -> None:
    with pytest.raises(UserError, match="speed"):
        Steering(franka.control("reach"), speed=speed)


def counting(length: int) -> tuple[Actor, list[int]]:
    """Chunk number c is (c, c + 0.1, c + 0.2, ...)."""
    asked = [0]

    def act(scene: Scene, vector: np.ndarray) -> np.ndarray:
        asked[0] += 1
        return (asked[0] + 0.1 * np.arange(length))[None, :, None]

    return act, asked


def play(chunks: Chunks, steps: int) -> list[float]:
    return [round(float(chunks(NONE, np.zeros((1, 1)))[0]), 6) for _ in range(steps)]


def test_a_chunk_is_played_whole_or_its_first_actions() -> None:
    assert play(Chunks(counting(3)[0]), 7) == [1.0, 1.1, 1.2, 2.0, 2.1, 2.2, 3.0]
    assert play(Chunks(counting(3)[0], first=2), 5) == [1.0, 1.1, 2.0, 2.1, 3.0]
    assert play(Chunks(counting(3)[0], first=9), 4) == [1.0, 1.1, 1.2, 2.0]


def test_an_ensemble_averages_what_all_chunks_say_of_a_step() -> None:
    actor, asked = counting(3)
    decay = 0.5
    played = play(Chunks(actor, ensemble=decay), 5)
    assert asked == [5]
    weight = np.exp(-decay * np.arange(3))
    # At step t (from 1) chunk c says c + 0.1 (t - c), the oldest first.
    wanted = []
    for t in range(1, 6):
        said = [c + 0.1 * (t - c) for c in range(max(1, t - 2), t + 1)]
        wanted.append(np.dot(weight[: len(said)], said) / weight[: len(said)].sum())
    np.testing.assert_allclose(played, wanted, atol=1e-6)


def test_a_new_episode_begins_with_a_new_chunk() -> None:
    for chunks in (Chunks(counting(3)[0]), Chunks(counting(3)[0], ensemble=0.0)):
        play(chunks, 1)
        chunks.begin()
        assert play(chunks, 1) == [2.0]


def test_single_actions_are_chunks_of_one() -> None:
    values = iter([1.0, 2.0])
    assert play(Chunks(lambda scene, vector: np.array([[next(values)]])), 2) == [1.0, 2.0]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (np.zeros(3), "came \\(3,\\)"),
        (np.zeros((2, 3)), "came \\(2, 3\\)"),
        (np.zeros((1, 0, 3)), "came"),
        (np.full((1, 3), np.nan), "finite"),
        ("nothing", "ValueError"),
    ],
)
def test_what_is_no_chunk_is_a_commander_error(given: object, says: str) -> None:
    with pytest.raises(CommanderError, match=says):
        Chunks(lambda scene, vector: given)(NONE, np.zeros((1, 1)))  # type: ignore[arg-type,return-value]


def test_ensembling_and_a_number_of_actions_exclude_each_other() -> None:
    with pytest.raises(UserError, match="ensembling"):
        Chunks(counting(2)[0], first=1, ensemble=0.1)
    with pytest.raises(UserError, match="1 or more"):
        Chunks(counting(2)[0], first=0)
