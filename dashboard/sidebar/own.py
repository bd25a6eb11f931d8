"""Your own data: a file or a drawing becomes the visitor's data set, and the page says how it was read."""

from __future__ import annotations

import base64
import binascii
import io
import math
import threading
from dataclasses import dataclass
from pathlib import Path

import gradio as gr
import numpy as np
from PIL import Image, UnidentifiedImageError

from core.data.datasets import Dataset
from core.data.readers import PICTURE, READABLE, SIZES, kind_of, points_from_picture, points_from_table, read_data
from core.data.tables import Table, Unclear, read_table
from core.doors.words import one_line
from core.recipe.handed_back import HANDED_OUT, recipe_in
from core.recipe.recipe import Recipe
from dashboard.sidebar.controls import Controls, Menu
from dashboard.sidebar.picker import picture_of

#: A drawing as the page sends it: a small PNG in base64, and no more characters or pixels than this.
PREFIX, MOST, SIDE = "data:image/png;base64,", 200_000, 512
PREVIEW, ACROSS = 96, 4  #: pixels of the picture of what was read, and how many of a set it shows side by side
#: Files are read one after another, whoever brings them: a large picture takes some hundred megabytes on its way.
_ONE_AT_A_TIME = threading.Lock()


class Understood(gr.HTML):
    """Value: how a file was read, as `understood` tells it; None for nothing. Its words are foreign: only ever text."""

    def __init__(self, **kwargs):
        super().__init__(
            None,
            html_template='<div class="ns-read"></div>',
            js_on_load="const show = () => Noisescope.understood(element, props.value); show(); watch('value', show);",
            apply_default_css=False,
            **kwargs,
        )

    def postprocess(self, value: dict | None) -> dict | None:
        return value

    def api_info(self):
        return {"type": "object"}


@dataclass(frozen=True)
class Own:
    """The controls by which data are brought."""

    file: gr.UploadButton
    size: gr.Dropdown
    columns: tuple[Menu, Menu, Menu]  #: of a table: x, y and labels
    chooser: gr.Column  #: around `columns`; seen while the file is a table
    pad: gr.HTML
    note: Understood


@dataclass(frozen=True)
class Read:
    """A file that was read: its data set, or why there is none yet; its table, if it is one; or the recipe in it, if
    it was handed out here, with what of that could not be used."""

    dataset: Dataset | None = None
    table: Table | None = None
    problem: str = ""
    recipe: Recipe | None = None
    complaints: tuple[str, ...] = ()


def build_own(controls: Controls) -> Own:
    """The controls inside the sidebar's accordion."""
    with controls.groups["own"]:
        file = gr.UploadButton("a table of points, a picture, a .zip of images, or a film made here", size="sm",
                               elem_id="own-file", file_types=list(dict.fromkeys((*READABLE, *HANDED_OUT))))
        note = Understood(padding=False, elem_id="own-note")
        with gr.Column(visible=False, min_width=0) as chooser:
            columns = tuple(Menu([], label=label, filterable=False, interactive=True, elem_id=f"own-{label}",
                                 elem_classes=["ns-row"]) for label in ("x", "y", "labels"))
        size = gr.Dropdown([(f"{s}×{s}", s) for s in SIZES], value=16, label="zip to", filterable=False,
                           elem_id="own-size", elem_classes=["ns-row"])
        pad = gr.HTML(html_template='<div class="ns-pad-root"></div>', elem_id="own-pad", apply_default_css=False,
                      js_on_load="Noisescope.pad(element, { trigger: picture => trigger('drawn', { picture }) });")
    return Own(file, size, columns, chooser, pad, note)


def read_file(path: str, size: int, columns: tuple[str, ...] | None = None) -> Read:
    """A visitor's file, and how it was taken. ValueError if it cannot be used; a table that leaves it open which
    columns are x and y is no error, but has no data set yet.

    A film, a trace or JSON that was handed out here gives its recipe; another picture the points on its ink.

    columns   of a table: x, y and, if it has labels, a third, by number; None for those whose names say so
    """
    file = Path(path)
    with _ONE_AT_A_TIME:
        if file.suffix.lower() in HANDED_OUT:
            try:
                recipe, complaints = recipe_in(file)
                return Read(recipe=recipe, complaints=tuple(complaints))
            except ValueError:
                if file.suffix.lower() not in PICTURE:
                    raise
        kind = kind_of(file)
        if kind != "table":
            return Read(read_data(file, pixels=int(size) if kind == "zip" else None))
        table = read_table(file)
    try:
        return Read(points_from_table(table, one_line(file.stem), columns=columns), table)
    except Unclear as unclear:
        return Read(None, table, str(unclear))


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


def understood(dataset: Dataset | None, problem: str = "") -> dict | None:
    """What the page says of the data in use: a title, a picture, how they were read, what was left out."""
    if dataset is None:
        return {"title": "Which columns?", "image": "", "rows": [], "left": [problem]} if problem else None
    rows = f"{len(dataset) + len(dataset.held_out):,} {'points' if dataset.kind == 'points' else 'pictures'}"
    picture = picture_of(dataset, PREVIEW, min(ACROSS, math.isqrt(len(dataset))))
    return {"title": f"{dataset.title}: {rows}", "image": picture, "rows": dataset.reading,
            "left": dataset.warnings[:6]}  # fmt: skip


def choices(own: Own, table: Table | None, columns: tuple[str, ...] | None) -> dict:
    """Updates of the menus of columns: those of a table, with what was chosen or taken; hidden without one."""
    if table is None:
        return {own.chooser: gr.update(visible=False)}
    try:
        x, y = table.pick(columns and columns[:2])
        kinds = table.column(columns[2]) if columns and columns[2:] else None if columns else table.kinds(but=(x, y))
        chosen = [x, y, kinds]
    except ValueError:
        chosen = [None] * 3
    numeric = [(column.title, str(column.place)) for column in table.numeric]
    every = [("none", "")] + [(column.title, str(column.place)) for column in table.columns]
    values = [column and str(column.place) for column in chosen]
    offered = zip(own.columns, (numeric, numeric, every), (*values[:2], values[2] or ""))
    return {own.chooser: gr.update(visible=True),
            **{menu: gr.update(choices=menu_choices, value=value) for menu, menu_choices, value in offered}}
