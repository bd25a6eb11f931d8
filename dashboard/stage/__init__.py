"""The player: panels that move together under one playhead, drawn in the browser."""

from dashboard.stage.pack import frames, pack
from dashboard.stage.stage import Stage, chunk, export_state, film, head

__all__ = ["Stage", "chunk", "export_state", "film", "frames", "head", "pack"]
