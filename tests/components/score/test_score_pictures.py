"""Scored photos as the summary page shows them."""

import io

import pytest
from PIL import Image

from components.score.pictures import SIDE, Picture

SAYS = {"age": [31.4], "gender": ["female"]}


@pytest.mark.parametrize("name", ["a.jpg", "müller/1.jpg", "a" * 70_000, "é" * 70_000])
def test_a_picture_is_small_and_has_the_name_of_its_file_however_long_that_is(name):
    drawn = Picture.of(Image.new("RGB", (1000, 500)), name, [(10, 10, 400, 400)], 0).drawn(SAYS)
    with Image.open(io.BytesIO(drawn)) as picture:
        assert picture.size == (SIDE, SIDE // 2)
        assert name.encode().startswith(picture.info["comment"])
        assert len(picture.info["comment"]) >= min(len(name.encode()), 4096)
