"""The parts of vision by themselves, against made-up pictures and answers that are known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardware.vision import hand_eye, tags
from hardware.vision.calibration import Calibration, lens, stand
from hardware.vision.colours import Coloured
from hardware.vision.edges import sharpened
from hardware.vision.fit import project, refined, rms
from hardware.vision.poses import difference, inverse, is_pose, pose
from robot_learn.errors import UserError

DOWN = pose(np.array([np.pi, 0, 0]), np.array([0.5, 0.0, 0.8]))  # a camera over the table that looks down
EYE = Calibration.pinhole(640, 480, 45, DOWN)


def random_pose(rng: np.random.Generator, angle: float = np.pi, size: float = 0.3) -> np.ndarray:
    axis = rng.standard_normal(3)
    return pose(axis / np.linalg.norm(axis) * rng.uniform(0, angle), rng.uniform(-size, size, 3))


# --- Poses from points.


@given(st.integers(0, 2**32 - 1))
def test_a_pose_is_found_from_a_start_nearby_whatever_its_orientation(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = rng.uniform(-0.03, 0.03, (8, 3))
    T = random_pose(rng) @ np.eye(4)
    T[:3, 3] = [*rng.uniform(-0.1, 0.1, 2), rng.uniform(0.4, 1.0)]
    distortion = np.array([0.1, -0.05, 1e-3, -1e-3, 0.0])
    pixels = project(points, T, EYE.matrix, distortion)
    start = T @ random_pose(rng, 0.1, 0.01)
    found = refined(points, pixels, start, EYE.matrix, distortion)
    off, angle = difference(found, T)
    assert off < 1e-6
    assert angle < 1e-5
    assert rms(points, pixels, found, EYE.matrix, distortion) < 1e-4


def test_one_corner_that_is_wrong_by_pixels_pulls_little() -> None:
    rng = np.random.default_rng(2)
    points = rng.uniform(-0.03, 0.03, (12, 3))
    T = pose(np.array([2.9, 0.3, 0.1]), np.array([0.0, 0.0, 0.6]))
    pixels = EYE.project(points, T)
    pixels[4] += [15.0, -10.0]
    assert difference(refined(points, pixels, T, EYE.matrix, EYE.distortion), T)[0] < 0.003


def test_projection_is_opencvs() -> None:
    rng = np.random.default_rng(3)
    points, T = rng.uniform(-0.1, 0.1, (20, 3)), pose(np.array([0.3, -0.2, 2.0]), np.array([0.05, 0, 0.7]))
    lens_of = np.array([0.2, -0.1, 2e-3, 1e-3, 0.03])
    theirs, _ = cv2.projectPoints(points, np.array([0.3, -0.2, 2.0]), T[:3, 3], EYE.matrix, lens_of)
    np.testing.assert_allclose(project(points, T, EYE.matrix, lens_of), theirs.reshape(-1, 2), atol=1e-9)


# --- Corners.


def drawn(corners: np.ndarray, fine: int = 16) -> np.ndarray:
    """A dark square on a light ground (80, 80), smooth: each pixel is the mean of `fine` times as many."""
    large = np.full((80 * fine, 80 * fine), 220, np.uint8)
    cv2.fillConvexPoly(large, np.round((corners + 0.5) * fine - 0.5).astype(np.int32), 40)
    return cv2.resize(large, (80, 80), interpolation=cv2.INTER_AREA)


@settings(max_examples=40)
@given(st.floats(0, 2 * np.pi), st.floats(13, 25), st.integers(0, 10**6))
def test_corners_are_found_to_a_third_of_a_pixel_from_a_start_that_is_off_by_one(
    angle: float, radius: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    turns = angle + np.pi / 2 * np.arange(4)  # clockwise on the screen, whose y points down
    corners = np.array([40.2, 39.7]) + radius * np.stack([np.cos(turns), np.sin(turns)], axis=1)
    picture = drawn(corners)
    start = corners + rng.uniform(-0.7, 0.7, (4, 2))
    found = sharpened(picture, start)
    assert np.linalg.norm(found - corners, axis=1).max() < 0.3


def test_corners_are_found_to_a_fifth_of_a_pixel_as_a_rule_of_tags_of_ten_pixels_too() -> None:
    rng, errors = np.random.default_rng(0), []
    for _ in range(60):
        turns = rng.uniform(0, 2 * np.pi) + np.pi / 2 * np.arange(4)
        corners = np.array([40.2, 39.7]) + 7.0 * np.stack([np.cos(turns), np.sin(turns)], axis=1)
        found = sharpened(drawn(corners), corners + rng.uniform(-0.7, 0.7, (4, 2)))
        errors.append(np.linalg.norm(found - corners, axis=1).max())
    assert np.median(errors) < 0.2
    assert np.max(errors) < 1.0


def test_where_there_is_no_square_the_corners_stay_as_they_were() -> None:
    corners = np.array([[30.0, 30], [50, 30], [50, 50], [30, 50]])
    for picture in (np.full((80, 80), 90, np.uint8), 255 - drawn(corners)):
        np.testing.assert_array_equal(sharpened(picture, corners), corners)
    tiny = np.array([[3.0, 3], [6, 3], [6, 6], [3, 6]])
    np.testing.assert_array_equal(sharpened(np.zeros((80, 80), np.uint8), tiny), tiny)


# --- Tags.


def pasted(things: dict[str, tuple[tags.Tag, ...]], T_camera: dict[str, np.ndarray], dictionary: str) -> np.ndarray:
    """A picture with tags drawn where the poses would show them, by a homography; nothing hides anything."""
    canvas = np.full((4 * 480, 4 * 640), 200, np.uint8)
    for name, carried in things.items():
        for tag in carried:
            flat = tags.picture(tag.number, dictionary)
            modules = flat.shape[0] // 16
            grown = tags.Tag(tag.number, tag.size * modules / (modules - 2), tag.T_object_tag)
            where = 4 * (EYE.project(grown.corners, T_camera[name]) + 0.5)
            n = flat.shape[0]
            H = cv2.getPerspectiveTransform(
                np.array([[0, 0], [n, 0], [n, n], [0, n]], np.float32) - 0.5, where.astype(np.float32) - 0.5
            )
            size = canvas.shape[::-1]
            inside = cv2.warpPerspective(np.full_like(flat, 255), H, size) > 127
            canvas[inside] = cv2.warpPerspective(flat, H, size)[inside]
    grey = cv2.resize(canvas, (640, 480), interpolation=cv2.INTER_AREA)
    return np.repeat(grey[..., None], 3, axis=2)


@pytest.mark.parametrize("dictionary", tags.DICTIONARIES)
def test_every_dictionary_gives_the_pose_of_a_tilted_board(dictionary: str) -> None:
    board = {"board": (tags.Tag(3, 0.06, np.eye(4)), tags.Tag(7, 0.04, pose(np.zeros(3), np.array([0.08, 0.01, 0]))))}
    T = pose(np.array([np.pi - 0.5, 0.2, 0.1]), np.array([-0.03, 0.02, 0.6]))
    found = tags.TagFinder(EYE, board, dictionary).find(pasted(board, {"board": T}, dictionary))["board"]
    off, angle = difference(found.T_camera_object, T)
    assert off < 0.002
    assert np.degrees(angle) < 0.5


def test_a_tag_seen_from_in_front_is_ambiguous_and_what_was_seen_before_decides() -> None:
    tag = (tags.Tag(1, 0.012, np.eye(4)),)
    tilt = 0.3
    T, mirrored = (
        pose(np.array([np.pi, 0, 0]), np.array([0, 0, 0.9])) @ pose(np.array([a, 0, 0]), np.zeros(3))
        for a in (tilt, -tilt)
    )
    rng = np.random.default_rng(0)
    square = EYE.project(tag[0].corners, T) + 0.05 * rng.standard_normal((4, 2))
    unknown = tags.locate(EYE, [(tag[0], square)])
    known = tags.locate(EYE, [(tag[0], square)], T)
    misled = tags.locate(EYE, [(tag[0], square)], mirrored)
    assert unknown is not None
    assert known is not None
    assert misled is not None
    assert difference(known.T_camera_object, T)[1] < difference(known.T_camera_object, mirrored)[1]
    assert difference(misled.T_camera_object, mirrored)[1] < difference(misled.T_camera_object, T)[1]
    assert unknown.confidence < 0.6 * known.confidence


def test_a_tag_that_disagrees_with_the_others_is_left_out_and_one_that_fits_nothing_is_no_sighting() -> None:
    box = tags.on_box((0.02, 0.02, 0.02), 0.03)
    T = pose(np.array([np.pi - 0.6, 0.3, 0.2]), np.array([0.0, 0.0, 0.5]))
    corners = [(tag, EYE.project(tag.corners, T)) for tag in (box[0], box[2], box[5])]
    corners[1] = (corners[1][0], corners[1][1] + [6.0, 0.0])
    found = tags.locate(EYE, corners)
    assert found is not None
    assert difference(found.T_camera_object, T)[0] < 1e-3
    crooked = np.array([[100.0, 100], [120, 100], [101, 119], [99, 121]])
    assert tags.locate(EYE, [(box[0], crooked)]) is None


def test_tags_on_a_box_look_outward_from_its_faces() -> None:
    half = (0.02, 0.03, 0.04)
    for tag, out in zip(
        tags.on_box(half, 0.03), np.repeat(np.eye(3)[[2, 0, 1]], 2, axis=0) * np.tile([[1], [-1]], (3, 1)), strict=True
    ):
        assert is_pose(tag.T_object_tag)
        np.testing.assert_allclose(tag.T_object_tag[:3, 2], out)
        np.testing.assert_allclose(tag.T_object_tag[:3, 3], out * half)


def test_what_cannot_be_a_tag_is_refused() -> None:
    with pytest.raises(UserError, match="tags of 40 mm do not fit on a box with an edge of 40 mm"):
        tags.on_box((0.02, 0.02, 0.02), 0.04)
    with pytest.raises(UserError, match="each number may be on one thing only"):
        tags.TagFinder(EYE, {"a": (tags.Tag(1, 0.1, np.eye(4)),), "b": (tags.Tag(1, 0.1, np.eye(4)),)})
    with pytest.raises(UserError, match="no dictionary of tags named '4by4'"):
        tags.TagFinder(EYE, {}, "4by4")
    with pytest.raises(UserError, match="tag 50: the dictionary 4x4 has 0 to 49"):
        tags.picture(50)
    with pytest.raises(UserError, match="picture: calibrated at 640x480"):
        tags.TagFinder(EYE, {}).find(np.zeros((240, 320, 3), np.uint8))
    with pytest.raises(UserError, match="cube: wanted half edges above 0"):
        Coloured("cube", (0.0, 1, 1), (0, 20))


# --- Calibration.


def views(rng: np.random.Generator, count: int, noise: float) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """T_base_hand, and T_camera_board for a camera on the hand and a board that lies still."""
    T_hand_camera = pose(np.array([0.1, -0.2, 0.8]), np.array([0.05, 0.0, 0.04]))
    T_base_board = pose(np.array([0.0, 0.0, 0.3]), np.array([0.5, 0.1, 0.0]))
    hands = [
        pose(rng.uniform(-0.6, 0.6, 3) + np.array([np.pi, 0, 0]), rng.uniform(-0.2, 0.2, 3) + 0.5) for _ in range(count)
    ]
    boards = [inverse(T @ T_hand_camera) @ T_base_board @ random_pose(rng, noise, noise / 10) for T in hands]
    return hands, boards


def test_a_camera_on_the_hand_and_one_beside_it_are_found_exactly_from_exact_views() -> None:
    hands, boards = views(np.random.default_rng(0), 6, 0.0)
    found = hand_eye.on_hand(hands, boards)
    assert difference(found.T_moving_camera, pose(np.array([0.1, -0.2, 0.8]), np.array([0.05, 0.0, 0.04])))[0] < 1e-8
    assert difference(found.T_fixed_board, pose(np.array([0.0, 0.0, 0.3]), np.array([0.5, 0.1, 0.0])))[0] < 1e-8
    assert found.error_m < 1e-8
    # The same views, told the other way round: the board on the hand, the camera beside.
    beside = hand_eye.beside([inverse(T) for T in hands], boards)
    assert difference(beside.T_moving_camera, found.T_moving_camera)[0] < 1e-8


def test_noise_of_views_averages_out_and_the_errors_tell_of_it() -> None:
    rng = np.random.default_rng(1)
    hands, boards = views(rng, 20, 0.01)
    found = hand_eye.on_hand(hands, boards)
    off, angle = difference(found.T_moving_camera, pose(np.array([0.1, -0.2, 0.8]), np.array([0.05, 0.0, 0.04])))
    assert off < 0.004
    assert angle < 0.005
    assert 0.003 < found.error_rad < 0.01
    few = hand_eye.on_hand(hands[:5], boards[:5])
    assert off < difference(few.T_moving_camera, pose(np.array([0.1, -0.2, 0.8]), np.array([0.05, 0.0, 0.04])))[0]


def test_views_that_say_too_little_are_refused() -> None:
    hands, boards = views(np.random.default_rng(0), 3, 0.0)
    with pytest.raises(UserError, match="wanted 4 views or more, came 3"):
        hand_eye.on_hand(hands, boards)
    turned = [pose(np.array([0, 0, a]), np.array([a, 0.1, 0.2])) for a in np.linspace(0, 1, 6)]
    with pytest.raises(UserError, match="about one axis only"):
        hand_eye.on_hand(turned, [inverse(T) for T in turned])


def test_the_lens_and_the_cameras_place_are_found_from_views_of_a_board() -> None:
    rng = np.random.default_rng(4)
    board = np.array([[x, y, 0.0] for x in np.arange(7) for y in np.arange(5)]) * 0.03
    K = np.array([[600.0, 0, 325], [0, 605, 236], [0, 0, 1]])
    distortion = np.array([0.1, -0.15, 1e-3, -5e-4, 0.0])
    shots = [
        pose(rng.uniform(-0.5, 0.5, 3), np.array([*rng.uniform(-0.15, 0.05, 2), rng.uniform(0.3, 0.6)]))
        for _ in range(15)
    ]
    seen = [project(board, T, K, distortion) + 0.1 * rng.standard_normal((35, 2)) for T in shots]
    found, bent, error = lens([board] * 15, seen, 640, 480)
    np.testing.assert_allclose(found, K, atol=3.0)
    assert error < 0.2
    T_base_board = pose(np.array([0, 0, 0.4]), np.array([0.4, -0.1, 0.0]))
    T, off = stand(board, seen[0], T_base_board, found, bent)
    place, angle = difference(T, T_base_board @ inverse(shots[0]))
    assert place < 0.004
    assert angle < 0.01
    assert off < 0.3
    with pytest.raises(UserError, match="wanted 5 views or more"):
        lens([board] * 3, seen[:3], 640, 480)
    with pytest.raises(UserError, match="wanted 4 points or more"):
        stand(board[:3], seen[0][:3], T_base_board, found, bent)


def test_a_calibration_is_kept_as_it_is(tmp_path: Path) -> None:
    made = Calibration(640, 480, EYE.matrix, DOWN, np.array([0.1, 0, 0, 0, 0]), 0.2)
    made.write(tmp_path / "camera.json")
    read = Calibration.read(tmp_path / "camera.json")
    assert vars(read).keys() == vars(made).keys()
    for name, value in vars(made).items():
        np.testing.assert_array_equal(getattr(read, name), value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"matrix": [[1, 0], [0, 1]]}, "matrix: wanted"),
        ({"matrix": [[-1, 0, 0], [0, 1, 0], [0, 0, 1]]}, "matrix: wanted"),
        ({"T_base_camera": (2 * np.eye(4)).tolist()}, "T_base_camera: wanted a pose"),
        ({"T_base_camera": np.diag([1, 1, -1, 1]).tolist()}, "T_base_camera: wanted a pose"),
        ({"distortion": [1, 2]}, "distortion: wanted 5"),
        ({"width": 0}, "wanted a width"),
        ({"width": None}, "camera.json"),
        ({"matrix": "big"}, "camera.json"),
        ({"fov": 45}, "no such key: fov"),
    ],
)
def test_a_calibration_that_is_none_is_refused_by_file_and_key(
    change: dict[str, Any], says: str, tmp_path: Path
) -> None:
    path = tmp_path / "camera.json"
    EYE.write(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UserError, match=says) as raised:
        Calibration.read(path)
    assert "camera.json" in str(raised.value)


def test_a_file_that_is_no_calibration_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "camera.json"
    for text, says in (("{", "cannot be read"), ("[]", "lacks"), ('{"width": 640}', "lacks T_base_camera")):
        path.write_text(text)
        with pytest.raises(UserError, match=says):
            Calibration.read(path)
