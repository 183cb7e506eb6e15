"""A room's frames: to all tabs, to those that come later, and never more than the newest to one that is slow."""

from __future__ import annotations

from robot_learn.session.room import Frames, Room, Tab


def test_what_is_waiting_for_a_slow_tab_does_not_grow() -> None:
    room, tab = Room(("correct", "toy")), Tab("one", "")
    room.enter(tab)
    for number in range(1000):
        room.show(Frames(state=str(number), live=str(number), items={"plan": b"%d" % number}, poses=b"%d" % number))
    assert sorted(map(str, tab.take())) == sorted(map(str, ["999", "999", b"999", b"999"]))
    assert tab.take() == []


def test_answers_are_kept_all_and_in_order() -> None:
    tab = Tab("one", "")
    for number in range(5):
        tab.must(str(number))
        tab.newest("state", "s")
    assert tab.take() == ["0", "1", "2", "3", "4", "s"]


def test_a_newcomer_is_shown_what_is_there_and_not_what_is_gone() -> None:
    room = Room(("correct", "toy"))
    room.show(Frames(state="old", items={"box": b"box", "ball": b"ball"}, poses=b"p"))
    room.show(Frames(state="new", items={"ball": None}))
    tab = Tab("one", "")
    room.enter(tab)
    assert tab.take() == [b"box", "new", b"p"]


def test_a_body_that_goes_is_told_to_the_tabs_that_are_there() -> None:
    room, tab = Room(("correct", "toy")), Tab("one", "")
    room.enter(tab)
    room.show(Frames(items={"ball": None}))
    assert tab.take() == ['{"gone": "ball"}']


def test_the_first_tab_holds_the_controls_and_keeps_them_over_a_reload() -> None:
    room = Room(("correct", "toy"))
    one, two = Tab("one", ""), Tab("two", "")
    room.enter(one)
    room.enter(two)
    assert room.holder == "one"
    again = Tab("one", "")
    room.enter(again)
    room.leave(one)  # the old socket ends after the new one has come
    assert room.tabs["one"] is again
    assert room.holder == "one"
    room.leave(again)
    room.enter(Tab("three", ""))
    assert room.holder == "three"
