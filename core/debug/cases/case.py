"""One case: a script, the lines that were changed in it, and what there is to learn from it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cache
from pathlib import Path
from typing import Any

from ..places import Place
from ..record import Run

FOLDER = Path(__file__).parent / "scripts"


@cache
def load_script(name: str) -> str:
    """The text of a sound script. ValueError lists those there are."""
    path = FOLDER / f"{name}.py"
    if not path.exists():
        raise ValueError(f"no script {name!r}; there are {', '.join(sorted(p.stem for p in FOLDER.glob('*.py')))}")
    return path.read_text(encoding="utf-8")


@dataclass(frozen=True)
class Case:
    """A script with some lines changed.

    edits      (line as it should be, line as it is here)
    place      where the fault is; None for a sound script
    met        where such a thing was met
    symptom    what its author sees
    procedure  which look to take first, what it rules out, what to do next
    """

    name: str
    script: str
    title: str
    edits: tuple[tuple[str, str], ...] = ()
    place: Place | None = None
    met: str = ""
    symptom: str = ""
    procedure: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        """The script as it is run. ValueError if an edit does not fit it in just one place."""
        text = load_script(self.script)
        for old, new in self.edits:
            if text.count(old) != 1:
                raise ValueError(f"{self.name}: {old!r} stands {text.count(old)} times in {self.script}")
            text = text.replace(old, new)
        return text

    @property
    def lines(self) -> list[int]:
        """The numbers of the lines that were changed, from 1; of one that was left out, the line that follows."""
        changes = SequenceMatcher(None, load_script(self.script).splitlines(), self.source.splitlines(), False)
        return [k + 1 for tag, _, _, begin, end in changes.get_opcodes() if tag != "equal"
                for k in range(begin, max(end, begin + 1))]

    def run(self, **settings: Any) -> Run:
        """Run the script under `watch`; settings replace its constants: seed=1, width=32, steps=100, samples=16."""
        from ..watching import watch

        names: dict[str, Any] = {"__name__": self.name}
        exec(compile(configured(self.source, settings), f"<{self.name}>", "exec"), names)  # noqa: S102 - our own text
        with watch(*names["networks"]) as run:
            names["train"]()
            names["samples"] = names["sample"]()
        return run


def configured(source: str, settings: dict[str, Any]) -> str:
    """A script with other constants in its line `SEED, WIDTH, … = …`. ValueError for a constant it does not have."""
    found = re.search(r"^(SEED, .*?) = (.*)$", source, re.M)
    names, values = found[1].split(", "), found[2].split(", ")
    for name, value in settings.items():
        if name.upper() not in names:
            raise ValueError(f"the scripts have no {name!r}; they have {', '.join(names).lower()}")
        values[names.index(name.upper())] = str(int(value))
    return source.replace(found[0], f"{found[1]} = {', '.join(values)}")
