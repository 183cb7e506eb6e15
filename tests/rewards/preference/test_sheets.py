"""Contact sheets: what stands where, and that they come out the same to the byte."""

from __future__ import annotations

import numpy as np
import pytest

from rewards.lettering import png
from rewards.models.messages import image_hash
from rewards.preference.sheets import MAX_PAIRS, Look, sheet
from robot_learn.errors import UserError
from tests.rewards.preference import squares


def plain(value: int, size: int = 40) -> np.ndarray:
    return np.full((size, size, 3), value, dtype=np.uint8)


def test_a_sheet_never_changes_since_recorded_replies_are_found_by_its_hash() -> None:
    look = Look(size=96, crop=(0.0, 0.25, 1.0, 1.0))
    pairs = [tuple(look.picture(squares.picture(at / 8)[None]) for at in (number, 8 - number)) for number in range(5)]
    paper = sheet(pairs)  # type: ignore[arg-type]
    assert image_hash(paper.tobytes()) == "82acfb8e07d7968a4762dd91dda4eaf383121aa395bdd7eb8bb00f31cbedecee"
    assert image_hash(png(paper)) == "9c383ec3654d467b9e219616f35293a7d74b1c4b99b768fc38ddd5db26d96001"


@pytest.mark.parametrize("count", [1, 3, 4, 10, MAX_PAIRS])
def test_every_picture_of_every_pair_stands_on_the_sheet_whole_and_once(count: int) -> None:
    paper = sheet([(plain(2 * number + 10), plain(2 * number + 11)) for number in range(count)])
    for value in range(10, 10 + 2 * count):
        rows, columns = np.nonzero((paper == value).all(axis=2))
        assert len(rows) == 40 * 40
        assert (int(np.ptp(rows)), int(np.ptp(columns))) == (39, 39)


def test_the_first_of_a_pair_stands_to_the_left_of_the_second_and_both_have_names_above_them() -> None:
    paper = sheet([(plain(50), plain(60))])
    first, second = (np.argwhere((paper == value).all(axis=2)) for value in (50, 60))
    assert first[:, 1].max() < second[:, 1].min()
    assert (first[0, 0], first[-1, 0]) == (second[0, 0], second[-1, 0])
    for picture in (first, second):
        above = paper[: picture[0, 0], picture[:, 1].min() : picture[:, 1].max()]
        assert (above == 0).any(), "no name was written"


@pytest.mark.parametrize("pairs", [[], [(plain(1), plain(2))] * (MAX_PAIRS + 1), [(plain(1), plain(2, 41))]])
def test_a_sheet_of_no_pairs_too_many_or_different_shapes_is_refused(
    pairs: list[tuple[np.ndarray, np.ndarray]],
) -> None:
    with pytest.raises(UserError, match="contact sheet"):
        sheet(pairs)


def test_a_picture_is_enlarged_to_the_size_asked_for_and_keeps_its_shape() -> None:
    wide = np.zeros((1, 30, 60, 3), dtype=np.uint8)
    assert Look(size=200).picture(wide).shape == (100, 200, 3)
    assert Look(size=32).picture(wide).shape == (16, 32, 3)


def test_a_crop_shows_its_part_and_no_more() -> None:
    frame = np.zeros((1, 100, 100, 3), dtype=np.uint8)
    frame[0, 20:40, 50:70] = 255
    assert Look(size=40, crop=(0.5, 0.2, 0.7, 0.4)).picture(frame).min() == 255


def test_views_are_scaled_and_cropped_each_by_itself() -> None:
    views = [np.full((1, 50, 50, 3), value, dtype=np.uint8) for value in (10, 250)]
    for view in views:
        view[0, :, :25] = 90  # cropped away in both
    shown = Look(size=40, crop=(0.5, 0.0, 1.0, 0.5), views=2).picture(np.concatenate(views, axis=2))
    assert shown.shape == (40, 80, 3)
    assert set(np.unique(shown[:, :40])) == {10}
    assert set(np.unique(shown[:, 40:])) == {250}
    with pytest.raises(UserError, match="wanted 3 views beside each other, came 100 pixels"):
        Look(views=3).picture(np.concatenate(views, axis=2))
    with pytest.raises(UserError, match="views in a picture: wanted 1 or more, came 0"):
        Look(views=0)


def test_a_segment_is_shown_by_its_last_picture() -> None:
    frames = np.stack([plain(0), plain(200)])
    assert Look(size=40).picture(frames).min() == 200


@pytest.mark.parametrize("crop", [(0.5, 0.0, 0.5, 1.0), (0.0, 0.0, 1.2, 1.0), (float("nan"), 0.0, 1.0, 1.0)])
def test_a_crop_that_is_none_is_refused(crop: tuple[float, float, float, float]) -> None:
    with pytest.raises(UserError, match="crop"):
        Look(crop=crop)


@pytest.mark.parametrize(
    "bad", [np.zeros((4, 4, 3), np.uint8), np.zeros((1, 4, 4, 3)), np.zeros((0, 4, 4, 3), np.uint8)]
)
def test_what_is_no_batch_of_pictures_is_refused(bad: np.ndarray) -> None:
    with pytest.raises(UserError, match="pictures"):
        Look().picture(bad)
