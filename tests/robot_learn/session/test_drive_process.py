"""An arm behind the page: the process that drives it, from orders and a hand to what is on the disk."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robot_learn.data import store
from robot_learn.deployment.settings import Settings
from robot_learn.errors import UserError
from robot_learn.session.activity import Person
from robot_learn.session.drive.activity import FREED, Drive

ME, OTHER = Person("me", "one", True), Person("", "two", False)
PATIENCE = 150.0  # [s] on a machine that has other things to do


class Page:
    """Does what the server does: beats with what is held, ticks, and absence when there is no page."""

    def __init__(self, drive: Drive) -> None:
        self.drive, self.held, self.there = drive, (), True
        self.gone_since = time.monotonic()

    held: tuple[str, ...]

    def until(self, true: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not true():
            assert time.monotonic() < end, self.drive.state() | self.drive.live()
            now = time.monotonic()
            if self.there:
                self.gone_since = now
                self.drive.hand(self.held, (), ME, 0.01)
            elif now - self.gone_since > 0.3:
                self.drive.absent(now - self.gone_since)
            self.drive.tick(now)
            time.sleep(0.01)

    def mode(self, wanted: str) -> None:
        self.until(lambda: self.drive.state()["mode"] == wanted)

    def act(self, what: str, **arguments: object) -> None:
        self.drive.do(what, dict(arguments), ME)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Page]]:
    made: list[Drive] = []

    def page(who: str, arm: str = "mujoco:fr3", **others: object) -> Page:
        settings = Settings(who, arm, out=tmp_path / "deployments", root=tmp_path / "data", **others)  # type: ignore[arg-type]
        made.append(Drive(settings, tmp_path / "own"))
        found = Page(made[-1])
        found.mode("idle")
        return found

    yield page
    for drive in made:
        drive.close()


def steps_of(folder: Path) -> list[dict[str, Any]]:
    (path,) = folder.glob("deployments/*/episode-0000/steps.jsonl")
    return [told for line in path.read_text().splitlines() if "step" in (told := json.loads(line))]


def test_a_person_takes_over_from_a_policy_and_what_they_did_is_kept(make: Callable[..., Page], tmp_path: Path) -> None:
    page = make("script:franka/push")
    page.act("start")
    page.until(lambda: page.drive.state()["driver"] == "policy" and (page.drive.live()["step"] or 0) > 5)
    page.held = ("up",)
    page.until(lambda: page.drive.state()["driver"] == "person")
    page.until(lambda: page.drive.live()["did"] == ["up"])
    taken = page.drive.live()["step"]
    page.until(lambda: page.drive.live()["step"] > taken + 8)
    page.held = ()
    page.until(lambda: page.drive.state()["driver"] == "policy")
    page.act("hold", on=True)
    page.until(lambda: page.drive.state()["held"])
    at = page.drive.live()["step"]
    waited = time.monotonic() + 0.3
    page.until(lambda: time.monotonic() > waited)
    assert page.drive.live()["step"] <= at + 1
    page.act("stop", kind="soft")
    page.until(lambda: page.drive.state()["count"] == 1)
    (episode,) = page.drive.state()["episodes"]
    assert episode["reason"] == "person stopped"
    assert "Stop was pressed on the page" in episode["explained"]
    page.drive.close()
    steps = steps_of(tmp_path)
    people = [step for step in steps if step["who"] == "person"]
    assert len(people) == episode["corrected"] >= 8
    moved = np.array([step["action"] for step in people if np.any(step["action"])])  # the rest waits to be given back
    np.testing.assert_allclose(moved, np.tile([0.0, 0.0, 0.6 * 0.1 / 0.25], (len(moved), 1)))
    deployed = store.load("franka/push/deployed", tmp_path / "data")
    assert deployed.num_steps == len(steps)
    shown = store.load("franka/push/interventions", tmp_path / "data")
    assert shown.num_steps == len(moved) == episode["kept"]
    assert [json.loads(line) for line in (tmp_path / "own" / "timings.jsonl").read_text().splitlines()]


def test_a_simulated_arm_holds_while_the_page_is_gone_and_goes_on_when_told(make: Callable[..., Page]) -> None:
    page = make("hand:franka/reach")
    page.act("start")
    page.held = ("left",)
    page.until(lambda: (page.drive.live()["step"] or 0) > 5)
    assert page.drive.state()["driver"] == "person"
    page.there = False
    page.until(lambda: not page.drive.state()["switch"])
    page.until(lambda: page.drive.live()["speed"] < 0.01)
    stood = page.drive.live()["step"]
    page.until(lambda: page.drive.state()["held"])  # after a while it wants to be told
    assert page.drive.state()["why"] == "page gone"
    page.there, page.held = True, ()
    waited = time.monotonic() + 0.3
    page.until(lambda: time.monotonic() > waited)
    assert page.drive.live()["step"] <= stood + 1
    page.act("hold", on=False)
    page.until(lambda: page.drive.live()["step"] > stood + 3)
    page.act("stop", kind="hard")
    page.until(lambda: page.drive.state()["count"] == 1)
    assert "Emergency stop was pressed" in page.drive.state()["episodes"][0]["explained"]


def test_an_arm_stands_still_when_the_controls_go_to_another_page_until_that_says_go_on(
    make: Callable[..., Page],
) -> None:
    page = make("hand:franka/reach")
    page.act("start")
    page.mode("driving")
    page.until(lambda: (page.drive.live()["step"] or 0) > 3)
    page.drive.hand((), (), Person("", "two", True), 0.01)
    waited = time.monotonic() + 0.5
    while time.monotonic() < waited or not page.drive.state()["held"]:
        page.drive.hand((), (), Person("", "two", True), 0.01)
        page.drive.tick(time.monotonic())
        time.sleep(0.01)
        assert time.monotonic() < waited + PATIENCE
    assert page.drive.state()["why"] == "controls moved"


def test_without_a_page_an_arm_at_rest_is_given_free_for_others_and_a_page_connects_it_again(
    make: Callable[..., Page], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    page = make("hand:franka/reach")
    page.act("start")
    page.mode("driving")
    page.act("stop", kind="soft")
    page.until(lambda: page.drive.state()["mode"] == "idle" and page.drive.state()["count"] == 1)
    other = Drive(page.drive.settings, tmp_path / "other")
    try:
        waiting = Page(other)
        waiting.mode("gone")
        assert re.search(r"another process adds to .*process \d+: ", other.state()["gone"])
        assert "Ctrl-C" in other.state()["help"]
        monkeypatch.setitem(FREED, "idle", 0.5)
        page.there = False
        page.mode("freed")
        page.drive.do("stop", {}, OTHER)  # nothing is there to stop, and nobody is told off for it
        page.drive.do("stop", {"kind": "hard"}, ME)
        with pytest.raises(UserError, match="given free"):
            page.act("start")
        waiting.act("connect")
        waiting.mode("idle")
    finally:
        other.close()
    page.there = True
    page.mode("idle")
    assert page.drive.state()["count"] == 1
    assert page.drive.state()["episodes"][0]["reason"] == "person stopped"


def test_an_episode_is_discarded_from_the_page_until_the_next_one_starts(make: Callable[..., Page]) -> None:
    page = make("hand:franka/reach")
    page.act("start")
    page.held = ("left",)
    page.until(lambda: (page.drive.live()["step"] or 0) > 25)
    page.act("stop", kind="soft")
    page.until(lambda: bool(page.drive.state()["newest"]))
    page.held = ()
    assert page.drive.state()["kept"] > 5
    page.act("discard", on=True)
    page.until(lambda: page.drive.state()["episodes"][0]["discarded"])
    assert (page.drive.state()["count"], page.drive.state()["kept"]) == (0, 0)
    page.act("discard", on=False)
    page.until(lambda: page.drive.state()["count"] == 1)
    assert page.drive.state()["kept"] > 5
    page.mode("idle")
    page.act("start")
    page.mode("driving")
    assert page.drive.state()["newest"] == ""


def test_only_the_page_that_holds_the_controls_starts_and_any_page_stops(make: Callable[..., Page]) -> None:
    page = make("hand:franka/reach")
    with pytest.raises(UserError, match="another page holds the controls"):
        page.drive.do("start", {}, OTHER)
    for act in ("go", "reset", "hold", "speed", "grip"):
        with pytest.raises(UserError, match="another page"):
            page.drive.do(act, {}, OTHER)
    page.act("start")
    page.mode("driving")
    page.drive.do("stop", {}, OTHER)
    page.until(lambda: page.drive.state()["count"] == 1)
    with pytest.raises(UserError, match="act"):
        page.act("fly")
    with pytest.raises(UserError, match=r"0\.05 to 1"):
        page.act("speed", value=3)


def test_an_arm_that_cannot_be_reached_is_told_of_and_may_be_connected_again(tmp_path: Path) -> None:
    drive = Drive(Settings("script:franka/drawer", out=tmp_path / "d", root=tmp_path / "data"), tmp_path)
    page = Page(drive)
    try:
        page.mode("gone")
        assert "drawer" in drive.state()["gone"]
        assert drive.state()["messages"][-1]["tone"] == "trouble"
        page.act("connect")
        assert drive.state()["gone"] == ""
    finally:
        drive.close()
