"""Rounds of human feedback: what they keep, what the model is told, and where they go on."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from rewards.language import load_conversation
from rewards.models import Client
from robot_learn import runs
from robot_learn.cli import main
from robot_learn.envs import EVAL_SEED0, VALIDATION_SEED0
from robot_learn.errors import UserError
from robot_learn.refine import TERMS, Refinement
from robot_learn.rounds_page import render_page
from robot_learn.runs import Run
from tests.robot_learn.refining import STEPS, TASK, Lab, Writer, lab_of, nobody, opened, program, round_of, run_of


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Lab:
    return lab_of(monkeypatch)


@pytest.fixture
def run(lab: Lab, tmp_path: Path) -> Run:
    return run_of(lab, tmp_path)


@pytest.fixture
def refinement(run: Run) -> Refinement:
    return opened(run)


def test_the_run_is_round_0_and_stays_as_it_was(run: Run, lab: Lab) -> None:
    before = {path.name: path.read_bytes() for path in run.path.iterdir()}
    refinement = opened(run)
    zero = refinement.current
    assert (zero.number, zero.state, zero.parent, zero.steps) == (0, "measured", None, STEPS)
    assert (zero.successes, zero.episodes) == (1, 10)
    assert lab.measured == [(run.path.name, EVAL_SEED0), ("0", VALIDATION_SEED0)]
    assert {path.name: path.read_bytes() for path in run.path.iterdir() if path.is_file()} == before


def test_three_rounds_are_run_folders_each_with_the_whole_history_in_its_prompt(refinement: Refinement) -> None:
    said = ["It leans to the left.", "It is too nervous.", "Stay in the middle."]
    writers = [round_of(refinement, words, quality) for words, quality in zip(said, (0.3, 0.6, 0.9), strict=True)]
    assert [each.number for each in refinement.history()] == [0, 1, 2, 3]
    assert [each.successes for each in refinement.history()] == [1, 3, 6, 9]
    assert [each.parent for each in refinement.history()] == [None, 0, 1, 2]
    for number, writer in enumerate(writers, start=1):
        prompt = writer.last_prompt()
        assert [prompt.count(words) for words in said] == [1] * number + [0] * (3 - number)
        assert f"{[1, 3, 6][number - 1]} of 10 episodes" in prompt
        place = refinement.place(number)
        assert Run.open(place.path).config["train"]["total_steps"] == STEPS
        conversation = load_conversation(place.path)
        assert conversation is not None
        assert len(conversation) == 3 + 2 * number
        assert place.has(TERMS)
    longer = [len(writer.asked[0].messages) for writer in writers]
    assert longer == [4, 6, 8]
    assert writers[2].asked[0].messages[:6] == writers[1].asked[0].messages


def test_a_program_from_a_file_begins_a_conversation_as_a_reply_to_its_task(refinement: Refinement) -> None:
    asked = round_of(refinement, "It falls.", 0.5).asked[0]
    assert [message.role for message in asked.messages] == ["system", "user", "assistant", "user"]
    assert asked.messages[2].text == f"```python\n{program(0.1).strip()}\n```"


def test_no_prompt_tells_of_evaluations_seeds_and_a_round_measured_there_is_measured_again(
    refinement: Refinement, lab: Lab
) -> None:
    round_of(refinement, "Hold still.", 0.5)
    lab.evaluate(refinement.place(1), episodes=50, video=False)  # robot-learn evaluate RUN/rounds/1
    writer = round_of(refinement, "Stiller.", 0.7)
    assert "5 of 10 episodes" in writer.last_prompt()
    assert lab.measured[-2:] == [("1", VALIDATION_SEED0), ("2", VALIDATION_SEED0)]


def test_a_round_that_was_asked_goes_on_with_the_same_question(refinement: Refinement, run: Run) -> None:
    refinement.give("It falls.", by="ann")
    silent = Writer([UserError("no reply in the mailbox")])
    with pytest.raises(UserError, match="no reply"):
        refinement.go_on(lambda: silent, quiet=True)
    again = Refinement.open(run.path)
    assert (again.current.state, again.current.said, again.current.by) == ("asked", "It falls.", "ann")
    writer = Writer([0.5])
    assert again.go_on(lambda: writer, episodes=10, video=False, quiet=True).state == "measured"
    assert writer.asked == silent.asked
    assert len(again.history()) == 2


def test_a_round_that_was_written_or_trained_asks_nobody_again(refinement: Refinement, run: Run, lab: Lab) -> None:
    refinement.give("It falls.")
    refinement.write(Writer([0.5]))
    assert Refinement.open(run.path).current.state == "written"
    lab.interrupt = True
    with pytest.raises(KeyboardInterrupt):
        Refinement.open(run.path).go_on(nobody, quiet=True)
    assert Refinement.open(run.path).current.state == "written"
    lab.interrupt = False
    again = Refinement.open(run.path)
    assert again.train(quiet=True).steps == STEPS
    assert Refinement.open(run.path).current.state == "trained"
    before = list(lab.trained)
    done = Refinement.open(run.path).go_on(nobody, episodes=10, video=False, quiet=True)
    assert (done.state, done.successes, lab.trained) == ("measured", 5, before)


def test_a_step_at_the_wrong_time_is_refused_and_changes_nothing(refinement: Refinement) -> None:
    with pytest.raises(UserError, match="round 0 is measured: wanted one that is asked"):
        refinement.write(Writer([0.5]))
    with pytest.raises(UserError, match="wanted one that is written"):
        refinement.train()
    refinement.give("It falls.")
    with pytest.raises(UserError, match=r"round 1 was begun with .* and is only asked: .* --undo takes it back"):
        refinement.give("It still falls.")
    with pytest.raises(UserError, match="wanted one that is trained or measured"):
        refinement.measure()
    with pytest.raises(UserError, match="nothing of it to compare yet"):
        refinement.prefer(0, 1, 1)
    assert refinement.current.said == "It falls."
    assert len(refinement.history()) == 2


def test_a_program_that_never_passes_the_check_leaves_the_round_asked(refinement: Refinement) -> None:
    refinement.give("It falls.")
    with pytest.raises(UserError, match="4 replies did not pass the check"):
        refinement.write(Writer([program(0.5).replace("angle", "angel")] * 4))
    assert refinement.current.state == "asked"
    assert not refinement.place(1).has(runs.REWARD)


def test_undo_goes_back_and_later_prompts_do_not_know_what_was_undone(refinement: Refinement) -> None:
    round_of(refinement, "It leans.", 0.3)
    round_of(refinement, "Dance!", 0.2)
    assert refinement.undo().number == 1
    assert refinement.lineage() == (0, 1)
    writer = round_of(refinement, "Stand still.", 0.6)
    assert "It leans." in writer.last_prompt()
    assert "Dance!" not in writer.last_prompt()
    assert program(0.2) not in writer.last_prompt()
    assert refinement.current.number == 3
    assert refinement.lineage() == (0, 1, 3)
    assert refinement.round(2).said == "Dance!"  # it is still there
    assert refinement.place(2).read_text(runs.REWARD) == program(0.2)


def test_all_can_be_undone_but_not_the_run_itself(refinement: Refinement) -> None:
    round_of(refinement, "It leans.", 0.3)
    assert refinement.undo().number == 0
    with pytest.raises(UserError, match="nothing to undo"):
        refinement.undo()


def test_the_same_sentence_after_an_undo_asks_for_another_reply(refinement: Refinement) -> None:
    first = round_of(refinement, "It leans.", 0.3).asked[0]
    refinement.undo()
    second = round_of(refinement, "It leans.", 0.4).asked[0]
    assert first.messages == second.messages
    assert (first.sample, second.sample) == (0, 1)


def test_the_preferred_round_becomes_current_and_the_model_is_told_both_programs_figures(
    refinement: Refinement,
) -> None:
    round_of(refinement, "It leans.", 0.7)
    round_of(refinement, "Faster!", 0.4)
    assert refinement.prefer(1, 2, 1, by="bob").number == 1
    writer = round_of(refinement, None, 0.8)
    told = writer.asked[0].messages[-1].text
    assert "preferred the behaviour of program 1" in told
    assert program(0.4).strip() in told
    assert "7 of 10 episodes" in told
    assert "4 of 10 episodes" in told
    assert "Faster!" not in writer.last_prompt()
    assert refinement.current.over == (2,)
    assert refinement.moves()[2].by == "bob"


def test_a_preference_can_be_undone_and_is_then_not_told(refinement: Refinement) -> None:
    round_of(refinement, "It leans.", 0.7)
    round_of(refinement, "Faster!", 0.4)
    refinement.prefer(1, 2, 1)
    assert refinement.undo().number == 2
    refinement.undo()
    assert "preferred" not in round_of(refinement, "Slower.", 0.5).last_prompt()


def test_a_later_round_that_is_preferred_is_told_what_it_was_preferred_to(refinement: Refinement) -> None:
    round_of(refinement, "It leans.", 0.7)
    assert refinement.prefer(0, 1, 1).number == 1
    told = round_of(refinement, "More of it.", 0.9).asked[0].messages[-1].text
    assert program(0.1).strip() in told
    assert "More of it." in told


def test_a_preference_of_something_else_is_refused(refinement: Refinement) -> None:
    round_of(refinement, "It leans.", 0.3)
    for a, b, choice in ((1, 1, 1), (0, 1, 2)):
        with pytest.raises(UserError, match="wanted one of two different rounds"):
            refinement.prefer(a, b, choice)
    with pytest.raises(UserError, match="has no round 7; it has: 0, 1"):
        refinement.prefer(7, 1, 1)
    with pytest.raises(UserError, match="nothing was said"):
        refinement.give("  ")
    assert [move.to for move in refinement.moves()] == [1]


def test_more_steps_may_be_given_and_the_other_settings_are_the_runs(run: Run) -> None:
    ranges = {"mass": [0.5, 2.0]}
    run.write_json(runs.CONFIG, run.config | {"randomise": ranges, "quick": True})
    refinement = opened(run)
    refinement.give("It falls.")
    refinement.go_on(lambda: Writer([0.5]), steps=5000, episodes=10, video=False, quiet=True)
    config = refinement.place(1).config
    assert refinement.current.steps == 5000
    assert config["randomise"] == ranges
    assert config["quick"] is True
    assert config["train"]["num_envs"] == 8
    assert "model" not in config


def test_two_do_not_work_on_the_same_rounds_at_once(refinement: Refinement, run: Run) -> None:
    refinement.give("It falls.")

    def meanwhile() -> Client:
        with pytest.raises(UserError, match="somebody else works on the rounds"):
            Refinement.open(run.path).go_on(nobody)
        return Writer([0.5])

    assert refinement.go_on(meanwhile, episodes=10, video=False, quiet=True).state == "measured"
    assert refinement.go_on(nobody, quiet=True).number == 1


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda run: run.file(runs.EVALUATION).unlink(), "was not evaluated"),
        (lambda run: run.file(runs.POLICY).unlink(), "was not evaluated"),
        (lambda run: run.write_json(runs.CONFIG, run.config | {"reward": "expert"}), "no reward program"),
        (lambda run: run.file(runs.REWARD).unlink(), "no reward program"),
        (lambda run: shutil.rmtree(run.path), "does not exist"),
    ],
)
def test_a_run_that_cannot_be_refined_says_why(break_it: Callable[[Run], None], message: str, run: Run) -> None:
    break_it(run)
    with pytest.raises(UserError, match=message):
        Refinement.open(run.path)
    assert not run.has("rounds")


def test_a_round_is_not_refined_by_itself(refinement: Refinement) -> None:
    with pytest.raises(UserError, match="is a round itself: refine"):
        Refinement.open(refinement.place(0).path)


@pytest.mark.parametrize(("name", "text"), [("0/round.json", "{}"), ("rounds.json", '{"moves": [{}]}')])
def test_a_damaged_file_is_named(name: str, text: str, refinement: Refinement) -> None:
    (refinement.run.path / "rounds" / name).write_text(text)
    with pytest.raises(UserError, match=re.escape(Path(name).name)):
        print(refinement.current, refinement.moves())


def test_the_page_shows_what_was_said_as_text_and_keeps_the_plots_apart(
    refinement: Refinement, monkeypatch: pytest.MonkeyPatch
) -> None:
    round_of(refinement, "<b>It leans.", 0.7)
    round_of(refinement, "Faster!", 0.4)
    refinement.undo()
    plot = '<svg><path id="a"/><use xlink:href="#a"/><g clip-path="url(#a)"/></svg>'
    monkeypatch.setattr("robot_learn.plots.term_plot", lambda *_: plot)
    page = render_page(refinement)
    assert "&lt;b&gt;It leans." in page
    assert "<b>It leans." not in page
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="|url\()#([\w-]+)', page)) <= set(ids)
    assert page.index("It leans.") < page.index("Rounds that were undone or liked less (1)") < page.rindex("Faster!")


def test_real_rounds_train_on_the_program_that_was_written_from_scratch_or_from_the_policy_before(
    tmp_path: Path,
) -> None:
    file = tmp_path / "reward.py"
    file.write_text(program(0.1))
    words = ["--num-envs", "8", "--steps", "400", "--episodes", "2", "--no-video", "--out", str(tmp_path / "runs")]
    assert main(["train", TASK, "--reward", str(file), *words]) == 0
    (folder,) = (tmp_path / "runs").iterdir()
    result = (folder / runs.EVALUATION).read_bytes()
    refinement = Refinement.open(folder)
    refinement.go_on(nobody, episodes=2, video=False, quiet=True)
    refinement.give("It falls.")
    answer = program(0.2).replace("upright", "stand")
    refinement.go_on(lambda: Writer([f"```python\n{answer}```"]), episodes=2, video=False, quiet=True)
    place = Run.open(refinement.place(1).path)
    assert refinement.current.steps == 400
    assert list(place.read_json(runs.TRACE)["terms"]) == ["stand"]
    assert place.read_json(runs.EVALUATION)["first_seed"] == VALIDATION_SEED0
    assert "It falls." in place.read_text(runs.REPORT)
    assert (folder / runs.EVALUATION).read_bytes() == result
    assert "<svg" in render_page(refinement)

    refinement.give("More of it.")
    refinement.go_on(lambda: Writer([0.3]), warm=True, episodes=2, video=False, quiet=True)
    assert refinement.place(2).config["from"]["run"] == str(place.path)
    assert "from" not in place.config
