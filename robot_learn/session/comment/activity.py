"""Commenting: a person watches what a run has learned, says in a sentence what is wrong, sees the edit, and tries it.

The rounds are those of `robot-learn reward refine RUN`, in RUN/rounds: terminal and page go on with each other's work.
Here alone a person looks at a program before anything is trained on it: previews it, accepts or rejects it. Beside the
rounds, in the activity's folder:

    acts.jsonl      who did what, when
    accepted.json   the round whose training was asked for, so that it goes on after a restart
    previews/       films, terms and figures of previews
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from robot_learn import runs
from robot_learn.errors import UserError, unknown
from robot_learn.refine import Refinement
from robot_learn.rounds import Round
from robot_learn.session.activity import Person, Place
from robot_learn.session.background import Background, Done, Worker
from robot_learn.session.comment import view
from robot_learn.session.comment.journal import Journal
from robot_learn.session.comment.previews import Previews
from robot_learn.session.comment.work import GoOn, Write, previewer, round_maker

LOOK = 1.0  # [s] between two looks at a training's progress
MAIL = 3.0  # [s] between two looks into a mailbox
SECONDS = 15.0  # of a preview
EPISODES = 20  # of a round's measurement


class Comment:
    """See the module's text. Options: model, steps, episodes, seconds (of a preview)."""

    name = "comment"
    scene = None

    def __init__(self, what: str, place: Place, maker: Worker | None = None, shower: Worker | None = None) -> None:
        options = place.options
        self.folder = place.folder
        self.refinement = Refinement.open(place.run(what))
        self.model = options.get("model") or str(self.refinement.run.config.get("model", "recordings"))
        steps = options.get("steps")
        self._order = GoOn(
            None if steps is None else _positive("steps", steps),
            _positive("episodes", options.get("episodes", str(EPISODES))),
        )
        self._maker: Worker = maker or Background(round_maker, self.refinement.run.path)
        if shower is None:
            shower = Background(previewer, self.refinement.run.path)
            shower.warm()  # a preview has little time, and importing takes a good part of it
        self.previews = Previews(self.folder / "previews", shower, _seconds(options))
        self.trouble: str | None = None
        self._doing: tuple[str, float] | None = None  # what the maker does, since when
        self._afterwards: Callable[[], Any] | None = None
        self._due = 0.0  # of the next look at what takes long
        self.mail: str | None = None  # what is waited for
        self._state: dict[str, Any] | None = None
        self.folder.mkdir(parents=True, exist_ok=True)
        self.journal = Journal(self.folder / "acts.jsonl")

    # --- What the server asks.

    def state(self) -> dict[str, Any]:
        if self._state is None:
            self._state = view.state(self)
        return self._state

    def do(self, what: str, arguments: dict[str, Any], who: Person) -> dict[str, Any] | None:
        by = " ".join(who.name.split()) or None
        acts: dict[str, Callable[[], None]] = {
            "say": lambda: self._say(arguments, by),
            "again": self._again,
            "accept": self._accept,
            "reject": self._back,
            "keep": self._keep,
            "undo": self._back,
            "prefer": lambda: self._prefer(arguments, by),
            "weigh": lambda: self._weigh(arguments, by),
            "preview": lambda: self._preview(arguments),
            "model": lambda: self._name_model(arguments),
            "stop": self._maker.interrupt,
        }
        if what not in acts:
            raise unknown("act", what, acts)
        self._state = None
        acts[what]()
        now = self.refinement.current.number
        self.journal.note(what, arguments, by, now)
        return {"round": now}

    def tick(self, now: float) -> None:
        for said in self._maker.poll():
            self._state = None
            if isinstance(said, Done):
                self._made(said)
        came, error = self.previews.poll()
        if came:
            self._state, self.trouble = None, error or self.trouble
        if now >= self._due:
            self._due = now + LOOK
            if self._doing is not None or self.previews.busy:
                self._state = None
            self._go_on(now)

    def absent(self, seconds: float) -> None:
        """Nothing moves here."""

    def files(self) -> Mapping[str, Path]:
        found: dict[str, Path] = {}
        for each in self.refinement.history():
            place = self.refinement.place(each.number)
            traces = place.file(runs.TRACES if place.has(runs.TRACES) else runs.TRACE)
            found |= {f"round-{each.number}.mp4": place.file(runs.VIDEO), f"round-{each.number}.json": traces}
        found |= self.previews.files()
        return {name: path for name, path in found.items() if path.exists()}

    def lessons(self) -> int:
        return len(self.journal.acts)

    def close(self) -> None:
        self._maker.close()
        if self._afterwards is not None:
            self._afterwards()
        self.previews.worker.close()

    # --- What the page is told.

    @property
    def shown(self) -> Round | None:
        """The round that is watched: the newest measured one on the way to the current one."""
        line = [self.refinement.round(number) for number in self.refinement.lineage()]
        return next((each for each in reversed(line) if each.state == "measured"), None)

    def is_accepted(self, number: int) -> bool:
        try:
            return bool(json.loads((self.folder / "accepted.json").read_text())["round"] == number)
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def is_kept(self, number: int) -> bool:
        """Whether a person was shown that a round is worse than the one before it, and goes on with it all the same."""
        return any(act["do"] == "keep" and act.get("current") == number for act in self.journal.acts)

    def job(self) -> dict[str, Any] | None:
        """What is being done, and how far it is."""
        if self._doing is None:
            return None
        what, since = self._doing
        now = self.refinement.current
        found: dict[str, Any] = {"what": what, "seconds": round(time.monotonic() - since), "round": now.number}
        found |= {"mail": self.mail}
        if what == "training" and now.state == "written":
            place = self.refinement.place(now.number)
            total = self._order.steps or place.config.get("train", {}).get("total_steps")
            found |= {"training": view.training(place, total)}
        elif what == "training":
            found |= {"what": "measuring"}
        return found

    # --- What a person does.

    def _say(self, arguments: dict[str, Any], by: str | None) -> None:
        said = arguments.get("text")
        if not isinstance(said, str) or len(said) > 4000:
            raise UserError("wanted a sentence of at most 4,000 letters")
        self._idle()
        self._chosen()
        self.refinement.give(said, by=by)
        self.trouble = self.mail = None
        self._ask(warm=bool(arguments.get("warm")))

    def _again(self) -> None:
        """Ask the model, or go on with what was interrupted."""
        self._idle()
        self.trouble = self.mail = None
        now = self.refinement.current
        if now.state == "asked":
            self._ask(warm=self._warm)
        elif now.parent is None or self.is_accepted(now.number):
            self._start("training" if now.state == "written" else "measuring", self._order)

    def _accept(self) -> None:
        now = self.refinement.current
        if view.proposal(self) is None:
            raise UserError(f"round {now.number} is {now.state}: there is nothing to accept")
        self._idle()
        self._train(now)

    def _train(self, now: Round) -> None:
        with runs.atomic_write(self.folder / "accepted.json") as file:
            file.write(json.dumps({"round": now.number}).encode())
        self.previews.forget()
        self._again()

    def _back(self) -> None:
        """Undo the last move; what is being done for it is ended first.

        What was previewed of the round that is watched stays, where nothing was trained since.
        """
        if not self.refinement.moves():
            raise UserError("nothing to undo: this is the run itself")
        self.trouble = self.mail = None
        now = self.refinement.current
        only_said = now.state == "asked" or view.proposal(self) is not None
        self.previews.forget(now.number if only_said else None)
        if self._maker.busy:
            self._afterwards = self.refinement.undo
            self._maker.interrupt()
        else:
            self._doing = None
            self.refinement.undo()

    def _keep(self) -> None:
        """Go on with a round that is worse than the one before; that it was said is kept in the journal."""
        if view.choice(self) is None:
            raise UserError(f"nothing to choose: round {self.refinement.current.number} is the current one")

    def _prefer(self, arguments: dict[str, Any], by: str | None) -> None:
        numbers = [arguments.get(name) for name in ("a", "b", "choice")]
        if not all(isinstance(number, int) for number in numbers):
            raise UserError(f"wanted the numbers of two rounds and of the better one, came {numbers}")
        self._idle()
        a, b, choice = (int(number) for number in numbers if isinstance(number, int))
        self.refinement.prefer(a, b, choice, by=by)
        self.previews.forget()

    def _weigh(self, arguments: dict[str, Any], by: str | None) -> None:
        """Train with other weights. A sentence that nobody has answered gives way."""
        self._idle()
        self._chosen()
        shown = self._watched()
        weights = view.wanted_weights(arguments.get("weights"), view.program_of(self, shown.number))
        if self.refinement.current.state in ("asked", "written"):
            self.refinement.undo()
        self._train(self.refinement.weigh(weights, by=by))

    def _preview(self, arguments: dict[str, Any]) -> None:
        """Of the proposal, or of the current program with the weights that are given."""
        self._chosen()
        offered = view.proposal(self)
        if arguments.get("weights") is None and offered is None:
            raise UserError("there is nothing to preview: say what should be different, or move a weight")
        if arguments.get("weights") is not None:
            number = self._watched().number
            program = view.program_of(self, number)
            weights = program["weights"] | view.wanted_weights(arguments["weights"], program)
        else:
            assert offered is not None
            number, program, weights = offered["round"], offered["program"], offered["program"]["weights"]
        self.previews.begin(number, program["text"], weights)

    def _name_model(self, arguments: dict[str, Any]) -> None:
        spec = str(arguments.get("spec", "")).strip()
        missing = view.about_model(spec)["missing"]
        if missing is not None and spec.partition(":")[0] not in (*view.KEYS, "recordings"):
            raise UserError(missing)
        self.model, self.trouble = spec, None

    def _watched(self) -> Round:
        shown = self.shown
        if shown is None:
            raise UserError("this run has not been measured yet: wait for it")
        return shown

    def _idle(self) -> None:
        if self._maker.busy:
            raise UserError("something is still being done: wait for it, or stop it")

    def _chosen(self) -> None:
        open_choice = view.choice(self)
        if open_choice is not None:
            worse, before = open_choice["round"], open_choice["before"]
            raise UserError(f"round {worse} succeeds less often than round {before}: keep it, or go back first")

    # --- Work.

    @property
    def _warm(self) -> bool:
        """Whether the training shall begin with what was learned before, as was said with the sentence."""
        return bool(self.journal.last("say").get("warm"))

    def _ask(self, *, warm: bool) -> None:
        self._start("asking", Write(self.model, warm))

    def _start(self, what: str, order: Any) -> None:
        self._doing = (what, time.monotonic())
        self._maker.ask(order)

    def _go_on(self, now: float) -> None:
        """What nobody has to ask for: the run is measured before anything is said, and what was accepted is trained."""
        if self._maker.busy or self.trouble is not None:
            return
        this = self.refinement.current
        if self.mail is not None:
            if this.state == "asked" and self._doing is not None and now - self._doing[1] > MAIL:
                self._ask(warm=self._warm)
            return
        if this.state == "trained" or (this.state == "written" and self.is_accepted(this.number)):
            self._again()

    def _made(self, done: Done) -> None:
        from rewards.models import NoReplyError

        if self._afterwards is not None:
            afterwards, self._afterwards, self._doing = self._afterwards, None, None
            afterwards()
        elif done.interrupted:
            self._doing, self.trouble = None, "Stopped. What was trained so far is kept."
        elif done.kind == NoReplyError.__name__:
            self.mail = done.error
        else:
            self._doing, self.mail, self.trouble = None, None, done.error


def _positive(name: str, text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise UserError(f"--{name} {text}: wanted a whole number from 1")
    return int(text)


def _seconds(options: Mapping[str, str]) -> float:
    """Of a preview."""
    try:
        found = float(options.get("seconds", SECONDS))
    except ValueError:
        found = 0.0
    if not 0 < found < 3600:
        raise UserError(f"--seconds {options['seconds']}: wanted a number above 0")
    return found
