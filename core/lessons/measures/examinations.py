"""Measures of a run that the Doctor has examined."""

from __future__ import annotations

from ...views import View
from .known import measure


@measure
def found(of: View) -> str:
    """The place of the algorithm at which the Doctor found the first cause, as step_noise; "" where it found none."""
    causes = (of.findings or {}).get("causes", ())
    return str(causes[0]["place"]) if causes else ""


@measure
def said_of(of: View) -> str:
    """What the Doctor says of the whole run, in one sentence."""
    return str((of.findings or {}).get("headline", ""))
