"""How far a model of preferences can be believed: judged on labels that it has not learned from."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_expit

BINS = 10  # of confidence, for the expected calibration error


@dataclass(frozen=True)
class Calibration:
    """Of one seed's ensemble on held-out pairs. Ties count in the likelihoods, not in the accuracy."""

    pairs: int  # that are held out
    decided: int  # of which a label prefers one
    accuracy: float | None  # share of the decided ones that the model orders like the label; None without any
    low: float | None  # 95 % interval of the accuracy (Wilson)
    high: float | None
    loss: float  # cross entropy with the model's own probabilities [nats]
    inverse_temperature: float  # that the logits should be multiplied by to fit the held-out labels best
    calibrated_loss: float  # with it, cross-fitted: each half is judged with the other half's factor
    calibration_error: float  # expected calibration error (Guo et al., 2017) with it, cross-fitted

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def calibration(logits: np.ndarray, labels: np.ndarray) -> Calibration:
    """Judge the logits (P,) of P(second preferred) by labels (P,)."""
    logits, labels = np.asarray(logits, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    decided = labels != 0.5
    right = ((logits > 0) == (labels > 0.5))[decided] * np.where(logits == 0, 0.5, 1.0)[decided]
    accuracy = float(right.mean()) if decided.any() else None
    low, high = (None, None) if accuracy is None else wilson(accuracy, int(decided.sum()))
    halves = np.arange(len(labels)) % 2
    scaled = logits.copy()
    for half in (0, 1):
        other = halves != half if (halves != half).any() else halves == half
        scaled[halves == half] *= best_inverse_temperature(logits[other], labels[other])
    return Calibration(
        pairs=len(labels),
        decided=int(decided.sum()),
        accuracy=accuracy,
        low=low,
        high=high,
        loss=loss(logits, labels),
        inverse_temperature=best_inverse_temperature(logits, labels),
        calibrated_loss=loss(scaled, labels),
        calibration_error=expected_calibration_error(scaled, labels),
    )


def loss(logits: np.ndarray, labels: np.ndarray) -> float:
    """Mean cross entropy [nats]."""
    return float(-np.mean(labels * log_expit(logits) + (1.0 - labels) * log_expit(-logits)))


def best_inverse_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The factor, 0.01 to 100, with which logits fit labels best (Guo et al., 2017); it changes no order."""
    found = minimize_scalar(lambda x: loss(math.exp(x) * logits, labels), bounds=(-4.6, 4.6), method="bounded")
    return math.exp(float(found.x))


def expected_calibration_error(logits: np.ndarray, labels: np.ndarray) -> float:
    """Mean distance of confidence and accuracy over bins of confidence, weighted by their pairs."""
    probability = expit(logits)
    confidence, right = np.maximum(probability, 1 - probability), np.where(logits > 0, labels, 1 - labels)
    bins = np.minimum((2 * BINS * (confidence - 0.5)).astype(int), BINS - 1)
    gaps = [
        (bins == b).mean() * abs(confidence[bins == b].mean() - right[bins == b].mean())
        for b in range(BINS)
        if (bins == b).any()
    ]
    return float(np.sum(gaps))


def wilson(share: float, count: int, z: float = 1.959964) -> tuple[float, float]:
    """The 95 % interval of a share of `count` (Wilson, 1927)."""
    centre = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count)) / (1 + z * z / count)
    return max(0.0, centre - half), min(1.0, centre + half)
