"""What a network is given: one `Wanted` an input, written in words, and made into tensors."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from explorer.engine import IMAGENET_MEAN, IMAGENET_STD, EngineError, Preprocess, place, prepare
from explorer.inputs import Inputs, Pixels, TextInput
from explorer.kinds import Affine
from explorer.params import unknown

Kind = Literal["image", "tokens", "noise", "zeros", "ones", "value"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Shape = tuple[int | None, ...]

NORMALISE: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "imagenet": (IMAGENET_MEAN, IMAGENET_STD),
    "0 to 1": ((0.0,), (1.0,)),
    "-1 to 1": ((0.5,), (0.5,)),
    "0 to 255": ((0.0,), (1 / 255,)),
}
DTYPES = {
    "float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16,
    "float64": torch.float64, "uint8": torch.uint8, "int64": torch.int64, "int32": torch.int32,
}  # fmt: skip
LAYOUTS = ("NCHW", "NHWC", "flat", "frames", "list")
USUAL_SIZE = 224
USUAL_FRAMES = 8


@dataclass(frozen=True, slots=True)
class Wanted:
    """One input of a network.

    Attributes:
        name: of the parameter of ``forward``. ``keyword``: it is passed by that name.
        shape: with the batch; of a picture (N, C, H, W) whatever its layout; None is open.
        layout: of a picture: one of `LAYOUTS`. ``frames``: (N, C, T, H, W), the picture T times;
            ``list``: one (C, H, W) a picture, as detectors of torchvision want it.
        dtype: None is that of the network's parameters.
        ids: how many token ids there are; 0 where that is not known.
        longest: how many tokens at most; 0 where that is not known.
        value: of a plain number. ``why``: where a guess comes from.
    """

    name: str
    kind: Kind
    shape: Shape = ()
    keyword: bool = False
    layout: str = "NCHW"
    dtype: torch.dtype | None = None
    ids: int = 0
    longest: int = 0
    value: float = 0.0
    why: str = ""

    @property
    def slot(self) -> str:
        """The type of slot that feeds it; "" for what needs none."""
        return {"image": "image", "tokens": "text"}.get(self.kind, "")


def slots(wanted: Sequence[Wanted]) -> dict[str, str]:
    """Slot name to type: called by its type when it is the only one, else by the parameter."""
    kinds = [w.slot for w in wanted if w.slot]
    return {slot_name(w, kinds): w.slot for w in wanted if w.slot}


def slot_name(wanted: Wanted, kinds: Sequence[str]) -> str:
    """How the slot of one input is called among slots of these types."""
    return wanted.slot if kinds.count(wanted.slot) == 1 else wanted.name


_PART = re.compile(r"(?:(?P<name>\w+)\s*=\s*)?(?P<kind>[a-z]+)(?:\s+(?P<more>[-+.\w×]+))?")


def written(text: str, guess: Sequence[Wanted]) -> tuple[Wanted, ...]:
    """Inputs from words: ``x=image; t=value 10; mask=ones 1x16; z=noise 1x100; ids=tokens``.

    Names may be left out where inputs stand in the order of ``forward``. What is guessed of an
    input of the same name and kind holds on, such as its channels.

    Raises:
        EngineError: a part that cannot be read.
    """
    found: list[Wanted] = []
    for number, part in enumerate(p.strip() for p in text.split(";") if p.strip()):
        match = _PART.fullmatch(part)
        if match is None or match["kind"] not in KINDS:
            why = unknown("kind of input", match["kind"], KINDS) if match else "no kind of input"
            raise EngineError(
                f"inputs: {part!r}: {why}; write them like x=image; t=value 10; mask=ones 1x16"
            )
        kind: Any = match["kind"]
        name = match["name"] or (guess[number].name if number < len(guess) else f"input{number}")
        same = [g for g in guess if g.kind == kind and g.name == name]
        base = same[0] if same else next((g for g in guess if g.kind == kind), Wanted(name, kind))
        base = replace(base, name=name, keyword=match["name"] is not None, why="as written")
        found.append(_sized(base, match["more"] or "", part))
    return tuple(found)


def _sized(base: Wanted, more: str, part: str) -> Wanted:
    if not more:
        return base
    try:
        if base.kind == "value":
            return replace(base, value=float(more))
        shape = tuple(int(n) for n in re.split("[x×]", more))
    except ValueError:
        raise EngineError(
            f"inputs: {part!r}: {more!r} is no {'number' if base.kind == 'value' else 'shape'}; "
            "write a shape like 1x3x64x64"
        ) from None
    if base.kind == "image" and len(shape) != 4:
        raise EngineError(f"inputs: {part!r}: a picture has four sizes, such as 1x3x224x224")
    return replace(base, shape=shape)


@dataclass(frozen=True, slots=True)
class Dressing:
    """How pictures and texts become tensors; zeros and "guessed" leave it to the guess."""

    size: int = 0
    width: int = 0
    fit: str = "crop"
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    channels: int = 0
    extra: str = "repeat"
    layout: str = "guessed"
    dtype: torch.dtype | None = None
    frames: int = 0
    batch: int = 0
    encode: str = "bytes"
    length: int = 0

    def picture_shape(self, wanted: Wanted) -> tuple[int, int, int, int]:
        """(N, C, H, W) of a picture."""
        n, c, h, w = wanted.shape if len(wanted.shape) == 4 else (None, None, None, None)
        height = self.size or h or w or USUAL_SIZE
        return self.batch or n or 1, self.channels or c or 3, height, self._width(height, w)

    def _width(self, height: int, guessed: int | None) -> int:
        return self.width or (height if self.size else guessed or height)

    def layout_of(self, wanted: Wanted) -> str:
        """The layout chosen by hand, else the guessed one."""
        return wanted.layout if self.layout == "guessed" else self.layout


@dataclass(frozen=True, slots=True, eq=False)
class Given:
    """The tensors of one pass, and what is needed to read what comes out.

    Attributes:
        names: of the positional arguments.
        affine: from the first picture's tensor to its pixels; None without a picture.
        size: (height, width) of that tensor. ``tokens``: the words of the first text's ids.
    """

    args: list[Any]
    kwargs: dict[str, Any]
    names: list[str]
    affine: Affine | None = None
    size: tuple[int, int] | None = None
    tokens: tuple[str, ...] = ()

    def described(self) -> dict[str, str]:
        """Name of each input to its shape and type: ``1 × 3 × 224 × 224 float32``."""
        flat = [*zip(self.names, self.args, strict=True), *self.kwargs.items()]
        return {name: _described(value) for name, value in flat}

    def text(self) -> str:
        """``x: 1 × 3 × 224 × 224 float32``, one after the other."""
        return ", ".join(f"{name}: {what}" for name, what in self.described().items())


def _described(value: Any) -> str:
    if isinstance(value, list):
        return f"a list of {len(value)}: {_described(value[0])}" if value else "an empty list"
    if isinstance(value, Tensor):
        shape = " × ".join(map(str, value.shape)) or "scalar"
        return f"{shape} {str(value.dtype).removeprefix('torch.')}"
    return str(value)


def make(
    wanted: Sequence[Wanted],
    inputs: Inputs,
    dressing: Dressing,
    generator: torch.Generator,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Given:
    """Tensors for one pass; ``dtype`` is that of the network's parameters.

    Raises:
        EngineError: a text has no ids, or one is outside the vocabulary.
    """
    kinds = [w.slot for w in wanted if w.slot]
    given = Given([], {}, [])
    for want in wanted:
        value: Any
        if want.kind == "image":
            pixels = inputs[slot_name(want, kinds)].pixels
            value, affine, size = picture(pixels, want, dressing, device, dtype)
            if given.affine is None:
                given = replace(given, affine=affine, size=size)
        elif want.kind == "tokens":
            value, words = tokens(inputs[slot_name(want, kinds)], want, dressing)
            value = value.to(device)
            if not given.tokens:
                given = replace(given, tokens=words)
        else:
            value = _filled(want, dressing, given, generator, dtype).to(device)
        if want.keyword:
            given.kwargs[want.name] = value
        else:
            given.args.append(value)
            given.names.append(want.name)
    return given


def picture(
    pixels: Pixels, want: Wanted, dressing: Dressing, device: Any, dtype: torch.dtype
) -> tuple[Any, Affine, tuple[int, int]]:
    """A picture (H, W, 3) as the network wants it, where it lies, and its (height, width)."""
    n, channels, height, width = dressing.picture_shape(want)
    how = Preprocess((height, width), dressing.fit)
    if channels == 3:  # the way of every engine, which a proof can repeat
        mean, std = (_cycled(v, 3) for v in (dressing.mean, dressing.std))
        x, affine = prepare(pixels, replace(how, mean=mean, std=std), device)
    else:
        x, affine = prepare(pixels, how, device)
        x = with_channels(x, channels, dressing.extra)
        x = (x - _column(dressing.mean, channels, x)) / _column(dressing.std, channels, x)
    kind = dressing.dtype or want.dtype or dtype
    if not kind.is_floating_point and tuple(dressing.std) != NORMALISE["0 to 255"][1]:
        x = 255 * (x * _column(dressing.std, channels, x) + _column(dressing.mean, channels, x))
    x = x.to(kind) if kind.is_floating_point else x.round().clamp(0, 255).to(kind)
    x = x.expand(n, -1, -1, -1).contiguous() if n > 1 else x
    layout = dressing.layout_of(want)
    if layout == "NHWC":
        x = x.permute(0, 2, 3, 1).contiguous()
    elif layout == "flat":
        x = x.flatten(1)
    elif layout == "frames":
        count = dressing.frames or USUAL_FRAMES
        x = x.unsqueeze(2).expand(-1, -1, count, -1, -1).contiguous()
    elif layout == "list":
        return list(x.unbind()), affine, (height, width)
    return place(x, affine), affine, (height, width)


def with_channels(x: Tensor, channels: int, extra: str) -> Tensor:
    """(1, 3, H, W) with another number of channels: grey for 1, else colours, then ``extra``:
    the colours again (``repeat``), ``zeros`` or ``ones``."""
    if channels == 3:
        return x
    if channels == 1:
        return x.mean(1, keepdim=True)
    if channels < 3 or extra == "repeat":
        return x[:, torch.arange(channels) % 3]
    fill = torch.full_like(x[:, :1], float(extra == "ones")).expand(-1, channels - 3, -1, -1)
    return torch.cat([x, fill], 1)


def _column(values: Sequence[float], channels: int, like: Tensor) -> Tensor:
    """One value a channel: the mean of all for a grey picture, else each in turn again."""
    if channels == 1:
        values = [sum(values) / len(values)]
    row = _cycled(values, channels)
    return torch.tensor(row, device=like.device, dtype=like.dtype).view(1, -1, 1, 1)


def _cycled(values: Sequence[float], count: int) -> tuple[float, ...]:
    return tuple(values[i % len(values)] for i in range(count))


def numbers_of(text: str) -> list[int] | None:
    """Whole numbers with blanks or commas between them; None for any other text."""
    parts = re.split(r"[\s,;]+", text.strip())
    return [int(p) for p in parts] if all(re.fullmatch(r"-?\d+", p) for p in parts) else None


def tokens(text: TextInput, want: Wanted, dressing: Dressing) -> tuple[Tensor, tuple[str, ...]]:
    """Ids (N, T) int64 of a text and what each of them stands for.

    Typed numbers are ids. Else one id a byte of UTF-8 or one a character (its code point), folded
    into the vocabulary; no tokenizer of any model is known here.

    Raises:
        EngineError: there is no id, or one is not in the vocabulary.
    """
    typed = numbers_of(text.text) if dressing.encode != "characters" else None
    if typed is not None:
        ids, words = typed, [str(n) for n in typed]
    elif dressing.encode == "numbers":
        raise EngineError(
            f"{text.text[:40]!r} are no numbers; type token ids, such as 101 7592 102"
        )
    elif dressing.encode == "characters":
        ids, words = [ord(c) for c in text.text], list(text.text)
    else:
        data = text.text.encode("utf-8", "surrogatepass")
        ids, words = list(data), [chr(b) if 32 < b < 127 else f"{b:02x}" for b in data]
    if not ids:
        raise EngineError("the text is empty; type one, or token ids")
    if typed is None and want.ids:
        ids = [n % want.ids for n in ids]
    outside = [n for n in ids if n < 0 or (want.ids and n >= want.ids)]
    if outside:
        raise EngineError(
            f"token id {outside[0]} is outside the vocabulary; ids go from 0 to {want.ids - 1}"
        )
    batch, fixed = want.shape if len(want.shape) == 2 else (None, None)
    length = dressing.length or fixed or min(len(ids), want.longest or len(ids))
    ids = (ids + [0] * length)[:length]
    words = (words + ["pad"] * length)[:length]
    x = torch.tensor([ids]).expand(dressing.batch or batch or 1, -1).contiguous()
    return x.to(want.dtype or torch.int64), tuple(words)


def _filled(
    want: Wanted,
    dressing: Dressing,
    given: Given,
    generator: torch.Generator,
    dtype: torch.dtype,
) -> Tensor:
    """Noise, zeros, ones or a number; without a shape of its own that of the first input."""
    kind = want.dtype or dtype
    if want.kind == "value":
        if want.dtype is None and want.value == int(want.value):
            kind = torch.int64
        return torch.full(tuple(n or 1 for n in want.shape) or (1,), want.value).to(kind)
    shape = tuple(n or 1 for n in want.shape)
    if not shape:
        first = next((a for a in (*given.args, *given.kwargs.values())), None)
        if isinstance(first, list):
            first = first[0]
        if not isinstance(first, Tensor):
            raise EngineError(
                f"inputs: {want.name}={want.kind} needs a shape, such as {want.kind} 1x100"
            )
        shape = tuple(first.shape)
    if dressing.batch:
        shape = (dressing.batch, *shape[1:])
    if want.kind == "noise":
        return torch.randn(shape, generator=generator).to(kind)
    return torch.full(shape, float(want.kind == "ones")).to(kind)
