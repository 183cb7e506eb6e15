"""Who looks: a vision-language model or a person. Both say the same things, and all of it is kept on disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

from rewards.video import prompts
from rewards.video.critique import Critique, read_critique
from rewards.video.describe import Description, describe, read_description
from rewards.video.forms import Form
from rewards.video.judge import Judgement, VerdictForm, borda, combine, read_ranking, read_verdict
from robot_learn.imitation.asking import Asker, both
from robot_learn.imitation.state import CRITIQUE, DESCRIPTION, JUDGEMENT, RANKING
from robot_learn.imitation.watch import Seen
from robot_learn.resumable import read_json, write_json
from robot_learn.types import Task

F = TypeVar("F", bound=Form)


class Critic(Protocol):
    """Looks at sheets and figures. Answers lie in `place`; what is there already is not asked again."""

    def describe(self, place: Path, video: Seen, sample: int) -> Description: ...

    def compare(self, place: Path, video: Seen, robot: Seen, sample: int) -> Critique: ...

    def judge(self, place: Path, video: Seen, new: Seen, old: Seen, sample: int) -> Judgement:
        """Which of two is closer, in both orders."""
        ...

    def rank(self, place: Path, video: Seen, robots: Sequence[Seen], sample: int) -> list[int]:
        """Their numbers, the closest first."""
        ...


@dataclass(frozen=True)
class ModelCritic:
    """A vision-language model."""

    asker: Asker
    task: Task

    def describe(self, place: Path, video: Seen, sample: int) -> Description:
        asked = describe(video.shown, video.figures)
        read = partial(read_description, codes=video.shown.codes)
        return self.asker.ask(place / DESCRIPTION, asked, read, _form, what="description", sample=sample)

    def compare(self, place: Path, video: Seen, robot: Seen, sample: int) -> Critique:
        asked = prompts.compare(self.task, video.shown, robot.shown, robot.figures)
        read = partial(read_critique, video_codes=video.shown.codes, robot_codes=robot.shown.codes)
        return self.asker.ask(place / CRITIQUE, asked, read, _form, what="critique", sample=sample)

    def judge(self, place: Path, video: Seen, new: Seen, old: Seen, sample: int) -> Judgement:
        first, second = both(
            partial(self._verdict, place / "new-first.json", video, new, old, sample),
            partial(self._verdict, place / "old-first.json", video, old, new, sample),
        )
        found = combine(first, second)
        write_json(place / JUDGEMENT, asdict(found))
        return found

    def _verdict(self, path: Path, video: Seen, a: Seen, b: Seen, sample: int) -> VerdictForm:
        codes = (*video.shown.codes, *a.shown.codes, *b.shown.codes)
        asked = prompts.judge(video.shown, a.shown, b.shown, [each.own_figures for each in (video, a, b)])
        read = partial(read_verdict, codes=codes)
        return self.asker.ask(path, asked, read, _form, what="judgement", sample=sample)

    def rank(self, place: Path, video: Seen, robots: Sequence[Seen], sample: int) -> list[int]:
        forwards = list(range(len(robots)))
        orders = (forwards, forwards[::-1])
        said = both(*(partial(self._order, place, video, robots, shown, sample) for shown in orders))
        found = borda(list(zip(orders, said, strict=True)), len(robots))
        write_json(place / RANKING, {"order": found, "said": [list(each) for each in said]})
        return found

    def _order(
        self, place: Path, video: Seen, robots: Sequence[Seen], shown: Sequence[int], sample: int
    ) -> tuple[int, ...]:
        figures = [video.own_figures, *(robots[number].own_figures for number in shown)]
        placed = [robots[number].shown for number in shown]
        codes = (*video.shown.codes, *(robot.codes[0] for robot in placed))
        path = place / f"ranking-from-{shown[0]}.json"
        read = partial(read_ranking, codes=codes, count=len(robots))
        asked = prompts.rank(video.shown, placed, figures)
        return self.asker.ask(path, asked, read, _form, what="ranking", sample=sample).order


def _form(form: Form) -> Any:
    return form.model_dump()


@dataclass(frozen=True)
class PersonCritic:
    """A person at a terminal, in place of the model: the ceiling that a model is measured against.

    A person sees the film, and which robot is the newer one is not said.
    """

    ask: Callable[[str], str]  # shows a question and gives the line that was typed
    say: Callable[[str], None]

    def describe(self, place: Path, video: Seen, sample: int) -> Description:
        if (place / DESCRIPTION).exists():
            return Description.model_validate(read_json(place / DESCRIPTION)["answer"])
        self.say("Look at the video. What does it do? A sentence each.")
        found = Description(
            codes=video.shown.codes,
            body=self._line("what moves (its torso, how many limbs it stands on): ", 5),
            motion=self._line("what it does, from first to last: ", 10),
            phases=(self._line("its phases, in their order: ", 3),),
            travels=self._line("where to and how quickly, or that it stays: ", 2),
            contacts=self._line("which limbs touch the ground, and when: ", 2),
            posture=self._line("how the torso is held: ", 2),
        )
        return self._kept(place / DESCRIPTION, found)

    def compare(self, place: Path, video: Seen, robot: Seen, sample: int) -> Critique:
        if (place / CRITIQUE).exists():
            return Critique.model_validate(read_json(place / CRITIQUE)["answer"])
        self.say(f"The robot now:\n{robot.figures}")
        said = self._line("how does it differ from the video? ", 3)
        keep = self.ask("what is right and must stay? (may be empty) ").strip()
        found = Critique.model_validate(
            {
                "video_codes": video.shown.codes,
                "robot_codes": robot.shown.codes,
                "video": "as described before",
                "robot": f"what a person says of it: {said}",
                "likeness": self._number("how alike are they, 0 to 10? ", 10.0),
                "keep": (keep,) if keep else (),
                "problems": (self._problem(said),),
            }
        )
        return self._kept(place / CRITIQUE, found)

    def _problem(self, said: str) -> dict[str, Any]:
        quantities = "speed, height, posture, rotation, timing, contact, amplitude, symmetry, effort"
        directions = "more, less, earlier, later, steadier, reverse"
        return {
            "problem": said,
            "body_part": self._line("which part of the body? ", 2),
            "phase": self._line("when (e.g. all the time, push-off, landing)? ", 2),
            "quantity": self._choice(f"which quantity ({quantities})? ", quantities),
            "direction": self._choice(f"in which direction ({directions})? ", directions),
            "confidence": 1.0,
        }

    def judge(self, place: Path, video: Seen, new: Seen, old: Seen, sample: int) -> Judgement:
        path = place / JUDGEMENT
        if path.exists():
            stored = read_json(path)
            return Judgement(stored["winner"], stored["confidence"], tuple(stored["why"]))
        # Which is which follows from the pictures, so that nobody can guess it from the order.
        swapped = int(new.shown.codes[0]) % 2 == 1
        first, second = (old, new) if swapped else (new, old)
        for letter, each in (("a", first), ("b", second)):
            self.say(f"Robot {letter}:\n{each.figures}")
            self._show(place / f"robot-{letter}.png", each)
        chosen = self._choice("which moves more like the video (a, b, same)? ", "a, b, same")
        why = self._line("why? ", 3)
        winner = {"a": "old" if swapped else "new", "b": "new" if swapped else "old"}.get(chosen, "draw")
        found = Judgement(winner, 0.0 if winner == "draw" else 1.0, (why,))  # type: ignore[arg-type]
        write_json(path, asdict(found))
        return found

    def rank(self, place: Path, video: Seen, robots: Sequence[Seen], sample: int) -> list[int]:
        path = place / RANKING
        if path.exists():
            return [int(number) for number in read_json(path)["order"]]
        for number, robot in enumerate(robots, start=1):
            self._show(place / f"robot-{number}.png", robot)
        wanted = list(range(1, len(robots) + 1))
        while True:
            words = self.ask(f"the order of robots {wanted}, the closest first, e.g. 2 1 3: ").replace(",", " ").split()
            if all(word.isdecimal() for word in words) and sorted(map(int, words)) == wanted:
                break
            self.say(f"wanted each of {wanted} once")
        order = [int(word) - 1 for word in words]
        write_json(path, {"order": order})
        return order

    def _show(self, path: Path, robot: Seen) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(robot.shown.pictures[0])
        self.say(f"look at    {path}")

    def _kept(self, path: Path, found: F) -> F:
        write_json(path, {"answer": found.model_dump(mode="json"), "by": "a person"})
        return found

    def _line(self, question: str, least: int) -> str:
        while len(said := self.ask(question).strip()) < least:
            self.say(f"wanted at least {least} letters")
        return said

    def _number(self, question: str, most: float) -> float:
        while True:
            try:
                value = float(self.ask(question))
            except ValueError:
                value = -1.0
            if 0.0 <= value <= most:
                return value
            self.say(f"wanted a number from 0 to {most:g}")

    def _choice(self, question: str, allowed: str) -> str:
        while (said := self.ask(question).strip().lower()) not in allowed.split(", "):
            self.say(f"wanted one of {allowed}")
        return said
