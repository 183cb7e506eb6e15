"""What a checked program tells and promises: terms, units, weights, limits, and errors that teach."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from rewards.program import NonFiniteReward, Program, ProgramError, check, language_reference
from rewards.program.bench import run
from rewards.program.machine import Code
from rewards.program.reference import EXAMPLE
from rewards.program.special import TABLE
from robot_learn.errors import UserError
from robot_learn.scene import Field, Scene, Schema
from robot_learn.types import ActionComponent, RewardFn, Task
from tests.rewards.program_corpus.accepted import PROGRAMS
from tests.rewards.program_corpus.oracle import TASK, random_scene

torch.set_num_threads(1)


def program(*lines: str) -> Program:
    return check("def reward(scene, action):\n" + "".join(f"    {line}\n" for line in lines), TASK)


def refusal(*lines: str) -> ProgramError:
    with pytest.raises(ProgramError) as caught:
        program(*lines)
    return caught.value


def test_a_compiled_program_is_a_reward_function() -> None:
    reward = check(PROGRAMS["staged pick and place"], TASK).compile()
    scene, action = random_scene(0, 9, 0.3)
    assert isinstance(reward, RewardFn)
    total, terms = reward.evaluate(scene, action)
    assert total.shape == (9,)
    assert tuple(terms) == reward.term_names == ("reach", "grasp", "place")
    np.testing.assert_array_equal(reward(scene, action), total)


def test_a_dict_alone_is_summed() -> None:
    scene, action = random_scene(0, 9, 0.3)
    total, terms = check(PROGRAMS["orientation"], TASK).compile().evaluate(scene, action)
    np.testing.assert_allclose(total, sum(terms.values()), rtol=1e-14)


def test_a_term_that_a_return_leaves_out_is_zero() -> None:
    reward = program("if scene.hand.opening > 0.5:", "    return {'a': 1.0}", "return {'b': 2.0}").compile()
    scene, action = random_scene(0, 50, 0.3)
    _, terms = reward.evaluate(scene, action)
    is_open = scene["hand.opening"] > 0.5
    np.testing.assert_array_equal(terms["a"], np.where(is_open, 1.0, 0.0))
    np.testing.assert_array_equal(terms["b"], np.where(is_open, 0.0, 2.0))


@pytest.mark.parametrize("name", PROGRAMS)
def test_weights_scale_terms_and_leave_the_rest_of_the_total(name: str) -> None:
    plain = check(PROGRAMS[name], TASK)
    scene, action = random_scene(2, 20, 0.3)
    total, terms = plain.compile().evaluate(scene, action)
    weights = {term: 0.5 * (at - 1) for at, term in enumerate(plain.term_names)}
    weighted, same_terms = plain.with_weights(weights).compile().evaluate(scene, action)
    wanted = total + sum((weight - 1) * terms[term] for term, weight in weights.items())
    np.testing.assert_allclose(weighted, wanted, rtol=1e-11, atol=1e-12)
    for term, values in terms.items():
        np.testing.assert_array_equal(same_terms[term], values)
    assert all(weight == 1.0 for weight in plain.weights.values())


def test_weights_of_unknown_terms_name_the_nearest_and_wild_ones_are_refused() -> None:
    with pytest.raises(UserError, match="did you mean 'reach'"):
        check(PROGRAMS["distance"], TASK).with_weights({"raech": 2.0})
    with pytest.raises(UserError, match="must be a number"):
        check(PROGRAMS["distance"], TASK).with_weights({"reach": float("nan")})


def test_units_of_terms_follow_from_the_schema() -> None:
    units = program(
        "d = np.linalg.norm(scene.hand.position - scene.cube.position)",
        "v = scene.hand.velocity[0]",
        "return {'d': d, 'area': d**2, 'time': d / v, 'root': np.sqrt(d * d), 'e': np.exp(-d), 'w': scene.door.speed,",
        "        'scaled': 2.0 * d, 'turn': np.arctan2(v, v), 'mask': d < 0.1, 'force': d * v ** -2}",
    ).term_units
    assert units == {
        **{"d": "m", "area": "m^2", "time": "s", "root": "m", "e": "1", "w": "rad/s", "scaled": "unknown"},
        **{"turn": "rad", "mask": "1", "force": "s^2/m"},
    }


def test_mixing_known_units_is_noted_with_its_place_and_not_refused() -> None:
    notes = program(
        "a = scene.cube.position[0] + scene.door.angle",
        "b = scene.cube.position[0] < scene.hand.velocity[0]",
        "c = max(scene.cube.size, scene.hand.opening)",
        "fine = scene.cube.size + 0.1 - np.linalg.norm(scene.cube.position) + scene.hand.opening * scene.cube.size",
        "return {'a': a, 'b': b, 'c': c, 'fine': fine}",
    ).notes
    assert [(note.line, note.column) for note in notes] == [(2, 9), (3, 9), (4, 9)]
    assert "m and m/s" in notes[1].message


def test_a_program_names_what_it_reads_and_only_that() -> None:
    reads = program(
        "unused = scene.robot.joints",
        "a = scene.initial.cube.position[2] + scene.previous.door.angle",
        "return {'a': a + action[0]}",
    ).fields_read
    assert set(reads) == {"initial.cube.position", "previous.door.angle", "action"}


def test_errors_show_the_line_with_a_caret_and_the_nearest_name_and_come_together() -> None:
    error = refusal("d = np.linalg.nrm(scene.hand.postion)", "e = scene.qube.size", "return {'d': d + e + dd}")
    assert len(error.diagnostics) == 4
    text = str(error)
    line, caret = text.split("\n")[3:5]
    assert line.strip() == "d = np.linalg.nrm(scene.hand.postion)"
    assert line[caret.index("^") :].startswith("np.linalg.nrm")
    for hint in ("np.linalg.norm", "scene.hand.position", "scene.cube"):
        assert f"did you mean {hint}" in text


def test_one_error_is_not_reported_again_through_what_depends_on_it() -> None:
    assert len(refusal("a = scene.nothing.here", "b = a + 1.0", "c = b * a", "return {'c': c}").diagnostics) == 1
    assert len(refusal("import numpy as np", "f = lambda x: x", "y = f(1.0)", "return {'y': y}").diagnostics) == 2


def test_an_imported_numpy_is_answered_with_the_advice_to_delete_the_line() -> None:
    with pytest.raises(ProgramError) as caught:
        check("import numpy as np\n" + PROGRAMS["distance"], TASK)
    assert [each.advice for each in caught.value.diagnostics] == ["delete this line: np and math are there already"]


def test_a_branch_not_taken_leaks_nothing_even_into_terms_that_use_its_variables() -> None:
    reward = program(
        "x = scene.door.angle",
        "y = 0.0",
        "if x > 0.0:",
        "    y = np.log(x) + 1.0 / x",
        "return {'y': y, 'z': np.sqrt(x) if x >= 0.0 else -1.0}",
    ).compile()
    scene, action = random_scene(0, 40, 1.0)
    with np.errstate(all="raise"):
        assert np.isfinite(reward(scene, action)).all()


def test_a_reward_that_is_not_finite_names_term_world_step_and_what_was_read() -> None:
    reward = program("good = 1.0", "bad = 1.0 / scene.cube.size", "return {'good': good, 'bad': bad}").compile()
    scene, action = random_scene(0, 8, 0.3)
    scene["cube.size"][[5, 6]] = 0.0
    with pytest.raises(NonFiniteReward, match=r"'bad' is inf in world 5 at step 17.*scene\.cube\.size = 0") as caught:
        reward.evaluate(scene, action, step=17)
    assert (caught.value.term, caught.value.world, caught.value.step) == ("bad", 5, 17)
    assert isinstance(caught.value, UserError)


def test_a_total_that_overflows_is_named_although_its_terms_are_finite() -> None:
    reward = program("x = np.exp(scene.door.angle)", "return x * x, {'x': x}").compile()
    scene, action = random_scene(0, 3, 0.3)
    scene["door.angle"][1] = 600.0
    with pytest.raises(NonFiniteReward, match="'the total' is inf in world 1"):
        reward(scene, action)


def test_wrong_arrays_are_refused_by_name() -> None:
    reward = program("return {'a': scene.cube.size + action[0]}")
    scene, action = random_scene(0, 4, 0.3)
    with pytest.raises(UserError, match=r"action has shape \(4, 3\); wanted \(worlds, 4\)"):
        reward.compile()(scene, action[:, :3])
    with pytest.raises(UserError, match=r"'cube.size' has shape \(4,\); wanted \(3,\) for 3 worlds"):
        reward.compile()(scene, action[:3])
    with pytest.raises(UserError, match="compiled for torch"):
        reward.compile("torch")(scene, action)
    with pytest.raises(UserError, match="both be numpy arrays or both torch"):
        reward.compile()(scene, torch.tensor(action))
    with pytest.raises(UserError, match="no backend named 'nump'; did you mean 'numpy'"):
        reward.compile("nump")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="this scene has no previous"):
        program("return {'a': scene.previous.cube.size}").compile()(
            Scene(TASK.schema, {"cube.size": np.ones(4)}), action
        )


def test_mixed_dtypes_give_the_wider_one_and_integers_count_as_numbers() -> None:
    reward = program("return {'a': scene.cube.size + action[0]}").compile()
    scene, action = random_scene(0, 4, 0.3)
    assert reward(scene, action.astype(np.float32)).dtype == np.float64
    whole = Scene(TASK.schema, {"cube.size": np.arange(4)})
    np.testing.assert_allclose(reward(whole, action), np.arange(4) + action[:, 0])


def test_gradients_flow_through_a_torch_reward() -> None:
    reward = program("return {'a': -np.sum(action**2)}").compile("torch")
    action = torch.ones(3, 4, requires_grad=True)
    reward(Scene(TASK.schema, {"cube.size": torch.ones(3)}), action).sum().backward()
    torch.testing.assert_close(action.grad, torch.full((3, 4), -2.0))


def test_programs_and_rewards_can_be_pickled_with_their_weights() -> None:
    plain = check(PROGRAMS["staged pick and place"], TASK).with_weights({"reach": 3.0})
    scene, action = random_scene(0, 9, 0.3)
    wanted = plain.compile()(scene, action)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(plain)).compile()(scene, action), wanted)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(plain.compile("numpy")))(scene, action), wanted)


def test_equal_work_is_done_once_constants_and_dead_code_not_at_all() -> None:
    def count(*lines: str) -> int:
        checked = program(*lines)
        return len(Code([checked._result.total, *checked._result.terms.values()]).body)

    once = count("return {'a': np.linalg.norm(scene.hand.position - scene.cube.position)}")
    twice = (
        "dead = np.exp(scene.door.angle)",
        "k = 2.0 * np.pi / 2.0 - np.pi",
        "a = np.linalg.norm(scene.hand.position - scene.cube.position) + k",
        "b = np.linalg.norm(scene.hand.position - scene.cube.position) * 1.0",
        "return a, {'a': a, 'b': b}",
    )
    assert count(*twice) == once == 2


def test_slots_are_used_again() -> None:
    checked = program("x = scene.door.angle", *["x = np.sin(x)"] * 50, "return {'x': x}")
    assert Code([checked._result.total]).size <= 4


def test_the_reference_lists_every_function_and_its_example_is_accepted() -> None:
    text = language_reference()
    for spelling in TABLE:
        name = spelling.removeprefix("math.")
        assert name in text, spelling
    assert 60 <= text.count("\n") <= 120
    schema = Schema(
        tuple(
            Field(name, shape, unit, "world", "made up")
            for name, shape, unit in (
                ("gripper.position", (3,), "m"),
                ("gripper.opening", (), "1"),
                ("cup.position", (3,), "m"),
                ("cup.orientation", (4,), "1"),
            )
        )
    )
    task = Task("imaginary", "Lift the cup.", schema, (ActionComponent("dx", -1, 1, ""),), 10, 0.1)
    assert EXAMPLE in text
    assert check(EXAMPLE, task).term_names == ("reach", "grasp", "lift", "effort")


def test_the_benchmark_measures_both_backends() -> None:
    rows = run(worlds=(64,), seconds=0.01)
    assert [(row["backend"], row["worlds"]) for row in rows] == [("numpy", 64), ("torch", 64)]
    assert all(row["rewards_per_s"] > 0 for row in rows)


def test_an_unclosed_bracket_is_reported_where_it_opens() -> None:
    with pytest.raises(ProgramError) as refused:
        check("def reward(scene, action):\n    d = np.sum(action\n    return {'a': d}\n", TASK)
    (finding,) = refused.value.diagnostics
    assert (finding.line, finding.column) == (2, 15)
