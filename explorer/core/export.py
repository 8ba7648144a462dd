"""Everything a run leaves behind: pictures, arrays and films in one folder, and run.json over them.

The folder is filled at the end from a hidden one beside the files, so that nothing is half there.
"""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import numpy.typing as npt

from explorer.core.proofs.verify import digest, hashes
from explorer.core.stores.atomic import atomic
from explorer.core.writing.artefact_files import encode_png, has_svg, save_npz, save_png, save_svg
from explorer.core.writing.clip_writer import ClipWriter, ExportError
from explorer.core.writing.detection_export import FILE as DETECTIONS_FILE
from explorer.core.writing.detection_export import Detections
from explorer.core.writing.drawing import Pixels
from explorer.core.writing.picture import main_array, picture, range_of
from explorer.core.writing.plots import PLOTS
from explorer.core.writing.pose_export import Poses
from explorer.kinds import Artefact, Boxes, FeatureMaps, Image, Keypoints, Masks, Scores, Text
from explorer.views import Frame, Handle, Rendered

__all__ = [
    "ClipWriter", "ExportError", "atomic", "encode_png", "has_svg", "picture", "save_npz",
    "save_png", "save_svg", "write_run",
]  # fmt: skip

Record = Mapping[str, Any] | Callable[[], Mapping[str, Any]]
Reader = Callable[[Handle], npt.NDArray[Any]]

BEST = 5  # scores of an artefact that stand in run.json

_OVERLAYS = (Boxes, Masks, Keypoints)
_BARE = (Image, *_OVERLAYS)  # their PNG has the pixels of the input and nothing else
_RESERVED = {"con", "prn", "aux", "nul", *(f"{d}{i}" for d in ("com", "lpt") for i in range(1, 10))}


def write_run(
    folder: Path,
    frames: Iterable[Frame],
    record: Record,
    *,
    every: int = 0,
    fps: float = 25.0,
    read: Reader | None = None,
    detections: Detections | None = None,
) -> dict[str, Any]:
    """Consume a run and write PNG and NPZ of the last artefact of each name, and run.json.

    A run over several frames of a clip also gives an MP4 of each artefact that is a picture, any
    run an MP4 of the steps of each Image with a rate. What panels or ``--capture`` asked for is
    written as FeatureMaps under ``capture/POINT``.

    Args:
        record: facts for run.json, or a function that gives them when the run has ended.
        every: also a PNG of each artefact at every so many steps; 0 for none.
        fps: of the MP4.
        read: gives the full array of a captured layer; without it only its picture is written.
        detections: gathers what a detector finds in all frames; written as one file.

    Returns:
        What was written to run.json.

    Raises:
        ExportError: the folder cannot be written; nothing of this run is left in it.
    """
    folder = Path(folder)
    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        scratch = Path(mkdtemp(prefix=".part-", dir=folder))
    except OSError as error:
        raise _unwritable(folder, error) from error
    run = _Run(scratch, every, fps)
    try:
        for frame in frames:
            run.take(frame)
            if detections is not None:
                detections.take(frame)
        entries = run.finish(read)
        if detections is not None and detections.any:
            (scratch / DETECTIONS_FILE).write_text(detections.text(), encoding="utf-8")
            entry = next(e for e in entries if e["name"] == "detections/boxes")
            entry["files"] = [*entry["files"], DETECTIONS_FILE]
        facts = record() if callable(record) else record
        whole: dict[str, Any] = _plain({**facts, "artefacts": entries})
        text = json.dumps(whole, indent=2, ensure_ascii=False, allow_nan=False)
        (scratch / "run.json").write_text(text + "\n", encoding="utf-8")
        _move(scratch, folder)
    except OSError as error:
        raise error if isinstance(error, ExportError) else _unwritable(folder, error) from error
    finally:
        run.close()
        shutil.rmtree(scratch, ignore_errors=True)
        if made:
            with suppress(OSError):  # only an empty folder goes, which is the wish
                folder.rmdir()
    return whole


def _unwritable(folder: Path, error: OSError) -> ExportError:
    return ExportError(
        f"cannot write to {folder}: {error.strerror or error}; choose another folder"
    )


