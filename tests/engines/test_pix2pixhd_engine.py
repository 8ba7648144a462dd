"""The engine pix2pixhd: scenes, scores of pictures, painting, verdicts, training and its file."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from scipy.ndimage import distance_transform_edt
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import nn

from engines.motion.pix2pixhd import Pix2PixHDParams, dabbed, score_places, without
from engines.nn.detection.shapes import HELD_OUT, scene
from engines.nn.picture_scores import psnr, ssim
from engines.nn.readers import eight_bits
from engines.nn.translation import pix2pixhd_training
from engines.nn.translation.label2city import City, city_input, enhancer
from engines.nn.translation.pix2pixhd import (
    GlobalGenerator,
    LocalEnhancer,
    MultiscaleDiscriminator,
    initialise,
)
from engines.nn.translation.pix2pixhd_training import (
    FINAL,
    Pair,
    baselines,
    measure,
    schedule,
    train,
    update,
)
from engines.nn.translation.shaded_shapes import (
    ALBEDO,
    CLASSES,
    batch,
    depth_inside,
    from_tanh,
    label_map,
    one_hot,
    render,
    to_tanh,
)
from explorer.api import Checkpoint, EngineError, Image, WeightsMissing
from explorer.core.paths import assets
from explorer.core.registry import table
from explorer.core.session import Session
from explorer.kinds import Artefact
from explorer.params import KnobError

FILE = assets() / "weights/shapes-pix2pixhd.safetensors"

# -- scenes


def test_scenes_keep_their_bytes() -> None:
    """Training and held-out scores are those of exactly these pictures."""
    digest = hashlib.sha256()
    for seed in (0, 1, 2, HELD_OUT):
        labels = label_map(seed)
        assert labels.shape == (64, 64)
        assert render(labels).tobytes() == render(labels.copy()).tobytes()
        digest.update(labels.tobytes() + render(labels).tobytes())
    assert digest.hexdigest()[:16] == "af2d0829c8f2f251"


def test_a_label_map_holds_what_is_seen_of_each_object() -> None:
    for seed in range(20):
        drawn, labels = scene(seed, hard=True), label_map(seed)
        for mask, label in zip(drawn.masks, drawn.labels, strict=True):
            assert (labels[mask] == label + 1).all()
        assert (labels[~drawn.masks.any(0)] == 0).all()


def test_depth_is_the_euclidean_distance_of_scipy() -> None:
    mask = np.zeros((30, 40), bool)
    mask[4:20, 6:25] = mask[10:26, 20:34] = True
    assert np.abs(depth_inside(mask) - distance_transform_edt(mask)).max() < 1e-3
    assert (depth_inside(np.ones((5, 7), bool)) == 7).all()


def test_light_comes_from_the_upper_left() -> None:
    """The sides of a block: left and top are lit, right and bottom are not, and it throws shade."""
    labels = np.zeros((64, 64), np.uint8)
    labels[20:44, 20:44] = CLASSES.index("square")
    seen = render(labels).astype(float).sum(2)
    assert seen[26:38, 21].mean() > 1.5 * seen[26:38, 42].mean()
    assert seen[21, 26:38].mean() > 1.5 * seen[42, 26:38].mean()
    assert (seen[25:44, 45] < seen[25:44, 60]).all()
    plain = render(np.zeros((8, 8), np.uint8))
    assert np.array_equal(plain[3, 3], np.rint(0.8 * ALBEDO[0]).astype(np.uint8))


def test_pictures_survive_the_range_of_tanh() -> None:
    pictures = np.random.RandomState(0).randint(0, 256, (2, 5, 6, 3)).astype(np.uint8)
    assert np.array_equal(from_tanh(to_tanh(pictures)), pictures)
    maps, made = batch([3, 4])
    assert torch.equal(maps.argmax(1)[1], torch.from_numpy(label_map(4)).long())
    assert float(made.min()) >= -1
    assert float(made.max()) <= 1


@pytest.mark.parametrize("noise", [0.0, 3.0, 60.0])
def test_scores_of_pictures_are_those_of_scikit_image(noise: float) -> None:
    draw = np.random.RandomState(1)
    a = render(label_map(5))
    b = np.clip(a + draw.normal(2, noise + 1, a.shape), 0, 255).astype(np.uint8)
    assert psnr(a, b) == pytest.approx(peak_signal_noise_ratio(a, b), abs=1e-9)
    wanted = structural_similarity(a, b, channel_axis=2, data_range=255)
    assert ssim(a, b) == pytest.approx(float(wanted), abs=1e-9)
    assert psnr(a, a) == float("inf")
    assert ssim(a, a) == pytest.approx(1.0)


# -- painting, bypass and verdicts


def test_dabs_cover_pixels_by_their_centres_and_in_order() -> None:
    labels = np.zeros((8, 8), np.uint8)
    one = dabbed(labels, ((3.5, 2.5, 0.2, 2.0),))
    assert one[2, 3] == 2
    assert one.sum() == 2
    two = dabbed(labels, ((4.0, 4.0, 3.0, 1.0), (4.0, 4.0, 1.0, 0.0), (0.5, 0.5, 0.1, 99.0)))
    assert (two[3:5, 3:5] == 0).all()
    assert two[4, 1] == 1
    assert two[0, 0] == len(CLASSES) - 1, "no class above the last"
    assert labels.sum() == 0


def test_a_skipped_block_is_one_whose_convolutions_give_nothing() -> None:
    network = GlobalGenerator(2, width=4, downs=2, blocks=2)
    initialise(network, torch.Generator().manual_seed(1))
    x = torch.randn(1, 2, 16, 16)
    with torch.no_grad():
        whole, skipped = network(x), without(network, 2, x)
        blocks = [m for m in network.model if hasattr(m, "conv_block")]
        blocks[1].conv_block = Nothing()
        assert torch.equal(network(x), skipped)
        assert torch.equal(without(network, 0, x), skipped)
    assert not torch.equal(whole, skipped)


class Nothing(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(x)


@pytest.mark.parametrize("scale", [0, 1])
def test_a_score_lies_where_it_looks(scale: int) -> None:
    """The middle of the gradient of one score, without norms that see everything."""
    network = MultiscaleDiscriminator(1, width=2, scales=2, norm=lambda _: nn.Identity())
    with torch.no_grad():
        for p in network.parameters():
            p.fill_(0.1)
    x = torch.ones(1, 1, 256, 256, requires_grad=True)
    score = network(x)[scale][-1]
    at = 16 // (scale + 1)
    (gradient,) = torch.autograd.grad(score[0, 0, at, at], x)
    columns = torch.where(gradient[0, 0].abs().sum(0) > 0)[0]
    middle = (int(columns.min()) + int(columns.max()) + 1) / 2
    affine = list(score_places())[scale]
    assert affine.to_input(at + 0.5, at + 0.5) == pytest.approx((middle, middle))


# -- the engine


def made(session: Session) -> dict[str, Artefact]:
    return {a.name: a for frame in session.run({}) for a in frame.artefacts}


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    torch.set_num_threads(1)
    opened = Session(table()["pix2pixhd"], device="cpu")
    opened.open()
    yield opened
    opened.close()


def test_paint_changes_map_output_and_truth_at_once(session: Session) -> None:
    session.set_params({"painted": (), "brush": "square", "radius": 7.0})
    before = made(session)
    assert before["painting/label map"].gestures == {"paint": "painted=2,7"}
    session.set_params({"painted": ((32.0, 32.0, 9.0, 2.0),)})
    after = made(session)
    for name in ("painting/label map", "painting/output", "input/ground truth"):
        a, b = before[name], after[name]
        assert isinstance(a, Image)
        assert isinstance(b, Image)
        assert not np.array_equal(a.image[26:38, 26:38], b.image[26:38, 26:38]), name
    session.set_params({"painted": ()})


def test_figures_shown_are_those_of_the_arrays(session: Session) -> None:
    session.set_params({"painted": (), "noise": 0.0, "bypass": 0})
    shown: dict[str, Any] = made(session)
    found, truth = shown["painting/output"].image, shown["input/ground truth"].image
    assert f"PSNR {peak_signal_noise_ratio(truth, found):.1f} dB" in shown["painting/output"].note
    labels = label_map(HELD_OUT + session.params.seed)
    with torch.no_grad():
        values = session.network.generator(one_hot(labels[None]))
    shares = [float((values.abs() > bound).float().mean()) for bound in (0.5, 0.9, 0.99)]
    assert shown["range/saturated"].labels == ("> 0.5", "> 0.9", "> 0.99")
    assert shown["range/saturated"].scores == pytest.approx(shares)
    assert shown["range/output"].counts.sum() == 3 * 64 * 64


def test_an_output_that_is_the_truth_matches_in_every_feature(session: Session) -> None:
    """The trivial case: then no layer differs, and both maps of a scale are one."""
    shown: dict[str, Any] = made(session)
    table_of = shown["matching/features"].values
    assert table_of.shape == (2, 4)
    assert (table_of > 0).all()
    maps, truth = batch([HELD_OUT])
    network: Any = session.network
    with torch.no_grad():
        judged = network.judged(maps.expand(2, -1, -1, -1), truth.expand(2, -1, -1, -1))
    for scale in judged:
        for layer in scale:
            assert torch.equal(layer[0], layer[1])


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"brush": "sky"}, "brush"),
        ({"bypass": 4}, "bypass"),
        ({"noise": -1.0}, "noise"),
        ({"painted": "1,2,3"}, "painted"),
        ({"painted": "1,2,x,4"}, "painted"),
    ],
)
def test_wrong_knobs_are_named(session: Session, values: dict[str, Any], words: str) -> None:
    with pytest.raises(KnobError, match=words):
        session.set_params(values)


def test_a_dab_far_outside_the_map_paints_nothing(session: Session) -> None:
    session.set_params({"painted": ()})
    before: dict[str, Any] = made(session)
    session.set_params({"painted": ((-500.0, 900.0, 5.0, 2.0),)})
    after: dict[str, Any] = made(session)
    session.set_params({"painted": ()})
    assert np.array_equal(before["painting/output"].image, after["painting/output"].image)


def test_damaged_weights_end_in_one_line(session: Session) -> None:
    network = Pair()
    tensors = dict(network.state_dict())
    tensors["generator.model.1.weight"] = torch.zeros(16, 9, 7, 7)
    host = session.engine.host
    broken = copy.copy(session.engine)
    broken.host = Weights(tensors)  # type: ignore[assignment]
    with pytest.raises(RuntimeError, match=r"generator\.model\.1\.weight is 16 × 9 × 7 × 7"):
        broken.build(Pix2PixHDParams())
    assert session.engine.host is host


class Weights:
    def __init__(self, tensors: dict[str, torch.Tensor]) -> None:
        self._tensors = tensors

    def weights(self, name: str) -> dict[str, torch.Tensor]:
        return self._tensors


# -- training


class Host:
    """As much of a session as a training asks for."""

    device, seed = torch.device("cpu"), 0

    def progress(self, text: str, fraction: float | None = None) -> None:
        self.last = text, fraction

    def generator(self) -> torch.Generator:
        return torch.Generator().manual_seed(self.seed)


def checkpoints(
    network: Pair, params: Pix2PixHDParams, resume: Checkpoint | None = None
) -> Iterator[Checkpoint]:
    run = train(network, Host(), params, resume)  # type: ignore[arg-type]
    given = next(run)
    while True:
        if isinstance(given, Checkpoint):
            yield given
        try:
            given = run.send(params)
        except StopIteration:
            return


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """One held-out scene is enough where no score is looked at."""
    for name in ("HELD", "SHOWN"):
        monkeypatch.setattr(pix2pixhd_training, name, 1)


@pytest.mark.usefixtures("few")
def test_a_resumed_training_is_the_unbroken_one() -> None:
    params = Pix2PixHDParams(train_steps=4, batch=1)
    for given in checkpoints(Pair(), params):
        if given.step == 2:
            kept = Checkpoint(2, {}, copy.deepcopy(dict(given.state)))
    last = list(checkpoints(Pair(), params, kept))[-1]
    assert last.step == given.step == 4
    assert last.score == given.score
    assert last.state["log"] == given.state["log"]
    for name, value in given.weights.items():
        assert torch.equal(value, last.weights[name]), name


@pytest.mark.usefixtures("few")
def test_a_training_learns() -> None:
    params = Pix2PixHDParams(train_steps=16, batch=2)
    given = list(checkpoints(Pair(), params))[-1]
    pixels = given.state["log"]["terms"]["pixels"]["values"]
    assert len(pixels) == 16
    assert np.mean(pixels[-3:]) < 0.75 * pixels[0]


def test_the_rate_stands_and_then_falls_to_nothing() -> None:
    rates = [schedule(step, 100) for step in range(1, 101)]
    assert rates[:50] == [1.0] * 50
    assert rates[75] == pytest.approx(2 * 25 / 101)
    assert 0 < rates[-1] < 0.03


def test_the_generators_losses_leave_the_discriminators_alone() -> None:
    """Their step is the same whatever feature matching and pixels weigh."""
    maps, pictures = batch([0, 1])
    ends = []
    for weight in (0.0, 10.0):
        network = Pair()
        network.start(torch.Generator().manual_seed(3))
        optimisers: dict[str, torch.optim.Optimizer] = {
            name: torch.optim.SGD(part.parameters(), 0.1) for name, part in network.named_children()
        }
        params = dataclasses.replace(Pix2PixHDParams(), matching=weight, pixels=weight)
        update(network, optimisers, maps, pictures, params, 0.1)
        ends.append(network)
    a, b = ends
    assert all(torch.equal(p, q) for p, q in zip(*(n.discriminator.parameters() for n in ends),
                                                 strict=True))  # fmt: skip
    first = a.generator.model[1].weight
    assert not torch.equal(first, b.generator.model[1].weight)


# -- the file


@pytest.fixture(scope="module")
def trained() -> Pair:
    network = Pair()
    network.load_state_dict({name: value.float() for name, value in eight_bits(FILE).items()})
    return network.eval()


def test_the_file_scores_as_recorded_and_beats_the_baselines(trained: Pair) -> None:
    with safe_open(FILE, "pt") as file:
        about = file.metadata()
    ours = measure(trained.generator, FINAL)
    assert ours.psnr == pytest.approx(float(about["score PSNR"]), abs=0.02)
    assert ours.ssim == pytest.approx(float(about["score SSIM"]), abs=0.001)
    named = dict(baselines(400, 20))
    few = measure(trained.generator, 20)
    for name, other in named.items():
        assert few.psnr > other.psnr + 2, name
        assert few.ssim > other.ssim + 0.1, name


def test_the_discriminators_tell_output_from_truth(trained: Pair) -> None:
    """Of held-out scenes too: the truth is scored above the output, at each scale."""
    maps, truth = batch(range(HELD_OUT, HELD_OUT + 20))
    with torch.no_grad():
        fake = trained.judged(maps, trained.generator(maps))
        real = trained.judged(maps, truth)
    for f, r in zip(fake, real, strict=True):
        assert float(r[-1].mean()) > float(f[-1].mean()) + 0.1


# -- the authors' generator, from a user's own file


def small_enhancer() -> LocalEnhancer:
    network = LocalEnhancer(36, width=2, downs=2, blocks=2, local_blocks=3)
    initialise(network, torch.Generator().manual_seed(2))
    return network.eval()


def test_a_file_with_the_authors_keys_is_read_in_any_size() -> None:
    wanted = small_enhancer()
    got = enhancer(wanted.state_dict())
    x = torch.randn(1, 36, 64, 64)
    with torch.no_grad():
        assert torch.equal(got(x), wanted(x))
        assert torch.equal(without(got, 0, x), wanted(x))
        skipped = without(got, 2, x)
        wanted.model1_2[1].conv_block = Nothing()
        assert torch.equal(skipped, wanted(x))


def test_another_network_is_refused_with_the_cause() -> None:
    with pytest.raises(EngineError, match="LocalEnhancer"):
        enhancer(GlobalGenerator(4, width=2, blocks=1).state_dict())
    tensors = small_enhancer().state_dict()
    tensors.pop("model.1.bias")
    with pytest.raises(EngineError, match=r"model\.1\.bias 4 is missing"):
        enhancer(tensors)


def test_inputs_are_classes_of_cityscapes_and_edges() -> None:
    labels = np.zeros((6, 6), np.uint8)
    labels[2:4, 2:4] = CLASSES.index("square")
    x = city_input(labels, 36)[0]
    assert x.shape == (36, 6, 6)
    assert (x[:35].sum(0) == 1).all()
    assert x[11].bool().numpy().tolist() == (labels == 2).tolist()
    assert x[7].sum() == 32
    assert x[35].sum() == 4 + 8  # the block, and what touches its sides


def test_without_the_file_it_says_which_one_is_wanted() -> None:
    opened = Session(table()["pix2pixhd"], device="cpu", params={"weights": "label2city"})
    with pytest.raises(WeightsMissing, match="layerscope weights import label2city FILE"):
        opened.open()


def test_an_own_file_paints_without_a_truth() -> None:
    opened = Session(table()["pix2pixhd"], device="cpu")
    opened.open()
    opened.engine.network = opened.network = City(small_enhancer())  # type: ignore[misc]
    shown: dict[str, Any] = made(opened)
    assert set(shown) == {
        "painting/label map", "painting/output", "range/saturated", "range/output"
    }  # fmt: skip
    assert shown["painting/output"].image.shape == (256, 256, 3)
    with pytest.raises(EngineError, match="no discriminators"):
        list(opened.train({}, steps=1))
    opened.close()
