"""From part maps to people: the strongest joints first, and from each along the tree of joints.

Papandreou et al., "PersonLab", 2018, section 3.2 (fast greedy decoding), without mid-range
refinement over several steps as in the published PoseNet.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engines.nn.motion.posenet import CHAIN, JOINTS, STRIDE, PoseMaps

Array = npt.NDArray[np.float64]
REFINEMENTS = 2  # times that a displaced point is moved by the offset of the cell it is in
RADIUS = 20.0  # px of the network's input within which the same joint is the same person's


@dataclass(frozen=True, slots=True)
class Grids:
    """`PoseMaps` as numpy, with heat as probability."""

    heat: Array
    offset: Array
    forward: Array
    backward: Array


def grids(maps: PoseMaps) -> Grids:
    """On the CPU in float64."""
    heat = maps.heat.double().sigmoid().cpu().numpy()
    others = (t.double().cpu().numpy() for t in (maps.offset, maps.forward, maps.backward))
    return Grids(heat, *others)


def single(maps: Grids) -> Array:
    """The one pose of the strongest cell of each joint: (17, 3) as x, y, score in input px."""
    joints = np.zeros((len(JOINTS), 3))
    for k, heat in enumerate(maps.heat):
        row, column = np.unravel_index(int(heat.argmax()), heat.shape)
        y, x = STRIDE * np.array([row, column]) + maps.offset[k, :, row, column]
        joints[k] = x, y, heat[row, column]
    return joints


def several(
    maps: Grids, *, threshold: float = 0.5, most: int = 10, pose_threshold: float = 0.15
) -> Array:
    """Up to ``most`` people, (P, 17, 3) as x, y, score in input px, by falling score.

    Args:
        threshold: of the joint that a pose begins with.
        pose_threshold: of the mean over the joints that no earlier pose has.
    """
    found: list[Array] = []
    for score, k, row, column in _peaks(maps.heat, threshold):
        y, x = STRIDE * np.array([row, column]) + maps.offset[k, :, row, column]
        if _taken(found, k, x, y):
            continue
        pose = _followed(maps, k, (x, y, score))
        own = [j for j in range(len(JOINTS)) if not _taken(found, j, *pose[j, :2])]
        if float(pose[own, 2].sum()) / len(JOINTS) >= pose_threshold:
            found.append(pose)
        if len(found) == most:
            break
    return np.stack(found) if found else np.zeros((0, len(JOINTS), 3))


def _peaks(heat: Array, threshold: float) -> list[tuple[float, int, int, int]]:
    """Cells (score, joint, row, column) that no neighbour exceeds, by falling score."""
    padded = np.pad(heat, ((0, 0), (1, 1), (1, 1)), constant_values=-1.0)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    peaks = (heat >= windows.max(axis=(3, 4))) & (heat > threshold)
    places = np.argwhere(peaks)
    scores = heat[peaks]
    order = np.argsort(-scores, kind="stable")
    rows = ((float(scores[i]), places[i].tolist()) for i in order)
    return [(score, k, row, column) for score, (k, row, column) in rows]


def _taken(found: list[Array], joint: int, x: float, y: float) -> bool:
    return any(np.hypot(p[joint, 0] - x, p[joint, 1] - y) <= RADIUS for p in found)


def _followed(maps: Grids, root: int, start: tuple[float, float, float]) -> Array:
    """A pose from one joint outwards: towards the parents first, then towards the children."""
    pose = np.zeros((len(JOINTS), 3))
    pose[root] = start
    known = {root}
    for edge in reversed(range(len(CHAIN))):
        parent, child = CHAIN[edge]
        if child in known and parent not in known:
            pose[parent] = _step(maps, maps.backward[edge], pose[child], parent)
            known.add(parent)
    for edge, (parent, child) in enumerate(CHAIN):
        if parent in known and child not in known:
            pose[child] = _step(maps, maps.forward[edge], pose[parent], child)
            known.add(child)
    return pose


def _step(maps: Grids, displacement: Array, source: Array, target: int) -> Array:
    """The joint ``target`` from the joint ``source`` (x, y, score)."""
    at = source[1::-1]  # y, x
    row, column = _cell(at, maps.heat.shape)
    at = at + displacement[:, row, column]
    for _ in range(REFINEMENTS):
        row, column = _cell(at, maps.heat.shape)
        at = STRIDE * np.array([row, column]) + maps.offset[target, :, row, column]
    row, column = _cell(at, maps.heat.shape)
    return np.array([at[1], at[0], maps.heat[target, row, column]])


def _cell(at: Array, shape: tuple[int, ...]) -> tuple[int, int]:
    """The cell (row, column) nearest to a point (y, x) in input px."""
    row, column = (
        int(np.clip(round(v / STRIDE), 0, n - 1)) for v, n in zip(at, shape[1:], strict=True)
    )
    return row, column
