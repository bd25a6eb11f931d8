"""What answers set in a page's sidebar, and what a hand turns meanwhile: neither overwrites the other.

An answer takes its time, and so does its way into a page that has much to do. A change by hand may be on its way with
values of before it, and an answer may come to a control that a hand has turned since it was asked for.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from typing import Any

#: Answers that are remembered for a page: as many as can be on their way at a time.
REMEMBERED = 8


class Answers:
    """What the last answers to each page have set. Values are by the recipe's field."""

    def __init__(self):
        self._lock = threading.Lock()
        self._given: dict[str, deque[tuple[int, dict, dict]]] = {}

    def give(self, session: str, number: int, stood: Mapping[str, Any], sets: Mapping[str, Any]) -> None:
        """The answer to change `number` of a page sets these; `stood` is what was in the sidebar when it was asked."""
        if sets:
            with self._lock:
                given = self._given.setdefault(session, deque(maxlen=REMEMBERED))
                given.append((number, {name: stood[name] for name in sets}, dict(sets)))

    def merged(self, session: str, heard: int, values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """(what is meant to stand in the sidebar, what will stand there when all answers have come).

        values: the sidebar as a change by hand brought it, when the last answer that its page had heard was `heard`.
        What was turned by hand since an answer was asked for is meant, though the answer will overwrite it.
        """
        meant, coming = dict(values), dict(values)
        with self._lock:
            unheard = [answer for answer in self._given.get(session, ()) if answer[0] > heard]
        for _, stood, sets in unheard:
            coming |= sets
            meant |= {name: value for name, value in sets.items() if values[name] == stood[name]}
        return meant, coming

    def forget(self, session: str) -> None:
        """The page is gone."""
        with self._lock:
            self._given.pop(session, None)
