"""What a session costs and how fast it answers, measured through the page: `robot-learn bench session`.

A server, and a page in a headless browser that presses keys as a person would. Counted are what the page receives and
draws, the time from a key to the answer (on the server: from the frame that brought it; on the page: until what
answers it is there), and memory, whose slope over the session tells of a leak. Without a GPU the browser draws in
software, on the cores that the robot is simulated and planned on: the figures say which it was.
"""

from __future__ import annotations

import json
import math
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from robot_learn.errors import UserError
from robot_learn.runs import atomic_write
from robot_learn.session.drive.delays import TIMINGS
from robot_learn.session.headless.browsing import Page, Served, browser, opened, until

RESULTS = "session.json"
_SAMPLE = 5.0  # [s] between two readings of memory
_WARM = 0.25  # share of the session after which memory should have settled
_LONGEST_GAP = 1.5  # [s] between two keys
# A person's finger rests on a key so long. After each event of a key Chromium puts off all else, what the network
# brings too, until the next picture of the page: a key let go at once makes it wait for two.
_DWELL_MS = 80
_COLLECT = "HeapProfiler.collectGarbage"


@dataclass(frozen=True)
class Subject:
    """One kind of session."""

    activity: str
    what: str
    begin: Callable[[Page], None]  # until the robot moves
    press: Callable[[Page, np.random.Generator], None]  # one key
    page_acts: tuple[str, ...]  # what the page measures


@dataclass
class Memory:
    """[MB] over time."""

    at: list[float] = field(default_factory=list)  # [s]
    server: list[float] = field(default_factory=list)  # with the processes that it has started
    renderer: list[float] = field(default_factory=list)  # the browser's processes for pages, after collecting garbage
    heap: list[float] = field(default_factory=list)  # of the page's scripts, after collecting garbage


def run(
    minutes: float, folder: Path, names: Sequence[str], say: Callable[[str], None], *, again: bool = False
) -> list[dict[str, Any]]:
    """Measure each kind of session for so long; those that have a result are not measured again.

    Raises:
        UserError: there is no browser, no such session, or a page that does not answer.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / RESULTS
    rows: dict[str, dict[str, Any]] = {} if again or not path.exists() else json.loads(path.read_text())
    for name in names:
        found = rows.get(name)
        if found is not None and found["minutes"] >= minutes:
            continue
        say(f"{name}: {minutes:g} minutes")
        with browser() as running:
            rows[name] = _measure(SUBJECTS[name], minutes, folder / name, running, say)
        with atomic_write(path) as file:
            file.write((json.dumps(rows, indent=2) + "\n").encode())
    return [{"session": name} | rows[name] for name in names]


def _measure(
    subject: Subject, minutes: float, folder: Path, running: Any, say: Callable[[str], None]
) -> dict[str, Any]:
    out = folder / time.strftime("%Y%m%d-%H%M%S")
    out.mkdir(parents=True)
    words = (subject.activity, subject.what, "--out", str(out), "--root", str(out / "data"))
    generator, memory = np.random.default_rng(0), Memory()
    with Served(words, out / "server.log") as served, opened(running, served.url) as page:
        subject.begin(page)
        watch = Watch(running, page, served.process.pid)
        before, begun = watch.counts(), time.monotonic()
        keys = 0
        for now in _ticks(begun, 60.0 * minutes):
            subject.press(page, generator)
            keys += 1
            if not memory.at or now - memory.at[-1] >= _SAMPLE:
                watch.remember(memory, now)
                now_mb = f"server {memory.server[-1]:6.1f} MB  browser {memory.renderer[-1]:6.1f} MB"
                say(f"  {now / 60:5.1f} min  {now_mb}  scripts {memory.heap[-1]:5.1f} MB")
            page.wait_for_timeout(1e3 * generator.uniform(0.3, _LONGEST_GAP))
        after, seconds = watch.counts(), time.monotonic() - begun
    moved = after["moved"] - before["moved"]
    figures = {
        "minutes": minutes,
        "drawn by": "software" if after["software"] else "GPU",
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[2], 1),
        "moving": round(moved / seconds, 2),
        "updates/s": round((after["updates"] - before["updates"]) / moved, 1) if moved else None,
        "frames/s": round((after["frames"] - before["frames"]) / seconds, 1),
        "keys": keys,
    }
    server, felt = _delays(subject, out)
    return figures | _spread("server", server) | _spread("page", felt) | slopes(memory, minutes)


def _ticks(begun: float, seconds: float) -> Iterator[float]:
    while (now := time.monotonic() - begun) < seconds:
        yield now


class Watch:
    """Counts what a page draws and weighs the processes behind it."""

    def __init__(self, running: Any, page: Page, server: int) -> None:
        self._page, self._server = page, server
        self._processes = running.new_browser_cdp_session()
        self._scripts = page.context.new_cdp_session(page)
        self._scripts.send("Performance.enable")
        self._workers: list[str] = []
        self._scripts.on("Target.attachedToTarget", lambda told: self._workers.append(told["sessionId"]))
        found = {"autoAttach": True, "waitForDebuggerOnStart": False, "flatten": False}
        self._scripts.send("Target.setAutoAttach", found)

    def counts(self) -> dict[str, Any]:
        """Frames drawn since the page was opened, updates of poses received while the robot moved, and how long [s]
        it did: a quarter of a second without any counts as standing."""
        found: dict[str, Any] = self._page.evaluate("document.querySelector('.view').counts()")
        return found

    def remember(self, memory: Memory, now: float) -> None:
        """One reading of memory at `now` [s], without the garbage of the page's scripts and of its workers'."""
        self._scripts.send(_COLLECT)
        for worker in self._workers:
            told_to = {"sessionId": worker, "message": json.dumps({"id": 1, "method": _COLLECT})}
            self._scripts.send("Target.sendMessageToTarget", told_to)
        told = {one["name"]: one["value"] for one in self._scripts.send("Performance.getMetrics")["metrics"]}
        memory.at.append(now)
        memory.heap.append(told["JSHeapUsedSize"] / 1e6)
        memory.server.append(sum(map(weight, family(self._server))))
        listed = self._processes.send("SystemInfo.getProcessInfo")["processInfo"]
        memory.renderer.append(sum(weight(one["id"]) for one in listed if one["type"] == "renderer"))


def family(process: int) -> list[int]:
    """A process and all that it, and they, have started."""
    found = [process]
    for children in Path(f"/proc/{process}/task").glob("*/children"):
        for child in children.read_text().split():
            found += family(int(child))
    return found


def weight(process: int) -> float:
    """Memory [MB] that a process takes, its share of what several use; 0 for one that has just ended."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1e3


