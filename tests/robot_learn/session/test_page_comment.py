"""Commenting through the page itself: a tiny run of cart-pole, a sentence, an edit, a preview, weights."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from robot_learn import loops, runs
from robot_learn.refine import Refinement
from robot_learn.rounds import Round
from robot_learn.runs import Run
from robot_learn.train_config import preset
from tests.robot_learn.session.paging import Served, browser, page_of, shoot
from tests.waiting import until

TASK = "mujoco/cart-pole"
BEFORE = """def reward(scene, action):
    upright = np.cos(scene.pole.angle)
    return {"upright": upright, "effort": -0.1 * np.sum(action**2)}
"""
AFTER = """def reward(scene, action):
    upright = np.cos(scene.pole.angle)
    middle = -np.abs(scene.cart.position)
    return {"upright": upright, "middle": middle}
"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser() as found:
        yield found


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a thousand steps, with its round 0 measured and filmed."""
    import sims

    folder = tmp_path_factory.mktemp("trained")
    (folder / "reward.py").write_text(BEFORE)
    config = preset("ppo", total_steps=800, num_envs=8)
    run = loops.begin(sims.task(TASK), str(folder / "reward.py"), config, folder, name="run")
    loops.train_run(run, config, quiet=True)
    loops.evaluate_run(run, episodes=3, video=False)
    Refinement.open(run.path).measure(episodes=3)
    return run.path


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Run:
    shutil.copytree(trained, tmp_path / "run")
    return Run(tmp_path / "run")


def served(run: Run, *words: str) -> Served:
    folder = run.path.parent
    quick = ("--steps", "800", "--episodes", "3", "--seconds", "6", "--out", str(folder / "runs"))
    return Served("comment", str(run.path), *quick, *words, folder=folder)


def rounds_of(run: Run) -> list[Round]:
    return list(Refinement.open(run.path).history())


def test_a_sentence_is_edited_previewed_accepted_and_trained(chromium: Any, run: Run) -> None:
    mailbox = run.path.parent / "mailbox"
    server = served(run, "--model", f"mailbox:{mailbox}")
    try:
        with page_of(chromium, server.url) as page:
            page.get_by_text("succeeds in").wait_for()
            film = page.locator("article video").first
            until(lambda: film.evaluate("video => video.readyState") > 1, "the film")
            page.keyboard.press("t")
            page.keyboard.type("It runs off: keep the cart in the middle.")
            shoot(page, "comment-said")
            page.get_by_role("button", name="Say it").click()
            (prompt,) = until(lambda: list(mailbox.glob("*/prompt.txt")), "the prompt")
            assert "keep the cart in the middle" in prompt.read_text()
            page.get_by_text("Waiting for a reply in the mailbox").wait_for()
            prompt.with_name("reply.txt").write_text(f"```python\n{AFTER}```\n")
            page.get_by_text("Round 1, proposed").wait_for()
            assert page.locator(".diff .add").count() == 2
            assert page.locator(".names .added").inner_text() == "+ middle"
            assert page.locator(".names .dropped").inner_text() == "− effort"
            assert rounds_of(run)[1].state == "written"
            page.keyboard.press("p")
            page.get_by_text("planned in").wait_for()
            until(lambda: page.locator("article video").nth(1).evaluate("video => video.readyState") > 1, "the preview")
            shoot(page, "comment-proposal")
            page.keyboard.press("a")
            until(lambda: rounds_of(run)[1].state == "measured", "training and measurement")
            page.get_by_role("heading", name="Round 1 succeeds in").wait_for()
            shoot(page, "comment-trained")
    finally:
        server.stop()
    made = rounds_of(run)[1]
    assert (made.said, made.parent, made.steps) == ("It runs off: keep the cart in the middle.", 0, 800)
    assert Run.open(run.path / "rounds/1").read_text(runs.REWARD).strip() == AFTER.strip()


def test_clicking_the_plot_seeks_the_film_and_the_cursor_follows(chromium: Any, run: Run) -> None:
    server = served(run)
    try:
        with page_of(chromium, server.url) as page:
            plot, film = page.locator("svg.terms").first, page.locator("article video").first
            until(lambda: film.evaluate("video => video.readyState") > 2, "the film")
            until(lambda: plot.locator("polyline").count() == 6, "two terms of three episodes")
            box = plot.bounding_box()
            plot.click(position={"x": 46 + 0.5 * (box["width"] - 54), "y": 80})
            length = film.evaluate("video => video.duration")
            until(lambda: abs(film.evaluate("video => video.currentTime") - 0.5 * length) < 0.25, "the middle")
            assert film.evaluate("video => video.paused")
            cursor = until(lambda: float(plot.locator(".cursor").get_attribute("x1") or 0), "the cursor")
            until(lambda: abs(float(plot.locator(".cursor").get_attribute("x1")) - box["width"] / 2) < 30, f"{cursor}")
            plot.press("End")
            until(lambda: film.evaluate("video => video.duration - video.currentTime") < 0.5, "the end")
            page.get_by_role("button", name="effort").first.click()
            until(lambda: plot.locator("polyline").count() == 3, "one term hidden")
    finally:
        server.stop()


def test_without_a_model_sentences_are_off_the_page_says_what_to_set_up_and_weights_work(
    chromium: Any, run: Run
) -> None:
    server = served(run)
    try:
        with page_of(chromium, server.url, dark=True) as page:
            page.get_by_text("succeeds in").wait_for()
            for name in ("OPENAI_API_KEY", "anthropic:MODEL", "mailbox:FOLDER"):
                assert name in page.locator(".card.say").inner_text()
            assert page.get_by_label("What should be different").is_disabled()
            assert not page.get_by_role("button", name="Say it").is_visible()
            shoot(page, "comment-missing")
            weigh(page)
            page.get_by_role("button", name="Preview", exact=True).click()
            page.get_by_text("planned in").wait_for()
            shoot(page, "comment-weights")
            page.get_by_role("button", name="Train with these").click()
            until(lambda: [each.state for each in rounds_of(run)] == 2 * ["measured"], "a round with other weights")
            page.get_by_text("weights: effort ×4").wait_for()
            page.get_by_role("button", name="Undo the last step").click()
            page.get_by_role("heading", name="The run itself").wait_for()
            page.get_by_text("Another model").wait_for()
            page.get_by_label("Model").fill(f"mailbox:{run.path.parent / 'mailbox'}")
            page.get_by_role("button", name="Use it").click()
            until(lambda: page.get_by_label("What should be different").is_enabled(), "sentences")
    finally:
        server.stop()
    assert [(each.number, each.parent, each.state) for each in rounds_of(run)][1:] == [(1, 0, "measured")]
    assert Run.open(run.path / "rounds/1").config["weights"]["effort"] == 4.0
    assert Refinement.open(run.path).current.number == 0


def weigh(page: Any) -> None:
    """Move a slider to four times the weight."""
    page.get_by_label("Weight of effort").focus()
    for _ in range(8):
        page.keyboard.press("ArrowRight")
    page.get_by_text("× 4").wait_for()


def test_a_failed_sentence_leaves_the_weights_as_they_were_set_and_usable_and_their_preview(
    chromium: Any, run: Run
) -> None:
    server = served(run, "--model", f"recordings:{run.path.parent}")
    try:
        with page_of(chromium, server.url) as page:
            page.get_by_text("succeeds in").wait_for()
            buttons = [page.get_by_role("button", name=name) for name in ("Train with these", "Reset")]
            buttons.append(page.locator(".card.weights").get_by_role("button", name="Preview"))
            weigh(page)
            buttons[-1].click()
            page.get_by_text("planned in").wait_for()
            page.get_by_label("What should be different").fill("Nobody has recorded an answer to this.")
            page.get_by_role("button", name="Say it").click()
            page.get_by_role("button", name="Ask again").wait_for()
            shoot(page, "comment-failed")
            assert all(button.is_enabled() for button in buttons)
            page.get_by_role("button", name="Take it back").click()
            page.get_by_role("button", name="Say it").wait_for()
            assert page.get_by_label("What should be different").input_value().startswith("Nobody has recorded")
            assert page.get_by_label("Weight of effort").get_attribute("aria-valuetext") == "times 4"
            assert all(button.is_enabled() for button in buttons)
            assert page.get_by_text("planned in").is_visible()
            shoot(page, "comment-back")
    finally:
        server.stop()


@pytest.mark.parametrize("size", [(900, 700), (600, 800)])
def test_on_a_narrow_page_the_film_comes_first_and_then_its_plot(
    chromium: Any, run: Run, size: tuple[int, int]
) -> None:
    server = served(run)
    try:
        with page_of(chromium, server.url, size=size) as page:
            page.get_by_text("succeeds in").wait_for()
            film, plot, words = (page.locator(name).first for name in ("article video", "svg.terms", ".card.say"))
            until(lambda: film.evaluate("video => video.readyState") > 1, "the film")
            until(lambda: plot.locator("polyline").count() == 6, "two terms of three episodes")
            shoot(page, f"comment-{size[0]}")
            above = page.locator("#bar").bounding_box()["y"]
            boxes = [each.bounding_box() for each in (film, plot)]
            assert all(box["width"] > 200 and box["height"] > 150 for box in boxes)
            assert all(box["y"] + box["height"] <= above for box in boxes)
            assert all(box["y"] + box["height"] <= words.bounding_box()["y"] for box in boxes)
            page.mouse.move(size[0] / 2, above - 20)
            page.mouse.wheel(0, 3000)
            button = page.get_by_role("button", name="Use it")
            until(lambda: button.bounding_box()["y"] + button.bounding_box()["height"] <= above, "the end of the page")
    finally:
        server.stop()


def measured_again(run: Run, successes: int) -> Refinement:
    """A round with other weights, as if it had been trained: its films and terms are those of the run."""
    refinement = Refinement.open(run.path)
    made = refinement.weigh({"upright": 2.0}).number
    place = refinement.place(made)
    for name in (runs.POLICY, runs.VIDEO, runs.TRACE, runs.TRACES, runs.EVALUATION, runs.PROGRESS):
        shutil.copy2(refinement.place(0).file(name), place.file(name))
    for number, count in ((0, 2), (made, successes)):
        folder = refinement.place(number)
        measured = {"state": "measured", "successes": count, "episodes": 3}
        folder.write_json("round.json", folder.read_json("round.json") | measured)
    return refinement


def test_of_a_worse_round_both_are_shown_and_the_person_chooses(chromium: Any, run: Run) -> None:
    refinement = measured_again(run, 1)
    server = served(run)
    try:
        with page_of(chromium, server.url) as page:
            page.get_by_role("heading", name="Round 1 is worse than round 0").wait_for()
            assert "It succeeds in 1 of 3, round 0 in 2 of 3" in page.locator(".card.job").inner_text()
            films = page.locator("article video")
            until(lambda: films.count() == 2, "two films")
            until(lambda: min(films.nth(n).evaluate("video => video.readyState") for n in (0, 1)) > 1, "both of them")
            assert not page.locator(".card.say").is_visible()
            assert page.get_by_label("Round 0: put beside").get_attribute("aria-current") == "true"
            shoot(page, "comment-worse")
            page.keyboard.press("k")
            page.locator(".card.say").wait_for()
            assert (refinement.current.number, films.count()) == (1, 1)
            assert page.get_by_label("Round 1, shown").get_attribute("aria-current") == "true"
            page.keyboard.press("u")
            until(lambda: refinement.current.number == 0, "the run itself")
    finally:
        server.stop()


def test_a_killed_server_shows_the_same_proposal_and_two_rounds_can_be_compared(chromium: Any, run: Run) -> None:
    refinement = measured_again(run, 2)
    server = served(run, "--model", f"mailbox:{run.path.parent / 'mailbox'}")
    try:
        with page_of(chromium, server.url) as page:
            page.get_by_role("heading", name="Round 1 succeeds in 2 of 3").wait_for()
            page.get_by_role("button", name="Round 0: put beside").click()
            page.get_by_text("Which behaves better?").wait_for()
            shoot(page, "comment-rounds")
            page.keyboard.press("2")
            until(lambda: refinement.current.number == 0, "round 0 to be the current one")
            page.get_by_text("you prefer round 0 to round 1").wait_for()
            page.get_by_role("button", name="Say only the preference").click()
            until(lambda: refinement.current.state == "asked", "a round of the preference")
            page.get_by_text("Waiting for a reply in the mailbox").wait_for()  # the act is on the disk then
            server = server.kill()
            page.locator("#link[data-now=connected]").wait_for()
            page.get_by_text("Waiting for a reply in the mailbox").or_(page.get_by_text("Ask again")).first.wait_for()
            page.get_by_role("button", name="Take it back").click()
            until(lambda: refinement.current.number == 0, "back")
    finally:
        server.stop()
    acts = [json.loads(line) for line in next(run.path.parent.glob("runs/session/*/acts.jsonl")).open()]
    assert [act["do"] for act in acts] == ["prefer", "say", "undo"]
