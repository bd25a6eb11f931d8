"""Views: what core computed, as scenes to look at. Each builds only the panels that are asked for.

A view can still be growing (a walk under way, a training): `frames` are there, `total` are expected, and
`scene(keys, first, end)` is any part of it.
"""

from .base import PanelSpec, View
from .baseline import BaselineView
from .compare import CompareView
from .forward import ForwardView
from .heat import HeatView
from .memorization import MemorizationView
from .noise_error import NoiseErrorView
from .trace import TraceView
from .training import ClocksView, TrainingView

__all__ = ["View", "PanelSpec", "ForwardView", "TraceView", "NoiseErrorView", "TrainingView", "ClocksView",
           "CompareView", "BaselineView", "MemorizationView", "HeatView"]
