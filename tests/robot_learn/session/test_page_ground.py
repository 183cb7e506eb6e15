"""What every page shows, whatever is taught on it: what is in its way, a lost connection, keys, hands that slip off."""

from __future__ import annotations

from pathlib import Path

from tests.robot_learn.session.paging import Served, browser, page_of, shoot
from tests.waiting import SECONDS, until


def test_what_cannot_be_opened_is_said_in_the_pages_place_and_stays(tmp_path: Path) -> None:
    with Served(folder=tmp_path) as served, browser() as found:
        address = served.url.rstrip("/")
        for words, said in {
            "?activity=compare&what=nope": "no dataset 'nope'",
            "?activity=drive&what=mujoco-fr3": "no kind of arm named 'mujoco-fr3'",
        }.items():
            with page_of(found, f"{address}/{words}") as page:
                until(lambda page=page, said=said: said in page.inner_text("#trouble"), said)
                assert not page.is_visible("#root")
                assert page.is_visible("text=All sessions")
        page = found.new_page()  # a script that is not there is an error of the browser's own
        page.goto(f"{address}/?activity=dance&what=x")
        until(lambda: "dance" in page.inner_text("#trouble"), "there is no such session")
        assert not page.is_visible("#opening")
        page.close()


def test_hands_that_slip_off_let_go_watchers_hold_nothing_and_a_lost_connection_is_not_to_be_missed(
    tmp_path: Path,
) -> None:
    words = ("drive", "mujoco:fr3", "--root", str(tmp_path / "data"))
    with Served(*words, folder=tmp_path) as served, browser() as found, page_of(found, served.url) as page:
        button, held = '[data-act="up"]', '[data-act="up"].held'
        page.locator('main[data-mode="idle"]').wait_for(timeout=1000 * SECONDS)
        assert not page.is_visible("#lost")
        box = page.locator(button).bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.mouse.move(x, y)
        page.mouse.down()
        page.locator(held).wait_for()
        page.mouse.move(x + 3, y)
        assert page.is_visible(held)
        page.mouse.move(x, box["y"] - 40)
        page.locator(held).wait_for(state="detached")  # the mouse's button is still down
        page.mouse.up()

        with page_of(found, served.url) as second:
            second.locator("#hold").wait_for()
            second.locator(button).wait_for()
            second.keyboard.down("r")
            until(lambda: "take them first" in second.inner_text(".toasts"), "it is told why nothing moves")
            assert not second.is_visible(held)
            second.set_viewport_size({"width": 420, "height": 900})  # keys in many rows
            said, keys = (second.locator(where).bounding_box() for where in (".toast", "#bar"))
            assert said["y"] + said["height"] <= keys["y"], "what is said covers keys"
            second.set_viewport_size({"width": 1280, "height": 800})
            second.keyboard.up("r")
            second.click("#hold")
            page.locator("#hold").wait_for()  # they have changed places
            second.locator("#hold").wait_for(state="hidden")
            second.keyboard.down("r")
            second.locator(held).wait_for()
            second.keyboard.up("r")

        page.keyboard.press("?")
        assert "Escape does, too, and is" in page.inner_text("#keys")
        page.keyboard.press("?")
        served.process.kill()
        page.locator("#lost").wait_for()
        assert "not even a stop" in page.inner_text("#lost")
        shoot(page, "lost")
