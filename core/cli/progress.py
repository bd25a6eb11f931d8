"""What a terminal shows: a progress bar of one line, silent elsewhere, and tables."""

from __future__ import annotations

import sys
from typing import TextIO

from tqdm import tqdm


class Bar(tqdm):
    """with Bar(1000, "train") as bar: bar(step, "loss 0.123"). Writes nothing if the stream is no terminal."""

    def __init__(self, total: int, label: str, unit: str = "steps", stream: TextIO | None = None):
        # disable=None: only where the stream is no terminal
        super().__init__(total=total, desc=label, unit=f" {unit}", file=sys.stderr if stream is None else stream,
                         disable=None, leave=False, dynamic_ncols=True)

    def __call__(self, done: int, text: str = "") -> None:
        """`done` of `total` units are over; `text` stands behind the speed."""
        self.set_postfix_str(text, refresh=False)
        self.update(done - self.n)


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """Print columns, each as wide as its widest entry; numbers at the right."""
    widths = [max(map(len, column)) for column in zip(head, *rows)]
    right = [all(not cell or cell.replace(",", "").replace(".", "").isdigit() for cell in column)
             for column in zip(*rows)]
    for row in (head, *rows):
        cells = (cell.rjust(w) if r else cell.ljust(w) for cell, w, r in zip(row, widths, right))
        print("  ".join(cells).rstrip())
