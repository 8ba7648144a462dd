"""Faster R-CNN and the feature pyramid as engines, on generated scenes and on bad pictures."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as Picture

from engines.nn.detection.boxes import area, iou, to_centres
from engines.nn.detection.matching import IGNORED, NEGATIVE, Matcher
from engines.nn.detection.shapes import HELD_OUT, scene
from engines.nn.two_stage import rcnn, rcnn_stages
from engines.nn.two_stage.rcnn_stages import Look, look
from engines.nn.two_stage.rpn import ProposalRule, propose, reshaped
from engines.nn.two_stage.rpn_views import STATES, cell_anchors_at, levels_of
from explorer.api import Artefact, EngineError, ImageInput
from explorer.core.media import read_input
from explorer.core.registry import table
from explorer.core.session import Session
from explorer.kinds import Boxes

SCENE = scene(HELD_OUT + 3)


def session(name: str) -> Iterator[Session]:
    torch.set_num_threads(1)
    made = Session(table()[name], device="cpu", seed=0)
    made.open()
    yield made
    made.close()


LATERAL = "shapes-fpn-hard-lateral"


@pytest.fixture(scope="module")
def faster() -> Iterator[Session]:
    yield from session("faster-rcnn")


@pytest.fixture(scope="module")
def fpn() -> Iterator[Session]:
    yield from session("fpn")


def seen(made: Session, pixels: np.ndarray | None = None, **knobs: Any) -> dict[str, Artefact]:
    default = {f.name: f.default for f in dataclasses.fields(type(made.params))}
    made.set_params({**default, **knobs})
    photo = ImageInput(SCENE.image if pixels is None else pixels)
    return by_name(list(made.run({"image": photo})))


def by_name(frames: list[Any]) -> dict[str, Artefact]:
    return {a.name: a for frame in frames for a in frame.artefacts}


def arrays(artefact: Artefact) -> Mapping[str, np.ndarray]:
    return artefact.arrays()


@pytest.mark.parametrize("scale", [1, 3])
def test_anchors_of_the_cell_under_the_cursor_lie_where_the_rule_puts_them(
    faster: Session, scale: int
) -> None:
    """Cell (5, 5) at stride 4 has its anchors around (20, 20); cell (2, 2) at 8 around (16, 16)."""
    pixels = SCENE.image.repeat(scale, 0).repeat(scale, 1)
    made = seen(faster, pixels, cursor=(22.5 * scale, 22.5 * scale))
    boxes = made["anchors/under the cursor"]
    assert isinstance(boxes, Boxes)
    assert len(boxes.boxes) == 6
    for expected in ((14, 14, 26, 26), (5, 5, 27, 27)):
        assert np.abs(boxes.boxes - np.array(expected) * scale).max(1).min() < 1e-4
    assert list(boxes.ids) == [255, 256, 257, 822, 823, 824]  # (5 * 16 + 5) 3; 768 + (2 * 8 + 2) 3


def test_what_became_of_an_anchor_is_what_all_anchors_together_say(faster: Session) -> None:
    """Only anchors near the middle of a box are asked whether they are its best; no other is."""
    network: Any = faster.network
    made = looked(network, SCENE.image)
    levels = levels_of(network)
    draw = torch.Generator().manual_seed(4)
    for _ in range(4):
        corner = 44 * torch.rand(5, 2, generator=draw)
        truth = torch.cat([corner, corner + 4 + 20 * torch.rand(5, 2, generator=draw)], 1)
        matcher = Matcher(0.6, 0.3, best=True)
        matches = matcher(iou(truth, made.rpn.anchors))
        names = {NEGATIVE: STATES[2], IGNORED: STATES[1]}
        expected = [names.get(m, STATES[0]) for m in matches.tolist()]
        assert set(expected) == set(STATES)
        for x in range(2, 64, 4):
            for y in range(2, 64, 4):
                boxes = next(iter(cell_anchors_at(made, levels, (x, y), truth, matcher)))
                assert isinstance(boxes, Boxes)
                assert list(boxes.labels) == [expected[i] for i in boxes.ids]


def looked(network: rcnn.RCNN, pixels: np.ndarray, rule: ProposalRule | None = None) -> Look:
    with torch.no_grad():
        return look(network, rcnn.frame(pixels, network.framing), rule or network.proposing)


@pytest.mark.parametrize(
    ("name", "knobs"),
    [
        ("faster-rcnn", {"proposal_overlap": 0.3, "proposals": 20, "score": 0.05, "shown": 12}),
        ("faster-rcnn", {"positive": 0.4, "negative": 0.1, "cursor": (30.0, 30.0)}),
        ("fpn", {"overlap": 0.2, "show": "channel", "channel": 7}),
    ],
)
def test_redrawing_gives_what_a_run_gives(
    faster: Session, fpn: Session, name: str, knobs: dict[str, Any]
) -> None:
    made = faster if name == "faster-rcnn" else fpn
    before = seen(made)
    made.set_params(knobs)
    redrawn = by_name(list(made.again()))
    fresh = seen(made, **knobs)
    changed = 0
    for item, artefact in redrawn.items():
        for field, values in arrays(fresh[item]).items():
            assert np.array_equal(arrays(artefact)[field], values), (item, field)
            changed += not np.array_equal(arrays(before[item])[field], values)
    assert changed > 2


def test_the_chain_from_anchor_to_box_is_the_coding_of_the_paper(faster: Session) -> None:
    """Two decodings by hand, from the raw outputs of both heads."""
    made = seen(faster)
    way = made["region/from anchor to box"]
    assert isinstance(way, Boxes)
    network: Any = faster.network
    found = looked(network, SCENE.image)
    anchor, candidate, row = way.sources
    shifts = found.rpn.shifts()[0, anchor]
    proposal = decoded(found.rpn.anchors[anchor], shifts, (1.0, 1.0))
    np.testing.assert_allclose(way.boxes[0], found.rpn.anchors[anchor], atol=1e-5)
    np.testing.assert_allclose(way.boxes[1], proposal.clamp(0, 64), atol=1e-4)
    label = list(faster.engine.names).index(way.labels[2])
    box = decoded(proposal.clamp(0, 64), found.output.deltas[row, label], (10.0, 5.0))
    np.testing.assert_allclose(way.boxes[2], box.clamp(0, 64), atol=1e-4)
    assert float(found.candidates.boxes[candidate].sub(proposal.clamp(0, 64)).abs().max()) < 1e-4


def decoded(box: torch.Tensor, deltas: torch.Tensor, weights: tuple[float, float]) -> torch.Tensor:
    w, h = float(box[2] - box[0]), float(box[3] - box[1])
    x = float(box[0]) + w / 2 + float(deltas[0]) / weights[0] * w
    y = float(box[1]) + h / 2 + float(deltas[1]) / weights[0] * h
    w, h = (s * float((d / weights[1]).exp()) for s, d in ((w, deltas[2]), (h, deltas[3])))
    return torch.tensor([x - w / 2, y - h / 2, x + w / 2, y + h / 2])


def test_proposals_keep_their_promises(faster: Session) -> None:
    network: Any = faster.network
    made = looked(network, SCENE.image)
    with torch.no_grad():
        rpn = made.rpn
        all_of_them = propose(rpn, (64, 64), ProposalRule(960, 960, 1.0))
        few = propose(rpn, (64, 64), ProposalRule(960, 7, 0.5))
    assert len(all_of_them.kept) == len(all_of_them.boxes) <= 960
    assert len(few.kept) == 7
    assert bool((few.kept >= 0).all())
    assert bool((few.kept <= 64).all())
    assert few.scores[few.keep].tolist() == sorted(few.scores[few.keep].tolist(), reverse=True)
    for level in range(2):
        mine = few.kept[few.levels[few.keep] == level]
        overlap = iou(mine, mine).fill_diagonal_(0)
        assert not len(mine) or float(overlap.max()) <= 0.5


def test_proposals_that_the_second_stage_did_not_see_are_counted_and_give_no_box(
    faster: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with thousands of candidates: only those that survive in the run are scored."""
    whole = seen(faster, proposal_overlap=0.3)
    monkeypatch.setattr(rcnn_stages, "FEW", 10)
    few = seen(faster, proposal_overlap=0.3)
    for name in ("detections/boxes", "proposals/after suppression"):
        np.testing.assert_allclose(arrays(few[name])["boxes"], arrays(whole[name])["boxes"])
    assert "not scored" not in few["proposals/after suppression"].note
    faster.set_params({"proposal_overlap": 0.9, "score": 0.01})
    later = by_name(list(faster.again()))
    assert "were not scored in this run" in later["proposals/after suppression"].note
    made = looked(faster.network, SCENE.image, ProposalRule(150, 100, 0.3))  # type: ignore[arg-type]
    chosen = rcnn_stages.choose(made, 0.9, 100)
    assert chosen.unseen == int((made.row[chosen.kept] < 0).sum()) > 0
    found = rcnn_stages.to_candidates(made, chosen.kept, ("b", "d", "s", "t"), ("P2", "P3"))
    assert bool((made.row[found.sources] >= 0).all())
    assert len(made.seen) < len(made.candidates.boxes)


