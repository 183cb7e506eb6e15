"""The gallery: it shows every task of the registry, stays small, and comes out the same each time."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from imageio.v3 import imread

import sims
from robot_learn.cli import main
from robot_learn.cli.gallery import HEIGHT, WIDTH, file_name, markdown
from robot_learn.errors import UserError
from sims import rendering

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture
def opengl() -> None:
    try:
        rendering.backend()
    except UserError:
        pytest.skip(f"no OpenGL here: needs the Debian packages {rendering.PACKAGES}")


def test_the_page_in_docs_shows_every_task_of_the_registry_and_no_other() -> None:
    shown = re.findall(r"\*\*`([\w/-]+)`\*\*", (DOCS / "gallery.md").read_text())
    assert sorted(shown) == sorted(sims.TASKS), "run `robot-learn gallery` again"


def test_the_page_links_the_pictures_that_are_there_and_they_are_small() -> None:
    linked = re.findall(r'src="gallery/([\w.-]+)"', (DOCS / "gallery.md").read_text())
    files = sorted((DOCS / "gallery").iterdir())
    assert sorted(linked) == [file.name for file in files]
    assert sum(file.stat().st_size for file in files) < 3_000_000


def test_the_page_tells_what_the_registry_tells() -> None:
    page = (DOCS / "gallery.md").read_text()
    for name in sims.TASKS:
        task = sims.task(name)
        (row,) = [line for line in page.splitlines() if f"**`{name}`**" in line]
        assert task.instruction in row
        assert f"{task.max_episode_steps} steps of {task.control_dt:g} s" in row


@pytest.mark.usefixtures("opengl")
def test_a_task_is_pictured_alike_at_every_run(tmp_path: Path) -> None:
    pictures = []
    for folder in ("one", "two"):
        assert main(["gallery", "--out", str(tmp_path / folder), "--tasks", "uav/gate"]) == 0
        pictures.append((tmp_path / folder / "gallery" / file_name("uav/gate")).read_bytes())
    assert pictures[0] == pictures[1]
    picture = imread(pictures[0], extension=".jpg")
    assert picture.shape == (HEIGHT, WIDTH, 3)
    assert np.asarray(picture).std() > 20
    assert (tmp_path / "one" / "gallery.md").read_text() == (tmp_path / "two" / "gallery.md").read_text()


def test_a_task_without_a_picture_is_listed_with_the_reason(tmp_path: Path) -> None:
    page = markdown([sims.task("mujoco/hopper")], tmp_path, {"mujoco/hopper": "no OpenGL | here"})
    assert "no picture: no OpenGL \\| here" in page


def test_an_unknown_task_is_refused_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gallery", "--out", str(tmp_path), "--tasks", "uav/gat"]) == 2
    assert "did you mean 'uav/gate'" in capsys.readouterr().err
