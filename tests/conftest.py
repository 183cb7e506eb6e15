"""What every test gets: few threads, no keys, no deadlines, and under CI a look at what was skipped."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from importlib import metadata

import pytest
from hypothesis import settings
from packaging.requirements import Requirement

# Before anything imports torch or numpy: the tests share the cores among processes already.
for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(threads, "1")

# A shell that starts the tests in the background makes them, and what they start, deaf to Ctrl-C, which some test.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# No test spends anybody's money or asks anybody's model.
for key in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"):
    os.environ.pop(key, None)

# On shared cores a deadline measures the neighbours. CI draws the same examples every time.
settings.register_profile("shared cores", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("shared cores")

_skipped: dict[str, str] = {}  # test -> reason, gathered where the reports of all processes arrive


def extras(distribution: str) -> dict[str, list[str]]:
    """The distributions that each extra of an installed distribution asks for, by the name of the extra."""
    found: dict[str, list[str]] = {name: [] for name in metadata.metadata(distribution).get_all("Provides-Extra", [])}
    for requirement in map(Requirement, metadata.requires(distribution) or []):
        for name, wanted in found.items():
            marker = requirement.marker
            if marker and marker.evaluate({"extra": name}) and not marker.evaluate({"extra": ""}):
                wanted.append(requirement.name)
    return found


def is_installed(distribution: str) -> bool:
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


def unjustified(reason: str, table: dict[str, list[str]], installed: set[str]) -> str | None:
    """The extra that a skip's reason names, by its own name or by one of its distributions, and that is installed."""
    words = {word.lower().replace("_", "-") for word in re.findall(r"[\w-]+", reason)}
    for extra, wanted in table.items():
        named = {extra, *(name.lower().replace("_", "-") for name in wanted)} & words
        if named and wanted and installed.issuperset(wanted):
            return extra
    return None


def _unjustified_skips() -> Iterator[str]:
    if not is_installed("robot-learn"):
        yield "robot-learn itself is not installed, so nothing is known of its extras: run `make setup`"
        return
    table = extras("robot-learn")
    installed = {name for wanted in table.values() for name in wanted if is_installed(name)}
    for test, reason in _skipped.items():
        extra = unjustified(reason, table, installed)
        if extra is not None:
            yield f"{test}: skipped ({reason}), but the extra {extra!r} is installed"


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and not hasattr(report, "wasxfail") and isinstance(report.longrepr, tuple):
        _skipped[report.nodeid] = str(report.longrepr[2]).removeprefix("Skipped: ")


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """A module that skips itself while it is collected (`pytest.importorskip`) has no test reports."""
    if report.skipped and isinstance(report.longrepr, tuple):
        _skipped[report.nodeid] = str(report.longrepr[2]).removeprefix("Skipped: ")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    on_worker = hasattr(session.config, "workerinput")
    if os.environ.get("CI") and not on_worker and exitstatus == 0 and any(_unjustified_skips()):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    found = list(_unjustified_skips()) if os.environ.get("CI") else []
    if found:
        terminalreporter.section("skipped under CI although the extra is installed", red=True)
        for line in found:
            terminalreporter.write_line(line)
