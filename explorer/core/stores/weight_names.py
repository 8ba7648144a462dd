"""Whether named tensors fit a network, and which names are near where they do not."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from torch import Tensor, nn

from explorer.engine import EngineError

LINES = 4


def fitted(network: nn.Module, tensors: Mapping[str, Tensor], source: str) -> dict[str, Tensor]:
    """The tensors under the names that the network has; one prefix more or less is looked past.

    Batch counts, which old files lack, and names that share another's memory may be missing.

    Raises:
        EngineError: what is missing, of another shape or not expected, with near names.
    """
    own = network.state_dict()
    wanted = {name: tuple(t.shape) for name, t in own.items()}
    found = {name: tuple(t.shape) for name, t in tensors.items()}
    chosen = min(_spellings(found, wanted), key=lambda names: len(wanted.keys() ^ names.values()))
    renamed = {new: tensors[old] for old, new in chosen.items()}
    given = {new: found[old] for old, new in chosen.items()}
    shared = _shared(own, set(given))
    needed = [n for n in wanted if not n.endswith(".num_batches_tracked")]
    missing = [n for n in needed if n not in given and n not in shared]
    wrong = [n for n in given if n in wanted and given[n] != wanted[n]]
    extra = [n for n in given if n not in wanted]
    lines = [_missing(n, wanted[n], {e: given[e] for e in extra}) for n in missing]
    lines += [f"{n} is {_shape(given[n])}, wanted {_shape(wanted[n])}" for n in wrong]
    lines += [f"{n} {_shape(given[n])} is not expected" for n in extra]
    if lines:
        more = f"; and {len(lines) - LINES} more" if len(lines) > LINES else ""
        fits = sum(given.get(n) == wanted[n] for n in wanted)
        raise EngineError(
            f"{source} does not fit {type(network).__name__} ({fits} of {len(wanted)} tensors do): "
            f"{', '.join(lines[:LINES])}{more}"
        )
    return {**own, **renamed}


def _spellings(found: Mapping[str, object], wanted: Mapping[str, object]) -> list[dict[str, str]]:
    """Old name to new: as they are, without the first part, or with one that the network has."""
    plain = {name: name for name in found}
    spellings = [plain]
    spellings += [{n: n.removeprefix(prefix) for n in found} for prefix in _prefixes(found)]
    spellings += [{n: prefix + n for n in found} for prefix in _prefixes(wanted)]
    return [s for s in spellings if len(set(s.values())) == len(s)]


def _prefixes(names: Mapping[str, object]) -> list[str]:
    return sorted({n.partition(".")[0] + "." for n in names if "." in n})


def _shared(own: Mapping[str, Tensor], given: set[str]) -> set[str]:
    """Names that are another one's tensor, such as tied embeddings."""
    here = {(t.data_ptr(), t.shape) for n, t in own.items() if n in given and t.numel()}
    return {n for n, t in own.items() if n not in given and (t.data_ptr(), t.shape) in here}


def _missing(name: str, shape: tuple[int, ...], extra: Mapping[str, tuple[int, ...]]) -> str:
    same = [n for n in extra if extra[n] == shape]
    near = difflib.get_close_matches(name, same or list(extra), n=1, cutoff=0.4)
    tail = f" (near: {near[0]} {_shape(extra[near[0]])})" if near else ""
    return f"{name} {_shape(shape)} is missing{tail}"


def _shape(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape)) or "scalar"
