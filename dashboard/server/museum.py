"""Runs of the museum's scripts, kept for whoever asks for the same one next."""

from __future__ import annotations

import threading
from collections import OrderedDict

from core.debug.record import Run


class Museum:
    """Runs of the museum's scripts by script and seed: they are nobody's, and always the same."""

    MOST = 24

    def __init__(self):
        self._runs: OrderedDict[tuple[str, int], Run] = OrderedDict()
        self._lock = threading.Lock()

    def __getitem__(self, key: tuple[str, int]) -> Run | None:
        with self._lock:
            if key in self._runs:
                self._runs.move_to_end(key)
            return self._runs.get(key)

    def __setitem__(self, key: tuple[str, int], run: Run) -> None:
        with self._lock:
            self._runs[key] = run
            while len(self._runs) > self.MOST:
                self._runs.popitem(last=False)
