"""Pages of a session in a headless browser, for tests: they skip without one, and fail on whatever goes wrong there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from robot_learn.errors import UserError
from robot_learn.session.headless import browsing


class Served(browsing.Served):
    """`robot-learn session` in a folder, where its log lies too."""

    def __init__(self, *words: str, folder: Path, port: int = 0) -> None:
        self._words, self._folder = words, folder
        super().__init__((*words, "--port", str(port)), folder / "server.log", folder)

    @property
    def log(self) -> str:
        return (self._folder / "server.log").read_text()

    def kill(self) -> Served:
        """Kill it without any warning, and start it again at the same address."""
        self.process.kill()
        self.process.wait()
        return Served(*self._words, folder=self._folder, port=urlsplit(self.url).port or 0)


@contextmanager
def browser() -> Iterator[Any]:
    """Chromium, without a window; skips where there is none."""
    with ExitStack() as stack:
        try:
            found = stack.enter_context(browsing.browser())
        except UserError as error:
            pytest.skip(str(error))
        yield found


@contextmanager
def page_of(found: Any, url: str, *, dark: bool = False, size: tuple[int, int] = browsing.SIZE) -> Iterator[Any]:
    """A page; whatever goes wrong in its scripts fails the test."""
    wrong: list[str] = []
    with browsing.opened(found, url, dark=dark, size=size, heard=wrong.append) as page:
        yield page
    assert not wrong, wrong


def shoot(page: Any, name: str) -> None:
    """Leave a picture of the page in the folder that SESSION_PICTURES names."""
    folder = os.environ.get("SESSION_PICTURES")
    if folder:
        page.screenshot(path=Path(folder) / f"{name}.png")
