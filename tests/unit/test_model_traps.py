"""Networks that trap an inspector: what is captured is what each module returned, and no more."""

from __future__ import annotations

import collections
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from explorer.core.capture import hook_count
from explorer.core.media import sample_inputs
from explorer.core.own_models.model_row import own_row
from explorer.core.own_models.program import hookable
from explorer.core.session import Session
from explorer.kinds import Artefact, FeatureMaps, Matrix, Scores, Text
from explorer.views import Edit, View

SIDE = 24


class InPlace(nn.Module):
    """A ReLU writes over what the convolution returned; so does the sum after it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.more = nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.conv(x))
        y += self.more(y)
        return y


class Twice(nn.Module):
    """One module at two names, called three times in all."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.again = self.conv
        self.act = nn.Tanh()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.act(self.again(self.act(self.conv(self.act(x)))))
        return out


class NeverCalled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.spare = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(x)
        return out


class Aliases(nn.Module):
    """Modules that return their input, a view of it, and a part of it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.same = nn.Identity()
        self.drop = nn.Dropout(0.5)
        self.flat = nn.Flatten(2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.drop(self.same(self.conv(x)))
        flat: Tensor = self.flat(y)
        y.mul_(2.0)  # after the hooks have seen it
        return flat.mean(2)


@dataclass
class Output(OrderedDict):  # type: ignore[type-arg]
    """As the transformers package returns it: a dict with attributes, None left out."""

    last_hidden_state: Tensor | None = None
    pooled: Tensor | None = None
    attentions: tuple[Tensor, ...] | None = None

    def __post_init__(self) -> None:
        if isinstance(self.last_hidden_state, dict):  # built anew from its own items
            self.update(self.last_hidden_state)
            self.last_hidden_state = self["last_hidden_state"]
            return
        for name in ("last_hidden_state", "pooled", "attentions"):
            if getattr(self, name) is not None:
                self[name] = getattr(self, name)


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(8, 24)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        q, k, v = (t.unflatten(2, (2, 4)).transpose(1, 2) for t in self.qkv(x).chunk(3, 2))
        weights = (q @ k.transpose(2, 3) / 2).softmax(3)
        return (weights @ v).transpose(1, 2).flatten(2), weights


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = Attention()
        self.norm = nn.LayerNorm(8)

    def forward(self, x: Tensor) -> Output:
        y, weights = self.attention(x)
        y = self.norm(x + y)
        return Output(y, y.mean(1), (weights,))


class Transformer(nn.Module):
    """Tuples and dicts from one module to the next."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(256, 8)
        self.encoder = Encoder()

    def forward(self, ids: Tensor) -> Output:
        out: Output = self.encoder(self.embed(ids))
        return out


Pair = collections.namedtuple("Pair", "maps means")


class NamedTuples(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = Body()
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.body(x).means)
        return out


