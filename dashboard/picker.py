"""The data picker: one small picture for each data set, and its name."""

from __future__ import annotations

import base64
import io
from functools import cache

import gradio as gr
import numpy as np
import torch
from PIL import Image

from core.datasets import load, names

SIDE = 48


@cache
def thumbnail(name: str) -> str:
    """A data set as a PNG data URI of SIDE pixels: points as ink with an alpha channel, pictures as they are."""
    dataset = load(name)
    x = dataset.draw(1500, torch.Generator().manual_seed(0))[0] if dataset.kind == "points" else dataset.x0[:1]
    if dataset.kind == "points":
        counts = np.zeros((SIDE, SIDE))
        at = ((x.numpy() * [1, -1] / 1.15 + 1) / 2 * SIDE).astype(int).clip(0, SIDE - 1)
        np.add.at(counts, (at[:, 1], at[:, 0]), 1)
        alpha = (255 * np.minimum(1, counts / 2)).astype(np.uint8)
        image = Image.fromarray(np.dstack([np.full_like(alpha, 128)] * 3 + [alpha]))
    else:
        pixels = dataset.to_uint8(x)[0]
        image = Image.fromarray(pixels.squeeze() if pixels.shape[-1] == 1 else pixels).resize((SIDE, SIDE), Image.NEAREST)
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


class Picker(gr.HTML):
    """Value: the name of the data set. The event `pick` carries {"name": …}; the value changes at once, in the page."""

    def __init__(self, value: str, **kwargs):
        items = [{"name": name, "title": load(name).title, "image": thumbnail(name)} for name in names()]
        super().__init__(
            value,
            items=items,
            html_template='<div class="ns-picker" role="radiogroup" aria-label="data set"></div>',
            js_on_load="Noisescope.picker(element, { props, watch, trigger: name => trigger('pick', { name }) });",
            apply_default_css=False,
            **kwargs,
        )

    def postprocess(self, value: str | None) -> str | None:
        return value

    def api_info(self):
        return {"type": "string"}