def test_other_anchors_have_the_same_middles(faster: Session) -> None:
    anchors = looked(faster.network, SCENE.image).rpn.anchors  # type: ignore[arg-type]
    other = reshaped(anchors, 2.0, 4.0)
    before, after = to_centres(anchors), to_centres(other)
    np.testing.assert_allclose(after[:, :2], before[:, :2], atol=1e-4)
    np.testing.assert_allclose(area(other), 4 * area(anchors), rtol=1e-5)
    tall = (after[:, 3] / after[:, 2]) / (before[:, 3] / before[:, 2])
    np.testing.assert_allclose(tall, 4.0, rtol=1e-5)


def test_anchors_that_the_heads_never_saw_are_said_to_be_so(faster: Session) -> None:
    own, other = seen(faster), seen(faster, anchor_size=2.0)
    name = "proposals/before regression"
    assert "not the anchors of the training" not in own[name].note
    assert "not the anchors of the training" in other[name].note
    sides = [np.ptp(arrays(made[name])["boxes"].reshape(-1, 2, 2), 1) for made in (own, other)]
    assert sides[1].max() == pytest.approx(2 * sides[0].max())


def test_stages_are_timed_when_asked(faster: Session) -> None:
    assert "timing/stages" not in seen(faster)
    scores = seen(faster, timing=True)["timing/stages"]
    values = arrays(scores)["scores"]
    assert len(values) == 4
    assert (values > 0).all()


