"""A server on the loopback that speaks both chat protocols and does what a script tells it, one line per request."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "sk-loopback-0123456789"


@dataclass(frozen=True)
class Step:
    """What the server does with one request."""

    status: int = 200
    text: str = ""  # the model's reply, in the protocol that was asked in
    body: bytes | None = None  # sent instead, as it is
    headers: Mapping[str, str] = field(default_factory=dict)
    hang_s: float = 0.0  # silence before anything is sent
    cut_after: int | None = None  # bytes of the body that are sent before the connection is closed


@dataclass
class Loopback:
    """The server's script and what was asked of it. The last step is repeated for ever."""

    steps: list[Step]
    address: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)  # [s], of arrival
    closing: threading.Event = field(default_factory=threading.Event)

    def next_step(self) -> Step:
        return self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]


def chat_body(path: str, text: str) -> dict[str, Any]:
    """A good answer of the protocol that the path belongs to."""
    if path.endswith("/chat/completions"):
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
        usage = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
        common = {"id": "1", "object": "chat.completion", "created": 0, "model": "loop-1"}
        return {**common, "choices": [choice], "usage": usage}
    content = [{"type": "text", "text": text}]
    usage = {"input_tokens": 11, "output_tokens": 7}
    common = {"id": "1", "type": "message", "role": "assistant", "model": "loop-1", "stop_sequence": None}
    return {**common, "content": content, "stop_reason": "end_turn", "usage": usage}


@contextmanager
def serve(*steps: Step) -> Iterator[Loopback]:
    """Run the script on a free port of 127.0.0.1; `address` is its base URL without the path."""
    loopback = Loopback(list(steps))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            loopback.times.append(time.monotonic())
            loopback.requests.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            loopback.headers.append({name.lower(): value for name, value in self.headers.items()})
            step = loopback.next_step()
            loopback.closing.wait(step.hang_s)
            body = json.dumps(chat_body(self.path, step.text)).encode() if step.body is None else step.body
            self.send_response(step.status)
            for name, value in {"content-type": "application/json", **step.headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: step.cut_after])
            self.close_connection = step.cut_after is not None

        def handle(self) -> None:
            try:
                super().handle()
            except OSError:  # the client gave up, as some tests want it to
                self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    loopback.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield loopback
    finally:
        loopback.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()
