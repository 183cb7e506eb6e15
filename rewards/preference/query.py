"""What a teacher is asked, and what one answers: the same for all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from robot_learn.types import Segment


@dataclass(frozen=True, eq=False)
class Query:
    """Two segments of L steps to be compared. A teacher reads what it can see; what is hidden from it is None."""

    first: Segment
    second: Segment
    instruction: str  # the task, in a sentence
    pictures: tuple[np.ndarray, np.ndarray] | None = None  # (L, height, width, 3) uint8 each: after each step
    rewards: tuple[np.ndarray, np.ndarray] | None = (
        None  # (L,) each, the truth: for simulated teachers, and to be judged by
    )
    advantages: tuple[np.ndarray, np.ndarray] | None = None  # (L,) each, A*(s, a): for teachers who prefer by regret


@dataclass(frozen=True)
class Answer:
    """What a teacher says about one query."""

    label: float | None  # P(second preferred), 0.5 is a tie; None: it did not want to say
    confidence: float = 1.0  # 0 to 1
    prompt_hash: str = ""  # of what a model was asked
    images: tuple[str, ...] = ()  # sha256 of the pictures that were shown, as PNG files
    model: str = ""  # who replied, as the reply names it


class Teacher(Protocol):
    """Compares. Answers come in the order of the queries, one by one, so that each can be stored at once."""

    @property
    def name(self) -> str:
        """The `source` of its labels, with all settings that its answers depend on, e.g. "simulated:mistake=0.1"."""
        ...

    @property
    def batch(self) -> int:
        """How many queries it looks at together; 0: as many as there are.

        Whoever asks hands the same ones over together each time, so that what is shown does not change.
        """
        ...

    def answers(self, queries: Sequence[Query]) -> Iterator[Answer]:
        """One answer a query; fewer when a person has stopped.

        Raises:
            UserError: it cannot see what it needs, or somebody it relies on does not reply.
        """
        ...
