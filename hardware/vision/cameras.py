"""Where pictures come from: a camera on this machine, a folder of pictures, or a simulator."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from robot_learn.errors import UserError

Clock = Callable[[], float]  # [s]
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")


class VideoCamera:
    """A camera that OpenCV can open: a number, a device, a stream's address or a film.

    A thread takes every picture as it comes, for drivers keep a few back: whoever reads gets the newest one.

    Args:
        delay: [s] between the moment that a picture shows and its arrival: exposure, readout, transfer. Measure it by
            filming a clock on a screen beside one that the program draws.

    Raises:
        UserError: it cannot be opened, or gives no picture within `patience` [s].
    """

    def __init__(
        self,
        source: int | str,
        *,
        width: int = 640,
        height: int = 480,
        fps: float = 30.0,
        delay: float = 0.0,
        clock: Clock = time.monotonic,
        patience: float = 5.0,
    ) -> None:
        self._capture = cv2.VideoCapture(source)
        if not self._capture.isOpened():
            raise UserError(f"camera {source}: cannot be opened; is it plugged in, and used by nobody else?")
        for setting, value in (
            (cv2.CAP_PROP_FRAME_WIDTH, width),
            (cv2.CAP_PROP_FRAME_HEIGHT, height),
            (cv2.CAP_PROP_FPS, fps),
            (cv2.CAP_PROP_BUFFERSIZE, 1),
        ):
            self._capture.set(setting, value)
        self._delay, self._clock = delay, clock
        self._newest: tuple[np.ndarray, float] | None = None
        self._changed, self._stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._take, name="camera", daemon=True)
        self._thread.start()
        if not self._changed.wait(patience):
            self.close()
            raise UserError(f"camera {source}: no picture within {patience:g} s")

    def _take(self) -> None:
        while not self._stop.is_set():
            came, picture = self._capture.read()
            if not came:  # a film is over, a camera pulled out: the last picture grows old
                return
            self._newest = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), self._clock() - self._delay
            self._changed.set()

    def read(self) -> tuple[np.ndarray, float]:
        assert self._newest is not None
        return self._newest

    def close(self) -> None:
        self._stop.set()
        self._thread.join(timeout=2.0)
        self._capture.release()

    def __enter__(self) -> VideoCamera:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()


class FolderCamera:
    """The pictures of a folder, by name, taken `period` [s] apart; at the end the last one stays, and grows old.

    Args:
        clock: by which they pass from the first reading on; without one, each reading gives the next, from time 0.

    Raises:
        UserError: there is no picture, or one cannot be read.
    """

    def __init__(self, folder: Path, period: float = 1 / 30, clock: Clock | None = None) -> None:
        found = sorted(folder.iterdir()) if folder.is_dir() else []
        self._paths = [path for path in found if path.suffix.lower() in SUFFIXES]
        if not self._paths:
            raise UserError(f"{folder}: wanted a folder with pictures ({', '.join(SUFFIXES)}), came none")
        self._period, self._clock = period, clock
        self._next, self._begun = 0, 0.0

    def __len__(self) -> int:
        return len(self._paths)

    def read(self) -> tuple[np.ndarray, float]:
        """
        Raises:
            UserError: the picture cannot be read.
        """
        if self._clock is not None:
            self._begun = self._clock() if self._next == 0 else self._begun
            self._next = max(self._next, 1 + int((self._clock() - self._begun) / self._period + 1e-6))
        else:
            self._next += 1
        number = min(self._next, len(self._paths)) - 1
        picture = cv2.imread(str(self._paths[number]), cv2.IMREAD_COLOR)
        if picture is None:
            raise UserError(f"{self._paths[number]}: is no picture that can be read")
        return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), self._begun + number * self._period

    def close(self) -> None:
        pass

    def __enter__(self) -> FolderCamera:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()


class RenderedCamera:
    """A simulator's camera: a function that draws and a clock, both given; draws no more often than a camera would.

    Args:
        render: the picture (height, width, 3) uint8 as the world is now.
        clock: the simulated time [s].
        period: [s] between two pictures.
        delay: [s] by which a picture is late, as a real one is: it shows the world as it was that long before.
    """

    def __init__(
        self, render: Callable[[], np.ndarray], clock: Clock, *, period: float = 1 / 30, delay: float = 0.0
    ) -> None:
        self._render, self._clock, self._period, self._delay = render, clock, period, delay
        self._taken: list[tuple[np.ndarray, float]] = []

    def read(self) -> tuple[np.ndarray, float]:
        now = self._clock()
        last = self._taken[-1][1] if self._taken else -np.inf
        if now < last:  # the world was reset
            self._taken.clear()
        if not self._taken or now - last >= self._period - 1e-9:
            self._taken.append((self._render(), now))
        while len(self._taken) > 1 and self._taken[1][1] <= now - self._delay + 1e-9:
            del self._taken[0]
        return self._taken[0]

    def forget(self) -> None:
        """The world was put elsewhere: older pictures show another one."""
        self._taken.clear()

    def close(self) -> None:
        self._taken.clear()

    def __enter__(self) -> RenderedCamera:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()
