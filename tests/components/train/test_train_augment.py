"""Augmentation moves and colours faces as far as it was told, and no further."""

import numpy as np
import pytest
import tensorflow as tf

from components.train.augment import augmented
from components.train.settings import AugmentSettings

OFF = dict.fromkeys(AugmentSettings.model_fields, 0) | {"flip": False}


def faces(count: int = 8, side: int = 32) -> np.ndarray:
    noise = np.random.default_rng(0).uniform(40, 210, (count, 4, 4, 3))
    return tf.image.resize(noise, (side, side), "bicubic").numpy().clip(0, 255).astype(np.uint8)


def changed(images, seed=(1, 2), **settings):
    return augmented(tf.constant(images), tf.constant(seed, tf.int64), AugmentSettings(**(OFF | settings))).numpy()


def test_switched_off_it_changes_nothing():
    np.testing.assert_array_equal(changed(faces()), faces())


def test_a_flip_mirrors_about_half_of_the_faces_exactly():
    images = faces(64)
    after = changed(images, flip=True)
    mirrored = [np.array_equal(new, old[:, ::-1]) for new, old in zip(after, images, strict=True)]
    unchanged = [np.array_equal(new, old) for new, old in zip(after, images, strict=True)]
    assert all(a or b for a, b in zip(mirrored, unchanged, strict=True))
    assert 16 < sum(mirrored) < 48


def test_a_rotation_keeps_the_middle_in_place():
    images = np.zeros((16, 33, 33, 3), np.uint8)
    images[:, 14:19, 14:19] = 255
    after = changed(images, rotation=45)
    rows, columns = np.indices((33, 33))
    weight = after[..., 0].astype(float)
    np.testing.assert_allclose((weight * rows).sum((1, 2)) / weight.sum((1, 2)), 16, atol=0.3)
    np.testing.assert_allclose((weight * columns).sum((1, 2)) / weight.sum((1, 2)), 16, atol=0.3)
    assert (after != images).any()


def test_a_shift_goes_no_further_than_told():
    images = np.zeros((64, 41, 41, 3), np.uint8)
    images[:, 18:23, 18:23] = 255
    weight = changed(images, shift=0.1)[..., 0].astype(float)
    _, columns = np.indices((41, 41))
    moved = np.abs((weight * columns).sum((1, 2)) / weight.sum((1, 2)) - 20)
    assert 3 < moved.max() <= 4.1 + 0.5


def test_a_zoom_changes_the_area_by_its_square():
    images = np.zeros((64, 41, 41, 3), np.uint8)
    images[:, 11:30, 11:30] = 255
    area = changed(images, zoom=0.2).astype(float).sum((1, 2, 3)) / images.astype(float).sum((1, 2, 3))
    assert 0.6 < area.min() < 0.8
    assert 1.3 < area.max() < 1.65


def test_beyond_the_edge_the_edge_repeats():
    images = np.full((16, 32, 32, 3), 77, np.uint8)
    assert (changed(images, rotation=90, zoom=0.5, shift=0.3, shear=30) == 77).all()


def test_brightness_moves_every_pixel_of_a_face_alike():
    difference = changed(faces(), brightness=0.1).astype(int) - faces()
    assert all(np.ptp(face[(faces()[i] > 30) & (faces()[i] < 225)]) <= 1 for i, face in enumerate(difference))
    assert 5 < np.abs(difference).max() <= 26


def test_contrast_keeps_the_mean_grey():
    before, after = faces().astype(float), changed(faces(), contrast=0.3).astype(float)
    np.testing.assert_allclose(after.mean((1, 2, 3)), before.mean((1, 2, 3)), atol=2)
    assert np.abs(after - before).max() > 5


def test_saturation_leaves_grey_faces_alone():
    grey = np.repeat(faces()[..., :1], 3, axis=3)
    np.testing.assert_allclose(changed(grey, saturation=1.0), grey, atol=1)
    assert np.abs(changed(faces(), saturation=1.0).astype(int) - faces()).max() > 10


def test_erasing_blots_out_one_square_a_face():
    images = np.zeros((32, 32, 32, 3), np.uint8)
    after = changed(images, erase=0.25)
    assert set((after[..., 0] == 127).sum((1, 2))) == {64}
    assert len({np.argmax(face[..., 0]) for face in after}) > 10


def test_the_same_seed_changes_alike_and_another_differently():
    everything = {"flip": True, "rotation": 20, "zoom": 0.2, "contrast": 0.2, "erase": 0.2}
    np.testing.assert_array_equal(changed(faces(), **everything), changed(faces(), **everything))
    assert (changed(faces(), **everything) != changed(faces(), seed=(1, 3), **everything)).any()


@pytest.mark.parametrize("name", ["flip", "rotation", "zoom", "shift", "shear"])
def test_no_geometry_changes_colours_that_are_even(name):
    images = np.full((4, 16, 16, 3), (10, 120, 200), np.uint8)
    np.testing.assert_array_equal(changed(images, **{name: True if name == "flip" else 0.3}), images)
