"""The glossary: every symbol and term that stands on the page, in one plain sentence, with its formula.

It is data, in `glossary.json`, which the page's scripts read as well: each term has

| field    | what it is |
|----------|------------|
| symbol   | how it is written where it is explained, with `_{}` and `^{}` |
| name     | the same in plain words |
| sentence | what it is, in one sentence |
| formula  | where it stands, or what it is made of; may be missing |
| spelled  | how it is written in titles and equations: each is explained where it stands |
| inner    | how it is written in equations alone: letters that are words elsewhere |
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Term:
    """One entry; the fields are those of the table above."""

    symbol: str
    name: str
    sentence: str
    formula: str = ""
    spelled: tuple[str, ...] = ()
    inner: tuple[str, ...] = ()


@cache
def glossary() -> dict[str, Term]:
    """Every term by its key, in the order in which they are best read."""
    known = json.loads(Path(__file__).with_suffix(".json").read_text("utf-8"))
    tuples = ("spelled", "inner")
    return {key: Term(**{name: tuple(value) if name in tuples else value for name, value in entry.items()})
            for key, entry in known.items()}