def slopes(memory: Memory, minutes: float) -> dict[str, Any]:
    """Of each kind of memory how much there is, how fast it grows once it has settled, and what that comes to.

    A line by least squares; what stands behind it are two standard errors.
    """
    told: dict[str, Any] = {}
    at = np.array(memory.at) / 60.0
    settled = at >= _WARM * minutes
    for name in ("server", "renderer", "heap"):
        values = np.array(getattr(memory, name))
        told[f"{name} MB"] = round(float(values[settled].mean()), 1) if settled.any() else None
        told[f"{name} MB/h"] = told[f"{name} +-"] = None
        if settled.sum() >= 3:
            slope, error = _line(at[settled], values[settled])
            told[f"{name} MB/h"], told[f"{name} +-"] = round(60 * slope, 1), round(120 * error, 1)
    return told


def _line(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Slope and its standard error, of values (n,) that follow one another more slowly than they are read."""
    slope, at_zero = np.polyfit(x, y, 1)
    left = y - (slope * x + at_zero)
    spread = float(np.sum((x - x.mean()) ** 2))
    plain = math.sqrt(float(np.sum(left**2)) / max(1, len(x) - 2) / spread)
    # What is left over is not independent from reading to reading: as an AR(1) process it counts for fewer.
    power = float(left @ left)
    alike = min(0.95, max(0.0, float(left[1:] @ left[:-1]) / power)) if power > 0 else 0.0
    return float(slope), plain * math.sqrt((1 + alike) / (1 - alike))


def _spread(name: str, seconds: Sequence[float]) -> dict[str, Any]:
    """Median and 99 % of delays, in milliseconds."""
    if not seconds:
        return {f"{name} ms": None, f"{name} 99 % ms": None, f"{name} n": 0}
    median, most = (round(1e3 * float(np.percentile(seconds, share)), 1) for share in (50, 99))
    return {f"{name} ms": median, f"{name} 99 % ms": most, f"{name} n": len(seconds)}


def _delays(subject: Subject, out: Path) -> tuple[list[float], list[float]]:
    """From key to answer [s]: on the server, and as the page felt it."""
    with sqlite3.connect(out / "session" / "session.sqlite") as base:
        marks = ",".join("?" * len(subject.page_acts))
        felt = base.execute(f"SELECT seconds FROM timings WHERE act IN ({marks})", subject.page_acts).fetchall()
        done = base.execute(
            f"SELECT seconds FROM acts WHERE seconds IS NOT NULL AND what IN ({marks})", subject.page_acts
        ).fetchall()
    kept = [
        json.loads(line)["key_to_command"]
        for path in out.glob(f"session/*/{TIMINGS}")
        for line in path.read_text().splitlines()
    ]
    return [seconds for (seconds,) in done] + kept, [seconds for (seconds,) in felt]


# --- What a person would press.


def _corrects(page: Page) -> None:
    page.wait_for_selector("main[data-state]")
    state = _state(page)
    if state["asks"]:
        page.keyboard.press("a")  # a question would wait for an answer
    page.keyboard.press(" ")
    until(page, lambda: _state(page)["why"] != "ready", "a robot that moves")


def _state(page: Page) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(page.locator("main").get_attribute("data-state") or "{}")
    return found


def _pushes(page: Page, generator: np.random.Generator) -> None:
    """A push and its undoing, so that it never learns what it should and goes on needing pushes."""
    state = _state(page)
    if state["phase"] == "over":
        raise UserError("the session ended before its time: it had learned")
    if state["phase"] == "paused":
        page.keyboard.press(" ")
        return
    if state["taught"]:
        page.keyboard.press("u")
        return
    keys = [one["key"] for one in state["directions"]]
    page.keyboard.press(keys[int(generator.integers(len(keys)))], delay=_DWELL_MS)


def _drives(page: Page) -> None:
    page.wait_for_selector("main[data-mode=idle]")
    page.keyboard.press("Enter")
    page.wait_for_selector("main[data-mode=driving]")


def _moves(page: Page, generator: np.random.Generator) -> None:
    """A key that is held for a while; and a new episode where the last one is over."""
    mode = page.locator("main").get_attribute("data-mode")
    if mode == "idle":
        page.keyboard.press("Enter")
    if mode != "driving":
        return
    key = "wsadrf"[int(generator.integers(6))]
    page.keyboard.down(key)
    page.wait_for_timeout(400)
    page.keyboard.up(key)


_MOVED = ("forward", "back", "left", "right", "up", "down")
SUBJECTS = {
    "correct-uav-gate": Subject("correct", "uav-gate", _corrects, _pushes, ("push",)),
    "correct-franka-reach": Subject("correct", "franka-reach", _corrects, _pushes, ("push",)),
    "drive": Subject("drive", "mujoco:fr3 hand:franka/reach", _drives, _moves, _MOVED),
}