def test_a_level_without_its_top_down_path_is_what_was_foretold(fpn: Session) -> None:
    whole, cut = seen(fpn), seen(fpn, off=((0.0, 1.0),))
    foretold = arrays(whole["parts/P2 without top-down"])["values"]
    np.testing.assert_allclose(arrays(cut["pyramid/P2"])["values"], foretold, atol=1e-5)
    assert not np.allclose(arrays(whole["pyramid/P2"])["values"], foretold, atol=1e-3)
    np.testing.assert_array_equal(
        arrays(cut["pyramid/P3"])["values"], arrays(whole["pyramid/P3"])["values"]
    )
    assert arrays(cut["switches/what each path carries"])["values"][1, 0] == 0
    np.testing.assert_array_equal(
        arrays(cut["intact/detections"])["boxes"], arrays(whole["detections/boxes"])["boxes"]
    )
    twice = seen(fpn, off=((0.0, 1.0), (0.0, 1.0)))
    np.testing.assert_array_equal(
        arrays(twice["pyramid/P2"])["values"], arrays(whole["pyramid/P2"])["values"]
    )


def test_weights_that_never_had_a_top_down_path_run_without_it(fpn: Session) -> None:
    fpn.set_params({"model": LATERAL})
    fpn.rebuild()
    as_trained = seen(fpn, model=LATERAL)
    on = seen(fpn, model=LATERAL, off=((0.0, 1.0),))
    fpn.set_params({"model": type(fpn.params)().model})
    fpn.rebuild()
    carried = arrays(as_trained["switches/what each path carries"])["values"]
    assert carried[1, 0] == 0 < carried[0, 0]
    assert arrays(on["switches/what each path carries"])["values"][1, 0] > 0
    np.testing.assert_array_equal(
        arrays(on["intact/detections"])["boxes"], arrays(as_trained["detections/boxes"])["boxes"]
    )


