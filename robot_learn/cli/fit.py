"""`robot-learn reward fit`: labelled pairs become a reward."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from robot_learn.cli.output import OptionalInt, OptionalPath, put, put_json, say, table
from robot_learn.errors import UserError

if TYPE_CHECKING:
    from rewards.preference.stored import RewardModel
    from robot_learn.data.dataset import Dataset


@dataclass(frozen=True)
class FitReward:
    """Learn a reward from labelled pairs, and pay every step of the dataset by it."""

    dataset: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="DATASET")]
    """A dataset, by name or folder; `robot-learn data list` lists them."""
    labels: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="LABELS")]
    """A file of labels, from `robot-learn label`."""
    kind: Literal["bradley-terry", "regret", "users"] = "bradley-terry"
    """bradley-terry (a reward of what is seen after a step), regret (an advantage of states and actions) or users (a
    reward for each source of labels, told from a latent)."""
    inputs: Literal["states", "images", "features"] = "states"
    """What the model sees."""
    seeds: int = 3
    """How many models, from seed 0: one row of rewards each."""
    members: int = 3
    """Of each one's ensemble."""
    loss: Literal["cross-entropy", "mae", "confusion"] = "cross-entropy"
    """mae is bounded against wrong labels; confusion takes a rate of wrong labels for each source, from --gold or else
    learned."""
    label_smoothing: float = 0.0
    """Draw labels towards ties by this share."""
    surf: bool = False
    """Also learn from pairs that nobody was asked about, ten times as many, where the model is sure of them."""
    gold: OptionalPath = None
    """A file of labels that are known to be right, to measure the sources by."""
    scale: Literal["rarity", "win-rate", "none"] = "win-rate"
    """win-rate pays the probability of being preferred over a frame of the dataset; rarity 1 for the best tenth of the
    dataset, 2 for the best hundredth and so on, for data in which what is wanted is rare; none what the model says."""
    user: int = 0
    """For users: whose reward, by number in the order of their names."""
    max_epochs: OptionalInt = None
    """Passes over the labels, at most."""
    out: OptionalPath = None
    """Where the rewards go; by default rewards.npz beside the labels. The model is put beside it, NAME-model.npz."""
    members_out: OptionalPath = None
    """Also write what each member pays, for `robot-learn label --members`."""
    root: OptionalPath = None
    """Where datasets lie; by default ROBOT_LEARN_DATA or ./datasets."""
    json: bool = False
    """Print JSON."""

    def run(self) -> int:
        import torch

        from rewards.preference.labels import read_labels
        from rewards.preference.stored import save
        from robot_learn.data.manifest import identity
        from robot_learn.data.store import load
        from robot_learn.preferences import reward

        if self.seeds < 1:
            raise UserError(f"--seeds {self.seeds}: wanted 1 or more")
        torch.set_num_threads(1)  # of networks so small, more threads only get into each other's way
        dataset = load(self.dataset, self.root)
        labels, gold = (
            () if path is None else read_labels(path, **identity(dataset)) for path in (self.labels, self.gold)
        )
        say(f"{len(labels)} labels of {dataset.task}, {self.kind} on {self.inputs}, {self.seeds} seeds")
        model = reward.fit(
            dataset,
            labels,
            kind=self.kind,
            inputs=self.inputs,
            config=self._config(),
            seeds=range(self.seeds),
            gold=gold,
            surf=self.surf,
            on_epoch=lambda epoch, loss: say(f"epoch {epoch:>3}   held-out loss {loss:.4f}") if not epoch % 5 else None,
        )
        rewards = reward.pay(dataset, model, inputs=self.inputs, scale=self.scale, user=self.user)
        out = self.out or self.labels.parent / "rewards.npz"
        model_file = out.with_name(f"{out.stem}-model.npz")
        source = f"{self.kind}:{self.labels.stem}"
        save(model_file, self.kind, model, {"inputs": self.inputs, "task": dataset.task, "source": source})
        reward.write_rewards(out, rewards, dataset, source)
        if self.members_out is not None:
            self._write_members(dataset, model, source)
        self._show(out, model_file, model, dataset, rewards)
        return 0

    def _config(self) -> Any:
        from rewards.preference.latent import LatentConfig
        from rewards.preference.pair_loss import BradleyTerryConfig

        epochs: dict[str, Any] = {} if self.max_epochs is None else {"max_epochs": self.max_epochs}
        if self.kind == "users":
            return LatentConfig(**epochs)
        return BradleyTerryConfig(members=self.members, loss=self.loss, label_smoothing=self.label_smoothing, **epochs)

    def _write_members(self, dataset: Dataset, model: RewardModel, source: str) -> None:
        from rewards.preference.bradley_terry import BradleyTerry
        from robot_learn.preferences import reward

        assert self.members_out is not None
        if not isinstance(model, BradleyTerry):
            raise UserError(f"--members-out: a {self.kind} model is no ensemble of rewards of frames")
        each = model.member_rewards(reward.inputs_of(dataset, self.inputs))[:, dataset.frame_after]
        reward.write_rewards(self.members_out, model.inverse_temperature * each, dataset, f"members of {source}")

    def _show(self, out: Path, model_file: Path, model: RewardModel, dataset: Dataset, rewards: Any) -> None:
        truth = _correlations(dataset, rewards)
        rows = [
            {
                "seed": seed,
                "held out": judged.decided,
                "accuracy": judged.accuracy,
                "from": judged.low,
                "to": judged.high,
                "calibration error": judged.calibration_error,
                "rank correlation": truth[seed],
            }
            for seed, judged in enumerate(model.calibrations)
        ]
        if self.json:
            judged = [entry.to_json() for entry in model.calibrations]
            put_json({"rewards": str(out), "model": str(model_file), "seeds": judged, "rank_correlation": truth})
            return
        put(table(rows))
        put(f"rewards   {out}")
        put(f"model     {model_file}")


def _correlations(dataset: Dataset, rewards: Any) -> list[float | None]:
    """Of each seed's rewards with the task's own, where the dataset has these: to judge by, never to learn from."""
    import numpy as np
    from scipy.stats import spearmanr

    if dataset.reward_source != "task" or np.ptp(dataset.rewards) == 0:
        return [None] * len(rewards)
    return [float(spearmanr(row, dataset.rewards)[0]) if np.ptp(row) > 0 else None for row in rewards]
