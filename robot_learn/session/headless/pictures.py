"""Pictures of every kind of session, taken by using it: `robot-learn session --pictures FOLDER`.

A headless browser presses the keys that a person would. What is compared and commented on is made first, small: a
dataset of a script that chance disturbs, and a run that trained for a minute. Who answers the questions about films
knows the task's own reward; the robot's errors and what it learns are its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from robot_learn.errors import UserError, unknown
from robot_learn.session.headless.browsing import Page, Served, browser, opened, until

LARGEST = 150_000  # bytes of a picture
DATASET, COMPARED = "franka/push/shown", "franka/push"
COMMENTED, CORRECTED = "mujoco/cart-pole", "uav-gate"
_REWARD = """def reward(scene, action):
    upright = np.cos(scene.pole.angle)
    middle = -np.abs(scene.cart.position)
    effort = -0.05 * np.sum(action**2)
    return {"upright": upright, "middle": middle, "effort": effort}
"""
_FILMS = """() => {
    const videos = [...document.querySelectorAll(".clip video")];
    const ready = videos.length > 0 && videos.every((video) => video.readyState > 1);
    return ready ? videos.map((video) => decodeURIComponent(new URL(video.src).pathname.split("/").pop())) : null;
}"""


@dataclass(frozen=True)
class Camera:
    """Takes numbered pictures of one kind of session."""

    folder: Path
    name: str
    say: Callable[[str], None]

    def take(self, page: Page, number: int) -> Path:
        """A picture of the page as it is, as fine as its size allows."""
        page.wait_for_timeout(300)
        shot: Any = cv2.imdecode(np.frombuffer(page.screenshot(), np.uint8), cv2.IMREAD_COLOR)
        for quality in (90, 80, 70, 60, 50, 40):
            data = cv2.imencode(".jpg", shot, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
            if len(data) <= LARGEST:
                break
        path = self.folder / f"session-{self.name}-{number}.jpg"
        path.write_bytes(data.tobytes())
        self.say(f"{path} ({len(data) / 1e3:.0f} kB)")
        return path


def take(folder: Path, work: Path, only: Sequence[str], say: Callable[[str], None]) -> None:
    """Four pictures of each kind of session.

    Args:
        folder: where they go.
        work: where the sessions are kept.
        only: "correct", "compare", "comment", "drive".

    Raises:
        UserError: there is no browser, or a page that does not show what it should.
    """
    for name in only:
        if name not in SESSIONS:
            raise unknown("session", name, SESSIONS)
    folder.mkdir(parents=True, exist_ok=True)
    for name in only:
        own = work / name
        own.mkdir(parents=True, exist_ok=True)
        with browser() as running:
            SESSIONS[name](running, own, Camera(folder, name, say))


@contextmanager
def _page(running: Any, own: Path, *words: str, dark: bool = False) -> Iterator[Page]:
    options = ("--out", "runs", "--root", "data")  # from its own folder: pages show where things lie
    with Served([*words, *options], own / "server.log", own) as served, opened(running, served.url, dark=dark) as page:
        yield page


# --- Correct.


def _correct(running: Any, own: Path, camera: Camera) -> None:
    """A drone at its gate: before, pushed, asking, and when the person, who is the benchmark's, is satisfied."""
    from controllers.mpc import Mpc
    from controllers.systems import game
    from robot_learn.session.headless.games import through_page
    from robot_learn.session.headless.keyed import KeyedHuman

    human = KeyedHuman(game(CORRECTED), Mpc(game(CORRECTED).system), 0)
    with _page(running, own, "correct", CORRECTED) as page:
        page.wait_for_selector("main[data-state]")
        page.wait_for_timeout(2000)
        camera.take(page, 1)
        if _said(page)["asks"]:
            page.keyboard.press("a")  # not yet
        keys = {"stop": "Enter"} | {way["name"]: way["key"] for way in _said(page)["directions"]}

        def corrected() -> bool:
            word = human.watch_page(_said(page)) if _moves(page) else None
            if word is not None:
                page.keyboard.press(keys[word])
            return word is not None

        def asked() -> bool:
            corrected()  # until it asks, somebody watches
            if not _asks(page):
                return False
            page.wait_for_timeout(1500)
            return _asks(page)  # a correction that came late may have been the answer

        until(page, corrected, "a plan that is unsafe")
        page.keyboard.press(" ")  # whoever takes a picture does not watch, and their silence would teach
        until(page, lambda: _said(page)["taught"] > 0 and _said(page)["undecided"] is not None, "what was learned")
        page.wait_for_timeout(2000)
        camera.take(page, 2)
        page.keyboard.press("a")
        until(page, asked, "a question")
        camera.take(page, 3)
        page.keyboard.press("a")
        page.keyboard.press("k")
        through_page(page, CORRECTED, 0, stepwise=True)  # no step unseen, however busy the machine is
        page.wait_for_timeout(1000)
        camera.take(page, 4)


def _moves(page: Page) -> bool:
    """Whether it does; if not, it is told to. A page that was slow for a moment was gone, and the robot holds."""
    said = _said(page)
    if said["phase"] == "paused" and not said["question"]:
        page.keyboard.press(" ")
        page.wait_for_timeout(400)
    return bool(said["phase"] == "running")


def _asks(page: Page) -> bool:
    """Whether it does by now."""
    question = _said(page)["question"]
    return question is not None and not question.get("thinking")


