"""Outputs as what they are: a tensor of each shape, and the containers that networks return."""

from __future__ import annotations

from collections import namedtuple
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from explorer.core.own_models.model_outputs import LIMIT, Reading, outputs, tensors_of
from explorer.core.own_models.models import imagenet_names
from explorer.kinds import (
    Affine,
    Artefact,
    Boxes,
    FeatureMaps,
    Field,
    Image,
    Masks,
    Matrix,
    Scores,
    Text,
)

SIZE = (20, 30)
PLACE = Affine(2.0, 2.0, 5.0, 7.0)
PHOTO = Reading(size=SIZE, affine=PLACE)
WORDS = Reading(tokens=tuple("the cat"), ids=50)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def shown(out: Any, reading: Reading = PHOTO) -> dict[str, Artefact]:
    return {a.name.removeprefix("output/"): a for a in outputs(out, reading)}


def kinds(out: Any, reading: Reading = PHOTO) -> dict[str, type[Artefact]]:
    return {name: type(a) for name, a in shown(out, reading).items()}


SHAPES: list[tuple[str, Any, dict[str, type[Artefact]]]] = [
    ("logits", torch.randn(1, 7), {"result": Scores}),
    ("one number", torch.tensor(3.0), {"result": Scores}),
    ("vector without batch", torch.randn(5), {"result": Scores}),
    ("maps", torch.randn(1, 5, 4, 6), {"result": FeatureMaps}),
    ("tokens x channels", torch.randn(1, 9, 4), {"result": Matrix}),
    ("class logits of each pixel", torch.randn(1, 5, *SIZE),
     {"result": FeatureMaps, "result classes": Masks}),
    ("a picture", torch.rand(1, 3, 40, 40), {"result": Image}),
    ("a picture in bytes", torch.randint(0, 255, (1, 3, 40, 40), dtype=torch.uint8),
     {"result": Image}),
    ("a picture out of range", torch.randn(1, 3, *SIZE),
     {"result": FeatureMaps, "result picture": Image}),
    ("a mask", torch.rand(1, 1, *SIZE), {"result": Masks}),
    ("yes and no", torch.rand(1, 1, *SIZE) > 0.5, {"result": Masks}),
    ("a class map", torch.randint(0, 4, (1, *SIZE)), {"result": Masks}),
    ("a depth map", torch.randn(1, *SIZE), {"result": Field}),
    ("frames", torch.randn(1, 2, 3, 8, 8), {"result": FeatureMaps}),
    ("complex", torch.randn(1, 4, 4, dtype=torch.complex64), {"result": Matrix}),
    ("sparse", torch.eye(4).unsqueeze(0).to_sparse(), {"result": Matrix}),
    ("half", torch.randn(1, 4, 5, 6).half(), {"result": FeatureMaps}),
]  # fmt: skip


@pytest.mark.parametrize(("out", "wanted"), [s[1:] for s in SHAPES], ids=[s[0] for s in SHAPES])
def test_a_tensor_is_shown_as_what_it_is(out: Tensor, wanted: dict[str, type[Artefact]]) -> None:
    assert kinds(out) == wanted


Two = namedtuple("Two", "logits maps")


@dataclass
class Made:
    scores: Tensor
    rest: list[Tensor]
    nothing: None = None


class DynamicCache:
    def __init__(self) -> None:
        self.keys = torch.randn(1, 2, 3, 4)


def test_containers_name_what_they_hold() -> None:
    a, b = torch.randn(1, 3), torch.randn(1, 4)
    assert dict(tensors_of((a, [b, None, "word"]))) == {"result 0": a, "result 1 0": b}
    assert [n for n, _ in tensors_of({"out": a, "aux": {"deep": b}})] == ["out", "aux deep"]
    assert [n for n, _ in tensors_of(Two(a, b))] == ["logits", "maps"]
    assert [n for n, _ in tensors_of(Made(a, [b]))] == ["scores", "rest 0"]
    assert [n for n, _ in tensors_of(SimpleNamespace(y=a, _hidden=b))] == ["y"]
    assert [n for n, _ in tensors_of({"logits": a, "past": DynamicCache()})] == ["logits"]
    assert list(tensors_of("nothing")) == []
    assert [n for n, _ in tensors_of({"a/b": a})] == ["a.b"]  # a slash would be a group


def test_more_tensors_than_anyone_can_look_at_are_counted() -> None:
    made = shown([torch.randn(1, 2)] * (LIMIT + 3))
    assert len(made) == LIMIT + 1
    rest = made["more"]
    assert isinstance(rest, Text)
    assert rest.text.startswith("3 more tensors came out: result 24 1 × 2")


def test_the_best_ten_in_order_and_probabilities_as_such() -> None:
    logits = torch.randn(1, 50)
    scores = shown(logits)["result"]
    assert isinstance(scores, Scores)
    order = np.argsort(-logits[0].numpy())[:10]
    np.testing.assert_array_equal(scores.scores, logits[0].numpy()[order])
    assert list(scores.labels) == [f"#{i}" for i in order]
    assert not scores.probability
    sure = shown(logits.softmax(1))["result"]
    assert isinstance(sure, Scores)
    assert sure.probability


def test_names_of_classes_only_where_there_are_as_many() -> None:
    names = imagenet_names()
    assert names[281].startswith("tabby")
    labelled = Reading(size=SIZE, labels=names)
    logits = torch.zeros(1, 1000)
    logits[0, 281] = 1.0
    scores = shown(logits, labelled)["result"]
    assert isinstance(scores, Scores)
    assert scores.labels[0] == f"{names[281]} #281"
    few = shown(torch.randn(1, 7), labelled)["result"]
    assert isinstance(few, Scores)
    assert all(label.startswith("#") for label in few.labels)


