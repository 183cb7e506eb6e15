"""Models are compiled once: upstream compiles the same XML for every environment, which is most of a test's time."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import mujoco
import pytest


@pytest.fixture(scope="session", autouse=True)
def _compiled_once() -> Iterator[None]:
    compile_model, compiled = mujoco.MjModel.from_xml_path, dict[str, mujoco.MjModel]()

    def from_cache(path: str, *args: Any) -> mujoco.MjModel:
        if path not in compiled:
            compiled[path] = compile_model(path, *args)
        return copy.deepcopy(compiled[path])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mujoco.MjModel, "from_xml_path", staticmethod(from_cache))
        yield


def needs_extra(task_name: str) -> None:
    """Skip a test of a task whose simulator is an extra that is not installed."""
    if task_name.startswith("maniskill/"):
        pytest.importorskip("mani_skill", reason="needs the extra maniskill")
