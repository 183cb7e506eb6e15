"""Progress from shuffled frames: generative value learning (GVL; Ma et al., ICLR 2025).

A vision-language model sees some frames of an episode in an order that says nothing about time, only the first one
named as the start, and says of each how much of the task is done. Whether its values rise with time again (VOC, their
rank correlation with it) tells episodes that get on from those that do not, and how far the model can be believed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from rewards.lettering import png
from rewards.models import Client, Message, Request, Usage
from rewards.preference.replies import UnreadableError, read_lines
from rewards.preference.sheets import Look
from robot_learn.errors import UserError

MOST_FRAMES = 30  # that a model is shown at once
SUCCESS_VOC = 0.5  # above it, GVL takes an episode for a success

_PROMPT = """\
A robot tries to do this: {instruction}

There are {count} pictures, all from one attempt and from one camera. Picture 1 is how it began: 0 percent done. Pictures 2 to {count} are from other moments of the same attempt and in random order, so their order says nothing about time. The attempt may have failed: then some moments, or all of them, are not far from the beginning.

For every picture, from 2 to {count}, look at where the robot and the things around it are, and estimate how much of the task is done, from 0 percent (as at the beginning) to 100 percent (completed). Answer with one line of JSON for each picture and nothing else:
{{"picture": 2, "shows": "a few words", "percent": 40}}
"""  # noqa: E501
_REPAIR = "That cannot be used: {error}. Answer again, with one line of JSON for every picture from 2 to {count}."


@dataclass(frozen=True, eq=False)
class ProgressValues:
    """What a model says of K frames of one episode."""

    frames: np.ndarray  # (K,) int64 of the episode, rising, the first one 0
    values: np.ndarray  # (K,) share of the task that is done, 0 to 1; 0 at the start
    prompt_hash: str
    model: str
    usage: tuple[Usage, ...] = ()  # of each call

    @property
    def voc(self) -> float:
        """Value-order correlation, -1 to 1."""
        return value_order_correlation(self.values)

    def of_all(self, count: int) -> np.ndarray:
        """(count,) values of all frames of the episode, those between two that were shown on a line."""
        return np.asarray(np.interp(np.arange(count), self.frames, self.values))


def value_order_correlation(values: np.ndarray) -> float:
    """Rank correlation of values in the order of time with time; 0 where all are the same, which tells nothing."""
    values = np.asarray(values, dtype=np.float64)
    if len(values) < 2 or np.ptp(values) == 0:
        return 0.0
    return float(spearmanr(values, np.arange(len(values)))[0])


def spread(count: int, most: int = MOST_FRAMES) -> np.ndarray:
    """(K,) at most `most` of `count` frames, evenly from the first to the last."""
    if count < 2 or most < 2:
        raise UserError(f"progress wants an episode of 2 frames or more and to show 2 or more, came {count} and {most}")
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))


def ask_progress(
    client: Client,
    instruction: str,
    pictures: Any,
    *,
    seed: int = 0,
    most: int = MOST_FRAMES,
    look: Look | None = None,
    repairs: int = 1,
    label: str = "",
) -> ProgressValues:
    """Have a model say how far an episode is in each of some frames.

    Args:
        pictures: (T + 1, height, width, 3) uint8 of the episode's frames; may lie on disk.
        seed: of the order in which they are shown; the same one gives the same prompt, to the byte.
        most: frames that are shown.
        look: size and crop of each picture.
        repairs: how often a reply that cannot be read is sent back with the reason.

    Raises:
        UnreadableError: no reply could be read.
        UserError: the client has no reply, or these are no pictures.
    """
    frames = spread(len(pictures), most)
    order = np.concatenate([[0], 1 + np.random.default_rng([seed, len(frames)]).permutation(len(frames) - 1)])
    shown = look or Look()
    images = tuple(png(shown.picture(np.asarray(pictures[int(frame)])[None])) for frame in frames[order])
    prompt = _PROMPT.format(instruction=instruction, count=len(frames))
    messages: tuple[Message, ...] = (Message("user", prompt, images),)
    usage: list[Usage] = []
    for refused in range(repairs + 1):
        request = Request(messages, label, temperature=0.0, refused=refused)
        reply = client.complete(request)
        usage.append(reply.usage)
        try:
            percents = read_percents(reply.text, len(frames))
        except UnreadableError as error:
            if refused == repairs:
                raise
            said = Message("assistant", reply.text if reply.text.strip() else "(empty reply)")
            messages += (said, Message("user", _REPAIR.format(error=error, count=len(frames))))
            continue
        values = np.zeros(len(frames))
        values[order] = np.asarray(percents) / 100.0
        return ProgressValues(frames, values, request.prompt_hash, reply.model, tuple(usage))
    raise AssertionError("unreachable")


def read_percents(text: str, count: int) -> list[float]:
    """The percentages of pictures 1 to `count` in a reply; picture 1 has 0 and is not asked for.

    Raises:
        UnreadableError: a line is not as it was asked for, or a picture has none or several.
    """
    found = {1: 0.0} | read_lines(text, range(2, count + 1), "picture", lambda line: _percent(line, count))
    return [found[picture] for picture in range(1, count + 1)]


def _percent(line: str, count: int) -> tuple[int, float]:
    try:
        entry: Any = json.loads(line)
    except ValueError as error:
        raise UnreadableError(f"this line is not JSON ({error}): {line[:120]}") from error
    if not isinstance(entry, dict) or set(entry) != {"picture", "shows", "percent"}:
        raise UnreadableError(f'wanted the keys "picture", "shows" and "percent" and no others, came: {line[:120]}')
    picture, percent = entry["picture"], entry["percent"]
    if not isinstance(picture, int) or isinstance(picture, bool) or not 2 <= picture <= count:
        raise UnreadableError(f'"picture" is a whole number from 2 to {count}, came: {line[:120]}')
    if not isinstance(percent, int | float) or isinstance(percent, bool) or not 0 <= percent <= 100:
        raise UnreadableError(f'"percent" is a number from 0 to 100, came: {line[:120]}')
    return picture, float(percent)


def worth_learning_from(episodes: Sequence[ProgressValues], least_voc: float) -> np.ndarray:
    """(E,) bool: episodes whose values rise with time at least so clearly."""
    return np.array([episode.voc >= least_voc for episode in episodes])


def detected_success(episode: ProgressValues, *, voc: float = SUCCESS_VOC, final: float = 0.0) -> bool:
    """GVL's rule, VOC above a threshold; with `final`, the last value must be at least that, too."""
    return bool(episode.voc > voc and episode.values[-1] >= final)


def imitation_weights(episode: ProgressValues, steps: int, inverse_temperature: float) -> np.ndarray:
    """(steps,) exp(tau (v_{k+1} - v_k)) of the steps of an episode: imitate more what gets on (GVL, section 4).

    Values rise by whole stretches between two frames that were shown, K - 1 of them; so that tau means the same for
    episodes of all lengths, a step's rise is that of its whole stretch.
    """
    if steps < int(episode.frames[-1]):
        raise UserError(f"progress: an episode with a frame {episode.frames[-1]} has more than {steps} steps")
    rises = np.diff(episode.values)
    stretch = np.searchsorted(episode.frames, np.arange(steps), side="right") - 1
    return np.exp(inverse_temperature * rises[np.minimum(stretch, len(rises) - 1)])
