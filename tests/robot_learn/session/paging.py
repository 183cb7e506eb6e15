"""Pages of a session in a headless browser: a server of its own, and what a person would do there."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--autoplay-policy=no-user-gesture-required"]
SECONDS = 90.0  # that a busy machine may take for one thing
WIDE = {"width": 1280, "height": 800}


class Served:
    """`robot-learn session` in a process of its own."""

    def __init__(self, *words: str, folder: Path, port: int = 0) -> None:
        command = [sys.executable, "-c", "import sys; from robot_learn.cli import main; sys.exit(main())", "session"]
        self._words, self._folder = words, folder
        log = (folder / "server.log").open("ab")
        self._process = subprocess.Popen(
            [*command, *words, "--port", str(port)], stdout=subprocess.PIPE, stderr=log, text=True, cwd=folder
        )
        log.close()
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        assert self.url.startswith("http://"), (folder / "server.log").read_text()

    @property
    def log(self) -> str:
        return (self._folder / "server.log").read_text()

    def kill(self) -> Served:
        """Kill it without any warning, and start it again at the same address."""
        self._process.kill()
        self._process.wait()
        return Served(*self._words, folder=self._folder, port=urlsplit(self.url).port or 0)

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(SECONDS)
            finally:
                self._process.kill()


@contextmanager
def browser() -> Iterator[Any]:
    """Chromium, without a window; skips where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("there is no chromium here; scripts/setup_apt.sh installs it")
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield found
        finally:
            found.close()


@contextmanager
def page_of(found: Any, url: str, *, dark: bool = False, size: dict[str, int] | None = None) -> Iterator[Any]:
    """A page; whatever goes wrong in its scripts fails the test."""
    context = found.new_context(viewport=size or WIDE, color_scheme="dark" if dark else "light", accept_downloads=True)
    context.set_default_timeout(SECONDS * 1000)
    wrong: list[str] = []
    page = context.new_page()
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(url)
    try:
        yield page
    finally:
        context.close()
    assert not wrong, wrong


def until(holds: Callable[[], Any], what: str = "", seconds: float = SECONDS) -> Any:
    """What `holds` gives once it is true."""
    end = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < end, f"waited {seconds:g} s in vain: {what}"
        time.sleep(0.05)
    return found


def shoot(page: Any, name: str) -> None:
    """Leave a picture of the page in the folder that SESSION_PICTURES names."""
    folder = os.environ.get("SESSION_PICTURES")
    if folder:
        page.screenshot(path=Path(folder) / f"{name}.png")
