"""Commenting without a page: a sentence becomes an edit, the edit a preview, and only what is accepted is trained."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from robot_learn import runs
from robot_learn.envs import VALIDATION_SEED0
from robot_learn.errors import UserError
from robot_learn.refine import Refinement
from robot_learn.runs import Run
from robot_learn.session.activity import Person, Place
from robot_learn.session.comment.activity import MAIL, Comment
from robot_learn.session.comment.opening import offers
from robot_learn.session.comment.previews import read_summary
from robot_learn.session.comment.view import about_model, diff
from robot_learn.session.comment.work import Show, round_maker
from tests.robot_learn.refining import STEPS, Lab, lab_of, program, run_of
from tests.robot_learn.session.inline import Inline

ANN = Person("Ann", "a tab", holds=True)
TWO_TERMS = """def reward(scene, action):
    effort = -0.1 * np.sum(action**2)
    return {"upright": 0.7 - scene.pole.angle**2, "effort": effort}
"""


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Lab:
    return lab_of(monkeypatch)


@pytest.fixture
def run(lab: Lab, tmp_path: Path) -> Run:
    return run_of(lab, tmp_path)


def no_preview(order: Show) -> Iterator[Path]:
    order.folder.mkdir(parents=True)
    for name, text in (("preview.mp4", "a film"), ("preview.json", '{"trace": {}}')):
        (order.folder / name).write_text(text)
    summary = {"success": True, "steps": 5, "seconds": 1.0, "out_of_time": False, "weights": dict(order.weights)}
    (order.folder / "summary.json").write_text(json.dumps(summary))
    yield order.folder


class Lesson:
    """A comment on a run, with a mailbox for its model, and a clock."""

    def __init__(self, run: Run, **options: str) -> None:
        self.run, self.mailbox, self.now = run, run.path.parent / "mailbox", 0.0
        place = Place(run.path.parent / "session", run.path.parent, {"model": f"mailbox:{self.mailbox}", **options})
        self.maker, self.shower = Inline(round_maker(run.path)), Inline(no_preview)
        self.comment = Comment(str(run.path), place, self.maker, self.shower)
        self.settle()

    def settle(self) -> dict[str, Any]:
        for _ in range(8):
            self.now += 1.1
            self.comment.tick(self.now)
        return self.comment.state()

    def do(self, what: str, **arguments: Any) -> dict[str, Any]:
        self.comment.do(what, arguments, ANN)
        return self.settle()

    def reply(self, text: str) -> dict[str, Any]:
        """Answer the prompt that lies in the mailbox."""
        (prompt,) = [path for path in self.mailbox.glob("*/prompt.txt") if not path.with_name("reply.txt").exists()]
        prompt.with_name("reply.txt").write_text(f"```python\n{text}```\n")
        self.comment._doing = ("asking", -MAIL)  # seconds have gone by
        return self.settle()


@pytest.fixture
def lesson(run: Run) -> Lesson:
    return Lesson(run)


def test_the_run_is_measured_first_on_seeds_that_no_result_is_reported_on(lesson: Lesson, lab: Lab) -> None:
    state = lesson.comment.state()
    assert (state["current"], state["shown"], state["job"]) == (0, 0, None)
    assert state["rounds"][0]["success"] == [2, 20]
    assert [term["name"] for term in state["program"]["terms"]] == ["upright"]
    assert lab.measured[-1] == ("0", VALIDATION_SEED0)


def test_a_sentence_becomes_an_edit_and_nothing_is_trained_before_it_is_accepted(lesson: Lesson, lab: Lab) -> None:
    state = lesson.do("say", text="Less effort.")
    assert "no reply in the mailbox" in state["job"]["mail"]
    assert Refinement.open(lesson.run.path).current.by == "Ann"
    before = list(lab.trained)
    state = lesson.reply(TWO_TERMS)
    proposal = state["proposal"]
    assert (proposal["round"], proposal["said"]) == (1, "Less effort.")
    assert proposal["terms"] == {"kept": ["upright"], "added": ["effort"], "dropped": []}
    assert [row["op"] for row in proposal["diff"]] == ["same", "drop", "add", "add"]
    assert lab.trained == before
    assert state["shown"] == 0, "the policy that is watched is still the old one"
    state = lesson.do("accept")
    assert lab.trained == [*before, "1"]
    assert (state["proposal"], state["shown"], state["rounds"][1]["success"]) == (None, 1, [14, 20])


def test_a_rejected_edit_is_left_and_nobody_is_told_of_it(lesson: Lesson, lab: Lab) -> None:
    lesson.do("say", text="Dance!")
    lesson.reply(TWO_TERMS)
    state = lesson.do("reject")
    assert (state["current"], state["proposal"], state["rounds"][1]["kept"]) == (0, None, False)
    lesson.do("say", text="Stand still.")
    prompts = [path.read_text() for path in lesson.mailbox.glob("*/prompt.txt")]
    assert sum("Dance!" in text for text in prompts) == 1
    assert "1" not in lab.trained


def test_a_preview_is_of_the_proposal_with_its_weights(lesson: Lesson) -> None:
    lesson.do("say", text="Less effort.")
    lesson.reply(TWO_TERMS)
    state = lesson.do("preview")
    (order,) = lesson.shower.orders
    assert (order.program, order.weights, order.seconds) == (TWO_TERMS, {"upright": 1.0, "effort": 1.0}, 15.0)
    assert (state["preview"]["success"], state["preview"]["steps"]) == (True, 5)
    assert lesson.comment.files()[state["preview"]["video"]].read_text() == "a film"
    assert lesson.do("accept")["preview"] is None


def test_a_preview_that_nobody_waits_for_any_more_is_not_taken_for_the_next(lesson: Lesson) -> None:
    lesson.shower.hold = True
    state = lesson.do("preview", weights={"upright": 2.0})
    assert state["preview"]["of"] == 15.0
    with pytest.raises(UserError, match="a preview is being made"):
        lesson.do("preview", weights={"upright": 3.0})
    lesson.comment.previews.forget()
    assert lesson.do("preview", weights={"upright": 4.0})["preview"]["of"] == 15.0
    lesson.shower.release()
    assert lesson.settle()["preview"]["weights"] == {"upright": 4.0}


def test_a_sentence_that_is_taken_back_leaves_the_preview_of_the_weights(lesson: Lesson) -> None:
    preview = lesson.do("preview", weights={"upright": 2.0})["preview"]
    assert lesson.do("say", text="Higher.")["preview"] == preview
    assert lesson.do("undo")["preview"] == preview
    assert lesson.comment.files()[preview["video"]].exists()
    lesson.do("weigh", weights={"upright": 2.0})
    assert lesson.do("undo")["preview"] is None, "it was tried in earnest since"


def test_a_rejected_edit_leaves_the_preview_of_the_weights(lesson: Lesson) -> None:
    preview = lesson.do("preview", weights={"upright": 2.0})["preview"]
    lesson.do("say", text="Higher.")
    assert lesson.reply(program(0.8))["preview"] is None, "of the edit nothing was previewed yet"
    assert lesson.do("preview")["preview"]["weights"] == {"upright": 1.0}
    assert lesson.do("reject")["preview"] == preview


def test_a_preview_of_weights_that_is_still_made_gives_way_to_one_of_the_edit(lesson: Lesson) -> None:
    lesson.shower.hold = True
    lesson.do("preview", weights={"upright": 2.0})
    lesson.do("say", text="Higher.")
    assert lesson.reply(program(0.8))["preview"] is None
    assert lesson.do("preview")["preview"]["of"] == 15.0
    lesson.shower.release()
    assert lesson.settle()["preview"]["weights"] == {"upright": 1.0}
    assert [order.program for order in lesson.shower.orders][-1] == program(0.8)


def worsened(run: Run) -> Lesson:
    """A lesson whose second round succeeds less often than its first."""
    lesson = Lesson(run)
    for said, quality in (("Higher.", 0.9), ("Lower.", 0.4)):
        lesson.do("say", text=said)
        lesson.reply(program(quality))
        lesson.do("accept")
    return lesson


def test_a_round_that_succeeds_less_often_waits_for_the_person_to_choose(run: Run) -> None:
    lesson = worsened(run)
    state = lesson.comment.state()
    assert state["choice"] == {"round": 2, "before": 1}
    assert [each["success"] for each in state["rounds"]] == [[2, 20], [18, 20], [8, 20]]
    for act in ({"what": "say", "text": "On."}, {"what": "weigh", "weights": {"upright": 2.0}}):
        with pytest.raises(UserError, match="round 2 succeeds less often than round 1: keep it, or go back"):
            lesson.do(**act)
    assert Lesson(run).comment.state()["choice"] == state["choice"], "a restart does not choose either"


def test_going_back_from_a_worse_round_makes_the_one_before_current(run: Run) -> None:
    state = worsened(run).do("undo")
    assert (state["current"], state["shown"], state["choice"]) == (1, 1, None)


def test_a_worse_round_that_is_kept_goes_on_and_nobody_is_asked_again(run: Run) -> None:
    lesson = worsened(run)
    state = lesson.do("keep")
    assert (state["current"], state["choice"]) == (2, None)
    assert Lesson(run).comment.state()["choice"] is None
    with pytest.raises(UserError, match="nothing to choose"):
        lesson.do("keep")
    assert lesson.do("say", text="Higher again.")["rounds"][3]["parent"] == 2


def test_who_prefers_the_worse_of_two_rounds_has_chosen(run: Run) -> None:
    state = worsened(run).do("prefer", a=2, b=1, choice=2)
    assert (state["current"], state["choice"], state["preferred_over"]) == (2, None, [1])


def test_a_folder_that_is_no_run_is_named_as_the_person_did(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    place = Place(Path("runs/session/comment"), Path("runs"))
    with pytest.raises(UserError, match=r"^runs/none is not a run folder"):
        Comment("runs/none", place)


def test_a_run_may_be_named_without_the_folder_of_runs(run: Run) -> None:
    idle = Inline(no_preview)
    comment = Comment(run.path.name, Place(run.path.parent / "session", run.path.parent), idle, idle)
    assert comment.refinement.run.path == run.path


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("recordings", "mailbox:FOLDER"),
        ("recordings:mine", None),
        ("mailbox:box", None),
        ("openai:some", "OPENAI_API_KEY is not set"),
        ("anthropic:some", "ANTHROPIC_API_KEY is not set"),
    ],
)
def test_the_page_knows_what_a_model_lacks(spec: str, says: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "ANTHROPIC_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    missing = about_model(spec)["missing"]
    assert missing is None if says is None else says in missing
    monkeypatch.setenv("OPENAI_BASE_URL", "http://localhost:1")  # another's server lacks no key of OpenAI's
    assert (about_model(spec)["missing"] is None) == (says is None or spec == "openai:some")


def test_weights_of_ones_own_need_no_model(run: Run, lab: Lab) -> None:
    lesson = Lesson(run, model="recordings")
    assert "OPENAI_API_KEY" in lesson.comment.state()["model"]["missing"]
    state = lesson.do("preview", weights={"upright": 4.0})
    assert lesson.shower.orders[0].weights == {"upright": 4.0}
    assert state["preview"]["weights"] == {"upright": 4.0}
    state = lesson.do("weigh", weights={"upright": 4.0})
    assert (state["current"], state["rounds"][1]["weights"], state["rounds"][1]["state"]) == (
        1,
        {"upright": 4.0},
        "measured",
    )
    assert state["program"]["weights"] == {"upright": 4.0}
    assert lab.trained[-1] == "1"
    assert Run.open(run.path / "rounds/1").config["weights"] == {"upright": 4.0}
    assert lesson.do("undo")["program"]["weights"] == {"upright": 1.0}


def test_a_model_is_told_of_the_weights_that_a_person_chose(lesson: Lesson) -> None:
    lesson.do("weigh", weights={"upright": 4.0})
    lesson.do("say", text="Higher.")
    (prompt,) = lesson.mailbox.glob("*/prompt.txt")
    assert "upright by 4" in prompt.read_text()
    state = lesson.reply(program(0.9))
    assert state["proposal"]["program"]["weights"] == {"upright": 1.0}
    assert lesson.do("accept")["rounds"][2]["success"] == [18, 20]


def test_without_a_recording_the_person_is_told_what_to_do_and_the_weights_still_work(run: Run) -> None:
    lesson = Lesson(run, model="recordings")
    state = lesson.do("say", text="Nobody recorded an answer to this.")
    assert "OPENAI_API_KEY" in state["trouble"]
    assert (state["job"], state["current"], state["rounds"][1]["state"]) == (None, 1, "asked")
    state = lesson.do("weigh", weights={"upright": 0.5})
    assert (state["trouble"], state["current"], state["rounds"][2]["parent"]) == (None, 2, 0)


def test_another_model_goes_on_with_a_sentence_that_the_first_could_not_answer(run: Run) -> None:
    lesson = Lesson(run, model="recordings")
    lesson.do("say", text="Higher.")
    lesson.do("model", spec=f"mailbox:{lesson.mailbox}")
    lesson.do("again")
    assert lesson.reply(program(0.8))["proposal"]["said"] == "Higher."


def test_the_better_of_two_rounds_goes_on_and_the_model_is_told(lesson: Lesson) -> None:
    lesson.do("weigh", weights={"upright": 2.0})
    state = lesson.do("prefer", a=1, b=0, choice=0)
    assert (state["current"], state["shown"], state["preferred_over"]) == (0, 0, [1])
    lesson.do("say", text="")
    (prompt,) = lesson.mailbox.glob("*/prompt.txt")
    assert "What a person prefers" in prompt.read_text()


def test_a_killed_server_goes_on_with_what_was_accepted_and_shows_again_what_was_not(run: Run, lab: Lab) -> None:
    first = Lesson(run)
    first.do("say", text="Less effort.")
    first.reply(TWO_TERMS)
    proposal = first.comment.state()["proposal"]
    second = Lesson(run)  # the first was never closed
    assert second.comment.state()["proposal"] == proposal
    lab.interrupt = True
    state = second.do("accept")
    assert state["trouble"].startswith("Stopped.")
    assert second.comment.lessons() == 2
    lab.interrupt = False
    third = Lesson(run)
    assert third.comment.state()["rounds"][1]["state"] == "measured"
    assert third.comment.lessons() == 2


def test_undo_while_something_is_done_ends_that_first(lesson: Lesson) -> None:
    lesson.maker.hold = True
    lesson.do("weigh", weights={"upright": 2.0})
    assert lesson.comment.state()["job"]["what"] == "training"
    with pytest.raises(UserError, match="still being done"):
        lesson.do("say", text="Wait.")
    state = lesson.do("undo")
    assert lesson.maker.interrupts == 1
    assert (state["current"], state["job"], state["trouble"]) == (0, None, None)


@pytest.mark.parametrize(
    ("what", "arguments", "says"),
    [
        ("say", {"text": ""}, "nothing was said"),
        ("say", {"text": 3}, "wanted a sentence"),
        ("accept", {}, "nothing to accept"),
        ("undo", {}, "nothing to undo"),
        ("prefer", {"a": 0, "b": 0, "choice": 0}, "two different rounds"),
        ("prefer", {"a": 0}, "numbers of two rounds"),
        ("preview", {}, "nothing to preview"),
        ("preview", {"weights": {"speed": 2}}, "no term 'speed'; the terms are upright"),
        ("weigh", {"weights": {"upright": -1}}, "wanted a number from 0 to 1000"),
        ("weigh", {"weights": {"upright": 1}}, "no weight was changed"),
        ("model", {"spec": "crystal"}, "no model 'crystal'"),
        ("dance", {}, "no act named 'dance'"),
    ],
)
def test_acts_that_mean_nothing_are_refused_and_change_nothing(
    lesson: Lesson, what: str, arguments: dict[str, Any], says: str
) -> None:
    before = lesson.comment.state()["rounds"]
    with pytest.raises(UserError, match=says):
        lesson.comment.do(what, arguments, ANN)
    assert (lesson.settle()["rounds"], lesson.comment.lessons()) == (before, 0)


def test_a_diff_applied_to_the_old_text_gives_the_new_one() -> None:
    old = "".join(f"line {number}\n" for number in range(30))
    new = old.replace("line 3\n", "").replace("line 12\n", "line twelve\nand more\n")
    rows = diff(old, new)
    kept = {row["old"]: row["new"] for row in rows if row["op"] == "same"}
    lines = old.splitlines()
    assert [lines[row["old"] - 1] for row in rows if row["op"] == "drop"] == ["line 3", "line 12"]
    assert [row["text"] for row in rows if row["op"] == "add"] == ["line twelve", "and more"]
    assert all(new.splitlines()[to - 1] == lines[at - 1] for at, to in kept.items())
    assert sum(row["op"] == "gap" for row in rows) == 2
    assert diff(old, old) == [{"op": "gap", "old": None, "new": None, "text": "30 lines"}]


def test_half_a_preview_is_none(tmp_path: Path) -> None:
    assert read_summary(tmp_path) is None
    (tmp_path / "summary.json").write_text('{"success": tr')
    assert read_summary(tmp_path) is None


def test_the_home_page_offers_runs_that_can_be_commented_on(run: Run) -> None:
    (run.path.parent / "unfinished").mkdir()
    (run.path.parent / "unfinished" / runs.CONFIG).write_text("{}")
    (offer,) = offers(Place(run.path.parent / "session", run.path.parent))
    assert (Path(offer.what), offer.text) == (run.path, "mujoco/cart-pole")


def test_steps_and_episodes_of_a_round_may_be_given(run: Run) -> None:
    lesson = Lesson(run, steps="77", episodes="4")
    assert lesson.comment.state()["rounds"][0]["success"] == [1, 4]
    assert lesson.do("weigh", weights={"upright": 2.0})["rounds"][1]["steps"] == 77 != STEPS
    with pytest.raises(UserError, match="--steps none: wanted a whole number"):
        Lesson(run, steps="none")
