"""Comparing through the page itself: keys and clicks go in, and labels come out on the disk."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rewards.preference.labels import Label, read_labels
from rewards.preference.pair_loss import BradleyTerryConfig
from robot_learn.data.store import load, save
from robot_learn.preferences.ask import true_differences
from robot_learn.preferences.reward import fit
from robot_learn.types import Segment
from tests.robot_learn.preferences import squares
from tests.robot_learn.session.paging import Served, browser, page_of, shoot
from tests.waiting import until

NAME = "toy/squares"
SHOWN = """() => {
    const videos = [...document.querySelectorAll(".clip video")];
    const ready = videos.length > 0 && videos.every((video) => video.readyState > 1);
    return ready ? videos.map((video) => decodeURIComponent(new URL(video.src).pathname.split("/").pop())) : null;
}"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser() as found:
        yield found


@pytest.fixture
def root(tmp_path: Path) -> Path:
    save(squares.dataset(episodes=12, steps=24), NAME, tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def served(root: Path, tmp_path: Path) -> Iterator[Served]:
    words = ("compare", NAME, "--root", str(root), "--segment", "10", "--goal", "Move the square to the right.")
    found = Served(*words, "--out", str(tmp_path / "runs"), folder=tmp_path)
    yield found
    found.stop()


def labels_of(root: Path) -> list[Label]:
    (path,) = root.glob("**/labels-human.jsonl")
    return list(read_labels(path))


def journal_of(tmp_path: Path) -> list[dict[str, Any]]:
    found = list(tmp_path.glob("runs/session/*/answers.jsonl"))
    return [json.loads(line) for path in found for line in path.read_bytes().splitlines()]


def shown(page: Any) -> list[Segment]:
    """The segments whose films the page shows."""
    names = until(lambda: page.evaluate(SHOWN), "films that play")
    return [Segment(*map(int, name.removesuffix(".mp4").split("-"))) for name in names]


def press(page: Any, key: str, tmp_path: Path) -> None:
    """Press a key, and wait until the journal has another line and the page another question."""
    before, films = len(journal_of(tmp_path)), shown(page)
    page.keyboard.press(key)
    until(lambda: len(journal_of(tmp_path)) > before, f"a line for {key}")
    until(lambda: page.locator(".clip").count() == 0 or shown(page) != films, "another question")


def test_a_person_teaches_a_reward_with_keys_and_the_page_shows_how_it_learns(
    chromium: Any, served: Served, root: Path, tmp_path: Path
) -> None:
    dataset = load(NAME, root)
    with page_of(chromium, served.url) as page:
        page.get_by_placeholder("name").fill("Ann")
        page.keyboard.press("Enter")
        page.get_by_text("Answers of Ann").wait_for()
        truth = []
        for _ in range(11):
            first, second = shown(page)
            (difference,) = true_differences(dataset, [(first, second)])  # type: ignore[misc]
            truth.append(float(difference > 0))
            press(page, "2" if difference > 0 else "1", tmp_path)
        until(lambda: int(page.locator("[data-points]").get_attribute("data-points")) > 0, "a model")
        assert page.get_by_text("can be taken back").count() == 3
        shown(page)
        until(lambda: float(page.locator(".films").get_attribute("data-apart") or 1) < 0.1, "films side by side")
        shoot(page, "compare-light")
        page.keyboard.press("e")
        page.get_by_text("Thank you, Ann").wait_for()
        shoot(page, "compare-result")
        with page.expect_download() as download:
            page.get_by_text("Download 11 labels").first.click()
        mine = Path(download.value.path()).read_text()
    assert [label.answer.label for label in labels_of(root)] == truth
    assert {label.teacher for label in labels_of(root)} == {"human:Ann"}
    (path,) = root.glob("**/labels-human.jsonl")
    assert mine == path.read_text()
    model = fit(dataset, labels_of(root), config=BradleyTerryConfig(members=1, hidden=(8,), max_epochs=2))
    assert model.calibrations[0].accuracy is not None


def test_clicks_ties_skips_undo_and_confidence_reach_the_labels(
    chromium: Any, served: Served, root: Path, tmp_path: Path
) -> None:
    with page_of(chromium, served.url, dark=True) as page:
        asked = []
        for key in ("=", "s"):
            asked.append(shown(page))
            press(page, key, tmp_path)
        asked.append(shown(page))
        page.get_by_role("button", name="Film 1", exact=True).click()
        until(lambda: len(journal_of(tmp_path)) == 3)
        until(lambda: shown(page) != asked[2])
        press(page, "u", tmp_path)
        assert shown(page) == asked[2]
        page.get_by_label("Ask how sure I am").check()
        page.keyboard.press("2")
        page.get_by_text("How sure are you?").wait_for()
        shoot(page, "compare-sure")
        press(page, "1", tmp_path)
        page.get_by_role("button", name="Done for now").click()
        page.get_by_text("Thank you, human").wait_for()
    found = labels_of(root)
    assert [[label.first, label.second] for label in found] == asked
    assert [label.answer.label for label in found] == [0.5, None, 1.0]
    assert found[2].answer.confidence == 0.33


def test_four_films_at_once(chromium: Any, served: Served, root: Path, tmp_path: Path) -> None:
    with page_of(chromium, served.url, dark=True) as page:
        shown(page)
        page.get_by_role("button", name="4 films at once").click()
        until(lambda: len(shown(page)) == 4 or page.keyboard.press("s"), "four films")
        four = shown(page)
        page.keyboard.press("3")
        page.get_by_text("And which is the worst").wait_for()
        shoot(page, "compare-four")
        before = len(journal_of(tmp_path))
        page.get_by_role("button", name="Film 1", exact=True).click()
        until(lambda: len(journal_of(tmp_path)) == before + 1)
        page.keyboard.press("e")
        page.get_by_text("Thank you").wait_for()
    found = {label.pair: label.answer.label for label in labels_of(root)}
    best = {pair: label for pair, label in found.items() if four[2] in pair}
    assert len(best) == 3
    assert all(label == float(pair[1] == four[2]) for pair, label in best.items())
    assert sum(set(pair) <= set(four) for pair in found) == 5


def test_reload_a_second_tab_and_a_killed_server_lose_nothing(
    chromium: Any, served: Served, root: Path, tmp_path: Path
) -> None:
    with page_of(chromium, served.url) as page:
        for key in "1212":
            press(page, key, tmp_path)
        question = shown(page)
        page.reload()
        assert shown(page) == question
        with page_of(chromium, served.url) as second:
            assert shown(second) == question
            press(second, "1", tmp_path)
            until(lambda: shown(page) == shown(second), "both tabs go on")
        question = shown(page)
        served.process.kill()
        page.locator("#link[data-now=lost]").wait_for()  # before there is a server that it could find again
        again = served.kill()
        try:
            page.locator("#link[data-now=connected]").wait_for()
            assert shown(page) == question
            page.get_by_text("can be taken back").nth(2).wait_for()
            press(page, "u", tmp_path)
            press(page, "=", tmp_path)
            page.keyboard.press("e")
            page.get_by_text("Thank you").wait_for()
        finally:
            again.stop()
    assert [label.answer.label for label in labels_of(root)] == [0.0, 1.0, 0.0, 1.0, 0.5]


def test_an_answer_that_was_given_while_the_connection_was_lost_arrives_once(
    chromium: Any, served: Served, root: Path, tmp_path: Path
) -> None:
    with page_of(chromium, served.url) as page:
        asked = shown(page)
        page.context.set_offline(True)  # nothing closes the connection: only its silence tells
        page.locator("#link[data-now=lost]").wait_for()
        page.keyboard.press("2")
        again = served.kill()
        try:
            assert journal_of(tmp_path) == []
            page.context.set_offline(False)
            until(lambda: len(journal_of(tmp_path)) == 1, "the answer")
            until(lambda: shown(page) != asked, "the next question")
        finally:
            again.stop()
    assert [label.answer.label for label in labels_of(root)] == [1.0]