def _move(scratch: Path, folder: Path) -> None:
    """Rename the finished files into place, run.json last: it vouches for the others."""
    files = sorted(scratch.iterdir(), key=lambda p: (p.name == "run.json", p.name))
    for path in files:
        path.replace(folder / path.name)


@dataclass(slots=True)
class _Names:
    """File names for artefact names: safe everywhere and different even where case is not kept."""

    taken: dict[str, str] = field(default_factory=dict)

    def of(self, name: str) -> str:
        if name not in self.taken:
            stem = re.sub(r"[^\w()+=.,-]+", "_", name).strip(". _")[:80] or "artefact"
            stem = f"{stem}_" if stem.partition(".")[0].lower() in _RESERVED else stem
            used = {other.lower() for other in self.taken.values()} | {"run"}
            choice, count = stem, 2
            while choice.lower() in used:
                choice, count = f"{stem}-{count}", count + 1
            self.taken[name] = choice
        return self.taken[name]


class _Run:
    """Files of one run as its frames come in."""

    def __init__(self, scratch: Path, every: int, fps: float) -> None:
        self.scratch, self.every, self.fps = scratch, every, fps
        self.names = _Names()
        self.last: dict[str, Artefact] = {}
        self.captured: dict[str, Rendered] = {}
        self.stills: dict[str, list[str]] = {}
        self.films: dict[str, ClipWriter] = {}  # of a clip's frames
        self.rolls: dict[str, ClipWriter] = {}  # of a run's steps
        self.ground: Pixels | None = None
        self._first: dict[str, tuple[Artefact, Pixels | None]] = {}
        self._shown: dict[str, tuple[Artefact, Pixels | None]] = {}
        self._frame: int | None = None
        self._poses = Poses()

    def take(self, frame: Frame) -> None:
        """Note the artefacts of a step; write its stills, and the film frame that it completes."""
        if self._frame is not None and frame.frame != self._frame:
            self._film()
        self._frame = frame.frame
        self._poses.take(frame)
        for artefact in frame.artefacts:
            if _is_ground(artefact):
                self.ground = artefact.image
        for artefact in frame.artefacts:
            self._roll(artefact)
            self.last[artefact.name] = artefact
            self._shown[artefact.name] = (artefact, self.ground)
            if self.every and artefact.step % self.every == 0:
                stem = f"{self.names.of(artefact.name)}-step{artefact.step:05d}"
                stem += f"-frame{frame.frame:06d}" if frame.frame else ""
                self._png(artefact, stem)
                self.stills.setdefault(artefact.name, []).append(f"{stem}.png")
        for rendered in frame.rendered:
            self.captured[rendered.view.point] = rendered

    def finish(self, read: Reader | None) -> list[dict[str, Any]]:
        """Write the last of everything; the entries for run.json."""
        if self._first or self.films:
            self._film()
        for film in (*self.films.values(), *self.rolls.values()):
            film.close()
        entries = [self._entry(artefact) for artefact in self.last.values()]
        return entries + [self._capture(rendered, read) for rendered in self.captured.values()]

    def close(self) -> None:
        """Let go of films that an error left open."""
        for film in (*self.films.values(), *self.rolls.values()):
            film.abort()

    def _film(self) -> None:
        """One film frame for each picture of the clip frame that has ended.

        The first frame waits for a second one: one picture is no film.
        """
        shown = {k: v for k, v in self._shown.items() if not (_is_plot(v[0]) or _rate(v[0]))}
        self._shown = {}
        waiting, self._first = self._first, {}
        if not self.films and not waiting:
            self._first = shown
            return
        for batch in (waiting, shown):
            for name, (artefact, ground) in batch.items():
                if name not in self.films:
                    path = self.scratch / f"{self.names.of(name)}.mp4"
                    self.films[name] = ClipWriter(path, self.fps)
                self.films[name].write(picture(artefact, _under(artefact, ground)))

    def _roll(self, artefact: Artefact) -> None:
        """One more frame of a film that goes on with the steps, from its second frame on."""
        fps, before = _rate(artefact), self.last.get(artefact.name)
        if not (fps and isinstance(before, Image) and isinstance(artefact, Image)):
            return
        if artefact.name not in self.rolls:
            path = self.scratch / f"{self.names.of(artefact.name)}.mp4"
            self.rolls[artefact.name] = ClipWriter(path, fps)
            self.rolls[artefact.name].write(before.image)
        self.rolls[artefact.name].write(artefact.image)

    def _png(self, artefact: Artefact, stem: str) -> None:
        scale = 0 if isinstance(artefact, _BARE) else 1
        ground = _under(artefact, self.ground)
        save_png(artefact, self.scratch / f"{stem}.png", scale, ground)

    def _entry(self, artefact: Artefact) -> dict[str, Any]:
        stem = self.names.of(artefact.name)
        self._png(artefact, stem)
        files = [f"{stem}.png"]
        entry: dict[str, Any] = {
            "name": artefact.name, "kind": type(artefact).__name__, "step": artefact.step,
            "frame": artefact.frame, "unit": artefact.unit, "note": artefact.note,
            "sha256": hashes(artefact),
        }  # fmt: skip
        if isinstance(artefact, Text):
            weights = artefact.weights
            entry |= {"text": artefact.text, "tokens": list(artefact.tokens)}
            entry |= {"weights": weights.tolist(), "shape": list(weights.shape), "dtype": "str"}
            entry["range"] = range_of(weights)
        else:
            save_npz(artefact, self.scratch / f"{stem}.npz")
            files.append(f"{stem}.npz")
            main = main_array(artefact)
            assert main is not None
            entry |= {"shape": list(main.shape), "dtype": str(main.dtype), "range": range_of(main)}
        if isinstance(artefact, Scores):
            entry["best"] = _best(artefact)
        if isinstance(artefact, Keypoints):
            for ending, text in self._poses.texts(artefact.name).items():
                (self.scratch / f"{stem}{ending}").write_text(text, encoding="utf-8")
                files.append(f"{stem}{ending}")
        if artefact.name in self.films or artefact.name in self.rolls:
            files.append(f"{stem}.mp4")
        return entry | {"files": files + self.stills.get(artefact.name, [])}

    def _capture(self, rendered: Rendered, read: Reader | None) -> dict[str, Any]:
        """A captured layer: its mosaic, and its full array where it can be read."""
        name = f"capture/{rendered.view.point}"
        stem = self.names.of(name)
        save_png(rendered, self.scratch / f"{stem}.png")
        files = [f"{stem}.png"]
        numbers = rendered.statistics
        entry: dict[str, Any] = {
            "name": name, "kind": "FeatureMaps", "step": 0, "frame": rendered.handle.frame,
            "unit": "", "note": rendered.kind, "shape": list(rendered.shape),
            "dtype": rendered.dtype, "range": (numbers.low, numbers.high),
        }  # fmt: skip
        if read is not None:
            maps = FeatureMaps(name, read(rendered.handle))
            save_npz(maps, self.scratch / f"{stem}.npz")
            files.append(f"{stem}.npz")
            entry |= {"shape": list(maps.maps.shape), "dtype": str(maps.maps.dtype)}
            entry["sha256"] = {"maps": digest(maps.maps)}
        return entry | {"files": files}


def _best(artefact: Scores) -> list[dict[str, Any]]:
    """The highest scores, with what each was before the edits where that is known."""
    names = artefact.labels or tuple(map(str, range(len(artefact.scores))))
    before = artefact.before
    return [
        {"label": names[i], "score": float(artefact.scores[i])}
        | ({} if before is None else {"before": float(before[i])})
        for i in np.argsort(-artefact.scores, kind="stable")[:BEST].tolist()
    ]


def _is_ground(artefact: Artefact) -> bool:
    """Whether boxes and masks are drawn over it: the input picture."""
    return isinstance(artefact, Image) and artefact.group == "input" and artefact.image.ndim == 3


def _is_plot(artefact: Artefact) -> bool:
    return type(artefact) in PLOTS


def _rate(artefact: Artefact) -> float:
    """Frames a second of the film that the steps make up; 0 where they make up none."""
    return artefact.fps if isinstance(artefact, Image) and artefact.image.ndim == 3 else 0.0


def _under(artefact: Artefact, ground: Pixels | None) -> Pixels | None:
    return ground if isinstance(artefact, _OVERLAYS) else None


def _plain(value: Any) -> Any:
    """JSON's own types; not-a-number and infinity become null."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    return str(value)
