"""From a stored photo to a face: open, turn upright, crop, encode. Ingest and score use it, and nothing else does this.

Every choice that changes pixels is made here, once:

- transparency lies on white, as a viewer shows it;
- 16-bit grey keeps its upper eight bits; CMYK is turned by its inks alone, colour profiles are not applied;
- of an animation, or of the pictures in one phone photo, the first counts;
- a face is the square around the centre of its box, or around the centre of the whole picture; what lies beyond the
  photo's edge repeats the edge, so nothing is squeezed and nothing of a face cut off;
- faces are made smaller with Pillow's Hamming filter (as good as bicubic at that by Pillow's own comparison, and half
  again as fast: https://pillow.readthedocs.io/en/stable/handbook/concepts.html#filters-comparison-table), never larger.
"""

from components.photo.crop import Box, crop_face
from components.photo.decode import open_photo
from components.photo.encode import Face, face_of
from components.photo.formats import is_picture_name
from components.photo.settings import PhotoRejected, PhotoSettings
from components.photo.standing import angle_of

__all__ = [
    "Box",
    "Face",
    "PhotoRejected",
    "PhotoSettings",
    "angle_of",
    "crop_face",
    "face_of",
    "is_picture_name",
    "open_photo",
]
