"""Your own data: a file or a drawing becomes the visitor's data set."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

from core.own_data import SIZES, images_from_zip, points_from_csv, points_from_picture
from dashboard.controls import Controls

PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp")
TABLES = (".csv", ".tsv", ".txt")


def read(path: str, size: int):
    """A visitor's file as a data set, by its suffix; what it really holds is checked by whoever reads it."""
    suffix = Path(path).suffix.lower()
    if suffix == ".zip":
        return images_from_zip(Path(path), int(size))
    if suffix in PICTURES:
        return points_from_picture(Path(path))
    if suffix in TABLES:
        return points_from_csv(Path(path))
    raise ValueError(f"a file ending in {suffix or 'nothing'}; bring points as {', '.join(TABLES)}, a picture of them as "
                     f"{', '.join(PICTURES)}, or images in a .zip")


def build_own(controls: Controls) -> tuple[gr.File, gr.Dropdown, gr.Sketchpad, gr.Button, gr.Markdown]:
    """The controls inside the sidebar's accordion."""
    with controls.groups["own"]:
        file = gr.File(label="points (CSV), a picture of points, or a zip of images", type="filepath", elem_id="own-file",
                       file_types=[*TABLES, *PICTURES, ".zip"], height=90)
        size = gr.Dropdown([(f"{s}×{s}", s) for s in SIZES], value=16, label="image size", filterable=False, elem_classes=["ns-row"])
        sketch = gr.Sketchpad(label="or draw", type="numpy", canvas_size=(240, 240), layers=False, height=300, elem_id="own-sketch",
                              brush=gr.Brush(default_size=12, colors=["#000000"], color_mode="fixed"), transforms=())
        use = gr.Button("Use the drawing", size="sm", elem_id="own-draw")
        note = gr.Markdown("", elem_classes=["ns-note"], elem_id="own-note")
    return file, size, sketch, use, note
