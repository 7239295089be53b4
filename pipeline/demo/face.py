"""Draws a face from ovals, strokes and filled curves, from the hair behind the head to the glasses before it.

Lengths are in half widths of an adult's head; the head's middle is the origin, x grows to the right and y downwards.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from pipeline.demo.people import BLACK, WHITE, Colour, Look, mix

LONG = 0.55  # hair of at least this `Look.hair_length` falls behind the head

ANGLE = np.linspace(0, 2 * np.pi, 25)
CIRCLE = np.stack([np.cos(ANGLE), np.sin(ANGLE)], axis=1)
T = np.linspace(0, 1, 9)
PARABOLA = np.stack([(2 * T - 1) * (T - 1), 4 * T * (1 - T), T * (2 * T - 1)], axis=1)
TAPER = np.sin(np.linspace(0.12, np.pi - 0.12, 9))


@dataclass(frozen=True)
class Pen:
    """Draws where a head is, held as the head is; every shape together with its mirror image, as faces are symmetric."""

    draw: ImageDraw.ImageDraw
    middle: tuple[float, float]  # of the head, pixels
    scale: float  # pixels for half a head's width
    tilt: float  # towards a shoulder, radians
    x: float = 0.0  # where the pen's own origin lies on the head
    y: float = 0.0

    def at(self, x: float, y: float) -> "Pen":
        """The pen with its origin moved."""
        return replace(self, x=self.x + x, y=self.y + y)

    def fill(self, points: Any, colour: Colour) -> None:
        """A filled polygon."""
        cos, sin = np.cos(self.tilt) * self.scale, np.sin(self.tilt) * self.scale
        for side in (-1, 1):
            placed = np.add(points, (self.x, self.y)) @ [(side * cos, side * sin), (-sin, cos)] + self.middle
            self.draw.polygon(placed.ravel().tolist(), fill=colour)

    def oval(self, x: float, y: float, wide: float, high: float, colour: Colour) -> None:
        """A filled ellipse about (x, y) with these half axes."""
        self.fill(CIRCLE * (wide, high) + [(x, y)], colour)

    def stroke(self, width: float, colour: Colour, *points: tuple[float, float]) -> None:
        """A curve through three points that runs out at both ends, `width` at its thickest."""
        middle = PARABOLA @ points
        along, down = np.gradient(middle, axis=0).T
        aside = np.stack([-down, along], axis=1) * (TAPER / np.hypot(along, down) * width / 2)[:, None]
        self.fill(between(middle + aside, middle - aside), colour)


def arch(half: float, end: float, middle: float) -> np.ndarray:
    """The parabola from left to right across the face, at the height `end` at both ends."""
    return PARABOLA @ [(-half, end), (0, middle), (half, end)]


def between(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The area between two curves that run the same way."""
    return np.concatenate([first, second[::-1]])


def draw_head(picture: Image.Image, look: Look, middle: Any, scale: float, rng: Any, behind: bool = False) -> None:
    """Draw head, neck and shoulders onto an RGB picture, seen from `behind` without a face.

    The head's `middle` and its `scale`, half its width, are in pixels.
    """
    head = Pen(ImageDraw.Draw(picture), middle, scale, rng.normal(0, 0.11))
    _draw_body(head, look)
    outline = _outline(look)
    head.fill(outline * 1.05 if behind else outline, look.hair if behind else look.skin)
    if behind:
        return
    # A head that turns or nods: the face moves within the outline.
    face = replace(head, middle=middle + scale * np.clip(rng.normal(0, (0.08, 0.04)), -0.12, 0.12))
    eye, nose, mouth = face.at(0.42, look.eye_y), face.at(0, look.nose_y), face.at(0, look.mouth_y)
    _draw_age(face, eye, mouth, look)
    jaw = outline[:13] * (1, 1 + 0.1 * look.beard)
    beard = mix(look.skin, look.hair, min(1.0, 2 * look.beard))
    head.fill(between(jaw, arch(0.9, 0.25, look.mouth_y - 0.2)[::-1]), beard)
    _draw_eye(eye, look)
    _draw_nose(nose, look)
    _draw_mouth(mouth, look)
    _draw_scalp(head, look)
    if look.glasses:
        frame = mix(look.hair, BLACK, 0.8)
        eye.fill(between(CIRCLE * (0.33, 0.26), CIRCLE * (0.28, 0.21)), frame)
        eye.stroke(0.05, frame, (0.3, 0), (0.45, -0.02), (0.6, 0))
        eye.stroke(0.08, frame, (-0.3, 0), (-0.42, -0.04), (-0.54, 0))


