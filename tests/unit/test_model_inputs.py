"""What a person's network is given: guesses, what is written or set, and the tensors themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from explorer.core.media import sample_inputs
from explorer.core.own_models.model_inputs import (
    Dressing,
    Wanted,
    make,
    numbers_of,
    picture,
    tokens,
    with_channels,
    written,
)
from explorer.core.own_models.model_row import own_row
from explorer.core.session import EngineFailed, Session
from explorer.engine import EngineError, prepare, prepared_from
from explorer.inputs import ImageInput, TextInput
from explorer.kinds import Artefact, FeatureMaps, Text

HEAD = "import torch\nfrom torch import nn\nimport torch.nn.functional as F\n"


def opened(folder: Path, body: str, **values: Any) -> Session:
    path = folder / "net.py"
    path.write_text(HEAD + body, encoding="utf-8")
    row, knobs = own_row(str(path))
    session = Session(row, device="cpu", params={**knobs, **values})
    session.statistics_every = 0.0
    session.open()
    return session


def given(session: Session) -> tuple[list[Any], dict[str, Any], dict[str, Artefact]]:
    """What the network was called with, and what was shown."""
    seen: list[tuple[Any, Any]] = []
    hook = session.network.register_forward_pre_hook(
        lambda _m, args, kwargs: seen.append((args, kwargs)), with_kwargs=True
    )
    frames = list(session.run(dict(sample_inputs(session.row))))
    hook.remove()
    args, kwargs = seen[-1]
    return list(args), dict(kwargs), {a.name: a for f in frames for a in f.artefacts}


def shapes(values: list[Any]) -> list[tuple[int, ...]]:
    return [tuple(v.shape) for v in values]


MODULE = "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n        "

GUESSES = {
    "grey digits": ("model = nn.Sequential(nn.Conv2d(1, 2, 5), nn.Flatten(), nn.Linear(1152, 3))",
                    [(1, 1, 28, 28)]),
    "small colours": ("model = nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(1800, 3))",
                      [(1, 3, 32, 32)]),
    "any size": ("model = nn.Conv2d(3, 2, 3)", [(1, 3, 224, 224)]),
    "four channels": ("model = nn.Conv2d(4, 2, 3)", [(1, 4, 224, 224)]),
    "grouped": ("model = nn.Conv2d(6, 6, 3, groups=3)", [(1, 6, 224, 224)]),
    "pixels in a row": ("model = nn.Linear(784, 3)", [(1, 784)]),
    "pixels that it flattens": ("model = nn.Sequential(nn.Flatten(), nn.Linear(3072, 3))",
                                [(1, 3072)]),
    "numbers": ("model = nn.Linear(13, 3)", [(1, 13)]),
    "latents": ("model = nn.ConvTranspose2d(100, 8, 4)", [(1, 100, 1, 1)]),
    "sound": ("model = nn.Conv1d(2, 8, 9)", [(1, 2, 1024)]),
    "frames": ("model = nn.Conv3d(3, 2, 3)", [(1, 3, 8, 224, 224)]),
    "sequence": ("model = nn.GRU(7, 5, batch_first=True)", [(1, 16, 7)]),
    "sequence, time first": ("model = nn.LSTM(7, 5)", [(16, 1, 7)]),
    "two pictures": (MODULE + "self.c = nn.Conv2d(3, 2, 3)\n"
                     "    def forward(self, left, right):\n"
                     "        return self.c(left) - self.c(right)", [(1, 3, 224, 224)] * 2),
    "picture and time": (MODULE + "self.c = nn.Conv2d(3, 2, 3); self.t = nn.Linear(1, 2)\n"
                         "    def forward(self, x, t):\n"
                         "        return self.c(x) + self.t(t[:, None].float())[:, :, None, None]",
                         [(1, 3, 224, 224), (1,)]),
    "two sorts": (MODULE + "self.z = nn.Linear(50, 2); self.c = nn.Conv2d(3, 2, 3)\n"
                  "    def forward(self, latent, x):\n"
                  "        return self.c(x).mean((2, 3)) + self.z(latent)",
                  [(1, 50), (1, 3, 224, 224)]),
    "lazy layers": ("model = nn.Sequential(nn.LazyConv2d(4, 3), nn.AdaptiveAvgPool2d(1),"
                    " nn.Flatten(), nn.LazyLinear(2))", [(1, 3, 224, 224)]),
    "what it says of its size": ("model = nn.Conv2d(3, 2, 3); model.img_size = (96, 96)",
                                 [(1, 3, 96, 96)]),
}  # fmt: skip


@pytest.mark.parametrize("name", GUESSES)
def test_inputs_are_guessed_so_that_the_network_runs(tmp_path: Path, name: str) -> None:
    body, wanted = GUESSES[name]
    args, _, shown = given(opened(tmp_path, body))
    assert shapes(args) == wanted
    assert any(n.startswith("output/") for n in shown)


def test_token_ids_are_bytes_of_the_text_below_the_size_of_the_vocabulary(tmp_path: Path) -> None:
    session = opened(tmp_path, "model = nn.Embedding(256, 8)")
    assert session.row.inputs == {"text": "text"}
    args, _, _ = given(session)
    assert args[0].tolist() == [list(b"the cat sat on the mat")]
    assert args[0].dtype == torch.int64


def test_inputs_of_one_type_are_slots_of_their_own_names(tmp_path: Path) -> None:
    body = MODULE + (
        "self.c = nn.Conv2d(3, 2, 3)\n    def forward(self, left, right):\n"
        "        return self.c(left) - self.c(right)"
    )
    session = opened(tmp_path, body)
    assert session.row.inputs == {"left": "image", "right": "image"}
    args, _, shown = given(session)
    assert not torch.equal(args[0], args[1])  # each slot has a sample of its own
    assert {"input/left", "input/right"} <= shown.keys()


def test_a_name_that_is_only_a_keyword_is_passed_as_one(tmp_path: Path) -> None:
    body = MODULE + (
        "self.c = nn.Conv2d(3, 2, 3)\n    def forward(self, x, *, scale):\n"
        "        return self.c(x) * scale"
    )
    args, kwargs, _ = given(opened(tmp_path, body))
    assert shapes(args) == [(1, 3, 224, 224)]
    assert list(kwargs) == ["scale"]


CONFIGURED = (
    MODULE
    + """self.e = nn.Embedding(50, 8); self.p = nn.Conv2d(1, 8, 4)
        self.config = __import__("types").SimpleNamespace(
            vocab_size=50, max_position_embeddings=7, image_size=20, num_channels=1)
        self.main_input_name = MAIN
    def forward(self, input_ids=None, attention_mask=None, pixel_values=None):
        x = 0 if input_ids is None else self.e(input_ids).mean()
        return x + (0 if pixel_values is None else self.p(pixel_values).mean(1))
