"""What a terminal shows: a progress bar of one line, silent elsewhere, and tables."""

from __future__ import annotations

import shutil
import sys
import time
from typing import TextIO


def clock(seconds: float) -> str:
    """A duration for people: 7 s, 3:05, 1:02:45."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, s = divmod(whole, 60)
    hours, m = divmod(minutes, 60)
    return f"{hours}:{m:02}:{s:02}" if hours else f"{m}:{s:02}"


class Bar:
    """with Bar(1000, "train") as bar: bar(step, "loss 0.123").

    Redraws at most ten times a second, so that it costs a short loop next to nothing. Writes nothing if the stream is
    no terminal, and clears its line at the end.
    """

    WIDTH = 24

    def __init__(self, total: int, label: str, unit: str = "steps", stream: TextIO | None = None):
        self.total, self.label, self.unit = total, label, unit
        self.stream = sys.stderr if stream is None else stream
        self.shown = self.stream.isatty()
        self.begun, self._next = time.monotonic(), 0.0

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_) -> None:
        if self.shown:
            self.stream.write("\r\x1b[K")
            self.stream.flush()

    def __call__(self, done: int, text: str = "") -> None:
        """`done` of `total` units are over; `text` stands between the count and the speed."""
        now = time.monotonic()
        if not self.shown or (now < self._next and done < self.total):
            return
        self._next = now + 0.1
        line = self.line(done, now - self.begun, text)
        self.stream.write(f"\r{line[: shutil.get_terminal_size().columns - 1]}\x1b[K")
        self.stream.flush()

    def line(self, done: int, seconds: float, text: str = "") -> str:
        """What the bar says when `done` units took so many seconds."""
        filled = self.WIDTH * done // self.total
        parts = [f"{self.label} {'█' * filled}{'░' * (self.WIDTH - filled)} {done:,}/{self.total:,}", text]
        if done and seconds > 0:
            parts += [f"{done / seconds:,.0f} {self.unit}/s", f"{clock(seconds / done * (self.total - done))} left"]
        return "  ".join(part for part in parts if part)


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """Print columns, each as wide as its widest entry; numbers at the right."""
    widths = [max(map(len, column)) for column in zip(head, *rows)]
    right = [all(not cell or cell.replace(",", "").replace(".", "").isdigit() for cell in column)
             for column in zip(*rows)]
    for row in (head, *rows):
        cells = (cell.rjust(w) if r else cell.ljust(w) for cell, w, r in zip(row, widths, right))
        print("  ".join(cells).rstrip())
