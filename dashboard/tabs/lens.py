"""Noise lens: is the predicted noise the true noise?"""

from __future__ import annotations

from core.runs.walks import lens
from dashboard.stage import Stage
from dashboard.tabs.stages import new_stage

growing = lens


def stage() -> Stage:
    """The tab's stage."""
    return new_stage("lens", "Is the predicted noise the true noise?",
                     "Press Look to noise some data and ask the model what was added.", shown=())