"""
)


@pytest.mark.parametrize(
    ("main", "wanted"), [("input_ids", {"input_ids": (1, 7)}),
                         ("pixel_values", {"pixel_values": (1, 1, 20, 20)})],
)  # fmt: skip
def test_a_configuration_tells_vocabulary_positions_and_size(
    tmp_path: Path, main: str, wanted: dict[str, tuple[int, ...]]
) -> None:
    _, kwargs, _ = given(opened(tmp_path, CONFIGURED.replace("MAIN", repr(main))))
    assert {name: tuple(v.shape) for name, v in kwargs.items()} == wanted
    if main == "input_ids":
        assert kwargs[main].tolist() == [[b % 50 for b in b"the cat"]]


def test_what_no_guess_fits_names_the_knobs_and_the_session_goes_on(tmp_path: Path) -> None:
    body = MODULE + (
        "self.c = nn.Conv2d(3, 2, 3)\n    def forward(self, x):\n"
        "        return self.c(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)"
    )
    session = opened(tmp_path, body)
    with pytest.raises(EngineFailed, match=r"1 × 3 × 224 × 224.*With layout NHWC it runs"):
        given(session)
    assert session.set_params({"layout": "NHWC", "size": 40}) == "run"
    args, _, shown = given(session)
    assert shapes(args) == [(1, 40, 40, 3)]
    maps = shown["output/result"]
    assert isinstance(maps, FeatureMaps)
    assert maps.maps.shape == (2, 38, 38)  # what comes out is read in the same order


def test_a_network_of_unheard_inputs_says_how_to_write_them(tmp_path: Path) -> None:
    body = MODULE + (
        "self.c = nn.Conv2d(3, 2, 3)\n    def forward(self, batch):\n"
        "        return self.c(batch['pixels'])"
    )
    with pytest.raises(EngineFailed, match=r"raised .*batch: 1 × 3 .*Set inputs \(such as x=image"):
        given(opened(tmp_path, body))


# -- written and set


def test_inputs_as_written(tmp_path: Path) -> None:
    body = MODULE + (
        "self.c = nn.Conv2d(3, 2, 3)\n    def forward(self, x, t, mask, z):\n"
        "        return self.c(x * mask) * t + z.mean()"
    )
    text = "x=image 2x3x10x12; t=value 0.5; mask=ones 1x1x10x12; z=noise 4x5"
    session = opened(tmp_path, body, inputs=text, seed=3)
    args, kwargs, shown = given(session)
    assert args == []
    assert {n: tuple(v.shape) for n, v in kwargs.items()} == {
        "x": (2, 3, 10, 12), "t": (1,), "mask": (1, 1, 10, 12), "z": (4, 5),
    }  # fmt: skip
    assert kwargs["t"].item() == 0.5
    assert bool((kwargs["mask"] == 1).all())
    truth = torch.randn(4, 5, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(kwargs["z"], truth, rtol=0, atol=0)
    said = shown["input/model"]
    assert isinstance(said, Text)
    assert "z: 4 × 5 float32 (as written)" in said.text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("x=picture", r"'x=picture': unknown kind of input 'picture'; .*image"),
        ("=", "no kind of input; write them like"),
        ("t=value ten", "'ten' is no number"),
        ("z=noise 3,4", "no kind of input"),
        ("z=noise axb", "'axb' is no shape; write a shape like 1x3x64x64"),
        ("x=image 3x4", "a picture has four sizes"),
    ],
)
def test_inputs_that_cannot_be_read_say_so(text: str, why: str) -> None:
    with pytest.raises(EngineError, match=why):
        written(text, [Wanted("x", "image")])


def test_written_inputs_without_names_are_in_order() -> None:
    guess = (Wanted("x", "image", (None, 1, 28, 28)), Wanted("y", "tokens", ids=9))
    found = written("image; tokens", guess)
    assert [(w.name, w.keyword, w.shape, w.ids) for w in found] == [
        ("x", False, (None, 1, 28, 28), 0), ("y", False, (), 9),
    ]  # fmt: skip


# -- pictures


@pytest.fixture
def photo() -> ImageInput:
    return ImageInput(np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8))


def dressed(photo: ImageInput, **more: Any) -> Any:
    dressing = Dressing(size=6, width=8, fit="stretch", **more)
    x, _, size = picture(photo.pixels, Wanted("x", "image"), dressing, "cpu", torch.float32)
    assert size == (6, 8)
    return x


@pytest.mark.parametrize(
    ("mean", "std"), [((0.0,), (1.0,)), ((0.5,), (0.25,)), ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))]
)
def test_values_are_the_picture_less_mean_over_std(
    photo: ImageInput, mean: tuple[float, ...], std: tuple[float, ...]
) -> None:
    x = dressed(photo, mean=mean, std=std)
    truth = (photo.pixels.astype(np.float64) / 255 - np.array(mean)) / np.array(std)
    np.testing.assert_allclose(x[0].permute(1, 2, 0).numpy(), truth, atol=1e-6)


def test_layouts_hold_the_same_numbers(photo: ImageInput) -> None:
    x = dressed(photo)
    assert torch.equal(dressed(photo, layout="NHWC"), x.permute(0, 2, 3, 1))
    assert torch.equal(dressed(photo, layout="flat"), x.reshape(1, -1))
    frames = dressed(photo, layout="frames", frames=5)
    assert frames.shape == (1, 3, 5, 6, 8)
    assert torch.equal(frames[:, :, 4], x)
    listed = dressed(photo, layout="list", batch=2)
    assert [tuple(v.shape) for v in listed] == [(3, 6, 8)] * 2
    assert torch.equal(listed[1], x[0])
    assert torch.equal(dressed(photo, batch=3)[2], x[0])


def test_bytes_go_in_as_bytes_whatever_the_normalisation(photo: ImageInput) -> None:
    for mean, std in [((0.0,), (1.0,)), ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))]:
        x = dressed(photo, mean=mean, std=std, dtype=torch.uint8)
        assert x.dtype == torch.uint8
        np.testing.assert_array_equal(x[0].permute(1, 2, 0).numpy(), photo.pixels)


def test_grey_more_and_fewer_channels() -> None:
    x = torch.rand(1, 3, 4, 5)
    torch.testing.assert_close(with_channels(x, 1, "repeat"), x.mean(1, keepdim=True))
    assert torch.equal(with_channels(x, 2, "ones"), x[:, :2])
    assert torch.equal(with_channels(x, 6, "repeat"), torch.cat([x, x], 1))
    for extra, value in (("ones", 1.0), ("zeros", 0.0)):
        made = with_channels(x, 5, extra)
        assert torch.equal(made[:, :3], x)
        assert bool((made[:, 3:] == value).all())


@pytest.mark.parametrize(("knob", "value"), [("mean", "0.1, red"), ("std", "1, 0, 1")])
def test_custom_values_that_are_no_numbers(tmp_path: Path, knob: str, value: str) -> None:
    session = opened(tmp_path, "model = nn.Conv2d(3, 2, 3)", size=16)
    session.set_params({"normalise": "custom", knob: value})
    with pytest.raises(EngineError, match=f"knob '{knob}'"):
        given(session)


# -- texts


def ids(text: str, want: Wanted | None = None, **more: Any) -> tuple[list[int], tuple[str, ...]]:
    x, words = tokens(TextInput(text), want or Wanted("x", "tokens"), Dressing(**more))
    assert x.shape[0] == 1
    return x[0].tolist(), words


def test_bytes_characters_and_typed_numbers() -> None:
    assert ids("añ") == ([97, 0xC3, 0xB1], ("a", "c3", "b1"))
    assert ids("añ", encode="characters") == ([97, 0xF1], ("a", "ñ"))
    assert ids("101 7592, 102") == ([101, 7592, 102], ("101", "7592", "102"))
    assert ids("12", encode="characters")[0] == [49, 50]
    assert numbers_of("3 x") is None


def test_length_and_vocabulary() -> None:
    assert ids("abc", length=5)[0] == [97, 98, 99, 0, 0]
    assert ids("abc", length=2)[0] == [97, 98]
    assert ids("abcdef", Wanted("x", "tokens", longest=4))[0] == [97, 98, 99, 100]
    assert ids("ab", Wanted("x", "tokens", (1, 4)))[0] == [97, 98, 0, 0]
    assert ids("az", Wanted("x", "tokens", ids=100))[0] == [97, 22]


@pytest.mark.parametrize(
    ("text", "more", "why"),
    [
        ("5 99", {}, "token id 99 is outside the vocabulary; ids go from 0 to 9"),
        ("-1", {}, "token id -1 is outside"),
        ("hello", {"encode": "numbers"}, "'hello' are no numbers"),
    ],
)
def test_ids_that_do_not_exist(text: str, more: dict[str, Any], why: str) -> None:
    with pytest.raises(EngineError, match=why):
        ids(text, Wanted("x", "tokens", ids=10), **more)


def test_noise_without_a_shape_is_like_the_first_input() -> None:
    wanted = [Wanted("x", "noise", (2, 5)), Wanted("mask", "ones")]
    made = make(wanted, {}, Dressing(), torch.Generator().manual_seed(0))
    assert [tuple(a.shape) for a in made.args] == [(2, 5), (2, 5)]
    with pytest.raises(EngineError, match="z=noise needs a shape"):
        make([Wanted("z", "noise")], {}, Dressing(), torch.Generator())


def test_more_arguments_of_forward(tmp_path: Path) -> None:
    body = MODULE + (
        "self.c = nn.Conv2d(3, 2, 3)\n    def forward(self, x, times=1, name='a'):\n"
        "        return {name: self.c(x) * times}"
    )
    session = opened(tmp_path, body, size=8, options="times=3, name='b'")
    _, kwargs, shown = given(session)
    assert kwargs == {"times": 3, "name": "b"}
    assert "output/b" in shown
    session.set_params({"options": "times=open('x')"})
    with pytest.raises(EngineError, match=r"knob 'options'.*cannot be read"):
        given(session)


def test_half_precision_networks_get_half_precision_pictures(tmp_path: Path) -> None:
    args, _, _ = given(opened(tmp_path, "model = nn.Conv2d(3, 2, 3).half()", size=16))
    assert args[0].dtype == torch.float16


def test_a_rehearsal_of_guesses_changes_nothing_in_the_network(tmp_path: Path) -> None:
    body = (
        MODULE
        + """self.c = nn.Conv2d(3, 2, 3); self.seen = []; self.grid = None
    def forward(self, x):
        self.seen.append(x.shape)
        if self.grid is None:
            self.grid = torch.ones(x.shape[-1])
        return self.c(x * self.grid)
