"""Rendered dancers: 13 joints by forward kinematics, two people, motions, and the true transfer.

The same seed gives the same bytes: numbers come from the frozen `numpy.random.RandomState`. Because
a motion is a list of angles, the target can be rendered with the angles of the source: what a
transfer of motion should show is known pixel by pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

JOINTS = (
    "nose", "left shoulder", "right shoulder", "left elbow", "right elbow", "left wrist",
    "right wrist", "left hip", "right hip", "left knee", "right knee", "left ankle", "right ankle",
)  # fmt: skip
"""COCO's key points without eyes and ears, in its order."""

SIDE = 64
TRAINING, HELD_OUT, SOURCE = (0, 1, 2), 3, 4  # seeds of motions
FRAMES = 300  # of a motion
STEP_BACK = 0.8  # size of a person at the far end of the floor against the near end
Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]

# Mean and reach of each angle, radians. Limbs hang down at 0 and swing outwards with positive
# angles; elbow and knee are measured against upper arm and thigh. Lean and nod tip to the right.
_ANGLES = {
    "lean": (0.0, 0.2), "nod": (0.0, 0.25),
    "left arm": (0.95, 0.9), "right arm": (0.95, 0.9),
    "left elbow": (0.5, 0.9), "right elbow": (0.5, 0.9),
    "left thigh": (0.25, 0.3), "right thigh": (0.25, 0.3),
    "left knee": (-0.15, 0.25), "right knee": (-0.15, 0.25),
}  # fmt: skip
ANGLES = tuple(_ANGLES)
WAVES = 3  # sines that make up one course


@dataclass(frozen=True, slots=True)
class Body:
    """Lengths in parts of the height from crown to sole when upright, and clothes as RGB."""

    head: float = 0.075  # radius
    neck: float = 0.055  # from the line of the shoulders to the chin
    shoulders: float = 0.11  # half their distance
    trunk: float = 0.29
    hips: float = 0.065
    upper_arm: float = 0.17
    forearm: float = 0.16
    thigh: float = 0.235
    shin: float = 0.23
    limb: float = 0.032  # half-width
    skin: tuple[int, int, int] = (226, 178, 148)
    shirt: tuple[int, int, int] = (196, 52, 58)
    sleeves: tuple[int, int, int] = (232, 196, 84)
    trousers: tuple[int, int, int] = (44, 62, 128)
    shoes: tuple[int, int, int] = (32, 30, 34)
    hair: tuple[int, int, int] = (74, 46, 30)
    eyes: tuple[int, int, int] = (24, 26, 40)
    lips: tuple[int, int, int] = (164, 48, 52)


