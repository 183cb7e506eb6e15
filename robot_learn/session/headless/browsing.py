"""A session in a headless browser, for those who measure pages and take their pictures: a server, Chromium, a page."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from robot_learn.errors import UserError

Page = Any  # playwright's
# WebGL without a GPU draws in software.
FLAGS = (
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--enable-precise-memory-info",
    "--autoplay-policy=no-user-gesture-required",
)
SIZE = (1280, 800)
_PROGRAM = "import sys; from robot_learn.cli import main; sys.exit(main())"
PATIENCE = 120.0  # [s] that a busy machine may take for one thing


class Served:
    """`robot-learn session WORDS` in a process of its own, in a folder where one is given; a context manager.

    Raises:
        UserError: it did not start; the message is its own.
    """

    def __init__(self, words: Sequence[str], log: Path, folder: Path | None = None) -> None:
        with log.open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _PROGRAM, "session", *words],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                cwd=folder,
            )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        if not self.url.startswith("http"):
            self.process.wait()
            told = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise UserError(f"session {' '.join(words)}: {told[-1] if told else 'it did not start'}")

    def __enter__(self) -> Served:
        return self

    def __exit__(self, *raised: object) -> None:
        self.stop()

    def stop(self) -> None:
        """As Ctrl-C does; by force where that takes too long."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(20.0)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


@contextmanager
def browser() -> Iterator[Any]:
    """Chromium without a window.

    Raises:
        UserError: it, or what drives it, is not installed.
    """
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise UserError("this drives a browser: pip install playwright, and have Chromium installed") from error
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        raise UserError("there is no Chromium on this machine; Debian and Ubuntu have it as the package chromium")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=found, args=list(FLAGS))
        try:
            yield running
        finally:
            running.close()


@contextmanager
def opened(
    running: Any,
    url: str,
    *,
    dark: bool = False,
    size: tuple[int, int] = SIZE,
    heard: Callable[[str], object] = lambda wrong: None,
) -> Iterator[Page]:
    """A page at an address; `heard` is told of what goes wrong in its scripts."""
    width, height = size
    context = running.new_context(viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light")
    context.set_default_timeout(1e3 * PATIENCE)
    try:
        page = context.new_page()
        page.on("pageerror", lambda error: heard(str(error)))
        page.goto(url)
        yield page
    finally:
        context.close()


def until(page: Page, holds: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
    """What `holds` gives once it is true; the page goes on meanwhile.

    Raises:
        UserError: it did not come true.
    """
    end = time.monotonic() + seconds
    while not (found := holds()):
        if time.monotonic() > end:
            raise UserError(f"the page did not show {what} within {seconds:g} s")
        page.wait_for_timeout(50)
    return found
