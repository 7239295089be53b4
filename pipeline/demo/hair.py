"""Draws what grows on a head: hair, brows, stubble and beards."""

from typing import Any

import numpy as np

from pipeline.demo.easel import SIDES, Easel, Points, across, between, ribbon, spline
from pipeline.demo.look import BLACK, WHITE, Colour, Look, mix

LONG = 0.55
"""Hair of at least this `Look.hair_length` falls behind the head."""

CURLY = 0.35
"""Hair of at least this `Look.curl` has a wavy edge."""


def strand(look: Look, rng: Any) -> Colour:
    """A colour a little lighter or darker than the hair."""
    return mix(look.hair, WHITE if rng.random() < 0.5 else BLACK, 0.17)


def draw_scalp(easel: Easel, look: Look, rng: Any) -> None:
    """The hair on the skull: from the hairline to an edge that stands off by the hair's volume."""
    low = 14 if look.hair_length > LONG else 6
    degrees = np.linspace(-low, 180 + low, 53)
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    up = np.clip(sin, 0, 1)
    bald = min(look.bald, 1.0)

    # Both as shares of the way from the head's middle to its outline.
    hairline = 0.93 - (0.30 + 0.14 * look.fringe) * up**1.2 + 0.07 * look.parting * cos * up
    hairline -= 0.06 * look.fringe * np.abs(np.sin(9 * np.radians(degrees))) * up
    temples = np.exp(-(((np.abs(degrees - 90) - 42) / 20) ** 2))
    hairline += look.receding * (0.20 * temples + 0.16 * up**4) + 0.75 * bald * up**0.6
    sides = 0.55 if look.hair_length > LONG else 0.05
    edge = 1.015 + look.hair_volume * (sides + (1.15 - sides) * up**0.6) * (1 - 0.95 * bald * up)
    if look.curl > CURLY:
        edge += look.curl * (0.10 + 0.035 * np.sin(degrees / 4.2)) * (1 - bald)

    outline = np.stack([look.width * cos, -look.crown * sin], axis=1)
    inner, outer = outline * hairline[:, None], outline * edge[:, None]
    covered = np.flatnonzero(edge - hairline > 0.02)
    for run in np.split(covered, np.flatnonzero(np.diff(covered) > 1) + 1):
        easel.shape(between(outer[run], inner[run]), look.hair)
    for start, drift in zip(rng.integers(4, 49, 14), rng.integers(-6, 7, 14), strict=True):
        if edge[start] - hairline[start] > 0.12:
            index = np.linspace(start, np.clip(start + drift, 0, 52), 3).round().astype(int)
            share = np.array([[0.06], [0.48], [0.9]])
            lock = inner[index] * share + outer[index] * (1 - share)
            easel.stroke(lock, 0.035, strand(look, rng), 0.7, depth=0)


def draw_long(easel: Easel, look: Look) -> None:
    """The hair behind the head, down to where it ends."""
    bottom = 0.35 + 0.85 * look.hair_length
    half = look.width * (1.05 + look.hair_volume * 1.2 + 0.18 * look.curl)
    top = -look.crown * (1 + look.hair_volume)
    right = [(0.72 * half, -1.05), (half, -0.3), (1.04 * half, 0.6 * bottom), (0.92 * half, bottom)]
    left = [(-x, y) for x, y in reversed(right)]
    points = spline([(0, top), *right, (0, bottom + 0.05), *left], closed=True)
    if look.curl > CURLY:
        points[:, 0] *= 1 + 0.035 * look.curl * np.sin(1.9 * np.arange(len(points)))
    easel.shape(points, mix(look.hair, BLACK, 0.22))


def draw_brows(easel: Easel, look: Look) -> None:
    """The eyebrows."""
    corners = [(-0.24, 0.03), (-0.02, -0.035), (0.27, 0.045 + 0.03 * look.droop)]
    line = spline(np.add(corners, (look.eye_x, look.eye_y - look.brow_height)))
    width = 1.6 * look.brow_thickness * np.interp(np.linspace(0, 1, len(line)), [0, 0.25, 1], [0.75, 1, 0.2])
    for side in SIDES:
        easel.shape(ribbon(line, width), look.brow, 0.92, side, depth=1)


def draw_beard(easel: Easel, look: Look, outline: Points, rng: Any) -> None:
    """A full beard, or stubble as a shadow, or nothing."""
    low, x, y = outline[outline[:, 1] > 0.25], look.mouth_width, look.mouth_y
    upper = spline(across([(0, y - 0.17), (x + 0.12, y - 0.2), (0.72, 0.62), (0.9, 0.3)])) * (look.width, 1)
    if not look.beard:
        shadow = np.concatenate([low * (1, 0.99), upper])
        easel.shape(shadow, mix(look.skin, look.hair, 0.6), 0.45 * look.stubble, depth=0.05)
        return
    easel.shape(np.concatenate([low * (1, 1 + 0.1 * look.beard), upper]), look.hair, 0.94, depth=0.12)
    for x in rng.uniform(-0.7, 0.7, 12):
        easel.stroke([(x, 0.95), (x * 0.95, 1.1), (x * 0.88, 1.22)], 0.03, strand(look, rng), 0.6, depth=0.5)
