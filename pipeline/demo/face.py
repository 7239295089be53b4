"""Draws a face as polygons of smooth curves, from what lies behind the head to the glasses before it."""

from typing import Any

import numpy as np
from PIL import Image, ImageChops, ImageFilter

from pipeline.demo import hair
from pipeline.demo.easel import SIDES, Easel, Points, Pose, across, between, oval, ribbon, spline
from pipeline.demo.look import BLACK, WHITE, Look, mix


def draw_head(picture: Image.Image, look: Look, pose: Pose, rng: Any) -> None:
    """Draw head, neck and shoulders onto an RGB picture."""
    easel = Easel(picture, pose)
    outline = _outline(look)
    if look.hair_length > hair.LONG:
        hair.draw_long(easel, look)
    _body(easel, look)
    if look.hair_length < 0.8 or look.earrings:
        _ears(easel, look)
    easel.shape(outline, look.skin)
    _shade(picture, look, pose)
    _eyes(easel, look)
    _nose(easel, look)
    _lines(easel, look, rng)
    hair.draw_beard(easel, look, outline, rng)
    _mouth(easel, look)
    hair.draw_brows(easel, look)
    hair.draw_scalp(easel, look, rng)
    if look.earrings:
        for side in SIDES:
            easel.shape(oval(look.width + 0.06, look.eye_y + 0.62, 0.05, 0.06), (228, 190, 92), side=side)
    if look.glasses:
        _glasses(easel, look)


def draw_back_of_head(picture: Image.Image, look: Look, pose: Pose, rng: Any) -> None:
    """Draw somebody who looks away: no face to be found."""
    easel = Easel(picture, pose)
    _body(easel, look)
    _ears(easel, look)
    if look.hair_length > hair.LONG:
        hair.draw_long(easel, look)
    easel.shape(_outline(look) * (1 + 0.5 * look.hair_volume, 0.9), look.hair)
    for _ in range(30):
        x = rng.uniform(-0.85, 0.85)
        lock = [(x * 0.4, -0.95 + 0.3 * abs(x)), (x, -0.1), (x * 0.85, 0.75)]
        easel.stroke(lock, 0.04, hair.strand(look, rng), 0.7, depth=0)


def _outline(look: Look) -> Points:
    """Half an ellipse for the skull; below it a curve that is squarer the larger `jaw`, and narrows to the chin."""
    angle = np.linspace(0, np.pi, 28)
    cos, sin = np.cos(angle), np.sin(angle)
    down = sin ** (2 / look.jaw)
    aside = look.width * np.sign(cos) * np.abs(cos) ** (2 / look.jaw)
    sagging = 0.09 * look.jowls * np.exp(-(((down - 0.78) / 0.16) ** 2))
    jaw = np.stack([aside * (1 - look.taper * down**2 + sagging), look.chin * down], axis=1)
    skull = np.stack([-look.width * cos, -look.crown * sin], axis=1)
    return np.concatenate([jaw, skull[1:-1]])


def _body(easel: Easel, look: Look) -> None:
    neck, wide, chin = look.neck, look.shoulders, look.chin
    shadow = (70, 30, 24)
    shoulder = [(neck + 0.1, 1.66), (wide * 0.7, 1.94), (wide * 0.93, 2.2), (wide, 2.9), (wide, 5.0)]
    easel.shape(spline(across(shoulder)), look.cloth)
    throat = spline(across([(0, 2.15), (neck + 0.2, 1.72), (neck, 1.4), (neck, 0.6)]))
    easel.shape(throat, mix(look.skin, shadow, 0.13))
    under_chin = spline(across([(0, chin + 0.3), (neck, chin + 0.12), (neck, 0.9)]))
    easel.shape(under_chin, mix(look.skin, shadow, 0.36), 0.8)
    for side in SIDES:
        if look.collar:
            flap = np.array([(neck + 0.06, 1.55), (0, 2.16), (0.34, 2.42), (neck + 0.32, 1.78)])
            easel.shape(flap, mix(look.cloth, WHITE, 0.75), side=side)
        else:
            hem = [(neck + 0.2, 1.68), (0.24, 1.98), (0, 2.15)]
            easel.stroke(hem, 0.07, mix(look.cloth, BLACK, 0.3), side=side, depth=0)


def _ears(easel: Easel, look: Look) -> None:
    y = look.eye_y + 0.28
    for side in SIDES:
        # The ear on the side that the face turns to goes behind the head.
        x = look.width + 0.02 - 0.33 * side * np.sin(easel.pose.yaw)
        easel.shape(oval(x, y, 0.13, look.ear * 1.1), mix(look.skin, (150, 60, 50), 0.15), side=side)
        easel.shape(oval(x + 0.01, y, 0.07, look.ear * 0.7), mix(look.skin, (110, 40, 36), 0.35), side=side)


