"""Guessing what a network is given: from what it says of itself, the parameters of ``forward`` and
its first layers; a rehearsal with shapes alone decides between guesses."""

from __future__ import annotations

import contextlib
import inspect
import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from explorer.core.own_models.model_inputs import USUAL_SIZE, Wanted
from explorer.core.own_models.program import Opaque, Script, Signature
from explorer.core.studies.prediction import Misfit, is_lazy

SIZES = (USUAL_SIZE, 32, 28, 64, 256, 128, 299, 96, 48, 84, 227, 512)
SMALLEST_FLAT = 28  # px; a first linear layer of fewer inputs takes numbers, not pixels
LENGTH = 16
PATIENCE = 15.0  # s; a person who knows better need not wait for every guess
CANDIDATES = 24  # of kinds of inputs, each with up to a dozen sizes
SAMPLES = 1024

_TEXTS = {"input_ids", "tokens", "token_ids", "ids", "idx", "src", "tgt", "text"}
_PICTURES = {"pixel_values", "image", "images", "img", "imgs", "picture", "pictures", "photo"}
_TIMES = {"t", "time", "timestep", "timesteps", "step", "sigma", "noise_level", "temb"}
_MASKS = {"mask", "attention_mask", "padding_mask", "src_mask", "key_padding_mask"}


def from_signature(signature: Signature, guess: Sequence[Wanted] = ()) -> tuple[Wanted, ...]:
    """What a program says of its inputs; a shape of four sizes is a picture, whole numbers in two
    are tokens."""
    found = []
    rows = zip(
        signature.names, signature.shapes, signature.dtypes, signature.keywords, signature.ids,
        strict=True,
    )  # fmt: skip
    for name, shape, dtype, keyword, ids in rows:
        whole = dtype is not None and not dtype.is_floating_point
        why = "the program's own signature"
        base = Wanted(name, "noise", shape or (), keyword, dtype=dtype, why=why)
        if shape is None:
            base = replace(guess[0], name=name) if guess else replace(base, kind="image")
        elif len(shape) == 4:
            last = shape[3] in (1, 3, 4) and shape[1] not in (1, 3, 4)
            n, c, h, w = (shape[i] for i in ((0, 3, 1, 2) if last else (0, 1, 2, 3)))
            layout = "NHWC" if last else "NCHW"
            base = replace(base, kind="image", shape=(n, c, h, w), layout=layout)
        elif whole and len(shape) == 2:
            base = replace(base, kind="tokens", ids=ids)
        elif whole:
            base = replace(base, kind="value" if len(shape) < 2 else "zeros")
        found.append(base)
    return tuple(found)


def guesses(network: nn.Module) -> Iterator[tuple[Wanted, ...]]:
    """Candidates, the likeliest first; sizes of pictures are still open."""
    names, optional = _parameters(network)
    yield from _of_config(network, [*names, *optional])
    firsts = list(_of_layers(network))
    candidates = (c for first in firsts for c in _completed(names, first, firsts))
    only = _keywords(network)
    for candidate in itertools.islice(candidates, CANDIDATES):
        yield tuple(replace(w, keyword=w.keyword or w.name in only) for w in candidate)


def _keywords(network: nn.Module) -> list[str]:
    """Parameters that are passed by name only."""
    if isinstance(network, Script):
        return []
    found = inspect.signature(network.forward).parameters.values()
    return [p.name for p in found if p.kind == p.KEYWORD_ONLY and p.default is p.empty]


