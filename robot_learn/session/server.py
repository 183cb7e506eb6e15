"""The server: one port for the page, its files and one socket a tab; what happens is in `room.py` and `work.py`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from aiohttp import WSMsgType, web

from robot_learn import session
from robot_learn.errors import UserError
from robot_learn.session.activity import Act, Activity, Person, Place
from robot_learn.session.gate import HEADERS, TOKEN, Gate, is_loopback
from robot_learn.session.room import Frames, Room, Tab
from robot_learn.session.store import Store
from robot_learn.session.work import Answer, Work

PAGE = Path(__file__).parent / "page"
LONGEST = 256 * 1024  # bytes of a frame from a page: a sentence, a program, never more
BEAT_EVERY = 0.05  # [s]
SILENT = 20.0  # [s] after which a tab without a beat is let go
BUSY = 64  # acts of one tab that wait for their turn
FOLDER = "session"  # in the folder of runs


@dataclass(frozen=True)
class Asked:
    """What the command asked for."""

    out: Path
    host: str = "127.0.0.1"
    port: int = 0
    guarded: bool = False  # a token on loopback, too
    first: tuple[str, str] | None = None  # the activity that the printed address leads to
    options: dict[str, str] = field(default_factory=dict)


class Server:
    """Serves until it is told to stop; `open_activity` may be another one in tests."""

    def __init__(self, asked: Asked, open_activity: Callable[[str, str, Place], Activity] | None = None) -> None:
        self.asked = asked
        self._open = open_activity or session.open_activity
        self.rooms: dict[tuple[str, str], Room] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self.work = Work(self._opened, lambda: Store(asked.out / FOLDER), self._publish)
        self.gate = Gate("", "")
        self.url = ""

    async def start(self) -> None:
        """Listen.

        Raises:
            UserError: the address cannot be listened on.
        """
        self._loop = asyncio.get_running_loop()
        is_loopback(self.asked.host)  # or an error that says what is wanted
        app = web.Application(middlewares=[_gated(self)], client_max_size=LONGEST)
        app.on_response_prepare.append(_with_headers)
        app.router.add_get("/", _index)
        app.router.add_get("/socket", self._socket)
        app.router.add_get("/home", self._home)
        app.router.add_get("/files/{activity}/{name:.+}", self._file)
        app.router.add_static("/page", PAGE)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.asked.host, self.asked.port)
        try:
            await site.start()
        except OSError as error:
            raise UserError(f"cannot listen on {self.asked.host}:{self.asked.port}: {error.strerror}") from error
        port = self._runner.addresses[0][1]
        self.gate = Gate.of(self.asked.host, port, guarded=self.asked.guarded)
        self.url = self._address(port)
        self.work.start()

    async def stop(self) -> None:
        for room in self.rooms.values():
            for tab in list(room.tabs.values()):
                tab.must(json.dumps({"bye": "the server has been stopped"}))
        await asyncio.sleep(0.05)
        await asyncio.get_running_loop().run_in_executor(None, self.work.end)
        await self._runner.cleanup()

    def _address(self, port: int) -> str:
        host = "127.0.0.1" if self.asked.host in ("0.0.0.0", "::") else self.asked.host
        query = {} if self.asked.first is None else dict(zip(("activity", "what"), self.asked.first, strict=True))
        query |= {TOKEN: self.gate.token} if self.gate.token else {}
        shown = f"[{host}]" if ":" in host else host
        return f"http://{shown}:{port}/" + (f"?{urlencode(query)}" if query else "")

    def place(self, key: tuple[str, str]) -> Place:
        name = quote(key[1], safe="").replace("%", "_") or "_"
        return Place(self.asked.out / FOLDER / f"{key[0]}-{name[:120]}", self.asked.out, self.asked.options)

    # --- From the work thread.

    def _opened(self, key: tuple[str, str]) -> Activity:
        return self._open(*key, self.place(key))

    def _publish(self, room: Room, frames: Frames) -> None:
        if self._loop is not None and frames != Frames():
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(room.show, frames)

    # --- Requests.

    async def _home(self, request: web.Request) -> web.Response:
        """What each activity can be opened with, as JSON."""
        found = await asyncio.to_thread(self._offers)
        return web.json_response(found)

    def _offers(self) -> list[dict[str, Any]]:
        told = []
        for name in session.ACTIVITIES:
            try:
                offers: Sequence[Any] = session.offers(name, self.place((name, "")))
                told.append({"activity": name, "offers": [vars(offer) for offer in offers]})
            except UserError as error:
                told.append({"activity": name, "offers": [], "missing": str(error)})
        return told

    async def _file(self, request: web.Request) -> web.StreamResponse:
        """A file of an activity, parts of it where the page asks for a range."""
        room = self.rooms.get((request.match_info["activity"], request.query.get("what", "")))
        files = room.activity.files() if room is not None and room.activity is not None else {}
        path = files.get(request.match_info["name"])
        if path is None or not path.is_file():
            raise web.HTTPNotFound(text="there is no such file\n")
        return web.FileResponse(path)

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(max_msg_size=LONGEST, heartbeat=10.0, compress=False)
        await socket.prepare(request)
        query = request.query
        if query.get("activity") not in session.ACTIVITIES:
            await socket.close(code=4004, message=b"no such activity")
            return socket
        room = self._room((query["activity"], query.get("what", "")))
        tab = Tab(query.get("tab", "")[:64], query.get("person", "")[:64], seen=time.monotonic())
        room.enter(tab)
        tasks = [asyncio.ensure_future(part) for part in (_send(socket, tab), _beats(socket, tab))]
        try:
            await self._listen(socket, room, tab)
        finally:
            room.leave(tab)
            for task in tasks:
                task.cancel()
        return socket

    def _room(self, key: tuple[str, str]) -> Room:
        """The room of an activity, opened where it is not yet, or anew where that had gone wrong."""
        room = self.rooms.get(key)
        if room is None or room.fault:
            room = self.rooms[key] = Room(key)
            self.work.add(room)
        return room

    async def _listen(self, socket: web.WebSocketResponse, room: Room, tab: Tab) -> None:
        waiting: set[Future[Answer]] = set()
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                break
            try:
                self._hear(json.loads(message.data), room, tab, waiting)
            except (ValueError, TypeError, RecursionError) as error:
                await socket.close(code=4000, message=str(error).encode()[:120])
                return

    def _hear(self, told: Any, room: Room, tab: Tab, waiting: set[Future[Answer]]) -> None:
        """One frame of a page.

        Raises:
            ValueError: it is none of ours.
        """
        if not isinstance(told, dict):
            raise ValueError("wanted an object")
        if "beat" in told:
            held, axes, heard = told.get("held", []), told.get("axes", []), told["beat"]
            if not _names(held) or not _numbers(axes) or not isinstance(heard, int):
                raise ValueError("a beat wants a whole number, names of keys and numbers")
            tab.seen = time.monotonic()
            room.beat(tab, heard, tuple(held), tuple(float(axis) for axis in axes))
        elif "do" in told:
            self._act(told, room, tab, waiting)
        elif "hold" in told:
            room.hold(tab)
        elif "person" in told:
            tab.person = str(told["person"])[:64]
        elif "timing" in told:
            name, ms = told["timing"], told.get("ms")
            if not isinstance(name, str) or len(name) > 32 or not isinstance(ms, int | float) or not 0 <= ms < 1e6:
                raise ValueError("a timing wants a name and milliseconds")
            self.work.timing(room, name, ms / 1000)
        else:
            raise ValueError("wanted do, beat, hold, person or timing")

    def _act(self, told: dict[str, Any], room: Room, tab: Tab, waiting: set[Future[Answer]]) -> None:
        what, arguments, number = told["do"], told.get("args", {}), told.get("n")
        if not isinstance(what, str) or not isinstance(arguments, dict) or not isinstance(number, int | str):
            raise ValueError("an act wants a name, arguments and a number")
        if len(waiting) >= BUSY:
            raise ValueError("too many acts at once")
        who: Person = room.person(tab)
        future = self.work.do(room, Act(f"{tab.name}:{number}", what, arguments, who, time.monotonic()))
        waiting.add(future)
        assert self._loop is not None
        loop = self._loop

        def answered(done: Future[Answer]) -> None:
            error = done.exception()
            what_came = {"error": str(error)} if error is not None else {"answer": done.result()}
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(acknowledge, json.dumps({"done": number, **what_came}))

        def acknowledge(text: str) -> None:
            waiting.discard(future)
            tab.must(text)

        future.add_done_callback(answered)


async def _index(request: web.Request) -> web.StreamResponse:
    return web.FileResponse(PAGE / "index.html")


async def _with_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)


def _gated(server: Server) -> Any:
    @web.middleware
    async def gated(request: web.Request, handler: Any) -> web.StreamResponse:
        return await server.gate(request, handler)

    return gated


async def _send(socket: web.WebSocketResponse, tab: Tab) -> None:
    """Everything for a tab, as fast as it takes it."""
    with contextlib.suppress(ConnectionError):
        while not socket.closed:
            await tab.awake.wait()
            for frame in tab.take():
                await (socket.send_bytes(frame) if isinstance(frame, bytes) else socket.send_str(frame))


async def _beats(socket: web.WebSocketResponse, tab: Tab) -> None:
    """Our beats, which the page's answer; a tab that has been silent for long is let go."""
    count = 0
    while not socket.closed:
        count += 1
        tab.sent_beats.append((count, time.monotonic()))
        tab.newest("beat", f'{{"beat": {count}}}')
        if time.monotonic() - tab.seen > SILENT:
            await socket.close(code=4008, message=b"no beat came")
        await asyncio.sleep(BEAT_EVERY)


def _names(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= 32 and all(isinstance(v, str) and len(v) <= 32 for v in value)


def _numbers(value: Any) -> bool:
    plain = isinstance(value, list) and len(value) <= 16
    return plain and all(isinstance(v, int | float) and not isinstance(v, bool) and -1 <= v <= 1 for v in value)


def serve(asked: Asked, say: Callable[[str], None]) -> None:
    """Serve until Ctrl-C.

    Raises:
        UserError: the address cannot be listened on.
    """
    asyncio.run(_serve(asked, say))


async def _serve(asked: Asked, say: Callable[[str], None]) -> None:
    import signal

    from threadpoolctl import threadpool_limits

    threadpool_limits(
        limits=1, user_api="blas"
    )  # small matrices: threads that wait for each other take the robot's time
    server = Server(asked)
    await server.start()
    say(server.url)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, partial(stop.set))
    await stop.wait()
    await server.stop()
