"""Reading and writing files of named tensors; nothing in a file is ever run.

Embedded weights are safetensors in the smallest precision that serves. The convention, also written
into the metadata of each such file: float16 widens to float32, and a uint8 tensor ``NAME`` with
companions ``NAME:scale`` and ``NAME:low`` (float32, broadcastable) stands for
``NAME * scale + low``.
"""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any, Literal

from explorer.core.stores.atomic import atomic

if TYPE_CHECKING:
    from torch import Tensor

Precision = Literal["float32", "float16", "uint8"]

RESUME = "resume:"
"""Names that begin so belong to a checkpoint's training state, not to the weights."""

CONVENTION = "value = stored; float16 widens to float32; uint8 NAME = NAME * NAME:scale + NAME:low"
_ACCEPTED = "Accepted: safetensors, or a torch file of named tensors (.pt, .pth, .bin)"
_WRAPPERS = (
    "state_dict", "model_state_dict", "model_state", "model", "params_ema", "params", "ema",
    "weights", "network", "net", "generator",
)  # fmt: skip
_PREFIXES = ("module.", "_orig_mod.")


class WeightsError(RuntimeError):
    """Weights that cannot be read, fetched or used; one line with cause and remedy."""


def size_text(count: int) -> str:
    """Bytes for a person, three digits: ``784 KiB``."""
    value, unit = float(count), "bytes"
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if value < 1000 or unit == "GiB":
            break
        value /= 1024
    return f"{count} bytes" if unit == "bytes" else f"{value:.3g} {unit}"


def sha256_of(path: Path) -> str:
    """The hex digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Named tensors of a safetensors or torch file, on the CPU, floats as float32.

    A checkpoint wrapped in ``{"state_dict": ...}`` and names with a ``module.`` prefix are
    unwrapped.

    Raises:
        WeightsError: what the file is instead, or that it would run code, and what is accepted.
    """
    path = Path(path)
    what = _describe(path)
    if what == "safetensors":
        found: Any = _read_safetensors(path)
    else:
        found = _read_torch(path, what)
    return _widened(_unwrapped(found, path.name))


def _describe(path: Path) -> Literal["safetensors", "zip", "pickle"]:
    """What the first bytes say the file is."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise WeightsError(f"{path.name}: cannot be read: {error.strerror}") from error
    if not head:
        raise WeightsError(f"{path.name}: 0 bytes, an empty file; download or save it again")
    if head[:4] == b"PK\x03\x04":
        return "zip"
    header = int.from_bytes(head[:8], "little")
    if path.suffix == ".safetensors" or (head[8:9] == b"{" and header < 100_000_000):
        return "safetensors"
    if head[0] == 0x80 and len(head) > 1 and head[1] <= 5:
        return "pickle"
    if head[:8] == b"\x89HDF\r\n\x1a\n":
        kind = "an HDF5 (Keras) file, which only an engine with a reader for it can take"
    else:
        kind = "not a zip or pickle archive"
    raise WeightsError(f"{path.name}: {size_text(size)}, {kind}; {_ACCEPTED}")


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(
            f"{path.name}: {size_text(path.stat().st_size)}, a damaged safetensors file "
            f"({_first_line(error)}); download or save it again"
        ) from error
    return {name: value for name, value in tensors.items() if not name.startswith(RESUME)}


def _read_torch(path: Path, what: str) -> Any:
    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise WeightsError(_refusal(path, what, str(error))) from error
    except Exception as error:
        # A damaged archive raises almost anything: RuntimeError, EOFError, KeyError, UnicodeError.
        raise WeightsError(_damage(path, what, error)) from error


def _refusal(path: Path, what: str, message: str) -> str:
    """Why the restricted unpickler stopped."""
    name = re.search(r"(?:GLOBAL|global:?|function|class) [`']?([\w.]+\.[\w.]+)", message)
    if name is None and "nsupported" not in message:
        return _damage(path, what, UnpicklingError(message))
    holds = f"it refers to code ({name.group(1)})" if name else "it holds code"
    return (
        f"{path.name}: refused, {holds} and opening it could run that; save the tensors alone with "
        f"torch.save(model.state_dict(), ...) or as safetensors"
    )


def _damage(path: Path, what: str, error: Exception) -> str:
    size = size_text(path.stat().st_size)
    if "TorchScript" in str(error):
        return f"{path.name}: {size}, a TorchScript program, not named tensors; open it as a model"
    if what == "zip" and not zipfile.is_zipfile(path):
        return f"{path.name}: {size}, a zip archive that ends early; download or save it again"
    if what == "zip" and "data.pkl" not in " ".join(zipfile.ZipFile(path).namelist()):
        return f"{path.name}: {size}, a zip archive without tensors; {_ACCEPTED}"
    return (
        f"{path.name}: {size}, a damaged {what} archive ({_first_line(error)}); "
        f"download or save it again"
    )


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:120]


def _unwrapped(found: Any, name: str) -> dict[str, Tensor]:
    """Dig the mapping of tensors out of a checkpoint."""
    from torch import Tensor

    level = found
    for _ in range(4):
        if not isinstance(level, Mapping):
            raise WeightsError(f"{name}: holds a {type(level).__name__}, not named tensors")
        tensors = {str(k): v for k, v in level.items() if isinstance(v, Tensor)}
        inner = {str(k): v for k, v in level.items() if isinstance(v, Mapping) and v}
        if tensors and not any(wrapper in inner for wrapper in _WRAPPERS):
            return _unprefixed(tensors)
        choice = [wrapper for wrapper in _WRAPPERS if wrapper in inner] or [
            key for key in inner if key.endswith("state_dict")
        ]
        if not choice and len(inner) == 1:
            choice = list(inner)
        if not choice or (len(choice) > 1 and choice[0] not in _WRAPPERS):
            keys = ", ".join(list(map(str, level))[:6]) or "nothing"
            raise WeightsError(f"{name}: no named tensors in it, only {keys}; {_ACCEPTED}")
        level = inner[choice[0]]
    raise WeightsError(f"{name}: its tensors lie too deep; save the state dict alone")


def _unprefixed(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    for prefix in _PREFIXES:
        if all(key.startswith(prefix) for key in tensors):
            return _unprefixed({key.removeprefix(prefix): v for key, v in tensors.items()})
    return tensors


def _widened(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Undo the storage convention: half and 8-bit tensors become float32."""
    import torch

    tensors: dict[str, Tensor] = {}
    for name, value in stored.items():
        base, colon, part = name.rpartition(":")
        if colon and part in ("scale", "low") and base in stored:
            continue
        if value.dtype == torch.uint8 and f"{name}:scale" in stored:
            value = value.float() * stored[f"{name}:scale"] + stored[f"{name}:low"]
        elif value.dtype in (torch.float16, torch.bfloat16):
            value = value.float()
        tensors[name] = value
    return tensors


