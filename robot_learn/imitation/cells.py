"""What the video benchmark consists of: a behaviour, a way to learn it, and a training seed.

The expert of each behaviour is another body than the learner's, of other colours, seen from another side: the learner's
own body is never shown. What a behaviour asks for stands in a sentence here, which one method alone gets: Text2Reward.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from robot_learn.errors import UserError, unknown
from robot_learn.train_config import TrainConfig, preset

EPISODES = 20  # that measure a policy, on evaluation seeds
STEPS = 1_000_000  # of every full training
EXPERT_STEPS = 3_000_000  # of a policy that is filmed

# What the humanoid's expert learns: upstream's reward pays for staying up above all; after nine million steps it still
# shuffles on one leg.
WALK = """\
def reward(scene, action):
    velocity = scene.torso.velocity
    pace = np.clip(velocity[0] / 1.5, -1.0, 1.0)
    upright = np.clip((quat_up(scene.torso.quaternion)[2] - 0.6) / 0.35, 0.0, 1.0)
    scissors = -scene.right_leg.hip_swing_velocity * scene.left_leg.hip_swing_velocity / 4.0
    one_foot = abs(scene.right_leg.foot_contact - scene.left_leg.foot_contact)
    arms = np.sum(scene.right_arm.angles**2) + np.sum(scene.left_arm.angles**2)
    return {
        "alive": 1.0,
        "forward": 3.0 * pace * upright,
        "upright": upright,
        "stride": np.clip(scissors, 0.0, 1.0) * max(pace, 0.0),
        "step": 0.5 * one_foot * max(pace, 0.0),
        "straight": -0.5 * abs(velocity[1]) - 0.2 * abs(scene.torso.angular_velocity[2]),
        "arms": -0.1 * min(arms, 10.0),
        "effort": -0.2 * np.sum(action**2),
    }
"""


@dataclass(frozen=True)
class Behaviour:
    """What is learned, by whom, and from whose video."""

    task: str  # of the learner, and on another body of the expert
    variant: str  # the expert's body
    sentence: str  # for Text2Reward alone
    camera: str = "side"
    speed: float = 1.0  # how much faster than life the video plays, and is said to
    seconds: float = 6.0  # of the video
    seed: int = 0  # of the expert's training
    reward: str = ""  # a program that expert and reference are trained on, instead of the task's own reward
    quick: bool = False  # whether trainings are; results and films never are
    longer: int = 1  # times the budget's steps of a full training

    @property
    def expert(self) -> str:
        """The name of its video's files."""
        return f"{self.task.partition('/')[2]}-{self.variant}"


BEHAVIOURS = {
    "ant-walk": Behaviour("mujoco/ant", "spider", "Make the four-legged robot walk forward without falling."),
    "ant-jump": Behaviour("mujoco/ant-jump", "beetle", "Make the four-legged robot jump up and land on its feet."),
    # Of seed 0 the greyhound throws itself on its back and slides, which the task's reward allows.
    "cheetah-run": Behaviour("mujoco/half-cheetah", "greyhound", "Make the two-legged robot run forward fast.", seed=1),
    "hopper-flip": Behaviour(
        "mujoco/hopper-back-flip",
        "kangaroo",
        "Make the one-legged robot do a back flip and land on its foot.",
        speed=0.5,
        seconds=3.0,
    ),
    "walker-hop": Behaviour(
        "mujoco/walker-hop", "ostrich", "Make the two-legged robot hop forward on its right leg, the left foot up."
    ),
    # Quick ones take no longer than a million others.
    "humanoid-walk": Behaviour(
        "mujoco/humanoid",
        "athlete",
        "Make the humanoid robot walk forward without falling.",
        reward=WALK,
        quick=True,
        longer=3,
    ),
    "hopper-hop": Behaviour("mujoco/hopper", "stork", "Make the one-legged robot hop forward without falling."),
}


@dataclass(frozen=True)
class Method:
    """A way to learn a behaviour.

    `kind`: a loop over the video, a reward that is taken from the video once, or a reward from elsewhere.
    """

    kind: str  # "loop", "watched", "text", "expert", "chance"
    words: tuple[str, ...] = ()  # of the command, for a loop
    baseline: str = ""  # for "watched"
    remark: str = ""


METHODS: Mapping[str, Method] = {
    "ours": Method("loop"),
    "warm": Method("loop", ("--warm",), remark="trainings go on from the best policy so far, instead of from scratch"),
    "no-grounding": Method("loop", ("--ungrounded",), remark="no figures in the prompts"),
    "no-gates": Method("loop", ("--no-gates",), remark="what falls or freezes may be accepted"),
    "late-gates": Method("loop", ("--late-gates",), remark="the gates veto full trainings, and do not sort short ones"),
    "warm-late": Method("loop", ("--warm", "--late-gates"), remark="warm, with late gates"),
    "one-model": Method("loop", ("--one-model",), remark="one model sees the pictures and writes the edits"),
    "no-keep-best": Method("loop", ("--no-keep-best",), remark="the newest reward is edited next"),
    "person": Method("loop", ("--critic", "person"), remark="a person in place of the vision model"),
    "dtw": Method("watched", baseline="dtw", remark="optical flow and dynamic time warping"),
    "similarity": Method("watched", baseline="similarity", remark="likeness of pictures"),
    "text2reward": Method("text", remark="from the sentence, no video"),
    "reference": Method("expert", remark="the tuned reward on the learner's own body"),
    "chance": Method("chance", remark="random actions"),
}


@dataclass(frozen=True)
class Models:
    """Who is asked, as `rewards.models.connect` takes it."""

    edit: str = "recordings"
    vision: str = "recordings"


@dataclass(frozen=True)
class Budget:
    """The same for every cell."""

    steps: int = STEPS
    expert_steps: int = EXPERT_STEPS
    iterations: int = 5
    alternatives: int = 4
    episodes: int = EPISODES
    num_envs: int | None = None
    models: Models = field(default_factory=Models)

    def config(self, seed: int, steps: int) -> TrainConfig:
        """Of a training."""
        changes: dict[str, Any] = {} if self.num_envs is None else {"num_envs": self.num_envs}
        return preset("ppo", total_steps=steps, seed=seed, **changes)


@dataclass(frozen=True)
class Cell:
    """One learning of the benchmark."""

    behaviour: str
    method: str
    seed: int = 0

    @property
    def key(self) -> str:
        """The name of its files."""
        return f"{self.behaviour}--{self.method}--s{self.seed}"

    @property
    def what(self) -> tuple[Behaviour, Method]:
        return BEHAVIOURS[self.behaviour], METHODS[self.method]


def cells(behaviours: Sequence[str] = (), methods: Sequence[str] = (), seeds: int = 1) -> list[Cell]:
    """The cells named, without names all, seed after seed; what others are measured against comes first.

    Raises:
        UserError: there is no such behaviour or method.
    """
    for name in behaviours:
        if name not in BEHAVIOURS:
            raise unknown("behaviour", name, BEHAVIOURS)
    for name in methods:
        if name not in METHODS:
            raise unknown("method", name, METHODS)
    if seeds < 1:
        raise UserError(f"seeds: wanted 1 or more, came {seeds}")
    first = ("chance", "reference")
    chosen = sorted(methods or METHODS, key=lambda name: (name not in first, list(METHODS).index(name)))
    return [
        Cell(behaviour, method, seed)
        for seed in range(seeds)
        for method in chosen
        for behaviour in behaviours or BEHAVIOURS
    ]
