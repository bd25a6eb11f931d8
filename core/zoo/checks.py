"""Is a card true? Every check reads what is shipped and says what is wrong, in one line each."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from ..checkpoints.models import FOLDER, read_card, role_of
from ..data.datasets import Dataset
from .roles import Card, Role, data_for, figures, role_for
from .sheets import draw_sheet, in_few_colours, read_sheet

MAX_BYTES, MAX_SHEET_BYTES = 4_000_000, 40_000
#: Figures are measured again within this share of themselves, or this much: weights are stored in float16, and another
#: processor rounds otherwise.
RELATIVE, ABSOLUTE = 0.1, 0.02
SHEET_TOLERANCE = 4.0  #: mean difference of two sheets' bytes; those of two models differ by ten and more


@dataclass(frozen=True)
class Entry:
    """A shipped model: its name and folder, and what both files say, read when asked for."""

    name: str
    folder: Path = FOLDER

    @property
    def weights(self) -> Path:
        return self.folder / f"{self.name}.safetensors"

    @property
    def sheet(self) -> Path:
        return self.folder / "sheets" / f"{self.name}.png"

    @property
    def place(self) -> Path:
        return self.folder / f"{self.name}.json"

    @property
    def size(self) -> int:
        """Bytes of weights; 0 where there are none."""
        return self.weights.stat().st_size if self.weights.exists() else 0

    @cached_property
    def card(self) -> Card:
        return read_card(self.place)

    @cached_property
    def role(self) -> Role:
        return role_for(self.card)

    @cached_property
    def dataset(self) -> Dataset:
        return data_for(self.card)

    @cached_property
    def model(self) -> Any:
        return self.role.load(self.weights)[0]


Check = Callable[[Entry], Iterator[str]]
Parse = Callable[[list[str]], argparse.Namespace]  #: reads the words of a command of python -m core


def files(entry: Entry) -> Iterator[str]:
    if not entry.weights.exists():
        yield f"there are no weights at {entry.weights.name}"
        return
    if hashlib.sha256(entry.weights.read_bytes()).hexdigest() != entry.card["sha256"]:
        yield "the weights are not those that the card was written for (sha256)"
    if entry.size >= MAX_BYTES:
        yield f"the weights are {entry.size:,} bytes; a shipped model is below {MAX_BYTES:,}"


def name(entry: Entry) -> Iterator[str]:
    role = role_of(entry.card)
    expected = entry.card["data"] if role == "diffusion" else f"{entry.card['data']}-{role}"
    if entry.name != expected:
        yield f"its data and role make it {expected!r}"


def data(entry: Entry) -> Iterator[str]:
    for what, here in (("data_hash", entry.dataset.hash), ("licence", entry.dataset.licence),
                       ("shape", list(entry.dataset.shape))):
        if entry.card[what] != here:
            yield f"{what} is {entry.card[what]!r} on the card, and {here!r} of the data that are here"


def model(entry: Entry) -> Iterator[str]:
    yield from entry.role.agrees(entry.model, entry.card, entry.dataset)


def command(entry: Entry, parse: Parse) -> Iterator[str]:
    options = read_command(entry.card["command"], parse)
    wanted = {"command": entry.role.command, "save": f"pretrained/{entry.name}.safetensors"}
    wanted |= {"model": entry.card["teacher"]["name"]} if entry.role.teacher else {"data": entry.card["data"]}
    for option, value in wanted.items():
        if options.get(option) != value:
            yield f"its command says {option} {options.get(option)!r}, and it should say {value!r}"


def read_command(command: str, parse: Parse) -> dict[str, Any]:
    """The options of a card's command. ValueError if it is none that our command line takes."""
    words, said = shlex.split(command), io.StringIO()
    if words[:3] != ["python", "-m", "core"]:
        raise ValueError(f"its command is {command!r}; it begins with python -m core")
    try:
        with contextlib.redirect_stderr(said):
            return vars(parse(words[3:]))
    except SystemExit:
        raise ValueError(f"its command is refused: {' '.join(said.getvalue().split())}") from None


