"""Terms are edited by name, what is not named stays to the letter, and the program is what the language takes."""

from __future__ import annotations

import numpy as np
import pytest

import sims
from rewards.program import check
from rewards.video.terms import Edit, Term, Terms
from robot_learn.errors import UserError

FORWARD = Term("forward", 2.0, "def forward(scene, action):\n    return scene.torso.velocity[0]\n", "go on")
UPRIGHT = Term(
    "upright",
    0.5,
    "upright_LEAST = 0.7\n\n\ndef upright(scene, action):\n"
    "    return 1.0 if quat_up(scene.torso.quaternion)[2] > upright_LEAST else 0.0\n",
    "do not fall",
)
BOTH = Terms((FORWARD, UPRIGHT))
CALM = Edit("add", "calm", 0.1, "def calm(scene, action):\n    return -np.sum(action**2)\n", "save strength")


def test_the_program_is_in_the_language_and_sums_the_terms_by_their_weights() -> None:
    task = sims.task("mujoco/ant")
    program = check(BOTH.changed([CALM]).program(), task)
    assert program.term_names == ("forward", "upright", "calm")
    with_env = sims.make("mujoco/ant", 2, reward=program.compile())
    with_env.reset(seed=[0, 1])
    action = np.full((2, 8), 0.5, dtype=np.float32)
    reward = with_env.step(action)[1]
    scene = with_env.scene
    wanted = 2.0 * scene.torso.velocity[:, 0] + 0.5 - 0.1 * 8 * 0.25
    np.testing.assert_allclose(reward, wanted, rtol=1e-6)
    with_env.close()


def test_what_an_edit_does_not_name_stays_to_the_letter() -> None:
    rewritten = Edit("rewrite", "forward", None, "def forward(scene, action):\n    return 1.0\n")
    after = BOTH.changed([rewritten, CALM, Edit("weigh", "upright", 3.0)])
    assert after["upright"].code == UPRIGHT.code
    assert (after["forward"].weight, after["forward"].why) == (2.0, "go on"), "kept where nothing else was said"
    assert after["upright"].weight == 3.0
    assert after.changed([Edit("remove", "calm")]).names == ("forward", "upright")


def test_the_difference_of_two_rewards_leads_from_one_to_the_other() -> None:
    after = BOTH.changed([CALM, Edit("weigh", "upright", 3.0), Edit("remove", "forward")])
    assert BOTH.changed(BOTH.difference(after)) == after
    assert BOTH.difference(BOTH) == []


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (Edit("add", "forward", 1.0, FORWARD.code), "such a term already"),
        (Edit("rewrite", "foward", 1.0, FORWARD.code), "did you mean 'forward'"),
        (Edit("remove", "jump"), "allowed: forward, upright"),
        (Edit("add", "jump", 1.0), "it wants 'code'"),
        (Edit("add", "jump", None, "def jump(scene, action):\n    return 1.0"), "it wants 'weight'"),
        (Edit("weigh", "forward"), "it wants 'weight'"),
        (Edit("weigh", "forward", -1.0), "above 0"),
        (Edit("weigh", "forward", float("nan")), "above 0"),
        (Edit("weigh", "forward", 2.0), "change nothing"),
        (Edit("add", "jump", 1.0, "def leap(scene, action):\n    return 1.0"), "defines 'leap'"),
        (Edit("add", "jump", 1.0, "def jump(scene):\n    return 1.0"), r"must end in `def jump\(scene, action\):`"),
        (Edit("add", "jump", 1.0, "def jump(scene, action)\n    return 1.0"), "no Python: line 1"),
        (Edit("add", "reward", 1.0, "def reward(scene, action):\n    return 1.0"), "the name is taken"),
        (Edit("merge", "forward"), "no kind of edit named 'merge'"),  # type: ignore[arg-type]
    ],
)
def test_an_edit_that_cannot_be_says_what_was_wanted(edit: Edit, says: str) -> None:
    with pytest.raises(UserError, match=says):
        BOTH.changed([edit])


def test_a_reward_keeps_one_term_and_takes_no_more_than_it_may() -> None:
    with pytest.raises(UserError, match="the only term"):
        Terms((FORWARD,)).changed([Edit("remove", "forward")])
    many = [Edit("add", f"t{i}", 1.0, f"def t{i}(scene, action):\n    return 1.0") for i in range(9)]
    with pytest.raises(UserError, match="1 to 10 terms, came 11"):
        BOTH.changed(many)
    with pytest.raises(UserError, match="no edit"):
        BOTH.changed([])


def test_a_reason_of_several_lines_and_letters_stays_a_comment() -> None:
    odd = Terms((Term("forward", 1.0, FORWARD.code, "so that\nit runs — fast"),))
    check(odd.program(), sims.task("mujoco/ant"))
