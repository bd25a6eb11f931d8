"""What the runs of a comparison do differently from the first: "the same, but".

A change is written as in a link: "sampler:ddpm", or several at once, "steps:10+eta:1", or, for a branch, from a step
of the first run on, "drop_noise:on@40". A comparison holds one for each of the runs B, C and D; "" leaves a run out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..former import field_now, value_now

LETTERS = "BCD"
COMMA = "~"  #: how a comma is written within a value, as in schedule:drawn:0~8;1~-9
MOST_FIELDS = 4  #: changed by one run


@dataclass(frozen=True)
class Variant:
    """What one run does differently. step: where it leaves the first run; None: it is a run of its own from noise."""

    fields: Mapping[str, Any]
    step: int | None = None


@dataclass(frozen=True)
class Variants:
    """Up to three changes, as text in their plain form. `fields` gives the recipe's, each with its `recipe.About`."""

    fields: Callable[[], Mapping[str, Any]]

    allowed = ("what B, C and D change, with commas between them, as sampler:ddpm,steps:10+eta:1; "
               "a branch leaves at a step, as drop_noise:on@40")

    @property
    def varied(self) -> tuple[str, ...]:
        """The fields in which runs can differ, in the order in which they are written."""
        return tuple(name for name, about in self.fields().items() if about.varied)

    @property
    def on_the_way(self) -> tuple[str, ...]:
        """Those that a branch can change."""
        return tuple(name for name in self.varied if self.fields()[name].on_the_way)

    def read(self, text: str) -> Variant:
        """One change. ValueError says what is wrong with it."""
        if "," in text:
            raise ValueError(f"holds a comma, which stands between runs; within a value write {COMMA} for it")
        body, at, step = text.partition("@")
        if at and not re.fullmatch(r"[0-9]{1,3}", step):
            raise ValueError("leaves at what is no step; it can be @0 to @999")
        fields: dict[str, Any] = {}
        # In an address a plus is read as a space.
        for part in re.split(r"[+ ]", body):
            name, _, value = part.partition(":")
            name = field_now(name)
            possible = self.on_the_way if at else self.varied
            if name not in possible:
                who = "a branch" if at else "a comparison"
                raise ValueError(f"changes what {who} cannot; it can change {', '.join(possible)}")
            if name in fields:
                raise ValueError(f"changes {name} more than once")
            try:
                fields[name] = self.fields()[name].spec.parse(value_now(name, value.replace(COMMA, ",")))
            except ValueError as wrong:
                raise ValueError(f"has a value of {name} that {wrong}") from None
        if len(fields) > MOST_FIELDS:
            raise ValueError(f"changes more than {MOST_FIELDS} things at once")
        return Variant(fields, int(step) if at else None)

    def write(self, change: Variant) -> str:
        """The plain form of a change: fields in their order, values as in a link."""
        names = [name for name in self.varied if name in change.fields]
        parts = [f"{name}:{self.fields()[name].spec.text(change.fields[name]).replace(',', COMMA)}" for name in names]
        return "+".join(parts) + ("" if change.step is None else f"@{change.step}")

    def check(self, value: Any) -> tuple[str, ...]:
        texts = list(value) if isinstance(value, list | tuple) else [None]
        if len(texts) > len(LETTERS) or not all(isinstance(text, str) and len(text) <= 200 for text in texts):
            raise ValueError(f"is not {self.allowed}")
        plain = [self.write(self.read(text)) if text else "" for text in texts]
        while plain and not plain[-1]:
            plain.pop()
        return tuple(plain)

    def parse(self, text: str) -> tuple[str, ...]:
        return self.check(text.split(","))

    def text(self, value: tuple[str, ...]) -> str:
        return ",".join(value)
