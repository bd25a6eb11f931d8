"""What a field of the recipe can be: how a value is checked, read from a link and written into one.

`check` takes a value as a control or a caller gives it, `parse` the text of a link, `text` writes that text. The first
two raise ValueError with the words that follow the value: "is out of 1…1000". `allowed` says what can be given.
"""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass
from typing import Any

from ..former import PANELS
from ..schedules import Drawn


class Invalid(ValueError):
    """A value that a field cannot take. `field`, `given` and `allowed` say which, what, and what it can be."""

    def __init__(self, field: str, given: Any, allowed: str):
        super().__init__(f"{field} is {shown(given)}; it can be {allowed}")
        self.field, self.given, self.allowed = field, given, allowed


def shown(value: Any, longest: int = 40) -> str:
    # Also what a stranger put into a link: whoever shows it must not be made to read it as HTML or Markdown.
    text = re.sub(r"[^\w.,:;+= -]", "·", str(value))
    return text if len(text) <= longest else text[: longest - 1] + "…"


@dataclass(frozen=True)
class Choice:
    """One of a few names."""

    choices: tuple[str, ...]

    @property
    def allowed(self) -> str:
        return ", ".join(self.choices)

    def check(self, value: Any) -> str:
        if not isinstance(value, str) or value not in self.choices:
            near = difflib.get_close_matches(str(value)[:40], self.choices, 1)
            few = self.allowed if len(self.choices) <= 8 else ", ".join(self.choices[:6]) + ", …"
            raise ValueError(f"is none of {few}" + (f" (did you mean {near[0]}?)" if near else ""))
        return value

    def parse(self, text: str) -> str:
        return self.check(text)

    def text(self, value: str) -> str:
        return value


@dataclass(frozen=True)
class Curve(Choice):
    """One of a few names of schedules, or one drawn through up to `most` knots, in the plain form of its name."""

    most: int = 8

    @property
    def allowed(self) -> str:
        return f"{super().allowed}, or drawn:0,8;0.5,0;1,-9 through 2…{self.most} knots (t, log-SNR) that fall"

    def check(self, value: Any) -> str:
        if not isinstance(value, str) or not value.startswith(Drawn.PREFIX):
            return super().check(value)
        if not re.fullmatch(r"[0-9.,;eE-]{1,200}", value.removeprefix(Drawn.PREFIX)) or value.count(";") >= self.most:
            raise ValueError(f"is no row of knots; it can be drawn:0,8;0.5,0;1,-9 with 2…{self.most} of them")
        try:
            return Drawn.read(value).name
        except ValueError as error:
            raise ValueError(f"cannot be: {error}") from None


@dataclass(frozen=True)
class Whole:
    """A whole number from low to high; None, where it is allowed, leaves the choice to what `unset` says.

    widest: what a machine of one's own may be asked for; low and high are the bounds of links and of the page.
    """

    low: int
    high: int
    unset: str = ""
    widest: tuple[int, int] | None = None

    @property
    def allowed(self) -> str:
        return self._between(self.low, self.high)

    @property
    def possible(self) -> str:
        return self._between(*self.widest or (self.low, self.high))

    def _between(self, low: int, high: int) -> str:
        return f"{low}…{high}" + (f", or nothing ({self.unset})" if self.unset else "")

    def check(self, value: Any, shared: bool = False) -> int | None:
        if value is None and self.unset:
            return None
        # A slider of the page sends 100 or 100.0; True is no number to a person.
        if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
            raise ValueError(f"is no whole number; {self.low}…{self.high} are allowed")
        low, high = self.widest if self.widest and not shared else (self.low, self.high)
        if not low <= value <= high:
            raise ValueError(f"is out of {low}…{high}")
        return int(value)

    def parse(self, text: str) -> int | None:
        if text == "auto" and self.unset:
            return None
        return self.check(int(text) if re.fullmatch(r"[+-]?[0-9]+", text) else text, shared=True)

    def text(self, value: int | None) -> str:
        return "auto" if value is None else str(value)


_NUMBER = r"[0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+\."


def _plain(value: float) -> str:
    return repr(value).removesuffix(".0")  # repr, since it is the shortest text that reads back as the same number


