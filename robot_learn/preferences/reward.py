"""A dataset and its labels become a reward: a model in a file, what it pays every step, and a live reward function."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from rewards.preference import REWARD_MODELS
from rewards.preference.comparisons import Comparisons
from rewards.preference.gold import noise
from rewards.preference.labels import Label
from rewards.preference.latent import LatentUsers
from rewards.preference.regret import Regret, step_rows
from rewards.preference.spo import rarity, references, win_rate
from rewards.preference.stored import RewardModel
from rewards.preference.surf import SurfConfig
from robot_learn.data.dataset import Dataset
from robot_learn.data.manifest import dataset_hash
from robot_learn.errors import UserError, unknown
from robot_learn.registry import load
from robot_learn.runs import atomic_write
from robot_learn.scene import Array, Scene

Inputs = Literal["states", "images", "features"]
Scale = Literal["rarity", "win-rate", "none"]
UNLABELLED, MOST_UNLABELLED = 10, 5_000  # pairs that nobody was asked about, for each label and in all
LEARNED_FROM_PAIRS = ("bradley-terry", "regret", "users")


def inputs_of(dataset: Dataset, inputs: Inputs) -> Any:
    """What a model sees of every frame: observations (M + E, obs_dim), pictures or features.

    Raises:
        UserError: the dataset has none of these.
    """
    found = {"states": dataset.observations, "images": dataset.images, "features": dataset.features}
    if inputs not in found:
        raise unknown("kind of input", inputs, found)
    if found[inputs] is None:
        has = [name for name, value in found.items() if value is not None]
        raise UserError(f"dataset of {dataset.task} has no {inputs}; a reward model can be fitted on: {', '.join(has)}")
    return found[inputs]


def comparisons(
    dataset: Dataset, labels: Sequence[Label], *, steps: bool = False
) -> tuple[Comparisons, tuple[str, ...]]:
    """Labels as rows of frames, or of steps, and the names of their sources in the order of their numbers.

    Raises:
        UserError: no label says anything, or their segments differ in length.
    """
    said = [preference for label in labels if (preference := label.preference) is not None]
    if not said:
        raise UserError(f"none of the {len(labels)} labels prefers anything: there is nothing to learn from")
    lengths = sorted({segment.length for each in said for segment in (each.first, each.second)})
    if len(lengths) > 1:
        raise UserError(f"labels are of segments of {lengths[0]} and of {lengths[-1]} steps; wanted one length")
    rows = dataset.steps_of if steps else dataset.frames_of
    names = tuple(sorted({each.source for each in said}))
    number = {name: index for index, name in enumerate(names)}
    return (
        Comparisons(
            np.array([[rows(each.first), rows(each.second)] for each in said]),
            np.array([each.label for each in said]),
            np.array([number[each.source] for each in said]),
            np.array([each.confidence for each in said]),
        ),
        names,
    )


def gold_confusion(labels: Sequence[Label], gold: Sequence[Label], names: Sequence[str]) -> np.ndarray:
    """(sources, 3, 3) P(said | true) of each source, from the pairs whose answer is known.

    Raises:
        UserError: a source answered none of them.
    """
    known = {frozenset(label.pair): label for label in gold if label.answer.label is not None}
    tables = []
    for name in names:
        asked = [label for label in labels if label.source == name and frozenset(label.pair) in known]
        if not asked:
            raise UserError(f"{name} has answered none of the {len(known)} gold pairs: how it errs is not known")
        truth = []
        for label in asked:
            right = known[frozenset(label.pair)]
            answer = float(right.answer.label or 0.0)
            truth.append(answer if right.pair == label.pair else 1.0 - answer)
        tables.append(noise([label.answer.label for label in asked], truth).confusion())
    return np.stack(tables)


def fit(
    dataset: Dataset,
    labels: Sequence[Label],
    *,
    kind: str = "bradley-terry",
    inputs: Inputs = "states",
    config: Any = None,
    seeds: Sequence[int] = (0,),
    gold: Sequence[Label] = (),
    surf: bool = False,
    on_epoch: Callable[[int, float], None] | None = None,
) -> RewardModel:
    """A reward model of labelled pairs, one a seed.

    Args:
        config: of the model's own kind; None for its defaults.
        gold: labels that are known to be right, for the loss "confusion"; without any, the errors are learned.
        surf: learn from `UNLABELLED` pairs a label that nobody was asked about, too.

    Raises:
        UserError: the dataset or the labels lack what the kind wants.
    """
    if kind not in LEARNED_FROM_PAIRS:
        raise unknown("kind of reward model", kind, LEARNED_FROM_PAIRS)
    is_regret = kind == "regret"
    pairs, names = comparisons(dataset, labels, steps=is_regret)
    frames = steps_for_regret(dataset, inputs) if is_regret else inputs_of(dataset, inputs)
    more: dict[str, Any] = {} if not gold else {"confusion": gold_confusion(labels, gold, names)}
    if surf and kind == "users":
        raise UserError("surf is for bradley-terry and regret: of users, nobody was asked about the other pairs")
    if surf:
        others = unlabelled_pairs(dataset, len(pairs), pairs.segments.shape[2], steps=is_regret)
        more |= {"surf": SurfConfig(), "unlabelled": others}
    if frames.ndim == 4:  # only what is shown is read, once
        shown = np.unique(np.concatenate([pairs.segments, more.get("unlabelled", pairs.segments[:0])]))
        frames = np.asarray(frames[shown])
        pairs = replace(pairs, segments=np.searchsorted(shown, pairs.segments))
        more |= {"unlabelled": np.searchsorted(shown, more["unlabelled"])} if surf else {}
    model: RewardModel = load(REWARD_MODELS, kind, kind="reward model").fit(
        frames, pairs, config, seeds, on_epoch=on_epoch, **more
    )
    return model


def unlabelled_pairs(dataset: Dataset, labels: int, length: int, *, steps: bool = False) -> np.ndarray:
    """(U, 2, length) rows of frames, or of steps, of pairs of segments drawn evenly; the same for the same dataset."""
    count = min(UNLABELLED * labels, MOST_UNLABELLED)
    usable = np.flatnonzero(dataset.lengths[dataset.episode_of] - _within(dataset) >= length)
    first = np.random.default_rng([labels, length]).choice(usable, (count, 2, 1))
    rows = first + np.arange(length)
    return rows if steps else dataset.frame_after[rows]


def _within(dataset: Dataset) -> np.ndarray:
    """(M,) the number of each step in its episode."""
    return np.asarray(np.arange(dataset.num_steps) - dataset.starts[dataset.episode_of])


def steps_for_regret(dataset: Dataset, inputs: Inputs = "states") -> np.ndarray:
    """(M, width + act_dim): state and action of every step."""
    if dataset.actions is None:
        raise UserError(f"dataset of {dataset.task} has no actions, and a regret model is of states and actions")
    rows = inputs_of(dataset, inputs)
    if rows.ndim != 2:
        raise UserError("a regret model wants states or features, no pictures")
    return step_rows(rows[dataset.frame_before], dataset.actions)


def pay(
    dataset: Dataset, model: RewardModel, *, inputs: Inputs = "states", scale: Scale = "win-rate", user: int = 0
) -> np.ndarray:
    """(S, M) float32: what each seed's model pays for every step, for the frame after it.

    With the scale "win-rate" it is the probability of being preferred over a frame of the dataset, in [0, 1], with
    "rarity" the number of tenfolds of the dataset that it is better than. An advantage is not scaled: at most 0 is what
    it means.

    Raises:
        UserError: there is no such scale.
    """
    if scale not in get_args(Scale):
        raise unknown("scale of rewards", scale, get_args(Scale))
    if isinstance(model, Regret):
        return model.rewards(steps_for_regret(dataset, inputs))
    frames = inputs_of(dataset, inputs)
    scores = model.rewards(frames, user) if isinstance(model, LatentUsers) else model.rewards(frames)
    paid = scores[:, dataset.frame_after]
    if scale == "none":
        return paid
    if scale == "rarity":
        return rarity(paid)
    return win_rate(paid, paid[:, references(dataset.num_steps)], beta_of(model))


def beta_of(model: RewardModel) -> float:
    """The inverse temperature of a model's preferences between single frames."""
    return float(getattr(model, "inverse_temperature", 1.0))


