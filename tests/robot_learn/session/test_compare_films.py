"""Films of segments: what they show, and at which pace."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from robot_learn.data.store import load, save
from robot_learn.session.compare.films import film_maker, write_film
from robot_learn.types import Segment
from tests.robot_learn.preferences import squares

NAME = "toy/squares"


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    save(squares.dataset(episodes=3, steps=24), NAME, tmp_path / "data")
    return tmp_path / "data"


def test_a_film_shows_the_segment_at_the_robots_pace(tmp_path: Path, stored: Path) -> None:
    make = film_maker(NAME, str(stored), tmp_path, 96, False)
    (name,) = make([Segment(2, 3, 12)])
    film = cv2.VideoCapture(str(tmp_path / name))
    assert (film.get(cv2.CAP_PROP_FRAME_COUNT), film.get(cv2.CAP_PROP_FRAME_WIDTH)) == (12, 96)
    assert film.get(cv2.CAP_PROP_FPS) == pytest.approx(10.0)
    frames = [film.read()[1] for _ in range(12)]
    dataset = load(NAME, stored)
    for frame, number in zip(frames, dataset.frames_of(Segment(2, 3, 12)), strict=True):
        wanted = cv2.resize(np.asarray(dataset.images)[number], (96, 96), interpolation=cv2.INTER_LINEAR)
        assert np.abs(frame[..., ::-1].astype(int) - wanted).mean() < 12


def test_a_film_of_many_short_steps_leaves_some_out_but_never_the_last(tmp_path: Path) -> None:
    pictures = np.stack([np.full((32, 32, 3), value, dtype=np.uint8) for value in np.linspace(0, 250, 98)])
    write_film(tmp_path / "film.mp4", pictures, 0.0125, 64)
    film = cv2.VideoCapture(str(tmp_path / "film.mp4"))
    count = int(film.get(cv2.CAP_PROP_FRAME_COUNT))
    assert count == 34
    assert [film.read()[1].mean() for _ in range(count)][-1] == pytest.approx(250, abs=6)