"""
    )
    session = opened(tmp_path, body, size=16)
    assert session.network.seen == []
    assert session.network.grid is None
    given(session)
    assert type(session.network.grid) is Tensor
    assert isinstance(session.network, nn.Module)


def test_an_ordinary_picture_goes_in_by_the_way_that_a_proof_repeats(tmp_path: Path) -> None:
    session = opened(tmp_path, "model = nn.Conv2d(3, 2, 3)", size=16)
    args, _, _ = given(session)
    made = prepared_from(args[0])
    assert made is not None
    pixels, how = made
    again, _ = prepare(pixels, how)
    assert torch.equal(again, args[0])


# -- what a program says of itself


class Several(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.embed = nn.Conv2d(3, 4, 3), nn.Embedding(30, 4)

    def forward(self, x: Tensor, ids: Tensor, *, scale: Tensor) -> Tensor:
        return self.conv(x).mean((2, 3)) * scale + self.embed(ids).mean(1)


def test_a_program_says_its_inputs_itself(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = Several().eval()
    x, ids, scale = torch.rand(2, 3, 18, 26), torch.zeros(2, 5, dtype=torch.int64), torch.ones(4)
    program = torch.export.export(network, (x, ids), {"scale": scale})
    torch.export.save(program, tmp_path / "several.pt2")
    row, knobs = own_row(str(tmp_path / "several.pt2"))
    session = Session(row, device="cpu", params=knobs)
    session.statistics_every = 0.0
    session.open()
    assert session.row.inputs == {"image": "image", "text": "text"}
    args, kwargs, shown = given(session)
    assert shapes(args) == [(2, 3, 18, 26), (2, 5)]
    assert args[1].tolist() == [[n % 30 for n in b"the c"]] * 2  # its table has 30 rows
    assert {n: tuple(v.shape) for n, v in kwargs.items()} == {"scale": (4,)}
    scores = shown["output/result"]
    assert scores.note.startswith("sample 0 of 2")
    said = shown["input/model"]
    assert isinstance(said, Text)
    assert "(the program's own signature)" in said.text
