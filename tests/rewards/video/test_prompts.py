"""Prompts hold what they must and nothing that tells the task."""

from __future__ import annotations

import numpy as np

import sims
from rewards.program import language_reference
from rewards.video import prompts
from rewards.video.critique import Critique, Problem
from rewards.video.sheets import contact_sheet
from tests.rewards.video import filmed
from tests.rewards.video.test_terms import BOTH

ANT = sims.task("mujoco/ant")


def shown(period: float, views: tuple[str, ...] = ("from the side",)) -> prompts.Shown:
    clip = filmed.bobbing(period)
    sheets = tuple(contact_sheet(clip.frames[index : index + 12], np.arange(12) / 30) for index in range(len(views)))
    return prompts.Shown(sheets, views, clip.seconds, clip.fps, period)


def test_nobody_is_told_the_task() -> None:
    video, robot = shown(1.0), shown(0.5, ("from the side", "from the front"))
    critique = Critique(
        video_codes=video.codes,
        robot_codes=robot.codes,
        video="it bobs slowly",
        robot="it bobs quickly",
        likeness=5,
        problems=(
            Problem(
                problem="too quick",
                body_part="torso",
                phase="always",
                quantity="timing",
                direction="less",
                confidence=0.9,
            ),
        ),
    )
    asked = [
        prompts.compare(ANT, video, robot, "figures"),
        prompts.edit(ANT, BOTH, critique, "figures", ["tried"], language_reference(), wanted=4),
        prompts.edit(ANT, None, "it bobs", "", [], language_reference(), wanted=2),
        prompts.judge(video, robot, shown(0.7), ("", "", "")),
        prompts.rank(video, [robot, shown(0.7)], ("", "", "")),
    ]
    for messages in asked:
        text = "\n".join(message.text for message in messages)
        assert ANT.instruction not in text
        assert not any(code in text for code in (*video.codes, *robot.codes)), "codes are read from the pictures"


def test_pictures_come_in_the_order_that_is_told() -> None:
    video, robot = shown(1.0), shown(0.5, ("from the side", "from the front"))
    assert prompts.compare(ANT, video, robot, "")[1].images == (*video.pictures, *robot.pictures)
    ranked = prompts.rank(video, [robot, video], ("video: slow", "robot: fast", "robot: slower"))[1]
    assert ranked.images == (*video.pictures, robot.pictures[0], video.pictures[0])
    assert "## The video\n\nvideo: slow\n\n## Robot 1\n\nrobot: fast\n\n## Robot 2\n\nrobot: slower" in ranked.text


def test_an_editor_sees_the_reward_as_it_is_and_what_was_tried() -> None:
    text = prompts.edit(ANT, BOTH, "words", "figures", ["more speed: rejected"], language_reference(), wanted=4)[1].text
    assert BOTH.program() in text
    assert "- more speed: rejected" in text
    assert "class TorsoState" in text
    assert "Nothing." in prompts.edit(ANT, None, "words", "", [], "", wanted=1)[1].text
