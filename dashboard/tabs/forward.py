"""Forward: how does data become noise?"""

from __future__ import annotations

from core.runs.walks import forward_film
from dashboard.stage import Stage
from dashboard.tabs.stages import new_stage


def stage() -> Stage:
    """The tab's stage."""
    return new_stage("forward", "How does data become noise?", "Pick a data set and press Add noise.", shown=())


def growing(recipe, visitor):
    """The film is worked out at once; as an iterator, like those that take their time."""
    yield forward_film(recipe, visitor)
