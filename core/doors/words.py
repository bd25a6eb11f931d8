"""Foreign words in messages: short, printable, and on one line."""

from __future__ import annotations

import re
from collections.abc import Sequence


def one_line(text: str, most: int = 40) -> str:
    """A foreign name, or an error that may cite foreign bytes, as a short printable line."""
    return re.sub(r"\s+", " ", "".join(c if c.isprintable() else " " for c in text[: 8 * most])).strip()[:most]


def some(items: Sequence, most: int = 10) -> str:
    """The first few, and how many more there are."""
    return ", ".join(map(str, items[:most])) + (f" and {len(items) - most} more" if len(items) > most else "")


def listed(items: Sequence) -> str:
    """All of them, the last after an "or"."""
    return ", ".join(map(str, items[:-1])) + f" or {items[-1]}"
