"""Procedural faucets, cabinets and chairs: they build without a renderer, differ, move freely and stand still."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

pytest.importorskip("mani_skill", reason="needs the extra maniskill")

import sapien
from mani_skill.envs.scene import ManiSkillScene
from mani_skill.utils.building.ground import build_ground

from robot_learn.errors import UserError
from sims.maniskill.assets import cabinet, chair, faucet, partnet
from sims.maniskill.assets.plan import Plan, X, Y, Z, build, turn

Drawn = Callable[[int], tuple[Any, Plan]]


def _rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def _faucet(seed: int) -> tuple[faucet.Faucet, Plan]:
    drawn = faucet.draw(_rng(seed))
    return drawn, faucet.plan(drawn)


def _drawers(seed: int) -> tuple[cabinet.Cabinet, Plan]:
    drawn = cabinet.draw(_rng(seed), "drawer")
    return drawn, cabinet.plan(drawn)


def _doors(seed: int) -> tuple[cabinet.Cabinet, Plan]:
    drawn = cabinet.draw(_rng(seed), "door")
    return drawn, cabinet.plan(drawn)


def _chair(seed: int) -> tuple[chair.Chair, Plan]:
    drawn = chair.draw(_rng(seed))
    return drawn, chair.plan(drawn)


KINDS: dict[str, Drawn] = {"faucet": _faucet, "drawers": _drawers, "doors": _doors, "chair": _chair}


@pytest.fixture(params=KINDS)
def drawn(request: pytest.FixtureRequest) -> Drawn:
    return KINDS[request.param]


def stage() -> Any:
    """A ManiSkill scene of one world with a floor, in which nothing can be drawn."""
    scene = ManiSkillScene(
        [sapien.Scene([sapien.physx.PhysxCpuSystem()])], device="cpu", backend=SimpleNamespace(render_device=None)
    )
    scene.px.timestep = 0.01
    build_ground(scene)
    return scene


def stand(plan: Plan, height: float = 0.0) -> tuple[Any, Any]:
    """Scene and SAPIEN articulation of a plan."""
    scene = stage()
    built = build(plan, scene, "object", pose=sapien.Pose([0.0, 0.0, height]))._objs[0]
    built.set_qpos(np.zeros(built.dof, dtype=np.float32))
    return scene, built


def link(articulation: Any, name: str) -> Any:
    return next(found for found in articulation.links if found.name.endswith(f"_{name}"))


def test_every_seed_of_fifty_builds_and_no_two_are_alike(drawn: Drawn) -> None:
    scene = stage()
    assert not scene.can_render()
    plans = [drawn(seed)[1] for seed in range(50)]
    for index, plan in enumerate(plans):
        built = build(plan, scene, f"object{index}")._objs[0]
        masses = [one.mass for one in built.links]
        assert min(masses) > 0.001
        assert 0.5 < sum(masses) < 100
        assert all((one.inertia > 0).all() for one in built.links)
    assert len({repr(plan) for plan in plans}) == 50
    assert len({len(plan.links) for plan in plans}) > 1 or "seat" in [one.name for one in plans[0].links]


def test_the_same_seed_gives_the_same_object(drawn: Drawn) -> None:
    assert drawn(7) == drawn(7)


def test_nothing_moves_by_itself(drawn: Drawn) -> None:
    for seed in range(6):
        _, plan = drawn(seed)
        scene, built = stand(plan, height=0.0 if plan.fixed else 0.001)
        before = built.qpos
        for _ in range(250):
            scene.step()
        held = [i for i, joint in enumerate(built.active_joints) if np.isfinite(joint.limits).all()]
        np.testing.assert_allclose(built.qpos[held], before[held], atol=1e-3)
        if not plan.fixed:  # it stands where it was put, on its castors
            np.testing.assert_allclose(built.root_pose.p, 0.0, atol=1e-3)
            assert built.root_pose.to_transformation_matrix()[2, 2] > np.cos(1e-3)


def test_joints_move_freely_over_their_range_and_stop_at_its_ends(drawn: Drawn) -> None:
    for seed in range(4):
        scene, built = stand(drawn(seed)[1], height=0.5)
        held = [i for i, joint in enumerate(built.active_joints) if np.isfinite(joint.limits).all()]
        if not held:
            assert len(built.active_joints) == 11  # a chair's: they turn round and round
            continue
        low, high = np.array(built.qlimits)[held].T
        for sense, end in ((40.0, high), (-40.0, low)):
            for _ in range(500):
                effort = np.zeros(built.dof, dtype=np.float32)
                effort[held] = sense
                built.set_qf(effort)
                scene.step()
            np.testing.assert_allclose(built.qpos[held], end, atol=5e-3)


def test_a_faucets_grip_circles_its_axis_and_a_positive_turn_is_counter_clockwise() -> None:
    for seed in range(12):
        drawn, plan = _faucet(seed)
        _, built = stand(plan)
        handle, angle = link(built, "handle"), drawn.handle_range / 2
        index = next(i for i, j in enumerate(built.active_joints) if j.name.endswith("_handle_joint"))
        before = np.array(handle.pose.p) + faucet.grip(drawn)
        qpos = np.zeros(built.dof, dtype=np.float32)
        qpos[index] = angle
        built.set_qpos(qpos)
        turned = Rotation.from_rotvec(angle * np.array(faucet.axis(drawn))).apply(faucet.grip(drawn))
        after = (handle.pose * sapien.Pose(faucet.grip(drawn))).p
        np.testing.assert_allclose(after, handle.pose.p + turned, atol=1e-5)
        np.testing.assert_allclose(handle.pose.p, faucet.pivot(drawn, drawn.side), atol=1e-6)
        assert np.linalg.norm(after - before) > 0.02


@pytest.mark.parametrize("opens", ["drawer", "door"])
def test_what_opens_brings_its_bar_out_of_the_front(opens: cabinet.Kind) -> None:
    for seed in range(12):
        drawn = cabinet.draw(_rng(seed), opens)
        _, built = stand(cabinet.plan(drawn))
        moved, grip = link(built, cabinet.target_name(drawn)), sapien.Pose(cabinet.grip(drawn))
        before = (moved.pose * grip).p
        assert before[0] == pytest.approx(-drawn.depth / 2 - cabinet.PANEL - drawn.standoff, abs=1e-5)
        assert 0.3 < before[2] < drawn.height
        joint = f"{cabinet.target_name(drawn)}_joint"
        index = next(i for i, j in enumerate(built.active_joints) if j.name.endswith(joint))
        qpos = np.zeros(built.dof, dtype=np.float32)
        qpos[index] = built.qlimits[index][1]
        built.set_qpos(qpos)
        after = (moved.pose * grip).p
        if opens == "drawer":
            np.testing.assert_allclose(after - before, [-drawn.travel, 0, 0], atol=1e-5)
        else:
            assert after[0] < before[0] - 0.1
            assert after[2] == pytest.approx(before[2], abs=1e-5)


def test_a_chair_rolls_when_pushed_low_and_tips_over_when_pushed_hard_and_high() -> None:
    for height, force, falls in ((0.45, 25.0, False), (0.95, 160.0, True)):
        scene, built = stand(_chair(3)[1], height=0.001)
        upright = 1.0
        for _ in range(100):
            place = built.root_pose.p + np.array([0.0, 0.0, height])
            link(built, "seat").add_force_at_point([force, 0.0, 0.0], place)
            scene.step()
            upright = min(upright, built.root_pose.to_transformation_matrix()[2, 2])
        assert (upright < np.cos(0.5)) == falls
        assert (upright < np.cos(0.05)) == falls
        assert built.root_pose.p[0] > 0.1


def test_the_shortest_turn_takes_one_direction_to_the_other() -> None:
    vectors = [X, Y, Z, (-1.0, 0.0, 0.0), (0.0, 0.6, -0.8)]
    for start in vectors:
        for end in vectors:
            w, x, y, z = turn(start, end)
            np.testing.assert_allclose(Rotation.from_quat([x, y, z, w]).apply(start), end, atol=1e-7)


def test_without_partnet_models_the_error_says_how_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mani_skill.ASSET_DIR", tmp_path)
    with pytest.raises(UserError, match="download_asset partnet_mobility_faucet"):
        partnet.models("faucet")
    with pytest.raises(UserError, match="download_asset partnet_mobility_cabinet"):
        partnet.models("cabinet_door")


def test_a_partnet_model_that_is_there_is_found_and_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mani_skill.ASSET_DIR", tmp_path)
    model = tmp_path / "partnet_mobility" / "dataset" / "1004"
    model.mkdir(parents=True)
    (model / "mobility_cvx.urdf").write_text(URDF)
    number, notes = partnet.draw("cabinet_drawer", _rng(0))
    assert number == "1004"
    builder = partnet.builder(stage(), number, notes)
    builder.initial_pose = sapien.Pose()
    built = builder.build(name="model")
    assert float(built.qlimits[0, 0, 1]) == pytest.approx(0.3 * notes["scale"], abs=1e-6)


_BOX = "<collision><geometry><box size='0.4 0.4 0.4'/></geometry></collision>"
URDF = f"""<robot name='model'>
<link name='base'>{_BOX}</link><link name='link_0'>{_BOX}</link>
<joint name='joint_0' type='prismatic'><parent link='base'/><child link='link_0'/><origin xyz='-0.5 0 0'/>
<axis xyz='-1 0 0'/><limit lower='0' upper='0.3' effort='1' velocity='1'/></joint>
</robot>"""
