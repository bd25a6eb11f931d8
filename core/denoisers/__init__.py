"""What denoises: networks that are trained, models that are solved, and what stands around them.

A file that registers a network (`core.denoisers.networks`) need only be here.
"""

from __future__ import annotations

from ..registry import discover
from .networks import NETWORKS, Network, network, networks_for

# In the order of a menu.
from .mlp import MLP
from .unet import UNet
from .whitened import WhitenedMLP

__all__ = ["MLP", "NETWORKS", "Network", "UNet", "WhitenedMLP", "network", "networks_for"]

discover(__name__)
