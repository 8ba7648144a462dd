"""The test run's surroundings: no display, an own home, a guard against what is left behind."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from lent_weights import lend

os.environ["QT_QPA_PLATFORM"] = "offscreen"
# The same examples at every run: a test command that fails must fail again when one looks into it.
settings.register_profile("steady", derandomize=True, deadline=None)
settings.load_profile("steady")

SKIPPED = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    """Collect what was skipped: only a test that needs a GPU may be."""
    config.stash[SKIPPED] = []
    config.pluginmanager.register(_Skips(config.stash[SKIPPED]), "layerscope-skips")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of one file run on one core, as they share what is dear to make; the contract suite in
    parts, engine by engine, or it alone would be half of the time."""
    for item in items:
        group = item.path.name
        row = getattr(item, "callspec", None) and item.callspec.params.get("row")
        if group == "test_contract.py" and row:
            group += f"-{row}"
        item.add_marker(pytest.mark.xdist_group(group))


class _Skips:
    """Notes each skipped test and file with its reason."""

    def __init__(self, skipped: list[str]) -> None:
        self._skipped = skipped

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail") and "gpu" not in report.keywords:
            self._skipped.append(f"{report.nodeid} ({_reason(report)})")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:
            self._skipped.append(f"{report.nodeid} ({_reason(report)})")


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    where = report.longrepr
    return where[2] if isinstance(where, tuple) else str(where)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """A skip that is not the GPU's fails the run: what was not tried is not proved."""
    if session.config.stash[SKIPPED] and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name, above the closing line, what fails the command beside the tests themselves."""
    for line in terminalreporter.config.stash[SKIPPED]:
        terminalreporter.write_line(f"SKIPPED, which fails the run: {line}", red=True)
    steps = os.environ.get("LAYERSCOPE_STEPS_FAILED", "")
    if steps:
        terminalreporter.write_line(f"FAILED before the tests: {steps}", red=True)


@pytest.fixture(scope="session", autouse=True)
def session_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Settings, cache and logs of the whole run live in one temporary folder, not in the user's.

    Weights that were fetched before are lent from the user's cache, so that no test fetches them.
    """
    home = tmp_path_factory.mktemp("home")
    lend(home)
    before = os.environ.get("LAYERSCOPE_HOME")
    os.environ["LAYERSCOPE_HOME"] = str(home)
    yield home
    if before is None:
        del os.environ["LAYERSCOPE_HOME"]
    else:
        os.environ["LAYERSCOPE_HOME"] = before


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of this test alone: no settings of an earlier test, no recent items."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("LAYERSCOPE_HOME", str(folder))
    return folder


@pytest.fixture(autouse=True)
def nothing_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test of the window that leaves a thread, a timer or a top-level widget behind."""
    if "qapp" not in request.fixturenames and "qtbot" not in request.fixturenames:
        yield
        return
    app = request.getfixturevalue("qapp")
    before = _alive(app)
    yield
    left = _alive(app) - before
    if left:  # give what was asked to go the chance to go
        _settle(app)
        left = _alive(app) - before
    assert not left, "left behind: " + ", ".join(sorted(name for _, name in left))


def _settle(app: object) -> None:
    from PySide6.QtCore import QCoreApplication, QEvent

    for _ in range(3):
        gc.collect()
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
        QCoreApplication.processEvents()


def _alive(app: object) -> set[tuple[int, str]]:
    """Identity and description of running threads, active timers and top-level widgets."""
    from PySide6.QtCore import QThread, QTimer
    from PySide6.QtWidgets import QApplication
    from shiboken6 import isValid

    found = {
        (id(w), f"widget {type(w).__name__} {w.objectName()!r}")
        for w in QApplication.topLevelWidgets()
    }
    gc.unfreeze()  # what an open engine consists of is passed over by collections, and by this
    for thing in gc.get_objects():
        kind = type(thing)  # not isinstance: that would wake lazy proxies
        if issubclass(kind, QThread) and isValid(thing) and thing.isRunning():
            found.add((id(thing), f"thread {kind.__name__}"))
        elif issubclass(kind, QTimer) and isValid(thing) and thing.isActive():
            found.add((id(thing), f"timer of {type(thing.parent()).__name__}"))
    found |= {
        (t.ident or 0, f"thread {t.name}")
        for t in threading.enumerate()
        if not t.daemon and t is not threading.main_thread()
    }
    return found
