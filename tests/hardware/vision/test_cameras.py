"""Cameras give pictures and their times, whatever they look through."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from hardware.vision import Camera
from hardware.vision.cameras import FolderCamera, RenderedCamera, VideoCamera
from robot_learn.errors import UserError


def test_a_folder_gives_its_pictures_in_order_in_rgb_and_then_the_last_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="wanted a folder with pictures"):
        FolderCamera(tmp_path)
    for i in range(3):
        cv2.imwrite(str(tmp_path / f"{i}.png"), np.full((4, 6, 3), (0, 0, 10 * i), np.uint8))
    (tmp_path / "notes.txt").write_text("")
    with FolderCamera(tmp_path, period=0.1) as camera:
        told = [camera.read() for _ in range(5)]
    assert [int(picture[0, 0, 0]) for picture, _ in told] == [0, 10, 20, 20, 20]
    np.testing.assert_allclose([time for _, time in told], [0, 0.1, 0.2, 0.2, 0.2])
    (tmp_path / "0.png").write_bytes(b"nothing")
    with FolderCamera(tmp_path) as camera, pytest.raises(UserError, match="no picture that can be read"):
        camera.read()


def test_a_simulated_camera_draws_at_its_rate_and_shows_what_was() -> None:
    now = [0.0]
    camera = RenderedCamera(
        lambda: np.full((2, 2, 3), round(100 * now[0]), np.uint8), lambda: now[0], period=0.1, delay=0.15
    )
    told = []
    for i in range(20):
        now[0] = 0.05 * i
        picture, time = camera.read()
        told.append((int(picture[0, 0, 0]), round(time, 2)))
    assert all(value == round(100 * time) for value, time in told)
    assert told[-1][1] == 0.8  # at .95 the picture of .8 s
    now[0] = 0.0
    assert camera.read()[1] == 0.0


def test_a_film_is_a_camera_and_what_ends_grows_old(tmp_path: Path) -> None:
    path = str(tmp_path / "film.avi")
    writer = cv2.VideoWriter(path, cv2.VideoWriter.fourcc(*"MJPG"), 30, (64, 48))
    for i in range(5):
        writer.write(np.full((48, 64, 3), (0, 0, 50 * i), np.uint8))
    writer.release()
    ticks = iter(range(1000))
    with VideoCamera(path, clock=lambda: float(next(ticks)), delay=0.25) as camera:
        camera._thread.join(5.0)
        (picture, first), (_, again) = camera.read(), camera.read()
    assert first == again == 4 - 0.25
    assert picture[0, 0, 0] > 180
    assert picture[0, 0, 2] < 30
    with pytest.raises(UserError, match="cannot be opened"):
        VideoCamera(str(tmp_path / "none.avi"))


def test_all_cameras_keep_the_protocol(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "0.png"), np.zeros((4, 6, 3), np.uint8))
    cameras: list[Camera] = [FolderCamera(tmp_path), RenderedCamera(lambda: np.zeros((4, 6, 3), np.uint8), lambda: 0.0)]
    for camera in cameras:
        with camera:
            picture, time = camera.read()
            assert (picture.shape, picture.dtype, time) == ((4, 6, 3), np.uint8, 0.0)