def test_the_sample_of_a_batch() -> None:
    batch = torch.randn(4, 3, 5, 6)
    for number in (0, 2, 9):
        maps = shown(batch, Reading(sample=number))["result"]
        assert isinstance(maps, FeatureMaps)
        np.testing.assert_array_equal(maps.maps, batch[min(number, 3)].numpy())
        assert maps.note == f"sample {min(number, 3)} of 4"


def test_masks_of_a_segmentation_are_its_largest_maps() -> None:
    logits = torch.randn(1, 4, *SIZE)
    masks = shown(logits)["result classes"]
    assert isinstance(masks, Masks)
    best = logits[0].numpy().argmax(0)
    counts = {k: int((best == k).sum()) for k in range(4)}
    assert [int(label.removeprefix("#")) for label in masks.labels] == sorted(
        counts, key=lambda k: -counts[k]
    )
    for label, mask, share in zip(masks.labels, masks.masks, masks.scores, strict=True):
        number = int(label.removeprefix("#"))
        np.testing.assert_array_equal(mask, best == number)
        assert share == pytest.approx(counts[number] / best.size)
    assert masks.affine == PLACE  # a mask of the input's size lies where the input lay


def test_cells_of_smaller_maps_lie_in_the_picture() -> None:
    maps = shown(torch.randn(1, 4, 10, 10))["result"]
    assert isinstance(maps, FeatureMaps)
    assert maps.affine is not None
    assert maps.affine.to_input(0, 0) == PLACE.to_input(0, 0)
    assert maps.affine.to_input(10, 10) == PLACE.to_input(30, 20)
    assert maps.affine.approximate


def test_a_picture_is_its_values() -> None:
    x = torch.rand(1, 3, 20, 30)
    image = shown(x)["result"]
    assert isinstance(image, Image)
    np.testing.assert_array_equal(image.image, np.round(255 * x[0].permute(1, 2, 0).numpy()))


def test_scores_of_the_next_token() -> None:
    logits = torch.randn(1, 7, 50)
    made = shown(logits, WORDS)
    assert {n: type(a) for n, a in made.items()} == {"result next": Scores, "result": Matrix}
    last = made["result next"]
    assert isinstance(last, Scores)
    np.testing.assert_allclose(last.scores, np.sort(logits[0, -1].numpy())[::-1][:10])
    best = int(logits[0, -1].argmax())
    assert last.labels[0] == (f"#{best} {chr(best)}" if best > 32 else f"#{best}")
    matrix = made["result"]
    assert isinstance(matrix, Matrix)
    assert tuple(matrix.rows) == tuple("the cat")


def test_attention_is_a_matrix_a_head() -> None:
    weights = torch.randn(1, 2, 7, 7).softmax(-1)
    matrix = shown({"attentions": (weights,)}, WORDS)["attentions 0"]
    assert isinstance(matrix, Matrix)
    assert (matrix.axes, matrix.scale) == (("head",), "probability")
    assert tuple(matrix.rows) == tuple(matrix.columns) == tuple("the cat")


def test_boxes_of_a_detector_lie_in_the_picture() -> None:
    found = {
        "boxes": torch.tensor([[1.0, 2, 3, 4], [0, 0, 30, 20]]),
        "scores": torch.tensor([0.9, 0.4]), "labels": torch.tensor([3, 1]),
    }  # fmt: skip
    boxes = shown([found])["boxes"]
    assert isinstance(boxes, Boxes)
    np.testing.assert_allclose(boxes.boxes, [[7, 11, 11, 15], [5, 7, 65, 47]])
    np.testing.assert_allclose(boxes.scores, [0.9, 0.4])
    assert tuple(boxes.labels) == ("#3", "#1")


@pytest.mark.parametrize(
    ("show", "shape", "wanted"),
    [
        ("scores", (1, 3, 4, 4), Scores), ("maps", (1, 3, 40, 40), FeatureMaps),
        ("matrix", (1, 8), Matrix), ("matrix", (1, 2, 5, 5), Matrix),
        ("picture", (1, 3, 8, 8), Image), ("mask", (1, 4, *SIZE), Masks),
        ("mask", (1, 1, *SIZE), Masks), ("picture", (1, 7, 8, 8), FeatureMaps),
    ],
)  # fmt: skip
def test_a_person_may_say_how_to_look_at_it(
    show: str, shape: tuple[int, ...], wanted: type[Artefact]
) -> None:
    assert kinds(torch.rand(shape), Reading(show=show, size=SIZE)) == {"result": wanted}


def test_logits_of_one_map_become_a_mask_by_the_logistic_function() -> None:
    logits = 3 * torch.randn(1, 1, *SIZE)
    masks = shown(logits, Reading(show="mask"))["result"]
    assert isinstance(masks, Masks)
    truth = 1 / (1 + np.exp(-logits[0, 0].numpy().astype(np.float64)))
    np.testing.assert_allclose(masks.masks[0], truth, atol=1e-6)
    assert masks.note == "logistic function of the output"


def test_maps_with_channels_last_are_turned() -> None:
    x = torch.randn(1, 4, 6, 5)
    maps = shown(x, Reading(channels_last=True))["result"]
    assert isinstance(maps, FeatureMaps)
    np.testing.assert_array_equal(maps.maps, x[0].permute(2, 0, 1).numpy())


def test_values_that_are_not_finite_do_not_stop_the_show() -> None:
    bad = torch.tensor([[1.0, torch.nan, torch.inf, -torch.inf]])
    scores = shown(bad)["result"]
    assert isinstance(scores, Scores)
    assert kinds(torch.full((1, 3, 20, 30), torch.nan))["result"] is FeatureMaps
    assert kinds(torch.full((1, 5, *SIZE), torch.nan)).keys() == {"result", "result classes"}