def _outline(look: Look) -> np.ndarray:
    """Below, a curve that is squarer in men and narrows to the chin; above, half an ellipse for the skull."""
    cos, sin = CIRCLE.T
    jaw = 2 / (2.25 + 0.28 * look.male + 0.15 * look.child)
    narrow = 1 - (0.13 - 0.05 * look.male - 0.1 * look.child - 0.1 * look.sagging) * np.abs(sin) ** (2 * jaw)
    below = np.stack([np.sign(cos) * np.abs(cos) ** jaw * narrow, look.chin_y * np.abs(sin) ** jaw], axis=1)
    return np.where(sin[:, None] > 0, below, CIRCLE * (1, 1.28)) * (look.width, 1)


def _draw_body(head: Pen, look: Look) -> None:
    if look.hair_length > LONG:
        end, dark = 0.35 + 0.85 * look.hair_length, mix(look.hair, BLACK, 0.22)
        head.oval(0, -0.2, 1.25 * look.width, 1.3, dark)
        head.fill(np.array([(0, -0.3), (1.25, -0.3), (1.2, end), (0, end)]) * (look.width, 1), dark)
    else:
        head.oval(look.width, look.eye_y + 0.25, 0.14, 0.22 - 0.03 * look.child + 0.12 * look.sagging, look.shade(0.15))
    neck, chin = 0.52 + 0.09 * look.male - 0.14 * look.child, head.at(0, look.chin_y)
    chin.oval(0, 1.7, 1.75 + 0.18 * look.male - 0.5 * look.child, 1.4, look.cloth)
    chin.fill([(0, -0.5), (neck, -0.5), (neck + 0.1, 0.4), (0, 0.75)], look.shade(0.15))
    chin.fill(between(arch(neck, -0.5, 0.25), arch(neck, -0.6, -0.6)), look.shade(0.4))


def _draw_age(face: Pen, eye: Pen, mouth: Pen, look: Look) -> None:
    """Shades and lines."""
    eye.oval(0, 0, 0.3, 0.2 + 0.04 * look.lined, look.shade(0.12 + 0.18 * look.lined))
    eye.oval(
        0.1, 0.46 - 0.1 * look.child, 0.22, 0.15, mix(look.skin, (206, 64, 70), 0.2 * look.child + 0.1 * look.make_up)
    )
    face.oval(0.5, 0.5, 0.11, 0.26, look.shade(0.04 + 0.28 * look.sagging))
    if look.lined < 0.02:
        return
    line, fold = look.shade(0.7 * look.lined), look.shade(0.7 * look.sagging)
    for row in range(round(4 * look.lined)):
        x, y = 0.46 - 0.05 * row, look.eye_y - 0.4 - 0.13 * row
        face.stroke(0.04, line, (-x, y), (0, y - 0.04), (x, y))
    eye.stroke(0.035, line, (-0.34, -0.24), (-0.37, -0.15), (-0.34, -0.06))
    eye.stroke(0.04, line, (-0.17, 0.15), (0, 0.24), (0.2, 0.15))
    for slope in (-0.1, 0, 0.1):
        eye.stroke(0.035, line, (0.25, 0.3 * slope), (0.34, 0.02 + slope), (0.42, 0.04 + 1.6 * slope))
    mouth.stroke(0.06, line, (0.25, look.nose_y - look.mouth_y), (0.4, -0.2), (0.46, 0.06))
    mouth.stroke(0.05, fold, (0.38, 0.06), (0.4, 0.16), (0.36, 0.26))


