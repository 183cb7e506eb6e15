"""Worlds in several processes are the same worlds, and the processes come and go with their owner."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("mani_skill", reason="needs the extra maniskill")

import sims
from robot_learn.errors import UserError
from sims.env import BatchEnv
from sims.maniskill.building import demand_vulkan
from sims.maniskill.process import ChildError, Remote
from sims.maniskill.tables import spec_of
from sims.maniskill.worlds import process_count

WORLDS = 3
NOWHERE = {"VK_DRIVER_FILES": "/nonexistent", "VK_ICD_FILENAMES": "/nonexistent"}
# Two processes with worlds, their numbers printed, then a long wait: what `owner` starts.
OWNER = """
import time, sims
env = sims.make("maniskill/pick-cube", 2, threads=2)
env.reset(seed=0)
print(*(group._process.pid for group in env.worlds._groups), flush=True)
time.sleep(60)
"""


def begin(threads: int, reward: Any = None) -> BatchEnv:
    env = sims.make("maniskill/pick-cube", WORLDS, threads=threads, reward=reward, max_episode_steps=12)
    assert isinstance(env, BatchEnv)
    return env


def run(env: BatchEnv, steps: int = 20) -> list[np.ndarray]:
    """Observations of an episode and a half, in which worlds reset themselves."""
    actions = np.random.default_rng(1).uniform(-1, 1, (steps, WORLDS, 4)).astype(np.float32)
    return [env.reset(seed=11)[0], *(env.step(action)[0] for action in actions)]


def alive(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().split()[2] != "Z"


def gone(pids: list[int], seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while any(map(alive, pids)) and time.monotonic() < end:
        time.sleep(0.05)
    return not any(map(alive, pids))


def memories() -> int:
    """How many shared memories this process holds."""
    links = [os.readlink(path) for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
    return sum("memfd:worlds" in link for link in links)


@pytest.fixture(scope="module")
def spread() -> Any:
    env = begin(threads=2, reward="expert")
    yield env
    env.close()


def test_neither_processes_nor_rewards_change_what_happens(spread: BatchEnv) -> None:
    plain = begin(threads=1)
    for one, other in zip(run(plain), run(spread), strict=True):
        np.testing.assert_array_equal(one, other)
    plain.close()


def test_a_snapshot_moves_a_world_from_one_process_to_another(spread: BatchEnv) -> None:
    run(spread, 5)
    spread.restore_world(2, spread.snapshot_world(0))
    for action in np.random.default_rng(2).uniform(-1, 1, (5, 1, 4)).astype(np.float32):
        observations = spread.step(np.tile(action, (WORLDS, 1)))[0]
        np.testing.assert_array_equal(observations[0], observations[2])
        assert (observations[0] != observations[1]).any()


def test_an_error_in_a_process_is_raised_here_with_its_traceback_and_the_next_call_works(spread: BatchEnv) -> None:
    remote = spread.worlds._groups[1]  # type: ignore[attr-defined]
    remote.send("restore", 2, None)
    with pytest.raises(AttributeError) as caught:
        remote.receive()
    assert isinstance(caught.value.__cause__, ChildError)
    assert "group.py" in str(caught.value.__cause__)
    run(spread, 2)


def test_an_answer_that_nobody_took_does_not_answer_the_next_question(spread: BatchEnv) -> None:
    remote: Remote = spread.worlds._groups[0]  # type: ignore[attr-defined]
    run(spread, 2)
    remote.send("snapshot", 0)
    remote.send("ping")
    assert remote.receive() is None


def shared() -> set[str]:
    """Shared memory that has a name; semaphores are of tests that run beside this one."""
    found = os.listdir("/dev/shm") if os.path.isdir("/dev/shm") else []
    return {name for name in found if not name.startswith("sem.")}


def test_closing_twice_is_closing_once_and_leaves_no_process_and_no_memory() -> None:
    before, held = shared(), memories()
    env = begin(threads=2)
    assert memories() > held
    pids = [group._process.pid for group in env.worlds._groups]  # type: ignore[attr-defined]
    run(env, 2)
    env.close()
    env.close()
    assert gone(pids)
    assert memories() == held
    assert shared() <= before


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_processes_end_with_their_owner(how: signal.Signals) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert owner.stdout is not None
    pids = [int(word) for word in owner.stdout.readline().split()]
    assert len(pids) == 2
    assert all(map(alive, pids))
    # As a terminal does for Ctrl-C: the whole group of processes gets the signal.
    os.killpg(owner.pid, how)
    _, errors = owner.communicate(timeout=20)
    assert gone(pids)
    if how == signal.SIGINT:
        assert errors.count("KeyboardInterrupt") == 1, "the owner's own"


def test_a_main_module_without_a_guard_may_make_worlds(tmp_path: Path) -> None:
    """Processes do not run the main module again, as those of multiprocessing would."""
    script = tmp_path / "script.py"
    script.write_text(
        "import sims\nenv = sims.make('maniskill/pick-cube', 2, threads=2)\nprint('made once')\nenv.close()\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=60, check=False, cwd=Path.cwd()
    )
    assert done.stdout.count("made once") == 1, done.stderr


def test_no_more_processes_than_worlds_and_none_for_a_few() -> None:
    assert process_count(1, None) == 1
    assert process_count(3, None) == 1
    assert process_count(3, 8) == 3
    assert process_count(10_000, 5) == 5


# The same few numbers in a process without a Vulkan device: the state after some steps, and what a picture says.
BLIND = """
import numpy as np, sims
for name in ("pick-cube", "roll-ball", "peg-insertion-side"):
    env = sims.make("maniskill/" + name, 1)
    env.reset(seed=3)
    for _ in range(5):
        env.step(np.full(env.action_space.shape, 0.3, dtype=np.float32))
    print(env.worlds.observe().tobytes().hex())
