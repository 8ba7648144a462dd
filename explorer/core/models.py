"""A person's own network as an engine: ``module:factory``, ``file.py:factory`` or ``.pt2``."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from explorer.core.capture import first_tensor
from explorer.core.registry import GroupRow, Row
from explorer.engine import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Engine,
    EngineError,
    Preprocess,
    Run,
    prepare,
)
from explorer.inputs import ImageInput, Inputs
from explorer.kinds import Artefact, FeatureMaps, Image, Matrix, Scores
from explorer.params import knob

NORMALISE = {
    "imagenet": (IMAGENET_MEAN, IMAGENET_STD),
    "0 to 1": ((0.0,) * 3, (1.0,) * 3),
    "-1 to 1": ((0.5,) * 3, (0.5,) * 3),
}
USUAL_SIZE = 224
TOP = 10


def own_row(spec: str) -> tuple[Row, dict[str, Any]]:
    """The row of a person's own model, and the knobs to open it with. Nothing is loaded yet."""
    path, factory = parts(spec)
    title = f"{Path(path).name}:{factory}" if factory else Path(path).name
    row = Row(
        "model",
        f"{__name__}:OwnModel",
        title,
        "Your own",
        summary="Tick layers to see them; set the size and normalisation of the input.",
        inputs={"image": "image"},
        sample={"image": "chelsea.png"},
        groups={
            "input": GroupRow("input", ("Image",), "right", "Input"),
            "output": GroupRow("output", ("Scores", "Matrix", "FeatureMaps"), "bottom", "Output"),
        },
    )
    return row, {"model": spec}


def parts(spec: str) -> tuple[str, str]:
    """File or module, and the factory's name; a drive letter's colon is none of these."""
    if spec.endswith((".py", ".pt2")):
        return spec, ""
    path, _, factory = spec.rpartition(":")
    return (path, factory) if path else (spec, "")


@dataclass(frozen=True, slots=True)
class OwnParams:
    """How the picture is turned into the network's input."""

    model: str = knob("", effect="build", help="module:factory, file.py:factory or a .pt2 file")
    size: int = knob(
        0, low=0, high=2048, unit="px", help="side of the input; 0: what the model says"
    )
    fit: str = knob(
        "crop", choices=("crop", "stretch", "letterbox"), help="how it becomes a square"
    )
    normalise: str = knob("imagenet", choices=tuple(NORMALISE), help="range of the input values")
    channels: int = knob(3, low=1, high=3, help="1 gives the network a grey picture")


class OwnModel(Engine[OwnParams]):
    """Any network that takes one picture."""

    Params: ClassVar[type[Any]] = OwnParams
    emits: ClassVar[tuple[type[Artefact], ...]] = (Image, Scores, Matrix, FeatureMaps)

    provenance = "your own model"

    def build(self, params: OwnParams) -> nn.Module:
        """Import or open the model; its code runs here."""
        return open_model(params.model)

    def run(self, inputs: Inputs, params: OwnParams, memory: Any = None) -> Run:
        """One forward pass; every tensor that comes out is shown as what it is."""
        photo: ImageInput = inputs["image"]
        params = yield Image("input/picture", photo.pixels, note=photo.name)
        mean, std = NORMALISE[params.normalise]
        size = params.size or wanted_size(self.network)
        how = Preprocess(size, params.fit, mean=mean, std=std)
        x, _ = prepare(photo.pixels, how, self.host.device)
        out = self.network(x.mean(1, keepdim=True) if params.channels == 1 else x)
        tensors = dict(_tensors(out))
        if not tensors:
            raise EngineError(
                f"the model returned {type(out).__name__}, in which there is no tensor"
            )
        for name, tensor in tensors.items():
            yield _shown(f"output/{name}", tensor)
        return None


def open_model(spec: str) -> nn.Module:
    """The network that ``spec`` names.

    Raises:
        EngineError: it is not there, raised, wants arguments, or is no torch module.
    """
    path, factory = parts(spec)
    if path.endswith(".pt2"):
        return _program(Path(path))
    module = _module(path)
    make = getattr(module, factory, None) if factory else _only_network(module, path)
    if make is None:
        names = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
        raise EngineError(
            f"{path} has no {factory!r}; it has {', '.join(names[:8]) or 'nothing to call'}"
        )
    return _made(make, spec)


def wanted_size(network: nn.Module) -> int:
    """Side of the input that an exported program was traced with, else 224."""
    shape: tuple[int | None, ...] = getattr(network, "layerscope_shape", ())
    return (shape[-1] or USUAL_SIZE) if len(shape) == 4 else USUAL_SIZE


