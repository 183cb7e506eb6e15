"""The ground of all pages: acts that are done once and acknowledged, tabs, beats, restarts."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from robot_learn.session.server import LONGEST
from tests.robot_learn.session.ground import Page, Running, pages, running


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path) as made:
        yield made


# --- Acts.


def test_an_act_is_answered_with_its_number_and_is_on_the_disk_by_then(ground: Running) -> None:
    async def story(page: Page) -> None:
        assert await page.act("push", 7) == {"done": 7, "answer": {"lesson": 1}}
        assert json.loads(ground.toys[0].file.read_text()) == {"what": "push", "who": "Ada", "holds": True}

    pages(ground, story)


def test_an_act_that_is_sent_again_is_not_done_again(ground: Running) -> None:
    async def story(page: Page) -> None:
        first = await page.act("push", 7)
        assert await page.act("push", 7) == first
        assert ground.toys[0].lessons() == 1

    pages(ground, story)


def test_acts_are_done_in_the_order_in_which_they_came(ground: Running) -> None:
    async def story(page: Page) -> None:
        for number in range(8):
            await page.say(do="slow" if number == 0 else "push", args={}, n=number)
        answers = [(await page.hear(lambda told: "done" in told)) for _ in range(8)]
        assert [one["done"] for one in answers] == list(range(8))
        assert [one["answer"]["lesson"] for one in answers] == list(range(1, 9))

    pages(ground, story)


def test_a_persons_mistake_is_told_to_the_page_and_nothing_ends(ground: Running) -> None:
    async def story(page: Page) -> None:
        assert (await page.act("wrong", 1))["error"] == "that was wrong"
        assert (await page.act("wrong", 1))["error"] == "that was wrong"
        assert "ZeroDivisionError" in (await page.act("broken", 2))["error"]
        assert (await page.act("push", 3))["answer"] == {"lesson": 1}

    pages(ground, story)


def test_an_act_is_known_again_after_the_server_was_killed(tmp_path: Path) -> None:
    """What was answered is answered again; what was done but never answered is found in the learner's own file."""
    with running(tmp_path) as ground:
        pages(ground, lambda page: page.act("push", 1))
        store = tmp_path / "session" / "session.sqlite"
    base = sqlite3.connect(store)
    row = base.execute("SELECT number, lessons, answer FROM acts").fetchone()
    assert row == ("one:1", 0, '{"lesson": 1}')
    base.execute("UPDATE acts SET answer = NULL, seconds = NULL")  # as if killed between the lesson and the answer
    base.execute("INSERT INTO acts (number, lessons) VALUES ('one:2', 1)")  # and here before the lesson
    base.commit()
    base.close()

    async def story(page: Page) -> None:
        assert await page.act("push", 1) == {"done": 1, "answer": None}
        assert await page.act("push", 2) == {"done": 2, "answer": {"lesson": 2}}

    with running(tmp_path) as ground:
        pages(ground, story)
        assert ground.toys[0].lessons() == 2


def test_what_cannot_be_opened_is_told_and_tried_again(ground: Running) -> None:
    async def story(page: Page) -> None:
        await page.hear(lambda told: told.get("state", {}).get("fault") == "there is nothing to open")
        assert (await page.act("push"))["error"] == "there is nothing to open"

    pages(ground, story, what="nothing")
    pages(ground, story, what="nothing")


# --- Frames that are none of ours.


@pytest.mark.parametrize(
    "frame",
    [
        "x",
        "[]",
        "{}",
        '{"do": 1, "n": 1}',
        '{"do": "a", "n": 1, "args": 2}',
        '{"do": "a"}',
        '{"beat": "x"}',
        '{"beat": 1, "held": "ArrowUp"}',
        '{"beat": 1, "axes": [2]}',
        '{"timing": "push", "ms": -1}',
        "[" * 100_000,
    ],
)
def test_a_frame_that_is_none_of_ours_ends_the_connection_with_a_reason(ground: Running, frame: str) -> None:
    async def story(page: Page) -> None:
        await page.socket.send_str(frame)
        while (message := await page.socket.receive(10)).type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
            pass
        assert message.type is aiohttp.WSMsgType.CLOSE
        assert message.data == 4000
        assert message.extra

    pages(ground, story)