@dataclass(frozen=True)
class Real:
    """A number from low to high; unset and widest: as of `Whole`."""

    low: float
    high: float
    widest: tuple[float, float] | None = None
    unset: str = ""

    @property
    def allowed(self) -> str:
        return self._between(self.low, self.high)

    @property
    def possible(self) -> str:
        return self._between(*self.widest or (self.low, self.high))

    def _between(self, low: float, high: float) -> str:
        return f"{_plain(low)}…{_plain(high)}" + (f", or nothing ({self.unset})" if self.unset else "")

    def check(self, value: Any, shared: bool = False) -> float | None:
        if value is None and self.unset:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError(f"is no number; {self.allowed} are allowed")
        low, high = self.widest if self.widest and not shared else (self.low, self.high)
        if not low <= value <= high:
            raise ValueError(f"is out of {_plain(low)}…{_plain(high)}")
        return float(value) + 0.0  # + 0.0 makes −0 a plain 0, which reads back as itself

    def parse(self, text: str) -> float | None:
        if text == "auto" and self.unset:
            return None
        return self.check(float(text) if re.fullmatch(rf"[+-]?(?:{_NUMBER})", text) else text, shared=True)

    def text(self, value: float | None) -> str:
        return "auto" if value is None else _plain(value)


@dataclass(frozen=True)
class Times:
    """A range of times (begin, end) with 1 ≥ begin ≥ end ≥ 0, as a walk runs down; None is never, True all of it."""

    allowed = "off, on, or begin-end with 1 ≥ begin ≥ end ≥ 0, as 0.8-0.2"

    def check(self, value: Any) -> tuple[float, float] | None:
        if value is None or isinstance(value, bool):
            return (1.0, 0.0) if value else None
        numbers = isinstance(value, list | tuple) and all(isinstance(time, int | float) for time in value)
        if not numbers or len(value) != 2 or not 1 >= value[0] >= value[1] >= 0:
            raise ValueError(f"is no range of times; it can be {self.allowed}")
        return value[0] + 0.0, value[1] + 0.0

    def parse(self, text: str) -> tuple[float, float] | None:
        if text in ("on", "off"):
            return self.check(text == "on")
        match = re.fullmatch(rf"({_NUMBER})-({_NUMBER})", text)
        return self.check([float(time) for time in match.groups()] if match else text)

    def text(self, value: tuple[float, float] | None) -> str:
        if value in (None, (1.0, 0.0)):
            return "on" if value else "off"
        return "-".join(map(_plain, value))


@dataclass(frozen=True)
class Keys:
    """Up to `most` names of panels, none twice; none at all means the tab's own choice. The scene knows which exist.

    widest: as of `Whole`.
    """

    most: int
    widest: int | None = None

    @property
    def allowed(self) -> str:
        return f"up to {self.most} names of panels with commas between them, none twice"

    def check(self, value: Any, shared: bool = False) -> tuple[str, ...]:
        keys = tuple(PANELS.get(key, key) if isinstance(key, str) else key for key in value) if isinstance(
            value, list | tuple) else (None,)
        if len(keys) > (self.most if shared else self.widest or self.most) or len({*keys}) < len(keys) or not all(
            isinstance(key, str) and re.fullmatch(r"[a-z][a-z0-9_]{0,23}", key) for key in keys
        ):
            raise ValueError(f"is not {self.allowed}")
        return keys

    def parse(self, text: str) -> tuple[str, ...]:
        return self.check(text.split(",") if text else (), shared=True)

    def text(self, value: tuple[str, ...]) -> str:
        return ",".join(value)


class Word:
    """A word of a certain form, `pattern`; what else may be wrong with it, only who uses it can know."""

    pattern: str
    allowed: str

    def check(self, value: Any) -> str:
        if not isinstance(value, str) or not re.fullmatch(self.pattern, value):
            raise ValueError(f"is none of {self.allowed}")
        return value

    def parse(self, text: str) -> str:
        return self.check(text)

    def text(self, value: str) -> str:
        return value


class Weights(Word):
    """Which weights of a training of one's own: averaged over its steps, raw, or averaged as they were after a step."""

    pattern = r"averaged|raw|0|[1-9][0-9]{0,5}"
    allowed = "averaged, raw, or a training step at which they were kept, as 120"


class Label(Word):
    """What is asked for: anything, each of the labels in turn, or one of them by its number."""

    pattern = r"any|each|0|[1-9][0-9]{0,2}"
    allowed = "any, each, or the number of a label, as 7"


class Layer(Word):
    """The name of a layer of a network, or nothing. The network knows which there are."""

    pattern = r"([a-z][a-z0-9_]{0,15}(\.[a-z0-9_]{1,15}){0,3})?"
    allowed = "nothing, or the name of a layer, as down.0"
