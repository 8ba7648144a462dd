"""Proofs: what the window shows, measured once more by a program of torch and numpy alone."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explorer import params as knobs
from explorer.analysis import gram
from explorer.core import registry
from explorer.core.proofs.proof_text import STATE, Feed, Measured, ProofError, measuring, program
from explorer.core.proofs.witness import Values, Witness
from explorer.core.session import Session
from explorer.core.streams import clip_of
from explorer.core.studies.hypercolumns import alphas, hypercolumn
from explorer.core.studies.tracing import Over, Target
from explorer.core.surgery import painted
from explorer.core.writing.clip_writer import writing
from explorer.editing import Edit
from explorer.inputs import Inputs
from explorer.views import View

__all__ = ["Asked", "Proof", "ProofError", "build", "prove", "state_sha256"]

MOST_STEPS = 64  # of a long run: to come to a later one would take as long again


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be proved.

    Attributes:
        kind: "maps", "gram", "hypercolumn" (at ``pixel``, input pixels) or "grad-cam" (of
            ``target``: module and unit; ``over`` says which part of the unit's map).
        frame, step: of the clip, of the run.
    """

    points: tuple[str, ...]
    kind: str = "maps"
    edits: tuple[Edit, ...] = ()
    pixel: tuple[float, float] = (0.0, 0.0)
    target: tuple[str, int] = ("", 0)
    over: Over = "sum"
    frame: int = 0
    step: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Proof:
    """A program and the file of its input.

    Attributes:
        whole: the picture enters and the network runs whole; else one module on its own input.
    """

    values: Values
    whole: bool
    input: bytes
    _text: Callable[[str], str]

    def text(self, file: str) -> str:
        """The program; ``file`` is Python that gives the path of the input."""
        return self._text(file)

    def keep(self, folder: Path) -> Path:
        """Write the input alone, named by its hash, for a program that goes elsewhere.

        Raises:
            ExportError: the folder cannot be written.
        """
        path = folder / f"{hashlib.sha256(self.input).hexdigest()[:16]}.npz"
        with writing(path) as part:
            part.write_bytes(self.input)
        return path

    def write(self, folder: Path, stem: str) -> list[Path]:
        """``STEM.py`` beside ``STEM.npz``.

        Raises:
            ExportError: the folder cannot be written.
        """
        script, data = folder / f"{stem}.py", folder / f"{stem}.input.npz"
        with writing(data) as part:
            part.write_bytes(self.input)
        with writing(script) as part:
            part.write_text(self.text(f"Path(__file__).with_name({data.name!r})"), encoding="utf-8")
        return [script, data]


def build(engine: str, values: Mapping[str, Any], *, device: str, seed: int) -> nn.Module:
    """The network of a catalogue engine, or of a person's own model, with its weights."""
    row, all_values = _row(engine, values)
    session = Session(row, device=device, seed=seed, params=all_values)
    session.open()
    return session.network


def prove(
    engine: str, values: Mapping[str, Any], inputs: Inputs, asked: Asked, *, device: str, seed: int
) -> Proof:
    """Run the engine in a session of its own, write the program, and see that it says the same.

    Args:
        engine: name in the catalogue, or the specification of a person's own model.
        values: knobs, all of them.

    Raises:
        ProofError: the engine does more with its network than call it, or the run is too long.
        EngineError, EngineFailed, WeightsMissing, MediaError: as when it is run.
    """
    if asked.step >= MOST_STEPS:
        raise ProofError(
            f"step {asked.step} of a long run cannot be repeated here; the first {MOST_STEPS} can"
        )
    row, all_values = _row(engine, values)
    session = Session(row, device=device, seed=seed, params=all_values)
    session.open()
    try:
        witness = _witnessed(session, inputs, asked)
        wanted, measured = _wanted(session, witness, asked)
        for feed, arrays in witness.feeds(asked.points):
            proof = _tried(session, witness, asked, measured, feed, arrays, wanted)
            if proof is not None:
                return proof
    finally:
        session.close()
    raise ProofError(
        f"{row.title} does more with its network at {', '.join(asked.points)} than one call that "
        "could be repeated"
    )


def state_sha256(network: nn.Module) -> str:
    """One hash over all parameters and buffers, as the program takes it."""
    space: dict[str, Any] = {"hashlib": hashlib, "torch": torch}
    exec(STATE, space)
    return str(space["state_sha256"](network))


def digest(values: Values) -> str:
    """sha256 of an array's values, in C order."""
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()


def _row(engine: str, values: Mapping[str, Any]) -> tuple[registry.Row, dict[str, Any]]:
    rows = registry.table()
    if engine in rows:
        return rows[engine], dict(values)
    from explorer.core.own_models.model_row import own_row

    weights = str(values.get("weights", ""))
    row, own = own_row(weights, engine) if weights else own_row(engine)
    return row, {**values, **own}


def _witnessed(session: Session, inputs: Inputs, asked: Asked) -> Witness:
    """Run up to the frame and step; the last call of each point before it counts."""
    names = [*asked.points, *(e.point for e in asked.edits)]
    names += [asked.target[0]] if asked.kind == "grad-cam" else []
    session.capture.check(names)
    session.timeline.on = False
    session.edits = tuple(e for e in asked.edits if e.on)
    session.views = tuple(View(point) for point in asked.points)
    witness = Witness(session.network)
    with witness.watching(session):
        if clip_of(inputs) is not None:
            frames = session.at(inputs, asked.frame)
        else:
            frames = session.run(inputs)
        for frame in frames:
            witness.take(frame)
            if frame.step >= asked.step:
                break
        lacking = [point for point in asked.points if point not in witness.rendered]
        if lacking:
            raise ProofError(f"{lacking[0]} was not called in this run")
        if hasattr(frames, "close"):
            frames.close()
    return witness


