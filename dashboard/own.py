"""Your own data: a file or a drawing becomes the visitor's data set."""

from __future__ import annotations

import base64
import binascii
import io
from dataclasses import dataclass
from pathlib import Path

import gradio as gr
import numpy as np
from PIL import Image, UnidentifiedImageError

from core.datasets import Dataset
from core.own_data import SIZES, images_from_zip, points_from_csv, points_from_picture
from dashboard.controls import Controls

PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp")
TABLES = (".csv", ".tsv", ".txt")
#: A drawing as the page sends it: a small PNG in base64, and no more characters or pixels than this.
PREFIX, MOST, SIDE = "data:image/png;base64,", 200_000, 512


@dataclass(frozen=True)
class Own:
    """The controls by which data are brought."""

    file: gr.UploadButton
    size: gr.Dropdown
    pad: gr.HTML
    note: gr.Markdown


def build_own(controls: Controls) -> Own:
    """The controls inside the sidebar's accordion."""
    with controls.groups["own"]:
        file = gr.UploadButton("points (.csv), a picture, or a .zip of images", elem_id="own-file", size="sm",
                               file_types=[*TABLES, *PICTURES, ".zip"])
        size = gr.Dropdown([(f"{s}×{s}", s) for s in SIZES], value=16, label="zip to", filterable=False,
                           elem_classes=["ns-row"])
        pad = gr.HTML(html_template='<div class="ns-pad-root"></div>', elem_id="own-pad", apply_default_css=False,
                      js_on_load="Noisescope.pad(element, { trigger: picture => trigger('drawn', { picture }) });")
        note = gr.Markdown("", elem_classes=["ns-note"], elem_id="own-note")
    return Own(file, size, pad, note)


def read_file(path: str, size: int) -> Dataset:
    """A visitor's file as a data set, by its suffix; what it really holds is checked by whoever reads it."""
    suffix = Path(path).suffix.lower()
    if suffix == ".zip":
        return images_from_zip(Path(path), int(size))
    if suffix in PICTURES:
        return points_from_picture(Path(path))
    if suffix in TABLES:
        return points_from_csv(Path(path))
    raise ValueError(f"a file ending in {suffix or 'nothing'}; bring points as {', '.join(TABLES)}, a picture of them "
                     f"as {', '.join(PICTURES)}, or images in a .zip")


def read_drawing(picture: object) -> Dataset:
    """What the pad sent, as points on its ink. ValueError if it is no drawing: a page can send anything."""
    if not isinstance(picture, str) or not picture.startswith(PREFIX) or len(picture) > MOST:
        raise ValueError("there is no drawing yet; draw something on the pad first")
    try:
        png = base64.b64decode(picture.removeprefix(PREFIX), validate=True)
        with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
            if max(image.size) > SIDE:
                raise ValueError(f"the drawing has {image.width}×{image.height} pixels; {SIDE}×{SIDE} are the most")
            return points_from_picture(np.asarray(image.convert("L")))
    except (binascii.Error, UnidentifiedImageError, OSError, SyntaxError) as error:
        raise ValueError("the drawing that arrived is no PNG; clear the pad and draw again") from error