def teacher(entry: Entry) -> Iterator[str]:
    if entry.role.teacher is None:
        return
    taught_by = read_card(entry.folder / f"{entry.card['teacher']['name']}.json")
    if taught_by["sha256"] != entry.card["teacher"]["sha256"]:
        yield f"it was made of another {entry.card['teacher']['name']} than the one that is here (sha256)"
    if (role_of(taught_by), taught_by["data_hash"]) != (entry.role.teacher, entry.card["data_hash"]):
        yield f"its teacher is a {role_of(taught_by)} of {taught_by['data']}; it must be a {entry.role.teacher}"


def sheet(entry: Entry) -> Iterator[str]:
    if not entry.sheet.exists():
        yield "it has no sample sheet"
        return
    if read_sheet(entry.sheet)[1] != entry.card["sha256"]:
        yield "its sample sheet was drawn from other weights"
    if (size := entry.sheet.stat().st_size) >= MAX_SHEET_BYTES:
        yield f"its sample sheet is {size:,} bytes; it must stay below {MAX_SHEET_BYTES:,}"


def honesty(entry: Entry) -> Iterator[str]:
    quality = entry.card.get("quality", {})
    for figure in ("sliced_wasserstein", "nearest"):
        if not {figure, f"real_{figure}"} <= quality.keys():
            yield f"its card does not hold {figure} beside that of real data"
    if not entry.card.get("notes"):
        yield "its card does not say where it is weak (notes)"


def same_sheet(entry: Entry) -> Iterator[str]:
    drawn = in_few_colours(draw_sheet(entry.model, entry.card, entry.dataset))
    now, stored = np.asarray(drawn.convert("RGB"), np.float32), read_sheet(entry.sheet)[0]
    if now.shape != stored.shape:
        yield f"its sample sheet has the shape {stored.shape}, and {now.shape} when drawn again"
    elif (away := np.abs(now - stored).mean()) > SHEET_TOLERANCE:
        yield f"drawn again, its sample sheet is another: {away:.1f} of 255 away on average"


def same_figures(entry: Entry) -> Iterator[str]:
    again = flat(figures(entry.model, entry.card, entry.dataset))
    for key, value in again.items():
        told = flat(entry.card).get(key)
        if told is None or abs(value - told) > max(RELATIVE * abs(told), ABSOLUTE):
            yield f"{key} is {told} on the card, and {value} when measured again"


def flat(tree: Card, prefix: str = "") -> dict[str, float]:
    """{"quality": {"nearest": 0.1}} → {"quality.nearest": 0.1}: the numbers alone."""
    out = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            out |= flat(value, f"{prefix}{key}.")
        elif isinstance(value, (int, float)):
            out[prefix + key] = value
    return out


CHECKS: tuple[Check, ...] = (files, name, data, model, teacher, sheet, honesty)
SAMPLING: tuple[Check, ...] = (same_sheet, same_figures)


def check(entry: Entry, parse: Parse, full: bool = False) -> list[str]:
    """What is wrong with a model's card, held against its files; with `full`, against samples drawn anew too.

    `parse` is the command line's own reader of words, which knows what the command on the card may say.
    """
    problems = []
    for one in (*CHECKS, partial(command, parse=parse), *(SAMPLING if full else ())):
        try:
            problems += one(entry)
        except KeyError as error:
            problems.append(f"its card does not say {error}")
        except (ValueError, OSError) as error:
            problems.append(str(error))
    # What one file breaks breaks several checks alike.
    return list(dict.fromkeys(problems))


def strangers(folder: Path = FOLDER) -> list[str]:
    """What lies in the folder and belongs to no model: weights without a card, sheets of nobody."""
    cards = {path.stem for path in folder.glob("*.json")}
    found = [path for path in (*folder.glob("*.safetensors"), *folder.glob("sheets/*")) if path.stem not in cards]
    found += [path for path in folder.glob("*/*.safetensors") if not path.with_suffix(".json").exists()]
    return [f"{path.relative_to(folder)} belongs to no card" for path in sorted(found)]
