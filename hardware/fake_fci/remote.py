"""A fake arm asked from another process: lines of JSON over TCP, one request and one answer a line.

Requests: {"do": "state"}, {"do": "reset", "seed": 3}, {"do": "success"}, {"do": "inject", "fault": {"kind": "stall"}}.
Answers: {"ok": ...}, or {"error": "what was wrong"}. It is for test harnesses and has no guard but its address, which
is why it listens on the loopback only.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import socket
import socketserver
import threading
from collections.abc import Iterator
from typing import Any, cast

from hardware.fake_fci.faults import Fault, parse
from hardware.fake_fci.server import FakeArm
from robot_learn.errors import UserError, unknown

PORT = 1339
_REQUESTS = ("state", "reset", "success", "inject")


def answer(arm: FakeArm, line: str) -> dict[str, Any]:
    """What to say to one request."""
    try:
        request = json.loads(line)
        if not isinstance(request, dict) or request.get("do") not in _REQUESTS:
            raise unknown("request", str(request.get("do") if isinstance(request, dict) else request), _REQUESTS)
        return {"ok": _do(arm, request)}
    except UserError as error:
        return {"error": str(error)}
    except ValueError as error:
        return {"error": f"wanted a line of JSON: {error}"}


def _do(arm: FakeArm, request: dict[str, Any]) -> Any:
    if request["do"] == "state":
        return arm.state()
    if request["do"] == "success":
        return arm.succeeded()
    if request["do"] == "reset":
        seed = request.get("seed", 0)
        if not isinstance(seed, int) or seed < 0:
            raise UserError(f"reset: wanted a seed of 0 or more, came {seed!r}")
        arm.reset(seed)
    else:
        arm.inject(parse(request.get("fault")))
    return None


class _Lines(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        for line in self.rfile:
            told = answer(cast(_Server, self.server).arm, line.decode("utf-8", "replace"))
            self.wfile.write((json.dumps(told) + "\n").encode())


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address, daemon_threads = True, True

    def __init__(self, arm: FakeArm) -> None:
        self.arm = arm
        super().__init__((arm.address, PORT), _Lines)


@contextlib.contextmanager
def listening(arm: FakeArm) -> Iterator[None]:
    """Answer such requests while the block runs.

    Raises:
        UserError: the arm is not on the loopback, or the port is taken.
    """
    if not ipaddress.ip_address(socket.gethostbyname(arm.address)).is_loopback:
        raise UserError(f"fake arm: requests are answered on the loopback only, and {arm.address} is not on it")
    try:
        server = _Server(arm)
    except OSError as error:
        raise UserError(f"fake arm: cannot listen on {arm.address}, port {PORT}: {error.strerror}") from None
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


class Remote:
    """A fake arm in another process; see `FakeArm` for what the methods do."""

    def __init__(self, host: str, timeout: float = 10.0) -> None:
        self.address = host
        self._socket = socket.create_connection((host, PORT), timeout)
        self._lines = self._socket.makefile("r", encoding="utf-8")

    def _ask(self, **request: Any) -> Any:
        self._socket.sendall((json.dumps(request) + "\n").encode())
        line = self._lines.readline()
        if not line:
            raise UserError(f"fake arm at {self.address}: it is gone")
        told = json.loads(line)
        if "error" in told:
            raise UserError(f"fake arm at {self.address}: {told['error']}")
        return told["ok"]

    def reset(self, seed: int = 0) -> None:
        self._ask(do="reset", seed=seed)

    def succeeded(self) -> bool:
        return bool(self._ask(do="success"))

    def inject(self, fault: Fault) -> None:
        self._ask(do="inject", fault=vars(fault))

    def state(self) -> dict[str, Any]:
        return dict(self._ask(do="state"))

    def close(self) -> None:
        self._lines.close()
        self._socket.close()

    def __enter__(self) -> Remote:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()
