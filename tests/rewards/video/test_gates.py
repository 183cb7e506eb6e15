"""Falls, stillness and a simulation that came apart are vetoed, and a sound motion is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rewards.video.gates import Gates
from rewards.video.signals import Track
from tests.rewards.video.test_signals import walk

SOUND = walk()


def frozen(after: float = 0.0) -> Track:
    """A walk that stops after a share of its time."""
    joints = SOUND.joints.copy()
    start = int(after * len(joints))
    joints[start:] = joints[start]
    return replace(SOUND, joints=joints)


def test_a_sound_motion_passes() -> None:
    assert Gates().veto([SOUND] * 5) == ()
    assert Gates().veto([SOUND] * 4 + [replace(SOUND, ended=True)]) == (), "one fall in five is forgiven"


@pytest.mark.parametrize(
    ("tracks", "says"),
    [
        ([], "nothing was seen"),
        ([replace(SOUND, ended=True)], "it fell in 100%"),
        ([SOUND, replace(SOUND, ended=True)], "it fell in 50%"),
        ([frozen()], "it stands still"),
        ([frozen(after=0.55)], "it stands still"),
        ([walk(seconds=0.3)], "lasted 0.28 s"),
        (
            [replace(SOUND, position=np.where(np.arange(len(SOUND.position))[:, None] == 7, np.nan, SOUND.position))],
            "apart",
        ),
        ([replace(SOUND, position=SOUND.position * 1e4)], "apart"),
    ],
)
def test_what_cannot_be_accepted_is_vetoed_with_its_reason(tracks: list[Track], says: str) -> None:
    found = Gates().veto(tracks)
    assert found
    assert any(says in reason for reason in found)


def test_a_robot_that_moves_in_its_last_half_is_not_frozen() -> None:
    late = SOUND.joints.copy()
    late[: len(late) // 3] = late[len(late) // 3]
    assert Gates().veto([replace(SOUND, joints=late)]) == ()