def _shade(picture: Image.Image, look: Look, pose: Pose) -> None:
    """Soft shadow, light and blush: three blurred masks, drawn small."""
    small = (picture.width // 4, picture.height // 4)
    dark, light, red, inside = (Easel(Image.new("L", small), pose, shrink=4) for _ in range(4))
    inside.shape(_outline(look), 255)
    x, y = look.eye_x, look.eye_y
    socket = oval(x, y - 0.03, look.eye_width * 1.35, look.eye_height * 1.9)
    cheekbone = ribbon(spline([(0.95, 0.1), (0.88, 0.6), (0.6, 1.05)]), 0.16 + 0.2 * look.jowls)
    for side in SIDES:
        dark.shape(socket, round(70 + 70 * look.eye_bags), side=side, depth=1)
        dark.shape(oval(x, y + 0.2, 0.19, 0.05), round(170 * look.eye_bags), side=side, depth=1)
        dark.shape(cheekbone, round(90 + 60 * look.jowls), side=side)
        dark.shape(oval(0.62, 0.42, 0.09, 0.26), round(70 * look.nose_folds + 60 * look.jowls), side=side, depth=1)
        light.shape(oval(0.5, y + 0.34, 0.2, 0.1), 90, side=side, depth=1)
        red.shape(oval(0.58, y + 0.46, 0.24, 0.17), round(170 * look.blush), side=side, depth=1)
    dark.shape(oval(0.03, look.nose_y + 0.02, look.nose_width * 1.1, 0.06), 130, depth=1)
    dark.shape(oval(0, look.mouth_y + 0.2, look.mouth_width * 0.6, 0.05), 110, depth=1)
    light.shape(ribbon(np.array([(0, y), (0, look.nose_y - 0.06)]), 0.1), 120, depth=1.15)
    light.shape(oval(0, -0.72, 0.45, 0.2), 80, depth=1)
    for mask, tint, share in ((dark, (60, 20, 22), 0.55), (light, (255, 250, 240), 0.6), (red, (206, 64, 70), 0.5)):
        soft = ImageChops.multiply(mask.picture.filter(ImageFilter.GaussianBlur(2.2)), inside.picture)
        picture.paste(mix(look.skin, tint, share), mask=soft.resize(picture.size, Image.Resampling.BILINEAR))


def _eyes(easel: Easel, look: Look) -> None:
    w, h = look.eye_width, look.eye_height
    tilt = 0.035 - 0.09 * look.droop
    centre = np.array([look.eye_x, look.eye_y])
    upper = spline([(-w, 0.01), (-0.5 * w, -0.85 * h), (0.3 * w, -h * (1 - 0.15 * look.droop)), (w, -tilt)])
    lower = spline([(-w, 0.01), (-0.3 * w, 0.55 * h), (0.5 * w, 0.52 * h), (w, -tilt)])
    crease = [(-0.9 * w, -0.5 * h), (0, -1.35 * h - 0.03), (0.95 * w, -0.55 * h - tilt + 0.05 * look.droop)]
    lash = [(0.75 * w, -tilt - 0.02), (1.1 * w, -tilt - 0.05), (1.35 * w, -tilt - 0.11)]
    radius = 0.098 + 0.35 * (h - 0.09)
    lid = mix(look.skin, BLACK, 0.72)
    for side in SIDES:
        gaze = side * look.gaze * 0.25 * w
        white = mix(WHITE, (226, 208, 190), 0.5 * look.droop)
        easel.shape(between(upper, lower) + centre, white, side=side, depth=1)
        for size, colour in ((1.0, mix(look.iris, BLACK, 0.35)), (0.82, look.iris), (0.45, BLACK)):
            disc = oval(gaze, -0.12 * h, radius * size, radius * size)
            disc[:, 1] = np.clip(disc[:, 1], np.interp(disc[:, 0], *upper.T), np.interp(disc[:, 0], *lower.T))
            easel.shape(disc + centre, colour, side=side, depth=1)
        glint = oval(gaze + side * 0.03, -0.42 * h, 0.022, 0.022, steps=8)
        easel.shape(glint + centre, WHITE, 0.9, side, depth=1)
        easel.stroke(upper[::6] + centre, 0.028 + 0.035 * look.lashes, lid, side=side)
        easel.stroke(lower[::6] + centre, 0.016, lid, 0.45, side)
        if look.lashes > 0.3:
            easel.stroke(lash + centre, 0.05 * look.lashes, lid, side=side)
        easel.stroke(crease + centre, 0.022 + 0.02 * look.droop, mix(look.skin, (70, 30, 26), 0.6), 0.6, side)


def _nose(easel: Easel, look: Look) -> None:
    w, y = look.nose_width, look.nose_y
    dark = mix(look.skin, (84, 34, 28), 0.6)
    easel.stroke([(0.09, look.eye_y + 0.02), (0.085, y - 0.25), (w * 0.72, y - 0.06)], 0.03, dark, 0.5, depth=1.1)
    easel.stroke(across([(0, y + 0.06), (w * 0.7, y + 0.035), (w, y - 0.03)]), 0.035, dark, 0.7, depth=1.12)
    for side in SIDES:
        nostril = oval(w * 0.48, y + 0.02, w * 0.2, 0.024, steps=10)
        easel.shape(nostril, mix(look.skin, BLACK, 0.65), 0.8, side, depth=1.12)


def _mouth(easel: Easel, look: Look) -> None:
    w, y, h = look.mouth_width * (0.9 + 0.25 * look.smile), look.mouth_y, look.lips
    corner = (w, y - 0.10 * (look.smile - 0.35))
    gap = 0.13 * look.smile if look.teeth and look.smile > 0.45 else 0.0
    middle = across([(0, y + 0.02), (0.45 * w, y + 0.01), corner])
    top = spline(across([(0, y - 0.5 * h), (0.25 * w, y - 0.75 * h), corner]))
    floor = spline(across([(0, y + 0.025 + gap), (0.4 * w, y + 0.015 + gap), corner]))
    bottom = spline(across([(0, y + 1.15 * h + gap), (0.4 * w, y + 0.95 * h + gap), corner]))
    easel.shape(between(top, spline(middle)), mix(look.lip, BLACK, 0.14), depth=1.02)
    easel.shape(between(floor, bottom), look.lip, depth=1.02)
    if gap:
        easel.shape(between(spline(middle), floor), (244, 240, 230), depth=1.02)
    easel.stroke(middle, 0.03, mix(look.lip, BLACK, 0.6), 0.85, depth=1.02)


def _lines(easel: Easel, look: Look, rng: Any) -> None:
    """The lines of age."""
    dark = mix(look.skin, (78, 34, 28), 0.55)
    eye, nose, mouth = (look.eye_x, look.eye_y), (look.nose_width, look.nose_y), (look.mouth_width, look.mouth_y)
    for row in range(1 + round(3 * look.forehead_lines)):
        y = look.eye_y - look.brow_height - 0.15 - 0.13 * row
        half, wave = 0.46 - 0.05 * row + rng.normal(0, 0.05), rng.normal(0, 0.03)
        forehead = [
            (-half, y + 0.02),
            (-half / 2, y - 0.03 + wave),
            (0, y),
            (half / 2, y - 0.03 - wave),
            (half, y + 0.02),
        ]
        easel.stroke(forehead, 0.034, dark, 0.75 * look.forehead_lines)
    frown = np.add([(0.07, -0.24), (0.05, -0.15), (0.07, -0.06)], (0, look.eye_y))
    bag = np.add([(-0.17, 0.15), (0.02, 0.24), (0.2, 0.15)], eye)
    marionette = np.add([(0.03, 0.06), (0.06, 0.18), (0.02, 0.3)], mouth)
    fold = np.add([(0.05, -0.05), (0.06, -0.14), (0.13, 0.06)], [nose, (0.95 * mouth[0], mouth[1]), mouth])
    for side in SIDES:
        easel.stroke(frown, 0.03, dark, 0.65 * look.forehead_lines, side)
        easel.stroke(bag, 0.032, dark, 0.75 * look.eye_bags, side)
        easel.stroke(marionette, 0.036, dark, 0.8 * look.mouth_folds, side)
        deep = min(1.0, 0.8 * look.nose_folds + 0.15 * look.smile)
        easel.stroke(fold, 0.03 + 0.02 * look.nose_folds, dark, deep, side)
        for slope in (-0.10, 0.0, 0.10):
            ray = np.add([(0.05, 0.3 * slope), (0.15, 0.02 + slope), (0.22, 0.04 + 1.6 * slope)], eye)
            ray[:, 0] += look.eye_width
            easel.stroke(ray, 0.028, dark, 0.8 * look.crows_feet * (0.6 + 0.4 * look.smile), side)
    for _ in range(round(9 * look.spots)):
        x, y, wide, high = rng.uniform((-0.75, -0.9, 0.02, 0.015), (0.75, 0.5, 0.045, 0.035))
        spot = oval(x, y, wide, high, steps=8)
        easel.shape(spot, mix(look.skin, (110, 66, 40), 0.7), 0.5, depth=1)


def _glasses(easel: Easel, look: Look) -> None:
    x, y, frame = look.eye_x, look.eye_y, (44, 36, 34)
    rim = oval(x + 0.01, y + 0.02, 0.31, 0.24, steps=28)
    rim = np.concatenate([rim, rim[:1]])
    for side in SIDES:
        easel.shape(rim, WHITE, 0.10, side, depth=1.08)
        easel.shape(ribbon(rim, 0.05), frame, side=side, depth=1.08)
        easel.stroke([(x + 0.31, y - 0.02), (0.9, y), (1.0, y + 0.02)], 0.05, frame, side=side, depth=0.6)
    easel.stroke([(-0.12, y), (0, y - 0.04), (0.12, y)], 0.05, frame, depth=1.1)
