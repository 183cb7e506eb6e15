"""How good labels are: against the truth where a dataset holds it, and against gold pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rewards.preference.gold import accuracy_by_difference, noise
from rewards.preference.labels import PairKey
from rewards.preference.query import Answer
from robot_learn.data.dataset import Dataset
from robot_learn.preferences.ask import true_differences

BINS = 10


def report(
    dataset: Dataset, pairs: Sequence[PairKey], said: Mapping[PairKey, Answer], gold: Mapping[PairKey, float]
) -> dict[str, Any]:
    """What a teacher said of the pairs it was asked, as plain JSON: counts, and how right it was.

    "truth" is against the task's own rewards, all and by bins of the true difference; None where they are not known.
    "gold" is against the labels in `gold`, P(second preferred) by pair; None where none of them is answered.
    """
    answered = [pair for pair in pairs if pair in said]
    labels = [said[pair].label for pair in answered]
    sure = [said[pair].confidence for pair in answered if said[pair].label is not None]
    differences = true_differences(dataset, answered) if answered else None
    known = [pair for pair in answered if pair in gold]
    found = noise([said[pair].label for pair in known], [gold[pair] for pair in known]) if known else None
    return {
        "pairs": len(pairs),
        "answered": len(answered),
        "abstained": sum(label is None for label in labels),
        "ties": sum(label == 0.5 for label in labels),
        "mean_confidence": float(np.mean(sure)) if sure else None,
        "truth": None if differences is None else _against(labels, differences),
        "gold": None if found is None else found.to_json() | {"confusion": found.confusion().tolist()},
    }


def _against(labels: Sequence[float | None], differences: np.ndarray) -> dict[str, Any]:
    truth = np.where(differences > 0, 1.0, np.where(differences < 0, 0.0, 0.5))
    bins = accuracy_by_difference(labels, differences, bins=BINS)
    return noise(labels, truth.tolist()).to_json() | {"bins": [one.to_json() for one in bins]}
