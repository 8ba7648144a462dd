"""What a session lets its engine ask for: weights, progress, random numbers, pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from explorer.core.stores.tensor_files import sha256_of
from explorer.core.weights import LoadedWeights, WeightStore
from explorer.engine import Cancelled
from explorer.inputs import ImageInput

if TYPE_CHECKING:
    from explorer.core.session import Session


class SessionHost:
    """The Host of one session; ``sources`` notes which weights the engine took."""

    def __init__(self, session: Session, store: WeightStore) -> None:
        self.sources: dict[str, LoadedWeights] = {}
        self.store = store
        self._session = session

    @property
    def device(self) -> torch.device:
        """Where the network runs."""
        return self._session.device

    @property
    def seed(self) -> int:
        """The session's seed."""
        return self._session.seed

    def weights(self, name: str) -> dict[str, Tensor]:
        """Verified tensors of a catalogue entry; raises WeightsMissing or WeightsError."""
        self.progress(f"Loading {name}")
        loaded = self.store.load(name)
        if loaded.provenance != "data":
            self.sources[name] = loaded
        return loaded.tensors

    def note_file(self, path: Path) -> None:
        """Note a person's own file, with its hash, as where this network comes from."""
        if path.is_file():
            found = LoadedWeights({}, f"your file {path.name}", sha256_of(path), "your own", "")
            self.sources[path.name] = found

    def has_weights(self, name: str) -> bool:
        """Whether they are here already."""
        return self.store.status(name) != "missing"

    def progress(self, text: str, fraction: float | None = None) -> None:
        """Pass on to whoever watches; raises Cancelled when a cancel was asked for."""
        if self._session.cancelled:
            raise Cancelled
        if self._session.on_progress is not None:
            self._session.on_progress(text, fraction)

    def pause(self) -> None:
        """Let others go first; raises Cancelled when a cancel was asked for."""
        if self._session.cancelled:
            raise Cancelled
        if self._session.on_pause is not None:
            self._session.on_pause()

    def read_image(self, path: Path) -> ImageInput:
        """Read a picture; raises MediaError (a ValueError)."""
        from explorer.core.media import read_image  # cv2 is imported only where pictures are read

        return read_image(path)

    def generator(self) -> torch.Generator:
        """A CPU generator seeded with the session's seed."""
        return torch.Generator().manual_seed(self.seed)

    def forget(self) -> None:
        """Before a new build."""
        self.sources.clear()