class Body(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Any:
        maps = self.conv(x)
        return Pair(maps, maps.mean((2, 3)))


TRAPS: dict[str, type[nn.Module]] = {
    c.__name__: c for c in (InPlace, Twice, NeverCalled, Aliases, Transformer, NamedTuples)
}


def session(network: nn.Module, monkeypatch: pytest.MonkeyPatch, **values: Any) -> Session:
    monkeypatch.setattr(f"{__name__}.make", lambda: network, raising=False)
    row, knobs = own_row(f"{__name__}:make")
    opened = Session(row, device="cpu", params={**knobs, "size": SIDE, **values})
    opened.statistics_every = 0.0
    opened.open()
    return opened


def truth(network: nn.Module, args: Any, kwargs: Any) -> dict[str, Tensor]:
    """What each module returned at its last call, copied at once, by plain hooks of torch."""
    seen: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[..., None]:
        def hook(_m: nn.Module, _x: Any, out: Any) -> None:
            first = out if isinstance(out, Tensor) else next(iter(_values(out)))
            seen[name] = first.detach().clone()

        return hook

    handles = [m.register_forward_hook(keep(n)) for n, m in network.named_modules() if n]
    with torch.no_grad():
        network(*args, **kwargs)
    for handle in handles:
        handle.remove()
    return seen


def _values(out: Any) -> list[Tensor]:
    return list(out.values()) if isinstance(out, dict) else list(out)


def run(opened: Session) -> tuple[Any, Any, dict[str, np.ndarray[Any, Any]], dict[str, Artefact]]:
    """One run with every module ticked: what went in, what was captured, what was shown."""
    names = [n for n, _ in opened.network.named_modules() if n]
    opened.views = tuple(View(name) for name in names)
    taken: list[tuple[Any, Any]] = []

    def note(_m: nn.Module, args: Any, kwargs: Any) -> None:
        taken.append((tuple(a.clone() for a in args), dict(kwargs)))

    hook = opened.network.register_forward_pre_hook(note, with_kwargs=True)
    (frame,) = list(opened.run(dict(sample_inputs(opened.row))))
    hook.remove()
    arrays = {r.view.point: opened.read(r.handle) for r in frame.rendered}
    return *taken[-1], arrays, {a.name: a for a in frame.artefacts}


@pytest.mark.parametrize("name", TRAPS)
def test_captures_are_what_each_module_returned(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network = TRAPS[name]().eval()
    opened = session(network, monkeypatch)
    args, kwargs, captured, _ = run(opened)
    wanted = truth(network, args, kwargs)
    assert captured.keys() == wanted.keys() - {"again"}  # the second name of one module
    for point, array in captured.items():
        one = wanted[point][0].numpy()
        np.testing.assert_array_equal(array.reshape(one.shape), one, err_msg=point)
    opened.close()
    assert hook_count(network) == 0


@pytest.mark.parametrize("name", TRAPS)
def test_an_exported_copy_gives_the_same_captures(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    network = TRAPS[name]().eval()
    x = (
        torch.zeros(1, 22, dtype=torch.int64)
        if name == "Transformer"
        else torch.zeros(1, 3, 24, 24)
    )
    whole = Plain(network) if name in ("Transformer", "NamedTuples") else network
    torch.export.save(torch.export.export(whole, (x,), strict=False), tmp_path / "net.pt2")
    args, kwargs, eager, _ = run(session(whole.eval(), monkeypatch))
    row, knobs = own_row(str(tmp_path / "net.pt2"))
    opened = Session(row, device="cpu", params=knobs)
    opened.statistics_every = 0.0
    opened.open()
    program_args, program_kwargs, exported, _ = run(opened)
    for one, other in zip([*args, *kwargs.values()], [*program_args, *program_kwargs.values()],
                          strict=True):  # fmt: skip
        assert torch.equal(one, other)
    # A program has no modules that do nothing, and of what modules return only what is used; the
    # second call of a shared module stands under its other name.
    absent = {"Aliases": {"same"}, "NamedTuples": {"inner.body"}, "Twice": {"conv"}}.get(
        name, set()
    )
    points = eager.keys() - absent
    assert points <= exported.keys()
    for point in points:
        np.testing.assert_allclose(exported[point], eager[point], atol=1e-6, err_msg=point)
    if name == "Twice":
        np.testing.assert_allclose(exported["again"], twice(network, args[0]), atol=1e-6)


def twice(network: nn.Module, x: Tensor) -> np.ndarray[Any, Any]:
    """What the shared convolution of `Twice` returns at its second call, by hand."""
    conv = network.get_submodule("conv")
    with torch.no_grad():
        array: np.ndarray[Any, Any] = conv(conv(x.tanh()).tanh())[0].numpy()
    return array


class Plain(nn.Module):
    """Only tensors come out: what torch.export wants of a program."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Any:
        out = self.inner(x)
        return (
            tuple(t for t in _values(out) if isinstance(t, Tensor))
            if isinstance(out, dict)
            else out
        )


def test_a_module_that_is_never_called_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = session(NeverCalled().eval(), monkeypatch)
    opened.views = (View("spare"),)
    (frame,) = list(opened.run(dict(sample_inputs(opened.row))))
    assert any("spare was not called" in note for note in frame.notes)
    assert {la.name: la.called for la in opened.layers()} == {"conv": True, "spare": False}
    assert opened.row.points == ("conv",)  # not worth showing first


class Stages(nn.Module):
    """A list of modules has no forward of its own; that it is not called is no news."""

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.ModuleList([nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)])

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.stages[0](x)
        return out


def test_of_a_list_of_modules_it_is_not_said_that_nothing_calls_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened = session(Stages().eval(), monkeypatch)
    list(opened.run(dict(sample_inputs(opened.row))))
    assert {la.name: la.called for la in opened.layers()} == {
        "stages": None, "stages.0": True, "stages.1": False,
    }  # fmt: skip


def test_each_call_of_a_shared_module_can_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network = Twice().eval()
    opened = session(network, monkeypatch)
    opened.views = (View("conv", call=0), View("conv", call=1), View("conv"))
    (frame,) = list(opened.run(dict(sample_inputs(opened.row))))
    first, second, last = (opened.read(r.handle) for r in frame.rendered)
    np.testing.assert_array_equal(second, last)
    assert not np.array_equal(first, second)
    assert {la.name: la.calls for la in opened.layers()}["conv"] == 2


def test_outputs_of_a_transformer_are_a_matrix_a_vector_and_attention(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.manual_seed(0)
    _, _, _, shown = run(session(Transformer().eval(), monkeypatch))
    state, attention = shown["output/last_hidden_state"], shown["output/attentions 0"]
    assert isinstance(state, Matrix)
    assert state.values.shape == (22, 8)
    assert isinstance(attention, Matrix)
    assert attention.values.shape == (2, 22, 22)
    assert attention.axes == ("head",)
    assert "".join(attention.rows).replace("20", " ") == "the cat sat on the mat"
    np.testing.assert_allclose(attention.values.sum(-1), 1, atol=1e-6)
    assert isinstance(shown["output/pooled"], Scores)


@pytest.mark.parametrize(
    ("network", "point"),
    [(Transformer, "encoder"), (Transformer, "encoder.attention"), (NamedTuples, "body")],
)
def test_an_edit_reaches_through_tuples_and_dicts(
    network: type[nn.Module], point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    opened = session(network().eval(), monkeypatch)
    inputs = dict(sample_inputs(opened.row))
    opened.views = (View(point),)
    opened.edits = (Edit(point, (), "replace", 0.25),)
    frame = list(opened.run(inputs))[-1]
    (picture,) = frame.rendered
    np.testing.assert_array_equal(opened.read(picture.handle), 0.25)


# -- what cannot be hooked


def test_a_compiled_network_is_seen_uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network = InPlace().eval()
    opened = session(torch.compile(network), monkeypatch)  # type: ignore[arg-type]
    assert opened.network is network
    args, kwargs, captured, shown = run(opened)
    wanted = truth(network, args, kwargs)
    np.testing.assert_array_equal(captured["conv"], wanted["conv"][0].numpy())
    said = shown["input/model"]
    assert isinstance(said, Text)
    assert "it runs uncompiled, so that hooks see layers" in said.text


def test_compiled_parts_are_uncompiled_too() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), torch.compile(nn.Conv2d(4, 4, 3)), nn.ReLU())
    network[2].compile()
    plain, remarks = hookable(network)
    assert [type(m).__name__ for m in plain] == ["Conv2d", "Conv2d", "ReLU"]  # type: ignore[arg-type]
    assert plain[2]._compiled_call_impl is None  # type: ignore[index]
    assert remarks == ["Compiled with torch.compile: it runs uncompiled, so that hooks see layers"]


def test_a_scripted_part_shows_what_comes_out_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    inner = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    network = nn.Sequential(torch.jit.script(inner), nn.Conv2d(4, 2, 3)).eval()
    opened = session(network, monkeypatch)
    args, _, captured, shown = run(opened)
    with torch.no_grad():
        wanted = inner(args[0])[0].numpy()
    np.testing.assert_array_equal(captured["0"], wanted)
    said = shown["input/model"]
    assert isinstance(said, Text)
    assert "0 is TorchScript and cannot be hooked" in said.text
    assert {la.name: la.parameters for la in opened.layers()}["0"] == 4 * 28


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_quantised_layers_show_the_numbers_they_stand_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from torch.ao import quantization as q

    torch.manual_seed(0)
    network = nn.Sequential(q.QuantStub(), nn.Conv2d(3, 8, 3), nn.ReLU(), q.DeQuantStub()).eval()
    network.qconfig = q.get_default_qconfig(torch.backends.quantized.engine)  # type: ignore[assignment]
    q.prepare(network, inplace=True)
    network(torch.randn(1, 3, 24, 24))
    opened = session(q.convert(network), monkeypatch)
    args, _, captured, shown = run(opened)
    with torch.no_grad():
        stub, conv = opened.network[0], opened.network[1]  # type: ignore[index]
        wanted = conv(stub(args[0])).dequantize()[0].numpy()
    np.testing.assert_array_equal(captured["1"], wanted)
    said = shown["input/model"]
    assert isinstance(said, Text)
    assert "Quantised layers" in said.text
    assert "could not be predicted" in said.text
    opened.edits = (Edit("1", (0,), "zero"),)
    frame = list(opened.run(dict(sample_inputs(opened.row))))[-1]
    assert any("1 gives quantised values" in note for note in frame.notes)


# -- channels last


class Last(nn.Module):
    """A block whose inside is (N, H, W, C), as in ConvNeXt and Swin."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 3)
        self.mix = nn.Linear(5, 7)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.mix(self.conv(x).permute(0, 2, 3, 1))
        return out.permute(0, 3, 1, 2)


def test_maps_with_channels_last_are_named_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network = Last().eval()
    opened = session(network, monkeypatch, last="mi*")
    args, kwargs, captured, _ = run(opened)
    wanted = truth(network, args, kwargs)["mix"][0].permute(2, 0, 1).numpy()
    np.testing.assert_array_equal(captured["mix"], wanted)
    assert captured["conv"].shape == (5, 22, 22)
    opened.views = (View("mix"),)
    opened.edits = (Edit("mix", (3,), "zero"),)
    frame = list(opened.run(dict(sample_inputs(opened.row))))[-1]
    values = opened.read(frame.rendered[0].handle)
    assert not values[3].any()  # a channel, not a row of pixels
    np.testing.assert_array_equal(np.delete(values, 3, 0), np.delete(wanted, 3, 0))
    (maps,) = [a for a in frame.artefacts if isinstance(a, FeatureMaps)]
    assert not maps.maps[3].any()