@pytest.mark.parametrize(("canonical", "level"), [(1.0, 0), (0.5, 0), (1.0, -1), (2.0, 1)])
def test_regions_are_pooled_from_the_level_of_their_size(
    fpn: Session, canonical: float, level: int
) -> None:
    """Equation 1 of the paper with 18 px at level 3, cut to the two levels there are."""
    made = seen(fpn, canonical=canonical, level=level, shown=100)["levels/of each proposal"]
    assert isinstance(made, Boxes)
    sides = made.boxes[:, 2:] - made.boxes[:, :2]
    size = np.sqrt(sides.prod(1)) / (18 * canonical)
    rule = np.clip(np.floor(3 + level + np.log2(size) + 1e-6), 2, 3)
    assert list(made.labels) == [f"P{int(k)}" for k in rule]
    assert len(made.boxes) > 50


def test_training_with_a_path_off_leaves_it_on_afterwards(fpn: Session) -> None:
    """Only the losses of a network without the path; the official one is not trained here."""
    losses = []
    for off in ((), ((0.0, 1.0),)):
        made = Session(table()["fpn"], device="cpu", seed=0, params={"off": off, "batch": 2})
        made.open()
        frames = list(made.train({}, steps=1))
        losses.append(by_name(frames)["training/loss"].arrays()["y"])
        assert list(made.engine.network.backbone.fpn.without_top_down) == []
        made.close()
    assert not np.array_equal(*losses)
    wanted = type(fpn.params)(model="fasterrcnn-resnet50-fpn-coco")
    with pytest.raises(EngineError, match="is not trained here; set model to shapes-untrained"):
        next(fpn.engine.train({}, wanted))


def test_a_path_that_is_not_there_is_named(fpn: Session) -> None:
    fpn.set_params({"off": ((4.0, 0.0),)})
    with pytest.raises(EngineError, match="levels 0 to 1 and paths 0"):
        list(fpn.run({"image": ImageInput(SCENE.image)}))
    assert seen(fpn)["detections/boxes"]


@pytest.mark.parametrize("name", ["faster-rcnn", "fpn"])
@pytest.mark.parametrize("shape", [(1, 1), (3, 400), (500, 2), (64, 64)])
def test_pictures_of_any_shape_give_a_right_result(
    faster: Session, fpn: Session, name: str, shape: tuple[int, int]
) -> None:
    made = seen(faster if name == "faster-rcnn" else fpn, np.zeros((*shape, 3), np.uint8))
    boxes = arrays(made["detections/boxes"])["boxes"]
    assert np.isfinite(boxes).all()
    assert (boxes >= 0).all()
    assert (boxes <= np.array([shape[1], shape[0]] * 2) + 1e-3).all()


@pytest.mark.parametrize("mode", ["L", "RGBA"])
def test_grey_and_transparent_pictures_are_read(faster: Session, tmp_path: Path, mode: str) -> None:
    path = tmp_path / "scene.png"
    Picture.fromarray(SCENE.image).convert(mode).save(path)
    photo = read_input("image", path)
    made = by_name(list(faster.run({"image": photo})))
    expected = SCENE.image if mode == "RGBA" else np.asarray(Picture.open(path))[..., None]
    same = seen(faster, np.broadcast_to(expected, SCENE.image.shape).copy())
    np.testing.assert_allclose(
        arrays(made["detections/boxes"])["boxes"], arrays(same["detections/boxes"])["boxes"]
    )


def test_nothing_found_is_an_empty_result(faster: Session) -> None:
    made = seen(faster, np.zeros((64, 64, 3), np.uint8), score=0.99)
    assert arrays(made["detections/boxes"])["boxes"].shape == (0, 4)
    assert set(made["anchors/under the cursor"].labels) == {"negative"}  # type: ignore[attr-defined]
    assert "region/pooled" in made


def test_weights_of_another_class_count_are_named() -> None:
    state = rcnn.small("faster", 4).state_dict()
    with pytest.raises(EngineError, match=r"cls_score\.weight is 4 × 96, wanted 7 × 96"):
        rcnn.load(rcnn.small("faster", 7), state, "mine")
