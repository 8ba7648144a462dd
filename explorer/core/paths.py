"""Where the program's own files and the user's folders are."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import platformdirs

import explorer

HOME = "LAYERSCOPE_HOME"
"""Environment variable: one folder to hold cache, data and configuration, as tests want it."""


def assets() -> Path:
    """The folder of samples, icons and embedded weights: in the package, else in the checkout.

    Raises:
        FileNotFoundError: neither is there; the installation is incomplete.
    """
    package = Path(explorer.__file__).resolve().parent
    for folder in (package / "assets", package.parent / "assets"):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"{package / 'assets'} is missing: install layerscope again")


def cache() -> Path:
    """The user's folder for what can be fetched again, such as weights; made by its writer."""
    return _user("cache", platformdirs.user_cache_path)


def data() -> Path:
    """The user's folder for what must be kept, such as imported weights."""
    return _user("data", platformdirs.user_data_path)


def config() -> Path:
    """The user's folder for settings and layouts."""
    return _user("config", platformdirs.user_config_path)


def training(engine: str) -> Path:
    """Where a training that begins now, and was given no file, keeps its weights."""
    return data() / "trainings" / f"{engine}-{time.strftime('%Y%m%d-%H%M%S')}.safetensors"


def _user(name: str, ordinary: Callable[..., Path]) -> Path:
    home = os.environ.get(HOME)
    return Path(home) / name if home else ordinary("layerscope", appauthor=False)
