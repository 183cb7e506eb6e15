"""A server with a toy for an activity, and what a page would say to it."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from robot_learn.errors import UserError
from robot_learn.session.activity import Person, Place
from robot_learn.session.scene import Camera, Scene3D
from robot_learn.session.server import Asked, Server
from robot_learn.session.shapes import box


class Toy:
    """Counts lessons in a file, as a learner does."""

    name = "correct"

    def __init__(self, what: str, place: Place) -> None:
        if what == "nothing":
            raise UserError("there is nothing to open")
        place.folder.mkdir(parents=True, exist_ok=True)
        self.file = place.folder / "lessons.jsonl"
        self.scene = Scene3D(Camera((0, 0, 0), 3.0))
        self.scene.put("box", box((1, 1, 1)))
        self.absences: list[float] = []
        self.hands: list[tuple[str, ...]] = []
        self.closed = False

    def state(self) -> dict[str, Any]:
        return {"lessons": self.lessons()}

    def live(self) -> dict[str, Any]:
        return {"gone": len(self.absences)}

    def lessons(self) -> int:
        return len(self.file.read_text().splitlines()) if self.file.exists() else 0

    def do(self, what: str, arguments: dict[str, Any], who: Person) -> dict[str, Any] | None:
        if what == "wrong":
            raise UserError("that was wrong")
        if what == "broken":
            raise ZeroDivisionError("oh")
        if what == "slow":
            time.sleep(0.3)
        with self.file.open("a") as file:
            file.write(json.dumps({"what": what, "who": who.name, "holds": who.holds}) + "\n")
        return {"lesson": self.lessons()}

    def hand(self, held: tuple[str, ...], axes: tuple[float, ...], who: Person, age: float) -> None:
        self.hands.append(held)

    def tick(self, now: float) -> None:
        pass

    def absent(self, seconds: float) -> None:
        self.absences.append(seconds)

    def files(self) -> Mapping[str, Path]:
        return {"lessons": self.file}

    def close(self) -> None:
        self.closed = True


class Running:
    """A server in a thread of its own, and the toys that it opened."""

    def __init__(self, out: Path, **asked: Any) -> None:
        self.toys: list[Toy] = []
        self.server = Server(Asked(out, **asked), self._open)
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self.wait(self.server.start())

    def _open(self, name: str, what: str, place: Place) -> Toy:
        self.toys.append(Toy(what, place))
        return self.toys[-1]

    def wait(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)

    @property
    def address(self) -> str:
        return urlsplit(self.server.url).netloc

    def stop(self) -> None:
        self.wait(self.server.stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)


@contextmanager
def running(out: Path, **asked: Any) -> Iterator[Running]:
    made = Running(out, **asked)
    try:
        yield made
    finally:
        made.stop()


def get(ground: Running, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(ground.address, timeout=10)
    connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    response = connection.getresponse()
    return response.status, dict(response.getheaders()), response.read()


class Page:
    """What a page sends and hears."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.state: dict[str, Any] = {}
        self.beat = 0
        self.items: list[dict[str, Any]] = []

    async def say(self, **told: Any) -> None:
        await self.socket.send_str(json.dumps(told))

    async def hear(self, wanted: Callable[[dict[str, Any]], bool], seconds: float = 10) -> dict[str, Any]:
        """The next frame that is wanted; what comes before it is taken note of."""
        until = time.monotonic() + seconds
        while True:
            message = await self.socket.receive(max(0.01, until - time.monotonic()))
            if message.type is aiohttp.WSMsgType.BINARY:
                length = int.from_bytes(message.data[:4], "little")
                self.items.append(json.loads(message.data[4 : 4 + length]))
                continue
            assert message.type is aiohttp.WSMsgType.TEXT, (message.type, message.data, message.extra)
            told: dict[str, Any] = json.loads(message.data)
            self.state = told.get("state", self.state)
            self.beat = told.get("beat", self.beat)
            if wanted(told):
                return told

    async def act(self, what: str, number: int | str = 1, **arguments: Any) -> dict[str, Any]:
        await self.say(do=what, args=arguments, n=number)
        return await self.hear(lambda told: told.get("done") == number)

    async def alive(self, seconds: float, **hand: Any) -> None:
        """Answer the server's beats for a while."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            await self.hear(lambda told: "beat" in told)
            await self.say(beat=self.beat, **hand)


def pages(
    ground: Running, story: Callable[..., Any], *tabs: str, what: str = "toy", headers: Mapping[str, str] | None = None
) -> Any:
    """Play a story with pages of these tabs."""

    async def play() -> Any:
        async with aiohttp.ClientSession() as client:
            opened = [
                await client.ws_connect(
                    f"http://{ground.address}/socket?activity=correct&what={what}&tab={tab}&person=Ada", headers=headers
                )
                for tab in tabs or ("one",)
            ]
            return await story(*(Page(socket) for socket in opened))

    return asyncio.run(play())
