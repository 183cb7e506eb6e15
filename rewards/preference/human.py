"""A person compares pairs, at a terminal now; everything but the keys and the screen lies in `Interview`.

A page drives the same object: it shows `current`, calls `choose`, `skip`, `undo` or `stop`, and takes what is settled.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from rewards.lettering import png
from rewards.models.messages import image_hash
from rewards.preference.query import Answer, Query
from rewards.preference.sheets import Look, sheet
from robot_learn.errors import UserError

CHOICES = {"1": 0.0, "2": 1.0, "=": 0.5}
SURE = {"1": 0.33, "2": 0.67, "3": 1.0}  # how sure a person is, where that is asked
HELP = "1 the left one   2 the right one   = equal   s skip   u undo   q stop (the same command goes on)"

Video = Callable[[Path, list[np.ndarray], float], None]


@dataclass
class Interview:
    """What a person has said of some queries, as far as it is not settled: the last `held` answers can be taken back.

    Answers come out of `settled` in the order of the queries, and never change after that.
    """

    total: int
    held: int = 3
    position: int = 0  # of the query that is asked
    stopped: bool = False
    _open: list[Answer] = field(default_factory=list)

    @property
    def current(self) -> int | None:
        """The index of the query to show; None when nothing is left to ask."""
        return None if self.stopped or self.position >= self.total else self.position

    def choose(self, label: float, confidence: float = 1.0, images: tuple[str, ...] = ()) -> None:
        """Answer the current query: 0 prefers the first, 1 the second, 0.5 is a tie."""
        self._answer(Answer(label, confidence, images=images))

    def skip(self) -> None:
        """Say nothing about the current query."""
        self._answer(Answer(None))

    def undo(self) -> bool:
        """Go back to the query before; False where its answer is settled."""
        if not self._open:
            return False
        self._open.pop()
        self.position -= 1
        return True

    def stop(self) -> None:
        """Ask no more; what was said is settled."""
        self.stopped = True

    def settled(self) -> list[Answer]:
        """Answers that cannot be taken back any more, each once."""
        keep = self.held if self.current is not None else 0
        count = max(0, len(self._open) - keep)
        done, self._open = self._open[:count], self._open[count:]
        return done

    def _answer(self, answer: Answer) -> None:
        if self.current is None:
            raise UserError("there is no question left to answer")
        self._open.append(answer)
        self.position += 1


@dataclass(frozen=True)
class Human:
    """Asks at a terminal. A pair of pictures becomes a PNG file and a pair of longer segments an mp4, named on screen;
    a terminal with colours shows the pictures, too.
    """

    read_key: Callable[[], str]  # waits for a key; "" when the terminal is gone
    folder: Path  # for what is shown
    say: Callable[[str], None] = lambda text: print(text, file=sys.stderr)
    video: Video | None = None  # (path, frames, frames a second) writes an mp4
    who: str = "human"
    ask_confidence: bool = False
    inline: bool | None = None  # pictures between the lines; None: where the terminal says that it has colours
    fps: float = 10.0
    look: Look = field(default_factory=lambda: Look(size=320))

    @property
    def name(self) -> str:
        return f"human:{self.who}"

    @property
    def batch(self) -> int:
        return 0

    def answers(self, queries: Sequence[Query]) -> Iterator[Answer]:
        """One answer a query, three late, so that they can be taken back; fewer when the person stops.

        Raises:
            UserError: a query has no pictures.
        """
        interview = Interview(len(queries))
        while (index := interview.current) is not None:
            try:
                self._put(interview, queries[index])
            except KeyboardInterrupt:
                interview.stop()
            yield from interview.settled()
        yield from interview.settled()

    def _put(self, interview: Interview, query: Query) -> None:
        """Show a query and act on one key."""
        path, hashes = self._show(query)
        left = f"{interview.position + 1} of {interview.total}"
        self.say(f"\n{left}   {query.instruction}\n{path}\n{HELP}")
        key = self.read_key().lower()
        if key in CHOICES:
            interview.choose(CHOICES[key], self._confidence(), hashes)
        elif key == "s":
            interview.skip()
        elif key == "u":
            if not interview.undo():
                self.say("nothing that could be taken back")
        elif key in ("q", ""):
            interview.stop()
        else:
            self.say(f"no such key: {key!r}")

    def _confidence(self) -> float:
        if not self.ask_confidence:
            return 1.0
        while True:
            self.say("how sure?   1 hardly   2 fairly   3 quite")
            key = self.read_key()
            if key in SURE:
                return SURE[key]
            if key in ("", "q"):
                return 1.0

    def _show(self, query: Query) -> tuple[Path, tuple[str, ...]]:
        """The file that shows a query, and the hashes of its last pictures."""
        if query.pictures is None:
            raise UserError("a person wants pictures, and these segments have none: collect with --images")
        first, second = ([self.look.picture(frame[None]) for frame in segment] for segment in query.pictures)
        hashes = (image_hash(png(first[-1])), image_hash(png(second[-1])))
        frames = [sheet([pair]) for pair in zip(first, second, strict=True)]
        self.folder.mkdir(parents=True, exist_ok=True)
        if len(frames) > 1 and self.video is not None:
            path = self.folder / "pair.mp4"
            self.video(path, frames, self.fps)
        else:
            path = self.folder / "pair.png"
            path.write_bytes(png(frames[-1]))
        inline = bool(os.environ.get("COLORTERM")) and sys.stderr.isatty() if self.inline is None else self.inline
        if inline:
            self.say(blocks(frames[-1], shutil.get_terminal_size().columns))
        return path, hashes


def blocks(picture: np.ndarray, columns: int) -> str:
    """A picture (height, width, 3) as lines of half blocks in 24-bit colour, two rows of pixels a line."""
    width = max(2, min(columns, 160))
    height = max(2, round(picture.shape[0] * width / picture.shape[1]) // 2 * 2)
    small = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    lines = []
    for upper, lower in zip(small[::2], small[1::2], strict=True):
        cells = (
            f"\x1b[38;2;{a[0]};{a[1]};{a[2]}m\x1b[48;2;{b[0]};{b[1]};{b[2]}m▀"
            for a, b in zip(upper, lower, strict=True)
        )
        lines.append("".join(cells) + "\x1b[0m")
    return "\n".join(lines)
