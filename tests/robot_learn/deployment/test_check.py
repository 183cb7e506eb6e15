"""What `deploy --check` finds, and that each finding can be otherwise."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from hardware.arm import ArmError
from robot_learn.deployment import check, echo
from tests.robot_learn.deployment.conftest import Stage


def system(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_a_real_time_kernel_is_told_by_its_file(tmp_path: Path) -> None:
    assert check.kernel(tmp_path).state == "warning"
    assert check.kernel(system(tmp_path, sys__kernel__realtime="1\n")).state == "ok"
    assert check.kernel(system(tmp_path, sys__kernel__realtime="0\n")).state == "warning"


def test_processors_that_save_power_are_told(tmp_path: Path) -> None:
    assert check.governor(tmp_path).state == "ok"
    where = "sys__devices__system__cpu__cpu{}__cpufreq__scaling_governor"
    system(tmp_path, **{where.format(0): "performance\n"})
    assert check.governor(tmp_path).state == "ok"
    found = check.governor(system(tmp_path, **{where.format(1): "powersave\n"}))
    assert (found.state, "cpupower" in found.advice) == ("warning", True)


def test_room_is_that_of_the_folder_that_will_be_made(tmp_path: Path) -> None:
    found = check.space(tmp_path / "not" / "yet")
    assert str(tmp_path) in found.found
    assert "GB free" in found.found


def test_clients_are_told_by_version() -> None:
    (none,) = check.clients(["no-such-package"])
    assert (none.state, "pip install" in none.advice) == ("warning", True)
    (some,) = check.clients(["no-such-package", "numpy"])
    assert (some.state, some.found) == ("ok", f"numpy {np.__version__}")


def test_the_whole_table_has_every_line(tmp_path: Path) -> None:
    names = [each.name for each in check.computer(tmp_path)]
    assert names == ["kernel", "priority", "processors", "load", "clock", "disk", "clients"]


@contextmanager
def listening() -> Iterator[int]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(8)
        yield server.getsockname()[1]


def test_an_open_port_answers_and_a_closed_one_has_advice() -> None:
    with listening() as port:
        assert check._port("127.0.0.1", port).state == "ok"
    assert check._port("127.0.0.1", port).state == "warning"
    assert "activate FCI" in check._port("127.0.0.1", 1337).advice or check._port("127.0.0.1", 1337).state == "ok"


def test_the_loopback_is_its_own_interface_and_takes_large_packets() -> None:
    assert check.interface("127.0.0.1") == "lo"
    assert check._packets("127.0.0.1").state == "ok"


def test_an_address_that_is_none_is_a_fault() -> None:
    (found,) = check.network("no such host")
    assert found.state == "fault"


def test_connections_are_timed_and_a_refusal_is_an_answer() -> None:
    with listening() as port:
        told = echo.connect_times("127.0.0.1", port, count=3)
    assert (told.sent, len(told.times), told.lost) == (3, 3, 0.0)
    assert len(echo.connect_times("127.0.0.1", port, count=3).times) == 3


@pytest.mark.skipif(echo._socket() is None, reason="this user may send no ICMP")
def test_echoes_come_back_from_the_loopback() -> None:
    told = echo.ping("127.0.0.1", count=50)
    assert told is not None
    assert (told.kind, told.sent, len(told.times), told.lost) == ("icmp", 50, 50, 0.0)
    assert 0 < max(told.times) < 0.5


def test_echoes_of_others_are_not_ours() -> None:
    """A raw socket hears all; only what carries the mark counts."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        mark = b"12345678"
        reply = echo._HEADER.pack(0, 0, 0, 1, 0)
        theirs.send(reply + b"87654321")
        theirs.send(b"\x45" + b"\0" * 19 + reply + mark)  # with an IP header, as raw sockets give it
        theirs.send(echo._HEADER.pack(8, 0, 0, 1, 0) + mark)  # a request
        found = echo._answers(ours, mark, [time.monotonic()], time.monotonic() + 0.2)
    assert len(found) == 1


def test_the_checksum_of_a_packet_makes_its_sum_vanish() -> None:
    rng = np.random.default_rng(0)
    for size in (8, 9, 1208):
        packet = rng.bytes(size)
        even = packet + b"\0" * (size % 2)
        assert echo.checksum(even + echo.checksum(packet).to_bytes(2, "big")) == 0
    assert echo.checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0x220D  # RFC 1071, section 3


def test_a_network_that_loses_packets_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    for times, sent, state in (
        ((2e-4,) * 100, 100, "ok"),
        ((2e-4,) * 99, 100, "warning"),
        ((2e-4,) * 90, 100, "fault"),
    ):
        told = echo.Echoes(sent, times, "icmp")
        monkeypatch.setattr(echo, "ping", lambda host, count, told=told: told)
        assert check._echoes("127.0.0.1", 1337, 100).state == state
    monkeypatch.setattr(echo, "ping", lambda host, count: echo.Echoes(10, (), "icmp"))
    assert check._echoes("127.0.0.1", 1337, 100).state == "fault"


def test_an_arm_tells_versions_and_state_and_nothing_moves(reach: Stage) -> None:
    found = {each.name: each for each in check.arm(lambda: reach.arm)}
    assert found["state"].state == "ok"
    assert found["arm"].found == "fr3 at test:"
    assert not reach.arm.commands
    reach.arm.state, reach.arm.errors = "reflex", ("joint_reflex",)
    found = {each.name: each for each in check.arm(lambda: reach.arm)}
    assert (found["state"].state, found["state"].found) == ("warning", "reflex, joint_reflex")


def test_an_arm_that_cannot_be_reached_is_a_fault_with_advice() -> None:
    def connect() -> object:
        raise ArmError("no answer", advice="switch it on")

    (found,) = check.arm(connect)
    assert (found.state, found.advice) == ("fault", "switch it on")


def test_the_gravest_finding_counts() -> None:
    kinds = [check.Finding("a", "ok", ""), check.Finding("b", "warning", ""), check.Finding("c", "fault", "")]
    assert [check.worst(kinds[:n]) for n in range(4)] == ["ok", "ok", "warning", "fault"]


def test_hosts_are_those_of_real_arms() -> None:
    assert check.host_of("fci://10.0.0.2") == "10.0.0.2"
    assert check.host_of("franky://[::1]/x") == "[::1]"
    assert check.host_of("mujoco:fr3") is None
