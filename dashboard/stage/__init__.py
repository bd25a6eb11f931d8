"""The player: panels that move together under one playhead, drawn in the browser."""

from dashboard.stage.stage import Stage, chunk, export_state, export_weight, film

__all__ = ["Stage", "chunk", "export_state", "export_weight", "film"]
