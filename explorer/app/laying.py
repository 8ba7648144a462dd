"""Which instruments the window wants on the network, and what is still to be told to it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from explorer.app.reports import Laid

if TYPE_CHECKING:
    from explorer.core.session import Session

Values = dict[str, Any]


class Laying:
    """Instruments by name with their knobs; they outlive the session that they lie on.

    Changes that come faster than they are served become one.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[str, Values] = {}
        self._pending: dict[str, Values | None] = {}

    def ask(self, name: str, values: Mapping[str, Any] | None) -> bool:
        """Lay one on, change its knobs, or (None) take it off; whether nothing waited before."""
        with self._lock:
            first = not self._pending
            before = self._pending.get(name) or {}
            self._pending[name] = None if values is None else {**before, **values}
            return first

    def serve(self, session: Session | None) -> Iterator[Laid]:
        """Do what was asked; one report for each that lies on the session now.

        Raises:
            KnobError, UnknownInstrument: that one stays as it was.
        """
        with self._lock:
            pending, self._pending = self._pending, {}
        for name, values in pending.items():
            if values is None:
                self._kept.pop(name, None)
                if session is not None:
                    session.instruments.take_off(name)
                continue
            if session is not None:
                session.instruments.lay_on(name, values, session.layers())
                params = session.instruments.params(name)
                yield Laid(name, type(params), params)
            self._kept[name] = {**self._kept.get(name, {}), **values}

    def lay_all(self, session: Session) -> None:
        """Lay all of them on a session that has just been opened."""
        for name, values in self._kept.items():
            session.instruments.lay_on(name, values, session.layers())
