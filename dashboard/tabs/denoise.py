"""Denoise: how does structure emerge?"""

from __future__ import annotations

from core.runs.walks import denoise
from dashboard.stage import Stage
from dashboard.tabs.stages import new_stage

growing = denoise


def stage(value: dict | None = None) -> Stage:
    """The tab's stage, with a film on it from the start if one is given."""
    return new_stage("denoise", "How does structure emerge?", "Press Denoise to walk from noise to data.", shown=(),
                     value=value)
