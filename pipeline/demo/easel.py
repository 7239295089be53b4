"""A picture on which to draw in the head's own lengths, and the curves to draw with."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

Points = np.ndarray
"""Float array [N, 2] of x and y in the head's own lengths, see `look.Look`."""

Corners = Sequence[tuple[float, float]] | np.ndarray
"""A few points that a curve goes through."""

RIGHT, LEFT = 1, -1
SIDES = (LEFT, RIGHT)
"""Halves of the picture."""


@dataclass(frozen=True, slots=True)
class Pose:
    """Where the head is on the picture and how it is held.

    Attributes:
        x, y: the head's middle, pixels.
        scale: pixels for half a head's width.
        roll: tilt towards a shoulder, radians.
        yaw: turn to a side, radians; small, a profile cannot be drawn.
        pitch: nod, radians.
    """

    x: float
    y: float
    scale: float
    roll: float = 0.0
    yaw: float = 0.0
    pitch: float = 0.0


class Easel:
    """A picture with a pose: what is drawn in the head's lengths lands where the head is.

    What belongs to one half of the face is given as for the right half of the picture, and `side` says for which half it is.
    `depth` says how it moves when the head turns: 0 keeps still, like the head's outline; 1 lies on the face; more stands out.

    Args:
        picture: RGB, or a mask (L), whose colours are numbers.
        pose: for a picture of full size.
        shrink: how many times smaller the picture is.
    """

    def __init__(self, picture: Image.Image, pose: Pose, shrink: int = 1) -> None:
        self.picture = picture
        self.pose = pose
        self._blends = picture.mode == "RGB"
        self._draw = ImageDraw.Draw(picture, "RGBA" if self._blends else None)
        self._cos, self._sin, self._nod = np.cos(pose.yaw), np.sin(pose.yaw), 0.8 * np.sin(pose.pitch)
        turn = np.array([[np.cos(pose.roll), np.sin(pose.roll)], [-np.sin(pose.roll), np.cos(pose.roll)]])
        self._matrix = turn * pose.scale / shrink
        self._origin = np.array([pose.x, pose.y]) / shrink

    def shape(self, points: Points, colour: Any, alpha: float = 1.0, side: int = RIGHT, depth: float = 0.0) -> None:
        """A filled polygon."""
        if alpha < 0.02:
            return
        if side == LEFT:
            points = points * (-1, 1)
        if depth:
            points = self._turned(points, depth)
        fill = (*colour, round(255 * alpha)) if self._blends else colour
        self._draw.polygon((points @ self._matrix + self._origin).ravel().tolist(), fill=fill)

    def stroke(
        self, corners: Corners, width: float, colour: Any, alpha: float = 1.0, side: int = RIGHT, depth: float = 1.0
    ) -> None:
        """A curve that runs out at both ends, `width` at its thickest."""
        points = spline(corners)
        self.shape(ribbon(points, width * _taper(len(points))), colour, alpha, side, depth)

    def _turned(self, points: Points, depth: float) -> Points:
        """The points on a ball that is turned: what stands out moves furthest."""
        across, down = points.T
        height = depth * np.sqrt(np.maximum(1.05 - across * across, 0))
        return np.stack([across * self._cos + height * self._sin, down + height * self._nod], axis=1)


def spline(corners: Corners, closed: bool = False) -> Points:
    """A Catmull-Rom curve through the corners, six steps from one to the next."""
    points = np.asarray(corners, float)
    if closed:
        held = np.concatenate([points[-1:], points, points[:2]])
    else:
        held = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    curve = (_catmull_rom() @ np.stack([held[:-3], held[1:-2], held[2:-1], held[3:]], axis=1)).reshape(-1, 2)
    return curve if closed else np.concatenate([curve, points[-1:]])


def across(half: Corners) -> Corners:
    """Corners from left to right across the face, given those from the middle to the right."""
    return [*((-x, y) for x, y in half[:0:-1]), *half]


def between(one: Points, other: Points) -> Points:
    """The area between two curves that run the same way."""
    return np.concatenate([one, other[::-1]])


def ribbon(points: Points, width: Any) -> Points:
    """A band along the points, `width` (one, or one a point) across."""
    along = np.empty_like(points)
    along[1:-1] = points[2:] - points[:-2]
    along[0], along[-1] = points[1] - points[0], points[-1] - points[-2]
    reach = width / 2 / np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-6)
    aside = np.stack([-along[:, 1] * reach, along[:, 0] * reach], axis=1)
    return between(points + aside, points - aside)


def oval(x: float, y: float, width: float, height: float, steps: int = 20) -> Points:
    """An ellipse about (x, y) with these half axes."""
    return _circle(steps) * (width, height) + (x, y)


@functools.cache
def _catmull_rom() -> np.ndarray:
    t = np.linspace(0, 1, 6, endpoint=False)
    weights = (-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, -(t**2) + t**3)
    return np.stack(weights, axis=1) / 2


@functools.cache
def _circle(steps: int) -> np.ndarray:
    angle = np.linspace(0, 2 * np.pi, steps, endpoint=False)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


@functools.cache
def _taper(points: int) -> np.ndarray:
    return np.sin(np.linspace(0.12, np.pi - 0.12, points))