def write_tensors(
    path: Path,
    tensors: Mapping[str, Tensor],
    precision: Precision = "float32",
    facts: Mapping[str, str] | None = None,
) -> None:
    """Write named tensors as one safetensors file, atomically, in the stated precision.

    With ``uint8`` tensors of two or more axes get a scale and a low end for each entry of their
    first axis; the error is at most half a scale step. Vectors stay float32, integers as they are.

    Args:
        facts: metadata, such as the command, seed, version and score of a training.
    """
    from safetensors.torch import save_file

    stored: dict[str, Tensor] = {}
    for name, value in tensors.items():
        # A view of a larger tensor or a shared one is refused by safetensors: own memory for each.
        value = value.detach().cpu().clone(memory_format=_contiguous())
        if not value.is_floating_point() or precision == "float32":
            stored[name] = value
        elif precision == "float16":
            stored[name] = value.half()
        elif value.ndim < 2:
            stored[name] = value.float()
        else:
            stored |= _quantised(name, value.float())
    metadata = {"convention": CONVENTION, **(facts or {})}
    with atomic(path) as part:
        save_file(stored, part, metadata={k: str(v) for k, v in metadata.items()})


def _contiguous() -> Any:
    import torch

    return torch.contiguous_format


def _quantised(name: str, value: Tensor) -> dict[str, Tensor]:
    rest = tuple(range(1, value.ndim))
    low = value.amin(rest, keepdim=True)
    scale = ((value.amax(rest, keepdim=True) - low) / 255).clamp_min(1e-12)
    return {
        name: ((value - low) / scale).round().clamp(0, 255).byte(),
        f"{name}:scale": scale,
        f"{name}:low": low,
    }


def facts_of(path: Path) -> dict[str, str]:
    """The metadata of a safetensors file, read from its header without torch.

    Raises:
        WeightsError: the header is damaged.
    """
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        try:
            header = json.loads(file.read(min(length, 100_000_000)))
            return {str(k): str(v) for k, v in header.get("__metadata__", {}).items()}
        except (ValueError, AttributeError) as error:
            raise WeightsError(f"{path.name}: a damaged safetensors file") from error
