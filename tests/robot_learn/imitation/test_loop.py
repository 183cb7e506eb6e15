"""The loop keeps what is better, takes back what is worse, lets nothing fallen or frozen pass, and resumes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sims
from rewards.models import Mailbox, NoReplyError
from rewards.video import prompts
from rewards.video.judge import Judgement, VerdictForm, combine, read_verdict
from rewards.video.motion import measure
from rewards.video.signals import Track
from robot_learn import loops, runs
from robot_learn.errors import UserError
from robot_learn.imitation import watch
from robot_learn.imitation.critics import ModelCritic
from robot_learn.imitation.loop import Session
from robot_learn.imitation.page import write_page
from robot_learn.imitation.state import Imitation
from robot_learn.imitation.watch import Seen
from robot_learn.resumable import read_json
from robot_learn.runs import Run
from tests.rewards.video import filmed
from tests.robot_learn.imitation.standins import (
    BROKEN,
    TOKENS,
    Model,
    Trainings,
    cheetah,
    config,
    decisions,
    linear,
    quick,
    session,
    small,
    tried,
    video,
)

__all__ = ["quick", "small", "video"]
pytestmark = pytest.mark.usefixtures("quick")

BETTER_THEN_WORSE = ((1.0, 0.5), (2.0, 1.2), (1.5, 1.6))


def run(folder: Path, video: Path, rounds=BETTER_THEN_WORSE, **changes) -> tuple[Imitation, Model, Trainings]:  # type: ignore[no-untyped-def]
    model, trainings = Model(folder, rounds), Trainings(cheetah)
    return session(folder, config(video, **changes), model, trainings).run(), model, trainings


def test_a_better_robot_is_kept_and_a_worse_one_is_taken_back(tmp_path: Path, video: Path) -> None:
    imitation, model, trainings = run(tmp_path / "a", video, screen="training")
    assert [each.verdict for each in imitation.iterations] == ["accepted", "accepted", "rejected"]
    assert [each.parent for each in imitation.iterations] == [None, 0, 1]
    assert imitation.best() == imitation.iterations[1], "never below the best"
    assert [each.idea for each in imitation.iterations] == ["weight 1.0", "weight 2.0", "weight 1.6"]
    assert imitation.ended == "all iterations done"
    assert trainings.done[:3] == [("0/0", 20), ("0/1", 20), ("0/0", 100)], "all shortly, the best to the end"
    assert imitation.iterations[0].steps == 120
    edits = [request for request in model.asked if request.label.endswith("edits")]
    assert "taken back" not in tried(edits[2])
    fourth = session(
        tmp_path / "a",
        config(video, iterations=4, screen="training"),
        Model(tmp_path / "a", (*BETTER_THEN_WORSE, (3.0, 1.0))),
    )
    assert fourth.run().best().number == 3  # type: ignore[union-attr]
    last = [request for request in fourth.author.asker.client.asked if request.label.endswith("edits")]  # type: ignore[attr-defined]
    assert "weight 1.6 (rewrite move): taken back" in tried(last[0]), "the editor sees what was rejected, and why"
    assert "it moves more" in tried(last[0])
    assert "    return 2.0 + np.cos" in last[0].messages[1].text, "and edits the best, not the newest"
    assert write_page(imitation).stat().st_size > 10_000


def test_everything_of_an_iteration_is_in_its_folder(tmp_path: Path, video: Path) -> None:
    imitation, *_ = run(tmp_path, video, iterations=2)
    files = {path.name for path in imitation.place(1).iterdir()}
    wanted = {"critique.json", "edits.json", "reward.py", "terms.json", "progress.csv", "policy.npz", "video.mp4"}
    wanted |= {
        "sheet-0.png",
        "sheet-1.png",
        "seen.json",
        "tracks.npz",
        "screening.json",
        "judgement.json",
        "candidates",
    }
    assert wanted <= files
    assert read_json(imitation.place(1) / "critique.json")["answer"]["problems"][0]["quantity"] == "effort"
    page = write_page(imitation).read_text(encoding="utf-8")
    assert page.count("<video") == 3, "the video and two robots"
    assert "rewrite move" in page
    assert page.count("<polyline") == 2
    assert "success rate" not in page
    assert "it moves too little" in page


def test_nobody_is_told_the_task(tmp_path: Path, video: Path) -> None:
    _, model, _ = run(tmp_path, video, iterations=2, screen="training")
    said = "\n".join(message.text for request in model.asked for message in request.messages)
    task = sims.task("mujoco/half-cheetah")
    for word in (task.instruction.lower(), "cheetah", "success", "expert"):
        assert word not in said.lower()


@pytest.mark.parametrize("gates", [True, False])
def test_a_frozen_robot_that_everybody_praises_is_never_accepted(tmp_path: Path, video: Path, gates: bool) -> None:
    model = Model(tmp_path, ((1.0, 1.1), (0.2, 0.3)), praises=True)
    model.answer = praising(model)  # type: ignore[method-assign]
    asked = config(video, iterations=2, gates=gates)
    imitation = session(tmp_path, asked, model).run()
    last = imitation.iterations[1]
    assert "stands still" in last.veto[0]
    assert last.verdict == ("vetoed" if gates else "accepted")
    assert imitation.best().number == (0 if gates else 1)  # type: ignore[union-attr]


@pytest.mark.parametrize(("early", "order", "verdict"), [(True, [1, 0], "accepted"), (False, [0, 1], "vetoed")])
def test_gates_sort_short_trainings_or_wait_for_the_full_one(
    tmp_path: Path, video: Path, early: bool, order: list[int], verdict: str
) -> None:
    asked = config(video, iterations=1, screen="training", rank="wishes", early_gates=early)
    imitation = session(tmp_path, asked, Model(tmp_path, ((0.2, 1.0),))).run()
    screened = read_json(imitation.place(0) / "screening.json")
    assert (screened["order"], list(screened["vetoes"])) == (order, ["0"])
    assert imitation.iterations[0].verdict == verdict


def praising(model: Model):  # type: ignore[no-untyped-def]
    """Judges the robot with the lower weight, which is the newer one, to be the better."""
    honest = Model.answer

    def answer(kind: str, request):  # type: ignore[no-untyped-def]
        found = honest(model, kind, request)
        if kind == "judgement":
            found["better"] = {"a": "b", "b": "a"}[found["better"]]
        return found

    return answer


# What a model answered, shown a robot that the gates had vetoed and another one, in both orders.
PRAISE = {
    "fallen": ("mujoco-ant-judgement-1039314076f707e9", "mujoco-ant-judgement-031200731f89c757"),
    "frozen": ("mujoco-ant-judgement-28ffe303b2fe5d89", "mujoco-ant-judgement-eeb88f5211441d05"),
}
RECORDINGS = Path(__file__).parents[3] / "benchmarks" / "recordings"


class Vetoed(Session):
    """A session in which the second robot moves as one did of the benchmark, ten rollouts of an ant."""

    name: str

    def _watch(self, run: Run, stage: str) -> Seen:
        seen = super()._watch(run, stage)
        if run.path.parents[1].name == "0":
            return seen
        with np.load(Path(__file__).with_name("vetoed.npz")) as kept:
            of = [{key: kept[f"{self.name}/{number}/{key}"] for key in TRACK} for number in range(10)]
        return replace(seen, veto=self.video.gates.veto([Track(**each) for each in of]))


TRACK = ("dt", "position", "tilt", "joints", "ended")


@pytest.mark.parametrize("gates", [True, False])
@pytest.mark.parametrize("name", PRAISE)
def test_recorded_praise_of_a_vetoed_robot_does_not_get_it_accepted(
    tmp_path: Path, video: Path, monkeypatch: pytest.MonkeyPatch, name: str, gates: bool
) -> None:
    def recorded(_: Any, place: Path, *told: Any) -> Judgement:
        return combine(*(verdict(RECORDINGS / f"{file}.json") for file in PRAISE[name]))

    monkeypatch.setattr(ModelCritic, "judge", recorded)
    made = session(tmp_path, config(video, iterations=2, gates=gates), Model(tmp_path, ((1.0, 1.1), (2.0, 2.1))))
    found = Vetoed(made.imitation, made.critic, made.author, made.launcher, made.say)
    found.name = name
    last = found.run().iterations[1]
    assert recorded(None, tmp_path).winner == "new", "else it was no praise"
    assert last.veto[0].startswith({"fallen": "it fell in 30% of 10", "frozen": "it stands still in 100% of 10"}[name])
    assert last.verdict == ("vetoed" if gates else "accepted")


def verdict(path: Path) -> VerdictForm:
    """What a recorded reply says, read as the loop reads it."""
    text = "\n".join(json.loads(path.read_text(encoding="utf-8"))["replies"][0]["text"])
    return read_verdict(text, json.loads(text.partition("```json")[2].partition("```")[0])["codes"])


def test_a_fallen_robot_is_never_accepted_though_the_first_and_praised(tmp_path: Path, video: Path) -> None:
    def limp(weight: float):  # type: ignore[no-untyped-def]
        return replace(linear(np.zeros((3, 11), dtype=np.float32)), mean_bias=np.array([1.0, -1.0, 0.0]))

    asked = config(video, iterations=2)
    found = session(
        tmp_path,
        replace(asked, task="mujoco/hopper"),
        Model(tmp_path, ((1.0, 2.0), (3.0, 4.0)), praises=True),
        Trainings(limp),
    )
    imitation = found.run()
    assert [each.verdict for each in imitation.iterations] == ["vetoed", "vetoed"]
    assert all("it fell in 100%" in each.veto[0] for each in imitation.iterations)
    assert imitation.best() is None
    assert imitation.iterations[1].parent == 0, "what fell is what the next critique is about"


def test_warm_trainings_go_on_from_the_best_and_the_editor_is_told(
    tmp_path: Path, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, sources = loops.begin, []

    def begun(*given: Any, source: Run | None, **options: Any) -> Run:
        sources.append(source)
        return begin(*given, **options)

    monkeypatch.setattr(loops, "begin", begun)
    imitation, model, _ = run(tmp_path, video, warm=True)
    best = imitation.place(1) / "candidates" / str(imitation.iterations[1].entrant)
    first = imitation.place(0) / "candidates" / str(imitation.iterations[0].entrant)
    assert [each and each.path for each in sources] == [None, None, first, first, best, best]
    told = [request.messages[0].text for request in model.asked if "You write the reward" in request.messages[0].text]
    assert ["from scratch" in text for text in told] == [True, False, False]
    assert ["is then trained on" in text for text in told] == [False, True, True]


def test_without_keep_best_the_newest_is_left(tmp_path: Path, video: Path) -> None:
    imitation, model, _ = run(tmp_path, video, keep_best=False)
    assert imitation.best().number == 2  # type: ignore[union-attr]
    assert not [request for request in model.asked if request.label.endswith("judgement")]


def test_one_model_for_both_levels_sees_the_pictures_and_is_asked_for_edits_alone(tmp_path: Path, video: Path) -> None:
    imitation, model, _ = run(tmp_path, video, iterations=2, split=False)
    assert imitation.best().number == 1  # type: ignore[union-attr]
    edits = [request for request in model.asked if request.label.endswith("edits")]
    assert [len(request.messages[1].images) for request in edits] == [1, 3]
    assert not [request for request in model.asked if request.label.endswith(("critique", "description"))]


def test_ungrounded_prompts_hold_no_figure(tmp_path: Path, video: Path) -> None:
    _, model, _ = run(tmp_path, video, iterations=2, grounded=False)
    said = "\n".join(message.text for request in model.asked for message in request.messages)
    for words in ("robot: forward speed", "rad/s on average", "repeats itself every"):
        assert words not in said


def test_killed_at_every_step_it_comes_to_the_same_and_asks_nothing_twice(tmp_path: Path, video: Path) -> None:
    whole, model, trainings = run(tmp_path / "whole", video, iterations=2, screen="training")
    asked, trained, folder = 0, 0, tmp_path / "cut"
    for _ in range(40):
        cut = Model(folder, BETTER_THEN_WORSE, interrupt_at=1)
        jobs = Trainings(cheetah, interrupt_at=1)
        try:
            found = session(folder, config(video, iterations=2, screen="training"), cut, jobs).run()
        except KeyboardInterrupt:
            asked, trained = asked + len(cut.asked), trained + len(jobs.done)
            continue
        asked, trained = asked + len(cut.asked), trained + len(jobs.done)
        break
    assert decisions(found) == decisions(whole)
    assert asked == len(model.asked)
    assert trained == len(trainings.done)
    assert Imitation.open(folder).tokens == whole.tokens


def test_a_mailbox_is_answered_in_parts_and_both_orders_are_asked_at_once(tmp_path: Path, video: Path) -> None:
    folder, box = tmp_path / "run", tmp_path / "box"
    reader = Model(folder, BETTER_THEN_WORSE)
    waits = []
    for _ in range(20):
        try:
            imitation = session(folder, config(video, iterations=2, screen="training"), Mailbox(box, wait_s=0)).run()
        except NoReplyError as error:
            waits.append(str(error))
            answer_all(box, reader)
            continue
        break
    assert imitation.best().number == 1  # type: ignore[union-attr]
    assert "reply.txt" in waits[0]
    assert max(text.count("no reply in the mailbox") for text in waits) == 2
    assert len(waits) == 6, "description, edits, ranking; critique, edits, then ranking and judgement"


def answer_all(box: Path, reader: Model) -> None:
    from rewards.models import Request
    from rewards.models.mailbox import _read_request

    for path in sorted(box.glob("*/request.json")):
        if not (path.parent / "reply.txt").exists():
            messages, label, _ = _read_request(path.parent)
            (path.parent / "reply.txt").write_text(reader.complete(Request(messages, label)).text)


def test_unreadable_replies_are_sent_back_and_at_last_refused(tmp_path: Path, video: Path) -> None:
    model = Model(tmp_path, BETTER_THEN_WORSE, unreadable={"description": ["I see nothing."] * 4})
    with pytest.raises(UserError, match=r"(?s)description.*wanted exactly one ```json block.*run the same command"):
        session(tmp_path, config(video, iterations=1), model).run()
    assert [request.refused for request in model.asked] == [0, 1, 2]
    assert "Mend this" in model.asked[1].messages[-1].text
    before = len(model.asked)
    imitation = session(tmp_path, config(video, iterations=1), model).run()
    assert model.asked[before].sample == 1, "another reply is asked for"
    assert imitation.best() is not None
    assert read_json(imitation.place(0) / "description.json")["errors"], "the fourth was sent back once more"
    assert imitation.tokens == TOKENS * len(model.asked), "what was refused has cost, too"


def test_budgets_end_it_with_the_best_so_far(tmp_path: Path, video: Path) -> None:
    by_steps, *_ = run(tmp_path / "steps", video, max_steps=150)
    assert "budget of 150 training steps" in (by_steps.ended or "")
    assert by_steps.best().number == 0  # type: ignore[union-attr]
    more = session(tmp_path / "steps", config(video, max_steps=None), Model(tmp_path / "steps", BETTER_THEN_WORSE))
    assert more.run().best().number == 1, "a larger budget goes on"  # type: ignore[union-attr]
    by_tokens, *_ = run(tmp_path / "tokens", video, max_tokens=2000)
    assert "budget of 2,000 tokens" in (by_tokens.ended or "")


def test_a_reward_that_cannot_be_trained_gives_way_to_the_next(tmp_path: Path, video: Path) -> None:
    imitation, *_ = run(tmp_path, video, ((BROKEN, 1.0),), iterations=1)
    assert imitation.iterations[0].entrant == "1"


def test_where_no_training_comes_through_the_iteration_failed_and_says_why(tmp_path: Path, video: Path) -> None:
    rounds = ((1.0,), (BROKEN,), (2.0,))
    imitation, model, _ = run(tmp_path, video, rounds, alternatives=1)
    assert [each.verdict for each in imitation.iterations] == ["accepted", "failed", "accepted"]
    assert imitation.iterations[1].why == ("robot-learn: the reward is not finite",)
    assert "no training of it came through" in tried(model.asked[-3]), "the editor is told"


def test_an_iteration_is_taken_back_and_asked_for_anew(tmp_path: Path, video: Path) -> None:
    run(tmp_path, video, iterations=2)
    assert Imitation.open(tmp_path).undo().number == 1
    again = Imitation.open(tmp_path)
    assert len(again.iterations) == 1
    assert (tmp_path / "undone" / "1-0" / "critique.json").exists()
    model = Model(tmp_path, ((1.0, 0.5), (3.0, 1.2)))
    found = session(tmp_path, config(video, iterations=2), model).run()
    assert found.iterations[1].idea == "weight 3.0"
    assert {request.sample for request in model.asked if request.label.endswith("edits")} == {1}
    with pytest.raises(UserError, match="nothing to undo"):
        Imitation(tmp_path / "none", config(video)).undo()


def test_the_state_is_json_that_names_what_differs(tmp_path: Path, video: Path) -> None:
    imitation, *_ = run(tmp_path, video, iterations=1)
    assert json.loads((tmp_path / "imitation.json").read_text())["format"] == 1
    assert Imitation.open(tmp_path).iterations == imitation.iterations
    with pytest.raises(UserError, match="steps was 100, now 7"):
        Imitation.begin(tmp_path, config(video, steps=7))
    with pytest.raises(UserError, match="is no imitation"):
        Imitation.open(tmp_path / "nowhere")


def test_of_two_that_were_trained_in_full_the_better_one_stands(tmp_path: Path, video: Path) -> None:
    imitation, _, trainings = run(tmp_path, video, rounds=((0.5, 1.0),), iterations=1, finalists=2)
    assert trainings.done == [("0/0", 100), ("0/1", 100)]
    assert imitation.iterations[0].idea == "weight 1.0"
    assert imitation.iterations[0].steps == 200


def test_a_video_that_cannot_be_read_leaves_no_settings_to_match(tmp_path: Path, video: Path) -> None:
    (tmp_path / "none.mp4").write_bytes(b"no film")
    with pytest.raises(UserError, match=r"none\.mp4"):
        run(tmp_path / "run", tmp_path / "none.mp4", iterations=1)
    imitation, *_ = run(tmp_path / "run", video, iterations=1)
    assert len(imitation.iterations) == 1


def test_policies_are_not_chosen_by_success(tmp_path: Path) -> None:
    from robot_learn import loops
    from robot_learn.train_config import preset

    run = loops.begin(sims.task("mujoco/cart-pole"), "sparse", preset("ppo", num_envs=16), tmp_path)
    assert loops.environment(run, 2).worlds.success is not None
    run.write_json(runs.CONFIG, run.config | {"blind": True})
    env = loops.environment(run, 2)
    env.reset(seed=0)
    *_, info = env.step(np.zeros((2, 1)))
    assert not info["success"].any()


def test_a_robot_may_come_to_rest_where_the_video_does() -> None:
    times = np.arange(60) / 30
    lands = filmed.disc(np.stack([np.full(60, 64.0), 48 - 30 * np.sin(np.pi * np.minimum(times, 1.0))], axis=1))
    assert watch.rests(measure(lands))
    sways = 64.0 + np.where(times > 1.0, 2.0 * np.sin(3.0 * times), 0.0)
    lands = filmed.disc(np.stack([sways, 48 - 40 * np.sin(np.pi * np.minimum(times, 1.0))], axis=1))
    assert watch.rests(measure(lands)), "also where it sways a little"
    assert not watch.rests(measure(filmed.bobbing(0.5, seconds=2.0)))
    still = watch.Seen(prompts.Shown((), (), 1.0, 30.0), "", rests=True)
    dt, moved = 0.02, np.concatenate([np.sin(np.arange(60) / 3), np.full(140, 0.1)])
    track = Track(dt, np.tile([0.0, 0.0, 1.0], (200, 1)), np.zeros(200), moved[:, None])
    assert "stands still" in replace(still, rests=False).gates.veto([track])[0]
    assert still.gates.veto([track]) == ()
    assert "stands still" in still.gates.veto([replace(track, joints=np.zeros((200, 1)))])[0], "but not from the start"
