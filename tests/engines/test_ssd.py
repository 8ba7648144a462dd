"""SSD300 against torchvision's outputs for the same drawn weights; default boxes; the small net."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from golden import ssd as golden

from engines.nn.detection.anchors import PriorGrid
from engines.nn.detection.detections import DetectionParams, kept
from engines.nn.one_stage.prior_detections import candidates, scored
from engines.nn.one_stage.priors import Priors
from engines.nn.one_stage.ssd import SSD, L2Norm, SsdOutput, small, ssd300
from engines.nn.one_stage.ssd_loss import objective
from explorer.api import Affine, prepare


@pytest.fixture(scope="module")
def file() -> dict[str, Any]:
    with np.load(golden.FILE) as stored:
        return dict(stored)


@pytest.fixture(scope="module")
def ran() -> Iterator[tuple[SSD, SsdOutput]]:
    network = ssd300().eval()
    state = network.state_dict()
    filled = {n: torch.from_numpy(golden.filled(n, tuple(v.shape))) for n, v in state.items()}
    network.load_state_dict(filled)
    x, _ = prepare(golden.picture(), network.preprocess)
    with torch.no_grad():
        yield network, network(x)


def test_keys_and_parameters_are_torchvisions(
    ran: tuple[SSD, SsdOutput], file: dict[str, Any]
) -> None:
    network, _ = ran
    assert sorted(network.state_dict()) == list(file["keys"])
    assert sum(p.numel() for p in network.parameters()) == int(file["parameters"]) == 35_641_826


def test_heads_equal_torchvisions(ran: tuple[SSD, SsdOutput], file: dict[str, Any]) -> None:
    _, output = ran
    every = golden.SAMPLED
    assert output.logits.shape == (1, 8732, 91)
    assert np.abs(output.logits[0, ::every].numpy() - file["logits"]).max() < 1e-4
    assert np.abs(output.offsets[0, ::every].numpy() - file["offsets"]).max() < 1e-4
    assert np.abs(output.after[0, :, 19, ::5].numpy() - file["conv4_3"]).max() < 1e-5


def test_the_loss_equals_torchvisions(ran: tuple[SSD, SsdOutput], file: dict[str, Any]) -> None:
    network, output = ran
    truth, labels = torch.from_numpy(golden.TRUTH), torch.from_numpy(golden.LABELS)
    matched = objective(output.logits, output.offsets, network.boxes, [truth], [labels])
    assert math.isclose(float(matched.location), float(file["loss_location"]), rel_tol=1e-5)
    assert math.isclose(float(matched.confidence), float(file["loss_confidence"]), rel_tol=1e-5)


def test_detections_equal_torchvisions(ran: tuple[SSD, SsdOutput], file: dict[str, Any]) -> None:
    network, output = ran
    size = (golden.SIDE, golden.SIDE)
    scores = output.logits[0].softmax(1)[:, 1:]
    names = tuple(map(str, range(1, 91)))
    found = scored(scores, output.offsets[0], network.priors, Affine(), size, names)
    params = DetectionParams(score=0.01, overlap=0.45)
    left = kept(candidates(found, 0.01, 400), params, most=200)
    assert left.labels.tolist() == (file["labels"] - 1).tolist()
    assert np.abs(left.scores.numpy() - file["scores"]).max() < 1e-5
    assert np.abs(left.boxes.numpy() - file["boxes"]).max() < 1e-3


def test_default_boxes_equal_torchvisions(ran: tuple[SSD, SsdOutput], file: dict[str, Any]) -> None:
    network, _ = ran
    assert np.abs(network.boxes.numpy() - file["priors"]).max() < 1e-4
    assert network.priors.counts == (5776, 2166, 600, 150, 36, 4)
    assert small().boxes.shape == (320, 4)


def test_the_512_pixel_network_of_the_paper_has_24564_default_boxes() -> None:
    grids = [(side, side) for side in (64, 32, 16, 8, 4, 2, 1)]
    assert len(PriorGrid.voc(512)((512, 512), grids)) == 24_564


def test_normalised_vectors_have_the_length_of_the_scale() -> None:
    x = torch.rand(2, 64, 5, 5, generator=torch.Generator().manual_seed(0)) + 0.1
    length = (L2Norm()(x) * 20.0).norm(dim=1)
    assert torch.allclose(length, torch.full_like(length, 20.0), rtol=1e-6)
    assert torch.equal(L2Norm()(torch.zeros(1, 8, 1, 1)), torch.zeros(1, 8, 1, 1))


def test_cells_and_maps_lie_where_the_boxes_are() -> None:
    priors = ssd300().priors
    assert priors.cell_at(150.0, 150.0)[0] == (18, 18)  # centre 148, of 144 to 152
    assert priors.cell_at(-50.0, 1000.0)[0] == (37, 0)
    assert priors.cell_at(299.0, 1.0)[4:] == [(0, 2), (0, 0)]
    affines = priors.affines()
    assert (affines[0].sx, affines[0].tx) == pytest.approx((8.0, 0.0), abs=1e-4)
    assert (affines[5].sx, affines[5].sy, affines[5].tx) == pytest.approx((300.0, 300.0, 0.0))
    assert priors.levels().bincount().tolist() == list(priors.counts)


def test_rows_are_split_by_map_and_cell() -> None:
    boxes = torch.arange(18 * 4, dtype=torch.float32).reshape(18, 4)
    priors = Priors(boxes, ((2, 3), (1, 2)), (2, 3), 64)
    first, second = priors.split(boxes)
    assert first.shape == (2, 3, 2, 4)
    assert torch.equal(first[1, 2, 1], boxes[(1 * 3 + 2) * 2 + 1])
    assert torch.equal(second[0, 1, 0], boxes[12 + 3])