def _parameters(network: nn.Module) -> tuple[list[str], list[str]]:
    """Parameters of ``forward`` without a default, and those with one."""
    if isinstance(network, Script):
        schema = network.program.inside[0].forward.schema
        return [a.name for a in schema.arguments[1:] if not a.has_default_value()], []
    try:
        found = list(inspect.signature(network.forward).parameters.values())
    except (TypeError, ValueError):
        return ["x"], []
    plain = [p for p in found if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    needed = [p.name for p in plain if p.default is p.empty]
    return needed, [p.name for p in plain if p.default is not p.empty]


def _of_config(network: nn.Module, names: Sequence[str]) -> Iterator[tuple[Wanted, ...]]:
    """Networks that carry a configuration, as those of the transformers package do."""
    config = getattr(network, "config", None)
    main = getattr(network, "main_input_name", None)
    if config is None or main not in names:
        return
    known = {}
    ids = int(_number(config, "vocab_size"))
    longest = int(_number(config, "max_position_embeddings") or _number(config, "n_positions"))
    for name in ("input_ids", "decoder_input_ids"):
        why = f"its configuration has {ids:,} tokens"
        known[name] = Wanted(name, "tokens", keyword=True, ids=ids, longest=longest, why=why)
    size = int(_number(config, "image_size")) or None
    channels = int(_number(config, "num_channels")) or 3
    known["pixel_values"] = Wanted(
        "pixel_values", "image", (None, channels, size, size), keyword=True,
        why=f"its configuration has {channels} channels" + (f", {size} px" if size else ""),
    )  # fmt: skip
    mel = int(_number(config, "num_mel_bins")) or 80
    known["input_features"] = Wanted("input_features", "noise", (1, mel, 3000), keyword=True)
    known["input_values"] = Wanted("input_values", "noise", (1, 16000), keyword=True)
    if main not in known:
        return
    yield (known[main],)
    for other in ("decoder_input_ids", "pixel_values", "input_ids"):
        if other in names and other != main:
            yield known[main], known[other]


def _number(config: Any, name: str) -> float:
    """A number of a configuration or of the ones inside it (text, vision); 0 if it has none."""
    inner = [getattr(config, f"{part}_config", None) for part in ("text", "vision")]
    for level in (config, *inner):
        value = getattr(level, name, None)
        if isinstance(value, (list, tuple)) and value:
            value = value[0]
        if isinstance(value, (int, float)):
            return value
    return 0


def _of_layers(network: nn.Module) -> Iterator[Wanted]:
    """What each of the first layers takes; a kind and its size once."""
    seen: set[tuple[Any, ...]] = set()
    for name, module in _modules(network):
        if any(is_lazy(p) for p in module.parameters(recurse=False)):
            break  # it takes whatever comes first
        for found in _taken_by(module):
            key = (found.kind, found.shape, found.layout, found.ids)
            if key not in seen:
                seen.add(key)
                yield replace(found, why=f"{name or 'it'} {found.why}", longest=_longest(network))
        if len(seen) >= 6:
            break
    if not seen:
        yield Wanted("x", "image", (None, 3, None, None), why="it has no layer that says otherwise")


def _modules(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """All modules by name, those inside of programs too."""
    for name, module in network.named_modules():
        yield name, module
        if isinstance(module, Opaque):
            yield from module.inside[0].named_modules(prefix=name)


def _taken_by(module: nn.Module) -> list[Wanted]:
    """What a layer takes as the first of a network, the likelier first."""
    if isinstance(module, torch.jit.ScriptModule):
        return _taken_by_script(module)
    kind = type(module).__name__
    width = next((getattr(module, n) for n in _WIDTHS if hasattr(module, n)), 0)
    if isinstance(module, (nn.Conv2d, nn.BatchNorm2d, nn.InstanceNorm2d)):
        return [_image(width)]
    if isinstance(module, nn.ConvTranspose2d):
        return [_noise((1, width, 1, 1)), _image(width)]
    if isinstance(module, nn.Conv3d):
        return [replace(_image(width), layout="frames")]
    if isinstance(module, (nn.Embedding, nn.EmbeddingBag)):
        count = module.num_embeddings
        return [Wanted("x", "tokens", ids=count, why=f"is an embedding of {count:,} tokens")]
    if isinstance(module, nn.Linear) or (kind == "Linear" and width):  # quantised ones too
        return [*_pixels(width), _noise((1, width)), _noise((1, LENGTH, width))]
    if isinstance(module, nn.Conv1d):
        return [_noise((1, width, SAMPLES))]
    if isinstance(module, nn.RNNBase):
        rows = (1, LENGTH) if module.batch_first else (LENGTH, 1)
        return [_noise((*rows, width))]
    if isinstance(module, (nn.MultiheadAttention, nn.LayerNorm)):
        size = width if isinstance(width, int) else int(width[-1])
        return [_noise((1, LENGTH, size))]
    return []


def _taken_by_script(module: torch.jit.ScriptModule) -> list[Wanted]:
    """The same of a scripted layer, which keeps its name and its weights."""
    kind, weight = module.original_name, getattr(module, "weight", None)
    if not isinstance(weight, Tensor):
        return []
    if kind == "Conv2d":
        return [_image(weight.shape[1] * _groups(module))]
    if kind == "Linear":
        return [*_pixels(weight.shape[1]), _noise((1, weight.shape[1]))]
    if kind == "Embedding":
        count = len(weight)
        return [Wanted("x", "tokens", ids=count, why=f"is an embedding of {count:,} tokens")]
    return [_noise((1, weight.shape[1], SAMPLES))] if kind == "Conv1d" else []


def _groups(module: Any) -> int:
    groups = getattr(module, "groups", 1)
    return groups if isinstance(groups, int) else 1


_WIDTHS = (
    "in_channels", "in_features", "num_features", "input_size", "embed_dim", "normalized_shape",
)  # fmt: skip


def _image(channels: int) -> Wanted:
    why = f"takes {channels} channel{'s' * (channels != 1)}"
    return Wanted("x", "image", (None, channels, None, None), why=why)


def _noise(shape: tuple[int, ...]) -> Wanted:
    """Noise of a shape (N, ..., F), or (N, C, ...) before a convolution."""
    width = shape[1] if len(shape) == 4 or shape[-1] == SAMPLES else shape[-1]
    return Wanted("x", "noise", shape, why=f"takes {width} numbers each")


def _pixels(width: int) -> list[Wanted]:
    """A first linear layer whose inputs are the pixels of a grey or a coloured square."""
    found = []
    for channels in (1, 3):
        side = math.isqrt(width // channels)
        if side >= SMALLEST_FLAT and channels * side * side == width:
            why = f"takes {width:,} numbers, {channels} × {side} × {side}"
            whole = Wanted("x", "image", (None, channels, side, side), why=why)
            found += [replace(whole, layout="flat"), whole]
    return found


def _longest(network: nn.Module) -> int:
    """Positions that a transformer has, when its parts say so."""
    for name in ("block_size", "max_len", "max_length", "context_length", "n_ctx", "seq_len"):
        for owner in (network, getattr(network, "config", None)):
            value = getattr(owner, name, None)
            if isinstance(value, int) and not isinstance(value, bool):
                return value
    return 0


def _completed(
    names: Sequence[str], first: Wanted, others: Sequence[Wanted]
) -> Iterator[tuple[Wanted, ...]]:
    """One input for each parameter of ``forward``: the first as said, the others by their names,
    and where a name says nothing like the first, like another layer's, or a number."""
    if not names:
        yield (first,)
        return
    options = [_by_name(name, names[0], first, others) for name in names[1:]]
    for rest in itertools.product(*options):
        yield (replace(first, name=names[0]), *rest)


def _by_name(name: str, like: str, first: Wanted, others: Sequence[Wanted]) -> list[Wanted]:
    word = name.lower()
    text = [replace(o, name=name) for o in others if o.kind == "tokens"][:1]
    image = [replace(o, name=name) for o in others if o.kind == "image"][:1]
    if word in _TIMES:
        return [Wanted(name, "value", value=1.0, why="its name")]
    if word in _MASKS:
        return [Wanted(name, "ones", why="its name")]
    if word in _TEXTS and text:
        return text
    if word in _PICTURES and image:
        return image
    same = replace(first, name=name, why=f"like {like}")
    more = [replace(o, name=name) for o in others if replace(o, why=first.why) != first]
    return [same, *more, Wanted(name, "value", value=1.0, why="nothing else fits")]


def sized(network: nn.Module, wanted: Sequence[Wanted]) -> Iterator[tuple[Wanted, ...]]:
    """A candidate with every likely size of its pictures; what is known of the size comes first."""
    open_ = [w for w in wanted if w.kind == "image" and len(w.shape) == 4 and w.shape[2] is None]
    if not open_:
        yield tuple(wanted)
        return
    for side in dict.fromkeys((*_said(network), *SIZES)):
        yield tuple(
            replace(w, shape=(*w.shape[:2], side, side)) if w in open_ else w for w in wanted
        )


def _said(network: nn.Module) -> list[int]:
    """Sizes that a network says it takes, in the words of common packages."""
    found: list[int] = []
    for owner in (network, getattr(network, "config", None)):
        for name in ("image_size", "img_size", "input_size"):
            value = getattr(owner, name, None)
            value = value[-1] if isinstance(value, (list, tuple)) and value else value
            if isinstance(value, int) and value > 0:
                found.append(value)
    for name in ("pretrained_cfg", "default_cfg"):
        described = getattr(network, name, None)
        size = described.get("input_size") if isinstance(described, dict) else None
        if isinstance(size, (list, tuple)) and len(size) == 3:
            found.append(int(size[-1]))
    return found


def guess(
    network: nn.Module,
    trial: Callable[[list[Any], dict[str, Any]], object] | None,
    given: Callable[[Sequence[Wanted]], tuple[list[Any], dict[str, Any]]],
) -> tuple[tuple[Wanted, ...], str]:
    """The first candidate that flows through the network, and what it said where none does.

    Args:
        trial: a pass that raises `Misfit`; None where there can be none, then the likeliest
            candidate is taken.
        given: arguments of the right shapes for a candidate.
    """
    likeliest: tuple[Wanted, ...] = ()
    said = ""
    end = time.monotonic() + PATIENCE
    for candidate in guesses(network):
        for full in sized(network, candidate):
            if likeliest and time.monotonic() > end:
                return likeliest, said
            likeliest = likeliest or full
            if trial is None:
                return full, ""
            try:
                trial(*given(full))
            except Misfit as error:
                said = said or str(error)
                continue
            return full, ""
    other = [replace(w, layout="NHWC") if w.kind == "image" else w for w in likeliest]
    if trial is not None and tuple(other) != likeliest:
        with contextlib.suppress(Misfit):
            trial(*given(other))
            said += "; with layout NHWC it runs"
    return likeliest, said


def dtype_of(network: nn.Module) -> torch.dtype:
    """The type of the first floating parameter or buffer; float32 without one."""
    tensors = (*network.parameters(), *network.buffers())
    return next((t.dtype for t in tensors if t.is_floating_point()), torch.float32)