try:
    env.render_world(0)
except Exception as error:
    print(type(error).__name__, error)
"""


def test_without_vulkan_worlds_are_the_same_and_a_picture_is_refused_with_what_to_install() -> None:
    environment = os.environ | NOWHERE | {"PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", BLIND], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    *states, refusal = done.stdout.splitlines()
    assert refusal.startswith("UserError"), done.stderr
    assert "apt-get install -t bookworm-backports mesa-vulkan-drivers libvulkan1" in refusal
    for name, told in zip(("pick-cube", "roll-ball", "peg-insertion-side"), states, strict=True):
        env = sims.make("maniskill/" + name, 1)
        assert isinstance(env, BatchEnv)
        env.reset(seed=3)
        for _ in range(5):
            env.step(np.full((1, env.task.act_dim), 0.3, dtype=np.float32))
        assert env.worlds.observe().tobytes().hex() == told
        env.close()


@pytest.fixture(scope="module")
def vulkan() -> None:
    try:
        demand_vulkan()
    except UserError as error:
        pytest.skip(f"needs a Vulkan device: {error}")


@pytest.mark.usefixtures("vulkan")
def test_each_world_is_drawn_as_it_stands_and_looking_changes_nothing() -> None:
    one, two = (sims.make("maniskill/pick-cube", number) for number in (1, 2))
    assert isinstance(one, BatchEnv)
    assert isinstance(two, BatchEnv)
    one.reset(seed=31)
    two.reset(seed=30)
    views = two.pictures(160, 120)
    assert views.shape == (2, 120, 160, 3)
    assert views.dtype == np.uint8
    np.testing.assert_array_equal(views[1], one.render_world(0, 160, 120))
    assert (views[0] != views[1]).any()
    assert len(spec_of("pick-cube").cameras) >= 2
    assert (one.render_world(0, 160, 120, "side") != views[1]).any()
    action = np.full((1, 4), 0.5, dtype=np.float32)
    unseen = two.step(np.repeat(action, 2, axis=0))[0][1]
    np.testing.assert_array_equal(one.step(action)[0][0], unseen)
    red = (views[1][..., 0] > 150) & (views[1][..., 1] < 60) & (views[1][..., 2] < 60)
    assert red.sum() > 5, "the cube"
    one.close()
    two.close()
