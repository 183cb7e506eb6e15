"""Corrections through the page: keys and clicks only; what the learner received is read from its files."""

from __future__ import annotations

import base64
import json
import sqlite3
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from controllers.systems import game
from robot_learn.session import shapes
from robot_learn.session.scene import Camera, Scene3D
from tests.robot_learn.session.paging import Served, browser, page_of, shoot
from tests.waiting import until


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser() as found:
        yield found


def told(page: Any) -> dict[str, Any]:
    return json.loads(page.get_attribute("#root", "data-state") or "{}")  # type: ignore[no-any-return]


def opened(page: Any) -> dict[str, Any]:
    page.wait_for_selector("#root[data-state]", state="attached")
    page.wait_for_selector(".view canvas")
    return told(page)


def lines(folder: Path, file: str) -> list[dict[str, Any]]:
    """Of the newest session's file."""
    found = sorted(folder.glob(f"runs/session/correct-*/*/{file}"), key=lambda path: path.stat().st_mtime_ns)
    return [json.loads(line) for line in found[-1].read_text().splitlines()] if found else []


def said(folder: Path, kind: str) -> list[dict[str, Any]]:
    return [line for line in lines(folder, "corrections.jsonl") if line["kind"] == kind]


def pushed(folder: Path, count: int) -> bool:
    return len(said(folder, "push")) == count


def start(page: Any, steps: int = 2) -> dict[str, Any]:
    """Set it going, again and again where a busy machine makes the page miss its beats, until it has moved on."""
    last = (told(page)["episode"], told(page)["step"])

    def moved() -> bool:
        now = told(page)
        if now["phase"] == "paused":
            page.keyboard.press("Space")
            time.sleep(0.1)
        return (now["episode"], now["step"]) >= (last[0], last[1] + steps) or now["episode"] > last[0]

    until(moved, "the robot moves")
    return told(page)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    made = Served("correct", "uav-gate", folder=tmp_path)
    yield made
    made.stop()


def test_a_person_teaches_with_keys_and_clicks(served: Served, chromium: Any, tmp_path: Path) -> None:
    directions = game("uav-gate").directions
    with page_of(chromium, served.url) as page:
        assert opened(page)["why"] == "ready"
        assert page.inner_text("h1") == "Through the gate"
        shoot(page, "correct-ready")
        shown = start(page)
        page.keyboard.press("ArrowLeft")
        (push,) = until(lambda: said(tmp_path, "push"), "a push by key")
        assert push["direction"] == directions["left"].tolist()
        assert push["step"] >= shown["step"]
        page.click("[data-act=up]")
        until(lambda: len(said(tmp_path, "push")) == 2, "a push by a click")
        assert said(tmp_path, "push")[1]["direction"] == directions["up"].tolist()
        page.keyboard.press("f")
        until(lambda: said(tmp_path, "fine"), "a plan that was fine")
        until(lambda: told(page)["undecided"] is not None, "the region is drawn")
        time.sleep(0.5)
        shoot(page, "correct-running")
        page.click("[data-act=undo]")
        until(lambda: said(tmp_path, "undo"), "an undo")
        until(lambda: told(page)["taught"] == 2, "the page tells it")
        until(lambda: "Taken back: this is fine" in page.inner_text(".told"), "what was taken back")
        assert page.inner_text(".list s") == "this is fine"
        page.keyboard.press("?")
        assert page.is_visible("dialog")
        shoot(page, "correct-keys")
        page.keyboard.press("Escape")
        assert not page.is_visible("dialog")
        assert told(page)["phase"] != "over"
        start(page)
        page.keyboard.press("Enter")
        (episode,) = until(lambda: lines(tmp_path, "episodes.jsonl"), "an emergency stop")
        assert (episode["stopped"], episode["pushes"]) == (True, 2)
        until(lambda: told(page)["why"] == "stopped by you", "the robot stands")
        assert "stopped" in page.inner_text(".message").lower()
        until(lambda: "push left" in page.inner_text(".list"), "what was said is listed")
    base = sqlite3.connect(tmp_path / "runs" / "session" / "session.sqlite")
    acts = base.execute("SELECT what, seconds FROM acts WHERE seconds IS NOT NULL").fetchall()
    assert {"push", "fine", "undo", "stop"} <= {what for what, _ in acts}
    assert np.median([seconds for what, seconds in acts if what == "push"]) < 5.0
    assert base.execute("SELECT COUNT(*) FROM timings WHERE act = 'push'").fetchone()[0] >= 2


