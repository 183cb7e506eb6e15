"""A run is a folder: what was asked, with which seeds and versions, and everything that came out of it.

runs/metaworld-drawer-open-20260131-142501-s0/
    config.json versions.json                   written when the run begins
    reward.py prompt.txt reply.txt              put there by whoever wrote the reward
    start.pkl                                   what another run has left to this one, until the first checkpoint
    progress.csv tensorboard/ checkpoint.pkl    written while training
    policy.npz evaluation.json trace.json traces.json video.mp4 report.html
    sweep.json sweep.png randomisation.json     what a sweep over physical parameters found, and proposes to train with
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from robot_learn.errors import UserError

CONFIG, VERSIONS = "config.json", "versions.json"
REWARD, PROMPT, REPLY = "reward.py", "prompt.txt", "reply.txt"
START = "start.pkl"
PROGRESS, TENSORBOARD, CHECKPOINT = "progress.csv", "tensorboard", "checkpoint.pkl"
POLICY, EVALUATION, TRACE = "policy.npz", "evaluation.json", "trace.json"
TRACES = "traces.json"  # of all episodes that were filmed; TRACE is the first
VIDEO, REPORT = "video.mp4", "report.html"
SWEEP, SWEEP_PLOT, RANDOMISATION = "sweep.json", "sweep.png", "randomisation.json"

PACKAGES = ("numpy", "scipy", "casadi", "torch", "stable-baselines3", "gymnasium", "mujoco", "metaworld")


@contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """A file that appears under its name whole or not at all, whenever the process dies."""
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)


@contextmanager
def alone(lock: Path, otherwise: str, *, wait: float = 0.0) -> Iterator[None]:
    """Hold a lock file, which one process at a time can; the lock goes with the process, however it ends.

    Args:
        otherwise: what to say when another process holds it, and still does after `wait` [s]; who that is, is added.

    Raises:
        UserError: another process holds it, or the file cannot be made.
    """
    end = time.monotonic() + wait
    try:
        file = lock.open("a+", encoding="utf-8")  # "w" would wipe out who holds it
    except OSError as error:
        raise UserError(f"cannot write {lock}: {error.strerror}") from error
    with file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise UserError(otherwise + _held_by(file)) from None
                time.sleep(0.05)
        with suppress(OSError):  # on a full disk it is a lock all the same
            file.truncate(0)
            file.write(_who())
            file.flush()
        yield


def _held_by(lock: TextIO) -> str:
    with suppress(OSError, UnicodeDecodeError):
        lock.seek(0)
        who = lock.read().strip()
        return f"; it is {who}" if who else ""
    return ""


def _who() -> str:
    """This process as a person finds it, "process 4711: robot-learn session"; of one that drives an arm for another
    process (`hardware.spawn`), that other one, which alone has a terminal to end it in.
    """
    pid, words = os.getpid(), list(sys.orig_argv)
    if "hardware.spawn" in words:
        with suppress(OSError):  # there is no /proc everywhere
            begun = Path(f"/proc/{os.getppid()}/cmdline").read_bytes().decode(errors="replace")
            pid, words = os.getppid(), begun.rstrip("\0").split("\0")
    if len(words) > 1 and Path(words[0]).name.startswith("python"):
        words = words[2:] if words[1] == "-m" and len(words) > 2 else words[1:]
    words[0] = Path(words[0]).name
    return f"process {pid}: {shlex.join(words)[:200]}"


def versions() -> dict[str, str]:
    """What the results of this process depend on: python, packages, platform and the commit of the working folder."""
    found = {"python": platform.python_version(), "platform": platform.platform(), "cpus": str(os.cpu_count())}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found | {"commit": _commit()}


def _commit() -> str:
    """The git commit of our own sources, marked when they were changed since; "none" outside a repository."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(Path(__file__).parent), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()

    try:
        # An installed copy may lie inside somebody else's repository: only one that tracks this file counts.
        git("ls-files", "--error-unmatch", Path(__file__).name)
        return git("rev-parse", "HEAD") + (" (changed)" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.SubprocessError):
        return "none"