@dataclass(frozen=True, slots=True)
class Place:
    """Where somebody dances, in parts of the picture's height, and the colours of the room.

    Attributes:
        near, far: row of the soles at either end of the floor.
        size: height of the upright person at the near end; `STEP_BACK` times that at the far end.
        wall, ground: RGB.
    """

    near: float = 0.94
    far: float = 0.84
    size: float = 0.80
    wall: tuple[int, int, int] = (168, 186, 196)
    ground: tuple[int, int, int] = (148, 122, 98)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody and where they dance."""

    body: Body
    place: Place


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """What is danced, whoever dances it.

    Attributes:
        angles: (T, 10), radians, columns as `ANGLES`.
        sway: (T,), column of the hips against the middle of the picture, in heights of the person.
        nearness: (T,), 1 at the near end of the floor, 0 at the far end.
    """

    angles: Floats
    sway: Floats
    nearness: Floats


TARGET = Person(Body(), Place())
# 0.7 of the size, feet 14 px of 64 higher, with longer legs and arms and a shorter trunk.
LENDER = Person(
    Body(
        head=0.068, neck=0.05, shoulders=0.095, trunk=0.255, hips=0.06, upper_arm=0.18,
        forearm=0.175, thigh=0.26, shin=0.255, limb=0.028, skin=(150, 104, 78),
        shirt=(58, 140, 92), sleeves=(58, 140, 92), trousers=(212, 206, 196), shoes=(150, 40, 40),
        hair=(24, 22, 22),
    ),
    Place(
        near=0.94 - 14 / 64, far=0.84 - 14 / 64, size=0.56, wall=(206, 198, 176),
        ground=(98, 110, 116),
    ),
)  # fmt: skip


def motion(seed: int, frames: int = FRAMES) -> Motion:
    """Angles that go to and fro in sums of sines with periods of 24 to 120 frames."""
    draw = np.random.RandomState([2019, seed])
    angles = [mean + reach * _course(draw, frames) for mean, reach in _ANGLES.values()]
    sway = 0.12 * _course(draw, frames)
    turn = 2 * np.pi * np.arange(frames) / draw.uniform(50, 100) + draw.uniform(0, 2 * np.pi)
    nearness = 0.5 + 0.5 * np.sin(turn)  # both ends of the floor are reached
    return Motion(np.stack(angles, 1), sway, nearness)


def joints(person: Person, danced: Motion, side: int = SIDE) -> Floats:
    """Where the 13 `JOINTS` are in a picture of ``side`` pixels: (T, 13, 3) as x, y and 1.

    Forward kinematics from the hips; the lower ankle stands on the floor. Pixel i spans i to i + 1.
    """
    body, place = person.body, person.place
    a = dict(zip(ANGLES, danced.angles.T, strict=True))
    still = np.zeros_like(danced.sway)
    up, side_on = _towards(a["lean"] + np.pi), _towards(a["lean"] + np.pi / 2)
    shoulders = body.trunk * up
    found = {"nose": shoulders + (body.neck + body.head) * _towards(a["lean"] + a["nod"] + np.pi)}
    for name, sign in (("left", 1.0), ("right", -1.0)):  # the person's left is at the right
        arm = sign * a[f"{name} arm"]
        leg = sign * a[f"{name} thigh"]
        bent, knee = sign * a[f"{name} elbow"], sign * a[f"{name} knee"]
        shoulder = shoulders + sign * body.shoulders * side_on
        hip = sign * body.hips * _towards(still + np.pi / 2)
        found[f"{name} shoulder"], found[f"{name} hip"] = shoulder, hip
        found[f"{name} elbow"] = shoulder + body.upper_arm * _towards(arm)
        found[f"{name} wrist"] = found[f"{name} elbow"] + body.forearm * _towards(arm + bent)
        found[f"{name} knee"] = hip + body.thigh * _towards(leg)
        found[f"{name} ankle"] = found[f"{name} knee"] + body.shin * _towards(leg + knee)
    points = np.stack([found[name] for name in JOINTS], 1)  # (T, 13, 2), heights of the person
    lowest = points[:, :, 1].max(1)
    size = place.size * (STEP_BACK + (1 - STEP_BACK) * danced.nearness) * side
    row = (place.far + (place.near - place.far) * danced.nearness) * side
    x = side / 2 + size[:, None] * (points[:, :, 0] + danced.sway[:, None])
    y = row[:, None] + size[:, None] * (points[:, :, 1] - lowest[:, None])
    return np.stack([x, y, np.ones_like(x)], 2)


def render(person: Person, danced: Motion, side: int = SIDE) -> Bytes:
    """Frames (T, side, side, 3) of the person dancing, RGB."""
    return painted(person, joints(person, danced, side), danced, side)


def painted(person: Person, poses: Floats, danced: Motion, side: int = SIDE) -> Bytes:
    """The person over their room with joints (T, 13, 3) that need not be their own.

    Args:
        danced: says how near they are, and so how large.
    """
    size = person.place.size * (STEP_BACK + (1 - STEP_BACK) * danced.nearness) * side
    empty = room(person.place, side)
    pairs = zip(poses[:, :, :2], size, strict=True)
    return np.stack([_frame(empty, person.body, p, s) for p, s in pairs])


def transferred(side: int = SIDE, seed: int = SOURCE, frames: int = FRAMES) -> Bytes:
    """The target dancing the motion ``seed``: what a transfer of it should show."""
    return render(TARGET, motion(seed, frames), side)


def room(place: Place, side: int = SIDE) -> Floats:
    """The empty room (side, side, 3) in [0, 255]: a wall with a window and a floor of boards."""
    at = (np.arange(side) + 0.5) / side
    x, y = at[None, :, None], at[:, None, None]
    skirting = place.far - 0.12
    wall = np.array(place.wall) * (1.08 - 0.25 * y) * np.ones_like(x)
    window = (np.abs(x - 0.2) < 0.11) & (np.abs(y - 0.25) < 0.13)
    wall = np.where(window, wall * 0.4 + np.array((236, 244, 252)) * 0.6, wall)
    boards = np.array(place.ground) * (1 + 0.1 * np.sign(np.sin(2 * np.pi * 5 * x / (0.4 + y))))
    return np.asarray(np.clip(np.where(y < skirting, wall, boards), 0, 255))


def _course(draw: np.random.RandomState, frames: int) -> Floats:
    """A sum of sines within [-1, 1], (frames,)."""
    share = draw.dirichlet(np.ones(WAVES))
    period, phase = draw.uniform(24, 120, WAVES), draw.uniform(0, 2 * np.pi, WAVES)
    t = np.arange(frames)[:, None]
    return np.asarray((share * np.sin(2 * np.pi * t / period + phase)).sum(1))


def _towards(angle: Floats) -> Floats:
    """Unit steps (T, 2) in x and y: 0 is down, a quarter turn is to the right of the picture."""
    return np.stack([np.sin(angle), np.cos(angle)], -1)


def _frame(empty: Floats, body: Body, pose: Floats, size: float) -> Bytes:
    """One picture: the person painted over the room from the legs up to the arms."""
    canvas = empty.copy()
    at = dict(zip(JOINTS, pose, strict=True))
    thick = body.limb * size
    for name in ("left", "right"):
        hip, knee, ankle = (at[f"{name} {part}"] for part in ("hip", "knee", "ankle"))
        _paint(canvas, hip, knee, 1.25 * thick, body.trousers)
        _paint(canvas, knee, ankle, thick, body.trousers)
        _paint(canvas, ankle, ankle, 1.3 * thick, body.shoes)
    neck = (at["left shoulder"] + at["right shoulder"]) / 2
    middle = (at["left hip"] + at["right hip"]) / 2
    _paint(canvas, neck, at["nose"], thick, body.skin)
    _paint(canvas, at["left shoulder"], at["right shoulder"], 1.4 * thick, body.shirt)
    _paint(canvas, neck, middle, (body.shoulders + body.hips) / 2 * size, body.shirt)
    _head(canvas, body, neck, at["nose"], body.head * size)
    for name in ("left", "right"):
        shoulder, elbow, wrist = (at[f"{name} {part}"] for part in ("shoulder", "elbow", "wrist"))
        _paint(canvas, elbow, wrist, 0.85 * thick, body.skin)
        _paint(canvas, shoulder, elbow, 1.1 * thick, body.sleeves)
    return np.rint(np.clip(canvas, 0, 255)).astype(np.uint8)


def _head(canvas: Floats, body: Body, neck: Floats, nose: Floats, radius: float) -> None:
    """A face around the nose, upright on the line from the neck."""
    up = (nose - neck) / np.hypot(*(nose - neck)) * radius
    aside = np.array((-up[1], up[0]))
    _paint(canvas, nose, nose, radius, body.skin)
    _paint(canvas, nose + 0.7 * up - 0.5 * aside, nose + 0.7 * up + 0.5 * aside, 0.42 * radius,
           body.hair)  # fmt: skip
    for sign in (-1, 1):
        eye = nose + 0.08 * up + sign * 0.42 * aside
        _paint(canvas, eye, eye, 0.17 * radius, body.eyes)
    mouth = nose - 0.5 * up
    _paint(canvas, mouth - 0.25 * aside, mouth + 0.25 * aside, 0.1 * radius, body.lips)


def _paint(
    canvas: Floats, a: Floats, b: Floats, radius: float, colour: tuple[int, int, int]
) -> None:
    """Paint all within ``radius`` of the line from a to b, with a soft edge one pixel wide."""
    low = np.maximum(np.floor(np.minimum(a, b) - radius - 1).astype(int), 0)
    high = np.ceil(np.maximum(a, b) + radius + 1).astype(int)
    part = canvas[low[1] : max(high[1], 0), low[0] : max(high[0], 0)]
    x = np.arange(low[0], low[0] + part.shape[1])[None, :] + 0.5 - a[0]
    y = np.arange(low[1], low[1] + part.shape[0])[:, None] + 0.5 - a[1]
    d = b - a
    along = np.clip((x * d[0] + y * d[1]) / max(float(d @ d), 1e-12), 0, 1)
    away = np.hypot(x - along * d[0], y - along * d[1])
    share = np.clip(radius + 0.5 - away, 0, 1)[..., None]
    part += share * (np.array(colour) - part)
