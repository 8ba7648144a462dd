"""Compute only what lies below an edit: modules that finished above it replay their output."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from explorer.kinds import Artefact, Scores
from explorer.views import Edit

CAP = 512 * 2**20  # bytes kept; blocks beyond it run again
NEVER = 1 << 62


@dataclass(slots=True)
class Recording:
    """One unedited pass: what each block returned at each call, and when every module was done.

    ``first`` is the moment a module's first call ended, ``finished`` the last of a block's.
    ``artefacts`` are what the engine made of it, and ``memory`` what it would carry on.
    """

    key: Hashable
    outputs: dict[str, list[Tensor]] = field(default_factory=dict)
    first: dict[str, int] = field(default_factory=dict)
    finished: dict[str, int] = field(default_factory=dict)
    clock: int = 0
    bytes: int = 0
    artefacts: list[Artefact] = field(default_factory=list)
    memory: Any = None

    def tick(self) -> int:
        """The next moment."""
        self.clock += 1
        return self.clock


class Resume:
    """Records an unedited pass over an input, and replays its upper part under edits.

    ``key`` names all that the pass depends on (inputs, frame, knobs, weights, memory); with another
    key nothing is replayed. Blocks are the children of the root, with plain Sequentials opened.
    """

    def __init__(self, network: nn.Module) -> None:
        self._modules = dict(network.named_modules())
        self._blocks = tuple(_blocks(network))
        self._recording: Recording | None = None
        self._copied: set[str] = set()  # blocks whose output is written in place by what follows

    def known(self, key: Hashable) -> Recording | None:
        """The pass that was kept under this key, if any."""
        made = self._recording
        return made if made is not None and made.key == key else None

    @contextmanager
    def recorded(self, key: Hashable) -> Iterator[Recording]:
        """Around an unedited pass; it counts once it is handed to `keep`."""
        self._recording = None
        made = Recording(key)
        handles: list[RemovableHandle] = [
            *(m.register_forward_hook(_ender(made, n)) for n, m in self._modules.items()),
            *(self._modules[n].register_forward_hook(_keeper(made, n)) for n in self._blocks),
        ]
        try:
            yield made
        finally:
            for handle in handles:
                handle.remove()

    def keep(self, made: Recording, artefacts: Iterable[Artefact], memory: Any = None) -> None:
        """The pass has come to its end; artefacts beyond the cap are let go, but for scores."""
        made.memory = memory
        for artefact in artefacts:
            if isinstance(artefact, Scores) or made.bytes + artefact.nbytes() <= CAP:
                made.bytes += artefact.nbytes()
                made.artefacts.append(artefact)
        self._recording = made

    @contextmanager
    def replayed(
        self, key: Hashable, edits: Sequence[Edit], points: Sequence[str]
    ) -> Iterator[tuple[str, ...]]:
        """Around an edited run: what lies above the edits is not computed; gives its names.

        ``points`` are looked at: a block with one of them inside runs.
        """
        names = self._replayable(key, [e for e in edits if e.on], points)
        patched = [self._modules[name] for name in names]
        for name, module in zip(names, patched, strict=True):
            module.forward = self._player(name)
        try:
            yield names
        finally:
            for module in patched:
                del module.forward  # the class's own comes back
            self._look_after(names)

    def _look_after(self, names: Sequence[str]) -> None:
        """Let the recording go if what followed a block wrote into its output in place.

        The run that did so is right all the same; from the next one on that block gives copies.
        """
        outputs = {} if self._recording is None else self._recording.outputs
        written = {n for n in names if any(t._version for t in outputs.get(n, ()))} - self._copied
        if written:
            self._copied |= written
            self._recording = None

    def forget(self) -> None:
        """Let go of the recorded tensors."""
        self._recording = None

    def _replayable(
        self, key: Hashable, edits: Sequence[Edit], points: Sequence[str]
    ) -> tuple[str, ...]:
        """Blocks whose every call was over when the first edited module was done.

        An edit changes what a module returns, so the edited block itself replays too.
        """
        made = self.known(key)
        if made is None:
            return ()
        ends = [made.first[e.point] for e in edits if e.point in made.first]
        if not ends:
            return ()
        return tuple(
            name
            for name in self._blocks
            if made.finished.get(name, NEVER) <= min(ends)
            and not any(point.startswith(name + ".") for point in points)
        )

    def _player(self, name: str) -> Callable[..., Tensor]:
        """A forward that gives, call after call, what was recorded."""
        outputs = iter(() if self._recording is None else self._recording.outputs[name])
        if name in self._copied:
            return lambda *args, **kwargs: next(outputs).clone()
        return lambda *args, **kwargs: next(outputs)


def _blocks(network: nn.Module, prefix: str = "") -> Iterator[str]:
    for name, child in network.named_children():
        full = f"{prefix}{name}"
        if type(child) in (nn.Sequential, nn.ModuleList, nn.ModuleDict):
            yield from _blocks(child, f"{full}.")
        else:
            yield full


def _ender(made: Recording, name: str) -> Callable[..., None]:
    def hook(module: nn.Module, args: Any, out: Any) -> None:
        made.first.setdefault(name, made.tick())

    return hook


def _keeper(made: Recording, name: str) -> Callable[..., None]:
    def hook(module: nn.Module, args: Any, out: Any) -> None:
        if made.finished.get(name) == NEVER:
            return
        if not isinstance(out, Tensor) or made.bytes + out.nbytes > CAP:
            made.finished[name] = NEVER
            made.outputs.pop(name, None)
            return
        made.bytes += out.nbytes
        made.outputs.setdefault(name, []).append(out.detach().clone())
        made.finished[name] = made.clock

    return hook