@dataclass(frozen=True)
class Run:
    """One run folder. Every file in it has a name above; JSON is written whole or not at all."""

    path: Path

    @classmethod
    def create(
        cls,
        root: Path | str,
        *,
        task: str,
        seed: int,
        config: Mapping[str, Any],
        name: str | None = None,
        when: datetime | None = None,
    ) -> Run:
        """A new folder under `root`, with its config and versions, named after the task, the time and the seed.

        Raises:
            UserError: the folder cannot be made.
        """
        stamp = (when or datetime.now()).strftime("%Y%m%d-%H%M%S")
        name = name or f"{task.replace('/', '-')}-{stamp}-s{seed}"
        try:
            Path(root).mkdir(parents=True, exist_ok=True)
            run = cls(_new_folder(Path(root), name))
            run.write_json(VERSIONS, versions())
            run.write_json(CONFIG, {"task": task, "seed": seed, **config})
        except OSError as error:
            raise UserError(f"cannot make a run folder in {root}: {error.strerror or error}") from error
        return run

    @classmethod
    def open(cls, path: Path | str) -> Run:
        """An existing run.

        Raises:
            UserError: the folder is missing or is no run.
        """
        folder = Path(path)
        if not (folder / CONFIG).is_file():
            what = "holds no " + CONFIG if folder.is_dir() else "does not exist"
            inside = sorted(entry.parent.name for entry in folder.glob(f"*/{CONFIG}"))
            hint = f"; it contains runs, the last is {folder / inside[-1]}" if inside else ""
            raise UserError(f"{folder} is not a run folder: it {what}{hint}")
        return cls(folder)

    def file(self, name: str) -> Path:
        """Where `name` lies, whether or not it is there."""
        return self.path / name

    def has(self, name: str) -> bool:
        return self.file(name).exists()

    def read_text(self, name: str) -> str:
        """The text of a file.

        Raises:
            UserError: the run has no such file.
        """
        try:
            return self.file(name).read_text(encoding="utf-8")
        except FileNotFoundError:
            raise UserError(f"run {self.path} has no {name}; it has: {', '.join(self.files())}") from None

    def write_text(self, name: str, text: str) -> None:
        with atomic_write(self.file(name)) as file:
            file.write(text.encode("utf-8"))

    def read_json(self, name: str) -> Any:
        """The content of a JSON file.

        Raises:
            UserError: the run has no such file, or it is not JSON.
        """
        try:
            return json.loads(self.read_text(name))
        except json.JSONDecodeError as error:
            raise UserError(f"{self.file(name)} is not JSON: {error}") from error

    def write_json(self, name: str, value: Any) -> None:
        self.write_text(name, json.dumps(value, indent=2, ensure_ascii=False) + "\n")

    def files(self) -> list[str]:
        return sorted(entry.name for entry in self.path.iterdir())

    @property
    def config(self) -> dict[str, Any]:
        """What the run was asked to do.

        Raises:
            UserError: config.json is missing or broken.
        """
        found = self.read_json(CONFIG)
        if not isinstance(found, dict):
            raise UserError(f"{self.file(CONFIG)}: wanted a JSON object, got {type(found).__name__}")
        return found

    def settle(self, section: str, wanted: Mapping[str, Any], *, free: Collection[str] = ()) -> None:
        """Keep `wanted` as a section of the config; where the section is already there, it must say the same.

        Keys in `free` may change between sessions of a run; the newest value is kept.

        Raises:
            UserError: the run was begun with other values; the message names them.
        """
        wanted = json.loads(json.dumps(wanted))  # as it will be read back: tuples become lists
        config = self.config
        stored = config.get(section, wanted)
        differing = sorted(k for k in {*wanted, *stored} - {*free} if wanted.get(k) != stored.get(k))
        if differing:
            listed = "; ".join(f"{key} was {stored.get(key)!r}, now {wanted.get(key)!r}" for key in differing)
            raise UserError(f"run {self.path} was begun with another {section} configuration: {listed}")
        if config.get(section) != wanted:
            self.write_json(CONFIG, config | {section: wanted})


def _new_folder(root: Path, name: str) -> Path:
    """A folder that did not exist; two runs that begin within one second get different ones."""
    for count in range(1, 1000):
        folder = root / (name if count == 1 else f"{name}-{count}")
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise UserError(f"{root} already holds 999 runs named {name}")
