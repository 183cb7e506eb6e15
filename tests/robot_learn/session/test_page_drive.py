"""Driving an arm through the page itself: keys and clicks go in, and what the arm did lies on the disk."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robot_learn.data.store import load
from tests.robot_learn.session.paging import Served, browser, page_of, shoot
from tests.waiting import SECONDS, until

FAST = 0.6 * 0.1 / 0.25  # the action of a key: its share of a person's 0.1 m/s, by the 0.25 m/s of an action


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser() as found:
        yield found


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Any]:
    started: list[Served] = []

    def start(what: str) -> Served:
        words = ("drive", what, "--out", str(tmp_path / "runs"), "--root", str(tmp_path / "data"))
        started.append(Served(*words, folder=tmp_path))
        return started[-1]

    yield start
    for one in started:
        one.stop()


def wait(page: Any, **attributes: str) -> None:
    """Until the page says so."""
    selector = "main" + "".join(f'[data-{name}="{value}"]' for name, value in attributes.items())
    page.locator(selector).wait_for(timeout=3000 * SECONDS)  # a process starts behind some of them


def step(page: Any) -> int:
    """The number of the step that the page shows."""
    text = page.locator(".over .tag").first.text_content()
    return int(text.split()[1])


def steps_of(tmp_path: Path) -> list[dict[str, Any]]:
    found = sorted(tmp_path.glob("runs/session/*/deployments/*/episode-*/steps.jsonl"))
    return [told for path in found for line in path.read_text().splitlines() if "step" in (told := json.loads(line))]


def test_a_person_takes_over_from_a_policy_with_a_key_holds_and_stops(
    chromium: Any, serve: Any, tmp_path: Path
) -> None:
    served = serve("mujoco:fr3 script:franka/reach")
    with page_of(chromium, served.url) as page:
        wait(page, mode="idle")
        page.get_by_label("Speed").fill("0.1")  # so that there is time
        page.get_by_text("10 %").wait_for()
        shoot(page, "drive-ready")
        page.keyboard.press("Enter")
        wait(page, mode="driving", driver="policy")
        page.keyboard.down("r")
        wait(page, driver="person")
        until(lambda: page.locator(".view").get_attribute("data-did") == "up", "the arm's answer")
        shoot(page, "drive-person")
        until(lambda: sum(one["who"] == "person" for one in steps_of(tmp_path)) >= 8, "steps of a person")
        page.keyboard.press("p")
        wait(page, held="true")
        page.keyboard.up("r")
        page.wait_for_timeout(500)  # figures are painted anew five times a second
        at = step(page)
        page.wait_for_timeout(400)
        assert step(page) == at
        page.get_by_role("button", name="Go on").click()
        wait(page, held="false")
        page.keyboard.press(" ")
        wait(page, mode="idle", episodes="1")
        page.locator(".list").get_by_text("soft stop").wait_for()
        shoot(page, "drive-stopped")
    served.stop()
    steps = steps_of(tmp_path)
    people = [one for one in steps if one["who"] == "person"]
    moved = np.array([one["action"] for one in people if np.any(one["action"])])
    assert len(moved) >= 3
    np.testing.assert_allclose(moved, np.tile([0.0, 0.0, FAST], (len(moved), 1)))
    assert steps[0]["who"] == "policy"
    heights = [one["observation"]["q"] for one in people]
    assert np.abs(np.diff(heights, axis=0)).max() > 1e-3  # and it moved
    assert load("franka/reach/interventions", tmp_path / "data").num_steps == len(moved)


def test_a_person_alone_drives_by_buttons_and_an_emergency_stop_works_while_typing(
    chromium: Any, serve: Any, tmp_path: Path
) -> None:
    served = serve("mujoco:fr3 hand:franka/pick-cube")
    with page_of(chromium, served.url, dark=True) as page:
        wait(page, mode="idle")
        page.get_by_role("button", name="Start, key Enter").click()
        wait(page, mode="driving")
        forward = page.get_by_role("button", name="Forward").bounding_box()
        page.mouse.move(forward["x"] + 10, forward["y"] + 10)
        page.mouse.down()
        until(lambda: page.locator(".view").get_attribute("data-did") == "forward", "the arm's answer")
        page.mouse.up()
        page.keyboard.press("c")
        until(lambda: any(one["sent_opening"] == 0.0 for one in steps_of(tmp_path)), "a closed gripper")
        shoot(page, "drive-alone-dark")
        page.get_by_placeholder("name").fill("Ann")
        page.keyboard.press("Escape")
        wait(page, mode="idle", episodes="1")
    served.stop()
    (outcome,) = tmp_path.glob("runs/session/*/deployments/*/episode-*/outcome.json")
    told = json.loads(outcome.read_text())
    assert (told["reason"], "emergency" in told["detail"]) == ("person stopped", True)
    steps = steps_of(tmp_path)
    assert {one["who"] for one in steps} == {"person"}
    assert any(one["action"][0] == pytest.approx(FAST) for one in steps)


def test_a_reload_holds_the_arm_and_goes_on_and_a_closed_page_holds_it_for_good(
    chromium: Any, serve: Any, tmp_path: Path
) -> None:
    served = serve("mujoco:fr3 hand:franka/reach")
    with page_of(chromium, served.url) as page:
        wait(page, mode="idle")
        page.keyboard.press("Enter")
        wait(page, mode="driving")
        until(lambda: len(steps_of(tmp_path)) > 5, "steps")
        page.reload()
        wait(page, mode="driving")
        page.get_by_role("button", name="Hold").or_(page.get_by_role("button", name="Go on")).wait_for()
        if page.get_by_role("button", name="Go on").count():  # it took long, so it wants to be told
            page.get_by_role("button", name="Go on").click()
        before = len(steps_of(tmp_path))
        until(lambda: len(steps_of(tmp_path)) > before + 3, "it goes on")
    until(lambda: _stands(tmp_path), "an arm that is held")
    with page_of(chromium, served.url) as page:
        wait(page, mode="driving", held="true")
        before = len(steps_of(tmp_path))
        page.wait_for_timeout(500)
        assert len(steps_of(tmp_path)) == before
        page.keyboard.press(" ")
        wait(page, mode="idle", episodes="1")


def test_where_keys_move_nothing_the_page_says_why_and_what_to_press(chromium: Any, serve: Any) -> None:
    served = serve("mujoco:fr3 hand:franka/reach")
    with page_of(chromium, served.url) as page:
        wait(page, mode="idle", deaf="true")
        page.get_by_text("Press Enter to start").wait_for()
        page.get_by_label("Speed").fill("0.5")
        page.keyboard.press("Enter")
        wait(page, mode="driving", deaf="false")
        with page_of(chromium, served.url, size=(900, 700)) as other:
            other.get_by_text("Another page has the controls").wait_for()
            other.locator("main[data-switch=true]").wait_for(timeout=1000 * SECONDS)
            until(lambda: other.locator(".big").first.text_content() == "Another page", "who drives")
            assert other.get_by_role("button", name="Hold").is_disabled()
            other.get_by_role("button", name="Take the controls").click()
            other.get_by_text("Press P to go on").wait_for()
            assert other.locator(".big").first.text_content() == "Nobody"
            page.get_by_text("Another page has the controls").wait_for()
            other.keyboard.press("p")
            wait(other, deaf="false")
            other.keyboard.press("Escape")
            wait(other, mode="idle", episodes="1")
            other.locator(".list").get_by_text("emergency stop").wait_for()
            other.get_by_role("button", name="Discard").click()
            wait(other, episodes="0")
            with page.context.expect_page() as opening:
                page.locator(".list a.when").click()
            recording = opening.value
            recording.locator("main[data-kind=recording]").wait_for()
            assert recording.locator("#trouble").is_hidden()
            recording.close()
    served.stop()
    with page_of(chromium, serve("mujoco:fr3 hand:franka/reach").url) as page:
        wait(page, mode="idle")
        page.get_by_text("discarded").wait_for()  # from the disk


def test_an_old_trouble_does_not_come_back_as_a_message_with_a_reload(chromium: Any, serve: Any) -> None:
    served = serve("mujoco:fr3 script:franka/drawer")  # which cannot be driven
    with page_of(chromium, served.url) as page:
        wait(page, mode="gone")
        page.reload()
        wait(page, mode="gone")
        page.wait_for_timeout(500)
        assert page.locator(".toast").count() == 0
        assert page.locator(".card", has_text="What happened").locator(".when").count() >= 1


def _stands(tmp_path: Path) -> bool:
    """No step within a second."""
    import time

    before = len(steps_of(tmp_path))
    time.sleep(1.0)
    return len(steps_of(tmp_path)) == before


def test_a_killed_server_stops_the_arm_and_its_episode_joins_the_dataset(
    chromium: Any, serve: Any, tmp_path: Path
) -> None:
    served = serve("mujoco:fr3 hand:franka/reach")
    with page_of(chromium, served.url) as page:
        wait(page, mode="idle")
        page.keyboard.press("Enter")
        wait(page, mode="driving")
        page.keyboard.down("a")
        until(lambda: len(steps_of(tmp_path)) > 10, "steps")
        again = served.kill()
        page.keyboard.up("a")
        try:
            until(lambda: list(tmp_path.glob("runs/session/*/deployments/*/*/outcome.json")), "an outcome")
            wait(page, mode="idle", episodes="1")  # that which was on the disk
        finally:
            again.stop()
    (outcome,) = tmp_path.glob("runs/session/*/deployments/*/*/outcome.json")
    assert json.loads(outcome.read_text())["reason"] in ("interrupted", "person let go")
    deployed = load("franka/reach/deployed", tmp_path / "data")
    assert deployed.num_steps == len(steps_of(tmp_path))


def test_a_recording_is_played_and_scrubbed(chromium: Any, serve: Any, tmp_path: Path) -> None:
    from tests.robot_learn.session.test_drive_replay import episode

    served = serve(f"recording:{episode(tmp_path)}")
    with page_of(chromium, served.url) as page:
        wait(page, kind="recording", mode="paused")
        at = page.locator(".view")
        page.keyboard.press("ArrowRight")
        until(lambda: at.get_attribute("data-at") == "0.200", "a jump")
        page.keyboard.press("+")
        wait(page, speed="2")
        page.keyboard.press(" ")
        wait(page, mode="playing")
        until(lambda: float(at.get_attribute("data-at")) > 0.5, "time that passes")
        shoot(page, "drive-recording")
        until(lambda: at.get_attribute("data-at") == "1.999", "its end")
        wait(page, mode="paused")
        page.get_by_role("button", name="To the start").click()
        until(lambda: at.get_attribute("data-at") == "0.000", "the start")
        page.get_by_label("Time").fill("1.95")
        page.get_by_text("reflex", exact=True).last.wait_for()
