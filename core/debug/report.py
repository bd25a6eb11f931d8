"""What the Doctor says: causes ranked, what follows from them, what is unusual, what could not be seen."""

from __future__ import annotations

import html
import json
from dataclasses import asdict, dataclass, field
from typing import Any

from .places import LOOK_FOR, SAMPLING, TRAINING, Place


@dataclass
class Cause:
    """One line of the program at which an identity fails.

    place     the line, see `Place`
    says      one sentence
    measured, expected    the numbers that differ
    evidence  where they were read, and how many
    refute    what would show that this is no fault
    look_for  the line as it should be
    chance    probability of being said of a healthy run, after correcting for the number of tests; 0 where arithmetic,
              not a sample, decides
    """

    place: Place
    says: str
    measured: str = ""
    expected: str = ""
    evidence: str = ""
    refute: str = ""
    look_for: str = ""
    chance: float = 0.0
    verdict: str = "wrong"

    def __post_init__(self):
        self.look_for = self.look_for or LOOK_FOR[self.place]


@dataclass
class Report:
    """The result of an examination. `healthy` is True where something was seen and no cause was found."""

    causes: list[Cause] = field(default_factory=list)
    consequences: list[Cause] = field(default_factory=list)
    unusual: list[Cause] = field(default_factory=list)
    unknown: list[dict[str, str]] = field(default_factory=list)
    checked: list[Place] = field(default_factory=list)
    identified: dict[str, Any] = field(default_factory=dict)
    seen: bool = True
    tests: int = 0
    false_alarm: float = 0.0

    @property
    def healthy(self) -> bool:
        return self.seen and not self.causes

    @property
    def exit_code(self) -> int:
        """0 healthy, 1 causes, 2 nothing seen."""
        return 2 if not self.seen else 1 if self.causes else 0

    def verdict(self, place: Place) -> str:
        """ "wrong", "follows", "unusual", "healthy" or "not seen" of one line."""
        for verdict, found in (("wrong", self.causes), ("follows", self.consequences), ("unusual", self.unusual)):
            if any(cause.place == place for cause in found):
                return verdict
        return "healthy" if place in self.checked else "not seen"

    # --- as words ---------------------------------------------------------------------------------------------------
    def __str__(self) -> str:
        if not self.seen:
            lines = ["Nothing was seen."]
        elif self.healthy:
            lines = [f"Healthy: {len(self.checked)} of {len(Place)} lines checked, no cause found."]
        else:
            lines = [f"{len(self.causes)} cause{'s' * (len(self.causes) > 1)}."]
        for number, cause in enumerate(self.causes, 1):
            lines += ["", f"{number}. {cause.place}: {cause.says}"]
            for name in ("measured", "expected", "evidence", "look_for", "refute"):
                if value := getattr(cause, name):
                    lines.append(f"   {name.replace('_', ' '):9} {value}")
        for title, found in (("Follows from that", self.consequences), ("Unusual, fine if meant", self.unusual)):
            if found:
                lines += ["", f"{title}:"] + [f"  {cause.place}: {cause.says}" for cause in found]
        if self.unknown:
            lines += ["", "Not seen:"] + [f"  {u['what']}. {u['how']}" for u in self.unknown]
        if told := self.identified.get("sentences"):
            lines += ["", "Identified:"] + [f"  {line}" for line in told]
        if self.tests:
            lines += [
                "",
                f"{self.tests} tests of samples; a healthy run is called ill by one of them with probability "
                f"below {self.false_alarm:.0e}.",
            ]
        return "\n".join(lines)

    __repr__ = __str__

    def to_dict(self) -> dict[str, Any]:
        """Plain values, fit for JSON."""
        lines = [
            [
                {"code": code, "places": [str(p) for p in places], "verdict": _worst([self.verdict(p) for p in places])}
                for code, places in part
            ]
            for part in (TRAINING, SAMPLING)
        ]
        return {
            "healthy": self.healthy,
            "seen": self.seen,
            "exit_code": self.exit_code,
            "causes": [asdict(c) for c in self.causes],
            "consequences": [asdict(c) for c in self.consequences],
            "unusual": [asdict(c) for c in self.unusual],
            "unknown": self.unknown,
            "checked": [str(p) for p in self.checked],
            "places": {str(p): self.verdict(p) for p in Place},
            "algorithm": {"training": lines[0], "sampling": lines[1]},
            "identified": self.identified,
            "tests": self.tests,
            "false_alarm": self.false_alarm,
        }

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), ensure_ascii=False, indent=1, default=str)

    def _repr_html_(self) -> str:
        colours = {
            "wrong": "#c2410c",
            "follows": "#b45309",
            "unusual": "#a16207",
            "healthy": "#0f766e",
            "not seen": "#8b949e",
        }
        told = self.to_dict()
        parts = [f"<div style='font:14px system-ui;max-width:60em'><b>{html.escape(str(self).splitlines()[0])}</b>"]
        for number, cause in enumerate(self.causes, 1):
            parts.append(
                f"<p><b style='color:{colours['wrong']}'>{number}. {cause.place}</b>: "
                f"{html.escape(cause.says)}</p><table style='font:12px ui-monospace,monospace'>"
            )
            parts += [
                f"<tr><td style='color:{colours['not seen']}'>{name.replace('_', ' ')}</td>"
                f"<td style='text-align:left'>{html.escape(getattr(cause, name))}</td></tr>"
                for name in ("measured", "expected", "evidence", "look_for", "refute")
                if getattr(cause, name)
            ]
            parts.append("</table>")
        for title, lines in told["algorithm"].items():
            parts.append(f"<p><b>{title}</b></p><pre style='font:12px ui-monospace,monospace'>")
            parts += [
                f"<span style='color:{colours[line['verdict']]}'>{'●' if line['verdict'] != 'not seen' else '○'} "
                f"{html.escape(line['code'])}</span>\n"
                for line in lines
            ]
            parts.append("</pre>")
        parts += [f"<p>{html.escape(c.place)}, unusual: {html.escape(c.says)}</p>" for c in self.unusual]
        parts += [f"<p>not seen: {html.escape(u['what'])}. {html.escape(u['how'])}</p>" for u in self.unknown]
        return "".join(parts) + "</div>"


def _worst(verdicts: list[str]) -> str:
    order = ("wrong", "follows", "unusual", "healthy", "not seen")
    return min(verdicts, key=order.index)
