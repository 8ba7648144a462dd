"""Darknet's files: against OpenCV 4.8.1, against a direct loop of the index rule, and bad ones."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from engines.nn.one_stage.darknet import Darknet, Head, load_cfg, v1_grid
from engines.nn.one_stage.darknet_cfg import Section
from engines.nn.one_stage.darknet_weights import load_weights
from engines.nn.one_stage.reorg import Reorg, sources
from engines.nn.one_stage.yolo_boxes import v2_decode
from explorer.api import EngineError

GOLDEN = Path(__file__).parent.parent / "golden"
CFG = (GOLDEN / "darknet.cfg").read_text()


def filled() -> Darknet:
    network = load_cfg(GOLDEN / "darknet.cfg").eval()
    assert load_weights(network, GOLDEN / "darknet.weights") == 12345
    return network


def written(folder: Path, text: str, name: str = "own.cfg") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_layers_and_region_equal_opencv() -> None:
    network, golden = filled(), np.load(GOLDEN / "darknet.npz")
    with torch.no_grad():
        output = network(torch.from_numpy(golden["x"]))
    assert np.abs(output.numpy() - golden["output"]).max() < 1e-4
    assert network.head is not None
    found = v2_decode(output[0], torch.tensor(network.head.anchors), network.stride)
    rows = golden["rows"]
    size = np.array([96, 64])
    boxes = found.boxes.numpy()
    assert np.abs((boxes[:, :2] + boxes[:, 2:]) / 2 / size - rows[:, :2]).max() < 1e-4
    assert np.abs((boxes[:, 2:] - boxes[:, :2]) / size - rows[:, 2:4]).max() < 1e-4
    assert np.abs(found.confidence.numpy() - rows[:, 4]).max() < 1e-4
    scores = found.scores().numpy()
    shown = rows[:, 5:] > 0  # OpenCV sets those below a threshold to 0
    assert shown.sum() > 100
    assert np.abs(scores - rows[:, 5:])[shown].max() < 1e-4


@pytest.mark.parametrize("shape", [(8, 4, 4), (4, 6, 10), (64, 26, 26)])
def test_reorg_equals_a_direct_loop_of_the_index_rule(shape: tuple[int, int, int]) -> None:
    channels, height, width = shape
    s, inner = 2, channels // 4
    flat = np.random.default_rng(0).permutation(channels * height * width).astype(np.float32)
    out = np.empty_like(flat)
    for k in range(channels):
        o = k // inner
        for j in range(height):
            for i in range(width):
                there = i * s + o % s + width * s * (j * s + o // s + height * s * (k % inner))
                out[i + width * (j + height * k)] = flat[there]
    x = torch.from_numpy(flat).view(1, *shape)
    made = Reorg(2)(x)
    assert made.shape == (1, channels * 4, height // 2, width // 2)
    assert torch.equal(made.flatten(), torch.from_numpy(out))
    if shape != (4, 6, 10):
        assert not torch.equal(made, torch.nn.functional.pixel_unshuffle(x, 2))
    channel, y, column = sources(shape, 2, 1, 0).T
    assert torch.equal(x[0, channel, y, column], made[0, :, 1, 0])


def test_the_published_cfg_has_its_channels_and_parameters() -> None:
    plan = [32, 0, 64, 0, 128, 64, 128, 0, 256, 128, 256, 0, 512, 256, 512, 256, 512, 0]
    plan += [1024, 512, 1024, 512, 1024, 1024, 1024]  # 0 is a pool
    text, before = "[net]\nwidth=416\nheight=416\nchannels=3\n", 0
    for filters in plan:
        if not filters:
            text += "[maxpool]\nsize=2\nstride=2\n"
        else:
            text += convolution(filters, 1 if filters < before else 3)
            before = filters
    text += "[route]\nlayers=-9\n" + convolution(64, 1) + "[reorg]\nstride=2\n"
    text += "[route]\nlayers=-1,-4\n" + convolution(1024, 3)
    text += "[convolutional]\nsize=1\nstride=1\npad=1\nfilters=125\nactivation=linear\n"
    text += "[region]\nanchors=1.3221,1.73145, 3.19275,4.00944, 5.05587,8.09892, 9.47112,4.84053, "
    text += "11.2364,10.0071\nclasses=20\nnum=5\nsoftmax=1\n"
    with torch.device("meta"):
        network = Darknet(sections(text))
    assert sum(p.numel() for p in network.parameters()) == 50_655_389
    assert network.shapes[-1] == (125, 13, 13)
    assert network.stride == 32
    assert network.shapes[28][0] == 1280  # the reorganised 256 first, then the trunk's 1024
    assert not network.fixed


def convolution(filters: int, size: int) -> str:
    return (f"[convolutional]\nbatch_normalize=1\nfilters={filters}\nsize={size}\nstride=1\npad=1\n"
            "activation=leaky\n")  # fmt: skip


def sections(text: str) -> list[Section]:
    from tempfile import TemporaryDirectory

    from engines.nn.one_stage.darknet_cfg import read_cfg

    with TemporaryDirectory() as folder:
        return read_cfg(written(Path(folder), text))


def test_the_flat_output_of_v1_is_put_in_order() -> None:
    side, boxes, classes = 2, 2, 3
    head = Head(1, classes, boxes, side=side, roots=True)
    flat = torch.arange(side**2 * (5 * boxes + classes)).float()
    grid = v1_grid(flat.view(1, -1, 1, 1), head)[0]
    assert grid.shape == (5 * boxes + classes, side, side)
    cell = 1 * side + 0  # row 1, column 0
    first = side**2 * classes  # where the confidences begin
    coordinates = first + side**2 * boxes
    wanted = []
    for box in range(boxes):
        at = coordinates + (cell * boxes + box) * 4
        wanted += [*range(at, at + 4), first + cell * boxes + box]
    wanted += [cell * classes + c for c in range(classes)]
    assert grid[:, 1, 0].tolist() == wanted


def test_headers_of_both_ages_are_read(tmp_path: Path) -> None:
    raw = (GOLDEN / "darknet.weights").read_bytes()
    old = tmp_path / "old.weights"
    old.write_bytes(
        np.array([0, 1, 0], "<i4").tobytes() + np.array([777], "<u4").tobytes() + raw[20:]
    )
    network = load_cfg(GOLDEN / "darknet.cfg")
    assert load_weights(network, old) == 777
    for mine, golden in zip(network.parameters(), filled().parameters(), strict=True):
        assert torch.equal(mine, golden)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[region]", "[yolo]", r"own\.cfg, line 83: \[yolo\] is a layer that is not known"),
        ("activation=leaky", "activation=mish", r"line 14: activation='mish' is not one of leaky"),
        ("filters=8", "filters=eight", r"line 10: filters='eight' is not a number"),
        ("stride=1", "stride", r"line 12: 'stride' is neither"),
        ("layers=-2", "layers=-9", r"line \d+: layers='-9' is not one of the 6 layers before"),
        ("layers=-3,-1", "layers=0,-1", r"joins maps of different sizes: 64 x 96, 8 x 12"),
        ("classes=2", "classes=20", r"wants 75 values of the layer before it, which gives 21"),
        ("num=3", "num=5", r"5 anchors want 10 numbers, there are 6"),
        ("[net]", "[convolutional]", r"does not begin with \[net\]"),
        ("width=96", "", r"line 2: \[net\] has no 'width'"),
        ("height=64", "height=0", r"height='0' is not a whole number of at least 1"),
        ("height=64", "height=60", r"\[reorg\] of stride 2 does not fit a map of 8 x 15 x 24"),
    ],
)
def test_a_bad_cfg_is_named_with_its_line(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert old in CFG
    path = written(tmp_path, CFG.replace(old, new, 1))
    with pytest.raises(EngineError, match=words) as raised:
        load_cfg(path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda raw: raw[:-4], "is 4 bytes too short for darknet.cfg, which wants 10,125 numbers"),
        (lambda raw: raw + b"\0" * 8, "is 8 bytes too long for darknet.cfg"),
        (lambda raw: raw[:3000], r"it ends in layer 2 \(line 20\)"),
        (lambda raw: raw[:9], "9 bytes are no Darknet weights file"),
    ],
)
def test_a_short_or_long_weights_file_is_one_message(
    tmp_path: Path, change: object, words: str
) -> None:
    path = tmp_path / "w.weights"
    path.write_bytes(change((GOLDEN / "darknet.weights").read_bytes()))  # type: ignore[operator]
    network = load_cfg(GOLDEN / "darknet.cfg")
    before = [p.clone() for p in network.parameters()]
    with pytest.raises(EngineError) as raised:
        load_weights(network, path)
    assert re.search(words, str(raised.value))
    assert "\n" not in str(raised.value)
    pairs = zip(before, network.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs), "nothing is filled by half"


def test_a_picture_is_no_cfg(tmp_path: Path) -> None:
    path = tmp_path / "x.cfg"
    path.write_bytes(bytes(range(256)))
    with pytest.raises(EngineError, match="cannot be read as a Darknet cfg"):
        load_cfg(path)
    with pytest.raises(EngineError, match="cannot be read"):
        load_cfg(tmp_path / "missing.cfg")
