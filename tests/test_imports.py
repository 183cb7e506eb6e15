"""The import rules of the project, kept by reading every module's syntax tree; nothing is imported.

Who may import whom: the floor of `robot_learn` nothing of ours and nothing but numpy of others'; `sims`, `rewards`,
`controllers` and `hardware` the floor and themselves; the middle the floor and itself; the roof everything. Imports
inside functions and for type checkers count: what is needed is needed wherever it says so. The import paths in a
registry are plain strings and do not count; a literal `import_module("...")` does.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("sims", "rewards", "controllers", "hardware")
LAYERS = {
    "floor": ("errors", "franka", "inverse_kinematics", "keyboard", "registry", "rollouts", "scene", "types"),
    "middle": (
        "checkpoint",
        "data",
        "envs",
        "evaluation",
        "iqm",
        "launcher",
        "metrics",
        "offline",
        "plots",
        "policy",
        "progress",
        "relabel",
        "report",
        "report_page",
        "resumable",
        "rounds",
        "rounds_page",
        "runs",
        "sweep",
        "sweep_plot",
        "train_config",
        "training",
        "vec_env",
        "video",
    ),
    "roof": (
        "alignment",
        "cli",
        "deployment",
        "examples",
        "feedback",
        "imitation",
        "loops",
        "preferences",
        "preview",
        "probes",
        "refine",
        "search",
        "session",
        "text2reward",
    ),
}
LAYER_OF = {f"robot_learn.{name}": layer for layer, names in LAYERS.items() for name in names}
MAY_IMPORT = {
    "floor": {"floor"},
    "middle": {"floor", "middle"},
    "roof": {"floor", "middle", "roof", *PARTS},
    **{part: {"floor", part} for part in PARTS},
}


@dataclass(frozen=True)
class Import:
    importer: str  # "robot_learn.types"
    target: str  # "numpy", "sims.env"; one of our modules by its full name
    where: str  # "robot_learn/types.py:10"


def layer(module: str) -> str | None:
    """The layer of one of our modules; None for a module that the table does not know."""
    if module == "robot_learn":
        return "floor"
    top, _, rest = module.partition(".")
    return top if top in PARTS else LAYER_OF.get(f"{top}.{rest.partition('.')[0]}")


def modules(root: Path) -> dict[str, Path]:
    """Every module of ours under `root`, by its dotted name."""
    found = {}
    for package in ("robot_learn", *PARTS):
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported_names(node: ast.AST, package: str) -> Iterator[tuple[str, str | None]]:
    """The (module, name in it or None) that one node imports, relative imports resolved against `package`."""
    match node:
        case ast.Import(names=names):
            yield from ((alias.name, None) for alias in names)
        case ast.ImportFrom(module=module, names=names, level=level):
            base = package.split(".")[: len(package.split(".")) - level + 1] if level else []
            source = ".".join([*base, *([module] if module else [])])
            yield from ((source, alias.name) for alias in names)
        case ast.Call(func=ast.Attribute(attr=called) | ast.Name(id=called), args=[ast.Constant(value=str(name)), *_]):
            if called in ("import_module", "__import__"):
                yield name, None


def imports(root: Path) -> list[Import]:
    ours = modules(root)
    found = []
    for importer, path in ours.items():
        package = importer if path.name == "__init__.py" else importer.rpartition(".")[0]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for source, name in imported_names(node, package):
                target = f"{source}.{name}" if f"{source}.{name}" in ours else source
                found.append(Import(importer, target, f"{path.relative_to(root)}:{getattr(node, 'lineno', 0)}"))
    return found


def broken_rule(item: Import) -> str | None:
    """The rule that an import breaks, or None."""
    importer, target, top = layer(item.importer), layer(item.target), item.target.partition(".")[0]
    if importer is None or (top == "robot_learn" and target is None):
        return None  # a module without a layer is reported once, not with each import
    if top == "tests":
        return "nothing outside tests imports tests"
    if top not in ("robot_learn", *PARTS):
        foreign = importer == "floor" and top != "numpy" and top not in sys.stdlib_module_names
        return "the floor imports numpy and the standard library only" if foreign else None
    if target in MAY_IMPORT[importer]:
        return None
    if importer in PARTS and target in PARTS:
        return (
            f"{', '.join(PARTS)} never import each other: take it as an argument, and let a loop or the cli join them"
        )
    return f"{importer} may import {' and '.join(sorted(MAY_IMPORT[importer]))} only, and this is {target}"


def cycle(edges: dict[str, dict[str, Import]]) -> list[Import]:
    """The imports along one cycle, or none. A package and its own modules count as different."""
    done: set[str] = set()

    def walk(module: str, path: list[Import]) -> list[Import]:
        on_path = [item.importer for item in path]
        if module in on_path:
            return path[on_path.index(module) :]
        if module in done:
            return []
        for target, item in edges.get(module, {}).items():
            found = walk(target, [*path, item])
            if found:
                return found
        done.add(module)
        return []

    return next((found for module in edges if (found := walk(module, []))), [])


def violations(root: Path) -> list[str]:
    """Everything that breaks a rule, one line each: where, what and which rule."""
    found = [
        f"{path.relative_to(root)}: robot_learn has no layer for it; name it in LAYERS of tests/test_imports.py: "
        "floor (imports numpy only), middle (imports the floor) or roof (joins everything)"
        for module, path in modules(root).items()
        if layer(module) is None
    ]
    edges: dict[str, dict[str, Import]] = {}
    for item in imports(root):
        rule = broken_rule(item)
        if rule:
            found.append(f"{item.where}: {item.importer} imports {item.target}: {rule}")
        if item.target != item.importer:
            edges.setdefault(item.importer, {}).setdefault(item.target, item)
    around = cycle(edges)
    if around:
        steps = ", ".join(f"{item.importer} imports {item.target} ({item.where})" for item in around)
        found.append(f"{around[0].where}: import cycle: {steps}")
    return list(dict.fromkeys(found))


def test_the_project_keeps_its_import_rules() -> None:
    assert len(modules(ROOT)) > 10, "the modules were not found, so nothing was checked"
    assert not violations(ROOT), "\n" + "\n".join(violations(ROOT))


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        (
            "robot_learn/types.py",
            "import numpy\nimport torch",
            "types.py:2: robot_learn.types imports torch: the floor",
        ),
        (
            "robot_learn/types.py",
            "def f():\n    import sims.env",
            "types.py:2: robot_learn.types imports sims.env: floor",
        ),
        (
            "robot_learn/scene.py",
            "from robot_learn import runs",
            "scene.py:1: robot_learn.scene imports robot_learn.runs",
        ),
        (
            "robot_learn/__init__.py",
            "from .cli import main",
            "__init__.py:1: robot_learn imports robot_learn.cli: floor",
        ),
        ("robot_learn/runs.py", "from sims import env", "runs.py:1: robot_learn.runs imports sims.env: middle may"),
        (
            "robot_learn/training.py",
            "import robot_learn.cli.run",
            "training.py:1: robot_learn.training imports robot_learn.cli",
        ),
        (
            "rewards/models/api.py",
            "def f():\n    from sims.env import x",
            "api.py:2: rewards.models.api imports sims.env",
        ),
        ("rewards/a.py", "import importlib\nimportlib.import_module('sims.env')", "a.py:2: rewards.a imports sims.env"),
        ("sims/env.py", "if TYPE_CHECKING:\n    import hardware", "env.py:2: sims.env imports hardware: sims, rewards"),
        (
            "controllers/mpc.py",
            "from robot_learn.runs import Run",
            "mpc.py:1: controllers.mpc imports robot_learn.runs",
        ),
        ("hardware/arm.py", "from ..sims import env", "arm.py:1: hardware.arm imports sims.env"),
        ("sims/env.py", "from tests import toy", "env.py:1: sims.env imports tests: nothing outside"),
        ("robot_learn/wheel.py", "import torch", "wheel.py: robot_learn has no layer for it; name it in LAYERS"),
    ],
)
def test_a_broken_rule_is_named_with_its_file_and_line(file: str, text: str, says: str, tmp_path: Path) -> None:
    root = tree(tmp_path, {"sims/env.py": "", "robot_learn/runs.py": "", file: text})
    assert [says in line for line in violations(root)] == [True], violations(root)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("robot_learn/types.py", "import json\nimport numpy as np\nfrom robot_learn.scene import Scene"),
        ("robot_learn/training.py", "import torch\nfrom robot_learn import runs"),
        ("robot_learn/cli/run.py", "from robot_learn.training import train\nimport sims.env, rewards.program"),
        ("robot_learn/loops/main.py", "def f():\n    from hardware import arm\n    from controllers import mpc"),
        ("rewards/__init__.py", 'SOURCES = {"video": "sims.video:Source"}\nload(SOURCES, "sims.env:make", kind="x")'),
        ("sims/metaworld/tasks.py", "import mujoco\nfrom sims import env\nfrom robot_learn.types import Task"),
    ],
)
def test_what_the_rules_allow_passes(file: str, text: str, tmp_path: Path) -> None:
    assert violations(tree(tmp_path, {"sims/env.py": "", "robot_learn/runs.py": "", file: text})) == []


@pytest.mark.parametrize("inside", ["from rewards.a import x", "def f():\n    import rewards.a"])
def test_a_cycle_is_told_step_by_step_also_through_a_function(inside: str, tmp_path: Path) -> None:
    files = {"rewards/a.py": "import rewards.b", "rewards/b.py": "from rewards import c", "rewards/c.py": inside}
    (line,) = violations(tree(tmp_path, {**files, "rewards/d.py": "import rewards.a"}))
    assert "import cycle: rewards.a imports rewards.b (rewards/a.py:1), rewards.b imports rewards.c" in line


def test_a_package_that_gathers_its_modules_is_no_cycle_and_one_that_they_ask_back_is(tmp_path: Path) -> None:
    files = {
        "sims/__init__.py": "from sims.env import make\nfrom . import names",
        "sims/names.py": "",
        "sims/env.py": "",
    }
    assert violations(tree(tmp_path, {**files, "sims/env.py": "from sims.names import x"})) == []
    (line,) = violations(tree(tmp_path, {"sims/env.py": "from sims import make"}))
    assert "sims imports sims.env (sims/__init__.py:1), sims.env imports sims (sims/env.py:1)" in line
