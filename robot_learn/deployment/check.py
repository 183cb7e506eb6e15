"""Is this computer fit to drive an arm? A table of what was found, whether it will do, and what to do if not."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

import numpy as np

from robot_learn.deployment import echo
from robot_learn.errors import UserError

State = Literal["ok", "warning", "fault"]
CLIENTS = ("franky-control", "pylibfranka", "panda-python")
_ROOM = 5.0  # [GB] an hour of episodes with pictures and ticks takes about 2


@dataclass(frozen=True)
class Finding:
    """One line of the table."""

    name: str
    state: State
    found: str
    advice: str = ""


def computer(folder: Path, root: Path = Path("/")) -> list[Finding]:
    """All that does not want an arm.

    Args:
        folder: where recordings will lie.
        root: of the system's files, for tests.
    """
    return [
        kernel(root),
        scheduling(),
        governor(root),
        load(),
        clock(),
        space(folder),
        *clients(),
    ]


def kernel(root: Path = Path("/")) -> Finding:
    """PREEMPT_RT, which libfranka tells by one file."""
    file = root / "sys/kernel/realtime"
    real = file.exists() and file.read_text().strip() == "1"
    found = f"{platform.release()}, {'real-time' if real else 'not real-time'}"
    advice = "a kernel with PREEMPT_RT is wanted for a real arm; without one the client must ignore it, and commands "
    return Finding("kernel", "ok" if real else "warning", found, "" if real else advice + "come late under load")


def scheduling() -> Finding:
    """May this user ask for real-time priority, and keep its memory?"""
    rtprio = getattr(resource, "RLIMIT_RTPRIO", None)  # Linux has it
    allowed = 0 if rtprio is None else resource.getrlimit(rtprio)[0]
    may = os.geteuid() == 0 or allowed == resource.RLIM_INFINITY or allowed > 0
    found = "real-time priority " + ("may be asked for" if may else "may not be asked for")
    advice = "" if may else "put the user into a group with rtprio 99 and memlock in /etc/security/limits.conf"
    return Finding("priority", "ok" if may else "warning", found, advice)


def governor(root: Path = Path("/")) -> Finding:
    """Do the processors keep their speed?"""
    files = sorted(root.glob("sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor"))
    kinds = sorted({file.read_text().strip() for file in files})
    if not kinds:
        return Finding("processors", "ok", f"{os.cpu_count()}, their speed is not ours to set")
    fast = kinds == ["performance"]
    advice = "" if fast else "cpupower frequency-set -g performance"
    return Finding("processors", "ok" if fast else "warning", f"{os.cpu_count()}, {', '.join(kinds)}", advice)


def load() -> Finding:
    """Does something else run?"""
    now, count = os.getloadavg()[0], os.cpu_count() or 1
    busy = now > 0.7 * count
    advice = "end what else runs here" if busy else ""
    return Finding("load", "warning" if busy else "ok", f"{now:.1f} of {count} processors", advice)


def clock(samples: int = 200) -> Finding:
    """How late this computer wakes up from sleeping 1 ms."""
    late = []
    for _ in range(samples):
        begun = time.monotonic()
        time.sleep(0.001)
        late.append(time.monotonic() - begun - 0.001)
    worst = 1e3 * float(np.percentile(late, 99))
    state: State = "ok" if worst < 0.3 else "warning" if worst < 5.0 else "fault"
    advice = (
        "" if state == "ok" else "a thread of this program will miss ticks of the arm: see kernel, load, processors"
    )
    resolution = time.get_clock_info("monotonic").resolution
    return Finding("clock", state, f"wakes {worst:.2f} ms late (99 %), counts {1e9 * resolution:.0f} ns", advice)


def space(folder: Path) -> Finding:
    """Is there room for recordings?"""
    there = next(one for one in (folder.absolute(), *folder.absolute().parents) if one.exists())
    free = shutil.disk_usage(there).free / 1e9
    state: State = "ok" if free > _ROOM else "warning" if free > 1.0 else "fault"
    advice = "" if state == "ok" else f"make room: wanted {_ROOM:g} GB"
    return Finding("disk", state, f"{free:.1f} GB free at {there}", advice)


def clients(names: Sequence[str] = CLIENTS) -> list[Finding]:
    """Which clients of an arm are installed; one is enough."""
    found = {}
    for name in names:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    if not found:
        return [Finding("clients", "warning", "none", "pip install 'robot-learn[franka]'")]
    return [Finding("clients", "ok", ", ".join(f"{name} {version}" for name, version in found.items()))]


def network(host: str, ports: Sequence[int] = (1337, 1338), *, count: int = 300) -> list[Finding]:
    """The way to an arm at an address."""
    try:
        socket.gethostbyname(host)
    except OSError as error:
        return [Finding("address", "fault", f"{host}: {error}", "wanted the address that Desk shows for the robot")]
    return [_echoes(host, ports[0], count), _packets(host), *(_port(host, port) for port in ports)]


def _echoes(host: str, port: int, count: int) -> Finding:
    try:
        echoes = echo.ping(host, count=count) or echo.connect_times(host, port)
    except OSError as error:
        return Finding("echo", "fault", str(error), "no way there: cable, address, firewall")
    if not echoes.times:
        return Finding(
            "echo", "fault", f"{host} does not answer", "is the robot on, the cable in Control, the address right?"
        )
    middle, worst = (1e3 * float(np.percentile(echoes.times, q)) for q in (50, 99))
    found = f"{middle:.2f} ms, 99 % within {worst:.2f} ms"
    if echoes.kind == "tcp":
        return Finding("echo", "ok" if worst < 1.0 else "warning", f"{found} (by TCP; lost packets are not seen)")
    found += f", {echoes.lost:.1%} of {echoes.sent} lost"
    state: State = "fault" if echoes.lost > 0.02 or middle > 1.0 else "warning" if echoes.lost or worst > 0.5 else "ok"
    advice = "" if state == "ok" else "one cable without a switch or radio between; another network card; less load"
    return Finding("echo", state, found, advice)


def _packets(host: str) -> Finding:
    """The largest packet of the interface that leads there; an arm's state is one of 1377 or 2373 bytes."""
    name = interface(host)
    if name is None:
        return Finding("packets", "warning", "the interface is not known")
    file = Path("/sys/class/net") / name / "mtu"
    size = int(file.read_text()) if file.exists() else 0
    wired = name.startswith(("lo", "en", "eth"))
    state: State = "ok" if size >= 1500 and wired else "warning"
    advice = "" if state == "ok" else "a wired interface with packets of 1500 bytes or more is wanted"
    return Finding("packets", state, f"{name}, up to {size} bytes", advice)