def _draw_eye(eye: Pen, look: Look) -> None:
    lid, lash, sag = mix(look.skin, BLACK, 0.72), 0.06 * look.make_up, 0.1 * look.sagging - 0.03
    wide, high = 0.19 + 0.06 * look.child, (0.09 + 0.08 * look.child - 0.012 * look.male) * (1 - 0.45 * look.sagging)
    eye.oval(0, 0, wide, high, WHITE)
    for size, colour in ((0.1, mix(look.iris, BLACK, 0.35)), (0.08, look.iris), (0.045, BLACK)):
        eye.fill(np.clip(CIRCLE * size * (1 + 0.3 * look.child), -high, high), colour)
    eye.oval(0.03, -0.4 * high, 0.022, 0.022, WHITE)
    eye.stroke(0.04 + 0.5 * lash, lid, (-wide, 0), (0, -high), (wide + lash, sag - lash))
    eye.stroke(0.03, look.shade(0.3), (-wide, -0.06), (0, -1.35 * high - 0.03), (wide, sag - 0.06))
    thick, y = 0.08 + 0.03 * look.male - 0.03 * look.child, -0.24 + 0.035 * look.male - 0.03 * look.child
    brow = mix(mix(look.hair, BLACK, 0.2), look.skin, 0.15 + 0.35 * look.child)
    eye.stroke(max(0.03, thick), brow, (-0.24, y + 0.03), (0, y - 0.035), (0.27, y + 0.04))


def _draw_nose(nose: Pen, look: Look) -> None:
    wide = 0.2 + 0.025 * look.male - 0.06 * look.child + 0.03 * look.sagging
    nose.stroke(0.03, look.shade(0.2), (0.09, look.eye_y - look.nose_y), (0.08, -0.25), (0.72 * wide, -0.06))
    nose.stroke(0.04, look.shade(0.5), (-wide, -0.03), (0, 0.06), (wide, -0.03))
    nose.oval(0.48 * wide, 0.02, 0.2 * wide, 0.024, mix(look.skin, BLACK, 0.65))


def _draw_mouth(mouth: Pen, look: Look) -> None:
    wide = (0.36 - 0.12 * look.child + 0.02 * look.male) * (0.9 + 0.25 * look.smile)
    high = (0.1 - 0.02 * look.male + 0.02 * look.make_up) * (1 - 0.65 * look.sagging)
    corner, gap = 0.035 - 0.1 * look.smile, max(0.0, 0.3 * look.smile - 0.17)
    mouth.fill(between(arch(wide, corner, -0.7 * high), arch(wide, corner, 0)), mix(look.lip, BLACK, 0.14))
    mouth.fill(between(arch(wide, corner, 0), arch(wide, corner, gap + 1.2 * high)), look.lip)
    mouth.fill(between(arch(wide, corner, 0), arch(wide, corner, gap)), WHITE)
    mouth.stroke(0.03, mix(look.lip, BLACK, 0.6), (-wide, corner), (0, 0), (wide, corner))


def _draw_scalp(head: Pen, look: Look) -> None:
    """The hair on the skull: from the hairline, which recedes, to an edge that stands off a little."""
    angle = np.linspace(-0.2 if look.hair_length > LONG else -0.1, np.pi / 2, 20)
    up = np.clip(np.sin(angle), 0, 1)[:, None]
    hairline = 0.93 - 0.35 * up + look.bald * (0.05 + 0.65 * up**0.6)
    edge = 1.02 + 0.18 * up**0.6 * (1 - look.bald)
    skull = np.stack([look.width * np.cos(angle), -1.28 * np.sin(angle)], axis=1)
    haired = (edge > hairline)[:, 0]
    head.fill(between((skull * edge)[haired], (skull * hairline)[haired]), look.hair)
