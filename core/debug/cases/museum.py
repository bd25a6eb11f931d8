"""All cases by name."""

from __future__ import annotations

from .case import Case
from .faults import CASES
from .sound import SOUND


def museum() -> dict[str, Case]:
    """All cases by name, the faults first."""
    return {case.name: case for case in (*CASES, *SOUND)}