def _program(path: Path) -> nn.Module:
    if not path.is_file():
        raise EngineError(f"{path}: there is no such file")
    try:
        program = torch.export.load(path)
        network: nn.Module = torch.export.unflatten(program)
    except Exception as error:
        raise EngineError(
            f"{path.name} is no torch.export program ({type(error).__name__}: {_line(error)}); "
            "save one with torch.export.save(torch.export.export(model, (x,)), path)"
        ) from error
    names = program.graph_signature.user_inputs
    for node in program.graph.nodes:
        if names and node.name == names[0]:
            network.layerscope_shape = _shape_of(node.meta.get("val"))  # type: ignore[assignment]
    # An unflattened program has no train or eval of its own; it is what it was when exported.
    network.train = lambda mode=True: network  # type: ignore[method-assign]
    return network


def _shape_of(value: Any) -> tuple[int | None, ...]:
    """Shape of an exported input; None where the program takes any size."""
    if not isinstance(value, Tensor):
        return ()
    return tuple(n if isinstance(n, int) else None for n in value.shape)


def _module(path: str) -> Any:
    if path.endswith(".py") and not Path(path).is_file():
        raise EngineError(f"{path}: there is no such file")
    # As `python file.py` and `python -m module` do: what lies beside it can be imported.
    folder = str(Path(path).resolve().parent if path.endswith(".py") else Path.cwd())
    sys.path.insert(0, folder)
    try:
        return _from_file(Path(path)) if path.endswith(".py") else importlib.import_module(path)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too: a script that was meant to be run
        raise EngineError(
            f"{path} cannot be imported: {type(error).__name__}: {_line(error)}"
        ) from error
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(folder)


def _from_file(path: Path) -> Any:
    name = f"layerscope_model_{path.stem}"
    found = importlib.util.spec_from_file_location(name, path)
    if found is None or found.loader is None:
        raise ImportError("not a Python file")
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module  # dataclasses look their own module up there
    try:
        found.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def _only_network(module: Any, path: str) -> Callable[[], Any]:
    """Without a factory's name: the one network class or factory of the file."""
    for name in ("model", "make_model", "build", "make"):
        if hasattr(module, name):
            found: Callable[[], Any] = getattr(module, name)
            return found
    classes = [
        v
        for v in vars(module).values()
        if inspect.isclass(v) and issubclass(v, nn.Module) and v.__module__ == module.__name__
    ]
    if len(classes) != 1:
        names = ", ".join(c.__name__ for c in classes) or "none"
        raise EngineError(
            f"{path}: say which network to make, as {path}:NAME; networks in it: {names}"
        )
    return classes[0]


def _made(make: Any, spec: str) -> nn.Module:
    if isinstance(make, nn.Module):
        return make
    if not callable(make):
        raise EngineError(
            f"{spec} is a {type(make).__name__}; wanted a network or a function that makes one"
        )
    wanted = _wanted(make)
    if wanted:
        raise EngineError(
            f"{spec} wants arguments ({', '.join(wanted)}); name a function that needs none"
        )
    try:
        network = make()
    except Exception as error:
        raise EngineError(f"{spec} raised {type(error).__name__}: {_line(error)}") from error
    if not isinstance(network, nn.Module):
        raise EngineError(f"{spec} returned a {type(network).__name__}; wanted a torch.nn.Module")
    return network


def _wanted(make: Callable[..., Any]) -> list[str]:
    """Arguments without a default."""
    try:
        found = inspect.signature(make).parameters.values()
    except (TypeError, ValueError):  # a builtin keeps its signature to itself
        return []
    return [
        p.name
        for p in found
        if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]


def _line(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0][:200]


def _tensors(out: Any, name: str = "result") -> list[tuple[str, Tensor]]:
    """Every tensor in what a network returned, with a name that says where it was."""
    if isinstance(out, Tensor):
        return [(name, out)]
    if isinstance(out, dict):
        return [pair for key, value in out.items() for pair in _tensors(value, str(key) or name)]
    if isinstance(out, (tuple, list)):
        return [p for i, value in enumerate(out) for p in _tensors(value, f"{name} {i}")]
    found = first_tensor(vars(out)) if hasattr(out, "__dict__") else None
    return [] if found is None else [(name, found)]


def _shown(name: str, tensor: Tensor) -> Artefact:
    x = (tensor.abs() if tensor.is_complex() else tensor).detach().float().cpu()
    if x.ndim == 4:
        return FeatureMaps(name, x[0].numpy())
    if x.ndim == 3:
        return Matrix(name, x[0].numpy())
    flat = x.reshape(-1) if x.ndim < 2 else x[0].reshape(-1)
    best = flat.topk(min(TOP, len(flat)))
    labels = [f"#{i}" for i in best.indices.tolist()]
    return Scores(name, best.values.numpy(), labels, probability=False, note="largest raw outputs")
