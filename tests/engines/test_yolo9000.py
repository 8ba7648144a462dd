"""YOLO9000: its scenes, joint training by hand and by autograd, boxes over the tree, own files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from engines.nn.detection import detector_training
from engines.nn.detection.detector_training import measure
from engines.nn.detection.shapes import HELD_OUT, scene, stacked
from engines.nn.one_stage.coloured_shapes import COLOURS, LEAVES, coloured, shapes_tree, single
from engines.nn.one_stage.tree_views import label_gradient, shown_nodes
from engines.nn.one_stage.wordtree import parse_tree
from engines.nn.one_stage.yolo9000 import published, small
from engines.nn.one_stage.yolo9000_files import own_yolo9000
from engines.nn.one_stage.yolo9000_params import SMALL
from engines.nn.one_stage.yolo9000_training import JointTraining, accuracies
from engines.nn.one_stage.yolo_boxes import v2_cells
from explorer.api import Artefact, Boxes, EngineError, FeatureMaps, Graph, ImageInput, Scores
from explorer.core.media import read_input, sample_inputs
from explorer.core.paths import assets
from explorer.core.registry import table
from explorer.core.session import Session

TINY = Path(__file__).parent.parent / "golden" / "yolo9000"
TREE = shapes_tree()


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    torch.set_num_threads(1)
    made = Session(table()["yolo9000"], device="cpu", seed=0)
    made.open()
    yield made
    made.close()


HELD = coloured(HELD_OUT + 143)  # a blue triangle, a green square, a red ring
PICTURE = {"image": ImageInput(HELD.image)}


def shown(session: Session, inputs: Any = None, **knobs: Any) -> dict[str, Artefact]:
    session.set_params(knobs)
    given = sample_inputs(session.row) if inputs is None else inputs
    return {a.name: a for frame in session.run(given) for a in frame.artefacts}


def again(session: Session, **knobs: Any) -> dict[str, Artefact]:
    session.set_params(knobs)
    return {a.name: a for frame in session.again() for a in frame.artefacts}


def trained(name: str = SMALL[0]) -> Any:
    network = small(TREE)
    network.load_state_dict(load_file(assets() / "weights" / f"{name}.safetensors"))
    return network.eval()


# -- scenes ------------------------------------------------------------------------------------


def test_the_tree_has_three_levels_below_its_root() -> None:
    assert TREE.words() == "19 nodes, 1 roots, 12 leaves, 8 groups, 4 levels"
    assert [TREE.names[n] for n in TREE.path(TREE.find("red ring"))] == [
        "object", "round", "ring", "red ring",
    ]  # fmt: skip
    assert sorted(LEAVES) == sorted(TREE.names[n] for n in TREE.leaves)


def test_a_scene_is_painted_as_its_labels_say() -> None:
    names = list(COLOURS)
    for seed in range(40):
        held = coloured(seed)
        assert (coloured(seed).image == held.image).all()
        plain = scene(seed)
        assert (held.boxes == plain.boxes).all()
        for label, mask, whole in zip(held.labels, held.masks, plain.masks, strict=True):
            colour, shape = LEAVES[label].split()
            mean = held.image[mask].mean(0)
            assert names[int(mean.argmax())] == colour
            assert (shape == "ring") == bool((whole & ~mask).any())
            if shape == "ring":  # its hole is ground, not paint
                hole = held.image[whole & ~mask].mean(0)
                assert np.abs(hole - held.image[~plain.masks.any(0)].mean(0)).max() < 12


def test_a_picture_without_boxes_has_one_object() -> None:
    for seed in range(20):
        one, whole = single(seed), scene(seed)
        assert len(one.labels) == 1
        areas = whole.masks.sum((1, 2))
        rest = np.delete(whole.masks, int(areas.argmax()), 0).any(0)
        if rest.any():  # painted over with ground
            ground = one.image[~whole.masks.any(0)]
            assert np.abs(one.image[rest].mean(0) - ground.mean(0)).max() < 6


# -- network and losses ------------------------------------------------------------------------


def test_the_published_network_has_its_numbers() -> None:
    """Trunk of Darknet-19 (20,842,376 with its classifier of 1,000) and 28,269 channels."""
    tree = parse_tree("\n".join(f"n{i} -1" for i in range(9418)), "flat")
    with torch.device("meta"):
        network = published(tree)
    head = network.body.head
    assert head.out_channels == 28269
    count = sum(p.numel() for p in network.parameters())
    assert count == 20_842_376 - 1000 * 1025 + 28269 * 1025


def lesson(**knobs: Any) -> tuple[JointTraining, Any]:
    params = SimpleNamespace(
        **{"train_steps": 10, "class_only": 2, "labels": "shape", "claim": "class", **knobs}
    )
    return JointTraining(small(TREE), params), params


@pytest.mark.parametrize("claim", ["class", "objectness"])
def test_a_name_alone_teaches_one_box_and_one_path(claim: str) -> None:
    joint, _ = lesson()
    grid = torch.randn(2, 3 * (5 + len(TREE)), 4, 4, generator=torch.Generator().manual_seed(3))
    grid.requires_grad_()
    nodes = [TREE.find("red ring"), TREE.find("polygon")]
    loss = joint.named_loss(grid, torch.tensor(nodes), claim)
    loss.backward()
    assert grid.grad is not None
    cells = v2_cells(grid.detach(), 3).flatten(1, 3)
    gradient = v2_cells(grid.grad, 3).flatten(1, 3)
    wanted = 0.0
    for picture, node in enumerate(nodes):
        # By hand: sigmoid of the objectness times the product of each group's softmax on the path.
        logits = cells[picture, :, 5:]
        p = torch.ones(len(logits))
        for n in TREE.path(node):
            group = np.flatnonzero(TREE.groups == TREE.groups[n]).tolist()
            p = p * logits[:, group].softmax(1)[:, group.index(n)]
        sure = cells[picture, :, 4].sigmoid()
        row = int((sure * p if claim == "class" else sure).argmax())
        wanted -= float(p[row].log())
        taught = gradient[picture].abs().sum(1).nonzero()[:, 0].tolist()
        assert taught == [row]
        assert (gradient[picture, row, :5] == 0).all(), "neither coordinates nor objectness"
        on = np.isin(TREE.groups, TREE.groups[TREE.path(node)])
        assert (gradient[picture, row, 5:][~torch.from_numpy(on)] == 0).all()
    assert float(loss.detach()) == pytest.approx(wanted / 2, abs=1e-5)


def test_what_is_shown_as_gradient_is_that_of_autograd() -> None:
    joint, _ = lesson()
    logits = torch.randn(3, len(TREE), generator=torch.Generator().manual_seed(0))
    logits.requires_grad_()
    nodes = torch.tensor([TREE.find(n) for n in ("blue disc", "triangle", "green square")])
    softmax = joint.network.tree
    joint._classify(logits, nodes).backward()
    assert logits.grad is not None
    wanted = logits.grad.abs().mean(0).numpy()
    assert joint.taught["scenes"] == pytest.approx(wanted, abs=1e-6)
    for row, node in enumerate(nodes.tolist()):
        conditional = softmax(logits[row]).exp().detach().numpy()
        shown = label_gradient(TREE, conditional, node)
        assert shown == pytest.approx(logits.grad[row].numpy(), abs=1e-6)


def test_boxes_labelled_by_shape_teach_no_colour() -> None:
    torch.manual_seed(0)
    joint, params = lesson()
    images, targets = joint.batch(range(4), hard=False)
    assert len(targets) == 4, "boxes alone at first"
    joint.loss(images, targets, params)
    leaves, inner = TREE.leaves, np.setdiff1d(np.arange(len(TREE)), TREE.leaves)
    assert (joint.taught["scenes"][leaves] == 0).all()
    assert (joint.taught["scenes"][inner[1:]] != 0).any()
    images, targets = joint.batch(range(12, 16), hard=False)  # step 3 of 10
    assert [len(t.boxes) > 0 for t in targets] == [True] * 4 + [False] * 2
    terms = joint.loss(images, targets, params)
    assert float(terms["name alone"].detach()) > 0
    assert (joint.taught["names alone"][leaves] != 0).any()
    deep, deep_params = lesson(labels="leaf")
    deep.loss(*deep.batch(range(4), hard=False), deep_params)
    assert (deep.taught["scenes"][leaves] != 0).any()


def test_ten_and_ten_steps_equal_twenty(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"EVERY": 3, "HELD": 2, "FINAL": 2, "SHOWN": 4}.items():
        monkeypatch.setattr(detector_training, name, value)
    kept = {name: value.clone() for name, value in session.network.state_dict().items()}
    few = {"train_steps": 6, "batch": 2, "class_only": 2}
    session.set_params(few)
    frames = list(session.train({}, out=tmp_path / "whole.safetensors", steps=6))
    list(session.train({}, out=tmp_path / "half.safetensors", steps=3))
    half = tmp_path / "half.safetensors"
    list(session.train({}, out=tmp_path / "rest.safetensors", resume=half, steps=3))
    session.network.load_state_dict(kept)
    first, second = (load_file(tmp_path / f"{n}.safetensors") for n in ("whole", "rest"))
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    names = {a.name for frame in frames for a in frame.artefacts}
    assert "taught/by scenes" in names


# -- the weights that ship ---------------------------------------------------------------------

SCORES = {
    "shapes-yolo9000": {"found": 0.99, "leaf": 0.98, "shape": 0.99, "AP50": 0.97},
    "shapes-yolo9000-boxes": {"found": 0.99, "leaf": 0.2, "shape": 0.99, "AP50": 0.05},
}


@pytest.mark.parametrize("name", SMALL)
@torch.no_grad()
def test_embedded_weights_score_as_recorded(name: str) -> None:
    network = trained(name)
    found = accuracies(network, count=100)
    floor = SCORES[name]
    assert all(found[key] >= floor[key] for key in ("found", "leaf", "shape")), found
    joint = JointTraining(network, SimpleNamespace())
    ap = measure(joint.detect, hard=False, count=100, source=joint.source)
    assert ap.at(0.5) >= floor["AP50"]
    if name == SMALL[1]:  # boxes never tell a colour: a third of them is guessed right
        assert found["leaf"] < 0.5


@torch.no_grad()
def test_leaves_and_parents_of_trained_weights_add_up() -> None:
    network = trained()
    said = network.read(network(stacked([coloured(HELD_OUT).image]))[0])
    joint = network.tree.joint(said.conditional).exp()
    torch.testing.assert_close(joint[:, TREE.leaves.tolist()].sum(1), torch.ones(len(joint)))
    inner = TREE.parents[1:].tolist()
    assert (joint[:, 1:] <= joint[:, inner] + 1e-6).all()


# -- what is shown -----------------------------------------------------------------------------


def test_boxes_are_named_where_the_way_down_stops(session: Session) -> None:
    made = shown(session, PICTURE, stop=0.3)
    boxes, graph = made["detections/boxes"], made["tree/way down"]
    assert isinstance(boxes, Boxes)
    assert isinstance(graph, Graph)
    assert sorted(boxes.labels) == sorted(LEAVES[label] for label in HELD.labels)
    assert graph.nodes[:8] == (*TREE.names[:7], "red"), "leaves without their parent's name"
    assert TREE.names[graph.chosen[-1]] == boxes.labels[0]
    # Edges carry P(node | parent), nodes the products.
    for (a, b), p in zip(graph.edges.tolist(), graph.weights.tolist(), strict=True):
        assert graph.values[b] == pytest.approx(graph.values[a] * p, abs=1e-4)


def test_what_lies_between_two_names_is_called_by_their_parent(session: Session) -> None:
    """The sample has a disc between two colours and one whose hole is too small for a ring."""
    boxes = shown(session, stop=0.7)["detections/boxes"]
    assert isinstance(boxes, Boxes)
    assert set(boxes.labels) == {"green square", "disc", "triangle", "round"}
    deeper = again(session, stop=0.0)["detections/boxes"]
    assert isinstance(deeper, Boxes)
    assert set(deeper.labels) <= set(LEAVES)
    high = again(session, stop=0.99, cursor=(17.0, 47.0))
    graph = high["tree/way down"]
    assert isinstance(graph, Graph)
    assert graph.nodes[graph.chosen[-1]] in ("object", "round")
    assert "not above 0.99" in graph.note
    again(session, stop=0.7, cursor=None)


def test_a_click_shows_another_boxs_way(session: Session) -> None:
    made = shown(session)
    boxes = made["detections/boxes"]
    assert isinstance(boxes, Boxes)
    for box, label in zip(boxes.boxes, boxes.labels, strict=True):
        middle = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
        graph = again(session, cursor=tuple(map(float, middle)))["tree/way down"]
        assert isinstance(graph, Graph)
        assert TREE.names[graph.chosen[-1]] == label
    again(session, cursor=None)


def test_a_subset_scores_by_the_sum_over_its_subtrees(session: Session) -> None:
    plain = shown(session, score=0.01)
    made = again(session, subset="disc, red ring")
    maps = plain["maps/nodes"]
    assert isinstance(maps, FeatureMaps)
    wanted = maps.maps[maps.labels.index("disc")] + maps.maps[maps.labels.index("red ring")]
    boxes = made["detections/boxes"]
    assert isinstance(boxes, Boxes)
    assert set(boxes.labels) <= {"disc", "red ring"}
    assert boxes.scores.max() <= wanted.max() + 1e-5
    polygons = again(session, subset="polygon")["detections/boxes"]
    rounds = again(session, subset="round, ring")["detections/boxes"]  # a ring is round already
    both = again(session, subset="")["detections/boxes"]
    assert isinstance(polygons, Boxes)
    assert isinstance(rounds, Boxes)
    assert isinstance(both, Boxes)
    assert set(rounds.labels) <= {"round"}
    assert max(polygons.scores.max(), rounds.scores.max()) <= both.scores.max() + 1e-6
    with pytest.raises(EngineError, match="the tree has no node 'cat'"):
        again(session, subset="cat")
    again(session, subset="", score=0.3)


def test_a_label_shows_which_nodes_it_would_teach(session: Session) -> None:
    shown(session, PICTURE)
    graph = again(session, label="square")["lesson/gradient"]
    assert isinstance(graph, Graph)
    values = dict(zip(TREE.names, graph.values.tolist(), strict=True))
    assert values["polygon"] <= 0
    assert values["round"] >= 0
    assert all(values[name] == 0 for name in LEAVES)
    assert values["disc"] == values["ring"] == 0
    answer = again(session, label="square")["lesson/who answers"]
    assert isinstance(answer, Boxes)
    truth = HELD.boxes[[LEAVES[label].endswith("square") for label in HELD.labels]][0]
    assert np.abs(answer.boxes[0] - truth).max() < 4
    again(session, label="")


def test_leaves_are_listed_and_sum_to_one(session: Session) -> None:
    leaves = shown(session)["nodes/leaves"]
    assert isinstance(leaves, Scores)
    assert leaves.full is not None
    assert leaves.full.sum() == pytest.approx(1.0, abs=1e-4)
    assert leaves.scores[0] == leaves.full.max()


def test_of_a_large_tree_a_path_and_its_siblings_are_drawn() -> None:
    tree = parse_tree(
        "a -1\n"
        + "".join(f"b{i} 0\n" for i in range(30))
        + "".join(f"c{i} 7\n" for i in range(30)),
        "large",
    )
    weight = np.linspace(0, 1, len(tree)).astype(np.float32)
    nodes = shown_nodes(tree, [0, 7], weight)
    assert {0, 7} <= set(nodes)
    assert set(nodes) - {0, 7} == {*range(25, 31), *range(55, 61)}


@pytest.mark.parametrize("shape", [(3, 3), (1, 500), (500, 2), (64, 64)])
def test_odd_pictures_give_a_right_or_empty_result(session: Session, shape: Any) -> None:
    pixels = np.full((*shape, 3), 128, np.uint8)
    made = shown(session, {"image": ImageInput(pixels)}, score=0.9)
    boxes = made["detections/boxes"]
    assert isinstance(boxes, Boxes)
    assert len(boxes.boxes) == 0
    assert isinstance(made["tree/way down"], Graph)
    shown(session, score=0.3)


def test_a_folder_is_scored_at_every_level_of_the_tree(session: Session, tmp_path: Path) -> None:
    categories = [{"id": i + 1, "name": n} for i, n in enumerate(("round", "square", "red ring"))]
    images, annotations = [], []
    for i in range(6):
        held = coloured(HELD_OUT + i)
        cv2.imwrite(str(tmp_path / f"{i}.png"), held.image[..., ::-1])
        images.append({"id": i, "file_name": f"{i}.png", "height": 64, "width": 64})
        for box, label in zip(held.boxes.tolist(), held.labels, strict=True):
            x1, y1, x2, y2 = box
            above = [TREE.names[n] for n in TREE.path(TREE.find(LEAVES[label]))]
            annotations += [
                {"id": len(annotations) + k, "image_id": i, "category_id": c["id"],
                 "bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1), "iscrowd": 0}
                for k, c in enumerate(categories) if c["name"] in above
            ]  # fmt: skip
    file = {"images": images, "annotations": annotations, "categories": categories}
    (tmp_path / "annotations.json").write_text(json.dumps(file))
    figures = session.evaluate(tmp_path)
    ap50 = next(v for k, v in figures.items() if "50" in k)
    assert ap50 > 0.9, figures


# -- a person's own Darknet files --------------------------------------------------------------


def test_own_files_are_read_with_their_tree() -> None:
    network, words = own_yolo9000(str(TINY / "tiny.cfg"))
    tree = network.tree.tree
    assert tree.names == ("animal", "thing", "dog", "cat", "cup", "terrier", "hound", "poodle")
    assert "tiny.weights" in words
    assert (network.stride, network.size) == (8, (64, 64))
    x = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        grid = network.eval()(x)[0]
        said = network.read(grid)
    cell = grid.view(2, 13, 8, 8)[1, :, 3, 5]  # second anchor, row 3, column 5
    row = (3 * 8 + 5) * 2 + 1
    assert float(said.decoded.confidence[row]) == pytest.approx(float(cell[4].sigmoid()), abs=1e-6)
    wide = float(said.decoded.boxes[row, 2] - said.decoded.boxes[row, 0])
    assert wide == pytest.approx(8 * 3 * float(cell[2].exp()), rel=1e-4)
    dogs = cell[5:][5:8].softmax(0)
    assert said.conditional[row, 5:8].exp().tolist() == pytest.approx(dogs.tolist(), abs=1e-6)


def test_own_files_that_do_not_belong_together_are_told(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    shutil.copytree(TINY, folder)
    cfg, tree = folder / "tiny.cfg", folder / "tiny.tree"
    text, lines = cfg.read_text(), tree.read_text()
    (folder / "tiny.names").unlink()
    tree.write_text(lines + "n9 4\n")
    with pytest.raises(EngineError, match=r"has 8 classes and tiny\.tree 9 nodes"):
        own_yolo9000(str(cfg))
    tree.unlink()
    with pytest.raises(EngineError, match=r"names the tree tiny\.tree, which is not beside it"):
        own_yolo9000(str(cfg))
    (folder / "data").mkdir()
    (folder / "data" / "tiny.tree").write_text(lines)
    assert len(own_yolo9000(str(cfg))[0].tree.tree) == 8
    cfg.write_text(text.replace("tree=data/tiny.tree", ""))
    with pytest.raises(EngineError, match="names no tree"):
        own_yolo9000(str(cfg))
    cfg.write_text(text.replace("[maxpool]", "[capsule]", 1))
    with pytest.raises(EngineError, match=r"tiny\.cfg, line 14: \[capsule\]"):
        own_yolo9000(str(cfg))
    cfg.write_text(text)
    (folder / "tiny.weights").write_bytes(b"\0" * 400)
    with pytest.raises(EngineError, match=r"tiny\.weights is .* too short"):
        own_yolo9000(str(cfg))
    with pytest.raises(EngineError, match="names 4 files"):
        own_yolo9000("a;b;c;d")


def test_own_files_are_not_trained_here() -> None:
    made = Session(table()["yolo9000"], device="cpu", seed=0,
                   params={"darknet": str(TINY / "tiny.cfg")})  # fmt: skip
    made.open()
    with pytest.raises(EngineError, match="leave darknet empty"):
        list(made.train({}, steps=1))
    made.close()


def test_a_photo_is_taken_whole(session: Session) -> None:
    photo = read_input("image", assets() / "coffee.png")
    made = shown(session, {"image": photo}, score=0.01)
    boxes = made["detections/boxes"]
    assert isinstance(boxes, Boxes)
    height, width = photo.pixels.shape[:2]
    assert (boxes.boxes >= 0).all()
    assert (boxes.boxes[:, [0, 2]] <= width).all()
    assert (boxes.boxes[:, [1, 3]] <= height).all()
    shown(session, score=0.3)