@pytest.mark.parametrize("size", [(1280, 800), (900, 700)])
def test_no_key_moves_whatever_the_robot_does(chromium: Any, tmp_path: Path, size: tuple[int, int]) -> None:
    """A hand that goes for the emergency stop finds it."""
    served = Served("correct", "reacher", folder=tmp_path)
    try:
        with page_of(chromium, served.url, size=size) as page:
            opened(page)

            def boxes() -> list[list[float]]:
                found: list[list[float]] = page.eval_on_selector_all(
                    ".bar .act", "all => all.map((one) => Object.values(one.getBoundingClientRect().toJSON()))"
                )
                return found

            before = boxes()
            assert len(before) == 7
            page.keyboard.press("u")
            until(lambda: "nothing to take back" in page.inner_text(".told"), "that there is nothing")
            start(page)
            assert (told(page)["phase"], boxes()) == ("running", before)
            page.keyboard.press("ArrowRight")
            until(lambda: told(page)["taught"], "a push")
            page.keyboard.press("Enter")
            until(lambda: told(page)["phase"] == "paused", "it stands")
            assert boxes() == before
            page.keyboard.press("a")
            until(lambda: told(page)["asks"], "it may ask")
            page.keyboard.press("Escape")
            until(lambda: "Sure?" in page.inner_text("[data-act=satisfied]"), "the question")
            assert boxes() == before
            page.keyboard.press("Escape")
            until(lambda: told(page)["shown"], "it drives by itself")
            until(lambda: "By itself: fresh episode 1 of 3" in page.inner_text(".told"), "and says so")
            assert boxes() == before
    finally:
        served.stop()


def test_a_reload_a_second_tab_and_a_killed_server_lose_nothing(served: Served, chromium: Any, tmp_path: Path) -> None:
    with page_of(chromium, served.url) as page:
        opened(page)
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("ArrowRight")
        until(lambda: len(said(tmp_path, "push")) == 2, "two pushes")
        before = until(lambda: told(page)["taught"] == 2 and told(page), "the page tells them")
        page.reload()
        assert opened(page)["counts"] == before["counts"]
        with page_of(chromium, served.url) as second:
            assert opened(second)["counts"] == before["counts"]
            assert second.get_attribute("body", "data-holds") == "false"
            assert second.is_disabled("[data-act=left]")
            time.sleep(0.5)
            shoot(second, "correct-second-tab")
            second.click("#hold")
            until(lambda: second.get_attribute("body", "data-holds") == "true", "the second tab holds")
            until(lambda: page.get_attribute("body", "data-holds") == "false", "the first no longer does")
            second.keyboard.press("w")
            until(lambda: len(said(tmp_path, "push")) == 3, "a push from the second tab")
            until(lambda: told(page)["taught"] == 3, "the first tab sees it")
        page.click("#hold")
        until(lambda: page.get_attribute("body", "data-holds") == "true", "the first tab holds again")
        volume, plan = told(page)["volume"], told(page)["plan"]["id"]
        again = served.kill()
        try:
            until(lambda: told(page)["plan"]["id"] != plan, "the page has come back, and the server goes on")
            assert told(page)["why"] == "ready"
            assert told(page)["volume"] == pytest.approx(volume)
            assert told(page)["counts"] == before["counts"] | {"push": 3}
            page.keyboard.press("s")
            until(lambda: len(said(tmp_path, "push")) == 4, "and learns on")
        finally:
            again.stop()


def test_a_key_that_was_pressed_while_the_server_was_gone_is_not_lost_unnoticed(
    served: Served, chromium: Any, tmp_path: Path
) -> None:
    """Undo needs no plan, so it is done once the server is back; a push is about a plan that nobody knows any more."""
    with page_of(chromium, served.url) as page:
        opened(page)
        page.keyboard.press("ArrowLeft")
        until(lambda: told(page)["taught"] == 1, "a push")
        served.process.kill()
        served.process.wait()
        until(lambda: page.get_attribute("body", "data-link") == "lost", "the page notices")
        shoot(page, "correct-lost")
        page.keyboard.press("u")
        page.keyboard.press("ArrowRight")
        again = served.kill()
        try:
            until(lambda: said(tmp_path, "undo"), "the undo is done")
            until(lambda: page.query_selector(".toast"), "and the push is refused on the page")
            assert "long gone" in page.inner_text(".toasts")
            assert len(said(tmp_path, "undo")) == len(said(tmp_path, "push")) == 1
        finally:
            again.stop()


def test_the_robot_holds_when_the_page_is_gone(served: Served, chromium: Any) -> None:
    with page_of(chromium, served.url) as page:
        opened(page)
        with page_of(chromium, served.url) as watcher:
            opened(watcher)
            start(page)
            page.close()
            until(lambda: told(watcher)["why"] == "the page was gone", "it holds", seconds=30)
            held = told(watcher)
            time.sleep(0.5)
            assert told(watcher)["step"] == held["step"]
            shoot(watcher, "correct-held")


def test_a_page_on_which_nothing_changes_lays_nothing_out(served: Served, chromium: Any) -> None:
    # Where no GPU draws, what a page paints takes the processor from the robot, and keys wait for it.
    with page_of(chromium, served.url) as page:
        opened(page)
        scripts = page.context.new_cdp_session(page)
        scripts.send("Performance.enable")

        def layouts() -> float:
            told = scripts.send("Performance.getMetrics")["metrics"]
            return float(next(one["value"] for one in told if one["name"] == "LayoutCount"))

        def still() -> bool:
            before = layouts()
            time.sleep(1)
            return layouts() - before <= 2

        until(still, "a page at rest")
        start(page)
        before = layouts()
        until(lambda: layouts() > before + 10, "a page that shows how it goes")


