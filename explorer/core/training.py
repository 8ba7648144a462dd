"""Keeps the checkpoints of a training run: on disk every minute and at the end, exact to resume."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from explorer import params as knobs
from explorer.core.stores import checkpoint as files
from explorer.core.stores.atomic import atomic
from explorer.engine import Checkpoint, EndOfStep, EngineError
from explorer.kinds import Artefact

if TYPE_CHECKING:
    from explorer.core.session import Session

EVERY = 60.0  # seconds between saves


class Trainer:
    """Receives the checkpoints of one training run.

    ``out`` gets the weights (safetensors, with the command's facts as metadata), and beside it
    ``out`` with the suffix ``.checkpoint`` everything that a resume needs.
    """

    def __init__(self, session: Session, out: Path | None, steps: int | None) -> None:
        self.session = session
        self.out = out
        self._steps = steps
        self._start: int | None = None
        self._latest: Checkpoint | None = None
        self._unsaved = False
        self._saved_at = time.monotonic()

    @staticmethod
    def checkpoint_path(out: Path) -> Path:
        """Where the resumable state of a training towards ``out`` stands."""
        return out.with_suffix(".checkpoint")

    def resume(self, path: Path) -> Checkpoint:
        """Read a checkpoint (or the one beside a weights file) and set knobs and random state.

        Knobs that were asked for by name stay as asked.

        Raises:
            EngineError: it belongs to another engine.
        """
        found = self.checkpoint_path(path) if path.suffix == ".safetensors" else path
        checkpoint = files.load(found)
        state = dict(checkpoint.state)
        own = state.pop("session", {})
        if own.get("engine") != self.session.row.name:
            raise EngineError(
                f"{path.name}: a checkpoint of engine {own.get('engine')!r}, not of "
                f"{self.session.row.name!r}; choose the engine that wrote it"
            )
        self.session.continue_with(own["random"], own["knobs"])
        self._start = checkpoint.step
        return Checkpoint(checkpoint.step, checkpoint.weights, state, checkpoint.score)

    def take(self, checkpoint: Checkpoint) -> bool:
        """Keep a copy, for training goes on in place; True when enough steps are done."""
        if self._start is None:
            self._start = 0
        own = {
            "engine": self.session.row.name,
            "knobs": _plain(knobs.as_dict(self.session.params)),
            "seed": self.session.seed,
            "random": torch.get_rng_state(),
        }
        state = _copied({**checkpoint.state, "session": own})
        self._latest = Checkpoint(
            checkpoint.step, _copied(dict(checkpoint.weights)), state, checkpoint.score
        )
        self._unsaved = True
        if time.monotonic() - self._saved_at > EVERY:
            self.save()
        return self._steps is not None and checkpoint.step - self._start >= self._steps

    @property
    def latest(self) -> Checkpoint | None:
        """The newest checkpoint."""
        return self._latest

    def save(self) -> None:
        """Write the newest checkpoint, whole or not at all."""
        self._saved_at = time.monotonic()
        if self.out is None or self._latest is None or not self._unsaved:
            return
        files.save(self.checkpoint_path(self.out), self._latest)
        from safetensors.torch import save_file

        facts = {
            "engine": self.session.row.name,
            "command": f"layerscope train {self.session.row.name} --out {self.out.name}"
            f" --seed {self.session.seed} --steps {self._latest.step}",
            "seed": str(self.session.seed),
            "steps": str(self._latest.step),
            "knobs": repr(_plain(knobs.as_dict(self.session.params))),
            **{f"score {name}": f"{value:.6g}" for name, value in self._latest.score.items()},
        }
        tensors = {name: t.contiguous().cpu() for name, t in self._latest.weights.items()}
        with atomic(self.out) as path:
            save_file(tensors, path, facts)
        self._unsaved = False


def training_run(
    generator: Generator[Artefact | EndOfStep | Checkpoint, Any, None], trainer: Trainer
) -> Generator[Artefact | EndOfStep, Any, None]:
    """Pass artefacts on, give checkpoints to the trainer, end when it has enough.

    A checkpoint stands at the end of a step.
    """
    sent = None
    with contextlib.closing(generator):
        while True:
            try:
                made = generator.send(sent)
            except StopIteration:
                return
            if not isinstance(made, Checkpoint):
                sent = yield made
            elif trainer.take(made):
                return
            else:
                sent = yield EndOfStep()


def _copied(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, Mapping):
        return {key: _copied(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_copied(item) for item in value]
    return value


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}
