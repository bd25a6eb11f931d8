"""What there is to choose from, for --help: asked of the registries when somebody reads it, and not before.

Where an option's help says {samplers}, their names stand. Loading what has them takes longer than parsing a command.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterable
from importlib import import_module


def either(names: Iterable[str]) -> str:
    """Names in words: "a, b or c"."""
    *most, last = names
    return f"{', '.join(most)} or {last}" if most else last


def samplers() -> str:
    from ..samplers import SAMPLERS, make_sampler
    from ..schedules import make_schedule

    schedule = make_schedule("cosine")
    kinds: dict[str, list[str]] = {"without noise": [], "with it": [], "failing on purpose": []}
    for name, known in SAMPLERS.items():
        noisy = bool(make_sampler(name, schedule).plan(schedule.times(4, start=0.9))["std"].any())
        kinds["failing on purpose" if known.fails else "with it" if noisy else "without noise"].append(name)
    return "; ".join(f"{kind}: {', '.join(found)}" for kind, found in kinds.items())


def schedules() -> str:
    from ..schedules import SCHEDULES

    return either((*SCHEDULES, "one drawn through knots of your own, as drawn:0,8;0.5,0;1,-9"))


def networks() -> str:
    from ..denoisers import NETWORKS, networks_for

    kinds = dict.fromkeys(known.kind for known in NETWORKS.values())
    return "; ".join(f"for {kind} {either(networks_for(kind))}" for kind in kinds)


def formats() -> str:
    from ..drawing.export import suffixes

    return suffixes()


#: What stands in braces → its words, or the module that has the names.
OFFERED: dict[str, Callable[[], str] | tuple[str, str]] = {
    "samplers": samplers, "schedules": schedules, "networks": networks, "formats": formats,
    "spacings": ("..schedules", "SPACINGS"),
    "prediction_types": ("..prediction", "PREDICTION_TYPES"),
    "thresholdings": ("..denoisers.wrappers", "THRESHOLDINGS"),
    "presets": ("..training.presets", "PRESETS"), "boundaries": ("..training.consistency", "BOUND"),
    "pacings": ("..drawing.export", "PACINGS"), "themes": ("..drawing.palettes", "THEMES"),
}  # fmt: skip


def words(name: str) -> str:
    """The names that there are of that kind."""
    found = OFFERED[name]
    if isinstance(found, tuple):
        module, names = found
        return either(getattr(import_module(module, __package__), names))
    return found()


def filled(text: str) -> str:
    """The text with the names that there are."""
    return re.sub(r"\{(\w+)\}", lambda found: words(found[1]), text)


class Formatter(argparse.RawDescriptionHelpFormatter):
    """argparse's, of texts that are filled."""

    def _get_help_string(self, action: argparse.Action) -> str | None:  # where its own formatters put defaults
        return action.help and filled(action.help)
