"""JSON from outside is looked at before it is parsed: how long, how deep, and of which types.

A parser that is given a million nested brackets takes gigabytes, and null where a number should stand breaks somewhere
else. What was looked at here can be used; what cannot raises ValueError and says why.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .words import one_line

MAX_JSON, MAX_DEPTH = 2_000_000, 24  #: bytes and brackets within brackets of a card, a recipe or what a trace is about

#: A text, or the rest where one never ends: from every quotation mark on it matches, so none is looked through twice.
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)', re.DOTALL)
#: What a type is called where one is missing.
_CALLED = {dict: "an object", list: "a list", str: "a text", int: "a whole number", float: "a number"}


def parse_json(raw: bytes | str, what: str) -> Any:
    """JSON from outside. ValueError if it is longer than MAX_JSON, deeper than MAX_DEPTH, or none.

    what   what it is, for the message: "the card m.json"
    """
    raw = raw.encode() if isinstance(raw, str) else raw
    look(raw, what, MAX_JSON)
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:  # a number of thousands of digits is a ValueError too
        raise ValueError(f"{what} is not JSON ({one_line(str(error), 80)})") from error


def read_json(path: Path, what: str) -> Any:
    """The JSON in a file, of which no more is read than may be. Raises as `parse_json`."""
    with path.open("rb") as file:
        return parse_json(file.read(MAX_JSON + 1), what)


def look(raw: bytes, what: str, most: int) -> None:
    """ValueError for JSON of more bytes, or nested deeper than MAX_DEPTH: nothing is parsed."""
    if len(raw) > most:
        raise ValueError(f"{what} has more than {most:,} bytes, which is no file of ours")
    plain = np.frombuffer(_STRING.sub(b"", raw), np.uint8)
    opened = np.isin(plain, list(b"[{")).astype(np.int32) - np.isin(plain, list(b"]}"))
    depth = int(opened.cumsum().max(initial=0))
    if depth > MAX_DEPTH:
        raise ValueError(f"{what} is nested {depth:,} deep; at most {MAX_DEPTH} is allowed")


def entry(values: Mapping[str, Any], name: str, kind: type, least: float = -math.inf, most: float = math.inf) -> Any:
    """What stands under a name in JSON from outside: of that type and, as a number, finite and within these bounds.

    ValueError names what is missing or wrong. A whole number is a number too; true and false are none.
    """
    if name not in values:
        raise ValueError(f"there is no {name!r} in it")
    value = values[name]
    kinds = (int, float) if kind is float else kind
    fits = isinstance(value, kinds) and not (isinstance(value, bool) and kind is not bool)
    if fits and kind in (int, float):
        fits = math.isfinite(value) and least <= value <= most
    if not fits:
        bounds = f" from {least:g} to {most:g}" if kind in (int, float) and math.isfinite(most) else ""
        raise ValueError(f"{name!r} is {one_line(repr(value))}; it must be {_CALLED[kind]}{bounds}")
    return value


def sha256(path: Path) -> str:
    """The digest of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