def write_rewards(path: Path, rewards: np.ndarray, dataset: Dataset, source: str, **more: np.ndarray) -> None:
    """What `robot-learn offline --rewards` takes: `rewards` (S, M), the dataset's hash, and who says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {"rewards": rewards, "dataset_hash": np.asarray(dataset_hash(dataset)), "source": np.asarray(source)}
    with atomic_write(path) as file:
        np.savez(file, **arrays, **more)  # type: ignore[arg-type]


def read_rewards(path: Path, dataset: Dataset) -> tuple[np.ndarray, str]:
    """Rewards (S, M) and their source.

    Raises:
        UserError: it is no such file, or is about another dataset.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            rewards, told = np.atleast_2d(stored["rewards"]), str(stored["dataset_hash"])
            source = str(stored["source"])
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: wanted an .npz of rewards, dataset_hash and source: {error}") from error
    if told != dataset_hash(dataset):
        raise UserError(f"{path}, key 'dataset_hash': rewards of another dataset ({told[:16]})")
    if rewards.shape[1:] != (dataset.num_steps,):
        raise UserError(f"{path}, key 'rewards': came {rewards.shape}, wanted (seeds, {dataset.num_steps})")
    return rewards, source


@dataclass(frozen=True, eq=False)
class LearnedReward:
    """A `RewardFn` of what is seen after a step, for an environment that asks it while it steps.

    `see` gives the frames (N, ...) of the worlds as they are now. A scene has no observation, so this reward is of the
    moment at which it is asked, unlike a program. With a `reference` a frame is paid what it wins against these, each
    as if it filled a segment of `segment` steps: the sums of that many rewards are what the labels compared.
    """

    model: RewardModel
    see: Callable[[], np.ndarray]
    reference: np.ndarray | None = None  # (S, R) scores to win against; None leaves the model's own scale
    seed: int | None = None  # which of the model's rows; None takes the mean of all
    segment: int = 1
    term_names: tuple[str, ...] = ("learned",)

    def evaluate(self, scene: Scene, action: Array) -> tuple[np.ndarray, Mapping[str, np.ndarray]]:
        paid = self.of(self.see())
        return paid, {"learned": paid}

    def __call__(self, scene: Scene, action: Array) -> np.ndarray:
        return self.evaluate(scene, action)[0]

    def of(self, frames: np.ndarray) -> np.ndarray:
        """(N,) what frames (N, ...) are paid."""
        rows = self.model.rewards(frames)
        if self.reference is not None:
            rows = win_rate(rows, self.reference, self.segment * beta_of(self.model))
        return np.asarray(rows.mean(axis=0) if self.seed is None else rows[self.seed], dtype=np.float64)


def live(
    env: Any,
    model: RewardModel,
    *,
    inputs: Inputs = "states",
    reference: np.ndarray | None = None,
    seed: int | None = None,
    segment: int = 1,
    size: tuple[int, int] = (64, 64),
    camera: str | None = None,
) -> LearnedReward:
    """The reward function of a `sims` batch of worlds that a model pays; `env.reward = live(env, model)` puts it there.

    Args:
        reference, seed, segment: see `LearnedReward`.
        size: height and width of the pictures that the model was fitted on, from `camera`.

    Raises:
        UserError: the model cannot be asked while a simulator steps.
    """
    if isinstance(model, Regret):
        raise UserError("a regret model pays for the state before a step, which a running simulator has left behind")
    if inputs == "states":
        return LearnedReward(model, env.worlds.observe, reference, seed, segment)
    if inputs == "images":
        return LearnedReward(model, lambda: env.pictures(size[1], size[0], camera), reference, seed, segment)
    raise UserError("a live reward is of states or images: features come from an encoder that a simulator has not")
