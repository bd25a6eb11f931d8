"""What registers itself in a file of its own: such a file need only be there."""

from __future__ import annotations

import pkgutil
import sys
from importlib import import_module


def discover(package: str) -> None:
    """Import every module of a package, so that what registers itself in one of them is known."""
    for module in pkgutil.iter_modules(sys.modules[package].__path__, f"{package}."):
        import_module(module.name)
