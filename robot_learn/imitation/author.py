"""Who edits: a language model turns what was seen into alternatives, each a reward that passed the check."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rewards.models import Message
from rewards.program import check, language_reference
from rewards.video import prompts
from rewards.video.critique import Critique
from rewards.video.edits import Alternative, read_edits
from rewards.video.signals import differences
from rewards.video.single import edit_seen
from rewards.video.terms import Term, Terms
from robot_learn.imitation.asking import Asker
from robot_learn.imitation.state import EDITS, Imitation, Iteration
from robot_learn.imitation.watch import Seen
from robot_learn.resumable import read_json, write_json
from robot_learn.types import Task


@dataclass(frozen=True)
class Author:
    """Writes rewards of one task. It is told the scene, never what the task is."""

    asker: Asker
    task: Task
    wanted: int  # alternatives

    def begin(self, place: Path, said: str, figures: str, sample: int) -> tuple[Alternative, ...]:
        """First rewards, from what the video shows in words."""
        return self._ask(place, self._edit(None, said, figures, ()), None, sample)

    def edit(
        self,
        place: Path,
        terms: Terms,
        critique: Critique,
        figures: str,
        history: Sequence[str],
        sample: int,
        *,
        warm: bool = False,
    ) -> tuple[Alternative, ...]:
        """Edits of a reward that answer a critique; `warm`: what was learned is trained on."""
        return self._ask(place, self._edit(terms, critique, figures, history, warm), terms, sample)

    def look_and_edit(
        self, place: Path, terms: Terms | None, video: Seen, robot: Seen | None, history: Sequence[str], sample: int
    ) -> tuple[Alternative, ...]:
        """Both levels at once, for the ablation: this model sees the pictures itself."""
        figures = video.figures if robot is None else robot.figures
        shown, wanted = None if robot is None else robot.shown, self.wanted
        asked = edit_seen(self.task, terms, video.shown, shown, figures, history, language_reference(), wanted=wanted)
        return self._ask(place, asked, terms, sample)

    def _edit(
        self, terms: Terms | None, said: Critique | str, figures: str, history: Sequence[str], warm: bool = False
    ) -> tuple[Message, ...]:
        reference = language_reference()
        return prompts.edit(self.task, terms, said, figures, history, reference, wanted=self.wanted, warm=warm)

    def _ask(
        self, place: Path, asked: tuple[Message, ...], terms: Terms | None, sample: int
    ) -> tuple[Alternative, ...]:
        read = partial(read_edits, terms=terms, check=lambda text: check(text, self.task), wanted=self.wanted)
        return self.asker.ask(place / EDITS, asked, read, _shown, what="edits", sample=sample)


def _shown(alternatives: Sequence[Alternative]) -> list[dict[str, Any]]:
    return [{"idea": each.idea, "edits": [asdict(edit) for edit in each.edits]} for each in alternatives]


def write_terms(path: Path, terms: Terms) -> None:
    write_json(path, [asdict(term) for term in terms.terms])


def read_terms(path: Path) -> Terms:
    """What `write_terms` wrote."""
    return Terms(tuple(Term(**stored) for stored in read_json(path)))


def history(imitation: Imitation) -> list[str]:
    """What was tried, a sentence each, for the prompt: what was edited, what came of it, and why it was turned down."""
    return [_told(imitation, each) for each in imitation.iterations]


def _told(imitation: Imitation, each: Iteration) -> str:
    parent = "the first reward" if each.parent is None else f"iteration {each.number}, from {each.parent}"
    begun = f"{parent}: {each.idea}" + (f" ({_edits(imitation, each)})" if each.parent is not None else "")
    changes = f" What changed: {'; '.join(each.changes)}." if each.changes else ""
    outcome = {
        "accepted": "kept",
        "rejected": "taken back, since it was not judged closer to the video",
        "vetoed": "taken back" if imitation.config.keep_best else "it went wrong",
        "failed": "no training of it came through",
    }[each.verdict]
    why = " ".join((*each.veto, *each.why))
    return f"{begun}: {outcome}.{changes}" + (f" Why: {why}" if why else "")


def _edits(imitation: Imitation, each: Iteration) -> str:
    if each.entrant is None:
        return "nothing"
    stored = read_json(imitation.place(each.number) / EDITS)["answer"][int(each.entrant)]["edits"]
    return ", ".join(f"{edit['kind']} {edit['term']}" for edit in stored)


def changes(now: Seen, before: Seen | None) -> tuple[str, ...]:
    """What was measured of a robot against its parent's."""
    if before is None or now.signals is None or before.signals is None:
        return ()
    return tuple(differences(now.signals, before.signals))
