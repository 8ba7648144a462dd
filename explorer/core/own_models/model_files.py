"""Opening a person's network: ``module:factory``, a ``.py`` file, an exported or scripted program,
or named tensors in a network that is named beside them."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import inspect
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn

from explorer.core.own_models.model_row import FILES, parts
from explorer.core.own_models.program import Signature, opened_program, opened_script
from explorer.core.reading.formats import MODEL_SUFFIXES
from explorer.core.stores.tensor_files import read_tensors, size_text
from explorer.core.stores.weight_names import fitted
from explorer.core.studies.capacity import free_memory, within_memory
from explorer.core.studies.prediction import is_lazy
from explorer.core.weights import WeightsError
from explorer.engine import EngineError


def open_model(spec: str, weights: str = "") -> nn.Module:
    """The network that ``spec`` names, with the tensors of the file ``weights`` if given.

    Code runs here: that of a Python file or module, and what an exported or scripted program does.

    Raises:
        EngineError: it is not there, raised, wants arguments, is no torch module, or is larger
            than memory; or the tensors do not fit.
        WeightsError: the file of tensors cannot be read, or would run code.
    """
    path, factory = parts(spec)
    if not path:
        raise EngineError(
            "which network? Name one as module:factory or file.py:factory, or a program (.pt2)"
        )
    with within_memory():
        network = _from_archive(Path(path)) if _is_archive(path) else _from_code(path, factory)
        if weights:
            load_weights(network, Path(weights))
    _check_values(network, spec)
    return network


def signature_of(network: nn.Module) -> Signature | None:
    """What a program says of its own inputs; None for any other network."""
    found: Signature | None = getattr(network, "layerscope_signature", None)
    return found


def load_weights(network: nn.Module, path: Path) -> None:
    """Put the tensors of a file into a network.

    Raises:
        WeightsError: it cannot be read or would run code. EngineError: names or shapes differ.
    """
    if not path.is_file():
        raise EngineError(f"{path}: there is no such file")
    size, free = path.stat().st_size, free_memory()
    if free is not None and size > free:
        raise EngineError(
            f"{path.name}: {size_text(size)} of tensors, and {size_text(free)} of memory are free"
        )
    if any(is_lazy(p) for p in network.parameters()):
        raise EngineError(
            f"{type(network).__name__} has lazy layers, whose shapes come with the first input; "
            "name a function that runs it once, then the tensors can be loaded"
        )
    network.load_state_dict(fitted(network, read_tensors(path), path.name))


def _check_values(network: nn.Module, spec: str) -> None:
    empty = next((n for n, p in network.named_parameters() if p.is_meta), "")
    if empty:
        raise EngineError(
            f"{spec}: {empty} is on the meta device and has no values; make it on the CPU"
        )


def _is_archive(path: str) -> bool:
    return path.endswith(FILES) and not path.endswith(".py")


def _from_archive(path: Path) -> nn.Module:
    """A program, exported or scripted; never a pickled network."""
    if not path.is_file():
        raise EngineError(f"{path}: there is no such file")
    if _holds(path, "code/"):
        return opened_script(path)
    if path.suffix in MODEL_SUFFIXES or _holds(path, "archive_format"):
        return opened_program(path)
    try:
        count = len(read_tensors(path))
    except WeightsError as error:
        raise EngineError(str(error)) from None
    raise EngineError(
        f"{path.name}: {count} named tensors and no network; say whose they are with "
        f"--arch module:factory or --arch file.py:factory"
    )


def _holds(path: Path, member: str) -> bool:
    """Whether a zip archive has such a folder or file in its top folder."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(n.partition("/")[2].startswith(member) for n in archive.namelist())
    except (zipfile.BadZipFile, OSError):
        return False


def _from_code(path: str, factory: str) -> nn.Module:
    module = _module(path)
    make = getattr(module, factory, None) if factory else _only_network(module, path)
    if make is None:
        names = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
        raise EngineError(
            f"{path} has no {factory!r}; it has {', '.join(names[:8]) or 'nothing to call'}"
        )
    return _made(make, f"{path}:{factory}" if factory else path)


def _module(path: str) -> Any:
    if path.endswith(".py") and not Path(path).is_file():
        raise EngineError(f"{path}: there is no such file")
    # As `python file.py` and `python -m module` do: what lies beside it can be imported.
    folder = str(Path(path).resolve().parent if path.endswith(".py") else Path.cwd())
    sys.path.insert(0, folder)
    try:
        return _from_file(Path(path)) if path.endswith(".py") else importlib.import_module(path)
    except (KeyboardInterrupt, EngineError):
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
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the person's own packages, in their own time
            network = make()
    except EngineError:
        raise
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
    lines = [line for line in str(error).splitlines() if line.strip()]
    return (lines or [""])[0].strip()[:200]
