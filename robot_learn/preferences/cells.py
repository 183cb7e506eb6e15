"""What the offline benchmark consists of: a cell is a dataset and a method, five seeds at once.

The rows of Offline RL-VLM-F (Venkataraman et al., 2024) on our tasks: data of three grades, rewards from the truth and
from teachers, and the controls without which no row means anything: the average reward, and imitation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from robot_learn.errors import UserError, unknown

SEEDS, EPISODES = 5, 50  # trained at once; evaluated each


@dataclass(frozen=True)
class Data:
    """A dataset as `robot-learn collect` makes it."""

    task: str
    grade: str
    episodes: int
    hold: int  # steps on average that a random action is held
    camera: str | None = None  # that teachers look through; the task's first by default
    recorded: int = 0  # of the episodes: the first ones, which a model was asked about when there were no others

    @property
    def name(self) -> str:
        return f"bench/{self.task.partition('/')[2]}-{self.grade}"

    def collect(self, root: str, episodes: int) -> tuple[str, ...]:
        """The words of the command that brings it to so many episodes."""
        words = ["collect", self.task, "--grade", self.grade, "--episodes", str(episodes), "--root", root]
        return (*words, "--hold", str(self.hold), "--out", self.name, "--num-envs", "25")


@dataclass(frozen=True)
class Method:
    """A learner, and where its rewards come from: the task ("true"), their mean ("average"), or a teacher's labels."""

    algorithm: str
    rewards: str = "true"
    kind: str = ""  # of a simulated teacher
    loss: str = "cross-entropy"  # that the reward is fitted by

    @property
    def teacher(self) -> str | None:
        return None if self.rewards in ("true", "average") else self.rewards

    @property
    def choosing(self) -> Method:
        """Whose answers decide about which pairs there are: mistakes are swept on the pairs of the teacher without."""
        return replace(self, kind="oracle") if self.kind in NOISES else self

    @property
    def labels(self) -> str:
        """The name of its file of labels, without ending."""
        return f"{self.rewards}-{self.kind.replace(':', '-').replace('=', '-')}" if self.kind else self.rewards

    @property
    def fitted(self) -> str:
        """The name of its file of rewards, without ending."""
        return f"{self.labels}-{self.loss}"


METHODS = {
    "iql-true": Method("iql"),
    "iql-simulated": Method("iql", "simulated", "oracle"),
    "iql-vision": Method("iql", "vision"),
    "iql-vlm": Method("iql", "vlm"),
    "iql-average": Method("iql", "average"),
    "bc": Method("bc"),
    "bc-10": Method("bc-10"),
    "rebrac": Method("rebrac"),
    "cpl-simulated": Method("cpl", "simulated", "oracle"),
}
NOISES = ("mistaken:0.1", "mistaken:0.2", "mistaken:0.3", "mistaken:0.4", "curve:drawer")
LEARNERS = (("iql", "cross-entropy"), ("iql", "mae"), ("iql", "confusion"), ("cpl", "cross-entropy"))


def noisy(algorithm: str, loss: str, noise: str) -> str:
    """The name of a method of the sweep over wrong labels."""
    return f"{algorithm}-{loss}-{noise.replace(':', '-')}"


NOISY = {
    noisy(algorithm, loss, noise): Method(algorithm, "simulated", noise, loss)
    for noise in NOISES
    for algorithm, loss in LEARNERS
}
GRADES = ("random", "medium", "expert")
# Chance needs more episodes than a script to have been everywhere; the cart-pole's end after nine steps on average.
_TASKS = {"metaworld/drawer-open": (10_000, 20), "metaworld/soccer": (1000, 50)}
_TASKS |= {"mujoco/cart-pole": (6000, 5), "soft/straighten-rope": (300, 20)}
_CAMERAS = {"metaworld/drawer-open": "side+corner"}  # one shows how far the drawer is open, both where the hand is
_RECORDED = {"metaworld/drawer-open": 1000, "mujoco/cart-pole": 400}


def _data(task: str, grade: str, episodes: int, hold: int) -> Data:
    random = grade == "random"
    recorded = _RECORDED.get(task, 0) if random else 0
    return Data(task, grade, episodes if random else 100, hold if random else 5, _CAMERAS.get(task), recorded)


DATA = {
    data.name.partition("/")[2]: data
    for task, (episodes, hold) in _TASKS.items()
    for grade in GRADES
    for data in [_data(task, grade, episodes, hold)]
}
NOISE_DATA = ("drawer-open-random", "cart-pole-random")


@dataclass(frozen=True)
class Round:
    """Pairs that are asked about together, after the rounds before have ranked all moments."""

    pairs: int
    draw: str = "best"  # see `robot_learn.preferences.ask.Choice`
    sampler: str = "uniform"


@dataclass(frozen=True)
class Budget:
    """The same for every cell; chosen on validation episodes of random drawer data, see README."""

    rounds: tuple[Round, ...] = (Round(500, "even", "k-center"), Round(500), Round(1000), Round(3000))
    pictures: int = 128  # pixels square, of what a teacher who looks is shown
    scale: str = "rarity"  # of fitted rewards
    updates: int = 15_000
    hidden_size: int = 128
    iql: tuple[str, ...] = ("expectile=0.9", "inverse_temperature=10", "episode_weight=10", "precision=reduced")
    rebrac: tuple[str, ...] = ("actor_penalty=0.01", "batch_size=256", "hidden_layers=2", "learning_rate=0.0003")

    def settings(self, algorithm: str) -> tuple[str, ...]:
        """Words for `--set`: networks and batches of one size, so that a learner is not the better for more of them."""
        own = {"iql": self.iql, "rebrac": self.rebrac}
        return (f"hidden_size={self.hidden_size}", *own.get(algorithm, ()))


@dataclass(frozen=True)
class Cell:
    """One training of the benchmark, all seeds at once."""

    data: str
    method: str

    @property
    def key(self) -> str:
        """The name of its files."""
        return f"{self.data}--{self.method}"

    @property
    def what(self) -> tuple[Data, Method]:
        return DATA[self.data], (METHODS | NOISY)[self.method]


def cells(data: Sequence[str] = (), methods: Sequence[str] = (), *, noise: bool = False) -> list[Cell]:
    """The cells named; without names all of the table, or with `noise` those of the sweep over wrong labels.

    Raises:
        UserError: there is no such dataset or method.
    """
    known = NOISY if noise else METHODS
    for name in data:
        if name not in DATA:
            raise unknown("dataset of the benchmark", name, DATA)
    for name in methods:
        if name not in known:
            raise unknown("method", name, known)
    if noise and not set(data) <= set(NOISE_DATA):
        raise UserError(f"wrong labels are swept on {', '.join(NOISE_DATA)}; came {', '.join(data)}")
    chosen = data or (NOISE_DATA if noise else tuple(DATA))
    # Grade after grade, so that whoever stops early has every task on the data that tells the methods apart.
    chosen = sorted(chosen, key=lambda name: GRADES.index(DATA[name].grade))
    return [Cell(name, method) for name in chosen for method in methods or known]
