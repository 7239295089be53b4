"""What a file is: by its name, where files are listed, and by its first bytes, where one is opened.

Both are said here once, for ingest and score alike. A file name only decides whether a file is listed as a picture; what is
in it is told by its content, whatever the name says.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Format:
    """What a file can be.

    Attributes:
        name: as people call it.
        plugin: Pillow's name of what decodes it; empty if it is not read.
        is_picture: whether a person would call it a picture.
        is_raw: whether it holds what a camera's sensor saw, and of the picture only a thumbnail.
    """

    name: str
    plugin: str = ""
    is_picture: bool = True
    is_raw: bool = False


_EXTENSIONS = {
    "JPEG": "jpg jpeg jpe jfif jif mpo",
    "PNG": "png apng",
    "WebP": "webp",
    "GIF": "gif",
    "BMP": "bmp dib",
    "TIFF": "tif tiff",
    "PNM": "pnm pbm pgm ppm pfm",
    "JPEG 2000": "jp2 j2k j2c jpc jpf jpx jpm",
    "AVIF": "avif avifs",
    "HEIC": "heic heics heif heifs hif",
    "JPEG XL": "jxl",
    "JPEG XR": "jxr wdp hdp",
    "Photoshop": "psd psb",
    "camera raw": "dng nef nrw arw srf sr2 pef cr2 cr3 crw orf rw2 rwl raf srw x3f mrw 3fr fff iiq dcr kdc erf mef mos raw",
}
_PICTURE_NAMES = tuple(f".{extension}" for extensions in _EXTENSIONS.values() for extension in extensions.split())


def is_picture_name(name: str) -> bool:
    """Whether a file is called like a picture. Formats that are not read count too: each such file is a reject, not a gap."""
    return name.lower().endswith(_PICTURE_NAMES)


_JPEG = Format("JPEG", "JPEG")
_TIFF = Format("TIFF", "TIFF")
_HEIC = Format("HEIC", "HEIF")
_AVIF = Format("AVIF", "AVIF")
_JPEG_2000 = Format("JPEG 2000", "JPEG2000")


def _raw(maker: str) -> Format:
    return Format(f"camera raw ({maker})", is_raw=True)


def _other(name: str) -> Format:
    return Format(name, is_picture=False)


_BEGINNINGS: tuple[tuple[bytes, Format], ...] = (
    (rb"\xff\xd8", _JPEG),
    (rb"\x89PNG", Format("PNG", "PNG")),
    (rb"RIFF....WEBP", Format("WebP", "WEBP")),
    (rb"GIF8", Format("GIF", "GIF")),
    # Six bytes of size and reserved zeros set it apart from text that begins with these letters.
    (rb"BM....\0\0\0\0", Format("BMP", "BMP")),
    (rb"II\*\0....CR|....ftypcrx |..\0\0\0\0HEAPCCDR|II\x1a\0\0\0HEAPCCDR", _raw("Canon")),
    (rb"IIR[OS]|MMOR", _raw("Olympus")),
    (rb"IIU\0", _raw("Panasonic")),
    (rb"FUJIFILMCCD-RAW", _raw("Fujifilm")),
    (rb"FOVb", _raw("Sigma")),
    (rb"\0MRM", _raw("Minolta")),
    (rb"II\xbc", Format("JPEG XR")),
    (rb"II\*\0|MM\0\*|MM\*\0|II\0\*|II\+\0|MM\0\+", _TIFF),
    (rb"P[1-6fy][\s#]|P[yP][PMRC]", Format("PNM", "PPM")),
    (rb"\0\0\0\x0cjP|\xff\x4f\xff\x51", _JPEG_2000),
    (rb"\xff\x0a|\0\0\0\x0cJXL ", Format("JPEG XL", "JXL")),
    (rb"8BPS", Format("Photoshop")),
    (rb"v/1\x01", Format("OpenEXR")),
    (rb"#\?(RADIANCE|RGBE)", Format("Radiance HDR")),
    (rb"gimp xcf", Format("GIMP")),
    (rb"DDS ", Format("DirectDraw surface")),
    (rb"\0\0\x01\0..?\0?\0", Format("Windows icon")),
    (rb"AT&TFORM", Format("DjVu")),
    (rb"....(ftypqt  |moov|mdat|wide|free)|....ftyp", _other("a video (MP4, QuickTime or of their kind)")),
    (rb"\x1aE\xdf\xa3", _other("a video (Matroska or WebM)")),
    (rb"RIFF....AVI |\0\0\x01[\xb3\xba]|FLV\x01|0&\xb2\x75\x8e\x66\xcf\x11", _other("a video")),
    (rb"RIFF....WAVE|ID3|OggS|fLaC|\xff[\xfb\xf3\xf2]", _other("a sound file")),
    (rb"%PDF", _other("a PDF document")),
    (rb"%!PS|\xc5\xd0\xd3\xc6", _other("a PostScript document")),
    (rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", _other("a document of an older Office")),
    (rb"PK\x03\x04|PK\x05\x06", _other("a zip archive, or an Office document")),
    (rb"7z\xbc\xaf\x27\x1c", _other("a 7z archive")),
    (rb"Rar!\x1a\x07", _other("a RAR archive")),
    (rb"\x1f\x8b", _other("a gzip file")),
    (rb"BZh", _other("a bzip2 file")),
    (rb"\xfd7zXZ\0", _other("an xz file")),
    (rb"\x28\xb5\x2f\xfd", _other("a Zstandard file")),
    (rb".{257}ustar", _other("a tar archive")),
    (rb"\0\x05\x16[\0\x07]", _other("what macOS keeps beside a file, not the file")),
    (rb"PAR1", _other("a Parquet file")),
    (rb"SQLite format 3\0", _other("an SQLite database")),
    (rb"\x7fELF|MZ", _other("a program")),
    (rb"bplist00", _other("an Apple property list")),
    (rb"version https://git-lfs", _other("a Git LFS pointer, not the file it stands for")),
    (rb"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)?(<!DOCTYPE svg[^>]*>\s*)?<svg", Format("SVG")),
    (rb"(?i)\s*(<!doctype html|<html|<head|<body)", _other("an HTML page")),
    (rb"\s*<\?xml", _other("an XML file")),
    (rb"\s*[{\[][\s\"{\[\]}\d]", _other("text (JSON)")),
)
_FORMATS = tuple((re.compile(beginning, re.DOTALL), kind) for beginning, kind in _BEGINNINGS)

_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_AVIF_BRANDS = {b"avif", b"avis"}
_ANY_BRANDS = {b"mif1", b"msf1"}


def format_of(data: bytes) -> Format:
    """What the bytes of a file are, by how they begin. What is of no known kind is no picture."""
    if not data:
        return _other("the file is empty")
    if data[4:8] == b"ftyp":
        kind = _of_brands(data)
        if kind:
            return kind
    start = data[:512]
    for beginning, kind in _FORMATS:
        if beginning.match(start):
            return kind
    return _unnamed(data)


def _of_brands(data: bytes) -> Format | None:
    """HEIC or AVIF, by the brands of an ISO media file (ISO 14496-12, 4.3); None for videos and others."""
    size = min(max(int.from_bytes(data[:4], "big"), 16), 512)
    brands = [data[place : place + 4] for place in (8, *range(16, size, 4))]
    if brands[0] in _AVIF_BRANDS:
        return _AVIF
    if brands[0] in _HEIC_BRANDS:
        return _HEIC
    if brands[0] in _ANY_BRANDS:  # the coding is told by the others; the first that tells counts
        return _AVIF if _AVIF_BRANDS.intersection(brands) else _HEIC
    return None


def _unnamed(data: bytes) -> Format:
    if not data.strip(b"\0"):
        return _other("nothing but zero bytes")
    start = data[:512]
    try:
        text = start.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(start) - 3 or len(data) <= len(start):
            return _other("of no format that is known here")
        text = start[: error.start].decode("utf-8")
    is_text = all(letter.isprintable() or letter in "\t\r\n\f\ufeff" for letter in text)
    return _other("text" if is_text else "of no format that is known here")