def test_a_frame_that_is_too_long_ends_the_connection(ground: Running) -> None:
    async def story(page: Page) -> None:
        await page.socket.send_str(json.dumps({"do": "push", "n": 1, "args": {"text": "x" * LONGEST}}))
        while (message := await page.socket.receive(10)).type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
            pass
        assert message.data == 1009

    pages(ground, story)


# --- Tabs and beats.


def test_a_second_tab_sees_the_same_and_may_take_the_controls(ground: Running) -> None:
    async def story(one: Page, two: Page) -> None:
        await one.act("push", 1)
        await two.hear(lambda told: told.get("state", {}).get("lessons") == 1)
        assert two.state["holder"] == "one"
        await two.act("push", 1)
        await two.say(hold=True)
        await one.hear(lambda told: told.get("state", {}).get("holder") == "two")
        await two.act("push", 2)
        holds = [json.loads(line)["holds"] for line in ground.toys[0].file.read_text().splitlines()]
        assert holds == [True, False, True]

    pages(ground, story, "one", "two")
    assert len(ground.toys) == 1


def test_a_tab_that_comes_back_is_shown_everything_and_still_holds(ground: Running) -> None:
    async def story(page: Page) -> None:
        await page.hear(lambda told: "state" in told)
        if not page.items:
            await page.hear(lambda told: "beat" in told)
        assert {"box", None} <= {item.get("body") for item in page.items}
        assert page.state["holder"] == "one"

    pages(ground, story)
    pages(ground, story)


def test_a_page_that_answers_is_present_and_one_that_is_silent_is_absent(ground: Running) -> None:
    async def story(page: Page) -> None:
        await page.alive(0.5, held=["ArrowUp"])
        toy = ground.toys[0]
        toy.absences.clear()
        await page.alive(0.6, held=["ArrowUp"])
        assert not toy.absences
        assert toy.hands[-1] == ("ArrowUp",)
        silent = time.monotonic()
        while not toy.absences:
            await asyncio.sleep(0.01)
        assert 0.2 < time.monotonic() - silent < 1.5

    pages(ground, story)


def test_an_old_beat_is_no_sign_of_life(ground: Running) -> None:
    """A page that repeats an old number may send as often as it likes."""

    async def story(page: Page) -> None:
        await page.alive(0.4)
        old = page.beat
        await asyncio.sleep(0.5)
        toy = ground.toys[0]
        before = len(toy.absences)
        for _ in range(20):
            await page.say(beat=old)
            await asyncio.sleep(0.02)
        assert len(toy.absences) > before + 5

    pages(ground, story)


def test_a_tab_without_the_controls_cannot_keep_the_robot_going(ground: Running) -> None:
    async def story(one: Page, two: Page) -> None:
        await one.alive(0.2)
        await two.alive(0.6)
        assert ground.toys[0].absences[-1] > 0.3

    pages(ground, story, "one", "two")


# --- The end.


def test_activities_are_closed_when_the_server_ends(tmp_path: Path) -> None:
    with running(tmp_path) as ground:
        pages(ground, lambda page: page.act("push", 1))
        toy = ground.toys[0]
        assert not toy.closed
    assert toy.closed


def test_the_store_keeps_who_did_what_and_how_long_it_took(tmp_path: Path) -> None:
    async def story(page: Page) -> None:
        await page.act("push", 1)
        await page.say(timing="push", ms=12.5)
        await page.act("push", 2)

    with running(tmp_path) as ground:
        pages(ground, story)
    base = sqlite3.connect(tmp_path / "session" / "session.sqlite")
    assert (
        base.execute("SELECT person, tab, what, activity, subject FROM acts").fetchall()
        == [("Ada", "one", "push", "correct", "toy")] * 2
    )
    assert base.execute("SELECT act, place, seconds FROM timings").fetchall() == [("push", "page", 0.0125)]