def test_a_body_that_is_gone_leaves_nothing_behind(served: Served, chromium: Any) -> None:
    # What is unsafe is drawn as bodies that come and go with each correction; in long sessions what stays adds up.
    made, place = Scene3D(Camera((0.0, 0.0, 0.0), 3.0)), [str(n) for n in range(5)]
    frames = []
    for name in place:
        made.put(name, shapes.sphere(0.1))
        changed, poses = made.changes()
        made.remove(name)
        frames.append([base64.b64encode(frame or b"").decode() for frame in (changed[name], poses)])
    with page_of(chromium, served.url) as page:
        left = page.evaluate(
            """async ([frames, names]) => {
                const { Renderer } = await import("/page/renderer.js");
                const renderer = new Renderer(document.createElement("canvas"), () => {}), counts = [];
                const left = () => counts.push([renderer.bodies.size, renderer.poses.size]);
                const bytes = (text) => Uint8Array.from(atob(text), (one) => one.charCodeAt(0)).buffer;
                for (const [at, both] of frames.entries()) {
                    for (const frame of both) renderer.take({ frame: bytes(frame) });
                    left();
                    renderer.take({ gone: names[at] });
                }
                left();
                return counts;
            }""",
            [frames, place],
        )
    assert left == [[1, 1]] * 5 + [[0, 0]]


def test_a_gamepad_pushes_too(served: Served, chromium: Any, tmp_path: Path) -> None:
    with page_of(chromium, served.url) as page:
        opened(page)
        page.evaluate(
            "() => { const buttons = Array.from({length: 17}, () => ({pressed: false}));"
            " const pad = { connected: true, axes: [0, 0], buttons };"
            " navigator.getGamepads = () => [pad]; window.pad = pad;"
            " dispatchEvent(new Event('gamepadconnected')); }"
        )
        for button, direction in ((14, "left"), (5, "up")):
            wanted = 1 + len(said(tmp_path, "push"))
            page.evaluate("(button) => { window.pad.buttons[button].pressed = true; }", button)
            until(partial(pushed, tmp_path, wanted), f"button {button}")
            assert said(tmp_path, "push")[-1]["direction"] == game("uav-gate").directions[direction].tolist()
        page.evaluate("() => { window.pad.axes[0] = 0.9; }")
        until(lambda: len(said(tmp_path, "push")) == 3, "the stick")
        assert said(tmp_path, "push")[-1]["direction"] == game("uav-gate").directions["right"].tolist()


def test_satisfied_wants_two_presses_and_is_checked_on_fresh_episodes(chromium: Any, tmp_path: Path) -> None:
    served = Served("correct", "pendulum", folder=tmp_path)
    try:
        with page_of(chromium, served.url, dark=True) as page:
            opened(page)
            start(page)
            page.keyboard.press("ArrowLeft")
            until(lambda: said(tmp_path, "push"), "a push")
            page.keyboard.press("Escape")
            assert "Sure?" in page.inner_text("[data-act=satisfied]")
            assert told(page)["phase"] != "over"
            page.keyboard.press("Escape")
            until(lambda: "passed" in (told(page)["check"] or {}), "held-out episodes")
            kept = list(tmp_path.glob("runs/session/correct-pendulum/*/held_out.json"))
            assert json.loads(kept[0].read_text()) == told(page)["check"]
            assert "of 3" in page.inner_text(".side .card")
            shoot(page, "correct-over-dark")
            page.reload()
            assert opened(page)["phase"] == "over"
            page.click("text=Teach it anew")
            until(lambda: told(page)["why"] == "ready", "a new session")
            assert told(page)["taught"] == 0
    finally:
        served.stop()


def test_the_robot_asks_on_the_page(chromium: Any, tmp_path: Path) -> None:
    served = Served("correct", "reacher", "--rule", "ask", folder=tmp_path)
    try:
        with page_of(chromium, served.url, dark=True) as page:
            opened(page)
            page.keyboard.press("ArrowRight")
            start(page)
            page.keyboard.press("Enter")
            until(lambda: told(page)["ended"] == "stopped", "the episode ends")
            page.keyboard.press("Space")

            def asks() -> bool:
                now = told(page)
                if now["phase"] == "paused" and now["question"] is None:
                    page.keyboard.press("Space")
                    time.sleep(0.2)
                return "unsafe" in (now["question"] or {})

            until(asks, "it asks")
            assert "It asks" in page.inner_text(".card.ask")
            shoot(page, "correct-asks-dark")
            page.keyboard.press("Enter")
            until(lambda: told(page)["question"] is None, "it was answered")
            assert [(line["kind"], line["asked"]) for line in lines(tmp_path, "corrections.jsonl")][-1] == (
                "stop",
                True,
            )
    finally:
        served.stop()
