"""When a teacher is asked while a policy learns, and about what."""

from __future__ import annotations

from dataclasses import dataclass

from robot_learn.errors import UserError

SESSION_SEEDS = 1000  # seeds that are set apart for the worlds of one session


@dataclass(frozen=True)
class OnlineConfig:
    """The budget, how it is spread over a training, and what is shown for it."""

    labels: int = 500  # the budget
    labels_per_session: int = 50
    session_steps: int = 4_000  # of training, between two sessions
    explore_steps: int = 0  # before the first session, paid for new states only
    segment: int = 20  # steps
    sampler: str = "disagreement"
    episodes: int = 16  # that the policy shows in a session, in worlds of its own
    picture_size: int = 0  # [px] of what the teacher sees; 0 shows no pictures
    camera: str | None = None
    members: int = 3
    hidden: tuple[int, ...] = (128, 128)

    def __post_init__(self) -> None:
        for name, low in (
            ("labels", 1),
            ("labels_per_session", 1),
            ("session_steps", 1),
            ("explore_steps", 0),
            ("segment", 1),
            ("episodes", 2),
            ("picture_size", 0),
            ("members", 1),
        ):
            if getattr(self, name) < low:
                raise UserError(f"{name} is {getattr(self, name)}: wanted {low} or more")
        if self.episodes > SESSION_SEEDS:
            raise UserError(f"episodes is {self.episodes}: wanted {SESSION_SEEDS} at most")

    @property
    def sessions(self) -> int:
        return -(-self.labels // self.labels_per_session)

    def labels_until(self, session: int) -> int:
        """How many labels may have been asked for after one session, from 0."""
        return min(self.labels, (session + 1) * self.labels_per_session)
