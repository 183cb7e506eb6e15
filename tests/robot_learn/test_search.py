"""The search for a reward: what is written, trained, chosen, and where a search that was cut goes on."""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rewards.models import NotRecordedError, Reply, Request
from robot_learn import runs
from robot_learn.cli import main
from robot_learn.envs import EVAL_SEED0, VALIDATION_SEED0
from robot_learn.errors import UserError
from robot_learn.launcher import Finished, Job
from robot_learn.search.state import Search
from tests.robot_learn.searching import (
    CONFIG,
    FIRST,
    SECOND,
    Fitted,
    Strict,
    Trainings,
    Writer,
    program,
    search,
    stored,
)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here is to survive a power cut, or to be repeated by its versions: both take a while each time."""
    monkeypatch.setattr("robot_learn.runs.versions", lambda: {})
    monkeypatch.setattr("robot_learn.runs.os.fsync", lambda _: None)


def test_only_the_best_of_each_rung_go_on(tmp_path: Path) -> None:
    trainings = Trainings()
    found = search(tmp_path, [FIRST, SECOND], trainings=trainings)
    assert trainings.done == [
        *[(f"0-{index}", "train", 100) for index in range(4)],
        ("0-1", "train", 300),
        ("0-2", "train", 300),
        ("0-1", "train", 900),
        ("1-0", "train", 100),
        ("1-1", "train", 100),
        ("1-0", "train", 300),
        ("1-0", "train", 900),
        ("1-0", "evaluate", 0),
    ]
    assert (found.ended, found.steps) == ("all rounds done", 100 + 900 + 300 + 100 + 900 + 100)
    assert found.result is not None
    assert (found.result["candidate"], found.result["success_rate"], found.result["num_episodes"]) == ("1-0", 0.6, 50)


def test_the_winner_alone_is_measured_on_seeds_of_evaluation(tmp_path: Path) -> None:
    found = search(tmp_path, [FIRST, SECOND])
    first_seeds = {
        name: json.loads((found.place(name) / runs.EVALUATION).read_text())["first_seed"] for name in found.candidates
    }
    assert first_seeds.pop("1-0") == EVAL_SEED0
    assert set(first_seeds.values()) == {VALIDATION_SEED0}


def test_later_rounds_revise_the_best_program_in_its_own_conversation(tmp_path: Path) -> None:
    writer = Writer([FIRST, SECOND])
    search(tmp_path, [], writer=writer)
    revision = writer.asked[4]
    assert [message.role for message in revision.messages] == ["system", "user", "assistant", "user"]
    assert program(0.5) in revision.messages[2].text
    assert "The hidden test was passed in 10 of 20 episodes" in revision.messages[3].text
    assert "900 control steps" in revision.messages[3].text
    assert [request.sample for request in writer.asked] == [0, 1, 2, 3, 0, 1]


def test_a_round_never_loses_the_best_and_a_prompt_never_gives_the_same_samples_twice(tmp_path: Path) -> None:
    writer = Writer([FIRST, (0.3, 0.1, 0.2, 0.7), (0.9, 0.4)])
    found = search(tmp_path, [], writer=writer, rounds=3)
    # Round 1 is worse, so round 2 revises the same program again: with the next samples of the same prompt.
    assert [(each.parent, each.sample) for each in found.round(2)] == [("0-1", 2), ("0-1", 3)]
    assert [each.parent for each in found.round(3)] == ["2-1", "2-1"]
    best = [found.best(before_round=number) for number in range(1, 5)]
    rates = [each.rungs[-1].rate for each in best if each is not None]
    assert rates == sorted(rates) == [0.5, 0.5, 0.7, 0.9]


def test_fitted_weights_make_a_candidate_of_its_own_that_may_win(tmp_path: Path) -> None:
    writer = Writer([FIRST, SECOND])
    found = search(tmp_path / "whole", [], writer=writer, screen=Fitted(0.15, 2.0), fit_weights=True)
    assert [each.name for each in found.round(0)] == ["0-0", "0-0w", "0-1", "0-2", "0-2w", "0-3"]
    assert found.candidates["0-2w"].weights == {"upright": 2.0}
    assert [each.parent for each in found.round(1) if each.origin == "revised"] == ["0-2w", "0-2w"]
    assert program(0.4) in writer.asked[4].messages[2].text
    assert "with other weights of its terms: `upright` times 2." in writer.asked[4].messages[3].text
    for jobs in (3, 8):
        cut = tmp_path / str(jobs)
        with pytest.raises(KeyboardInterrupt):
            search(cut, [FIRST, SECOND], screen=Fitted(0.15, 2.0), fit_weights=True, trainings=Trainings(set(), jobs))
        search(cut, [FIRST, SECOND], screen=Fitted(0.15, 2.0), fit_weights=True)
        assert stored(cut) == stored(tmp_path / "whole")


def test_no_weights_are_fitted_unless_asked_for_and_worse_ones_do_not_win(tmp_path: Path) -> None:
    plain = search(tmp_path / "plain", [FIRST], screen=Fitted(0.0, 0.5), rounds=0)
    worse = search(tmp_path / "worse", [FIRST], screen=Fitted(0.0, 0.5), rounds=0, fit_weights=True)
    assert not any(each.weights for each in plain.candidates.values())
    assert sum(each.weights is not None for each in worse.candidates.values()) == 3
    assert worse.result == plain.result


def test_a_search_ends_as_soon_as_a_round_solves_the_task(tmp_path: Path) -> None:
    found = search(tmp_path, [(0.2, 1.0, 0.3, 0.1)], rounds=5)
    assert found.ended == "solved"
    assert not found.round(1)


@pytest.mark.parametrize("jobs", [0, 2, 4, 6, 7, 10, 11])
def test_a_search_that_was_interrupted_goes_on_to_the_same_state(tmp_path: Path, jobs: int) -> None:
    search(tmp_path / "whole", [FIRST, SECOND])
    with pytest.raises(KeyboardInterrupt):
        search(tmp_path / "cut", [FIRST, SECOND], trainings=Trainings(interrupt_after=jobs))
    assert stored(tmp_path / "cut")["ended"] in (None, "all rounds done")
    again = Trainings()
    search(tmp_path / "cut", [FIRST, SECOND], trainings=again)
    assert stored(tmp_path / "cut") == stored(tmp_path / "whole")
    assert len(again.done) == 12 - jobs


def test_a_failed_training_is_a_failed_candidate_with_the_last_words_of_its_log(tmp_path: Path) -> None:
    found = search(tmp_path / "whole", [FIRST, SECOND], trainings=Trainings(broken={"0-1"}))
    assert "status 1:\nall is lost" in (found.candidates["0-1"].error or "")
    assert [each.parent for each in found.round(1)] == ["0-2", "0-2"]
    with pytest.raises(KeyboardInterrupt):
        search(tmp_path / "cut", [FIRST, SECOND], trainings=Trainings(broken={"0-1"}, interrupt_after=3))
    search(tmp_path / "cut", [FIRST, SECOND], trainings=Trainings(broken={"0-1"}))
    assert stored(tmp_path / "cut") == stored(tmp_path / "whole")


def test_a_candidate_that_fails_on_a_higher_rung_is_not_replaced_after_an_interruption(tmp_path: Path) -> None:
    class Late(Trainings):
        def run(self, jobs: Sequence[Job]) -> Generator[Finished, None, None]:
            self.broken = {"0-1"} if "300" in jobs[0].words else set()
            yield from super().run(jobs)

    whole = search(tmp_path / "whole", [FIRST], trainings=Late(), rounds=0)
    assert (whole.candidates["0-1"].error is None, len(whole.candidates["0-1"].rungs)) == (False, 1)
    with pytest.raises(KeyboardInterrupt):
        search(tmp_path / "cut", [FIRST], trainings=Late(interrupt_after=5), rounds=0)
    search(tmp_path / "cut", [FIRST], trainings=Late(), rounds=0)
    assert stored(tmp_path / "cut") == stored(tmp_path / "whole")


def test_a_refused_candidate_is_never_trained_and_its_twin_only_once(tmp_path: Path) -> None:
    trainings = Trainings()
    found = search(tmp_path, [(0.2, 0.5, 0.5, 0.1)], trainings=trainings, screen=Strict(0.3), rounds=0)
    assert [name for name, command, _ in trainings.done if command == "train"] == ["0-1"]
    assert trainings.done[0] == ("0-1", "train", 900)  # alone, it needs no rungs
    assert found.candidates["0-2"].duplicate_of == "0-1"
    counted = found.avoided()
    assert counted["judged"] == sum(counted[name] for name in ("refused", "duplicates")) + 1
    assert (counted["refused"], counted["duplicates"], counted["audited"]) == (2, 1, 0)


def test_an_audit_finds_what_halving_missed(tmp_path: Path) -> None:
    class Late(Trainings):
        """What is best in the end has shown nothing before."""

        def share(self, quality: float, steps: int) -> float:
            return 0.0 if steps < 900 and quality == 0.8 else super().share(quality, steps)

    answers = [(0.2, 0.8, 0.7, 0.1)]
    found = search(tmp_path / "plain", answers, trainings=Late(), rounds=0)
    assert (best := found.best()) is not None
    assert best.name == "0-2"
    missed = search(tmp_path / "missed", answers, trainings=Late(), rounds=0, audit=True)
    assert {each.name for each in missed.candidates.values() if each.audit} == {"0-0", "0-1", "0-3"}
    assert missed.avoided() == found.avoided() | {"audited": 3, "better": 1}
    assert found.avoided() | {"judged": 4, "refused": 0, "halted": 3, "whole_steps": 3600} == found.avoided()
    assert (missed.result, missed.steps) == (found.result, found.steps)


def test_where_everything_is_refused_the_findings_go_to_the_author_and_nothing_is_trained(tmp_path: Path) -> None:
    writer, trainings = Writer([FIRST, (0.2, 0.8)]), Trainings()
    found = search(tmp_path, [], writer=writer, trainings=trainings, screen=Strict(0.7))
    assert [name for name, _, _ in trainings.done] == ["1-1", "1-1"]
    asked = writer.asked[4].messages
    assert program(0.5) in asked[2].text  # the one with the highest score
    assert "its number is too low: raise it" in asked[3].text
    assert "hidden test was passed" not in asked[3].text
    assert found.result is not None
    assert found.result["candidate"] == "1-1"


def test_an_audit_trains_the_refused_and_counts_false_refusals_without_changing_the_result(tmp_path: Path) -> None:
    answers = [(0.2, 0.8, 0.7, 0.1)]
    plain = search(tmp_path / "plain", answers, screen=Strict(0.75), rounds=0)
    audited = search(tmp_path / "audited", answers, screen=Strict(0.75), rounds=0, audit=True)
    assert audited.avoided() == plain.avoided() | {"audited": 3, "false_refusals": 1, "better": 0}
    assert audited.result == plain.result
    assert audited.steps == plain.steps
    search(tmp_path / "plain", answers, screen=Strict(0.75), rounds=0, audit=True)
    assert stored(tmp_path / "plain") == stored(tmp_path / "audited")


@pytest.mark.parametrize(
    ("budget", "why"),
    [
        ({"max_steps": 1000}, "budget of 1,000 training steps: 800 done, 600 more do not fit in"),
        ({"max_minutes": 0.0}, "budget of 0 minutes spent"),
        ({"max_tokens": 10}, "budget of 10 tokens spent"),
    ],
)
def test_a_budget_ends_the_search_and_more_of_it_goes_on(tmp_path: Path, budget: dict[str, Any], why: str) -> None:
    found = search(tmp_path / "short", [FIRST, SECOND], **budget)
    assert found.ended == why
    assert found.steps <= budget.get("max_steps", 0)
    enough: dict[str, Any] = dict.fromkeys(budget, 10**9)
    again = search(tmp_path / "short", [FIRST, SECOND], **enough)
    whole = search(tmp_path / "whole", [FIRST, SECOND], **enough)
    assert again.ended == whole.ended == "all rounds done"
    assert stored(tmp_path / "short") == stored(tmp_path / "whole")


def test_time_that_runs_out_during_a_rung_interrupts_what_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 10_000, 7))
    monkeypatch.setattr("robot_learn.search.run.time.monotonic", lambda: float(next(clock)))
    trainings = Trainings()
    found = search(tmp_path, [FIRST, SECOND], trainings=trainings, max_minutes=1.5)
    assert found.ended == "budget of 1.5 minutes spent"
    assert 0 < sum(command == "train" for _, command, _ in trainings.done) < 4
    assert found.result is not None  # the best so far


def test_a_program_that_never_passes_the_check_is_a_candidate_with_its_error(tmp_path: Path) -> None:
    found = search(tmp_path, [(0.2, "I would rather not.", 0.4, 0.1)], rounds=0)
    refused = found.candidates["0-1"]
    assert "no fenced ```python block" in (refused.error or "")
    assert (refused.verdict, refused.steps) == (None, 0)
    assert refused.tokens > found.candidates["0-0"].tokens  # four replies
    assert (found.place(refused) / "transcript.txt").exists()


def test_a_mailbox_gets_all_prompts_of_a_round_before_the_command_ends(tmp_path: Path) -> None:
    writer = Writer([FIRST, SECOND], unanswered={(0, 0), (0, 2), (1, 1)}, spec="mailbox:box")
    trainings = Trainings()
    with pytest.raises(UserError, match=r"round 0, sample 0\n.*round 0, sample 2"):
        search(tmp_path / "cut", [], writer=writer, trainings=trainings)
    assert [request.sample for request in writer.asked] == [0, 1, 2, 3]
    assert trainings.done == []
    writer.unanswered = {(1, 1)}
    with pytest.raises(UserError, match="round 1, sample 1"):
        search(tmp_path / "cut", [], writer=writer, trainings=trainings)
    writer.unanswered = set()
    search(tmp_path / "cut", [], writer=writer, trainings=trainings)
    search(tmp_path / "whole", [FIRST, SECOND])
    assert stored(tmp_path / "cut") == stored(tmp_path / "whole")


def test_more_rounds_after_the_end_show_the_model_nothing_of_the_evaluation(tmp_path: Path) -> None:
    search(tmp_path / "short", [FIRST, SECOND], rounds=0)
    writer = Writer([FIRST, SECOND])
    trainings = Trainings()
    found = search(tmp_path / "short", [], writer=writer, trainings=trainings)
    assert trainings.done[0] == ("0-1", "train", 900)  # measured anew: there is nothing left to train
    whole = Writer([FIRST, SECOND])
    search(tmp_path / "whole", [], writer=whole)
    assert writer.asked == whole.asked[4:]
    assert found.result is not None
    assert found.result["candidate"] == "1-0"


def test_a_folder_keeps_to_the_search_that_it_was_begun_with(tmp_path: Path) -> None:
    search(tmp_path, [FIRST], rounds=0)
    with pytest.raises(UserError, match="holds another search: samples was 4, now 5"):
        Search.begin(tmp_path, replace(CONFIG, samples=5))
    assert Search.begin(tmp_path, replace(CONFIG, rounds=7)).config.rounds == 7


def test_two_processes_do_not_search_in_one_folder(tmp_path: Path) -> None:
    class Nested(Trainings):
        def run(self, jobs: Sequence[Job]) -> Generator[Finished, None, None]:
            with pytest.raises(UserError, match="another process searches in"):
                search(tmp_path, [FIRST], rounds=0)
            yield from super().run(jobs)

    assert search(tmp_path, [FIRST], rounds=0, trainings=Nested()).ended == "all rounds done"


def test_real_trainings_are_searched_in_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class InProcess(Trainings):
        def work(self, job: Job, steps: int) -> None:
            assert main(list(job.words)) == 0

    monkeypatch.setattr("robot_learn.search.run.FINAL_EPISODES", 2)
    monkeypatch.setattr("robot_learn.loops.FILMED_EPISODES", (0,))
    monkeypatch.setattr("robot_learn.loops.VIDEO_SIZE", (64, 48))
    tiny: dict[str, Any] = {"samples": 1, "revisions": 1, "steps": 400, "num_envs": 8, "episodes": 2}
    found = search(tmp_path, [FIRST, SECOND], trainings=InProcess(), **tiny)
    assert [(each.steps, each.rungs[0].episodes) for each in found.candidates.values()] == [(400, 2), (400, 2)]
    best = found.best()
    assert best is not None
    assert (found.place(best) / "report.html").exists()
    assert found.result is not None
    assert found.result["num_episodes"] == 2


def test_where_a_revision_is_not_recorded_the_search_ends_with_the_best_so_far(tmp_path: Path) -> None:
    class Silent(Writer):
        def complete(self, request: Request) -> Reply:
            if len(request.messages) > 2:
                raise NotRecordedError("not recorded")
            return super().complete(request)

    found = search(tmp_path, [FIRST], writer=Silent([FIRST]))
    assert found.ended is not None
    assert "nobody recorded a reply for round 1" in found.ended
    assert found.result is not None
    assert found.result["candidate"] == "0-1"
