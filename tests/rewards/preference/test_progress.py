"""Progress values: what is shown, how replies are read, and what follows from them. Replies are stand-ins."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest

from rewards.models import Reply, Request
from rewards.preference.progress import (
    ProgressValues,
    ask_progress,
    detected_success,
    imitation_weights,
    read_percents,
    spread,
    value_order_correlation,
    worth_learning_from,
)
from rewards.preference.replies import UnreadableError
from rewards.preference.sheets import Look
from robot_learn.errors import UserError

FRAMES = 41
# A white bar that grows from left to right: the time of a picture can be measured in it.
PICTURES = np.zeros((FRAMES, 32, 48, 3), dtype=np.uint8)
for _frame in range(FRAMES):
    PICTURES[_frame, :, : 4 + _frame] = 255


class StandIn:
    """Measures the bar in each picture that it is shown, and replies with what `said` makes of it."""

    spec = "stand-in"

    def __init__(self, *said: Callable[[np.ndarray], str]) -> None:
        self.said = list(said)
        self.requests: list[Request] = []

    def complete(self, request: Request) -> Reply:
        import cv2

        self.requests.append(request)
        files = [np.frombuffer(image, np.uint8) for image in request.messages[0].images]
        bars = [np.mean(np.asarray(cv2.imdecode(file, cv2.IMREAD_COLOR)) > 127) for file in files]
        reply = self.said[min(len(self.requests), len(self.said)) - 1](np.array(bars))
        return Reply(reply, "stand-in", "2026-01-01", "stand-in")


def lines(percents: np.ndarray) -> str:
    """One line of JSON for each picture but the first."""
    return "\n".join(
        json.dumps({"picture": number, "shows": "a bar", "percent": float(percent)})
        for number, percent in enumerate(percents, start=1)
        if number > 1
    )


def perfect(bars: np.ndarray) -> str:
    return lines(100 * (bars - bars[0]) / (bars.max() - bars[0]))


def backwards(bars: np.ndarray) -> str:
    return lines(100 * (1 - (bars - bars[0]) / (bars.max() - bars[0])))


def drawn(bars: np.ndarray) -> str:
    return lines(np.random.default_rng(3).uniform(0, 100, len(bars)))


def ask(*said: Callable[[np.ndarray], str], **more: object) -> tuple[ProgressValues, StandIn]:
    client = StandIn(*said)
    return ask_progress(client, "Grow the bar.", PICTURES, look=Look(64), **more), client  # type: ignore[arg-type]


def test_a_perfect_reader_has_voc_1_and_its_values_are_back_in_the_order_of_time() -> None:
    told, _ = ask(perfect)
    assert told.voc == pytest.approx(1.0)
    np.testing.assert_allclose(told.values, told.frames / (FRAMES - 1), atol=0.02)
    np.testing.assert_allclose(told.of_all(FRAMES), np.linspace(0, 1, FRAMES), atol=0.02)


def test_a_reversed_reader_is_near_minus_1_and_a_random_one_near_0() -> None:
    # The start is 0 by definition, so that one of 30 ranks is right even when all others are reversed.
    assert ask(backwards)[0].voc < -0.75
    assert abs(ask(drawn)[0].voc) < 0.4


def test_the_first_picture_is_the_start_and_the_order_of_the_others_tells_nothing() -> None:
    _, client = ask(perfect)
    client.said = [lambda bars: json.dumps(bars.tolist())]
    bars = np.array(json.loads(client.complete(client.requests[0]).text))
    assert bars[0] == bars.min()
    assert len(bars) == 30
    assert abs(value_order_correlation(bars[1:])) < 0.5


def test_a_prompt_is_the_same_to_the_byte_and_another_seed_shows_another_order() -> None:
    hashes = [ask(perfect, seed=seed)[0].prompt_hash for seed in (0, 0, 1)]
    assert hashes[0] == hashes[1] != hashes[2]
    assert ask(perfect)[1].requests[0].temperature == 0.0


def test_a_malformed_reply_is_sent_back_once_with_the_reason() -> None:
    told, client = ask(lambda bars: "they all look nice", perfect)
    assert told.voc == pytest.approx(1.0)
    assert len(client.requests) == 2
    assert "no line of JSON for picture 2, 3" in client.requests[1].messages[-1].text
    assert len(told.usage) == 2
    with pytest.raises(UnreadableError, match="no line of JSON"):
        ask(lambda bars: "no")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"picture": 2, "shows": "x", "percent": 120}', "from 0 to 100"),
        ('{"picture": 1, "shows": "x", "percent": 0}', "from 2 to 3"),
        ('{"picture": 2, "shows": "x", "percent": true}', "from 0 to 100"),
        ('{"picture": 2, "percent": 3}', "wanted the keys"),
        ('{"picture": 2, "shows": "x", "percent": NaN}', "from 0 to 100"),
        ('{"picture": 2', "not JSON"),
        ('{"picture": 2, "shows": "x", "percent": 1}\n' * 2, "more than one line"),
        ('{"picture": 2, "shows": "x", "percent": 1}', "for picture 3"),
    ],
)
def test_a_reply_that_is_not_as_asked_for_is_refused_with_what_is_wrong(text: str, says: str) -> None:
    with pytest.raises(UnreadableError, match=says):
        read_percents(text, 3)


def test_words_around_the_lines_do_not_matter() -> None:
    text = 'Here:\n```\n{"picture": 3, "shows": "x", "percent": 10},\n{"picture": 2, "shows": "y", "percent": 4.5}\n```'
    assert read_percents(text, 3) == [0.0, 4.5, 10.0]


def test_shown_frames_are_spread_from_the_first_to_the_last() -> None:
    assert spread(201)[[0, -1]].tolist() == [0, 200]
    assert len(spread(201)) == 30
    assert spread(5).tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(UserError, match="2 frames or more"):
        spread(1)


def values(*each: float) -> ProgressValues:
    return ProgressValues(np.arange(len(each)) * 10, np.array(each), "", "")


def test_episodes_are_kept_and_successes_detected_by_voc() -> None:
    good, flat, bad = values(0, 0.4, 0.7, 1.0), values(0, 0, 0, 0), values(0.9, 0.6, 0.3, 0)
    assert worth_learning_from([good, flat, bad], 0.5).tolist() == [True, False, False]
    assert flat.voc == 0.0
    assert [detected_success(each) for each in (good, flat, bad)] == [True, False, False]
    assert not detected_success(values(0, 0.1, 0.2, 0.3), final=0.8)


def test_imitation_weights_are_the_exponential_of_the_rise_and_1_without_any() -> None:
    weights = imitation_weights(values(0, 0.5, 0.5, 0.25), 30, 2.0)
    np.testing.assert_allclose(weights[[0, 9, 10, 19, 20, 29]], np.exp([1, 1, 0, 0, -0.5, -0.5]))
    assert imitation_weights(values(0, 0.5), 10, 0.0).tolist() == [1.0] * 10
    with pytest.raises(UserError, match="more than 5 steps"):
        imitation_weights(values(0, 1), 5, 1.0)