def interface(host: str) -> str | None:
    """The name of the interface that packets to a host leave by, from the kernel's table of routes."""
    try:
        target = int.from_bytes(socket.inet_aton(socket.gethostbyname(host)), "big")
        if target >> 24 == 127:
            return "lo"
        lines = Path("/proc/net/route").read_text().splitlines()[1:]
    except OSError:
        return None
    found: list[tuple[int, str]] = []
    for line in lines:
        parts = line.split()
        network, mask = (int.from_bytes(bytes.fromhex(parts[i])[::-1], "big") for i in (1, 7))
        if target & mask == network:
            found.append((mask, parts[0]))
    return max(found)[1] if found else None


def _port(host: str, port: int) -> Finding:
    what = {1337: "controller", 1338: "gripper"}.get(port, f"port {port}")
    try:
        socket.create_connection((host, port), 1.0).close()
    except OSError as error:
        advice = "activate FCI in Desk, unlock the joints" if port == 1337 else "no hand, or it is not initialised"
        return Finding(what, "fault" if port == 1337 else "warning", f"{host}:{port}: {error}", advice)
    return Finding(what, "ok", f"{host}:{port} answers")


def arm(connected: Callable[[], object]) -> list[Finding]:
    """Connect, and ask an arm what it is; nothing moves."""
    from hardware.arm import Arm, ArmError

    try:
        found = connected()
        if not isinstance(found, Arm):
            raise UserError("what was connected is no arm")
        with found:
            told, state = found.spec, found.observe()
    except (ArmError, UserError) as error:
        return [Finding("arm", "fault", str(error), getattr(error, "advice", ""))]
    versions = ", ".join(f"{name} {version}" for name, version in told.versions) or "none told"
    ready: State = "ok" if state.state in ("idle", "moving") else "warning"
    advice = "" if ready == "ok" else "release, unlock or recover it first"
    rate: State = "ok" if state.success_rate >= 0.9 else "warning"
    return [
        Finding("arm", "ok", f"{told.name} at {told.address}"),
        Finding("versions", "ok", versions),
        Finding("state", ready, ", ".join((state.state, *state.errors)), advice),
        Finding("commands", rate, f"{state.success_rate:.0%} of the last 100 arrived in time"),
    ]


def worst(findings: Sequence[Finding]) -> State:
    """The gravest state of all."""
    order: tuple[State, ...] = ("ok", "warning", "fault")
    return max((each.state for each in findings), key=order.index, default="ok")


def host_of(address: str) -> str | None:
    """The host in an arm's address, where it names one: "fci://10.0.0.2" has "10.0.0.2"."""
    scheme, _, rest = address.partition(":")
    if scheme not in ("fci", "franky", "panda"):
        return None
    return rest.removeprefix("//").partition("/")[0] or None


def supported() -> bool:
    """Real arms are driven from Linux."""
    return sys.platform == "linux"