# -- what is measured


def _wanted(session: Session, witness: Witness, asked: Asked) -> tuple[Values, Measured]:
    """The numbers that the window shows, and how the program is to come to them."""
    measured = Measured(asked.kind, asked.points, target=asked.target, over=asked.over)
    maps = [torch.from_numpy(witness.values[point]) for point in asked.points]
    if asked.kind == "maps":
        return witness.values[asked.points[0]], measured
    if asked.kind == "gram":
        # On the session's device: another one adds in another order.
        return gram(maps[0].to(session.device)).cpu().numpy(), measured
    if asked.kind == "hypercolumn":
        return _column(witness, asked, maps)
    if asked.kind == "grad-cam":
        return np.empty(0), measured  # `_tried` asks Grad-CAM itself
    raise ProofError(f"there is no proof of {asked.kind!r}")


def _column(witness: Witness, asked: Asked, maps: Sequence[Tensor]) -> tuple[Values, Measured]:
    affines, cells = [], []
    for point, values in zip(asked.points, maps, strict=True):
        affine = witness.rendered[point].affine
        if affine is None:
            raise ProofError(f"it is not known where the maps of {point} lie in the picture")
        rows, columns = alphas(affine, (values.shape[1], values.shape[2]), *asked.pixel)
        affines.append(affine)
        cells.append(
            (int(rows.low), int(rows.high), int(columns.low), int(columns.high),
             float(rows.share), float(columns.share))
        )  # fmt: skip
    found = torch.cat(hypercolumn(maps, affines, *asked.pixel))
    return found.numpy(), Measured("hypercolumn", asked.points, tuple(cells))


def _cam(session: Session, asked: Asked, feed: Feed, arrays: Mapping[str, Values]) -> Values:
    """Grad-CAM as the instruments compute it, on the same input."""
    from explorer.core.attribution import grad_cam

    if feed.preprocess is None:
        raise ProofError("Grad-CAM is proved for engines that take a picture")
    from explorer.engine import prepare

    x, _ = prepare(arrays["pixels"], feed.preprocess, session.device)
    point, unit = asked.target
    target = Target(point, unit, over=asked.over)
    found = grad_cam(session.network, lambda: session.network(x), asked.points[0], target)
    return found.map[0].cpu().numpy()


def _tried(
    session: Session,
    witness: Witness,
    asked: Asked,
    measured: Measured,
    feed: Feed,
    arrays: dict[str, Values],
    wanted: Values,
) -> Proof | None:
    """The program, when it gives the wanted numbers on this network; else None."""
    edits = tuple(e for e in asked.edits if e.on)
    for number, edit in enumerate(edits):
        if edit.mask is not None:
            size = witness.axes[edit.point][-2:]
            arrays[f"mask{number}"] = painted(edit.mask, *size).numpy()
    axes = {name: len(shape) for name, shape in witness.axes.items()}
    text = measuring(feed, measured, edits, axes)
    if asked.kind == "grad-cam":
        wanted = _cam(session, asked, feed, arrays)
    space: dict[str, Any] = {"torch": torch, "F": F}
    exec(text, space)
    try:
        values = space["measure"](session.network, arrays, session.device).cpu().numpy()
    except (RuntimeError, TypeError, AttributeError, LookupError):
        return None  # the engine calls its network in another way
    if values.shape != wanted.shape or not np.array_equal(values, wanted, equal_nan=True):
        return None
    return _proof(session, asked, text, arrays, values, whole=not feed.module)


def _proof(
    session: Session,
    asked: Asked,
    text: str,
    arrays: Mapping[str, Values],
    values: Values,
    *,
    whole: bool,
) -> Proof:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    data = file.getvalue()
    engine = getattr(session.params, "model", "") or session.row.name
    title = f"{asked.kind} of {', '.join(asked.points)} in {session.row.title}"
    facts: dict[str, Any] = {
        "name": ", ".join(asked.points),
        "device": str(session.device), "threads": torch.get_num_threads(),
        "weights": state_sha256(session.network),
        "input_sha256": hashlib.sha256(data).hexdigest(), "values": digest(values),
    }  # fmt: skip
    making = _building(session, str(engine))
    return Proof(
        values, whole, data, lambda where: program(title, making, text, file=where, **facts)
    )


def _building(session: Session, engine: str) -> str:
    """Lines that make ``network``."""
    seed, device = session.seed, str(session.device)
    path, colon, factory = engine.rpartition(":")
    plain = colon and path.endswith(".py") and factory.isidentifier()
    if plain and not getattr(session.params, "weights", ""):
        return (
            "# The network comes from your own file; nothing here needs layerscope.\n"
            f"sys.path.insert(0, {str(Path(path).resolve().parent)!r})\n"
            f"torch.manual_seed({seed})\n"
            f"from {Path(path).stem} import {factory}\n\n"
            f"network = {factory}().to(DEVICE).eval().requires_grad_(False)"
        )
    values = knobs.as_dict(session.params)
    return (
        "# Only this line needs layerscope: it makes the network and loads its weights.\n"
        "from explorer.core.proofs.proof import build\n\n"
        f"network = build({engine!r}, {values!r}, device={device!r}, seed={seed})"
    )