def _said(page: Page) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(page.locator("main").get_attribute("data-state") or "{}")
    return found


# --- Compare.


def _compare(running: Any, own: Path, camera: Camera) -> None:
    """Two films, what was learned from answers, four films, and the result."""
    from robot_learn.data import store
    from robot_learn.preferences.ask import true_differences
    from robot_learn.types import Segment

    if not (own / "data" / DATASET).with_name("shown-v0").exists():
        few = ("--grade", "medium", "--episodes", "16", "--anchor-episodes", "4")
        _command("collect", COMPARED, *few, "--out", DATASET, "--root", str(own / "data"))
    dataset = store.load(DATASET, own / "data")

    def films() -> list[Segment]:
        names = until(page, lambda: page.evaluate(_FILMS), "films that play", 300.0)
        return [Segment(*map(int, name.removesuffix(".mp4").split("-"))) for name in names]

    def answer() -> None:
        first, second = films()
        found = true_differences(dataset, [(first, second)])
        assert found is not None
        page.keyboard.press("2" if found[0] > 0 else "1")
        until(page, lambda: page.evaluate(_FILMS) and films() != [first, second], "the next question")

    with _page(running, own, "compare", DATASET, "--segment", "40") as page:
        page.get_by_placeholder("name").fill("Ann")
        page.keyboard.press("Enter")
        films()
        page.wait_for_timeout(1500)
        camera.take(page, 1)
        for _ in range(10):
            answer()
        films()
        page.wait_for_timeout(3000)
        camera.take(page, 2)
        page.get_by_role("button", name="4 films at once").click()
        if len(films()) == 2:  # the question that was there before
            page.keyboard.press("s")
        until(page, lambda: len(page.evaluate(_FILMS) or ()) == 4, "four films", 300.0)
        page.wait_for_timeout(1000)
        camera.take(page, 3)
        page.keyboard.press("e")
        page.get_by_text("Thank you").wait_for()
        camera.take(page, 4)


# --- Comment.


def _comment(running: Any, own: Path, camera: Camera) -> None:
    """A run and its terms, what a sentence would need, weights tried out, and the round that came of them."""
    from robot_learn.runs import CONFIG

    (own / "runs").mkdir(exist_ok=True)
    (own / "reward.py").write_text(_REWARD)
    found = sorted((own / "runs").glob(f"mujoco-cart-pole-*/{CONFIG}"))
    if not found:
        short = ("--steps", "40000", "--num-envs", "16", "--episodes", "4")
        _command("train", COMMENTED, "--reward", str(own / "reward.py"), *short, "--out", str(own / "runs"))
        found = sorted((own / "runs").glob(f"mujoco-cart-pole-*/{CONFIG}"))
    quick = ("--steps", "40000", "--episodes", "6", "--seconds", "12")
    with _page(running, own, "comment", str(found[0].parent.relative_to(own)), *quick) as page:
        page.get_by_text("succeeds in").first.wait_for()
        until(page, lambda: page.locator("article video").first.evaluate("video => video.readyState > 1"), "the film")
        page.wait_for_timeout(2000)
        camera.take(page, 1)
        page.get_by_text("OPENAI_API_KEY").first.scroll_into_view_if_needed()
        camera.take(page, 2)
        page.get_by_label("Weight of middle").focus()
        for _ in range(8):
            page.keyboard.press("ArrowRight")
        page.get_by_role("button", name="Preview", exact=True).click()
        page.get_by_text("planned in").wait_for()
        page.wait_for_timeout(2500)
        camera.take(page, 3)
        page.get_by_role("button", name="Train with these").click()
        page.get_by_text("weights: middle").wait_for()
        page.get_by_role("heading", name="Round 1 succeeds in").wait_for()
        page.wait_for_timeout(2500)
        camera.take(page, 4)


# --- Drive.


def _drive(running: Any, own: Path, camera: Camera) -> None:
    """A policy at the wheel, a person who takes over, what was kept of it, and the recording."""
    with _page(running, own, "drive", "mujoco:fr3 script:franka/reach") as page:
        page.wait_for_selector("main[data-mode=idle]")
        page.get_by_label("Speed").fill("0.15")
        page.keyboard.press("Enter")
        page.wait_for_selector("main[data-mode=driving][data-driver=policy]")
        page.wait_for_timeout(1200)
        camera.take(page, 1)
        page.keyboard.down("r")
        page.wait_for_selector("main[data-driver=person]")
        page.wait_for_timeout(1500)
        camera.take(page, 2)
        page.keyboard.up("r")
        page.get_by_label("Speed").fill("1")
        page.wait_for_selector("main[data-mode=idle]")
        page.wait_for_timeout(500)
        camera.take(page, 3)
    episodes = sorted(own.glob("runs/session/*/deployments/*/episode-*"))
    if not episodes:
        raise UserError("the session on the arm left no recording")
    with _page(running, own, "drive", f"recording:{episodes[-1].relative_to(own)}", dark=True) as page:
        page.wait_for_selector("main[data-kind=recording]")
        page.keyboard.press(" ")
        page.wait_for_timeout(2500)
        camera.take(page, 4)


def _command(*words: str) -> None:
    """Another command of ours.

    Raises:
        UserError: it failed.
    """
    from robot_learn.cli import main

    if main(words) != 0:
        raise UserError(f"robot-learn {' '.join(words)} failed")


SESSIONS = {"correct": _correct, "compare": _compare, "comment": _comment, "drive": _drive}
