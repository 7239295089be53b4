"""Pages that stand by themselves."""

import io
import os
import re
from xml.etree import ElementTree

from PIL import Image

from components.report import charts, page


def jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "JPEG")
    return buffer.getvalue()


def written(tmp_path, *blocks: page.Block) -> str:
    page.write(tmp_path / "page.html", "A & B", blocks)
    return (tmp_path / "page.html").read_text()


def test_every_text_is_escaped(tmp_path):
    evil = "<script>alert(1)</script>"
    text = written(
        tmp_path,
        page.Heading(evil),
        page.Paragraph(evil),
        page.Bullets([evil]),
        page.Table([evil], [[evil]], evil),
        page.Picture(jpeg(), f'" onerror="{evil}', "jpeg"),
    )
    assert "<script>alert" not in text and 'onerror="' not in text
    assert "<title>A &amp; B</title>" in text


def test_a_path_that_is_not_utf8_is_shown_as_it_can_be_written(tmp_path):
    assert r"/photos/caf\xe9" in written(tmp_path, page.Paragraph(os.fsdecode(b"/photos/caf\xe9")))


def test_numbers_are_set_to_the_right_and_nothing_is_a_dash(tmp_path):
    text = written(tmp_path, page.Table(["what", "how many"], [["a", 1234], ["b", None], ["c", 0.12345]]))
    assert re.findall(r'<td class="number"[^>]*>(.*?)</td>', text) == ["1,234", "–", "0.123"]
    assert "<td>a</td>" in text


def test_a_figure_of_a_column_of_words_is_a_word(tmp_path):
    assert "<td>7</td>" in written(tmp_path, page.Table(["x"], [["six"], [7]]))


def test_pictures_are_held_by_the_page_and_several_stand_beside_each_other(tmp_path):
    picture = page.Picture(jpeg(), "a face", "jpeg")
    text = written(tmp_path, picture, page.Pictures([picture, picture]))
    assert text.count('src="data:image/jpeg;base64,') == 3
    assert text.count('class="grid"') == 1
    assert not re.findall(r'(?:src|href)="(?!data:)', text)


def test_ages_are_drawn_for_the_splits_and_genders_that_there_are():
    (picture,) = charts.ages_by_split({"train": {"female": {30: 2, 31: 1}, "unknown": {5: 1}}, "test": {}}).pictures
    texts = [text.text for text in ElementTree.fromstring(picture.data).iter("{http://www.w3.org/2000/svg}text")]
    assert "train" in texts and texts[-2:] == ["female", "unknown"]
    assert "The 4 examples of train" in picture.caption
