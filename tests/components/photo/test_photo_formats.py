"""What is called a picture, and what a file that is none, or none that is read, is called."""

import io
import zipfile

import pytest
from PIL import Image

from components.photo import PhotoRejected, is_picture_name, open_photo
from components.photo.formats import format_of
from tests.components.photo.drawn_photos import SETTINGS, grainy, heic, scene, stored


def rejected(data: bytes) -> tuple[str, str]:
    with pytest.raises(PhotoRejected) as why:
        open_photo(data, SETTINGS)
    return why.value.reason, why.value.detail


class TestNames:
    @pytest.mark.parametrize(
        "name",
        [
            *(
                "a.jpg",
                "a.JPEG",
                "a.jpe",
                "a.jfif",
                "a.png",
                "a.webp",
                "a.gif",
                "a.bmp",
                "a.tif",
                "a.TIFF",
                "folder/b.c.jpg",
            ),
            *(
                "a.heic",
                "IMG_1.HEIC",
                "a.heif",
                "a.hif",
                "a.avif",
                "a.jp2",
                "a.j2k",
                "a.jpx",
                "a.ppm",
                "a.jxl",
                "a.psd",
            ),
            *("a.dng", "a.NEF", "a.arw", "a.pef", "a.cr2", "a.cr3", "a.orf", "a.rw2", "a.raf"),
        ],
    )
    def test_of_pictures(self, name):
        assert is_picture_name(name)

    @pytest.mark.parametrize(
        "name", ["a.txt", "a.csv", "jpg", "a.jpg.txt", "a.zip", "a.mp4", "a.pdf", "a", "", "a.mat"]
    )
    def test_of_other_files(self, name):
        assert not is_picture_name(name)


class TestContent:
    """Names do not count, first bytes do."""

    @pytest.mark.parametrize(
        ("kind", "name"),
        [
            ("JPEG", "JPEG"),
            ("MPO", "JPEG"),
            ("PNG", "PNG"),
            ("WEBP", "WebP"),
            ("GIF", "GIF"),
            ("BMP", "BMP"),
            ("TIFF", "TIFF"),
            ("PPM", "PNM"),
            ("JPEG2000", "JPEG 2000"),
            ("AVIF", "AVIF"),
        ],
    )
    def test_of_what_is_read(self, kind, name):
        assert format_of(stored(scene(), kind)).name == name
        assert open_photo(stored(scene(), kind), SETTINGS).size == (120, 80)

    def test_of_bare_jpeg_2000_and_of_other_portable_bitmaps(self):
        buffer = io.BytesIO()
        scene().save(buffer, "JPEG2000", no_jp2=True)
        assert open_photo(buffer.getvalue(), SETTINGS).size == (120, 80)
        for mode in ("1", "L"):
            assert open_photo(stored(scene().convert(mode), "PPM"), SETTINGS).size == (120, 80)

    @pytest.mark.parametrize("brand", [b"heic", b"mif1"])
    def test_of_heic_whatever_its_first_brand(self, brand):
        data = heic(scene())
        assert data[8:12] == b"heic"
        assert open_photo(data[:8] + brand + data[12:], SETTINGS).size == (120, 80)

    def test_an_avif_with_the_brand_of_any_image_file_is_no_heic(self):
        data = stored(scene(), "AVIF")
        assert data[8:12] == b"avif"
        assert open_photo(data[:8] + b"mif1" + data[12:], SETTINGS).size == (120, 80)

    @pytest.mark.parametrize(
        ("data", "name"),
        [
            (b"8BPS\0\1" + bytes(40), "Photoshop"),
            (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
            (b"\0\0\1\0\1\0\x10\x10\0\0\1\0" + bytes(40), "Windows icon"),
        ],
    )
    def test_a_picture_that_is_not_read_is_named(self, data, name):
        reason, detail = rejected(data)
        assert reason == "photo_unsupported"
        assert detail == f"{name}, which is not read: convert it to JPEG or PNG"

    @pytest.mark.parametrize(
        ("data", "name"),
        [
            (b"", "the file is empty"),
            (bytes(5000), "nothing but zero bytes"),
            (b"%PDF-1.7\n", "a PDF document"),
            (b"%!PS-Adobe-3.0 EPSF", "a PostScript document"),
            (b"<html>404 Not Found</html>", "an HTML page"),
            (b"\n<!DOCTYPE html>\n<html>", "an HTML page"),
            (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "an XML file"),
            (b'{"error": "not found"}', "text (JSON)"),
            (b"hello", "text"),
            ("Grüße aus dem Süden, ".encode() * 100, "text"),
            (b"BMW is a maker of cars", "text"),
            (b"P is for photo", "text"),
            (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer, not the file it stands for"),
            (b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41", "a video (MP4, QuickTime or of their kind)"),
            (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", "a video (MP4, QuickTime or of their kind)"),
            (b"\x1aE\xdf\xa3" + bytes(30), "a video (Matroska or WebM)"),
            (b"RIFF\0\0\0\0AVI LIST", "a video"),
            (b"7z\xbc\xaf\x27\x1c" + bytes(30), "a 7z archive"),
            (b"Rar!\x1a\x07\x01\0", "a RAR archive"),
            (b"\x1f\x8b\x08\0", "a gzip file"),
            (b"\0\x05\x16\x07\0\x02\0\0Mac OS X", "what macOS keeps beside a file, not the file"),
            (b"\x7fELF\2\1\1", "a program"),
            (bytes(range(128, 256)) * 3, "of no format that is known here"),
        ],
    )
    def test_what_is_no_picture_is_named(self, data, name):
        assert rejected(data) == ("not_a_photo", name)

    def test_a_zip_is_named(self):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("a.jpg", stored(scene()))
        assert rejected(buffer.getvalue()) == ("not_a_photo", "a zip archive, or an Office document")

    def test_only_the_decoder_of_the_format_is_asked(self, monkeypatch):
        formats_tried: list[object] = []
        open_image = Image.open

        def noting(file: io.BytesIO, formats: tuple[str, ...]) -> Image.Image:
            formats_tried.append(formats)
            return open_image(file, formats=formats)

        monkeypatch.setattr(Image, "open", noting)
        open_photo(stored(grainy()), SETTINGS)
        assert formats_tried == [("JPEG",)]
