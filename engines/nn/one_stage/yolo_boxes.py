"""From the grids of YOLO v1 and v2 to boxes, and back to grids for the coordinates.

Boxes are x1, y1, x2, y2 in pixels of the network's input. Rows run over the cells line by line, the
boxes (v1) or anchors (v2) of a cell together: row ``(y * w + x) * B + b``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Decoded:
    """What one picture's grid says; R = h w B rows.

    Attributes:
        boxes: (R, 4). confidence: (R,). classes: (R, C), C = 0 without classes.
        references: (R, 4) the box that a prediction starts from: v1 its cell, v2 its anchor.
        grid: h, w of the cells and B boxes of each.
        cell: height and width of a cell in px.
    """

    boxes: Tensor
    confidence: Tensor
    classes: Tensor
    references: Tensor
    grid: tuple[int, int, int]
    cell: tuple[float, float]

    def row(self, x: float, y: float) -> tuple[int, int]:
        """Row and column of the cell under a point in px, the nearest where it is outside."""
        height, width, _ = self.grid
        row = min(max(int(y // self.cell[0]), 0), height - 1)
        return row, min(max(int(x // self.cell[1]), 0), width - 1)

    def of_cell(self, row: int, column: int) -> slice:
        """The rows of one cell."""
        first = (row * self.grid[1] + column) * self.grid[2]
        return slice(first, first + self.grid[2])

    def maps(self, values: Tensor) -> Tensor:
        """Values (R,) of every row as maps (B, h, w)."""
        height, width, boxes = self.grid
        return values.view(height, width, boxes).permute(2, 0, 1)

    def scores(self) -> Tensor:
        """Class probability times confidence (R, C); without classes the confidence (R, 1)."""
        if not self.classes.shape[1]:
            return self.confidence[:, None]
        return self.classes * self.confidence[:, None]


def corners(height: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Column and row number of every cell, (h, w) each."""
    y, x = torch.meshgrid(
        torch.arange(height, device=device), torch.arange(width, device=device), indexing="ij"
    )
    return x, y


def v1_cells(output: Tensor, boxes: int) -> tuple[Tensor, Tensor, Tensor]:
    """Split a grid (N, 5 B + C, h, w) of v1.

    Returns:
        Coordinates (N, h, w, B, 4) as x, y in the cell, root of w, root of h; confidence
        (N, h, w, B); classes (N, h, w, C).
    """
    cells = output.permute(0, 2, 3, 1)
    n, h, w, _ = cells.shape
    five = cells[..., : 5 * boxes].reshape(n, h, w, boxes, 5)
    return five[..., :4], five[..., 4], cells[..., 5 * boxes :]


def v1_boxes(coordinates: Tensor) -> Tensor:
    """Coordinates (..., h, w, B, 4) of v1 to boxes of the same shape as shares of the picture.

    The network gives the root of the sides, which may come out negative: they are squared.
    """
    h, w = coordinates.shape[-4:-2]
    x, y = corners(h, w, coordinates.device)
    centre_x = (coordinates[..., 0] + x[..., None]) / w
    centre_y = (coordinates[..., 1] + y[..., None]) / h
    half_w, half_h = coordinates[..., 2] ** 2 / 2, coordinates[..., 3] ** 2 / 2
    return torch.stack(
        [centre_x - half_w, centre_y - half_h, centre_x + half_w, centre_y + half_h], -1
    )


def v1_decode(output: Tensor, boxes: int, height: int, width: int) -> Decoded:
    """One picture's grid (5 B + C, h, w) of v1, for an input of ``height`` x ``width`` px."""
    coordinates, confidence, classes = v1_cells(output[None], boxes)
    _, h, w, _ = confidence.shape
    scale = torch.tensor([width, height, width, height], device=output.device)
    x, y = corners(h, w, output.device)
    cells = torch.stack([x / w, y / h, (x + 1) / w, (y + 1) / h], -1) * scale
    return Decoded(
        (v1_boxes(coordinates)[0] * scale).reshape(-1, 4),
        confidence.flatten().clamp(0, 1),
        classes[0].clamp(0, 1).repeat_interleave(boxes, 1).reshape(h * w * boxes, -1),
        cells.repeat_interleave(boxes, 1).reshape(-1, 4),
        (h, w, boxes),
        (height / h, width / w),
    )


def v1_scores(output: Tensor, boxes: int) -> Tensor:
    """Class times confidence (N, h w B, C) of a grid of v1, in the order of `Decoded`'s rows."""
    _, confidence, classes = v1_cells(output, boxes)
    scores = classes[..., None, :] * confidence[..., None]
    return scores.reshape(len(output), -1, classes.shape[-1])


def v2_scores(output: Tensor, anchors: int) -> Tensor:
    """The same (N, h w A, C) of a grid of v2; without classes the confidence alone."""
    cells = v2_cells(output, anchors)
    confidence = cells[..., 4:5].sigmoid()
    scores = confidence * cells[..., 5:].softmax(-1) if cells.shape[-1] > 5 else confidence
    return scores.reshape(len(output), -1, scores.shape[-1])


def v2_cells(output: Tensor, anchors: int) -> Tensor:
    """A grid (N, A (5 + C), h, w) of v2 as (N, h, w, A, 5 + C)."""
    n, channels, h, w = output.shape
    return output.view(n, anchors, channels // anchors, h, w).permute(0, 3, 4, 1, 2)


def v2_boxes(cells: Tensor, anchors: Tensor) -> Tensor:
    """Boxes (..., h, w, A, 4) in cells from tx, ty, tw, th (..., h, w, A, 4 or more).

    ``b = sigmoid(t) + corner`` for the centre, ``b = anchor exp(t)`` for the sides (section 2).
    """
    h, w = cells.shape[-4:-2]
    x, y = corners(h, w, cells.device)
    centre_x = cells[..., 0].sigmoid() + x[..., None]
    centre_y = cells[..., 1].sigmoid() + y[..., None]
    # As in the R-CNN line, exp is held at 1000 / 16: a stray weight must not make infinite boxes.
    half = anchors / 2 * cells[..., 2:4].clamp(max=4.135).exp()
    return torch.stack(
        [centre_x - half[..., 0], centre_y - half[..., 1],
         centre_x + half[..., 0], centre_y + half[..., 1]], -1
    )  # fmt: skip


def v2_decode(output: Tensor, anchors: Tensor, stride: int) -> Decoded:
    """One picture's grid (A (5 + C), h, w) of v2; a softmax over the classes of every box."""
    count = len(anchors)
    cells = v2_cells(output[None], count)
    _, h, w, _, width = cells.shape
    zero = torch.zeros_like(cells[..., :4])
    return Decoded(
        (v2_boxes(cells, anchors) * stride).reshape(-1, 4),
        cells[..., 4].sigmoid().flatten(),
        cells[0, ..., 5:].softmax(-1).reshape(h * w * count, width - 5),
        (v2_boxes(zero, anchors) * stride).reshape(-1, 4),
        (h, w, count),
        (float(stride), float(stride)),
    )


def v1_encode(boxes: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Boxes (G, 4) as shares of the picture to the cell (G, 2) as row, column, and coordinates.

    Returns:
        Cells, and (G, 4) as x, y in the cell, root of w, root of h; the inverse of `v1_boxes`.
    """
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2 * boxes.new_tensor([width, height])
    limit = torch.tensor([width - 1, height - 1], device=boxes.device)
    cell = torch.minimum(centre.long().clamp(min=0), limit)
    sides = (boxes[:, 2:] - boxes[:, :2]).clamp(min=0).sqrt()
    return cell.flip(1), torch.cat([centre - cell, sides], 1)
